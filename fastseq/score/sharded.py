"""Results of sets too large for memory: made and written shard by shard, and gone on with."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.errors import FastseqError, OptionError, ShapeError
from fastseq.io.map_shards import write_shards
from fastseq.io.maps import Maps
from fastseq.io.results import ResultFolder
from fastseq.lower.plan import Plan
from fastseq.run.stream import blocks
from fastseq.score.identity import maps_identity

# sequences that gradients run at once: whole blocks in every shard keep a map's last bits
STEP = 64


def check_output(output: object, names: object, resume: bool, shard: int) -> None:
    """Raise an OptionError for options of an output without one, or shards of no whole blocks."""
    if output is None and (resume or names is not None):
        raise OptionError("resume and names need output=, the folder of the run")
    if shard < 1 or shard % STEP:
        raise OptionError(f"shard={shard}; expected a multiple of {STEP} sequences")


def shard_maps(
    output: str | PathLike[str],
    codes: Codes,
    plans: Sequence[Plan],
    make: Callable[[slice, tuple[str, ...]], Maps],
    options: Mapping[str, Any],
    *,
    names: Sequence[str] | None,
    shard: int,
    resume: bool,
    progress: bool,
) -> dict[str, Any]:
    """Write maps of every sequence to a folder or Zarr group; return its manifest.

    Parameters
    ----------
    output : path-like
        A folder for .npz shards, or a Zarr group by its ending .zarr.
    codes : uint8, (n, length)
    plans : list of Plan
    make : callable
        From a slice of rows and their names to their maps.
    options : mapping
        What else decides the maps; another value is another run.
    names : sequence of str, optional
        One for each sequence; numbers where not given.
    shard : int
        Sequences in a shard, which bounds the memory of maps.
    resume, progress : bool

    Raises
    ------
    OptionError
        The name is that of a single file.
    ShapeError
        There are more or fewer names than sequences.
    ResumeError, UnreadableFileError, MissingExtraError
        As `write_shards`.
    """
    name = _folder(output, "save()", [".zarr"])
    named = _named(names, codes)
    identity = maps_identity(plans, named, codes, options)
    return write_shards(
        name, named, codes, lambda rows: make(rows, named[rows]), identity, shard=shard,
        resume=resume, progress=partial(blocks, progress=progress, label="explain"),
    )  # fmt: skip


def shard_tables(
    output: str | PathLike[str],
    codes: Codes,
    plans: Sequence[Plan],
    make: Callable[[slice, tuple[str, ...]], Mapping[str, Any]],
    options: Mapping[str, Any],
    *,
    names: Sequence[str] | None,
    shard: int,
    resume: bool,
    progress: bool,
    label: str = "edit",
) -> dict[str, Any]:
    """Write a table of every shard's sequences to a folder of Parquet parts; return its manifest.

    Parameters
    ----------
    output : path-like
        A folder; `fastseq.io.results.read_results` reads it back.
    make : callable
        From a slice of rows and their names to columns by name.
    codes, plans, options, names, shard, resume, progress
        As for `shard_maps`.
    label : str
        What the progress bar says.

    Raises
    ------
    OptionError, ShapeError, ResumeError, UnreadableFileError
        As for `shard_maps`.
    MissingExtraError
        There is no pyarrow.
    """
    name, named, arrow = (
        _folder(output, "columns()"),
        _named(names, codes),
        load("pyarrow"),
    )
    identity = maps_identity(plans, named, codes, {**options, "shard": shard})
    folder, parts = ResultFolder(name, identity, resume=resume), 0
    try:
        for rows in blocks(len(codes), shard, progress=progress, label=label):
            if not folder.has(parts):
                table = arrow.table(dict(make(rows, named[rows])))
                folder.write(parts, table, {"ok": len(table)})
            parts += 1
    except FastseqError:
        folder.forget()
        raise
    return folder.finish(parts)


def _folder(output: str | PathLike[str], single: str, endings: Sequence[str] = ()) -> str:
    """Return the name of a folder, refused where it looks like that of one file."""
    name = fspath(output)
    ending = Path(name).suffix
    if (
        ending in ("", *endings)
        or name.endswith("/")
        or (Path(name).is_dir() and ending != ".zarr")
    ):
        return name
    others = "".join(f" or a name ending in {ending}" for ending in endings)
    raise OptionError(
        f"output={name!r} looks like one file; expected a folder (with / behind it){others}. What "
        f"one file holds is what the result's {single} gives"
    )


def _named(names: Sequence[str] | None, codes: Codes) -> tuple[str, ...]:
    """Return a name for each sequence."""
    named = tuple(map(str, range(len(codes)) if names is None else names))
    if len(named) != len(codes):
        raise ShapeError(f"{len(named)} names for {len(codes)} sequences")
    return named
