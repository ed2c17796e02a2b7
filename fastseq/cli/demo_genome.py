"""The demo's own small genome, and variants inside and outside its planted motifs."""

from dataclasses import dataclass

import numpy as np

from fastseq.arrays import Codes
from fastseq.sequence.encode import decode
from fastseq.sequence.simulate import MotifTask

CONTIGS = ("chrA", "chrB")
BASES = "ACGT"
# random bases between two sequences with motifs, and so beside each contig's ends
SPACER = 100
LONGEST = 6
# bits of the motif column a base was drawn from, for a variant to count as inside
FIXED = 1.0
# variants of each kind, inside and outside motifs, on each contig
DRAWN = {"snv": 150, "insertion": 40, "deletion": 40, "multi": 20}


@dataclass(frozen=True)
class Genome:
    """Contigs of sequences with motifs, random bases between them.

    Attributes
    ----------
    contigs : dict of str to uint8, (bases,)
    bits : dict of str to float32, (bases,)
        Information of the motif column each base was drawn from; 0 outside motifs.
    motifs : dict of str to list of (start, end, name)
        0-based, half-open.
    """

    contigs: dict[str, Codes]
    bits: dict[str, np.ndarray]
    motifs: dict[str, list[tuple[int, int, str]]]


def lay_out(task: MotifTask, rows: np.ndarray, random: np.random.Generator) -> Genome:
    """Return a genome of these rows, an equal share of them on each contig."""
    contigs, bits, motifs = {}, {}, {}
    stride = SPACER + task.codes.shape[1]
    for name, members in zip(CONTIGS, np.array_split(rows, len(CONTIGS))):
        codes = random.integers(0, 4, (len(members) + 1, stride), dtype=np.uint8)
        codes[:-1, SPACER:] = task.codes[members]
        information = np.zeros(codes.shape, np.float32)
        information[:-1, SPACER:] = task.information[members]
        contigs[name], bits[name] = codes.ravel(), information.ravel()
        motifs[name] = [
            (at * stride + SPACER + start, at * stride + SPACER + end, motif)
            for at, row in enumerate(members)
            for _, start, end, motif, _ in task.spans[task.spans["row"] == row].tolist()
        ]
    return Genome(contigs, bits, motifs)


def write_vcf(genome: Genome, random: np.random.Generator) -> str:
    """Return a VCF of single-base changes, insertions, deletions and multi-allelic records.

    The id of each record says whether it was drawn inside a motif, at a base that the motif
    fixes, or outside all motifs.
    """
    lines = ["##fileformat=VCFv4.2"]
    lines += [f"##contig=<ID={name},length={len(codes)}>" for name, codes in genome.contigs.items()]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for name, codes in genome.contigs.items():
        text = str(decode(codes))
        records = sorted(
            (position, where, kind, *_alleles(text, position, kind, random))
            for where, at in _places(genome.bits[name]).items()
            for kind, number in DRAWN.items()
            for position in random.choice(at, number, replace=False).tolist()
        )
        for number, (position, where, kind, ref, alts) in enumerate(records):
            identifier = f"{where}_{kind}_{name}_{number}"
            fields = (name, position + 1, identifier, ref, ",".join(alts), ".", "PASS", ".")
            lines.append("\t".join(map(str, fields)))
    return "\n".join(lines) + "\n"


def _places(bits: np.ndarray) -> dict[str, np.ndarray]:
    """Return positions whose window is all genome, by where a variant there would lie."""
    planted: np.ndarray = bits > 0
    touched = np.lib.stride_tricks.sliding_window_view(planted, LONGEST).max(axis=1)
    # the next base, too, so that an insertion behind the first parts the motif
    fixed = np.asarray(bits[:-1] > FIXED) & planted[1:]
    whole = slice(SPACER, len(bits) - SPACER - LONGEST)
    return {
        "inside": np.flatnonzero(fixed[whole]) + SPACER,
        "outside": np.flatnonzero(~touched[whole]) + SPACER,
    }


def _alleles(
    text: str, position: int, kind: str, random: np.random.Generator
) -> tuple[str, list[str]]:
    """Return REF and the ALTs of one record."""
    base = text[position]
    others = [letter for letter in BASES if letter != base]
    inserted = base + "".join(random.choice(list(BASES), random.integers(1, LONGEST - 1)))
    match kind:
        case "snv":
            return base, [str(random.choice(others))]
        case "insertion":
            return base, [inserted]
        case "deletion":
            return text[position : position + int(random.integers(2, LONGEST))], [base]
        case _:
            return base, [str(random.choice(others)), inserted]
