"""Training rows cut from a genome: peaks of a BED file, coverage of bigWig files, chromosomes."""

from collections import Counter
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from fastseq.errors import OptionError, TableError
from fastseq.io.bed import read_bed
from fastseq.io.bigwig import Statistic, coverage, profiles
from fastseq.io.fasta import PADDED, Genome, listed
from fastseq.learn.dataset import Labelled

TRIES = 50


def from_genome(
    bed: str | PathLike[str],
    fasta: "str | PathLike[str] | Genome",
    *,
    length: int,
    bigwig: "str | PathLike[str] | Sequence[str | PathLike]" = (),
    statistic: Statistic = "mean",
    profile: int = 0,
    stretch: int = 1,
    valid: Sequence[str] = (),
    test: Sequence[str] = (),
    drop: Sequence[str] = (),
    background: float = 1.0,
    seed: int = 0,
) -> Labelled:
    """Return windows around the regions of a BED file, labelled, and split by chromosome.

    Parameters
    ----------
    bed : path
        A window's middle is its region's.
    fasta : path or Genome
    length : int
        Of a window, in bp.
    bigwig : path or list of paths
        The label of each is the coverage of the window, one task a file. Without any, regions are
        1, and windows that meet none are 0.
    statistic : {"mean", "sum", "log_sum", "max"}
        See `fastseq.io.bigwig.coverage`.
    profile, stretch : int
        Instead of one number, the coverage of the so many middle bases, summed over stretches of
        so many: targets are (n, tasks, profile // stretch).
    valid, test, drop : sequence of str
        Chromosomes to validate on, to keep for a test, and to leave out; the rest train. Without
        ``valid``, `fastseq.train` draws rows to validate on.
    background : float
        Windows without a region for each with one, drawn by ``seed`` chromosome by chromosome,
        where no base is unknown; they are 0, or have their coverage.

    Returns
    -------
    Labelled
        ``fold`` says train, val and test; ``dropped`` counts windows that leave their chromosome.

    Raises
    ------
    MissingFileError, FormatError
        A file is not there or not what it should be.
    ContigError
        The FASTA or a bigWig has no such chromosome.
    TableError
        No window is left.
    OptionError
        Chromosomes that no region is on, twice named, or a test without ``valid``; there is no
        room for so many background windows; or labels would all be 1.
    """
    tracks = [bigwig] if isinstance(bigwig, (str, PathLike)) else list(bigwig)
    if length < 1 or background < 0 or not (tracks or background):
        raise OptionError(
            f"length={length}, background={background}; expected 1 or more, and some background "
            "where there is no bigWig to give the labels"
        )
    alone = not tracks or statistic != "mean"
    if not 0 <= profile <= length or (profile and alone) or (stretch != 1 and not profile):
        raise OptionError(
            f"profile={profile}, stretch={stretch} of length={length}; expected a profile of at "
            "most the length, a bigWig, and no statistic beside it"
        )
    genome = fasta if isinstance(fasta, Genome) else Genome.open(fasta)
    everywhere = read_bed(bed)
    _check_chromosomes(everywhere, valid, test, drop)
    regions = [region for region in everywhere if region.chrom not in drop]
    contigs = np.array([genome.index(region.chrom) for region in regions], np.int32)
    ends = np.array([region[1:] for region in regions], np.int64)
    middles = ends.reshape(-1, 2).sum(1) // 2
    starts = middles - length // 2
    inside = genome.marks(contigs, starts, length) & PADDED == 0
    if not inside.any():
        raise TableError(f"{bed}: no window of {length} bp lies inside its chromosome")
    peaks, rng = int(inside.sum()), np.random.default_rng(seed)
    contigs, starts = contigs[inside], starts[inside]
    if background:
        empty = _background(genome, regions, contigs, length, background, rng)
        contigs, starts = (np.concatenate(pair) for pair in zip((contigs, starts), empty))
    names = [genome.names[contig] for contig in contigs]
    middle = profile or length
    inner = starts + (length - middle) // 2
    labels = [
        profiles(track, names, inner, profile, stretch=stretch) if profile
        else coverage(track, names, starts, length, statistic=statistic)
        for track in tracks
    ]  # fmt: skip
    fold = None
    if valid:
        words = {name: "val" for name in valid} | {name: "test" for name in test}
        fold = np.array([words.get(name, "train") for name in names])
    left_out = len(regions) - peaks
    return Labelled(
        genome.windows(contigs, starts, length),
        np.stack(labels or [(np.arange(len(names)) < peaks).astype(np.float32)], axis=1),
        tuple(Path(track).stem for track in tracks) or ("peak",),
        fold,
        dropped=f"{left_out} of {len(regions)} windows leave their chromosome" if left_out else "",
    )


def _check_chromosomes(
    regions: Sequence, valid: Sequence[str], test: Sequence[str], drop: Sequence[str]
) -> None:
    there = {region.chrom for region in regions}
    # one to drop may be absent already
    if unknown := {*valid, *test} - there:
        raise OptionError(
            f"no region is on {', '.join(sorted(unknown))}; they are on {listed(sorted(there))}"
        )
    uses = Counter([*valid, *test, *drop])
    if twice := sorted(name for name, times in uses.items() if times > 1):
        raise OptionError(f"{', '.join(twice)} is held out twice; expected one use a chromosome")
    if test and not valid:
        raise OptionError("test chromosomes ask for valid ones, or rows of them would validate")


def _background(
    genome: Genome,
    regions: Sequence,
    contigs: np.ndarray,
    length: int,
    share: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return contigs and starts of windows that meet no region and have no unknown base."""
    chosen, places = [], []
    for contig, peaks in zip(*np.unique(contigs, return_counts=True)):
        wanted, name = round(peaks * share), genome.names[contig]
        spans = np.array([r[1:] for r in regions if r.chrom == name], np.int64)
        spans = spans[np.argsort(spans[:, 0])]
        # the furthest end of all regions that begin before
        ends = np.maximum.accumulate(spans[:, 1])
        found, room = np.empty(0, np.int64), genome.contigs[name] - length
        for _ in range(TRIES):
            if len(found) >= wanted:
                break
            drawn = rng.integers(0, room + 1, max(2 * (wanted - len(found)), 64))
            before = np.searchsorted(spans[:, 0], drawn + length, side="left")
            clear = (before == 0) | (ends[before - 1] <= drawn)
            known = genome.marks(np.full(len(drawn), contig), drawn, length) == 0
            found = np.union1d(found, drawn[clear & known])
        if len(found) < wanted:
            raise OptionError(
                f"{name} has room for {len(found)} of {wanted} windows of {length} bp without a "
                f"region or unknown base; lower background={share}"
            )
        chosen.append(np.full(wanted, contig, np.int32))
        places.append(rng.permutation(found)[:wanted])
    return np.concatenate(chosen), np.concatenate(places)
