"""Motifs are count matrices with a name, typed in or read from MEME, JASPAR and TRANSFAC text.

The 55 matrices of ``jaspar.json`` are the ones the synthetic task plants: JASPAR CORE 2016,
integer counts. Khan et al. 2018 describe the collection; counts are facts and carry their ids.
"""

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fastseq.errors import FormatError, MissingFileError, OptionError, UnreadableFileError

# the synthetic task reads a column as part of a motif above this many bits
INFORMATIVE_BITS = 0.1
_DIGITS = "{:.10g}".format


@dataclass(frozen=True, eq=False)
class Motif:
    """One position count matrix.

    Attributes
    ----------
    id : str
        Accession, such as ``MA0079.3``.
    name : str
        What the field calls it, such as ``SP1``.
    counts : float64, (4, width)
        Counts of A, C, G, T; frequencies where the source gives no number of sites.
    """

    id: str
    name: str
    counts: np.ndarray

    def __post_init__(self):
        try:
            counts = np.array(self.counts, np.float64)
        except (TypeError, ValueError) as error:
            raise FormatError(f"motif {self.id}: counts are no numbers ({error})") from error
        if counts.ndim != 2 or counts.shape[0] != 4 or not counts.shape[1]:
            raise FormatError(
                f"motif {self.id}: counts have shape {counts.shape}; expected (4, width)"
            )
        empty = np.flatnonzero(~(np.isfinite(counts) & (counts >= 0)).all(0) | (counts.sum(0) <= 0))
        if empty.size:
            raise FormatError(
                f"motif {self.id}: column {empty[0]} is {counts[:, empty[0]].tolist()}; "
                "expected counts of 0 or more that do not sum to 0"
            )
        counts.setflags(write=False)
        object.__setattr__(self, "counts", counts)

    @property
    def width(self) -> int:
        """Return the number of columns."""
        return self.counts.shape[1]

    @property
    def consensus(self) -> str:
        """Return the most frequent base of each column (the first of equals)."""
        return "".join("ACGT"[base] for base in self.counts.argmax(0))

    def probabilities(self, pseudocount: float = 0.0) -> np.ndarray:
        """Return float64 (4, width): each column sums to 1."""
        if not pseudocount >= 0:
            raise OptionError(f"pseudocount={pseudocount}; expected 0 or more")
        counts = self.counts + pseudocount
        return counts / counts.sum(0)

    def information(self) -> np.ndarray:
        """Return float64 (width,): 2 + sum p log2(p + 1e-10), in bits, as tfomics computes it."""
        p = self.probabilities()
        return 2 + (p * np.log2(p + 1e-10)).sum(0)

    def reverse_complement(self) -> "Motif":
        """Return the motif as the other strand carries it, under the same id and name."""
        return Motif(self.id, self.name, self.counts[::-1, ::-1])


@cache
def _jaspar() -> dict[str, Motif]:
    table = json.loads(Path(__file__).with_name("jaspar.json").read_text())
    return {
        id: Motif(id, entry["name"], np.array([entry[base] for base in "ACGT"]))
        for id, entry in table.items()
    }


def jaspar(ids: Iterable[str] | None = None) -> list[Motif]:
    """Return the typed-in JASPAR CORE 2016 motifs with these ids (all 55 without ids).

    Raises
    ------
    OptionError
        An id that is not among the typed-in ones; `read_motifs` reads others from a file.

    Examples
    --------
    >>> jaspar(["MA0058.3"])[0].consensus
    'ACCACGTGCT'
    """
    table = _jaspar()
    found = list(table if ids is None else ids)
    for id in found:
        if id not in table:
            raise OptionError(
                f"motif {id!r} is not among the {len(table)} typed-in ones; "
                "read it from a MEME, JASPAR or TRANSFAC file with read_motifs"
            )
    return [table[id] for id in found]


def read_motifs(path: str | Path, *, format: str | None = None) -> list[Motif]:
    """Return the motifs of a MEME, JASPAR or TRANSFAC file, plain or gzip.

    Parameters
    ----------
    path : str or Path
        The file.
    format : "meme", "jaspar" or "transfac", optional
        Told by the first words of the file where not given.

    Raises
    ------
    MissingFileError, UnreadableFileError
        There is no such file, or it cannot be read.
    FormatError
        The text is none of the three, or breaks off; the message names the line.
    OptionError
        An unknown format.
    """
    try:
        raw = Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise MissingFileError(f"{path}: no such file") from error
    except OSError as error:
        raise UnreadableFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: expected motif text, plain or gzip ({error})") from error
    return parse_motifs(text, format=format, source=str(path))


def parse_motifs(text: str, *, format: str | None = None, source: str = "text") -> list[Motif]:
    """Return the motifs of a text; `read_motifs` says what it takes and raises."""
    format = format or _guess(text)
    if format is None:
        raise FormatError(f"{source}: neither MEME, JASPAR nor TRANSFAC motifs")
    parser = _choose(format, _PARSERS)
    try:
        motifs = list(parser(text.splitlines()))
    except FormatError as error:
        raise FormatError(f"{source}: {error}") from error
    if not motifs:
        raise FormatError(f"{source}: no motif in this {format} text")
    return motifs


