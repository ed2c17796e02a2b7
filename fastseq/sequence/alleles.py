"""Alleles as rows: checked against the genome, brought to normal form, turned into edits."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastseq._native import alleles as native
from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import OptionError, ReferenceMismatchError
from fastseq.sequence.edits import Edits

MismatchPolicy: TypeAlias = Literal["skip", "swap", "force", "error"]

STATUS = (
    "ok", "ref_mismatch", "symbolic", "spanning_deletion", "no_alt",
    "ref_equals_alt", "breakend", "out_of_bounds", "unknown_contig", "non_ACGT",
)  # fmt: skip
OK, REF_MISMATCH, UNKNOWN_CONTIG = 0, 1, 8
"""Each allele has exactly one of these outcomes, by number."""

FLAGS = ("padded", "n_in_window", "left_shifted", "swapped", "forced")
PADDED, N_IN_WINDOW, LEFT_SHIFTED, SWAPPED, FORCED = 1, 2, 4, 8, 16
"""And any of these flags, as bits."""

POLICIES = {"skip": 0, "swap": 1, "force": 2, "error": 0}
CODE = np.full(256, 4, np.uint8)
CODE[np.frombuffer(b"ACGTacgt", np.uint8)] = [0, 1, 2, 3, 0, 1, 2, 3]


def gather(
    text: NDArray[np.uint8], spans: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Return [start, end) slices of a text, (v, 2), one after the other, and their offsets."""
    return native.gather(text, np.ascontiguousarray(spans))


class HasCodes(Protocol):
    """What resolving needs of a genome (`fastseq.io.fasta.Genome` has it)."""

    names: list[str]
    offsets: NDArray[np.int64]
    data: Codes
    ambiguous: NDArray[np.int64]
    members: NDArray[np.uint8]

    def windows(self, contigs: int, starts: NDArray[np.int64], length: int) -> Codes: ...


@dataclass(frozen=True, eq=False)
class Variants:
    """A block of variants, one row per ALT allele, in the order of the input.

    Texts stay where they were read: id, ref and alt are [start, end) slices of one buffer.

    Parameters
    ----------
    text : uint8, (bytes,)
    contigs : list of str
        The names that ``chrom`` numbers.
    chrom : int32, (v,)
    pos : int64, (v,)
        1-based; 0 where the input holds no whole number.
    id, ref, alt : int64, (v, 2)
    record : int64, (v,)
        Input record of each allele, counted from 0 over the whole input.
    """

    text: NDArray[np.uint8]
    contigs: list[str]
    chrom: NDArray[np.int32]
    pos: NDArray[np.int64]
    id: NDArray[np.int64]
    ref: NDArray[np.int64]
    alt: NDArray[np.int64]
    record: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pos)

    def __getitem__(self, rows: slice | NDArray) -> "Variants":
        """Return some rows; the text is shared."""
        return Variants(
            self.text, self.contigs, self.chrom[rows], self.pos[rows],
            np.ascontiguousarray(self.id[rows]), np.ascontiguousarray(self.ref[rows]),
            np.ascontiguousarray(self.alt[rows]), self.record[rows],
        )  # fmt: skip

    @classmethod
    def from_texts(
        cls,
        chrom: Iterable[str],
        pos: NDArray[np.int64],
        id: Iterable[str],
        ref: Iterable[str],
        alt: Iterable[str],
        first_record: int = 0,
    ) -> "Variants":
        """Return variants of columns of text, ALT alleles apart by commas.

        Examples
        --------
        >>> block = Variants.from_texts(["chr1"], np.array([7]), ["."], ["A"], ["C,G"])
        >>> len(block), block.record.tolist()
        (2, [0, 0])
        """
        names: dict[str, int] = {}
        rows: list[tuple] = []
        pieces: list[bytes] = []
        at = 0
        for record, row in enumerate(zip(chrom, pos.tolist(), id, ref, alt)):
            name, position, *words = row
            place = names.setdefault(name, len(names))
            head, ref_text, alts = (word.encode() for word in words)
            ends = np.cumsum([at, len(head), len(ref_text)]).tolist()
            pieces += [head, ref_text, alts]
            at = ends[2]
            for allele in alts.split(b","):
                rows.append((place, position, *ends[:2], *ends[1:], at, at + len(allele), record))
                at += len(allele) + 1
            at -= 1
        table = np.array(rows, np.int64).reshape(-1, 9)
        ids, refs, spans = (np.ascontiguousarray(table[:, at : at + 2]) for at in (2, 4, 6))
        text = np.frombuffer(b"".join(pieces) + b"\n", np.uint8)
        return cls(
            text, list(names), table[:, 0].astype(np.int32), table[:, 1].copy(), ids, refs,
            spans, table[:, 8] + first_record,
        )  # fmt: skip


