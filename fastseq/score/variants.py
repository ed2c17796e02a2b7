"""What variants do: each ALT allele in its own haplotype, one row out for every allele in."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Literal

from fastseq._lazy import load
from fastseq.errors import OptionError
from fastseq.io.bed import read_regions
from fastseq.io.fasta import Genome
from fastseq.io.results import ResultFolder, to_frame
from fastseq.io.variants import ContigMap, Source, read_variants, with_places, within
from fastseq.lower.plan import Precision, Runnable, lower_all
from fastseq.models.specs import OutputScale
from fastseq.run.views import Views
from fastseq.score.identity import run_identity
from fastseq.score.scorer import Scorer
from fastseq.sequence.alleles import MismatchPolicy

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Anchor = Literal["L//2", "L//2-1"]

# input records in a block, which is a shard of the output
BLOCK = 65_536


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
    views = Views(strands, tuple(shifts))
    views.warn_untrained_strands(plans)
    if not -places[anchor] <= min(views.shifts) <= max(views.shifts) < window - places[anchor]:
        raise OptionError(f"shifts={views.shifts} move the variant out of a {window} bp window")
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
        reduce,
    )


def score_blocks(
    run: Scorer,
    variants: Source,
    *,
    contig_map: ContigMap = None,
    regions: str | PathLike | Sequence[str] | None = None,
    block: int = BLOCK,
    skip: Callable[[int], bool] = lambda number: False,
    progress: bool = False,
) -> "Iterator[pa.Table | None]":
    """Yield one table per block of ``block`` input records, in order; None for blocks to skip.

    Memory is bounded by the genome, the model and one block. Parameters and errors are those of
    `score_variants`; ``skip`` says of a block's number whether it is wanted.
    """
    blocks = read_variants(variants, block=block)
    if regions is not None:
        blocks = within(blocks, read_regions(regions))
    bar = load("tqdm").tqdm(desc="score", unit="allele", unit_scale=True) if progress else None
    try:
        for number, (part, places) in enumerate(with_places(blocks, run.genome, contig_map)):
            yield None if skip(number) else run.score(part, places)
            if bar is not None:
                bar.update(len(part))
    finally:
        if bar is not None:
            bar.close()


def score_variants(
    model: Runnable | Sequence[Runnable],
    variants: Source,
    fasta: str | PathLike | Genome,
    *,
    length: int | None = None,
    strands: Literal["forward", "both"] = "forward",
    shifts: Sequence[int] = (0,),
    normalize: bool = True,
    anchor: Anchor = "L//2",
    on_ref_mismatch: MismatchPolicy = "skip",
    contig_map: ContigMap = None,
    regions: str | PathLike | Sequence[str] | None = None,
    scale: OutputScale = "output",
    pseudocount: float = 1.0,
    reduce: Literal["sum", "mean"] | None = None,
    output: str | PathLike | None = None,
    resume: bool = False,
    overwrite: bool = False,
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
    variants : path-like, DataFrame or list of str
        VCF or BCF (``-``: standard input), table, or texts ``chrom:pos:ref:alt``.
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
    scale : {"output", "logit"}
    pseudocount : float
        Added to both sides of the fold change.
    reduce : {"sum", "mean"}, optional
        How a profile model's positions become one number.
    output : path-like, optional
        A folder for Parquet parts and a manifest, instead of a DataFrame.
    resume, overwrite : bool
        Continue, or replace, what ``output`` already holds.
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
    OptionError, ModelError
        As for `fastseq.predict`.

    Notes
    -----
    diff is ALT minus REF, carried as a difference through the model where it can be. Averages
    over strands, shifts and models come before differences and ratios.
    """
    run = scorer(
        model,
        fasta,
        length=length,
        strands=strands,
        shifts=shifts,
        normalize=normalize,
        anchor=anchor,
        on_ref_mismatch=on_ref_mismatch,
        scale=scale,
        pseudocount=pseudocount,
        reduce=reduce,
        batch_size=batch_size,
        device=device,
        precision=precision,
    )
    options = {"contig_map": contig_map, "regions": regions}
    if output is None:
        if resume or overwrite:
            raise OptionError("resume and overwrite need output=, the folder of the run")
        parts = list(score_blocks(run, variants, progress=progress, **options))
        return to_frame(load("pyarrow").concat_tables(parts))
    folder = ResultFolder(
        output, run_identity(run, variants, **options), resume=resume, overwrite=overwrite
    )
    return write_parts(run, variants, folder, progress=progress, **options)


def write_parts(
    run: Scorer,
    variants: Source,
    folder: ResultFolder,
    *,
    progress: bool = False,
    **options: object,
) -> dict:
    """Score what a folder lacks, part by part, and finish its manifest; return that."""
    number = -1
    parts = score_blocks(run, variants, skip=folder.has, progress=progress, **options)
    for number, table in enumerate(parts):
        if table is not None:
            folder.write(number, table, Counter(table["status"].to_pylist()))
    return folder.finish(number + 1)
