"""The options of a run made into a scorer, refused where they contradict each other."""

from collections.abc import Sequence
from os import PathLike
from typing import Literal

from fastseq.errors import OptionError
from fastseq.io.fasta import Genome
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Engine, Plan, Precision
from fastseq.models.specs import OutputScale
from fastseq.run.views import Views
from fastseq.score.scorer import Scorer
from fastseq.sequence.alleles import MismatchPolicy

Anchor = Literal["L//2", "L//2-1"]


def scorer(
    model: Runnable | Sequence[Runnable],
    fasta: str | PathLike[str] | Genome,
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
        indel_engine=_engine(plans, engine, 1, behind=places[anchor]),
        tile=tile,
    )


def _engine(plans: Sequence[Plan], engine: str, edits: int, *, behind: int | None = None) -> Engine:
    """Return the engine of a run with so many edits a window: one for all alleles and models.

    ``behind`` is where in a window everything moves, if each edit moves it.
    """
    if engine not in ("auto", "full", "incremental"):
        raise OptionError(f"engine={engine!r}; expected 'auto', 'incremental' or 'full'")
    if engine != "auto":
        return "incremental" if engine == "incremental" else "full"
    spans = [None if behind is None else (behind, plan.input_spec.length) for plan in plans]
    pays = all(plan.incremental_pays(edits, span=span) for plan, span in zip(plans, spans))
    return "incremental" if pays else "full"
