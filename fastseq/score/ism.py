"""What every single-base change of a sequence does: saturation mutagenesis."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import UNKNOWN, Codes, Text
from fastseq.errors import OptionError
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Engine, Plan, Precision
from fastseq.models.specs import OutputScale
from fastseq.run import views as viewed
from fastseq.run.precision import PrecisionReport, check_precision
from fastseq.run.stream import blocks
from fastseq.run.views import Views
from fastseq.score.predict import as_rows
from fastseq.sequence.edits import Edits

Reduce = Callable[[NDArray[np.float32]], NDArray[np.float32]]

# rows mutated at once: 16 x 3 x 2,114 edits of one task are 0.4 MB of effects
BLOCK = 16


@dataclass(frozen=True, eq=False)
class ISMResult:
    """Effects of all single-base substitutions in a span.

    Attributes
    ----------
    codes : uint8, (n, length)
        The sequences as given.
    start, end : int
        The mutated span, 0-based, half-open, counted in what the caller gave.
    tasks : tuple of str
    y_ref : float32, (n, tasks)
    effect : float32, (n, tasks, 4, end - start)
        y_alt - y_ref for A C G T at each position, carried as deltas; 0 at the observed base.
    precision : PrecisionReport or None
        What a reduced precision cost, on a sample; None in float32.
    """

    codes: Codes
    start: int
    end: int
    tasks: tuple[str, ...]
    y_ref: NDArray[np.float32]
    effect: NDArray[np.float32]
    precision: PrecisionReport | None = None

    @property
    def y_alt(self) -> NDArray[np.float32]:
        """Answers of the mutants, float32, (n, tasks, 4, end - start)."""
        return self.y_ref[:, :, None, None] + self.effect

    @property
    def observed(self) -> NDArray[np.bool_]:
        """One-hot of the span, bool, (n, 4, end - start); all false at unknown bases."""
        span = self.codes[:, self.start : self.end]
        return span[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Positions without an observed base, bool, (n, end - start)."""
        return self.codes[:, self.start : self.end] >= UNKNOWN

    @property
    def hypothetical(self) -> NDArray[np.float32]:
        """Effect minus its mean over the four letters (the identity's 0 included)."""
        return self.effect - self.effect.mean(2, keepdims=True)

    @property
    def attributions(self) -> NDArray[np.float32]:
        """Hypothetical at the observed base, float32, (n, tasks, end - start).

        That is -3/4 of the mean effect of the three alternatives; 0 at unknown bases.
        """
        return (self.hypothetical * self.observed[:, None]).sum(2)

    def to_tangermeme(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return y_ref (n, tasks) and y_alt (n, 4, positions, tasks), tangermeme's axis order."""
        return self.y_ref, self.y_alt.transpose(0, 2, 3, 1)


def saturation_mutagenesis(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    *,
    start: int | None = None,
    end: int | None = None,
    engine: Engine | Literal["auto"] = "auto",
    scale: OutputScale = "output",
    reduce: Literal["sum", "mean"] | Reduce | None = None,
    strands: Literal["forward", "both"] = "forward",
    shifts: Sequence[int] = (0,),
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    progress: bool = False,
) -> ISMResult:
    """Return the effect of every single-base substitution in a span of each sequence.

    Mutants of many sequences share a micro-batch.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length, full or variable, as for `fastseq.predict`.
    start, end : int, optional
        Span to mutate, 0-based, half-open, counted in what is given. By default the variable
        part: the flanks of a full-length construct are mutated only when the span says so.
    engine : {"auto", "incremental", "full"}
        "full" runs the whole model for each mutant, "incremental" carries differences through
        it; both are exact, and "auto" takes the faster.
    scale : {"output", "logit"}
        "logit" takes effects on the score before the activation.
    reduce : {"sum", "mean"} or callable, optional
        How a profile model's positions become one number, (..., positions) -> (...).
    strands, shifts, batch_size, device, precision, progress
        As for `fastseq.predict`.

    Returns
    -------
    ISMResult

    Raises
    ------
    LengthError, SequenceError, ModelError
        As for `fastseq.predict`.
    OptionError
        The span leaves the sequence, or a profile model has no ``reduce``.
    PrecisionError
        A reduced precision drowns the effects of the first block.

    Notes
    -----
    At an unknown base the four edits are measured against the model's N; the attribution there
    is 0 and `ISMResult.unknown` is true.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> saturation_mutagenesis(head, "ACGT").effect.shape
    (1, 1, 4, 4)
    """
    codes = as_rows(seqs)
    if engine not in ("auto", "incremental", "full"):
        raise OptionError(f"engine={engine!r}; expected 'auto', 'incremental' or 'full'")
    views = Views(strands, tuple(shifts))
    views.check_reach(codes.shape[1])
    options = {"device": device, "precision": precision, "batch_size": batch_size}
    mutants = None if engine == "incremental" else 3 * codes.size * views.count
    plans = lower_all(model, length=codes.shape[1], sequences=mutants, **options)
    views.warn_untrained_strands(plans)
    first, last = _span(plans[0], codes, start, end)
    engine = _engine(plans, engine, 3 * (last - first))
    rows, left, length = _rows(plans[0], codes, (first, last), views.reach)
    to_number = _reducer(plans[0], reduce)
    tasks = plans[0].target_spec.tasks
    y_ref = np.empty((len(codes), len(tasks)), np.float32)
    effect = np.zeros((len(codes), len(tasks), 4, last - first), np.float32)
    report = None
    moved = left + first - _offset(plans[0], codes, length)
    for block in blocks(len(codes), BLOCK, progress=progress, label="mutate"):
        edits = Edits.substitutions(rows[block], moved, moved + last - first)
        window = {"left": left, "length": length, "scale": scale}
        if block.start == 0:
            report = check_precision(plans, rows[block], edits, views, **window)
        seen = viewed.effects(plans, rows[block], edits, views, engine=engine, **window)
        y_ref[block] = to_number(seen.y_ref)
        effect[block][edits.row, :, edits.inserted, edits.start - moved] = to_number(seen.deltas)
    return ISMResult(codes, first, last, tasks, y_ref, effect, report)


def _engine(plans: Sequence[Plan], engine: str, edits: int) -> Engine:
    """Return the engine of a run: one for all its sequences and models."""
    if engine == "auto":
        pays = all(plan.incremental_pays(edits) for plan in plans)
        return "incremental" if pays else "full"
    return "incremental" if engine == "incremental" else "full"


def _span(plan: Plan, codes: Codes, start: int | None, end: int | None) -> tuple[int, int]:
    """Return the mutated span in the caller's coordinates."""
    spec, found = plan.input_spec, codes.shape[1]
    spec.variable_part(codes)
    full = found == spec.length
    first = (len(spec.left) if full else 0) if start is None else start
    last = (found - len(spec.right) if full else found) if end is None else end
    if not 0 <= first < last <= found:
        raise OptionError(
            f"start={first}, end={last}; expected 0 <= start < end <= {found}, the length in bp"
        )
    return first, last


def _rows(plan: Plan, codes: Codes, span: tuple[int, int], reach: int) -> tuple[Codes, int, int]:
    """Return reference rows, where the window begins in them, and its length.

    Windows are variable parts, so that shifts move inside the flanks; a span that reaches into
    the flanks of a construct takes the whole construct as the window.
    """
    spec, full = plan.input_spec, codes.shape[1] == plan.input_spec.length
    inside = not full or (span[0] >= len(spec.left) and span[1] <= spec.length - len(spec.right))
    if inside:
        return spec.with_margins(spec.variable_part(codes), reach), reach, spec.variable
    if reach:
        raise OptionError(
            f"start={span[0]}, end={span[1]} reach into the construct's flanks, which do not "
            "shift; use shifts=(0,) there"
        )
    return codes, 0, spec.length


def _offset(plan: Plan, codes: Codes, length: int) -> int:
    """Return where the window begins in the caller's coordinates."""
    spec = plan.input_spec
    return len(spec.left) if codes.shape[1] == spec.length and length != spec.length else 0


def _reducer(plan: Plan, reduce: str | Reduce | None) -> Reduce:
    if plan.positions is None:
        return lambda answer: answer
    if callable(reduce):
        return reduce
    if reduce == "sum":
        return lambda profile: profile.sum(-1)
    if reduce == "mean":
        return lambda profile: profile.mean(-1)
    raise OptionError(
        f"the model answers profiles of {plan.positions} positions and reduce={reduce!r}; expected "
        "'sum', 'mean' or a function of (..., positions)"
    )
