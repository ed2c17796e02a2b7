"""Effects of edits as differences carried through a lowered graph."""

import copy
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.fx.node import map_aggregate

from fastseq._native import cpu, delta
from fastseq.arrays import UNKNOWN, Codes
from fastseq.lower import chain as chains
from fastseq.lower import ops, spans
from fastseq.lower.bound import Bound, bound, operations_changed
from fastseq.lower.delta_native import NativeDeltas, refusals
from fastseq.lower.delta_torch import TorchDeltas
from fastseq.lower.references import Reference, References
from fastseq.lower.sites import Sites
from fastseq.threads import resolve, run

# a sequence of fewer edits has its reference computed together with others
EDITS_ALONE = 32
# widest map of references that run together, 2 MB, and how many at most
REFERENCE_FLOATS, MOST_REFERENCES = 1 << 19, 64
# mutants that run in full at once behind a wall, always this many
BEHIND_WALL = 64
# what a profile's differences may take at once: 64 MB
MOST_FLOATS = 1 << 24
# `resolve` thinks in bytes, of which a core moves about as many a second as this many operations
OPERATIONS = 64
# speed over PyTorch's on full maps: of differences, three at a site, or alone and wide, where rows
# have fewer zeros in common; and how much bfloat16 adds to it and to full maps by direct sums; of
# full maps by Winograd's products and by the other native convolutions; what a reference, kept
# open, takes beside a pass by direct sums
NATIVE_RATE, WIDE_RATE, TORCH_RATE, NARROW = 1.6, 0.7, 0.5, 1.6
FEWER_PRODUCTS, DIRECT, OPEN = 2.1, 1.25, 1.6
NATIVE_STEP, TORCH_STEP, EDIT_OPERATIONS = 5e6, 12e6, 6e4
# a reference, kept open for a few wide edits, takes as long as some 20 passes: what they save
WORTH_WHILE = 0.5
# what double precision behind a wall costs
DOUBLE = 2
# said of the edits that a plan runs in full
MOVED = "; what moves behind an insertion or a deletion is changed too"


class Cost(NamedTuple):
    """Operations of one sequence and its edits, at the speed of a full forward pass."""

    full: float
    incremental: float

    @property
    def gain(self) -> float:
        """How many times faster the incremental engine should be."""
        return self.full / self.incremental


