"""Chunks of work over Python threads, for kernels that let go of the interpreter lock."""

import os
import threading
from collections.abc import Callable

from fastseq.errors import OptionError


def usable() -> int:
    """Return how many threads may run: FASTSEQ_THREADS, or the cores this process may use.

    Raises
    ------
    OptionError
        FASTSEQ_THREADS is no positive number.
    """
    asked = os.environ.get("FASTSEQ_THREADS")
    if asked:
        if not asked.isdigit() or int(asked) < 1:
            raise OptionError(f"FASTSEQ_THREADS is {asked!r}; expected a positive number")
        return int(asked)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def resolve(threads: int | None, work: int, *, least: int = 4 << 20) -> int:
    """Return how many threads to use for ``work`` bytes (or updates).

    ``None`` takes one thread for every ``least`` of them, up to `usable`: starting a thread costs
    about 50 us, so that small calls stay alone.

    Raises
    ------
    OptionError
        ``threads`` is below 1.
    """
    if threads is None:
        return max(1, min(usable(), work // least)) if work >= 2 * least else 1
    if threads < 1:
        raise OptionError(f"threads is {threads}; expected at least 1")
    return threads


def run(call: Callable[[int, int], object], n: int, threads: int, *, multiple: int = 1) -> None:
    """Call ``call(first, last)`` over the whole of ``range(n)``, chunk by chunk.

    Threads take the next chunk when they are done with theirs, so that a busy core delays one
    chunk and not a half. They end with the call: nothing survives into a fork. The first exception
    of any thread is raised here.

    Parameters
    ----------
    call : callable
        Releases the interpreter lock; writes to disjoint places for disjoint chunks.
    n : int
        Number of items.
    threads : int
        How many run, the caller's included.
    multiple : int
        Chunks begin at multiples of it.
    """
    if threads == 1 or n <= multiple:
        call(0, n)
        return
    # eight chunks a thread: the last one to finish keeps the others waiting for 1/8 at most
    step = max(1, -(-n // (8 * threads * multiple))) * multiple
    starts = iter(range(0, n, step))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def work() -> None:
        while not failures:
            with lock:
                first = next(starts, None)
            if first is None:
                return
            try:
                call(first, min(first + step, n))
            except BaseException as error:
                failures.append(error)

    helpers = [threading.Thread(target=work) for _ in range(threads - 1)]
    for helper in helpers:
        helper.start()
    work()
    for helper in helpers:
        helper.join()
    if failures:
        raise failures[0]


def run_blocks(call, n: int, length: int, threads: int) -> None:
    """Run ``call(first, last, begin, end)`` over rows, or over positions where rows are few."""
    if threads == 1:
        call(0, n, 0, length)
    elif n >= 4 * threads:
        run(lambda first, last: call(first, last, 0, length), n, threads)
    else:
        run(lambda begin, end: call(0, n, begin, end), length, threads, multiple=64)
