"""What any edits do to a model's answer: one row for every edit."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from os import PathLike
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import OptionError
from fastseq.io.map_shards import SHARD
from fastseq.lower.ensemble import Runnable
from fastseq.run.precision import PrecisionReport
from fastseq.run.stream import blocks
from fastseq.score.journey import BLOCK, Journey, Running
from fastseq.score.predict import as_rows
from fastseq.score.sharded import check_output, shard_tables
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
        y_alt - y_ref of each edit, carried as deltas where that is faster.
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

    def columns(self, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Return a table: row, pos (0-based), ref and alt as text, and the effects by task.

        With names of the sequences, these stand in a column name instead of row.
        """
        edits, text = self.edits, decode(self.codes)
        ends = edits.start + edits.removed
        removed = zip(edits.row.tolist(), edits.start.tolist(), ends.tolist())
        inserted = decode(edits.inserted[None])[0] if len(edits.inserted) else ""
        table = {
            **named_rows(edits.row, names),
            "pos": edits.start,
            "ref": [text[row][start:end] for row, start, end in removed],
            "alt": [inserted[a:b] for a, b in pairwise(edits.offsets.tolist())],
        }
        suffixes = [""] if len(self.tasks) == 1 else [f"_{task}" for task in self.tasks]
        return table | {f"effect{end}": self.effect[:, i] for i, end in enumerate(suffixes)}


def named_rows(row: NDArray[np.int64], names: Sequence[str] | None) -> dict[str, Any]:
    """Return the first column of a table: the sequences' names, or their numbers without."""
    return {"row": row} if names is None else {"name": np.array(names, object)[row]}


@overload
def perturb(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    edits: Edits | str,
    *,
    output: str | PathLike[str],
    **options: Any,
) -> dict[str, Any]: ...
@overload
def perturb(
    model: Runnable | Sequence[Runnable], seqs: Text, edits: Edits | str, **options: Any
) -> Perturbations: ...
def perturb(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    edits: Edits | str,
    *,
    start: int | None = None,
    end: int | None = None,
    margin: int = 0,
    output: str | PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    resume: bool = False,
    shard: int = SHARD,
    **options: Any,
) -> Perturbations | dict[str, Any]:
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
    output : path-like, optional
        A folder for Parquet parts: the table of a set of any size is written as it is made, an
        explicit table's edits in the order of their sequences. `fastseq.io.results.read_results`
        reads it back.
    names, resume, shard
        As for `fastseq.saturation_mutagenesis`.
    **options
        ``engine``, ``scale``, ``reduce``, ``task``, ``strands``, ``shifts``, ``batch_size``,
        ``device``, ``precision``, ``progress``, as for `fastseq.saturation_mutagenesis`.

    Returns
    -------
    Perturbations, or with ``output`` its manifest

    Raises
    ------
    LengthError, SequenceError, ModelError, PrecisionError, ResumeError, UnreadableFileError
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
    check_output(output, names, resume, shard)
    codes, running = as_rows(seqs), Running(**options)
    if isinstance(edits, Edits):
        check_inside(edits, *codes.shape)
        if output is not None:
            edits = edits.take(np.argsort(edits.row, kind="stable"))
        ends = edits.start + np.maximum(edits.removed, 1)
        span, last = (start, end), codes.shape[1]
        if len(edits):  # an insertion may stand behind the last base
            span = min(int(edits.start.min()), last - 1), int(min(ends.max(), last))
        each = len(edits) / max(1, codes.size)
        about = {"edits": _digest(edits)}
    else:
        span, each = (start, end), _edits_a_base(edits, codes, start, end)
        about = {"edits": edits}
    journey = Journey(model, codes, each, running, span=span, margin=margin)

    def run(rows: slice, progress: bool) -> Perturbations:
        part = codes[rows]
        if isinstance(edits, Edits):
            mine = (edits.row >= rows.start) & (edits.row < rows.stop)
            table = edits.take(np.flatnonzero(mine)).moved(rows=-rows.start)
            y_ref, effect = journey.effects(rows, table)
            return Perturbations(part, table, journey.tasks, y_ref, effect, journey.precision)
        y_ref = np.empty((len(part), len(journey.tasks)), np.float32)
        tables, effects = [Edits.of_words([], [], [], [])], [y_ref[:0]]
        for block in blocks(len(part), BLOCK, progress=progress, label="edit"):
            whole = slice(rows.start + block.start, rows.start + block.stop)
            table = read_source(
                edits, codes[whole], start=journey.start, end=journey.end, row_offset=whole.start
            )
            y_ref[block], deltas = journey.effects(whole, table)
            tables.append(table.moved(rows=block.start))
            effects.append(deltas)
        return Perturbations(
            part, Edits.concatenate(tables), journey.tasks, y_ref, np.concatenate(effects),
            journey.precision,
        )  # fmt: skip

    if output is None:
        return run(slice(0, len(codes)), running.progress)
    about |= {"start": journey.start, "end": journey.end, "margin": margin, **journey.about()}
    return shard_tables(
        output, codes, journey.plans, lambda rows, named: run(rows, False).columns(named),
        {"kind": "effects of edits", "tasks": list(journey.tasks), **about},
        names=names, shard=shard, resume=resume, progress=running.progress,
    )  # fmt: skip


def _edits_a_base(edits: str, codes: Codes, start: int | None, end: int | None) -> float:
    """Return how many edits a word makes for each base of a sequence."""
    if not isinstance(edits, str):
        raise OptionError(f"edits is a {type(edits).__name__}; expected a word or Edits")
    if start is not None and not isinstance(start, Integral):
        raise OptionError(f"start={start!r}; expected a whole number of bp")
    return len(read_source(edits, codes[:1], start=start or 0, end=end)) / codes.shape[1]


def _digest(edits: Edits) -> str:
    """Return the SHA-256 of a table."""
    digest = hashlib.sha256()
    for column in (edits.row, edits.start, edits.removed, edits.offsets, edits.inserted):
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()
