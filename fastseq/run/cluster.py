"""Shards of one run over many machines: the workers of `shards`, as restartable Ray actors.

Ray restarts an actor whose process or node died and repeats its task, which skips the shards that
are done. The folder of the run must be on a file system that all machines see.
"""

from collections.abc import Callable

from fastseq._lazy import load
from fastseq.errors import FastseqError, WorkerError
from fastseq.run.shards import Place


def over_cluster(
    work: Callable[..., object],
    arguments: tuple,
    workers: int,
    *,
    address: str = "auto",
    gpus: float = 0,
    tick: Callable[[], object] = lambda: None,
) -> None:
    """Run ``work(place, *arguments)`` on as many actors of a Ray cluster, until all have returned.

    Parameters
    ----------
    work : callable
    arguments : tuple
    workers : int
    address : str
        Of the cluster; "local" starts one on this machine, "auto" joins the one it belongs to.
    gpus : float
        GPUs an actor holds; a fraction shares one.
    tick : callable
        Called about once a second.

    Raises
    ------
    MissingExtraError
        Ray is not installed.
    FastseqError
        What a worker raised.
    WorkerError
        The cluster is not there, or lost an actor for good.
    """
    ray = load("ray")
    started = not ray.is_initialized()
    if started:
        where = {} if address == "local" else {"address": address}
        try:
            ray.init(**where, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise WorkerError(f"no Ray cluster at {address!r}: {error}") from error
    try:
        # killed actors come back and do their task again; what a task raises is not repeated
        actor = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=-1, max_task_retries=-1)(_Actor)
        actors = [actor.remote() for _ in range(workers)]
        waiting = [
            one.run.remote(work, Place(rank, workers), arguments) for rank, one in enumerate(actors)
        ]
        while waiting:
            done, waiting = ray.wait(waiting, timeout=1)
            tick()
            for error in ray.get(done):
                if error is not None:
                    raise error
    except ray.exceptions.RayError as error:
        raise WorkerError(f"the cluster lost a worker for good: {error}") from error
    finally:
        if started:
            ray.shutdown()


class _Actor:
    """Does one worker's share; errors of ours come back as values and keep their class."""

    def run(
        self, work: Callable[..., object], where: Place, arguments: tuple
    ) -> FastseqError | None:
        try:
            work(where, *arguments)
        except FastseqError as error:
            return error
        return None
