"""Edits of given sequences through plans: the journey that every analysis by edits shares."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import Codes
from fastseq.errors import LengthError, OptionError
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Engine, Plan, Precision
from fastseq.models.specs import OutputScale
from fastseq.run import views as viewed
from fastseq.run.precision import PrecisionReport, check_precision
from fastseq.run.views import Views
from fastseq.sequence.edits import Edits

# rows edited at once: 16 x 3 x 2,114 edits of one task are 0.4 MB of effects
BLOCK = 16

Reduce: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Running:
    """How edited sequences are run; the keyword arguments that all verbs share.

    Parameters
    ----------
    engine : {"auto", "incremental", "full"}
        "full" runs the whole model for each mutant, "incremental" carries differences through
        it; both are exact, and "auto" takes the faster. An edit that changes so much that it is
        faster in full runs in full under either, as an insertion or deletion far from the end.
    scale : {"output", "logit"}
        "logit" takes effects on the score before the activation.
    reduce : {"sum", "mean"} or callable, optional
        How a profile model's positions become one number, (..., positions) -> (...).
    task : int or str, optional
        The only answer to keep, of a model that gives several.
    strands, shifts, batch_size, device, precision, progress
        As for `fastseq.predict`.
    """

    engine: Engine | Literal["auto"] = "auto"
    scale: OutputScale = "output"
    reduce: Literal["sum", "mean"] | Reduce | None = None
    task: int | str | None = None
    strands: Literal["forward", "both"] = "forward"
    shifts: Sequence[int] = (0,)
    batch_size: int | None = None
    device: str | torch.device | None = None
    precision: Precision | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        if self.engine not in ("auto", "incremental", "full"):
            raise OptionError(f"engine={self.engine!r}; expected 'auto', 'incremental' or 'full'")


class Journey:
    """Plans, the window they see of given sequences, and the engine: once for a whole run.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    codes : uint8, (n, margin + length + margin)
        Sequences of the model's full or variable length, with `margin` more bases on both sides
        for deletions and shifts to draw in.
    edits : float
        About how many edits there will be for each base of the span.
    running : Running
    span : tuple of int, optional
        Which positions the edits touch, [start, end) in `codes`; by default the variable part.
    margin : int

    Attributes
    ----------
    plans : list of Plan
    tasks : tuple of str
    start, end : int
        The span.
    precision : PrecisionReport or None
        What a reduced precision cost in the first block.

    Raises
    ------
    LengthError, SequenceError, ModelError, OptionError
        As for `fastseq.predict`; the span leaves the sequence; a profile model has no ``reduce``.
    """

    def __init__(
        self,
        model: Runnable | Sequence[Runnable],
        codes: Codes,
        edits: float,
        running: Running,
        *,
        span: tuple[int | None, int | None] = (None, None),
        margin: int = 0,
    ) -> None:
        self.codes, self._scale, self._running = codes, running.scale, running
        given = codes.shape[1] - 2 * margin
        if margin < 0 or given < 1:
            raise LengthError(f"margin={margin} on both sides of {codes.shape[1]} bp")
        self._views = Views(running.strands, running.shifts)
        self._views.check_reach(given)
        mutants = int(edits * codes.size) * self._views.count
        self.plans: list[Plan] = lower_all(
            model, length=given, device=running.device, precision=running.precision,
            batch_size=running.batch_size,
            sequences=None if running.engine == "incremental" else mutants,
        )  # fmt: skip
        self._views.warn_untrained_strands(self.plans)
        self.tasks, self._kept = self.plans[0].target_spec.tasks, slice(None)
        if running.task is not None:
            number = task_number(self.plans[0], running.task)
            self.tasks, self._kept = (self.tasks[number],), slice(number, number + 1)
        self.start, self.end = self._span(*span, margin)
        self.engine: Engine = self._chosen(running.engine, int(edits * (self.end - self.start)))
        self._to_number = _reducer(self.plans[0], running.reduce)
        self._rows, self._left, self._length, self.moved = self._window(margin)
        self.precision: PrecisionReport | None = None
        self._checked = False

    def effects(
        self, block: slice, edits: Edits
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return reference answers (n, tasks) and effects (e, tasks) of edits of a block of rows.

        Parameters
        ----------
        block : slice
        edits : Edits
            Rows count from the block's first; positions are the caller's.
        """
        rows, placed = self._rows[block], edits.moved(self.moved)
        seen: dict[str, Any] = {"left": self._left, "length": self._length, "scale": self._scale}
        if not self._checked:
            self.precision = check_precision(
                self.plans, rows, placed, self._views, engine=self.engine, **seen
            )
            self._checked = True
        found = viewed.effects(self.plans, rows, placed, self._views, engine=self.engine, **seen)
        y_ref, deltas = found.y_ref[:, self._kept], found.deltas[:, self._kept]
        return self._to_number(y_ref), self._to_number(deltas)

    def about(self) -> dict[str, Any]:
        """Return the options that decide the effects, the chosen engine among them."""
        of = self._running
        return {
            "engine": self.engine, "scale": of.scale, "reduce": of.reduce, "strands": of.strands,
            "shifts": list(self._views.shifts),
        }  # fmt: skip

    def _chosen(self, engine: str, edits: int) -> Engine:
        """Return the engine of a run: one for all its sequences and models."""
        if engine == "auto":
            together = min(len(self.codes), BLOCK)
            pays = all(plan.incremental_pays(edits, together) for plan in self.plans)
            return "incremental" if pays else "full"
        return "incremental" if engine == "incremental" else "full"

    def _span(self, start: int | None, end: int | None, margin: int) -> tuple[int, int]:
        """Return the edited span in the caller's coordinates."""
        spec, found = self.plans[0].input_spec, self.codes.shape[1]
        spec.variable_part(self.codes[:, margin : found - margin])
        full = found - 2 * margin == spec.length
        first = margin + (len(spec.left) if full else 0) if start is None else start
        last = found - margin - (len(spec.right) if full else 0) if end is None else end
        for name, given in (("start", first), ("end", last)):
            if not isinstance(given, int | np.integer):
                raise OptionError(f"{name}={given!r}; expected a whole number of bp")
        if not 0 <= first < last <= found:
            raise OptionError(
                f"start={first}, end={last}; expected 0 <= start < end <= {found}, the length in bp"
            )
        return int(first), int(last)

    def _window(self, margin: int) -> tuple[Codes, int, int, int]:
        """Return reference rows, the window's begin and length, and the offset of positions.

        Windows are variable parts, so that shifts move inside the flanks; a span that reaches
        into the flanks of a construct takes the whole construct as the window.
        """
        spec, reach = self.plans[0].input_spec, self._views.reach
        given = self.codes.shape[1] - 2 * margin
        if margin:
            if reach > margin:
                raise OptionError(f"a shift by {reach} bp wants a margin as wide; found {margin}")
            return self.codes, margin, given, 0
        before, after = len(spec.left), spec.length - len(spec.right)
        if given != spec.length:
            return spec.with_margins(self.codes, reach), reach, spec.variable, reach
        if self.start >= before and self.end <= after:
            rows = spec.with_margins(spec.variable_part(self.codes), reach)
            return rows, reach, spec.variable, reach - before
        if reach:
            raise OptionError(
                f"start={self.start}, end={self.end} reach into the construct's flanks, which do "
                "not shift; use shifts=(0,) there"
            )
        return self.codes, 0, spec.length, 0


