"""The challenge's subsets of the test set, from the files as published or those of a fold."""

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fastseq.errors import FormatError, MissingFileError, TableError
from fastseq.io.tables import read_table

Subsets: TypeAlias = Mapping[str, np.ndarray]

WEIGHTS = {
    "all": 1.0,
    "high": 0.3,
    "low": 0.3,
    "native": 0.3,
    "random": 0.3,
    "challenging": 0.5,
    "SNVs": 1.25,
    "motif_perturbation": 0.3,
    "motif_tiling": 0.4,
}
FILES = {
    "high": ("high_exp_seqs.csv", "high_exp_indices.json"),
    "low": ("low_exp_seqs.csv", "low_exp_indices.json"),
    "native": ("yeast_seqs.csv", "yeast_exp_indices.json"),
    "random": ("all_random_seqs.csv", "random_exp_indices.json"),
    "challenging": ("challenging_seqs.csv", "challenging_exp_indices.json"),
    "SNVs": ("all_SNVs_seqs.csv", "SNVs_exp_indices.json"),
    "motif_perturbation": ("motif_perturbation_seqs.csv", "motif_perturbation_exp_indices.json"),
    "motif_tiling": ("motif_tiling_seqs.csv", "motif_tiling_exp_indices.json"),
}


def read_subsets(
    path: str | os.PathLike[str],
    *,
    fold: str = "val",
    positions: np.ndarray | None = None,
    rows: int | None = None,
    private: bool = True,
) -> dict[str, np.ndarray]:
    """Return the subsets as row numbers, for `dream_score`.

    Parameters
    ----------
    path : path
        The challenge's data folder (``test_subset_ids`` and ``public_leaderboard_ids`` inside),
        or a JSON file, gzipped or not, of ``{"subsets": {fold: {name: positions}}}``.
    fold : str
        Which fold of the JSON file.
    positions : int, (n,), optional
        The challenge's position of each of the caller's rows; by default row i is position i.
        Entries outside them are left out.
    rows : int, optional
        Rows of the whole test set, for "all" of the published files; as many as ``positions``.
    private : bool
        Leave out what the public leaderboard showed, as the published scores do: promoters that
        occur there in any way, and exactly the public pairs.

    Raises
    ------
    MissingFileError, FormatError, TableError
        A file is not there or is not what it should be.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(
            f"there is no {path}; expected the challenge's folder or a JSON file"
        )
    if path.is_dir():
        count = len(positions) if positions is not None and rows is None else rows
        subsets = _published(path, private, count)
    else:
        subsets = _of_fold(path, fold)
    if positions is None:
        return subsets
    return {name: _to_rows(entries, np.asarray(positions)) for name, entries in subsets.items()}


def _published(folder: Path, private: bool, rows: int | None) -> dict[str, np.ndarray]:
    subsets = {name: _entries(folder / "test_subset_ids" / csv) for name, (csv, _) in FILES.items()}
    if rows is not None:
        subsets["all"] = np.arange(rows)
    if not private:
        return subsets
    shown = {
        name: _shown(folder / "public_leaderboard_ids" / js) for name, (_, js) in FILES.items()
    }
    anywhere = np.unique(np.concatenate([entries.ravel() for entries in shown.values()]))
    public_pairs = _keys(np.concatenate([e for e in shown.values() if e.ndim == 2]))
    return {
        name: entries[~np.isin(entries, anywhere)]
        if entries.ndim == 1
        else entries[~np.isin(_keys(entries), public_pairs)]
        for name, entries in subsets.items()
    }


def _entries(path: Path) -> np.ndarray:
    """Return the distinct positions (k,) or pairs of alt and ref (k, 2) of a subset's table."""
    table = read_table(path)
    if "pos" in table.columns:
        return np.unique(table["pos"].to_numpy(dtype=np.int64))
    if {"alt_pos", "ref_pos"} <= set(table.columns):
        return np.unique(table[["alt_pos", "ref_pos"]].to_numpy(dtype=np.int64), axis=0)
    raise TableError(
        f"{path}: expected a column pos, or alt_pos and ref_pos; it has {', '.join(table.columns)}"
    )


def _shown(path: Path) -> np.ndarray:
    """Return the positions or pairs that are the keys of a public leaderboard file."""
    try:
        keys = list(json.loads(path.read_bytes()))
        entries = np.array([[int(part) for part in key.split(",")] for key in keys], np.int64)
    except FileNotFoundError as error:
        raise MissingFileError(
            f"there is no {path}; pass private=False to score the public entries as well"
        ) from error
    except (ValueError, AttributeError) as error:
        raise FormatError(f"{path}: expected an object with keys 'i' or 'i,j': {error}") from error
    return entries[:, 0] if entries.shape[-1] == 1 else entries


def _of_fold(path: Path, fold: str) -> dict[str, np.ndarray]:
    try:
        raw = path.read_bytes()
        folds = json.loads(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)["subsets"]
        if fold not in folds:
            raise TableError(f"{path}: no fold {fold!r}; it has {', '.join(folds)}")
        return {name: np.array(entries, np.int64) for name, entries in folds[fold].items()}
    except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
        if isinstance(error, TableError):
            raise
        raise FormatError(f"{path}: expected JSON of subsets by fold and name: {error}") from error


def _keys(pairs: np.ndarray) -> np.ndarray:
    return pairs[:, 0] << 32 | pairs[:, 1]


def _to_rows(entries: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the rows at which positions stand; entries with one that is nowhere are left out."""
    if not len(entries):
        return entries
    order = np.argsort(positions)
    at = np.searchsorted(positions, entries, sorter=order).clip(max=len(positions) - 1)
    rows = order[at]
    there = positions[rows] == entries
    return rows[there if entries.ndim == 1 else there.all(1)]
