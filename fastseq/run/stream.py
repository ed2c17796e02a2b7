"""Blocks of rows through a function, with progress; the plan batches, this never does."""

import sys
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from fastseq._lazy import load

# seconds between two lines of a bar that a log file keeps
CALM = 30.0


def progress_bar(shown: bool, **options: Any) -> Any:
    """Return a bar on stderr, rarely renewed where stderr is no terminal; idle if not shown."""
    calm = {} if sys.stderr.isatty() else {"mininterval": CALM}
    return _bar()(disable=not shown, **calm, **options)


@cache
def _bar() -> Any:
    """Return tqdm with a lock of this process alone.

    Its own lock is shared with forked children: one that is killed while it draws, or only makes a
    bar that is not shown, would stop its parent for good.
    """
    return type("Bar", (load("tqdm").tqdm,), {"_lock": threading.RLock()})


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
    with progress_bar(progress, total=rows, desc=label, unit="seq", unit_scale=True) as bar:
        for first in range(0, rows, size):
            block = slice(first, min(first + size, rows))
            yield block
            bar.update(block.stop - block.start)
