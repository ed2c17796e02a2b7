"""Which motifs a variant takes away and which it makes."""

from collections.abc import Sequence

from fastseq.arrays import Codes, check
from fastseq.errors import OptionError
from fastseq.score.seqlets import motif_hits
from fastseq.sequence.motifs import Motif

Hit = tuple[int, int, str]


def motif_changes(
    ref: Codes,
    alt: Codes,
    motifs: Sequence[Motif],
    *,
    at: int,
    ref_length: int = 1,
    alt_length: int = 1,
    threshold: float = 1e-4,
) -> tuple[list[Hit], list[Hit]]:
    """Return the motif hits that a variant takes away, and those that it makes.

    Parameters
    ----------
    ref, alt : uint8, (l,) and (l',)
        Both haplotypes, with the same left flank.
    motifs : sequence of Motif
    at : int
        Where the alleles begin, 0-based.
    ref_length, alt_length : int
        Bases of each allele.
    threshold : float
        Largest p-value of a hit.

    Returns
    -------
    lost, gained : list of (start, end, label)
        Hits that touch the allele and that the other haplotype lacks; ``lost`` in coordinates of
        ``ref``, ``gained`` of ``alt``, as `fastseq.show.allele_logos` takes them. Labels are name,
        strand and p-value.

    Raises
    ------
    OptionError
        The alleles leave their haplotypes.
    MissingExtraError
        memelite, whose FIMO finds the hits, is not installed.
    """
    found = []
    for name, codes, length in (("ref", ref, ref_length), ("alt", alt, alt_length)):
        codes = check(name, codes, "l", dtype="uint8")
        if not 0 <= at <= at + length <= len(codes):
            raise OptionError(f"bases {at} to {at + length} leave a haplotype of {len(codes)} bp")
        found.append(_hits(codes, motifs, at, length, threshold))
    lost = [span for key, span in found[0].items() if key not in found[1]]
    gained = [span for key, span in found[1].items() if key not in found[0]]
    return lost, gained


def _hits(
    codes: Codes, motifs: Sequence[Motif], at: int, length: int, threshold: float
) -> dict[tuple, Hit]:
    """Return hits that touch the allele, by motif, strand and distance from its nearer side."""
    names = {motif.id: motif.name for motif in motifs}
    hits: dict[tuple, Hit] = {}
    for hit in motif_hits(codes[None], motifs, threshold=threshold).itertuples():
        start, end = int(hit.start), int(hit.end)
        if start < at + max(length, 1) and end > at:
            # a hit that begins behind the allele's start moves with its right flank
            side, away = ("left", start - at) if start < at else ("right", start - at - length)
            label = f"{names[hit.motif]}{hit.strand} p = {hit.p_value:.1e}"
            hits[hit.motif, hit.strand, side, away] = (start, end, label)
    return hits
