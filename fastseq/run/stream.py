"""Blocks of rows through a function, with progress; the plan batches, this never does."""

from collections.abc import Callable, Iterator

from fastseq._lazy import load


def blocks(rows: int, size: int, *, progress: bool, label: str) -> Iterator[slice]:
    """Yield consecutive slices of ``rows``, with a progress bar on stderr where asked.

    Parameters
    ----------
    rows : int
    size : int
        Rows in a block; memory is bounded by it.
    progress : bool
    label : str
        What the bar says, such as "predict".
    """
    advance: Callable[[int], object] = lambda done: None
    close: Callable[[], object] = lambda: None
    if progress:
        bar = load("tqdm").tqdm(total=rows, desc=label, unit="seq", unit_scale=True)
        advance, close = bar.update, bar.close
    try:
        for first in range(0, rows, size):
            block = slice(first, min(first + size, rows))
            yield block
            advance(block.stop - block.start)
    finally:
        close()
