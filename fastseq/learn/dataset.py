"""Sequences with labels, read from anywhere, checked row by row and split into folds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastseq.arrays import UNKNOWN, Codes, Text
from fastseq.errors import LengthError, OptionError, ShapeError, TableError, TargetError
from fastseq.io.tables import SEQUENCE_COLUMNS, pick, read_table
from fastseq.sequence.encode import Ragged, decode, encode

if TYPE_CHECKING:
    import pandas as pd

TARGET_COLUMNS = ("maude_expr", "expression", "expr", "label", "target", "y", "rna_dna_ratio")
VALIDATION = ("val", "valid", "validation")
READABLE = b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv-."
# fewer rows than this may share their ends by chance
ROWS_FOR_FLANKS = 32

BadRows = Literal["refuse", "drop"]


@dataclass(frozen=True)
class Labelled:
    """Sequences and their labels in memory, one byte a base.

    Attributes
    ----------
    codes : uint8, (n, length)
    targets : float32, (n, tasks), or (n, tasks, positions) of profiles
    tasks : tuple of str
    fold : str, (n,), or None
        "train", "val" or any other word for rows that stay out.
    cluster : int64, (n,), or None
        Rows of one cluster are near-copies and belong in one fold.
    dropped : str
        What was left out, as a sentence; empty when nothing was.
    """

    codes: Codes
    targets: np.ndarray
    tasks: tuple[str, ...] = ("y",)
    fold: np.ndarray | None = None
    cluster: np.ndarray | None = None
    dropped: str = ""

    def __len__(self) -> int:
        return len(self.codes)


def read(
    data: Any,
    *,
    sequence: str | None = None,
    targets: str | Sequence[str] | None = None,
    fold: str = "fold",
    bad_rows: BadRows = "refuse",
    pad: bool = False,
) -> Labelled:
    """Return labelled sequences from a file, a table, a pair of arrays, or a simulated task.

    Parameters
    ----------
    data : path, DataFrame, (sequences, targets), or object with codes, labels and split
    sequence, targets, fold : str
        Columns of a table; otherwise seq or sequence, and the first of ``TARGET_COLUMNS``.
    bad_rows : {"refuse", "drop"}
        What happens to rows whose sequence cannot be read or whose target is not finite.
    pad : bool
        Let shorter sequences end in N.

    Raises
    ------
    MissingFileError, UnreadableFileError, FormatError
        As `read_table`.
    TableError
        The table has no such column, or no row is left.
    TargetError
        Rows are bad and ``bad_rows="refuse"``; the first five are named.
    LengthError
        The sequences that are left differ in length, without ``pad``.
    """
    if bad_rows not in ("refuse", "drop"):
        raise OptionError(f"bad_rows={bad_rows!r}; expected 'refuse' or 'drop'")
    if isinstance(data, Labelled):
        return data
    folds = cluster = None
    if isinstance(data, (str, os.PathLike)):
        data = read_table(data, text=SEQUENCE_COLUMNS)
    if hasattr(data, "columns"):
        sequence = sequence or _column(data, SEQUENCE_COLUMNS, "sequence")
        names = [targets] if isinstance(targets, str) else list(targets or ())
        names = names or [_column(data, TARGET_COLUMNS, "targets")]
        table = pick(data, [sequence, *names], "the table")
        seqs, labels = table[sequence].tolist(), table[names].to_numpy()
        folds = data[fold].to_numpy(dtype=str) if fold in data.columns else None
        cluster = data["cluster"].to_numpy(dtype=np.int64) if "cluster" in data.columns else None
    elif hasattr(data, "codes") and hasattr(data, "labels"):
        seqs, labels, names = data.codes, data.labels, ["label"]
        folds = np.asarray(data.split).astype(str) if hasattr(data, "split") else None
    elif isinstance(data, tuple) and len(data) == 2:
        (seqs, labels), names = data, []
    else:
        raise OptionError(
            f"cannot train on a {type(data).__name__}; expected a path, a DataFrame, "
            "(sequences, targets) or a simulated task"
        )
    labels = _numbers(labels)
    if len(labels) != len(seqs):
        raise ShapeError(f"{len(seqs)} sequences have {len(labels)} targets; expected one each")
    names = names or [f"y{task}" if labels.shape[1] > 1 else "y" for task in range(labels.shape[1])]
    good = {
        "an unreadable sequence": readable(seqs),
        "a target that is no finite number": np.isfinite(labels).reshape(len(labels), -1).all(1),
    }
    dropped = "; ".join(name_rows(what, ok) for what, ok in good.items() if not ok.all())
    if dropped and bad_rows == "refuse":
        raise TargetError(f"{dropped} (bad_rows='drop', or --bad-rows drop, leaves them out)")
    keep = np.logical_and.reduce(list(good.values()))
    if not keep.any():
        raise TableError("no row with a readable sequence and a finite target is left")
    everything = Labelled(
        np.empty((len(keep), 0), np.uint8), labels, tuple(names), folds, cluster, dropped
    )
    if keep.all():
        return replace(everything, codes=_encoded(seqs, pad))
    kept = [seqs[row] for row in np.flatnonzero(keep)]
    return replace(
        everything,
        codes=_encoded(kept, pad),
        targets=labels[keep],
        fold=None if folds is None else folds[keep],
        cluster=None if cluster is None else cluster[keep],
    )


def split(
    data: Labelled, validation: Any = None, *, seed: int = 0, **reading: Any
) -> tuple[Labelled, np.ndarray, np.ndarray]:
    """Return the rows with those of the training fold and those of the validation fold.

    Parameters
    ----------
    data : Labelled
    validation : float, str, array, or anything `read` takes
        A share of the rows drawn by ``seed`` (clusters stay together), also as
        ``"random:.7/.3"``; a boolean mask or a fold word per row; or separate rows. By default the
        fold column, where there is one, otherwise a tenth.

    Returns
    -------
    data : Labelled
        With the separate validation rows appended, where there are such.
    train, val : int64
        Row numbers.

    Raises
    ------
    OptionError
        The share is not between 0 and 1, or a fold is empty.
    """
    if validation is None and data.fold is None:
        validation = 0.1
    rows = np.arange(len(data))
    if isinstance(validation, str) and validation.startswith("random:"):
        validation = _share(validation)
    if isinstance(validation, float):
        chosen = _draw(data, validation, seed)
        train, val = rows[~chosen], rows[chosen]
    elif validation is None or (
        isinstance(validation, np.ndarray) and validation.shape == (len(data),)
    ):
        folds = np.asarray(data.fold if validation is None else validation)
        if folds.dtype == bool:
            train, val = rows[~folds], rows[folds]
        else:
            train, val = rows[folds == "train"], rows[np.isin(folds, VALIDATION)]
    else:
        apart = read(validation, **reading)
        if apart.codes.shape[1] != data.codes.shape[1]:
            raise ShapeError(
                f"validation sequences have {apart.codes.shape[1]} bp, those to train on "
                f"{data.codes.shape[1]} bp; expected the same"
            )
        train, val = rows, np.arange(len(data), len(data) + len(apart))
        data = Labelled(
            np.concatenate((data.codes, apart.codes)),
            np.concatenate((data.targets, apart.targets)),
            data.tasks,
            dropped="; ".join(filter(None, (data.dropped, apart.dropped))),
        )
    if not len(train) or not len(val):
        words = [] if data.fold is None else sorted(set(data.fold))
        raise OptionError(
            f"{len(train)} rows to train on and {len(val)} to validate on; expected some of both "
            f"(fold words: {', '.join(words) or 'none'}; 'train' and one of {', '.join(VALIDATION)}"
            " are read)"
        )
    return data, train, val


def constant_flanks(codes: Codes) -> tuple[str, str]:
    """Return the bases that all rows share at either end, as text; empty where rows are few.

    Parameters
    ----------
    codes : uint8, (n, length)
    """
    if len(codes) < ROWS_FOR_FLANKS:
        return "", ""
    same = (codes == codes[0]).all(0) & (codes[0] != UNKNOWN)
    if same.all():
        return "", ""
    left, right = int((~same).argmax()), int((~same[::-1]).argmax())
    text = str(decode(codes[0]))
    return text[:left], text[len(text) - right :]


def _share(text: str) -> float:
    parts = text.removeprefix("random:").split("/")
    try:
        sizes = [float(part) for part in parts]
        return sizes[1] / sum(sizes)
    except (ValueError, IndexError, ZeroDivisionError):
        raise OptionError(f"validation={text!r}; expected something like 'random:.7/.3'") from None


def _draw(data: Labelled, share: float, seed: int) -> np.ndarray:
    """Return a mask of about that share of the rows, whole clusters at a time."""
    if not 0 < share < 1:
        raise OptionError(f"validation={share}; expected a share between 0 and 1")
    groups = np.arange(len(data)) if data.cluster is None else data.cluster
    members, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng([seed, 1]).permutation(len(members))
    taken = np.cumsum(sizes[order]) - sizes[order] / 2 <= share * len(data)
    taken[0], taken[-1] = True, False
    return np.isin(groups, members[order[taken]])


def _column(frame: "pd.DataFrame", choices: Sequence[str], keyword: str) -> str:
    found = [name for name in choices if name in frame.columns]
    if not found:
        raise TableError(
            f"no column named {', '.join(choices[:3])}; the table has "
            f"{', '.join(map(str, frame.columns))} (name yours with {keyword}=)"
        )
    return found[0]


def _numbers(labels: Any) -> np.ndarray:
    """Return targets as float32 (n, tasks), what is no number as NaN."""
    array = np.asarray(labels)
    if array.dtype.kind not in "biuf":
        array = np.vectorize(_number, otypes=[np.float32])(array) if array.size else array
    array = array.astype(np.float32)
    return array[:, None] if array.ndim == 1 else array


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return np.nan


def _encoded(seqs: Text | Ragged, pad: bool) -> Codes:
    """Return the codes of rows of one length, or of any lengths with ``pad``."""
    codes = encode(seqs, unknown="iupac")
    if not pad and getattr(seqs, "dtype", None) != np.uint8:
        lengths = np.fromiter(map(len, seqs), np.int64, len(codes))
        odd = np.flatnonzero(lengths != lengths[:1])
        if odd.size:
            raise LengthError(
                f"row {odd[0]} is {lengths[odd[0]]} bp long, row 0 is {lengths[0]} bp "
                f"({lengths.min()} to {lengths.max()} bp in all); pass pad=True to let the "
                "shorter end in N"
            )
    return codes


def readable(seqs: Text | Ragged) -> np.ndarray:
    """Return which rows hold IUPAC letters, at least one and nothing else."""
    if isinstance(seqs, Ragged) or (isinstance(seqs, np.ndarray) and seqs.dtype == np.uint8):
        # one buffer: encoding names its first bad letter
        return np.ones(len(seqs), bool)
    rows = [s.encode("ascii", "replace") if isinstance(s, str) else s for s in seqs]
    return np.array(
        [isinstance(s, bytes) and len(s) > 0 and not s.translate(None, READABLE) for s in rows],
        bool,
    )


def name_rows(what: str, ok: np.ndarray, names: Sequence | None = None) -> str:
    """Return how many rows are not ok, and the first five of them, by number or by name."""
    bad = np.flatnonzero(~ok)
    first = ", ".join(str(row if names is None else names[row]) for row in bad[:5])
    first += ", ..." if len(bad) > 5 else ""
    return f"{len(bad)} of {len(ok)} rows have {what}: row {first}"
