"""Tables and lists of sequences from files, and tables back: named columns or a clear error."""

import gzip
from collections.abc import Sequence
from io import BytesIO
from os import PathLike, fspath
from typing import TYPE_CHECKING

from fastseq._lazy import load
from fastseq.errors import FormatError, OptionError, TableError
from fastseq.io.files import chunks, write_bytes

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon"}
SEQUENCE_COLUMNS = ("seq", "sequence", "sequences", "dna")
NAME_COLUMNS = ("name", "id", "seq_id", "sequence_id")
# what pandas reads as missing; withheld from text columns, where NA is an allele or a name
MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "n/a", "<NA>", "#N/A", "-nan")
BASES = frozenset("ACGTUNacgtunRYSWKMBDHVryswkmbdhv")
SHORTEST = 8


def read_table(
    path: str | PathLike[str],
    columns: Sequence[str] | None = None,
    *,
    text: Sequence[str] = (),
    names: Sequence[str] | None = None,
) -> "pd.DataFrame":
    """Return a TSV, CSV or Parquet file, gzipped or not, as a DataFrame.

    Parameters
    ----------
    path : path-like
        ``-`` reads standard input. The kind is told by content: Parquet by its magic bytes, the
        separator by the first line.
    columns : sequence of str, optional
        The columns to return, in this order; all where not given.
    text : sequence of str
        Columns that stay text whatever they hold: "NA", "001" and "" are values there.
    names : sequence of str, optional
        Column names of a file without a header line. Lines of a sequence and a number, as the
        DREAM challenge published its data, are told by the first one: seq and y.

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        It is empty, or its rows do not parse.
    TableError
        A named column is not there; the message lists those that are.
    """
    data = b"".join(chunks(path))
    if not data.strip():
        raise FormatError(f"{path}: empty; expected a table")
    if data[:4] == b"PAR1":
        frame = _parquet(data, path)
    else:
        frame = _delimited(data, path, text, names)
    return frame if columns is None else pick(frame, columns, path)


