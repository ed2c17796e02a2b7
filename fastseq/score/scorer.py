"""Blocks of variants to tables of scores: windows, haplotypes as edits, effects, columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.io.fasta import Genome
from fastseq.lower.plan import Engine, Plan
from fastseq.models.specs import OutputScale
from fastseq.run import views as viewed
from fastseq.run.precision import check_precision
from fastseq.run.views import Views
from fastseq.score.columns import variant_columns
from fastseq.score.effects import (
    active_quantile,
    empirical_p_values,
    jensen_shannon,
    log2_fold_change,
    shares,
)
from fastseq.sequence import alleles
from fastseq.sequence.alleles import CODE, OK, Alleles, MismatchPolicy, Variants

if TYPE_CHECKING:
    import pyarrow as pa

# bytes of reference rows held at once, and alleles
ROWS_BYTES, ALLELES = 32 << 20, 8192
# alleles of the first block from which a reduced precision is judged
PRECISION_SAMPLE = 4096


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
        How a profile becomes one number; None where the model answers numbers.
    indel : {"left", "compensate"}
        Whether an indel moves what is behind it, or both flanks in turn, averaged.
    null : float32, (n, tasks), optional
        Effects of background variants, against which p-values are counted.
    active : float32, (n, tasks), optional
        Answers for active sequences, among which the more active allele is ranked.
    engine, indel_engine : {"full", "incremental"}
        One for the whole run, so that the same SNV has the same bits wherever it comes from, and
        one for all alleles that change the length, which move half a window.
    tile : int
        How many neighbouring bases share one window, which stands over the middle one; 1 gives
        each its own.
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
    indel: Literal["left", "compensate"] = "left"
    null: NDArray[np.float32] | None = None
    active: NDArray[np.float32] | None = None
    engine: Engine = "full"
    indel_engine: Engine = "full"
    tile: int = 1

    def centre(self, anchor: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the base under `anchor` in the window of each anchored base, int64, (v,)."""
        return anchor if self.tile == 1 else anchor // self.tile * self.tile + self.tile // 2

    @property
    def several(self) -> bool:
        """Whether a score is an average, so that its spread says something."""
        views = len(self.views.shifts) * len(self.plans) > 1 or self.views.strands == "both"
        return views or self.indel == "compensate"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the scores."""
        return self.plans[0].target_spec.tasks

    def score(self, block: Variants, places: NDArray[np.int32]) -> "pa.Table":
        """Return the table of a block: one row per allele, in its order."""
        found = self.resolve(block, places)
        names = ["y_ref", "diff", "sd"] + (["jsd", "l2"] if self.reduce else [])
        shape = (len(block), len(self.tasks))
        scores = {name: np.full(shape, np.nan, np.float32) for name in names}
        ok = np.flatnonzero(found.status == OK)
        step = max(1024, min(ALLELES, ROWS_BYTES // (2 * self.length + 2 * self.views.reach)))
        # apart, so that a row's last bits do not depend on its company
        keeps = found.growth[ok] == 0
        engines: tuple[Engine, Engine] = self.engine, self.indel_engine
        for kind, engine in zip((ok[keeps], ok[~keeps]), engines):
            for at in range(0, len(kind), step):
                rows = kind[at : at + step]
                for name, values in zip(names, self._effects(block, found, rows, engine)):
                    scores[name][rows] = values
        return self._table(block, found, scores)

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
        start = self.centre(found.anchor[ok]) - self.anchor
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
        centre = self.centre(found.anchor[rows])
        origin = centre - self.anchor - reach
        key = self.genome.offsets[found.contig[rows]] + centre
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
        self, block: Variants, found: Alleles, rows: NDArray[np.int64], engine: Engine
    ) -> list[NDArray[np.float32]]:
        """Return y_ref, diff, sd, and for profiles jsd and l2, of some alleles, (e, tasks)."""
        codes, edits, order = self.reference_rows(block, found, rows)
        seen = self._seen(codes, edits, engine)
        back = np.empty(len(order), np.int64)
        back[order] = np.arange(len(order))
        y_ref, deltas, sd = seen.y_ref[edits.row[back]], seen.deltas[back], seen.sd[back]
        if self.indel == "compensate":
            self._compensate(codes, found, rows, edits.row[back], deltas, sd)
        # where the genome holds ALT, the edit made REF of it
        swapped = found.swapped[rows]
        y_ref[swapped] += deltas[swapped]
        deltas[swapped] *= -1
        if not self.reduce:
            return [y_ref, deltas, sd]
        scale = "logit" if self.scale == "logit" else self.plans[0].target_spec.scale
        apart = jensen_shannon(shares(y_ref, scale), shares(y_ref + deltas, scale))
        reduced = [getattr(part, self.reduce)(-1) for part in (y_ref, deltas, sd)]
        distance = np.sqrt(np.square(deltas).sum(-1))
        return [*reduced, apart.astype(np.float32), distance]

    def effects_of(self, codes: Codes, edits: alleles.Edits) -> NDArray[np.float32]:
        """Return the effects of edits on rows of their own, float32 (e, tasks)."""
        deltas = self._seen(codes, edits, self.engine).deltas
        return getattr(deltas, self.reduce)(-1) if self.reduce else deltas

    def _compensate(
        self,
        codes: Codes,
        found: Alleles,
        rows: NDArray[np.int64],
        row: NDArray[np.int64],
        deltas: NDArray[np.float32],
        sd: NDArray[np.float32],
    ) -> None:
        """Average indels, in place, over both alignments: the left flank stays, the right stays."""
        indels = np.flatnonzero(found.growth[rows] != 0)
        if not len(indels):
            return
        chosen = rows[indels]
        origin = self.centre(found.anchor[chosen]) - self.anchor - self.views.reach
        order = np.argsort(row[indels], kind="stable")
        edits = alleles.right_edits(
            found, chosen[order], self.genome, row=row[indels][order], origin=origin[order],
            row_length=codes.shape[1],
        )  # fmt: skip
        seen = self._seen(codes, edits, self.indel_engine)
        indels = indels[order]
        apart = (deltas[indels] - seen.deltas) / 2
        deltas[indels] -= apart
        sd[indels] = np.sqrt((sd[indels] ** 2 + seen.sd**2) / 2 + apart**2)

    def _seen(self, codes: Codes, edits: alleles.Edits, engine: Engine) -> viewed.ViewedEffects:
        return viewed.effects(
            self.plans,
            codes,
            edits,
            self.views,
            left=self.views.reach,
            length=self.length,
            scale=self.scale,
            engine=engine,
        )

    def check_precision(self, block: Variants, places: NDArray[np.int32]) -> bool:
        """Compare a reduced precision with float32 on a block; return whether it held any allele.

        Raises
        ------
        PrecisionError
            The precision loses the effects.
        """
        found = self.resolve(block, places)
        ok = np.flatnonzero(found.status == OK)[:PRECISION_SAMPLE]
        if not len(ok):
            return False
        codes, edits, _ = self.reference_rows(block, found, ok)
        check_precision(
            self.plans,
            codes,
            edits,
            self.views,
            left=self.views.reach,
            length=self.length,
            scale=self.scale,
            engine=self.engine,
        )
        return True

    def _table(
        self, block: Variants, found: Alleles, scores: dict[str, NDArray[np.float32]]
    ) -> "pa.Table":
        pa = load("pyarrow")
        columns = variant_columns(block, found)
        scale = "logit" if self.scale == "logit" else self.plans[0].target_spec.scale
        y_ref, diff, sd = (scores.pop(name) for name in ("y_ref", "diff", "sd"))
        fold = log2_fold_change(y_ref, diff, scale, self.pseudocount)
        table = {"y_ref": y_ref, "y_alt": y_ref + diff, "diff": diff, "log2fc": fold}
        if self.several:
            table["sd"] = sd
        if self.null is not None:
            pairs = zip(diff.T, self.null.T)
            table["p_value"] = np.stack([empirical_p_values(*pair) for pair in pairs], 1)
        if self.active is not None:
            parts = zip(y_ref.T, table["y_alt"].T, self.active.T)
            table["active_quantile"] = np.stack([active_quantile(*part) for part in parts], 1)
        for name, values in {**table, **scores}.items():
            for at, task in enumerate(self.tasks):
                column = name if len(self.tasks) == 1 else f"{name}_{task}"
                columns[column] = pa.array(np.ascontiguousarray(values[:, at]))
        return pa.table(columns)
