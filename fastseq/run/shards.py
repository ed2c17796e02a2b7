"""Shards of one run over processes: rank r of n does every n-th shard, and is restarted if it dies.

A shard is pure and its result is written whole or not at all, so that a worker may be killed at
any time and started again; it skips what is there. The same rule serves processes of this
machine, torchrun, SLURM arrays and Ray: nothing is scheduled, and the order is that of the input.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

from fastseq.errors import FastseqError, OptionError, WorkerError

RESTARTS = 5
# seconds between looks at the workers
PAUSE = 0.1


class Place(NamedTuple):
    """Which of how many equal workers this process is."""

    rank: int = 0
    size: int = 1

    def owns(self, shard: int) -> bool:
        """Say whether a shard is this worker's."""
        return shard % self.size == self.rank


def place() -> Place:
    """Return the place that torchrun (RANK, WORLD_SIZE) or a SLURM array gave this process.

    Raises
    ------
    OptionError
        The variables contradict each other.
    """
    for rank, size, first in (
        ("RANK", "WORLD_SIZE", None),
        ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ):
        if rank in os.environ and size in os.environ:
            start = int(os.environ.get(first, 0)) if first else 0
            found = Place(int(os.environ[rank]) - start, int(os.environ[size]))
            if not 0 <= found.rank < found.size:
                raise OptionError(f"{rank}={os.environ[rank]} of {size}={found.size}")
            return found
    return Place()


def supervise(
    work: Callable[..., object],
    arguments: tuple,
    workers: int,
    *,
    restarts: int = RESTARTS,
    tick: Callable[[], object] = lambda: None,
) -> None:
    """Run ``work(place, *arguments)`` in as many processes, until all have returned.

    Parameters
    ----------
    work : callable
        Importable by name, as spawned processes need it. It skips shards that are done.
    arguments : tuple
    workers : int
    restarts : int
        How many deaths (a kill, a crash, no memory) are forgiven, over all workers.
    tick : callable
        Called at every look at the workers.

    Raises
    ------
    FastseqError
        What a worker raised; the others are stopped.
    WorkerError
        More deaths than ``restarts``.
    """
    context = multiprocessing.get_context("spawn")
    running: dict[int, tuple] = {}

    def start(rank: int) -> None:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_worker, args=(theirs, work, Place(rank, workers), arguments), daemon=True
        )
        process.start()
        theirs.close()
        running[rank] = process, ours

    try:
        for rank in range(workers):
            start(rank)
        while running:
            time.sleep(PAUSE)
            tick()
            for rank, (process, ours) in list(running.items()):
                if process.is_alive():
                    continue
                process.join()
                del running[rank]
                if ours.poll():
                    _raise(ours)
                if process.exitcode == 0:
                    continue
                if restarts == 0:
                    raise WorkerError(
                        f"worker {rank} ended with status {process.exitcode}, and the others had "
                        "used up the restarts; what is written stays (resume the run)"
                    )
                restarts -= 1
                start(rank)
    finally:
        for process, _ in running.values():
            process.terminate()


def _raise(ours: Connection) -> None:
    try:
        error = ours.recv()
    except EOFError:
        # closed without a word: the exit status tells
        return
    raise error


def _worker(
    report: Connection, work: Callable[..., object], where: Place, arguments: tuple
) -> None:
    try:
        work(where, *arguments)
    except FastseqError as error:
        report.send(error)
