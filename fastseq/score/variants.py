"""What variants do: each ALT allele in its own haplotype, one row out for every allele in."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal

from fastseq._lazy import load
from fastseq.errors import FastseqError, OptionError
from fastseq.io.contigs import ContigMap
from fastseq.io.fasta import Genome
from fastseq.io.results import ResultFolder, is_single, to_frame, write_single
from fastseq.io.variants import Regions, Source, VariantInput, fingerprint, is_stream, named
from fastseq.lower.ensemble import Runnable
from fastseq.lower.plan import Engine, Precision
from fastseq.models.specs import OutputScale
from fastseq.run.devices import device_of_rank, named_devices
from fastseq.run.shards import place
from fastseq.score.background import active_answers, matched_effects, shuffled_effects
from fastseq.score.dry import dry_run as run_dry
from fastseq.score.identity import run_identity
from fastseq.score.parts import over_workers, score_blocks, write_parts
from fastseq.score.setting import Anchor, scorer
from fastseq.sequence.alleles import MismatchPolicy

if TYPE_CHECKING:
    import pandas as pd

# input records in a block, which is a part of the output: half a MB of Parquet, 50 MB of memory
SHARD = 32_768


def score_variants(
    model: Runnable | Sequence[Runnable],
    variants: "Source | None",
    fasta: str | PathLike[str] | Genome,
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
    output: str | PathLike[str] | None = None,
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
) -> "pd.DataFrame | dict[str, Any]":
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
        "full" runs ALT haplotypes, "incremental" carries the differences of alleles, of insertions
        and deletions where that is faster; "auto" takes what pays for one allele a window.
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
    if single and where.size > 1:
        raise OptionError(
            f"under torchrun or in a SLURM array every rank would write all of {name}; give the "
            "name of a folder, which ranks share, and export it when they are done"
        )
    if overwrite and where.size > 1:
        raise OptionError(
            "overwrite= under torchrun or in a SLURM array would delete what other ranks have "
            f"written; remove {name} before they start"
        )
    if names or (device is None and where.size > 1):
        device = device_of_rank(names) or next(iter(names), None)
    if tile != 1 and saturate is None:
        raise OptionError("tile= shares windows among the alleles of saturate=")
    genome = fasta if isinstance(fasta, Genome) else Genome.open(fasta)
    run = scorer(
        model, genome, length=length, strands=strands, shifts=shifts, normalize=normalize,
        anchor=anchor, on_ref_mismatch=on_ref_mismatch, scale=scale, pseudocount=pseudocount,
        reduce=reduce, indel=indel, engine=engine, tile=tile, batch_size=batch_size,
        device=device, precision=precision,
    )  # fmt: skip
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
    identity = run_identity(run, source) | {
        "background": {"alleles": null, "seed": null_seed} if null else fingerprint(null_variants),
        "active_regions": named(active),
    }
    folder = ResultFolder(
        name, identity, resume=resume, overwrite=overwrite, shared=where.size > 1,
        otherwise="overwrite it or choose another folder",
    )  # fmt: skip
    try:
        if (workers > 1 and where.size == 1) or cluster:
            return over_workers(
                run, source, folder, workers, devices=names, cluster=cluster, progress=progress
            )
        return write_parts(run, source, folder, where=where, progress=progress)
    except FastseqError:
        if where.size == 1:
            folder.forget()
        raise
