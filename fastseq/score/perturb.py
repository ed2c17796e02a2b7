"""What any edits do to a model's answer: one row for every edit."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import OptionError
from fastseq.lower.ensemble import Runnable
from fastseq.run.precision import PrecisionReport
from fastseq.run.stream import blocks
from fastseq.score.journey import BLOCK, Journey, Running
from fastseq.score.predict import as_rows
from fastseq.sequence.edits import Edits, check_inside
from fastseq.sequence.encode import decode
from fastseq.sequence.scans import read_source


@dataclass(frozen=True, eq=False)
class Perturbations:
    """Effects of a table of edits.

    Attributes
    ----------
    codes : uint8, (n, length)
        The sequences as given.
    edits : Edits
        Positions as the caller counts them.
    tasks : tuple of str
    y_ref : float32, (n, tasks)
    effect : float32, (e, tasks)
        y_alt - y_ref of each edit, carried as deltas where the edit keeps the length.
    precision : PrecisionReport or None
        What a reduced precision cost, on a sample; None in float32.
    """

    codes: Codes
    edits: Edits
    tasks: tuple[str, ...]
    y_ref: NDArray[np.float32]
    effect: NDArray[np.float32]
    precision: PrecisionReport | None = None

    @property
    def y_alt(self) -> NDArray[np.float32]:
        """Answers of the edited sequences, float32, (e, tasks)."""
        return self.y_ref[self.edits.row] + self.effect

    def columns(self) -> dict[str, Any]:
        """Return a table: row, pos (0-based), ref and alt as text, and the effects by task."""
        edits, text = self.edits, decode(self.codes)
        ends = edits.start + edits.removed
        removed = zip(edits.row.tolist(), edits.start.tolist(), ends.tolist())
        inserted = decode(edits.inserted[None])[0] if len(edits.inserted) else ""
        table = {
            "row": edits.row,
            "pos": edits.start,
            "ref": [text[row][start:end] for row, start, end in removed],
            "alt": [inserted[a:b] for a, b in pairwise(edits.offsets.tolist())],
        }
        suffixes = [""] if len(self.tasks) == 1 else [f"_{task}" for task in self.tasks]
        return table | {f"effect{end}": self.effect[:, i] for i, end in enumerate(suffixes)}


def perturb(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    edits: Edits | str,
    *,
    start: int | None = None,
    end: int | None = None,
    margin: int = 0,
    **options: Any,
) -> Perturbations:
    """Return the effect of every edit of a table.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length: the model's full or variable length, and ``margin`` on both sides.
    edits : Edits or str
        A table in the coordinates of ``seqs``, or the same edits of every sequence:
        ``"substitutions"``, ``"deletions:3"`` (each 3 bp), ``"insertions:GATA,TATA"`` (before each
        base), ``"motifs:TGACTCA"`` (over the bases at each position), ``"ablations:10"`` (each 10
        bp unknown), ``"shuffles:20x5"`` (each 20 bp, 5 dinucleotide shuffles).
    start, end : int, optional
        Span for edits given as a word; by default the variable part.
    margin : int
        Bases on both sides beyond the model's window, which deletions and shifts draw in. Without
        them unknown bases come in.
    **options
        ``engine``, ``scale``, ``reduce``, ``strands``, ``shifts``, ``batch_size``, ``device``,
        ``precision``, ``progress``, as for `fastseq.saturation_mutagenesis`.

    Returns
    -------
    Perturbations

    Raises
    ------
    LengthError, SequenceError, ModelError, PrecisionError
        As for `fastseq.saturation_mutagenesis`.
    OptionError
        An edit reaches outside its row; the word names no edits, or they do not fit the span.

    Notes
    -----
    Bases before an edit stay where they are, those behind it move with its growth.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> perturb(head, "ACGT", "deletions:2").columns()["ref"]
    ['AC', 'CG', 'GT']
    """
    codes, running = as_rows(seqs), Running(**options)
    if isinstance(edits, Edits):
        check_inside(edits, *codes.shape)
        ends = edits.start + np.maximum(edits.removed, 1)
        touched, last = (start, end), codes.shape[1]
        if len(edits):  # an insertion may stand behind the last base
            touched = min(int(edits.start.min()), last - 1), int(min(ends.max(), last))
        each = len(edits) / max(1, codes.size)
        journey = Journey(model, codes, each, running, span=touched, margin=margin)
        y_ref, effect = journey.effects(slice(None), edits)
        return Perturbations(codes, edits, journey.tasks, y_ref, effect, journey.precision)
    if not isinstance(edits, str):
        raise OptionError(f"edits is a {type(edits).__name__}; expected a word or Edits")
    if start is not None and not isinstance(start, Integral):
        raise OptionError(f"start={start!r}; expected a whole number of bp")
    first = read_source(edits, codes[:1], start=start or 0, end=end)
    each = len(first) / codes.shape[1]
    journey = Journey(model, codes, each, running, span=(start, end), margin=margin)
    y_ref = np.empty((len(codes), len(journey.tasks)), np.float32)
    tables, effects = [first[:0]], [y_ref[:0]]
    for block in blocks(len(codes), BLOCK, progress=running.progress, label="edit"):
        table = read_source(
            edits, codes[block], start=journey.start, end=journey.end, row_offset=block.start
        )
        y_ref[block], deltas = journey.effects(block, table)
        tables.append(table.moved(rows=block.start))
        effects.append(deltas)
    return Perturbations(
        codes, Edits.concatenate(tables), journey.tasks, y_ref, np.concatenate(effects),
        journey.precision,
    )  # fmt: skip
