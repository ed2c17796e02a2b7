"""Sequences from a file for a model: a stray letter is refused, never read as N in silence."""

from fastseq.errors import SequenceError
from fastseq.io.tables import read_sequences

IUPAC = str.maketrans("", "", "ACGTUNRYSWKMBDHVacgtunryswkmbdhv-.")


def read_checked(
    path: str, column: str | None, name_column: str | None, rows: int | None = None
) -> tuple[list[str], list[str]]:
    """Return names and sequences of a FASTA, a table or lines of bases, the first ``rows``.

    Raises
    ------
    SequenceError
        A letter outside IUPAC, named with its record and position.
    MissingFileError, UnreadableFileError, FormatError, TableError
        As `read_sequences`.
    """
    names, seqs = read_sequences(path, column=column, name_column=name_column)
    names, seqs = names[:rows], seqs[:rows]
    for name, text in zip(names, seqs):
        if odd := text.translate(IUPAC):
            raise SequenceError(
                f"{path}: sequence {name} has {odd[0]!r} at position {text.index(odd[0])}; "
                "expected IUPAC letters of DNA (N where a base is unknown)"
            )
    return names, seqs
