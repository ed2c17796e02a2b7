"""Maps of large sets, written shard by shard: a folder of .npz files, or one Zarr group.

A shard is written whole or not at all, and a run that was killed goes on at the first missing one,
to the same bytes. The manifest says what the run is before the first shard and that it is complete
after the last.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.errors import (
    FastseqError,
    FormatError,
    MissingFileError,
    ResumeError,
    UnreadableFileError,
)
from fastseq.io.files import replacing
from fastseq.io.manifest import MANIFEST, check_same_run, read_manifest, write_manifest
from fastseq.io.maps import Maps, arrays_of, maps_of, read_maps, write_maps

KIND = "fastseq-map-shards-1"
# sequences of a shard: 256 x 4 x 2,114 values of one task are 9 MB
SHARD = 256
# what is made shard by shard, and all that has a row for each sequence
MADE = ("values", "y_ref", "missing")
BY_ROW = ("names", "codes", *MADE)


def are_shards(path: str | PathLike[str]) -> bool:
    """Return whether a name is that of a folder or Zarr group rather than of one file."""
    return Path(path).is_dir() or str(path).endswith(("/", ".zarr"))


def slices(rows: int, size: int) -> Iterator[slice]:
    """Yield the rows of every shard."""
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))


def write_shards(
    path: str | PathLike[str],
    names: tuple[str, ...],
    codes: Codes,
    make: Callable[[slice], Maps],
    identity: Mapping[str, Any],
    *,
    shard: int = SHARD,
    resume: bool = False,
    progress: Callable[[int, int], Iterator[slice]] = slices,
) -> dict[str, Any]:
    """Write the maps of a set shard by shard; return the manifest.

    Parameters
    ----------
    path : path-like
        ``.zarr`` makes a Zarr group (an extra), any other name a folder of .npz shards.
    names : tuple of str, (n,)
    codes : uint8, (n, length)
    make : callable
        From a slice of rows to their maps; called for missing shards only.
    identity : mapping
        What the run is, in JSON values; shards of another identity are never mixed in.
    shard : int
        Sequences in a shard, of which one at a time is in memory.
    resume : bool
        Whether a run that is there already may be continued.
    progress : callable
        From a number of rows and the size of a shard to its slices, told as they are done.

    Raises
    ------
    ResumeError
        The folder holds another run, or this one and ``resume`` is false.
    UnreadableFileError
        The folder cannot be made or written.
    MissingExtraError
        ``.zarr`` without zarr.
    """
    home = Path(path)
    store = _store(home, len(codes), shard)
    run = json.loads(json.dumps({**identity, "rows": len(codes), "shard": shard}))
    try:
        home.mkdir(parents=True, exist_ok=True)
        held = list(home.iterdir())
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be made: {error.strerror}") from error
    if (home / MANIFEST).exists():
        check_same_run(home, run, resume=resume)
    elif [file for file in held if file.suffix != ".tmp"]:
        raise ResumeError(f"{path}: holds other files; choose another folder")
    manifest = {"kind": KIND, "complete": False, "identity": run}
    try:
        if not (home / MANIFEST).exists():
            write_manifest(home, manifest)
        for number, rows in enumerate(progress(len(codes), shard)):
            if not store.has(number):
                store.write(number, make(rows), names, codes)
    except FastseqError:
        if not store.has_any():  # a run that cannot be begun takes no folder
            (home / MANIFEST).unlink(missing_ok=True)
            with suppress(OSError):
                home.rmdir()
        raise
    for left_behind in home.rglob("*.tmp"):
        left_behind.unlink(missing_ok=True)
    manifest["complete"] = True
    write_manifest(home, manifest)
    return manifest


def holds_shards(path: str | PathLike[str]) -> bool:
    """Return whether a folder is one that `write_shards` has begun or finished."""
    try:
        return read_manifest(path).get("kind") == KIND
    except (FormatError, MissingFileError):
        return False


def each_shard(path: str | PathLike[str]) -> Iterator[Maps]:
    """Yield the maps of a folder or Zarr group shard by shard, one at a time in memory.

    Raises
    ------
    MissingFileError, FormatError
        It is no such folder, a shard is damaged, or its run has not ended.
    """
    home = Path(path)
    manifest = read_manifest(home)
    if manifest.get("kind") != KIND:
        raise FormatError(f"{home}: {MANIFEST} is not that of maps")
    if not manifest.get("complete"):
        raise FormatError(f"{path}: its run has not ended; go on with --resume")
    rows, shard = manifest["identity"]["rows"], manifest["identity"]["shard"]
    store = _store(home, rows, shard)
    return (store.read(number) for number in range(-(-rows // shard)))


def read_shards(path: str | PathLike[str]) -> Maps:
    """Return the maps of a folder or Zarr group that is complete, as one.

    Raises
    ------
    MissingFileError, FormatError
        As `each_shard`.
    """
    parts = [arrays_of(maps) for maps in each_shard(path)]
    if not parts:
        raise FormatError(f"{path}: holds no sequences")
    joined = {n: np.concatenate([part[n] for part in parts]) for n in BY_ROW if n in parts[0]}
    return maps_of({**parts[0], **joined})


def _store(home: Path, rows: int, shard: int) -> "_Folder | _Zarr":
    return _Zarr(home, rows, shard) if home.suffix == ".zarr" else _Folder(home)


class _Folder:
    """Shards as .npz files, each as `write_maps` writes them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def _part(self, number: int) -> Path:
        return self.home / f"part-{number:05d}.npz"

    def has(self, number: int) -> bool:
        return self._part(number).exists()

    def has_any(self) -> bool:
        return any(self.home.glob("part-*.npz"))

    def write(self, number: int, maps: Maps, names: tuple[str, ...], codes: Codes) -> None:
        write_maps(self._part(number), maps)

    def read(self, number: int) -> Maps:
        return read_maps(self._part(number))


