"""Folders of results, never half-written: Parquet parts, and a manifest that says what is whole.

A part is written under a temporary name and renamed, so whatever carries a part's name is whole.
The manifest comes first with what the run is (inputs, model, options), and last with rows,
checksums and counts. A run that was killed is resumed by writing the parts that are missing.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from fastseq._lazy import load
from fastseq.errors import FormatError, MissingFileError, ResumeError, UnreadableFileError
from fastseq.io.files import replacing, sha256

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MANIFEST = "manifest.json"


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

    Raises
    ------
    ResumeError
        The folder holds another run, or this one and ``resume`` is false.
    UnreadableFileError
        The folder cannot be made or written.
    """

    def __init__(
        self,
        path: str | PathLike,
        identity: Mapping,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.identity = json.loads(json.dumps(identity))
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnreadableFileError(f"{path}: cannot be made: {error.strerror}") from error
        if overwrite:
            self._clear()
        if (self.path / MANIFEST).exists():
            self._continue(resume)
        elif list(self.path.glob("part-*.parquet")):
            raise ResumeError(
                f"{path}: holds parts but no {MANIFEST}; choose another folder or overwrite it"
            )
        else:
            self._write_manifest({"complete": False, "identity": self.identity})

    def _continue(self, resume: bool) -> None:
        theirs = read_manifest(self.path).get("identity", {})
        if not resume:
            raise ResumeError(
                f"{self.path}: already holds a run; resume it (--resume), overwrite it or choose "
                "another folder"
            )
        if theirs != self.identity:
            keys = [*self.identity, *(key for key in theirs if key not in self.identity)]
            differ = [key for key in keys if theirs.get(key) != self.identity.get(key)]
            raise ResumeError(
                f"{self.path}: holds another run; {', '.join(differ)} differ: "
                f"{_short(theirs.get(differ[0]))} there, {_short(self.identity.get(differ[0]))} now"
            )

    def _clear(self) -> None:
        for old in [*self.path.glob("part-*.parquet"), self.path / MANIFEST]:
            old.unlink(missing_ok=True)

    def part(self, number: int) -> Path:
        """Return the path of a part."""
        return self.path / f"part-{number:05d}.parquet"

    def has(self, number: int) -> bool:
        """Say whether a part is there, and so is whole."""
        return self.part(number).exists()

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
        floats = [field.name for field in table.schema if "float" in str(field.type)]
        texts = [field.name for field in table.schema if field.name not in floats]
        sink = BytesIO()
        parquet.write_table(
            table,
            sink,
            compression="zstd",
            use_dictionary=texts,
            # floats of one column share their high bytes; zstd sees that only byte by byte
            use_byte_stream_split=floats,
        )
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
        self._write_manifest(manifest)
        return manifest

    def _write_manifest(self, manifest: Mapping) -> None:
        with replacing(self.path / MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n")


def read_manifest(path: str | PathLike) -> dict:
    """Return the manifest of a result folder.

    Raises
    ------
    MissingFileError
        There is none.
    FormatError
        It is no manifest.
    """
    file = Path(path) / MANIFEST
    try:
        manifest = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise MissingFileError(f"{file}: no such file; expected a folder of results") from error
    except ValueError as error:
        raise FormatError(f"{file}: not a manifest of fastseq") from error
    return manifest


def tables(path: str | PathLike) -> Iterator["pa.Table"]:
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
    for part in manifest["parts"]:
        file = Path(path) / part["file"]
        if sha256(file) != part["sha256"]:
            raise FormatError(f"{file}: differs from its checksum in the manifest; score it again")
        yield parquet.read_table(file)


def read_results(path: str | PathLike) -> "pd.DataFrame":
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


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else f"{text[:77]}.."
