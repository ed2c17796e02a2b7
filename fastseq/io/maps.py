"""Maps over sequences on disk: effects of mutations or gradients, one .npz file, never a pickle."""

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from fastseq.arrays import UNKNOWN, Codes, check
from fastseq.errors import FormatError, ShapeError
from fastseq.io.files import chunks, replacing, write_bytes
from fastseq.sequence.encode import one_hot

KIND = "fastseq-maps-1"


@dataclass(frozen=True, eq=False)
class Maps:
    """One value per letter and position of a span of each sequence.

    Attributes
    ----------
    names : tuple of str, (n,)
    codes : uint8, (n, length)
    values : float32, (n, tasks, 4, span)
        As computed: effects of substitutions, or gradients.
    start : int
        Where the span begins in the sequences, 0-based.
    method : str
        "ism" where ``values`` are effects, otherwise the name of the attribution.
    tasks : tuple of str
    y_ref : float32, (n, tasks), or None
        Answers for the unchanged sequences.
    missing : float32, (n,), or None
        What contributions lack of the score that they should add up to.

    Raises
    ------
    ShapeError
        Names, codes and values do not belong together.
    """

    names: tuple[str, ...]
    codes: Codes
    values: NDArray[np.float32]
    start: int = 0
    method: str = "ism"
    tasks: tuple[str, ...] = ("y",)
    y_ref: NDArray[np.float32] | None = None
    missing: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        check("codes", self.codes, "n l", dtype="uint8", n=len(self.names))
        check("values", self.values, "n t 4 s", dtype="f", n=len(self.names), t=len(self.tasks))
        if self.y_ref is not None:
            check("y_ref", self.y_ref, "n t", dtype="f", n=len(self.names), t=len(self.tasks))
        if self.missing is not None:
            check("missing", self.missing, "n", dtype="f", n=len(self.names))
        if not 0 <= self.start <= self.start + self.values.shape[3] <= self.codes.shape[1]:
            raise ShapeError(
                f"a span of {self.values.shape[3]} from {self.start} leaves sequences of "
                f"{self.codes.shape[1]} bp"
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def span(self) -> Codes:
        """The bases that have values, uint8, (n, span)."""
        return self.codes[:, self.start : self.start + self.values.shape[3]]

    @property
    def hypothetical(self) -> NDArray[np.float32]:
        """Values minus their mean over the four letters, (n, tasks, 4, span)."""
        return self.values - self.values.mean(2, keepdims=True)

    @property
    def observed(self) -> NDArray[np.float32]:
        """Hypothetical at the observed base, (n, tasks, span); 0 at unknown bases."""
        base = np.minimum(self.span, UNKNOWN - 1)[:, None, None, :]
        chosen = np.take_along_axis(self.hypothetical, base, axis=2)[:, :, 0]
        return np.where(self.span[:, None] < UNKNOWN, chosen, 0)

    def rows(self, chosen: Sequence[int] | NDArray[np.integer]) -> "Maps":
        """Return the maps of some rows."""
        return replace(
            self,
            names=tuple(self.names[row] for row in chosen),
            codes=self.codes[chosen],
            values=self.values[chosen],
            y_ref=None if self.y_ref is None else self.y_ref[chosen],
            missing=None if self.missing is None else self.missing[chosen],
        )


def write_maps(path: str | PathLike[str], maps: Maps) -> None:
    """Write maps as one compressed .npz file, whole or not at all.

    Raises
    ------
    UnreadableFileError
        The folder does not take files.
    """
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **arrays_of(maps))
    write_bytes(path, sink.getvalue())


def arrays_of(maps: Maps) -> dict[str, NDArray]:
    """Return maps as named arrays, the form in which they lie on disk."""
    arrays = {
        "kind": np.array(KIND),
        "names": np.array(maps.names, dtype=str),
        "codes": maps.codes,
        "values": maps.values,
        "start": np.array(maps.start),
        "method": np.array(maps.method),
        "tasks": np.array(maps.tasks, dtype=str),
    }
    optional = {"y_ref": maps.y_ref, "missing": maps.missing}
    return arrays | {name: array for name, array in optional.items() if array is not None}


def maps_of(arrays: Mapping[str, NDArray]) -> Maps:
    """Return the maps that `arrays_of` took apart.

    Raises
    ------
    KeyError, ShapeError
        One is missing, or they do not belong together.
    """
    return Maps(
        tuple(arrays["names"].tolist()),
        arrays["codes"],
        arrays["values"],
        int(arrays["start"]),
        str(arrays["method"]),
        tuple(arrays["tasks"].tolist()),
        arrays.get("y_ref"),
        arrays.get("missing"),
    )


def write_modisco(
    folder: str | PathLike[str], parts: Iterable[Maps], rows: int, *, task: int = 0
) -> None:
    """Write ``ohe.npz`` and ``shap.npz``, which TF-MoDISco-lite reads, part by part.

    One-hot and hypothetical maps, float32 (n, 4, span), each under the name ``arr_0``:
    ``modisco motifs -s ohe.npz -a shap.npz -n 2000 -w 200 -o results.h5`` (version 3.0.0), the
    window ``-w`` being the length at most.

    Parameters
    ----------
    folder : path-like
    parts : iterable of Maps
        Such as `fastseq.io.map_shards.each_shard` gives; one at a time is in memory.
    rows : int
        Sequences in all parts.
    task : int

    Raises
    ------
    UnreadableFileError
        The folder does not take files.
    """
    with ExitStack() as opened:
        files: dict[str, IO[bytes]] = {}
        for maps in parts:
            hot = one_hot(maps.span, dtype="float32")
            for name, array in (("ohe", hot), ("shap", maps.hypothetical[:, task])):
                if name not in files:
                    file = _growing(Path(folder) / f"{name}.npz", (rows, *array.shape[1:]))
                    files[name] = opened.enter_context(file)
                files[name].write(np.ascontiguousarray(array, "<f4").tobytes())


@contextmanager
def _growing(path: Path, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    """Yield where the numbers of a float32 array go, in an .npz file of that one array."""
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("arr_0.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, about)
        yield member


def read_maps(path: str | PathLike[str]) -> Maps:
    """Return the maps that `write_maps` wrote.

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        It is no .npz file, is cut off, or holds something else.
    """
    try:
        with np.load(io.BytesIO(b"".join(chunks(path))), allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except (ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise FormatError(
            f"{path}: expected the .npz of `fastseq ism` or `attribute`, found damaged or other "
            f"data ({error})"
        ) from error
    if str(held.get("kind")) != KIND:
        raise FormatError(
            f"{path}: expected the .npz of `fastseq ism` or `attribute`; it holds "
            f"{', '.join(held) or 'nothing'}"
        )
    try:
        return maps_of(held)
    except (KeyError, ShapeError) as error:
        raise FormatError(f"{path}: its arrays do not belong together ({error})") from error
