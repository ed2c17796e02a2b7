"""A genome in memory as codes: read once from any FASTA, windows cut at memory speed."""

import hashlib
import json
from collections.abc import Mapping
from os import PathLike, fspath
from os import path as ospath

import numpy as np
from numpy.typing import NDArray

from fastseq._native import fasta as native
from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import ContigError, FormatError, OptionError
from fastseq.io.files import CHUNK, chunks, first_bytes, opened, replacing, write_bytes

LETTERS = np.frombuffer(b"ACGTN", np.uint8)
SAVED = b"fastseq genome 1\n"
# windows reach beyond a contig's end, or hold an unknown base
PADDED, HAS_UNKNOWN = 1, 2


class Genome:
    """Every contig of a FASTA as one array of codes, with a table of its ambiguous letters.

    A window costs one copy of its bases. Soft-masked (lower-case) letters read as upper case,
    U as T; N and the IUPAC ambiguity letters are unknown (4), and `members` remembers which
    bases the latter stand for.

    Attributes
    ----------
    names : list of str
        Contigs in the order of the file.
    offsets : int64, (contigs + 1,)
        Contig c is ``data[offsets[c]:offsets[c + 1]]``.
    data : uint8, (bases,)
    ambiguous : int64, (a,)
        Ascending positions in ``data`` of ambiguity letters other than N.
    members : uint8, (a,)
        The bases each stands for, as bits A=1 C=2 G=4 T=8.

    Examples
    --------
    >>> genome = Genome.from_sequences({"chr1": "ACGTN"})
    >>> genome.codes("chr1", 2, 7).tolist()
    [2, 3, 4, 4, 4]
    """

    def __init__(
        self,
        names: list[str],
        offsets: NDArray[np.int64],
        data: Codes,
        ambiguous: NDArray[np.int64],
        members: NDArray[np.uint8],
        source: str = "genome",
    ) -> None:
        self.names = names
        self.offsets = offsets
        self.data = data
        self.ambiguous = ambiguous
        self.members = members
        self.source = source
        self._index = {name: at for at, name in enumerate(names)}

    @classmethod
    def open(cls, path: str | PathLike[str]) -> "Genome":
        """Read a FASTA: plain, gzip or bgzip, with or without an index; nothing is written.

        Parameters
        ----------
        path : path-like
            ``-`` reads standard input. A contig's name is the first word of its header. What
            `save` wrote is mapped, not read.

        Raises
        ------
        MissingFileError, UnreadableFileError
            There is no such file, or it cannot be read.
        FormatError
            It is empty, no FASTA, cut off, names a contig twice, or holds a letter outside IUPAC.

        Notes
        -----
        One pass over the text, one byte a base in memory. An index is not needed and not trusted:
        a stale one cannot shift a window.
        """
        name = fspath(path)
        # what comes through a pipe comes once
        if ospath.isfile(name) and first_bytes(name, len(SAVED)) == SAVED:
            return cls._open_saved(name)
        return _Reader(name).read()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the genome as codes; `open` then maps the file, shared by all processes.

        Raises
        ------
        UnreadableFileError
            The folder does not take files.
        """
        head = {"contigs": self.contigs, "source": self.source, "ambiguous": len(self.ambiguous)}
        words = json.dumps(head).encode()
        words += b" " * (-(len(SAVED) + 8 + len(words)) % 64)
        with replacing(path) as temporary, temporary.open("wb") as out:
            out.write(SAVED + len(words).to_bytes(8, "little") + words)
            for part in (self.ambiguous, self.members, self.data):
                out.write(np.ascontiguousarray(part).data.cast("B"))

    @classmethod
    def _open_saved(cls, path: str) -> "Genome":
        with opened(path) as stream:
            stream.read(len(SAVED))
            size = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(size))
        at = len(SAVED) + 8 + size
        count, lengths = head["ambiguous"], list(head["contigs"].values())
        whole = np.memmap(path, np.uint8, "r")
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        if len(whole) != at + 9 * count + offsets[-1]:
            raise FormatError(f"{path}: cut off; save the genome again")
        ambiguous = np.frombuffer(whole[at : at + 8 * count].tobytes(), np.int64)
        members = whole[at + 8 * count : at + 9 * count].copy()
        data = np.asarray(whole)[at + 9 * count :]
        return cls(list(head["contigs"]), offsets, data, ambiguous, members, head["source"])

    @classmethod
    def from_sequences(cls, sequences: "Mapping[str, str | Codes]") -> "Genome":
        """Return a genome of named texts or codes."""
        reader = _Reader("sequences")
        for name, sequence in sequences.items():
            reader.begin(name)
            reader.take((sequence if isinstance(sequence, str) else _text(sequence)).encode(), 0)
        return reader.finish()

    @property
    def contigs(self) -> dict[str, int]:
        """Length of each contig by name, in the order of the file."""
        return dict(zip(self.names, np.diff(self.offsets).tolist()))

    def digest(self) -> str:
        """Return the SHA-256 of names, lengths and codes, however the file was compressed."""
        head = json.dumps(self.contigs).encode()
        return hashlib.sha256(hashlib.sha256(self.data.data).digest() + head).hexdigest()

    def index(self, chrom: str) -> int:
        """Return a contig's place in `names`.

        Raises
        ------
        ContigError
            There is no such contig; the message lists what there is.
        """
        if chrom not in self._index:
            raise ContigError(f"{self.source} has no contig {chrom!r}; it has {listed(self.names)}")
        return self._index[chrom]

    def codes(self, chrom: str, start: int, end: int) -> Codes:
        """Return the codes of [start, end) (0-based, half-open), 4 beyond the contig's ends.

        Raises
        ------
        ContigError
            There is no such contig.
        OptionError
            ``end`` lies before ``start``.
        """
        if end < start:
            raise OptionError(f"{chrom}:{start}-{end} ends before it starts")
        contig = np.array([self.index(chrom)], np.int32)
        return self.windows(contig, np.array([start], np.int64), end - start)[0]

    def text(self, chrom: str, start: int, end: int) -> str:
        """Return [start, end) as A, C, G, T and N, N beyond the contig's ends."""
        return _text(self.codes(chrom, start, end))

    def windows(
        self,
        contigs: NDArray[np.integer] | int,
        starts: NDArray[np.integer],
        length: int,
        out: Codes | None = None,
    ) -> Codes:
        """Return one window of ``length`` bases per start, 4 beyond the contig's ends.

        Parameters
        ----------
        contigs : int or integer array, (n,)
            Places in `names`.
        starts : integer array, (n,)
            0-based; may be negative.
        length : int
        out : uint8, (n, length), optional
            Filled and returned where given.

        Returns
        -------
        uint8, (n, length)
        """
        places, starts = self._places(contigs, starts)
        if out is None:
            out = np.empty((len(starts), length), np.uint8)
        if not len(self.data):
            out[:] = UNKNOWN
        native.windows(self.data, self.offsets, places, starts, out)
        return out

    def marks(
        self,
        contigs: NDArray[np.integer] | int,
        starts: NDArray[np.integer],
        lengths: NDArray[np.integer] | int,
    ) -> NDArray[np.uint8]:
        """Return `PADDED` where a window leaves its contig, plus `HAS_UNKNOWN` for unknown bases.

        Parameters
        ----------
        contigs, starts : as `windows`
        lengths : int or integer array, (n,)

        Returns
        -------
        uint8, (n,)
            Unknown bases count inside the contig only.
        """
        places, starts = self._places(contigs, starts)
        sizes = np.ascontiguousarray(np.broadcast_to(lengths, len(starts)), np.int64)
        out = np.full(len(starts), PADDED, np.uint8)
        native.marks(self.data, self.offsets, places, starts, sizes, out)
        return out

    def _places(
        self, contigs: NDArray[np.integer] | int, starts: NDArray[np.integer]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        starts = np.ascontiguousarray(starts, np.int64)
        places = np.ascontiguousarray(np.broadcast_to(contigs, len(starts)), np.int32)
        if len(starts) and not (places.min() >= 0 and places.max() < len(self.names)):
            raise ContigError(f"contig number outside 0..{len(self.names) - 1}")
        return places, starts


def listed(names: list[str], limit: int = 8) -> str:
    """Return names as one short phrase: the first few, and how many there are."""
    head = ", ".join(names[:limit])
    return head if len(names) <= limit else f"{head}, .. ({len(names)} in all)"


def write_fasta(
    path: str | PathLike[str],
    sequences: "Mapping[str, str | Codes]",
    *,
    width: int = 60,
    index: bool = True,
) -> None:
    """Write named sequences as FASTA, with the samtools index ``path.fai`` beside it.

    Parameters
    ----------
    path : path-like
        ``-`` writes to standard output, without an index.
    sequences : mapping of str to str or uint8 codes
    width : int
        Bases in a line.
    index : bool
        Whether to write the index.

    Raises
    ------
    FormatError
        A name is empty or holds white space.
    """
    body, rows = [], []
    offset = 0
    for name, sequence in sequences.items():
        if not name or name.split() != [name]:
            raise FormatError(f"contig name {name!r}; expected one word")
        text = sequence if isinstance(sequence, str) else _text(sequence)
        lines = [text[at : at + width] for at in range(0, len(text), width)]
        head = f">{name}\n"
        rows.append((name, len(text), offset + len(head), width, width + 1))
        body.append(head + "".join(f"{line}\n" for line in lines))
        offset += len(body[-1])
    write_bytes(path, "".join(body).encode())
    if index and str(path) != "-":
        table = "".join("\t".join(map(str, row)) + "\n" for row in rows)
        with replacing(f"{fspath(path)}.fai") as temporary:
            temporary.write_text(table)


def _text(codes: Codes) -> str:
    return LETTERS[np.minimum(codes, UNKNOWN)].tobytes().decode()


class _Reader:
    """Collects contigs from pieces of text cut anywhere."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.names: list[str] = []
        self.starts: list[int] = []
        # plain text holds fewer bases than bytes; gzip about four a byte. Untouched pages cost
        # nothing, so the guess may be generous
        size = 5 * ospath.getsize(source) if ospath.isfile(source) else 0
        self.data = np.empty(size + 2 * CHUNK, np.uint8)
        self.written = 0
        self.positions = np.empty(8192, np.int64)
        self.members = np.empty(8192, np.uint8)
        self.ambiguous = 0
        self.line_start = True

    def read(self) -> Genome:
        header: bytes | None = None
        for chunk in chunks(self.source):
            at = 0
            while at < len(chunk):
                if header is not None:
                    end = chunk.find(b"\n", at)
                    header += chunk[at : end if end >= 0 else len(chunk)]
                    if end < 0:
                        break
                    self.begin(self._name(header))
                    header, at = None, end + 1
                elif self.line_start and chunk[at] == ord(">"):
                    header, at = b"", at + 1
                elif not self.names:
                    at = self._before_first(chunk, at)
                else:
                    at = self.take(chunk, at)
        if header is not None:
            self.begin(self._name(header))
        return self.finish()

    def begin(self, name: str) -> None:
        self.names.append(name)
        self.starts.append(self.written)
        self.line_start = True

    def take(self, chunk: bytes, at: int) -> int:
        """Encode sequence lines of ``chunk`` from ``at`` on; return where it stopped."""
        need = self.written + len(chunk)
        if need > len(self.data):
            self.data.resize(need + need // 2, refcheck=False)
        used, self.written, self.ambiguous, self.line_start, bad, full = native.read_lines(
            chunk, at, self.data, self.written, self.line_start,
            self.positions, self.members, self.ambiguous,
        )  # fmt: skip
        if bad >= 0:
            raise FormatError(
                f"{self.source}: contig {self.names[-1]} has {chr(chunk[at + bad])!r} at position "
                f"{self.written - self.starts[-1] + 1}; expected IUPAC letters of DNA"
            )
        if full:
            self.positions.resize(2 * len(self.positions), refcheck=False)
            self.members.resize(2 * len(self.members), refcheck=False)
        return at + used

    def finish(self) -> Genome:
        if not self.names:
            raise FormatError(f"{self.source}: empty; expected FASTA, '>name' and lines of bases")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise FormatError(f"{self.source}: contig {twice} stands there twice; rename one")
        return Genome(
            self.names,
            np.array([*self.starts, self.written], np.int64),
            self.data[: self.written],
            self.positions[: self.ambiguous].copy(),
            self.members[: self.ambiguous].copy(),
            self.source,
        )

    def _name(self, header: bytes) -> str:
        words = header.decode("utf-8", "replace").split()
        if not words:
            raise FormatError(
                f"{self.source}: header {len(self.names) + 1} has no name; expected '>name'"
            )
        return words[0]

    def _before_first(self, chunk: bytes, at: int) -> int:
        if chunk[at : at + 1] in (b"\n", b"\r"):
            return at + 1
        raise FormatError(
            f"{self.source}: begins with {chunk[at : at + 12]!r}; expected FASTA, '>name' and "
            "lines of bases"
        )