def _checked(reduce: Reduce, profile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a caller's function makes of profiles: a number for each."""
    found = np.asarray(reduce(profile), np.float32)
    if found.shape != profile.shape[:-1]:
        raise OptionError(
            f"reduce gave {found.shape} for profiles {profile.shape}; expected {profile.shape[:-1]}"
        )
    return found


def task_number(plan: Plan, task: int | str | None) -> int:
    """Return which of a model's answers is meant; the only one where none is named.

    Raises
    ------
    OptionError
        There is no such answer, or none is chosen of several.
    """
    tasks = plan.target_spec.tasks
    if task is None and len(tasks) == 1:
        return 0
    if isinstance(task, str):
        if task in tasks:
            return tasks.index(task)
    elif isinstance(task, Integral) and not isinstance(task, bool) and 0 <= task < len(tasks):
        return int(task)
    raise OptionError(f"task={task!r}; the model answers {', '.join(tasks)}: choose one")


def _reducer(plan: Plan, reduce: str | Reduce | None) -> Reduce:
    if not callable(reduce) and reduce not in (None, "sum", "mean"):
        raise OptionError(f"reduce={reduce!r}; expected 'sum', 'mean' or a function")
    if plan.positions is None:
        return lambda answer: answer
    if callable(reduce):
        return partial(_checked, reduce)
    if reduce == "sum":
        return lambda profile: profile.sum(-1)
    if reduce == "mean":
        return lambda profile: profile.mean(-1)
    raise OptionError(
        f"the model answers profiles of {plan.positions} positions and reduce={reduce!r}; expected "
        "'sum', 'mean' or a function of (..., positions)"
    )
