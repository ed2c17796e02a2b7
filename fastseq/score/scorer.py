"""Blocks of variants to tables of scores: windows, haplotypes as edits, effects, columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.io.fasta import Genome
from fastseq.lower.plan import Plan
from fastseq.models.specs import OutputScale
from fastseq.run import views as viewed
from fastseq.run.views import Views
from fastseq.sequence import alleles
from fastseq.sequence.alleles import (
    CODE,
    FLAGS,
    OK,
    STATUS,
    Alleles,
    MismatchPolicy,
    Variants,
    gather,
)

if TYPE_CHECKING:
    import pyarrow as pa

# bytes of reference rows held at once
ROWS_BYTES = 32 << 20


@dataclass(frozen=True, eq=False)
class Scorer:
    """Everything that turns a block of variants into a table of scores.

    Parameters
    ----------
    plans : sequence of Plan
        One, or an ensemble.
    genome : Genome
    views : Views
    length : int
        Window length in bp: the model's variable part, or its full input.
    anchor : int
        Where the anchored base stands in the window, 0-based.
    normalize : bool
    on_ref_mismatch : {"skip", "swap", "force", "error"}
    scale : {"output", "logit"}
    pseudocount : float
    reduce : {"sum", "mean"}, optional
        How a profile becomes one number.
    """

    plans: Sequence[Plan]
    genome: Genome
    views: Views
    length: int
    anchor: int
    normalize: bool = True
    on_ref_mismatch: MismatchPolicy = "skip"
    scale: OutputScale = "output"
    pseudocount: float = 1.0
    reduce: Literal["sum", "mean"] | None = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the scores."""
        return self.plans[0].target_spec.tasks

    def score(self, block: Variants, places: NDArray[np.int32]) -> "pa.Table":
        """Return the table of a block: one row per allele, in its order."""
        found = self.resolve(block, places)
        shape = (len(block), len(self.tasks))
        y_ref, diff, sd = (np.full(shape, np.nan, np.float32) for _ in range(3))
        ok = np.flatnonzero(found.status == OK)
        step = max(1024, ROWS_BYTES // (2 * self.length + 2 * self.views.reach))
        for at in range(0, len(ok), step):
            rows = ok[at : at + step]
            y_ref[rows], diff[rows], sd[rows] = self._effects(block, found, rows)
        return self._table(block, found, y_ref, diff, sd)

    def resolve(self, block: Variants, places: NDArray[np.int32]) -> Alleles:
        """Return the outcome of each allele, with the flags of its window."""
        found = alleles.resolve(
            block,
            self.genome,
            contigs=places,
            normalize=self.normalize,
            on_ref_mismatch=self.on_ref_mismatch,
        )
        ok = np.flatnonzero(found.status == OK)
        # a deletion draws in bases from behind the window
        drawn = np.maximum(-found.growth[ok], 0)
        start = found.anchor[ok] - self.anchor
        found.flags[ok] |= self.genome.marks(found.contig[ok], start, self.length + drawn)
        return found

    def reference_rows(
        self, block: Variants, found: Alleles, rows: NDArray[np.int64]
    ) -> tuple[Codes, alleles.Edits, NDArray[np.int64]]:
        """Return the distinct reference rows of some alleles, their edits, and the edits' order.

        Parameters
        ----------
        block : Variants
        found : Alleles
        rows : int64, (e,)
            The alleles; all are OK.

        Returns
        -------
        codes : uint8, (n, reach + length + reach + margin)
            The window begins ``views.reach`` bases into a row.
        edits : Edits
            Sorted by row.
        order : int64, (e,)
            Edit i belongs to allele ``rows[order[i]]``.
        """
        reach = self.views.reach
        margin = int(min(max(-found.growth[rows].min(), 0), self.length))
        row_length = self.length + 2 * reach + margin
        origin = found.anchor[rows] - self.anchor - reach
        key = self.genome.offsets[found.contig[rows]] + found.anchor[rows]
        # a reference row that carries the file's own bases is its allele's alone
        patched = found.patched[rows]
        key[patched] = -1 - np.flatnonzero(patched)
        _, first, row = np.unique(key, return_index=True, return_inverse=True)
        codes = self.genome.windows(found.contig[rows[first]], origin[first], row_length)
        for at in np.flatnonzero(patched[first]).tolist():
            allele = rows[first[at]]
            begin, end = block.ref[allele]
            place = block.pos[allele] - 1 - origin[first[at]]
            text = CODE[block.text[begin:end]][max(-place, 0) :]
            place = max(place, 0)
            codes[at, place : place + len(text)] = text[: max(row_length - place, 0)]
        order = np.argsort(row, kind="stable")
        edits = alleles.edits(
            found,
            rows[order],
            self.genome,
            row=row[order],
            origin=origin[order],
            row_length=row_length,
            margin=margin,
        )
        return codes, edits, order

    def _effects(
        self, block: Variants, found: Alleles, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return y_ref, diff and sd of some alleles, each float32 (e, tasks)."""
        codes, edits, order = self.reference_rows(block, found, rows)
        seen = viewed.effects(
            self.plans,
            codes,
            edits,
            self.views,
            left=self.views.reach,
            length=self.length,
            scale=self.scale,
        )
        answers = seen.y_ref, seen.deltas, seen.sd
        y_ref, deltas, sd = (_reduced(answer, self.reduce) for answer in answers)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        y_ref, deltas, sd = y_ref[edits.row[back]], deltas[back], sd[back]
        # where the genome holds ALT, the edit made REF of it
        swapped = found.swapped[rows]
        y_ref[swapped] += deltas[swapped]
        deltas[swapped] *= -1
        return y_ref, deltas, sd

    def _table(
        self,
        block: Variants,
        found: Alleles,
        y_ref: NDArray[np.float32],
        diff: NDArray[np.float32],
        sd: NDArray[np.float32],
    ) -> "pa.Table":
        pa = load("pyarrow")
        columns = variant_columns(block, found)
        scale = "logit" if self.scale == "logit" else self.plans[0].target_spec.scale
        fold = log2_fold_change(y_ref, diff, scale, self.pseudocount)
        scores = {"y_ref": y_ref, "y_alt": y_ref + diff, "diff": diff, "log2fc": fold}
        if len(self.views.shifts) > 1 or self.views.strands == "both" or len(self.plans) > 1:
            scores["sd"] = sd
        for name, values in scores.items():
            for at, task in enumerate(self.tasks):
                column = name if len(self.tasks) == 1 else f"{name}_{task}"
                columns[column] = pa.array(np.ascontiguousarray(values[:, at]))
        return pa.table(columns)


def variant_columns(block: Variants, found: Alleles) -> "dict[str, pa.Array]":
    """Return the columns that say which allele a row is and what became of it."""
    pa = load("pyarrow")
    ok = found.status == OK
    spans = found.text_offsets[:-1].reshape(-1, 2), found.text_offsets[1:].reshape(-1, 2)
    norm_ref, norm_alt = (
        _strings(*gather(found.texts, np.stack([spans[0][:, at], spans[1][:, at]], 1)), ok)
        for at in range(2)
    )
    flags = [
        ",".join(name for bit, name in enumerate(FLAGS) if value >> bit & 1)
        for value in range(1 << len(FLAGS))
    ]
    return {
        "chrom": pa.array(block.contigs, pa.string()).take(pa.array(block.chrom)),
        "pos": pa.array(block.pos),
        "id": _strings(*gather(block.text, block.id)),
        "ref": _strings(*gather(block.text, block.ref)),
        "alt": _strings(*gather(block.text, block.alt)),
        "norm_pos": pa.array(found.anchor + 1, mask=~ok),
        "norm_ref": norm_ref,
        "norm_alt": norm_alt,
        "status": pa.array(STATUS).take(pa.array(found.status)),
        "flags": pa.array(flags).take(pa.array(found.flags)),
    }


def _strings(
    data: NDArray[np.uint8], offsets: NDArray[np.int32], valid: NDArray[np.bool_] | None = None
) -> "pa.Array":
    """Return a string column of texts that lie one after the other; invalid UTF-8 becomes '?'."""
    pa = load("pyarrow")
    if (data > 127).any():
        try:
            data.tobytes().decode()
        except UnicodeDecodeError:
            data = np.where(data > 127, np.uint8(ord("?")), data)
    mask = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.StringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data), mask
    )


def log2_fold_change(
    y_ref: NDArray[np.float32], diff: NDArray[np.float32], scale: str, pseudocount: float = 1.0
) -> NDArray[np.float32]:
    """Return log2 of ALT over REF, as the scale of the numbers allows.

    Parameters
    ----------
    y_ref, diff : float32, same shape
    scale : str
        linear and counts: ``log2((alt + c) / (ref + c))``; log2: the difference; ln: the
        difference over ln 2; logit and bin: NaN, since no ratio can be formed of them.
    pseudocount : float
        c.

    Returns
    -------
    float32, same shape
        NaN also where a sum with the pseudo-count is not positive.
    """
    if scale == "log2":
        return diff.copy()
    if scale == "ln":
        return (diff / np.log(2)).astype(np.float32)
    if scale not in ("linear", "counts"):
        return np.full_like(diff, np.nan)
    below = y_ref.astype(np.float64) + pseudocount
    with np.errstate(divide="ignore", invalid="ignore"):
        # log1p keeps the digits of small effects
        fold = np.log1p(diff / below) / np.log(2)
    fold[~((below > 0) & (below + diff > 0))] = np.nan
    return fold.astype(np.float32)


def _reduced(answer: NDArray[np.float32], reduce: str | None) -> NDArray[np.float32]:
    if answer.ndim == 2:
        return answer
    return answer.sum(-1) if reduce == "sum" else answer.mean(-1)
