"""Parts of a run: scored in turn by this process, or shared among workers and clusters."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

import torch

from fastseq.errors import OptionError
from fastseq.io.fasta import Genome
from fastseq.io.results import GENOME, ResultFolder
from fastseq.io.variants import VariantInput, is_stream
from fastseq.run.cluster import over_cluster
from fastseq.run.shards import Place, supervise
from fastseq.run.stream import progress_bar
from fastseq.score.scorer import Scorer

if TYPE_CHECKING:
    import pyarrow as pa

ALONE = Place()


def score_blocks(
    run: Scorer,
    variants: VariantInput,
    *,
    skip: Callable[[int], bool] = lambda number: False,
    progress: bool = False,
) -> "Iterator[pa.Table | None]":
    """Yield one table per block of input records, in order; None for blocks to skip.

    Memory is bounded by the genome, the model and one block. ``skip`` says of a block's number
    whether it is not wanted. Errors are those of `score_variants`.
    """
    with progress_bar(progress, desc="score", unit="allele", unit_scale=True) as bar:
        judged = all(plan.precision == "float32" for plan in run.plans)
        for number, (part, places) in enumerate(variants.blocks(run.genome)):
            judged = judged or run.check_precision(part, places)
            yield None if skip(number) else run.score(part, places)
            bar.update(len(part))


def write_parts(
    run: Scorer,
    variants: VariantInput,
    folder: ResultFolder,
    *,
    where: Place = ALONE,
    progress: bool = False,
) -> dict:
    """Score what a folder lacks of one worker's parts; return the manifest, finished or not.

    Whoever finds all parts there finishes the manifest.
    """
    number = -1
    parts = score_blocks(
        run,
        variants,
        skip=lambda number: not where.owns(number) or folder.has(number),
        progress=progress,
    )
    for number, table in enumerate(parts):
        if table is not None:
            folder.write(number, table, Counter(table["status"].to_pylist()))
    if where.size == 1 or all(map(folder.has, range(number + 1))):
        return folder.finish(number + 1)
    return {"complete": False, "identity": folder.identity}


def over_workers(
    run: Scorer,
    variants: VariantInput,
    folder: ResultFolder,
    workers: int,
    *,
    devices: Sequence[str] = (),
    cluster: str | None = None,
    progress: bool = False,
) -> dict:
    """Share the parts of a folder among processes or a cluster; return the manifest.

    Workers take the plans in their saved form and map one file of genome codes, so that none
    captures the model or reads the FASTA again. They take ``devices`` in turns.
    """
    if is_stream(variants.source):
        raise OptionError("workers need variants from a file")
    shared = folder.path.absolute() / GENOME
    run.genome.save(shared)
    # pickled here and not by the process that starts: it chooses its device before it takes a plan
    settings = pickle.dumps(vars(run) | {"genome": None})
    bar = progress_bar(progress, desc="score", unit="part")
    share, device = supervise, run.plans[0].device
    if cluster:
        # what the run itself took, asked for or not: an actor without one would score elsewhere
        share = partial(over_cluster, address=cluster, gpus=int(device.type == "cuda"))
    elif not devices and device.type == "cuda":
        devices = [str(device)]
    try:
        share(
            _work,
            (settings, devices, shared, variants, folder.path.absolute(), folder.identity),
            workers,
            tick=lambda: bar.update(folder.count() - bar.n),
        )
    finally:
        shared.unlink(missing_ok=True)
        bar.close()
    return folder.finish(folder.count())


def _work(
    where: Place,
    settings: bytes,
    devices: Sequence[str],
    genome: PathLike,
    variants: VariantInput,
    path: PathLike,
    identity: dict,
) -> None:
    """Do one worker's parts of a folder that is open already."""
    # one core each: threads of several workers would fight over the same cores
    torch.set_num_threads(1)
    if devices and "cuda" in devices[0]:
        torch.cuda.set_device(devices[where.rank % len(devices)])
    run = Scorer(**pickle.loads(settings) | {"genome": Genome.open(genome)})
    write_parts(run, variants, ResultFolder(path, identity, shared=True), where=where)
