"""Parts of a run: scored in turn by this process, or shared among workers and clusters."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING

import torch

from fastseq._lazy import load
from fastseq.errors import OptionError
from fastseq.io.fasta import Genome
from fastseq.io.results import ResultFolder
from fastseq.io.variants import VariantInput, is_stream
from fastseq.run.cluster import over_cluster
from fastseq.run.shards import Place, supervise
from fastseq.score.scorer import Scorer
from fastseq.score.setting import scorer

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
    tqdm = load("tqdm").tqdm
    with tqdm(desc="score", unit="allele", unit_scale=True, disable=not progress) as bar:
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
    job: tuple,
    genome: Genome,
    folder: ResultFolder,
    workers: int,
    cluster: str | None,
    progress: bool,
) -> dict:
    """Share the parts of a folder among processes or a cluster; return the manifest."""
    *_, source = job
    if is_stream(source.source):
        raise OptionError("workers need variants from a file")
    shared = folder.path.absolute() / ".genome.codes"
    genome.save(shared)
    bar = load("tqdm").tqdm(desc="score", unit="part", disable=not progress)
    share = supervise
    if cluster:
        # what the run itself took, asked for or not: an actor without one would score elsewhere
        gpus = 1 if "cuda" in folder.identity["device"] else 0
        share = partial(over_cluster, address=cluster, gpus=gpus)
    try:
        share(
            _work,
            (job, shared, folder.path.absolute(), folder.identity),
            workers,
            tick=lambda: bar.update(folder.count() - bar.n),
        )
    finally:
        shared.unlink(missing_ok=True)
        bar.close()
    return folder.finish(folder.count())


def _work(where: Place, job: tuple, genome: PathLike, path: PathLike, identity: dict) -> None:
    """Do one worker's parts of a folder that is open already."""
    # one core each: threads of several workers would fight over the same cores
    torch.set_num_threads(1)
    model, options, devices, (null, active), variants = job
    if devices:
        options = options | {"device": devices[where.rank % len(devices)]}
    run = replace(scorer(model, genome, **options), null=null, active=active)
    write_parts(run, variants, ResultFolder(path, identity, shared=True), where=where)
