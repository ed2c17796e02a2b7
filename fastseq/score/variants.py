"""What variants do: each ALT allele in its own haplotype, one row out for every allele in."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal

import torch

from fastseq._lazy import load
from fastseq.errors import FastseqError, OptionError
from fastseq.io.contigs import ContigMap
from fastseq.io.fasta import Genome
from fastseq.io.results import ResultFolder, is_single, to_frame, write_single
from fastseq.io.variants import Regions, Source, VariantInput, is_stream
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Engine, Plan, Precision
from fastseq.models.specs import OutputScale
from fastseq.run.cluster import over_cluster
from fastseq.run.devices import device_of_rank, named_devices
from fastseq.run.shards import Place, place, supervise
from fastseq.run.views import Views
from fastseq.score.background import active_answers, matched_effects, shuffled_effects
from fastseq.score.dry import dry_run as run_dry
from fastseq.score.identity import run_identity
from fastseq.score.scorer import Scorer
from fastseq.sequence.alleles import MismatchPolicy

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Anchor = Literal["L//2", "L//2-1"]

ALONE = Place()
# input records in a block, which is a part of the output: half a MB of Parquet, 50 MB of memory
SHARD = 32_768


def scorer(
    model: Runnable | Sequence[Runnable],
    fasta: str | PathLike | Genome,
    *,
    length: int | None = None,
    strands: Literal["forward", "both"] = "forward",
    shifts: Sequence[int] = (0,),
    normalize: bool = True,
    anchor: Anchor = "L//2",
    on_ref_mismatch: MismatchPolicy = "skip",
    scale: OutputScale = "output",
    pseudocount: float = 1.0,
    reduce: Literal["sum", "mean"] | None = None,
    indel: Literal["left", "compensate"] = "left",
    engine: Engine | Literal["auto"] = "auto",
    tile: int = 1,
    batch_size: int | None = None,
    device: str | None = None,
    precision: Precision | None = None,
) -> Scorer:
    """Return a `Scorer`; parameters and errors as for `score_variants`."""
    plans = lower_all(
        model, length=length, device=device, precision=precision, batch_size=batch_size
    )
    spec = plans[0].input_spec
    window = spec.variable if length is None else length
    if window not in (spec.variable, spec.length):
        raise OptionError(f"length={length}; the model takes {spec.variable} or {spec.length} bp")
    places = {"L//2": window // 2, "L//2-1": window // 2 - 1}
    if anchor not in places:
        raise OptionError(f"anchor={anchor!r}; expected 'L//2' or 'L//2-1'")
    if plans[0].positions is not None and reduce not in ("sum", "mean"):
        raise OptionError(
            f"the model answers profiles of {plans[0].positions} positions and reduce={reduce!r}; "
            "expected 'sum' or 'mean'"
        )
    if indel not in ("left", "compensate"):
        raise OptionError(f"indel={indel!r}; expected 'left' or 'compensate'")
    views = Views(strands, tuple(shifts))
    views.warn_untrained_strands(plans)
    if tile < 1:
        raise OptionError(f"tile={tile}; expected at least 1")
    before, behind = tile // 2, tile - 1 - tile // 2
    first, last = places[anchor] - before - max(views.shifts), places[anchor] + behind
    if first < 0 or last - min(views.shifts) >= window:
        allele = "the variant" if tile == 1 else f"alleles of a tile of {tile}"
        raise OptionError(f"shifts={views.shifts} move {allele} out of a {window} bp window")
    return Scorer(
        plans,
        fasta if isinstance(fasta, Genome) else Genome.open(fasta),
        views,
        window,
        places[anchor],
        normalize,
        on_ref_mismatch,
        scale,
        pseudocount,
        reduce if plans[0].positions is not None else None,
        indel,
        engine=_engine(plans, engine, 1 if tile == 1 else 3 * tile),
        tile=tile,
    )


def _engine(plans: Sequence[Plan], engine: str, edits: int) -> Engine:
    """Return the engine of a run with so many edits a window: one for all alleles and models."""
    if engine not in ("auto", "full", "incremental"):
        raise OptionError(f"engine={engine!r}; expected 'auto', 'incremental' or 'full'")
    if engine == "auto":
        return "incremental" if all(plan.incremental_pays(edits) for plan in plans) else "full"
    return "incremental" if engine == "incremental" else "full"


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


def score_variants(
    model: Runnable | Sequence[Runnable],
    variants: "Source | None",
    fasta: str | PathLike | Genome,
    *,
    length: int | None = None,
    strands: Literal["forward", "both"] = "forward",
    shifts: Sequence[int] = (0,),
    normalize: bool = True,
    anchor: Anchor = "L//2",
    on_ref_mismatch: MismatchPolicy = "skip",
    contig_map: ContigMap = None,
    regions: Regions = None,
    saturate: Regions = None,
    tile: int = 1,
    scale: OutputScale = "output",
    pseudocount: float = 1.0,
    reduce: Literal["sum", "mean"] | None = None,
    indel: Literal["left", "compensate"] = "left",
    null: int = 0,
    null_seed: int = 0,
    null_variants: "Source | None" = None,
    active: Regions = None,
    engine: Engine | Literal["auto"] = "auto",
    output: str | PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    workers: int = 1,
    devices: int | str | Sequence[str] | None = None,
    cluster: str | None = None,
    shard: int = SHARD,
    batch_size: int | None = None,
    device: str | None = None,
    precision: Precision | None = None,
    progress: bool = False,
) -> "pd.DataFrame | dict":
    """Return the effect of every ALT allele, one row each, in input order.

    Every allele is scored in its true haplotype: the window is cut around the normalised allele,
    its left flank stays, and what stands behind the allele is refilled from the genome.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
        A list is an ensemble, averaged before any difference.
    variants : path-like, DataFrame, list of str, or None
        VCF or BCF (``-``: standard input), table, or texts ``chrom:pos:ref:alt``; None with
        ``saturate``.
    fasta : path-like or Genome
    length : int, optional
        Window in bp: the variable part (default), placed inside the model's constant flanks, or
        the full input, which then is all genome.
    strands : {"forward", "both"}
    shifts : sequence of int
        Window offsets in bp; REF and ALT get the same, with real genome bases.
    normalize : bool
        Trim and left-align first, so that all ways of writing a variant score the same.
    anchor : {"L//2", "L//2-1"}
        Where the first base of REF stands in the window.
    on_ref_mismatch : {"skip", "swap", "force", "error"}
        Where REF is not in the genome: leave the row unscored; score it from the other side where
        ALT is the genome's allele; write REF into the reference haplotype; or stop.
    contig_map : mapping, path, "chr", "roman", optional
        From the variants' contig names to the FASTA's.
    regions : str, path or list of str, optional
        Only records whose POS lies in them: ``chrom:first-last`` or a BED file.
    saturate : str, path or list of str, optional
        Regions of which every substitution of a known base is scored, each in its own window and
        bit for bit as if it came from a VCF.
    tile : int
        With ``saturate``, how many neighbouring bases share one window, which stands over the
        middle one. Faster, since one reference serves them all, but another question than 1: an
        allele then stands up to half a tile off the middle, and its score differs by that.
    scale : {"output", "logit"}
    pseudocount : float
        Added to both sides of the fold change.
    reduce : {"sum", "mean"}, optional
        How a profile model's positions become one number. The columns ``jsd`` (Jensen-Shannon
        distance) and ``l2`` then say how far both profiles are apart.
    indel : {"left", "compensate"}
        "left" keeps the left flank of a window and moves what is behind an indel; "compensate"
        averages that with the window in which the right flank stays.
    null, null_seed : int
        How many background variants to score, alleles of the input in dinucleotide-shuffled
        windows; the column ``p_value`` then is two-sided, ``(r + 1) / (n + 1)``.
    null_variants : as ``variants``, optional
        Matched background variants, instead of ``null``.
    active : str, path or list of str, optional
        Regions such as the assay's peaks; the column ``active_quantile`` then says where the
        more active allele stands among the answers around their middles.
    engine : {"auto", "incremental", "full"}
        "full" runs ALT haplotypes, "incremental" carries the differences of alleles that keep the
        length; "auto" takes what pays for one allele a window.
    output : path-like, optional
        A folder for Parquet parts and a manifest; or, by its ending (.tsv, .csv, .parquet, .gz of
        the first two) one file, or ``-`` for TSV on standard output, written as the scores come.
    resume, overwrite : bool
        Continue, or replace, the run that the folder ``output`` holds.
    dry_run : bool
        Score nothing: return counts per status and estimates of time and memory.
    workers : int
        Processes that share the parts of the folder ``output``. Under torchrun or in a SLURM
        array, each process does the parts of its rank, and the last one writes the manifest.
    devices : int, "all" or sequence of str, optional
        GPUs of this machine, so many or by name, which workers take in turns; at least one worker
        each.
    cluster : str, optional
        The workers are actors of the Ray cluster at this address ("auto": the one this machine
        belongs to; "local": a new one here), with a GPU each where ``device`` is one. ``output``
        lies where all its machines see it.
    shard : int
        Input records in a part.
    batch_size, device, precision
        As for `fastseq.predict`.
    progress : bool

    Returns
    -------
    DataFrame, or with ``output`` its manifest
        chrom pos id ref alt (as in the input), norm_pos norm_ref norm_alt, status, flags, y_ref
        y_alt diff log2fc, and sd over views where there are several; ``y_ref_<task>`` and so on
        where there are several tasks. A row whose status is not "ok" has NaN scores.

    Raises
    ------
    ContigError
        Variants and FASTA have no contig name in common.
    ReferenceMismatchError
        A REF is not in the genome and ``on_ref_mismatch`` is "error".
    MissingFileError, UnreadableFileError, FormatError, TableError
        An input cannot be read.
    ResumeError
        ``output`` holds another run, or this one and ``resume`` is false.
    WorkerError
        Workers died again and again.
    PrecisionError
        A reduced precision loses the effects, measured on the first alleles.
    LengthError, OptionError, ModelError
        As for `fastseq.predict`.

    Notes
    -----
    diff is ALT minus REF, carried as a difference through the model where it can be. Averages
    over strands, shifts and models come before differences and ratios.

    Many machines: give every process the same call with ``output=`` on a shared file system, under
    ``torchrun --nproc-per-node 8 job.py`` or ``sbatch --array 0-31 job.sh``. Each does the parts
    of its rank; a killed one is started again with ``resume=True``; the last one to end writes the
    manifest.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 1))
    >>> genome = Genome.from_sequences({"chr1": "ACGTACGTACGT"})
    >>> frame = score_variants(head, ["chr1:5:A:G", "chr1:5:C:G"], genome, length=8)
    >>> frame.status.tolist()
    ['ok', 'ref_mismatch']
    """
    name = None if output is None else fspath(output)
    single = name is not None and is_single(name)
    names = () if devices is None else named_devices(devices)
    if names and (device or cluster):
        raise OptionError("devices= are those of this machine's workers; give no device or cluster")
    workers = max(workers, len(names))
    if (name is None or single) and (resume or overwrite or cluster or workers != 1):
        raise OptionError(
            "resume, overwrite, workers, devices and cluster need output=, the folder of the run"
        )
    where = place()
    if names or (device is None and where.size > 1):
        device = device_of_rank(names) or next(iter(names), None)
    if tile != 1 and saturate is None:
        raise OptionError("tile= shares windows among the alleles of saturate=")
    genome = fasta if isinstance(fasta, Genome) else Genome.open(fasta)
    options = {
        "length": length, "strands": strands, "shifts": tuple(shifts), "normalize": normalize,
        "anchor": anchor, "on_ref_mismatch": on_ref_mismatch, "scale": scale,
        "pseudocount": pseudocount, "reduce": reduce, "indel": indel, "engine": engine,
        "tile": tile, "batch_size": batch_size, "device": device, "precision": precision,
    }  # fmt: skip
    run = scorer(model, genome, **options)
    source = VariantInput(variants, contig_map, regions, saturate, shard)
    if null and null_variants is not None:
        raise OptionError("expected either null= or null_variants=")
    if null_variants is not None and not dry_run:
        matched = VariantInput(null_variants, contig_map, block=shard)
        run = replace(run, null=matched_effects(run, matched))
    if active is not None and not dry_run:
        run = replace(run, active=active_answers(run, active))
    if null:
        if is_stream(variants):
            raise OptionError("null= reads the variants twice; standard input gives them once")
        run = replace(run, null=shuffled_effects(run, source, null, seed=null_seed))
    if dry_run:
        return run_dry(run, source)
    if name is None:
        parts = list(score_blocks(run, source, progress=progress))
        return to_frame(load("pyarrow").concat_tables(parts))
    if single:
        return write_single(score_blocks(run, source, progress=progress), name)
    folder = ResultFolder(
        name, run_identity(run, source), resume=resume, overwrite=overwrite, shared=where.size > 1
    )
    if (workers > 1 and where.size == 1) or cluster:
        job = (model, options, names, (run.null, run.active), source)
        return _over_workers(job, genome, folder, workers, cluster, progress)
    try:
        return write_parts(run, source, folder, where=where, progress=progress)
    except FastseqError:
        if where.size == 1:
            folder.forget()
        raise


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


def _over_workers(
    job: tuple,
    genome: Genome,
    folder: ResultFolder,
    workers: int,
    cluster: str | None,
    progress: bool,
) -> dict:
    """Share the parts of a folder among processes or a cluster; return the manifest."""
    model, options, *_, source = job
    members = model if isinstance(model, list | tuple) else [model]
    if is_stream(source.source) or any(isinstance(member, Plan) for member in members):
        raise OptionError(
            "workers need models as modules or checkpoint paths, and variants from a file"
        )
    shared = folder.path.absolute() / ".genome.codes"
    genome.save(shared)
    bar = load("tqdm").tqdm(desc="score", unit="part", disable=not progress)
    share = supervise
    if cluster:
        gpus = 1 if str(options["device"] or "cpu").startswith("cuda") else 0
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
