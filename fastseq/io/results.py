"""Folders of results, never half-written: Parquet parts, and a manifest that says what is whole.

A part is written under a temporary name and renamed, so whatever carries a part's name is whole.
The manifest comes first with what the run is (inputs, model, options), and last with rows,
checksums and counts. A run that was killed is resumed by writing the parts that are missing.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastseq._lazy import load
from fastseq.errors import (
    FormatError,
    OptionError,
    ResumeError,
    UnreadableFileError,
)
from fastseq.io.files import replacing, sha256
from fastseq.io.manifest import MANIFEST, check_same_run, read_manifest, write_manifest

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# the genome while several workers share it
GENOME = ".genome.codes"
# endings of one file, against the name of a folder of parts
SINGLE = (".tsv", ".csv", ".parquet", ".tsv.gz", ".csv.gz")


class ResultFolder:
    """The parts and the manifest of one run.

    Parameters
    ----------
    path : path-like
        Created where it does not exist.
    identity : mapping
        What the run is, in JSON values. Parts of another identity are never mixed in.
    resume : bool
        Whether a folder that already holds a manifest may be continued.
    overwrite : bool
        Whether what another run left there may be deleted.
    shared : bool
        Whether other workers of the same run may have opened the folder already.
    otherwise : str
        What else a refusal offers to do about a run that is there.

    Raises
    ------
    ResumeError
        The folder holds another run, or this one and ``resume`` is false.
    UnreadableFileError
        The folder cannot be made or written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        identity: Mapping,
        *,
        resume: bool = False,
        overwrite: bool = False,
        shared: bool = False,
        otherwise: str = "choose another folder",
    ) -> None:
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be made: {error.strerror}") from error
        if overwrite:
            self._clear()
        if not shared:
            # a run that was killed left it
            (self.path / GENOME).unlink(missing_ok=True)
        if (self.path / MANIFEST).exists():
            check_same_run(self.path, self.identity, resume=resume or shared, otherwise=otherwise)
        elif list(self.path.glob("part-*.parquet")):
            raise ResumeError(
                f"{path}: holds parts but no {MANIFEST}; choose another folder or overwrite it"
            )
        else:
            write_manifest(self.path, {"complete": False, "identity": self.identity})

    def forget(self) -> None:
        """Take back a run that has written no part, so that it can be begun anew."""
        if not list(self.path.glob("part-*.parquet")):
            (self.path / MANIFEST).unlink(missing_ok=True)
            with suppress(OSError):  # other files are the user's
                self.path.rmdir()

    def _clear(self) -> None:
        for old in [*self.path.glob("part-*.parquet"), self.path / MANIFEST]:
            old.unlink(missing_ok=True)

    def part(self, number: int) -> Path:
        """Return the path of a part."""
        return self.path / f"part-{number:05d}.parquet"

    def has(self, number: int) -> bool:
        """Say whether a part is there, and so is whole."""
        return self.part(number).exists()

    def count(self) -> int:
        """Return how many parts are there."""
        return len(list(self.path.glob("part-*.parquet")))

    def write(self, number: int, table: "pa.Table", counts: Mapping[str, int]) -> None:
        """Write one part: all of it, or nothing under its name.

        Parameters
        ----------
        number : int
        table : pyarrow.Table
        counts : mapping of str to int
            Rows of each status; they travel in the part, for the manifest.
        """
        parquet = load("pyarrow.parquet")
        metadata = {"fastseq": json.dumps({"counts": dict(counts)})}
        table = table.replace_schema_metadata(metadata)
        sink = BytesIO()
        parquet.write_table(table, sink, **_encoding(table))
        with replacing(self.part(number)) as temporary:
            temporary.write_bytes(sink.getbuffer())

    def finish(self, parts: int) -> dict:
        """Write the manifest of a run whose parts are all there; return it.

        Raises
        ------
        ResumeError
            A part is missing.
        """
        parquet = load("pyarrow.parquet")
        for left_behind in self.path.glob(".part-*.tmp"):
            left_behind.unlink(missing_ok=True)
        rows, total = [], Counter()
        for number in range(parts):
            path = self.part(number)
            if not path.exists():
                raise ResumeError(f"{path}: missing; resume the run to write it")
            found = parquet.read_schema(path).metadata or {}
            counts = json.loads(found.get(b"fastseq", b"{}")).get("counts", {})
            total.update(counts)
            size = parquet.read_metadata(path).num_rows
            rows.append({"file": path.name, "rows": size, "sha256": sha256(path)})
        manifest = {
            "complete": True,
            "identity": self.identity,
            "rows": sum(part["rows"] for part in rows),
            "counts": dict(sorted(total.items())),
            "parts": rows,
        }
        write_manifest(self.path, manifest)
        return manifest


