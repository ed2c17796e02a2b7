"""Attribution maps of any program, without their sequences: NumPy's own formats and HDF5."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from fastseq._lazy import load
from fastseq.errors import FormatError, MissingFileError, OptionError, UnreadableFileError

# in a file of several arrays, these are taken for the maps, in this order
USUAL_KEYS = ("attributions", "maps", "raw", "hypothetical", "attr", "scores", "arr_0")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_plain_maps(path: str | Path, key: str | None = None) -> np.ndarray:
    """Return attribution maps (n, 4, length) or scores (n, length) of an npy, npz or HDF5 file.

    Parameters
    ----------
    path : str or Path
        The kind is told by the first bytes. An npy file is mapped, not read.
    key : str, optional
        Array of an npz or HDF5 file, ``group/name`` where it lies deeper; where not given, the only
        one or one of a usual name.

    Returns
    -------
    float
        Maps stored as (n, length, 4) come back as (n, 4, length); (n, 4, 4) is taken as it is.

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        It is none of the three, is cut off, or its array has other axes.
    OptionError
        No such key, or several arrays and none of a usual name.
    MissingExtraError
        HDF5 without h5py.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingFileError(f"{path}: no such file") from error
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        if head == _HDF5:
            maps = _hdf5(path, key)
        elif head[:4] == b"PK\x03\x04":
            # NumPy leaves a file that it opened itself open when the archive is damaged
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                maps = archive[_choose(path, key, archive.files)]
        elif head[:6] == b"\x93NUMPY":
            maps = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            raise FormatError(f"{path}: expected an npy, npz or HDF5 file")
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        if isinstance(error, FormatError | OptionError):
            raise
        raise FormatError(f"{path}: cut off or damaged ({error})") from error
    if maps.ndim == 3 and maps.shape[1] != 4 and maps.shape[2] == 4:
        maps = maps.transpose(0, 2, 1)
    if maps.dtype.kind not in "fiu" or not (
        maps.ndim == 2 or (maps.ndim == 3 and maps.shape[1] == 4)
    ):
        raise FormatError(
            f"{path}: the array is {maps.dtype} of shape {maps.shape}; expected numbers "
            "(n, 4, length), (n, length, 4) or (n, length)"
        )
    return maps


def _choose(path: Path, key: str | None, names: list[str]) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key is None:
        key = next((name for name in USUAL_KEYS if name in names), None)
    if key not in names:
        raise OptionError(
            f"{path} holds {', '.join(names) or 'no array'}; name the maps with key="
            + (f" (there is no {key!r})" if key else "")
        )
    return key


def _hdf5(path: Path, key: str | None) -> np.ndarray:
    h5py = load("h5py")
    names: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        return file[_choose(path, key, names)][()]
