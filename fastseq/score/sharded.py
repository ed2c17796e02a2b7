"""Maps of sets too large for memory: made and written shard by shard, and gone on with."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from fastseq.arrays import Codes
from fastseq.errors import OptionError, ShapeError
from fastseq.io.map_shards import write_shards
from fastseq.io.maps import Maps
from fastseq.lower.plan import Plan
from fastseq.run.stream import blocks
from fastseq.score.identity import maps_identity

# sequences that gradients run at once: whole blocks in every shard keep a map's last bits
STEP = 64


def check_output(output: object, names: object, resume: bool) -> None:
    """Raise an OptionError where options of an output are given without one."""
    if output is None and (resume or names is not None):
        raise OptionError("resume and names need output=, the folder of the run")


def write_sharded(
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
        Sequences in a shard, which bounds the memory of maps; a multiple of 64.
    resume, progress : bool

    Raises
    ------
    OptionError
        The name is that of a single file, or the shard is no multiple of 64.
    ShapeError
        There are more or fewer names than sequences.
    ResumeError, UnreadableFileError, MissingExtraError
        As `write_shards`.
    """
    name = fspath(output)
    ending = Path(name).suffix
    if ending not in ("", ".zarr") and not name.endswith("/") and not Path(name).is_dir():
        raise OptionError(
            f"output={name!r} looks like one file; expected a folder (with / behind it) or a "
            "name ending in .zarr. One .npz is what the result's save() writes"
        )
    if shard < 1 or shard % STEP:
        raise OptionError(f"shard={shard}; expected a multiple of {STEP} sequences")
    named = tuple(map(str, range(len(codes)) if names is None else names))
    if len(named) != len(codes):
        raise ShapeError(f"{len(named)} names for {len(codes)} sequences")
    identity = maps_identity(plans, named, codes, options)
    return write_shards(
        name, named, codes, lambda rows: make(rows, named[rows]), identity, shard=shard,
        resume=resume, progress=partial(blocks, progress=progress, label="explain"),
    )  # fmt: skip