def tables(path: str | PathLike[str]) -> Iterator["pa.Table"]:
    """Yield the parts of a finished result folder, in order.

    Raises
    ------
    MissingFileError, FormatError
        There is no manifest, or a part is not what the manifest says.
    ResumeError
        The run was not finished.
    """
    parquet = load("pyarrow.parquet")
    manifest = read_manifest(path)
    if not manifest.get("complete"):
        raise ResumeError(f"{path}: the run was not finished; resume it (--resume)")
    if "parts" not in manifest:
        raise FormatError(f"{path}: expected a folder of scores; it holds other results")
    for part in manifest["parts"]:
        file = Path(path) / part["file"]
        if sha256(file) != part["sha256"]:
            raise FormatError(f"{file}: differs from its checksum in the manifest; score it again")
        yield parquet.read_table(file)


def read_results(path: str | PathLike[str]) -> "pd.DataFrame":
    """Return a finished result folder as one DataFrame; `tables` yields it part by part."""
    pa = load("pyarrow")
    return to_frame(pa.concat_tables(tables(path)))


def to_frame(table: "pa.Table") -> "pd.DataFrame":
    """Return a table as a DataFrame in which whole numbers stay whole where some are missing."""
    pandas = load("pandas")
    frame = table.to_pandas()
    if "norm_pos" in table.column_names:
        column = table["norm_pos"].combine_chunks()
        values = column.fill_null(0).to_numpy(zero_copy_only=False)
        missing = column.is_null().to_numpy(zero_copy_only=False)
        frame["norm_pos"] = pandas.arrays.IntegerArray(values.copy(), missing.copy())
    return frame


def is_single(name: str) -> bool:
    """Say whether scores of that name are one file or standard output, and not a folder.

    Raises
    ------
    OptionError
        The name ends like a file of a kind that is not written.
    """
    if name == "-" or name.endswith(SINGLE):
        return True
    ending = Path(name).suffix
    if ending[1:2].isalpha() and not name.endswith("/") and not Path(name).is_dir():
        other = "; 'fastseq annotate' writes a VCF" if ".vcf" in name or ending == ".bcf" else ""
        raise OptionError(
            f"{name}: {ending} files are not written; expected {', '.join(SINGLE)}, -, or the name "
            f"of a folder (with / behind it where it looks like a file's){other}"
        )
    return False


def write_single(parts: "Iterable[pa.Table]", path: str | PathLike[str]) -> dict:
    """Write tables to one file as they come; return rows and counts per status.

    The ending says how: .parquet, .csv, else TSV, gzipped where it ends in .gz; ``-`` is TSV on
    standard output. A file appears under its name only when it is whole. Missing values are empty.

    Raises
    ------
    UnreadableFileError
        The folder does not take files.
    """
    name, rows, counts = fspath(path), 0, Counter()

    def counted() -> "Iterator[pa.Table]":
        nonlocal rows
        for table in parts:
            rows += len(table)
            if "status" in table.column_names:
                counts.update(table["status"].to_pylist())
            yield table

    if name == "-":
        _write_text(counted(), sys.stdout.buffer, "\t")
    else:
        with replacing(path) as temporary, temporary.open("wb") as out:
            if name.endswith(".parquet"):
                _write_parquet(counted(), out)
            elif name.endswith(".gz"):
                # no name and no time inside, so that equal tables are equal files
                with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
                    _write_text(counted(), packed, "," if ".csv" in name else "\t")
            else:
                _write_text(counted(), out, "," if name.endswith(".csv") else "\t")
    return {"rows": rows, "counts": dict(sorted(counts.items()))}


def export(folder: str | PathLike[str], path: str | PathLike[str]) -> dict:
    """Write a finished result folder to one file, as `write_single` does."""
    return write_single(tables(folder), path)


def _write_text(
    parts: "Iterable[pa.Table]", out: IO[bytes] | gzip.GzipFile, separator: str
) -> None:
    csv = load("pyarrow.csv")
    for number, table in enumerate(parts):
        if number == 0:
            out.write(separator.join(table.column_names).encode() + b"\n")
        # "needed" puts quotes around every text, which no genomics tool expects in a TSV; commas
        # in flags and alleles need them in a CSV
        quoting = "none" if separator == "\t" else "needed"
        options = csv.WriteOptions(include_header=False, delimiter=separator, quoting_style=quoting)
        csv.write_csv(table, out, options)
        out.flush()


def _write_parquet(parts: "Iterable[pa.Table]", out: IO[bytes]) -> None:
    parquet = load("pyarrow.parquet")
    writer = None
    try:
        for table in parts:
            table = table.replace_schema_metadata(None)
            if writer is None:
                writer = parquet.ParquetWriter(out, table.schema, **_encoding(table))
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _encoding(table: "pa.Table") -> dict:
    """Return how the columns of a table are best laid out in Parquet."""
    floats = [field.name for field in table.schema if "float" in str(field.type)]
    return {
        "compression": "zstd",
        "use_dictionary": [name for name in table.column_names if name not in floats],
        # floats of one column share their high bytes; zstd sees that only byte by byte
        "use_byte_stream_split": floats,
    }