def pick(frame: "pd.DataFrame", columns: Sequence[str], where: object) -> "pd.DataFrame":
    """Return the named columns of a table, in that order.

    Raises
    ------
    TableError
        One is not there; the message lists those that are.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise TableError(
            f"{where}: no column {', '.join(map(repr, missing))}; it has "
            f"{', '.join(map(str, frame.columns))}"
        )
    return frame.loc[:, list(columns)]


def read_sequences(
    path: str | PathLike[str], *, column: str | None = None, name_column: str | None = None
) -> tuple[list[str], list[str]]:
    """Return names and sequences from FASTA, a table, or one sequence a line.

    Parameters
    ----------
    path : path-like
        ``-`` reads standard input.
    column : str, optional
        The table column with the sequences; otherwise the first of seq, sequence, dna.
    name_column : str, optional
        The column with their names; otherwise name or id where there is one, else row numbers.

    Returns
    -------
    names, sequences : list of str

    Raises
    ------
    MissingFileError, UnreadableFileError, FormatError
        The file cannot be read, is empty or does not parse.
    TableError
        The table has no such column.
    """
    data = b"".join(chunks(path))
    head = data.lstrip()[:1]
    if not head:
        raise FormatError(f"{path}: empty; expected FASTA, a table or one sequence a line")
    if head == b">":
        return _fasta(data, path)
    if data[:4] != b"PAR1":
        lines = data.decode("utf-8", "replace").split()
        if (
            column is None
            and BASES.issuperset(lines[0])
            and lines[0].lower() not in SEQUENCE_COLUMNS
        ):
            first = data.partition(b"\n")[0].decode("utf-8", "replace")
            separated = [mark for mark in SEPARATORS if mark in first]
            if not separated:
                return [str(row) for row in range(len(lines))], lines
            if _unnamed(first.split(separated[0])) is None:
                raise TableError(f"{path}: the table has no header line; name its columns there")
    wanted = [name for name in (column, name_column) if name]
    frame = (
        _parquet(data, path)
        if data[:4] == b"PAR1"
        else _delimited(data, path, [*SEQUENCE_COLUMNS, *NAME_COLUMNS, *wanted], None)
    )
    column = column or _first(frame, SEQUENCE_COLUMNS)
    if column is None:
        raise TableError(
            f"{path}: no column named {', '.join(SEQUENCE_COLUMNS[:2])}; it has "
            f"{', '.join(map(str, frame.columns))} (name the one with the sequences)"
        )
    sequences = pick(frame, [column], path)[column].fillna("").astype(str).tolist()
    name_column = name_column or _first(frame, NAME_COLUMNS)
    if name_column is None:
        return [str(row) for row in range(len(sequences))], sequences
    return pick(frame, [name_column], path)[name_column].astype(str).tolist(), sequences


def write_table(frame: "pd.DataFrame", path: str | PathLike[str]) -> None:
    """Write a table; the name says how: .parquet, .csv(.gz), otherwise TSV; ``-`` is TSV on stdout.

    The file appears under its name only when it is whole.

    Raises
    ------
    UnreadableFileError
        The folder does not take files.
    """
    name = fspath(path)
    plain = name.removesuffix(".gz")
    if plain.endswith(".parquet"):
        sink = BytesIO()
        frame.to_parquet(sink, compression="zstd", index=False)
        write_bytes(path, sink.getvalue())
        return
    if plain.endswith((".xlsx", ".xls", ".feather", ".h5", ".npz", ".npy", ".safetensors")):
        raise OptionError(f"{name}: expected a name ending in .parquet, .tsv, .csv or .gz of these")
    separator = "," if plain.endswith(".csv") else "\t"
    data = frame.to_csv(sep=separator, index=False, lineterminator="\n").encode()
    write_bytes(path, gzip.compress(data, 6, mtime=0) if name.endswith(".gz") else data)


def _parquet(data: bytes, path: object) -> "pd.DataFrame":
    parquet = load("pyarrow.parquet")
    try:
        return parquet.read_table(BytesIO(data)).to_pandas()
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: damaged Parquet file ({_line(error)})") from error


def _delimited(
    data: bytes, path: object, text: Sequence[str], names: Sequence[str] | None
) -> "pd.DataFrame":
    pandas = load("pandas")
    try:
        first = data.partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
        if "\0" in first:
            raise ValueError("a zero byte")
    except ValueError as error:
        raise FormatError(f"{path}: expected a TSV, CSV or Parquet table; found bytes") from error
    separator = max(SEPARATORS, key=first.count)
    names = names or _unnamed(first.split(separator))
    header = list(names) if names else first.split(separator)
    numbers = {name: MISSING for name in header if name not in text}
    try:
        return pandas.read_csv(
            BytesIO(data),
            sep=separator,
            names=header if names else None,
            header=None if names else 0,
            dtype={name: str for name in header if name in text},
            na_values=numbers,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
            low_memory=False,
        )
    except (pandas.errors.ParserError, UnicodeDecodeError, ValueError) as error:
        raise FormatError(
            f"{path}: does not parse as a {SEPARATORS[separator]}-separated table: {_line(error)}"
        ) from error


def _unnamed(first: Sequence[str]) -> Sequence[str] | None:
    """Return names for the columns of a first line that is no header: a sequence and a number."""
    if len(first) != 2 or len(first[0]) < SHORTEST or not BASES.issuperset(first[0]):
        return None
    try:
        float(first[1])
    except ValueError:
        return None
    return "seq", "y"


def _fasta(data: bytes, path: object) -> tuple[list[str], list[str]]:
    names, sequences = [], []
    for record in data.decode("utf-8", "replace").lstrip().split("\n>"):
        head, _, body = record.removeprefix(">").partition("\n")
        if not head.split():
            raise FormatError(f"{path}: header {len(names) + 1} has no name; expected '>name'")
        names.append(head.split()[0])
        sequences.append("".join(body.split()))
    return names, sequences


def _first(frame: "pd.DataFrame", choices: Sequence[str]) -> str | None:
    lower = {str(name).lower(): name for name in reversed(frame.columns)}
    return next((lower[name] for name in choices if name in lower), None)


def _line(error: Exception) -> str:
    return str(error).strip().replace("\n", " ")