def format_motifs(motifs: Iterable[Motif], *, format: str = "meme") -> str:
    """Return motifs as MEME, JASPAR or TRANSFAC text.

    MEME text holds frequencies and one number of sites for each motif, so that columns with
    different totals come back rescaled; JASPAR and TRANSFAC text hold the counts themselves.

    Raises
    ------
    OptionError
        An unknown format.
    """
    return _choose(format, _WRITERS)(list(motifs))


def _choose(format: str, table: dict[str, Callable]) -> Callable:
    if format not in table:
        raise OptionError(f"format={format!r}; expected one of {', '.join(table)}")
    return table[format]


def _guess(text: str) -> str | None:
    if re.search(r"^MEME version", text, re.M):
        return "meme"
    if re.match(r"\s*>", text):
        return "jaspar"
    return "transfac" if re.search(r"^P[O0]\s", text, re.M) else None


def _numbers(words: Iterable[str], line: int) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise FormatError(f"line {line + 1}: expected numbers, found {error}") from error


def _parse_meme(lines: list[str]) -> Iterator[Motif]:
    id = name = ""
    at = 0
    while at < len(lines):
        words = lines[at].split()
        at += 1
        if words[:1] == ["ALPHABET="] and words[1:2] not in (["ACGT"], ["ACGU"]):
            raise FormatError(f"line {at}: alphabet {' '.join(words[1:])}; expected ACGT")
        if words[:1] == ["MOTIF"] and len(words) > 1:
            id, name = words[1], words[2] if len(words) > 2 else words[1]
        if words[:1] != ["letter-probability"]:
            continue
        options = dict(re.findall(r"(\w+)=\s*(\S+)", lines[at - 1]))
        rows = []
        while at < len(lines) and re.match(r"\s*[\d.]", lines[at]):
            rows.append(_numbers(lines[at].split(), at))
            at += 1
        width, sites = _numbers((options.get("w", len(rows)), options.get("nsites", 1)), at - 1)
        if any(len(row) != 4 for row in rows) or len(rows) != width:
            raise FormatError(
                f"motif {id}: {len(rows)} rows end at line {at}; expected {width:g} rows of 4 "
                "frequencies"
            )
        sites = sites or 1.0
        yield Motif(id, name, sites * np.array(rows).reshape(-1, 4).T)


def _parse_jaspar(lines: list[str]) -> Iterator[Motif]:
    heads = [at for at, line in enumerate(lines) if line.startswith(">")]
    for at, stop in zip(heads, [*heads[1:], len(lines)]):
        id, _, name = lines[at][1:].strip().partition(" " if " " in lines[at] else "\t")
        body = [(i, lines[i].strip()) for i in range(at + 1, stop) if lines[i].strip()]
        rows = [_numbers(re.sub(r"^[ACGTU]\b|[\[\]]", " ", row).split(), i) for i, row in body]
        if len(rows) != 4 or len({len(row) for row in rows}) != 1:
            raise FormatError(f"line {at + 1}: expected 4 rows of equal length below {lines[at]!r}")
        yield Motif(id, name.strip() or id, np.array(rows))


def _parse_transfac(lines: list[str]) -> Iterator[Motif]:
    head: dict[str, str] = {}
    rows: list[list[float]] | None = None
    for at, line in enumerate([*lines, "//"]):
        tag, _, value = line.partition(" ")
        if tag in ("P0", "PO"):
            if value.split()[:4] != list("ACGT"):
                raise FormatError(f"line {at + 1}: columns {value.strip()!r}; expected A C G T")
            rows = []
        elif rows is not None and tag.isdigit():
            rows.append(_numbers(value.split()[:4], at))
            if len(rows[-1]) != 4:
                raise FormatError(f"line {at + 1}: expected 4 counts, found {value.strip()!r}")
        elif tag == "//":
            if rows:
                id = head.get("AC") or head.get("ID") or "unnamed"
                name = head.get("NA") or head.get("ID") or id
                yield Motif(id, name, np.array(rows).T)
            head, rows = {}, None
        else:
            head.setdefault(tag, value.strip())


def _write_meme(motifs: list[Motif]) -> str:
    text = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n"
    for motif in motifs:
        sites = motif.counts.sum(0).max()
        text += f"\nMOTIF {motif.id} {motif.name}\n"
        text += f"letter-probability matrix: alength= 4 w= {motif.width} nsites= {_DIGITS(sites)}\n"
        text += "".join(
            " ".join(map("{:.15g}".format, row)) + "\n" for row in motif.probabilities().T
        )
    return text


def _write_jaspar(motifs: list[Motif]) -> str:
    return "\n".join(
        f">{motif.id}\t{motif.name}\n"
        + "".join(
            f"{b} [ {' '.join(map(_DIGITS, row))} ]\n" for b, row in zip("ACGT", motif.counts)
        )
        for motif in motifs
    )


def _write_transfac(motifs: list[Motif]) -> str:
    text = ""
    for motif in motifs:
        text += f"AC {motif.id}\nXX\nID {motif.name}\nXX\nP0      A      C      G      T\n"
        for position, row in enumerate(motif.counts.T, 1):
            text += f"{position:02d} {' '.join(map(_DIGITS, row))}\n"
        text += "XX\n//\n"
    return text


_PARSERS = {"meme": _parse_meme, "jaspar": _parse_jaspar, "transfac": _parse_transfac}
_WRITERS = {"meme": _write_meme, "jaspar": _write_jaspar, "transfac": _write_transfac}
