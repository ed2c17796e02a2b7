"""Which letter has which code: A C G T and U, and any other set of letters."""

from functools import lru_cache

import numpy as np

from fastseq._native.encode import Lookup
from fastseq.errors import OptionError

DNA = "ACGT"
RNA = "ACGU"
PROTEIN = "ACDEFGHIKLMNPQRSTVWY"

# the ambiguity codes of IUPAC and the bases each stands for
IUPAC = {
    "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC",
    "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG",
}  # fmt: skip

COMPLEMENT = np.arange(256, dtype=np.uint8)
for _letter, _other in zip("ACGTUNRYSWKMBDHV", "TGCAANYRSWMKVHDB"):
    COMPLEMENT[ord(_letter)] = ord(_other)
    COMPLEMENT[ord(_letter.lower())] = ord(_other.lower())


def is_nucleic(alphabet: str) -> bool:
    """Return whether the letters are those of DNA or RNA, where T and U are one base."""
    return alphabet in (DNA, RNA)


def neutral(alphabet: str) -> str:
    """Return the letter that says "unknown" without being an error: N, or X elsewhere."""
    return "N" if is_nucleic(alphabet) else "X"


@lru_cache(maxsize=64)
def letter_codes(alphabet: str) -> np.ndarray:
    """Return the code of each byte of text, uint8 (256,).

    The neutral letter of k letters has code k, every foreign one k + 1. Lower case is upper case,
    unless the alphabet itself tells them apart.

    Raises
    ------
    OptionError
        The alphabet is empty, too long, repeats a letter, or is not ASCII.
    """
    if not 1 <= len(alphabet) <= 64 or not alphabet.isascii() or not alphabet.isprintable():
        raise OptionError(f"alphabet is {alphabet!r}; expected 1 to 64 ASCII letters")
    if len(set(alphabet)) < len(alphabet):
        raise OptionError(f"alphabet {alphabet!r} repeats a letter")
    folds = len(set(alphabet.upper())) == len(alphabet)
    codes = np.full(256, len(alphabet) + 1, np.uint8)
    for code, letter in [(len(alphabet), neutral(alphabet)), *enumerate(alphabet)]:
        for form in {letter, letter.lower(), letter.upper()} if folds else {letter}:
            codes[ord(form)] = code
    if is_nucleic(alphabet):
        codes[[ord(c) for c in "TtUu"]] = 3
    codes.flags.writeable = False
    return codes


@lru_cache(maxsize=64)
def lookup(alphabet: str, codes: bool) -> Lookup | None:
    """Return the kernels' table for an alphabet, None for DNA and RNA, which have their own."""
    if is_nucleic(alphabet):
        return None
    if not codes:
        return Lookup(letter_codes(alphabet).copy())
    own = np.full(256, len(alphabet) + 1, np.uint8)
    own[: len(alphabet) + 1] = np.arange(len(alphabet) + 1)
    return Lookup(own)


@lru_cache(maxsize=8)
def readable(alphabet: str, *, gaps: bool) -> Lookup:
    """Return the table that takes IUPAC codes, and - and . with ``gaps``, for letters it knows."""
    codes = letter_codes(alphabet).copy()
    known = "".join(IUPAC) + ("-." if gaps else "")
    codes[list((known + known.lower()).encode())] = len(alphabet)
    return Lookup(codes)


def letters_of(alphabet: str, unknown: str) -> np.ndarray:
    """Return the letter of each code, uint8 (256,): ``unknown`` beyond the alphabet."""
    letters = np.full(256, ord(unknown), np.uint8)
    letters[: len(alphabet)] = np.frombuffer(alphabet.encode(), np.uint8)
    return letters