class _Zarr:
    """Shards as chunks of the arrays of a Zarr group; a shard counts once its mark is written."""

    def __init__(self, home: Path, rows: int, shard: int) -> None:
        self.home, self.rows, self.shard, self._zarr = home, rows, shard, load("zarr")

    def _mark(self, number: int) -> Path:
        return self.home / "done" / f"{number:05d}"

    def _slice(self, number: int) -> slice:
        return slice(number * self.shard, min((number + 1) * self.shard, self.rows))

    def has(self, number: int) -> bool:
        return self._mark(number).exists()

    def has_any(self) -> bool:
        return (self.home / "zarr.json").exists()

    def write(self, number: int, maps: Maps, names: tuple[str, ...], codes: Codes) -> None:
        made, rows = arrays_of(maps), self._slice(number)
        with self._told():
            if not self.has_any():
                self._create(made, names, codes)
            group = self._zarr.open_group(self.home, mode="r+")
            for name in MADE:
                if name in made:
                    group[name][rows] = made[name]
            self._mark(number).parent.mkdir(exist_ok=True)
            with replacing(self._mark(number)) as temporary:
                temporary.write_bytes(b"")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell of a full or read-only disk as all writers do."""
        try:
            yield
        except OSError as error:
            if isinstance(error, FastseqError) or error.errno is None:
                raise
            raise UnreadableFileError(
                f"{self.home}: cannot be written: {error.strerror}"
            ) from error

    def _create(self, made: Mapping[str, NDArray], names: tuple[str, ...], codes: Codes) -> None:
        """Make the arrays, and the group's own file last: without it, all are made again."""
        text = np.frombuffer(json.dumps(names).encode(), np.uint8)
        for name, given in (("names", text), ("codes", codes)):
            chunks = (self.shard, codes.shape[1]) if given is codes else given.shape
            array = self._zarr.create_array(
                self.home / name, shape=given.shape, dtype="uint8", chunks=chunks, overwrite=True
            )
            array[:] = given
        for name in MADE:
            if name in made:
                each = made[name].shape[1:]
                self._zarr.create_array(
                    self.home / name, shape=(self.rows, *each), dtype="float32",
                    chunks=(self.shard, *each), overwrite=True,
                )  # fmt: skip
        single = {name: made[name].tolist() for name in ("kind", "start", "method", "tasks")}
        self._zarr.create_group(self.home, attributes=single)

    def read(self, number: int) -> Maps:
        rows = self._slice(number)
        try:
            group = self._zarr.open_group(self.home, mode="r")
            held = {n: group[n][rows] for n in BY_ROW[1:] if (self.home / n).exists()}
            names = json.loads(group["names"][:].tobytes())[rows]
        except (KeyError, ValueError, OSError) as error:
            raise FormatError(f"{self.home}: its arrays are damaged ({error})") from error
        attributes = {name: np.array(value) for name, value in group.attrs.items()}
        return maps_of({**held, **attributes, "names": np.array(names, dtype=str)})