def every_snv(chrom: str, start: int, codes: Codes, first_record: int = 0) -> Variants:
    """Return the three substitutions of every known base, position by position, A C G T.

    Parameters
    ----------
    chrom : str
    start : int
        0-based contig position of the first base.
    codes : uint8, (length,)
    first_record : int

    Examples
    --------
    >>> snvs = every_snv("chr1", 9, np.array([0, 4], np.uint8))
    >>> snvs.pos.tolist(), snvs.ref[:, 0].tolist(), snvs.alt[:, 0].tolist()
    ([10, 10, 10], [0, 0, 0], [1, 2, 3])
    """
    differs = (codes[:, None] != np.arange(4, dtype=np.uint8)) & (codes[:, None] < 4)
    at, letter = np.nonzero(differs)
    place = codes[at].astype(np.int64)
    ids = np.full((len(at), 2), 4, np.int64)
    ids[:, 1] = 5
    return Variants(
        np.frombuffer(b"ACGT.", np.uint8), [chrom], np.zeros(len(at), np.int32), at + start + 1,
        ids, np.stack([place, place + 1], 1), np.stack([letter, letter + 1], 1),
        at + first_record,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Alleles:
    """What became of each allele of a block of variants against a genome.

    Parameters
    ----------
    status : uint8, (v,)
        Number in `STATUS`; the other columns mean something where it is `OK`.
    flags : uint8, (v,)
        Bits of `FLAGS`; the two about windows are set when windows are cut.
    contig : int32, (v,)
        The genome's contig, -1 where unknown.
    anchor : int64, (v,)
        0-based base that stands in the middle of the window: the first base of the normalised
        REF, the base before an indel included.
    start, removed : int64, (v,)
        The edit of the reference row, 0-based in the contig.
    inserted, offsets : uint8 codes and int64, (v + 1,)
    patched : bool, (v,)
        The file's REF has to be written over the genome's bases in the reference row.
    texts, text_offsets : uint8 and int64, (2 v + 1,)
        Normalised REF and ALT by turns.
    """

    status: NDArray[np.uint8]
    flags: NDArray[np.uint8]
    contig: NDArray[np.int32]
    anchor: NDArray[np.int64]
    start: NDArray[np.int64]
    removed: NDArray[np.int64]
    inserted: Codes
    offsets: NDArray[np.int64]
    patched: NDArray[np.bool_]
    texts: NDArray[np.uint8]
    text_offsets: NDArray[np.int64]

    @property
    def swapped(self) -> NDArray[np.bool_]:
        """Where the genome holds ALT, so that the edit makes REF of it, bool, (v,)."""
        return self.flags & SWAPPED > 0

    @property
    def growth(self) -> NDArray[np.int64]:
        """Bases the edited row is longer than the reference row, int64, (v,)."""
        return np.diff(self.offsets) - self.removed


def resolve(
    variants: Variants,
    genome: HasCodes,
    *,
    contigs: NDArray[np.int32] | None = None,
    normalize: bool = True,
    on_ref_mismatch: MismatchPolicy = "skip",
) -> Alleles:
    """Return the outcome, normal form and edit of every allele.

    REF is compared without regard to case; an IUPAC letter of the genome matches its members, and
    the file's base then stands in the reference row. Alleles are trimmed and shifted left as far
    as they go, so that all ways of writing a variant become the same edit.

    Parameters
    ----------
    variants : Variants
    genome : Genome
    contigs : int32, (len(variants.contigs),), optional
        The genome's contig for each of the block's, -1 for none; by equal names where not given.
    normalize : bool
        False leaves alleles as written and anchors the window at POS.
    on_ref_mismatch : {"skip", "swap", "force", "error"}
        Where REF is not what the genome holds: mark the row; if ALT is, read the genome as ALT;
        write REF into the reference row; or raise.

    Raises
    ------
    ReferenceMismatchError
        A REF differs and ``on_ref_mismatch`` is "error".
    OptionError
        There is no such policy.

    Notes
    -----
    Normal form as in Tan, Abecasis and Kang 2015 (doi 10.1093/bioinformatics/btv112): the end
    that both alleles share is removed, then the beginning; an indel rolls left while the base
    before it equals its last one, and is written with the base before it (at a contig's first
    base, the one behind it).
    """
    if on_ref_mismatch not in POLICIES:
        raise OptionError(
            f"on_ref_mismatch={on_ref_mismatch!r}; expected one of {', '.join(POLICIES)}"
        )
    if contigs is None:
        place = {name: at for at, name in enumerate(genome.names)}
        contigs = np.array([place.get(name, -1) for name in variants.contigs], np.int32)
    contig = contigs[variants.chrom] if len(variants) else np.empty(0, np.int32)
    status, flags, patched, *rest = native.resolve(
        variants.text, variants.ref, variants.alt, contig, variants.pos, genome.data,
        genome.offsets, genome.ambiguous, genome.members, normalize, POLICIES[on_ref_mismatch],
    )  # fmt: skip
    anchor, start, removed, inserted, offsets, texts, text_offsets = rest
    found = Alleles(
        status, flags, contig, anchor, start, removed, inserted, offsets, patched.view(bool),
        texts, text_offsets,
    )  # fmt: skip
    if on_ref_mismatch == "error" and (status == REF_MISMATCH).any():
        _refuse(variants, found, genome)
    return found


def _refuse(variants: Variants, found: Alleles, genome: HasCodes) -> None:
    row = int(np.argmax(found.status == REF_MISMATCH))
    ref = bytes(variants.text[slice(*variants.ref[row])]).decode("utf-8", "replace")
    begin = genome.offsets[found.contig[row]] + variants.pos[row] - 1
    held = "".join("ACGTN"[code] for code in genome.data[begin : begin + len(ref)])
    raise ReferenceMismatchError(
        f"record {variants.record[row] + 1}, {variants.contigs[variants.chrom[row]]}:"
        f"{variants.pos[row]}: REF is {ref}, the genome holds {held}; another assembly? "
        "(on_ref_mismatch='skip' marks such rows, 'swap' reads ALT as the genome's allele)"
    )


def edits(
    found: Alleles,
    rows: NDArray[np.int64],
    genome: HasCodes,
    *,
    row: NDArray[np.int64],
    origin: NDArray[np.int64],
    row_length: int,
    margin: int,
) -> Edits:
    """Return the edits of some alleles against reference rows that begin at ``origin``.

    Parameters
    ----------
    found : Alleles
    rows : int64, (e,)
        The alleles.
    genome : Genome
    row : int64, (e,)
        Reference row of each.
    origin : int64, (e,)
        0-based contig position of the first base of that row.
    row_length : int
        Bases in a row.
    margin : int
        Bases of it that deletions may draw in. An allele that shortens the row by more replaces
        everything up to the row's end, with the genome's bases from behind the deletion.

    Returns
    -------
    Edits
    """
    begin = np.clip(found.start[rows] - origin, 0, row_length)
    room = row_length - begin
    size = np.minimum(np.diff(found.offsets)[rows], room)
    removed = np.minimum(found.removed[rows], room)
    long = np.flatnonzero(-found.growth[rows] > margin)
    removed[long] = room[long]
    total = size.copy()
    total[long] = room[long]
    offsets = np.concatenate([[0], np.cumsum(total)])
    # where each inserted code comes from; a refill takes its codes below
    source = np.repeat(found.offsets[:-1][rows] - offsets[:-1], total) + np.arange(offsets[-1])
    pool = np.append(found.inserted, np.uint8(UNKNOWN))
    inserted = pool[np.minimum(source, len(found.inserted))]
    for edit in long.tolist():
        allele = rows[edit]
        behind = found.start[allele] + found.removed[allele]
        count = int(room[edit] - size[edit])
        refill = genome.windows(int(found.contig[allele]), np.array([behind]), count)[0]
        inserted[offsets[edit] + size[edit] : offsets[edit + 1]] = refill
    return Edits(row, begin, removed, inserted, offsets)


def right_edits(
    found: Alleles,
    rows: NDArray[np.int64],
    genome: HasCodes,
    *,
    row: NDArray[np.int64],
    origin: NDArray[np.int64],
    row_length: int,
) -> Edits:
    """Return the edits that leave what is behind each allele in place and move what is before it.

    Everything from the row's first base to the allele's last is replaced by as many bases: the
    new allele, and before it the genome's bases from as far left as needed.

    Parameters
    ----------
    As for `edits`.

    Returns
    -------
    Edits
    """
    ends = np.clip(found.start[rows] - origin + found.removed[rows], 0, row_length)
    pieces = []
    for allele, begin, size in zip(rows.tolist(), origin.tolist(), ends.tolist()):
        word = found.inserted[found.offsets[allele] : found.offsets[allele + 1]]
        first = begin + int(found.growth[allele])
        before = max(int(found.start[allele]) - first, 0)
        flank = genome.windows(int(found.contig[allele]), np.array([first]), before)[0]
        whole = np.concatenate([flank, word])
        # an allele that reaches beyond the row's end is cut like the row
        cut = int(found.start[allele] + found.removed[allele]) - begin - size
        pieces.append(whole[: len(whole) - cut][-size:] if size else whole[:0])
    sizes = np.array([len(piece) for piece in pieces], np.int64)
    inserted = np.concatenate([*pieces, np.empty(0, np.uint8)])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Edits(row, np.zeros(len(rows), np.int64), ends, inserted, offsets)
