"""Maps of large sets, written shard by shard: a folder of .npz files, or one Zarr group.

A shard is written whole or not at all, and a run that was killed goes on at the first missing one,
to the same bytes. The manifest says what the run is before the first shard and that it is complete
after the last.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastseq._lazy import load
from fastseq.arrays import Codes
from fastseq.errors import FormatError, ResumeError, UnreadableFileError
from fastseq.io.files import replacing
from fastseq.io.maps import Maps, arrays_of, maps_of, read_maps, write_maps

MANIFEST = "manifest.json"
KIND = "fastseq-map-shards-1"
# sequences of a shard: 256 x 4 x 2,114 values of one task are 9 MB
SHARD = 256
BY_ROW = ("names", "codes", "values", "y_ref")


def are_shards(path: str | PathLike) -> bool:
    """Return whether a name is that of a folder or Zarr group rather than of one file."""
    return Path(path).is_dir() or str(path).endswith(("/", ".zarr"))


def write_shards(
    path: str | PathLike,
    names: tuple[str, ...],
    codes: Codes,
    make: Callable[[slice], Maps],
    identity: Mapping[str, Any],
    *,
    resume: bool = False,
    progress: Callable[[int], Iterator[slice]] | None = None,
) -> None:
    """Write the maps of a set shard by shard.

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
    resume : bool
        Whether a run that is there already may be continued.
    progress : callable, optional
        From a number of rows to slices of `SHARD`, told as they are done.

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
    store = _Zarr(home) if home.suffix == ".zarr" else _Folder(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be made: {error.strerror}") from error
    run = {"kind": KIND, "rows": len(codes), "shard": SHARD, "identity": dict(identity)}
    _begin(home, json.loads(json.dumps(run)), resume)
    for number, rows in enumerate(progress(len(codes)) if progress else slices(len(codes))):
        if not store.has(number):
            store.write(number, make(rows), names, codes)
    _write_manifest(home, {**run, "complete": True})


def slices(rows: int) -> Iterator[slice]:
    """Yield the rows of every shard."""
    for first in range(0, rows, SHARD):
        yield slice(first, min(first + SHARD, rows))


def holds_shards(path: str | PathLike) -> bool:
    """Return whether a folder is one that `write_shards` has begun or finished."""
    try:
        _manifest(Path(path))
    except FormatError:
        return False
    return True


def read_shards(path: str | PathLike) -> Maps:
    """Return the maps of a folder or Zarr group that is complete.

    Raises
    ------
    FormatError
        It is no such folder, or its run has not ended.
    """
    home = Path(path)
    manifest = _manifest(home)
    if not manifest.get("complete"):
        raise FormatError(f"{path}: its run has not ended; go on with --resume")
    store = _Zarr(home) if home.suffix == ".zarr" else _Folder(home)
    return store.read(-(-manifest["rows"] // manifest["shard"]))


def _begin(home: Path, run: dict[str, Any], resume: bool) -> None:
    if not (home / MANIFEST).exists():
        if any(home.iterdir()):
            raise ResumeError(f"{home}: holds other files; choose another folder")
        _write_manifest(home, {**run, "complete": False})
        return
    theirs = _manifest(home)
    theirs.pop("complete", None)
    if not resume:
        raise ResumeError(f"{home}: already holds a run; resume it or choose another folder")
    if theirs != run:
        mine, other = run["identity"], theirs.get("identity", {})
        differ = [key for key in {**mine, **other} if mine.get(key) != other.get(key)]
        raise ResumeError(f"{home}: holds another run; {', '.join(differ) or 'rows'} differ")


def _manifest(home: Path) -> dict[str, Any]:
    try:
        found = json.loads((home / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise FormatError(f"{home}: no {MANIFEST} of maps can be read there ({error})") from error
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise FormatError(f"{home}: {MANIFEST} is not that of maps")
    return found


def _write_manifest(home: Path, manifest: Mapping[str, Any]) -> None:
    with replacing(home / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1))


class _Folder:
    """Shards as .npz files, each as `write_maps` writes them."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def _part(self, number: int) -> Path:
        return self.home / f"part-{number:05d}.npz"

    def has(self, number: int) -> bool:
        return self._part(number).exists()

    def write(self, number: int, maps: Maps, names: tuple[str, ...], codes: Codes) -> None:
        write_maps(self._part(number), maps)

    def read(self, shards: int) -> Maps:
        parts = [arrays_of(read_maps(self._part(number))) for number in range(shards)]
        joined = {n: np.concatenate([part[n] for part in parts]) for n in BY_ROW if n in parts[0]}
        return maps_of({**parts[0], **joined})


class _Zarr:
    """Shards as chunks of the arrays of a Zarr group; a shard counts once its mark is written."""

    def __init__(self, home: Path) -> None:
        self.home, self._zarr = home, load("zarr")

    def _mark(self, number: int) -> Path:
        return self.home / "done" / f"{number:05d}"

    def has(self, number: int) -> bool:
        return self._mark(number).exists()

    def write(self, number: int, maps: Maps, names: tuple[str, ...], codes: Codes) -> None:
        rows = slice(number * SHARD, number * SHARD + len(maps))
        made = arrays_of(maps)
        if not (self.home / "zarr.json").exists():
            self._create(made, names, codes)
        group = self._zarr.open_group(self.home, mode="r+")
        for name in ("values", "y_ref"):
            if name in made:
                group[name][rows] = made[name]
        self._mark(number).parent.mkdir(exist_ok=True)
        with replacing(self._mark(number)) as temporary:
            temporary.write_bytes(b"")

    def _create(self, made: Mapping[str, NDArray], names: tuple[str, ...], codes: Codes) -> None:
        """Make the arrays, and the group's own file last: without it, all are made again."""
        text = np.frombuffer("\n".join(names).encode(), np.uint8)
        for name, given in (("names", text), ("codes", codes)):
            chunks = tuple(max(1, size) for size in given.shape)
            array = self._zarr.create_array(
                self.home / name, shape=given.shape, dtype="uint8", chunks=chunks, overwrite=True
            )
            array[:] = given
        for name in ("values", "y_ref"):
            if name in made:
                each = made[name].shape[1:]
                self._zarr.create_array(
                    self.home / name, shape=(len(codes), *each), dtype="float32",
                    chunks=(SHARD, *each), overwrite=True,
                )  # fmt: skip
        single = {name: made[name].tolist() for name in ("kind", "start", "method", "tasks")}
        self._zarr.create_group(self.home, attributes=single)

    def read(self, shards: int) -> Maps:
        group = self._zarr.open_group(self.home, mode="r")
        held = (name for name in BY_ROW if (self.home / name).exists())
        arrays = {name: group[name][:] for name in held}
        names = arrays["names"].tobytes().decode().split("\n")
        attributes = {name: np.array(value) for name, value in group.attrs.items()}
        return maps_of({**arrays, **attributes, "names": np.array(names, dtype=str)})
