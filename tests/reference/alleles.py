"""Alleles on plain strings: the haplotype, the window, the normal form. Never fast."""


def haplotype(contig: str, pos: int, ref: str, alt: str) -> str:
    """Return the contig with one allele in it (pos counts from 1)."""
    assert contig[pos - 1 : pos - 1 + len(ref)] == ref
    return contig[: pos - 1] + alt + contig[pos - 1 + len(ref) :]


def window(text: str, anchor: int, length: int, before: int) -> str:
    """Return ``length`` letters, the 0-based ``anchor`` at place ``before``; N beyond the ends."""
    start = anchor - before
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, start + length))


def normalize(contig: str, pos: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Return the normal form, one base at a time (Tan, Abecasis and Kang 2015, algorithm 1)."""
    changed = True
    while changed:
        changed = False
        if ref and alt and ref[-1] == alt[-1]:
            ref, alt, changed = ref[:-1], alt[:-1], True
        if not ref or not alt:
            if pos == 1:
                behind = contig[len(ref) : len(ref) + 1]
                return 1, ref + behind, alt + behind
            pos -= 1
            ref, alt, changed = contig[pos - 1] + ref, contig[pos - 1] + alt, True
            # an unknown base ends the roll
            if contig[pos - 1] not in "ACGT":
                break
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        pos, ref, alt = pos + 1, ref[1:], alt[1:]
    return pos, ref, alt