class DeltaEngine:
    """A lowered graph over edits, each the bases it changes and what they become.

    The reference runs once a sequence, together with those of other sequences of few edits. An
    edit carries its difference through linear layers, and
    a non-linear layer answers act(z + d) - act(z) around the cached z, so an effect is never the
    difference of two outputs and an edit that changes nothing has effect 0. Behind a wall, an
    operator that no difference passes, mutants run in full from the activations at the wall, in
    double precision.

    Parameters
    ----------
    graph : fx.GraphModule
        Calls of `fastseq.lower.ops`, or of PyTorch; one placeholder (n, channels, length).
    table : float32, (5, channels)
        The model's input channels at each code.
    precision : {"float32", "bfloat16"}
        Of differences; sums and references are float32 in either. What PyTorch carries, or a
        processor that multiplies no bfloat16, stays in float32.
    threads : int, optional
        Sequences run at once; by the size of the job where not given.
    native : bool
        Whether native code may run; if not, PyTorch does.

    Attributes
    ----------
    reasons : list of str
        Why the graph gains nothing from this engine; empty where it can run.
    walls : list of str
        Where mutants begin to run in full, and why.
    slow : list of str
        Why PyTorch carries the differences; empty where native code does.
    wide : list of str
        Why differences are float32 although bfloat16 was asked for.
    shape : tuple of int
        Of one answer.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        table: Tensor,
        *,
        precision: str = "float32",
        threads: int | None = None,
        native: bool = True,
    ) -> None:
        self._graph = graph
        self.chain = chains.read(graph)
        self.table = table
        self.threads = threads
        self.walls = self.chain.walls
        read = not self.chain.bare.isdisjoint(self.chain.outputs)
        self.reasons = self.walls if read else []
        (answer,) = next(iter(reversed(graph.graph.nodes))).args
        self.shape: tuple[int, ...] = tuple(answer.meta["shape"])
        self.slow = refusals(self.chain) if native else ["native code was not wanted"]
        self.precision = precision
        self.wide = self._too_wide()
        self._references = References(self.chain, table, native_layers=native)
        self._deltas = TorchDeltas(self.chain, table) if self.slow else NativeDeltas(
            self.chain, table, narrow=self._is_narrow
        )  # fmt: skip

    def _too_wide(self) -> list[str]:
        if self.precision == "float32" or self.slow:
            return self.slow if self.precision != "float32" else []
        return [] if delta.has_bfloat16() else ["the processor multiplies no bfloat16"]

    @property
    def _is_narrow(self) -> bool:
        return self.precision != "float32" and not self.wide

    def effects(
        self,
        codes: Codes,
        row: NDArray[np.int64],
        start: NDArray[np.int64],
        inserted: Codes,
        offsets: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the graph's answer on each sequence, and what each edit changes.

        Parameters
        ----------
        codes : uint8, (n, length)
        row, start : int64, (e,)
            Edit e replaces ``codes[row, start : start + bases]``.
        inserted : uint8, (total,)
        offsets : int64, (e + 1,)
            Edit e puts ``inserted[offsets[e]:offsets[e + 1]]`` there.

        Returns
        -------
        raw_ref : float32, (n, ...)
        raw_deltas : float32, (e, ...)

        Notes
        -----
        No bit of an answer depends on other sequences, the order of edits or threads. Edits that
        change the same bases to the same ones are one, whatever they put back beside them. In
        native code no bit depends on what else changes at a site; PyTorch's products may round the
        last one another way. Where an activation is a curve, the reference of a sequence of many
        edits may too.
        """
        answers = np.empty((len(codes), *self.shape), np.float32)
        deltas = np.zeros((len(row), *self.shape), np.float32)
        found = spans.changed(codes, row, start, inserted, offsets)
        together = self._batches(len(codes), found.row)
        rank = np.argsort(np.concatenate([rows for rows, _ in together])) if together else found.row
        once, twins, originals = spans.distinct(found, inserted, rank)
        batches = list(self._with_sites(together, once, codes, inserted))
        count = resolve(self.threads, int(len(row) * self.bound.delta) // OPERATIONS)
        # whole sequences are the larger share of work, but a few have only their sites to share
        across, within = (count, 1) if len(batches) >= 2 * count else (1, count)

        def some(first: int, last: int) -> None:
            with torch.inference_mode():
                for rows, size, groups in batches[first:last]:
                    ref = self._reference(codes[rows], size)
                    answer = self._answer(ref)
                    answers[rows] = answer[: len(rows)].numpy()
                    prepared = self._deltas.prepare(ref) if groups else None
                    for group in groups:
                        for part, effect in self._effects(ref, answer, prepared, group, within):
                            deltas[part.edit.ravel()] = effect.numpy()

        run(some, len(batches), across)
        deltas[twins] = deltas[originals]
        return answers, deltas

    def _reference(self, codes: Codes, size: int) -> Reference:
        """Return what sequences give, the same bits in a batch of that size and in any other."""
        if self._references.by_row and not self.slow:
            return self._references(codes, self._together)
        return self._references(_filled(codes, size), size)

    def _batches(
        self, sequences: int, row: NDArray[np.int64]
    ) -> list[tuple[NDArray[np.int64], int]]:
        """Return rows whose references run together, and in batches of what size.

        A sequence of many edits runs alone: its reference is a small part of its work.
        """
        few = np.bincount(row, minlength=sequences) < EDITS_ALONE
        shared = np.flatnonzero(few)
        cuts = range(self._together, len(shared), self._together)
        batches = [(rows, self._together) for rows in np.split(shared, cuts) if len(rows)]
        return [*batches, *((rows, 1) for rows in np.flatnonzero(~few)[:, None])]

    @staticmethod
    def _with_sites(
        batches: list[tuple[NDArray[np.int64], int]],
        ordered: spans.Spans,
        codes: Codes,
        inserted: Codes,
    ) -> Iterator[tuple[NDArray[np.int64], int, list[Sites]]]:
        """Yield every batch of rows with its size and the sites of its edits."""
        batch, place = np.empty((2, len(codes)), np.int64)
        for number, (rows, _) in enumerate(batches):
            batch[rows], place[rows] = number, np.arange(len(rows))
        cuts = np.searchsorted(batch[ordered.row], np.arange(len(batches) + 1))
        for (rows, size), (first, last) in zip(batches, pairwise(cuts.tolist())):
            mine = ordered.take(slice(first, last))
            yield rows, size, list(spans.sites(mine, codes, inserted, place))

    @cached_property
    def _together(self) -> int:
        """Sequences of few edits whose references run together: what fits the cache."""
        widest = max(prod(shape) for shape in self.chain.shapes)
        fitting = 1 << max(REFERENCE_FLOATS // max(1, widest), 1).bit_length() - 1
        return min(fitting, MOST_REFERENCES)

    def _answer(self, ref: Reference) -> Tensor:
        values = [ref.values[i] for i in self.chain.outputs]
        return values[0] if self.chain.suffix is None else self._suffix(values)

    @cached_property
    def _behind(self) -> fx.GraphModule:
        """The rest of the graph in double precision: an effect is the difference of two answers."""
        wide = copy.deepcopy(self.chain.suffix).double()  # type: ignore[union-attr]
        for node in wide.graph.nodes:
            node.args, node.kwargs = (
                map_aggregate(given, lambda x: torch.float64 if x is torch.float32 else x)
                for given in (node.args, node.kwargs)
            )
        wide.recompile()
        return wide

    def _suffix(self, values: list[Tensor]) -> Tensor:
        """Run the rest of the graph on a batch of fixed size, so that neighbours change no bit."""
        count = len(values[0])
        padded = [v.new_zeros(BEHIND_WALL, *v.shape[1:], dtype=torch.float64) for v in values]
        for whole, v in zip(padded, values):
            whole[:count] = v
        return self._behind(*padded)[:count]

    def _effects(
        self, ref: Reference, answer: Tensor, prepared: Any, sites: Sites, threads: int
    ) -> Iterator[tuple[Sites, Tensor]]:
        size = max(1, self._at_once // sites.inserted.shape[1])
        for first in range(0, len(sites.start), size):
            part = sites[first : first + size]
            changes = self._deltas(prepared, part, threads=threads)
            if self.chain.suffix is None:
                yield part, changes[0]
                continue
            rows = part.rows
            values = [ref.values[i] for i in self.chain.outputs]
            mutants = [value[rows].double() + change for value, change in zip(values, changes)]
            yield part, self._suffix(mutants) - answer[rows]

    @cached_property
    def _at_once(self) -> int:
        """Mutants whose outputs are held at once: a batch behind a wall, else by memory."""
        if self.chain.suffix is not None:
            return BEHIND_WALL
        widest = max(prod(self.chain.shapes[i]) for i in self.chain.outputs)
        return MOST_FLOATS // max(1, widest)

    @cached_property
    def bound(self) -> Bound:
        """What a forward pass and an edit cost at least, in operations."""
        return bound(self._graph, self.chain, self.table)

    def cost(
        self, edits: float, sequences: float = inf, span: tuple[int, int] | None = None
    ) -> Cost:
        """Return what one sequence with so many edits costs, in full and here.

        Parameters
        ----------
        edits : float
            Edits of a sequence, on average.
        sequences : float
            Sequences of one call, which share the price of a step where their edits are few.
        span : tuple of int, optional
            Bases [start, end) that each edit changes; one of them on average where not given.

        Notes
        -----
        The unit is an operation at the speed of PyTorch. The rates and the price of a step were
        measured on the residual, DeepSTARR-like and BPNet networks of
        ``benchmarks/lower/bench_incremental.py``.
        """
        together = min(self._together, sequences) if edits < EDITS_ALONE else 1
        reference = OPEN * self.bound.full / (DIRECT if self._references.is_native else 1)
        step = TORCH_STEP if self.slow else NATIVE_STEP
        once = reference + step * len(self.chain.steps) / together
        if span:
            (each,) = np.minimum(self._wide_cost(*np.array(span)[:, None]), self._forward_cost)
        else:
            each = self._edit_cost(self.bound.delta - self.bound.suffix, NATIVE_RATE)
        return Cost((edits + 1) * self._forward_cost, once + edits * each)

    def pays(self, start: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which edits cost clearly less as differences than their sequences do in full.

        Parameters
        ----------
        start, size : int64, (e,)
            What each changes. One base always pays: whether differences run at all says `cost`.

        Returns
        -------
        bool, (e,)
        """
        pays = size <= 1
        wide = np.flatnonzero(~pays)
        cost = self._wide_cost(start[wide], start[wide] + size[wide])
        pays[wide] = cost < WORTH_WHILE * self._forward_cost
        return pays

    def _wide_cost(self, start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what edits cost that change bases [start, end)."""
        return self._edit_cost(operations_changed(self.chain, start, end), WIDE_RATE)

    def _edit_cost(self, changed: Any, rate: float) -> Any:
        """Return what edits cost that change so many operations of the chain."""
        rate = TORCH_RATE if self.slow else rate * (NARROW if self._is_narrow else 1)
        return changed / rate + DOUBLE * self.bound.suffix + EDIT_OPERATIONS

    @cached_property
    def _forward_cost(self) -> float:
        """Operations of a forward pass as the plan runs it, at the speed of PyTorch."""
        if not self._references.is_native:
            return self.bound.full
        fewer = sum(
            2 * step.arguments["weight"].numel() * step.shape[1]
            for step in self.chain.steps
            if step.function is ops.conv
            and step.stride == step.dilation == step.arguments["groups"] == 1
            and step.inputs != (0,)
        )
        return fewer / FEWER_PRODUCTS + max(0, self.bound.full - fewer) / DIRECT

    def explain(self, edits: int) -> list[str]:
        """Return how so many edits of a sequence run, what they can win at most, and why.

        Parameters
        ----------
        edits : int
            Edits of a sequence; 3 x length for a saturation mutagenesis.
        """
        by = f"PyTorch ({self.slow[0]})" if self.slow else f"native code ({cpu.current()})"
        return [
            *self.bound.explain(edits, self.cost(edits).gain),
            f"differences are {'bfloat16' if self._is_narrow else 'float32'}, carried by {by}",
            *(f"not bfloat16: {reason}" for reason in self.wide),
            f"an edit that changes so much that its sequence is faster in full runs in full{MOVED}",
            *self.walls,
        ]


def _filled(codes: Codes, size: int) -> Codes:
    """Return a batch of fixed size, so that neighbours change no bit of an answer."""
    short = size - len(codes)
    return np.pad(codes, ((0, short), (0, 0)), constant_values=UNKNOWN) if short else codes
