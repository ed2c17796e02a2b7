"""Maps of one or several models over one set of sequences: from files, or made from a model."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastseq
from fastseq.arrays import Codes
from fastseq.errors import FormatError, OptionError
from fastseq.io.bed import read_bed
from fastseq.io.map_shards import are_shards, read_shards
from fastseq.io.maps import read_maps
from fastseq.io.plain_maps import read_plain_maps
from fastseq.reliability.snr import masks_from_spans


@dataclass(frozen=True)
class Explained:
    """Maps by where they came from, all over the same bases.

    Attributes
    ----------
    names : tuple of str, (n,)
    codes : uint8, (n, span)
    values : dict of name to float, (n, 4, span) or (n, span)
    start : int
        Where the span begins in the sequences, 0-based.
    """

    names: tuple[str, ...]
    codes: Codes
    values: dict[str, np.ndarray]
    start: int = 0

    def motif_mask(self, bed: str) -> np.ndarray:
        """Return bool (n, span): the stretches of a BED file whose contigs are sequence names."""
        rows = {name: row for row, name in enumerate(self.names)}
        n, length = self.codes.shape
        spans = [
            (rows[chrom], start - self.start, length if end is None else end - self.start)
            for chrom, start, end in read_bed(bed)
            if chrom in rows
        ]
        mask, _ = masks_from_spans(np.array(spans, np.int64).reshape(-1, 3), n, length)
        if not mask.any():
            raise FormatError(f"{bed}: none of its intervals lies in the {len(mask):,} sequences")
        return mask


def gather(
    paths: Sequence[str],
    models: Sequence[str],
    seqs: tuple[list[str], list[str]] | None,
    *,
    rows: int | None,
    key: str | None,
    task: str | None,
    **how: Any,
) -> Explained:
    """Return the maps of files and models over one set of sequences.

    Parameters
    ----------
    paths : files of 'ism' or 'attribute', which hold their sequences, or plain arrays
    models : checkpoints, to be explained over ``seqs``
    seqs : names and sequences, where given
    rows : int, optional
        Only the first so many.
    key, task : str, optional
        Which array of a plain file; which answer of a model or of a file of 'ism'.
    how
        As for `fastseq.attribute`.

    Raises
    ------
    OptionError
        Sequences that are missing, or that differ between two sources.
    """
    labels = [Path(path).name for path in (*paths, *models)]
    if len(set(labels)) < len(labels):
        labels = [*paths, *models]
    if len(set(labels)) < len(labels):
        raise OptionError(f"{', '.join(labels)}: expected each file of maps or model once")
    parts = [
        _from_file(label, path, seqs, rows=rows, key=key, task=task)
        for label, path in zip(labels, paths)
    ]
    for label, model in zip(labels[len(paths) :], models):
        if seqs is None:
            raise OptionError(f"--model {model} needs sequences to explain: name them with --seqs")
        names, texts = seqs
        found: Any = fastseq.attribute(model, texts, task=task, **how)
        parts.append(Explained(tuple(names), found.codes, {label: found.raw}))
    first = parts[0]
    for label, part in zip(labels[1:], parts[1:]):
        _refuse_others(labels[0], first, label, part)
    values = {label: part.values[label] for label, part in zip(labels, parts)}
    return Explained(first.names, first.codes, values, first.start)


def _from_file(
    label: str,
    path: str,
    seqs: tuple[list[str], list[str]] | None,
    *,
    rows: int | None,
    key: str | None,
    task: str | None,
) -> Explained:
    if path == "-" or are_shards(path) or _holds_sequences(path):
        held = read_shards(path) if are_shards(path) else read_maps(path)
        values = held.values[:rows, _task(path, held.tasks, task)]
        part = Explained(held.names[:rows], held.span[:rows], {label: values}, held.start)
        if seqs is not None:
            length = held.codes.shape[1]
            whole = fastseq.encode(seqs[1], unknown="iupac", length=length, truncate="right")
            span = whole[:, held.start : held.start + held.span.shape[1]]
            _refuse_others("--seqs", Explained(tuple(seqs[0]), span, {}, held.start), path, part)
        return part
    values = read_plain_maps(path, key)[:rows]
    if seqs is None:
        raise OptionError(
            f"{path}: an array without its sequences; name these with --seqs, in the same order"
        )
    length = values.shape[-1]
    longest = max(map(len, seqs[1]), default=0)
    if len(values) != len(seqs[1]) or longest > length:
        raise OptionError(
            f"{path} holds maps of {len(values):,} sequences of {length} bp, --seqs "
            f"{len(seqs[1]):,} of up to {longest} bp; expected the same sequences in the same order"
        )
    codes = fastseq.encode(seqs[1], unknown="iupac", length=length)
    return Explained(tuple(seqs[0]), codes, {label: values})


def _holds_sequences(path: str) -> bool:
    """Say whether 'ism' or 'attribute' wrote the file."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "kind.npy" in archive.namelist()


def _task(path: str, tasks: tuple[str, ...], task: str | None) -> int:
    if task is None and len(tasks) == 1:
        return 0
    if task in tasks:
        return tasks.index(task)
    raise OptionError(f"{path}: the maps hold {', '.join(tasks)}: choose one with --task")


def _refuse_others(one: str, first: Explained, other: str, second: Explained) -> None:
    """Refuse maps over other bases: what is compared must be over the same ones."""
    shapes = [
        f"{part.codes.shape[0]:,} x {part.codes.shape[1]} bp from {part.start}"
        for part in (first, second)
    ]
    if shapes[0] != shapes[1]:
        raise OptionError(
            f"{one} is over {shapes[0]}, {other} over {shapes[1]}; KLD is compared over the same "
            "sequences only"
        )
    different = np.flatnonzero((first.codes != second.codes).any(1))
    if different.size:
        row = different[0]
        raise OptionError(
            f"{one} and {other} are over different sequences, from row {row} ({second.names[row]}) "
            "on; KLD is compared over the same sequences only"
        )
