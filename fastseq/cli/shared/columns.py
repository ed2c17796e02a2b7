"""Which columns of a table hold sequences, targets and folds, where the user did not say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastseq.errors import TableError
from fastseq.io.tables import SEQUENCE_COLUMNS, pick

if TYPE_CHECKING:
    import pandas as pd

FOLD_COLUMNS = ("fold", "split", "set", "partition")
LETTERS = frozenset("ACGTUNacgtun")


@dataclass(frozen=True)
class Columns:
    """The chosen columns, and what was guessed, in sentences."""

    sequence: str
    targets: tuple[str, ...]
    fold: str | None
    guesses: tuple[str, ...]


def choose_columns(
    table: "pd.DataFrame",
    sequence: str | None,
    targets: Sequence[str],
    fold: str | None,
    *,
    where: str,
) -> Columns:
    """Return the columns to use: those named, otherwise the only candidates.

    Raises
    ------
    TableError
        A named column is missing, or there is no candidate, or more than one.
    """
    named = [name for name in (sequence, *targets, fold) if name is not None]
    pick(table, named, where)
    guesses = []
    if sequence is None:
        free = [name for name in table.columns if name not in named]
        called = [name for name in free if str(name).lower() in SEQUENCE_COLUMNS]
        candidates = called or [name for name in free if _is_dna(table[name])]
        sequence = _only(candidates, table, where, "sequences", "--sequence-column")
        guesses.append(f"sequences are taken from column {sequence}")
    if fold is None:
        fold = next((str(name) for name in table.columns if str(name) in FOLD_COLUMNS), None)
        if fold is not None:
            guesses.append(f"folds are taken from column {fold}")
    if not targets:
        numbers = [
            name
            for name in table.columns
            if table[name].dtype.kind in "fiub" and name not in (sequence, fold, *named)
        ]
        # whole numbers that are no classes are usually identifiers, positions or clusters
        likely = [name for name in numbers if _is_measured(table[name])]
        targets = [_only(likely or numbers, table, where, "targets", "--target-column")]
        guesses.append(f"targets are taken from column {targets[0]}")
    return Columns(sequence, tuple(targets), fold, tuple(guesses))


def _only(
    candidates: Sequence[str], table: "pd.DataFrame", where: str, what: str, option: str
) -> str:
    if len(candidates) == 1:
        return candidates[0]
    found = f"{', '.join(candidates)} all could be" if candidates else "none looks like it"
    raise TableError(
        f"{where}: cannot tell which column holds the {what} ({found}; the table has "
        f"{', '.join(map(str, table.columns))}): name it with {option}"
    )


def _is_dna(column: Any) -> bool:
    if column.dtype.kind in "fiub" or not len(column):
        return False
    first = [str(value) for value in column.iloc[:20]]
    return all(len(value) > 3 and LETTERS.issuperset(value) for value in first)


def _is_measured(column: Any) -> bool:
    return column.dtype.kind == "f" or set(column.unique().tolist()) <= {0, 1}
