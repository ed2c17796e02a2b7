"""Coverage of windows, from bigWig files."""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from fastseq._lazy import load
from fastseq.errors import ContigError, FormatError, MissingFileError, OptionError
from fastseq.io.fasta import listed

Statistic: TypeAlias = Literal["mean", "sum", "log_sum", "max"]
STATISTICS = {
    "mean": np.mean,
    "sum": np.sum,
    "log_sum": lambda values: np.log1p(np.sum(values)),
    "max": np.max,
}


def coverage(
    path: str | PathLike[str],
    chroms: Iterable[str],
    starts: Iterable[int],
    length: int,
    *,
    statistic: Statistic = "mean",
) -> np.ndarray:
    """Return one number a window of a bigWig file; positions without a value count as 0.

    Parameters
    ----------
    path : path
        Never a web address.
    chroms : iterable of str, (n,)
    starts : iterable of int, (n,)
        0-based; windows may leave their contig.
    length : int
    statistic : {"mean", "sum", "log_sum", "max"}
        "log_sum" is ln(1 + sum), which a head of log counts answers.

    Returns
    -------
    float32, (n,)

    Raises
    ------
    MissingFileError, FormatError
        There is no such file, or it is no bigWig.
    ContigError
        The file has no such contig; the message lists what there is.
    OptionError
        Another statistic.
    MissingExtraError
        pybigtools is not installed.
    """
    if statistic not in STATISTICS:
        raise OptionError(f"statistic={statistic!r}; expected one of {', '.join(STATISTICS)}")
    summed = STATISTICS[statistic]
    found = [summed(values) for values in _windows(path, chroms, starts, length)]
    return np.array(found, np.float32)


def profiles(
    path: str | PathLike[str],
    chroms: Iterable[str],
    starts: Iterable[int],
    length: int,
    *,
    stretch: int = 1,
) -> np.ndarray:
    """Return the sums of every stretch of windows of a bigWig file.

    Parameters
    ----------
    path, chroms, starts, length
        As `coverage` takes them.
    stretch : int
        Bases that are summed to one number; it divides the length.

    Returns
    -------
    float32, (n, length // stretch)

    Raises
    ------
    MissingFileError, FormatError, ContigError, MissingExtraError
        As `coverage`.
    OptionError
        The length is no multiple of the stretch.
    """
    if stretch < 1 or length % stretch:
        raise OptionError(f"{length} bp do not fall into stretches of {stretch} bp")
    found = [
        values.reshape(-1, stretch).sum(1).astype(np.float32)
        for values in _windows(path, chroms, starts, length)
    ]
    return np.stack(found) if found else np.empty((0, length // stretch), np.float32)


def _windows(
    path: str | PathLike[str], chroms: Iterable[str], starts: Iterable[int], length: int
) -> Iterator[np.ndarray]:
    """Yield the values of each window, float64 (length,), 0 where there is none."""
    bigtools = load("pybigtools")
    if not Path(path).is_file():
        raise MissingFileError(f"there is no bigWig {path}")
    try:
        file = bigtools.open(str(path))
    except (bigtools.BBIReadError, ValueError) as error:
        raise FormatError(f"{path} is no bigWig: {error}") from error
    with file:
        there = file.chroms()
        for chrom, start in zip(chroms, starts):
            if chrom not in there:
                raise ContigError(f"{path} has no contig {chrom!r}; it has {listed([*there])}")
            begin, end = max(int(start), 0), min(int(start) + length, there[chrom])
            values = np.zeros(length)
            if end > begin:
                inside = file.values(chrom, begin, end, fillna=0.0)
                values[begin - int(start) : end - int(start)] = inside
            yield values
