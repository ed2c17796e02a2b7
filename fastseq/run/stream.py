"""Blocks of rows through a function, with progress; the plan batches, this never does."""

from collections.abc import Iterator
from contextlib import ExitStack

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
    with ExitStack() as stack:
        bar = None
        if progress:
            tqdm = load("tqdm").tqdm
            bar = stack.enter_context(tqdm(total=rows, desc=label, unit="seq", unit_scale=True))
        for first in range(0, rows, size):
            block = slice(first, min(first + size, rows))
            yield block
            if bar is not None:
                bar.update(block.stop - block.start)
