"""Sequences become token ids of a language model, as its own library would number them."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from fastseq import threads as pool
from fastseq._native import tokens as native
from fastseq.arrays import UNKNOWN
from fastseq.errors import DTypeError, FormatError, MissingFileError, OptionError
from fastseq.sequence import alphabet as letters
from fastseq.sequence.rows import as_rows, checked_out

Unknown: TypeAlias = Literal["letter", "mask"]

# what stands in the first lines of the protein model's vocabulary, in order
PROTEIN_LETTERS = "LAGVSERTIDPKQNFYMHWCXBUZO.-"
LONGEST_WORD = 8


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a model, each numbered by its place.

    Attributes
    ----------
    tokens : tuple of str
        Special ones such as ``<cls>``, single letters, and k-mers of one length or none.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        lacking = [token for token in (*"ACGTN", "<cls>", "<pad>", "<mask>") if token not in self]
        if lacking:
            raise FormatError(
                f"a vocabulary of {len(self.tokens)} tokens lacks {', '.join(lacking)}; expected "
                "A C G T N <cls> <pad> <mask>, and all k-mers of one length or none"
            )
        absent = sum(word not in self.place for word in self.words) if self.k > 1 else 0
        if absent:
            raise FormatError(f"the vocabulary lacks {absent} of {4**self.k} {self.k}-mers")

    def __contains__(self, token: str) -> bool:
        return token in self.place

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def place(self) -> dict[str, int]:
        """The id of each token."""
        return {token: at for at, token in enumerate(self.tokens)}

    @cached_property
    def k(self) -> int:
        """Bases in a token: 1, or the length of the k-mers."""
        words = [len(token) for token in self.tokens if set(token) <= set("ACGT")]
        return min(max(words), LONGEST_WORD)

    @property
    def words(self) -> list[str]:
        """The k-mers in the order of their numbers."""
        return ["".join(word) for word in product("ACGT", repeat=self.k)]

    @classmethod
    def read(cls, path: "str | Path") -> "Vocabulary":
        """Return the vocabulary of a ``vocab.txt``, one token a line.

        Raises
        ------
        MissingFileError
            There is no such file.
        FormatError
            It lacks tokens that DNA needs.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingFileError(f"there is no vocabulary {path}")
        return cls(tuple(line.strip() for line in path.read_text("utf-8").splitlines()))


@lru_cache
def protein_vocabulary() -> Vocabulary:
    """Return the 33 tokens of Meta's protein models: A C G T read as amino acids, N as asparagine.

    Examples
    --------
    >>> len(protein_vocabulary()), protein_vocabulary().k
    (33, 1)
    """
    specials = ("<cls>", "<pad>", "<eos>", "<unk>")
    return Vocabulary((*specials, *PROTEIN_LETTERS, "<null_1>", "<mask>"))


@lru_cache
def kmer_vocabulary(k: int = 6) -> Vocabulary:
    """Return specials, all k-mers and single letters, in the Nucleotide Transformer's order."""
    if not 2 <= k <= LONGEST_WORD:
        raise OptionError(f"k={k}; expected 2 to {LONGEST_WORD}")
    words = map("".join, product("ATCG", repeat=k))
    return Vocabulary(("<unk>", "<pad>", "<mask>", "<cls>", *words, *"ATCGN"))


def tokenize(
    seqs,
    vocabulary: Vocabulary | None = None,
    *,
    unknown: Unknown = "letter",
    dtype="int64",
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Return token ids, ``<cls>`` first, ``<eos>`` last where the vocabulary has it, then padding.

    From left to right, k-mers are taken wherever k known bases follow, single letters elsewhere,
    as the library of the published models (transformers, EsmTokenizer) does for upper-case text.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `encode`; lower case and U are bases here.
    vocabulary : Vocabulary, optional
        By default `protein_vocabulary`.
    unknown : {"letter", "mask"}
        What an unknown base becomes: the token N, as in the library, or ``<mask>``.
    dtype : {"int64", "int32"}
    out : int64 or int32, (n, tokens), optional
        Written instead of a new array, at least as wide as the longest row needs.
    threads : int, optional
        None: one for small calls, else the cores of this process.

    Returns
    -------
    int64 or int32, (n, tokens), or (tokens,) for a single text

    Raises
    ------
    OptionError, DTypeError, ShapeError
        An option or ``out`` of the wrong kind.

    Examples
    --------
    >>> tokenize(["ACG", "N"])
    array([[ 0,  5, 23,  6,  2],
           [ 0, 17,  2,  1,  1]])
    """
    if unknown not in ("letter", "mask"):
        raise OptionError(f'unknown={unknown!r}; expected "letter" or "mask"')
    if np.dtype(dtype) not in (np.dtype("int64"), np.dtype("int32")):
        raise DTypeError(f"dtype is {dtype}; expected int64 or int32")
    rows = as_rows(seqs)
    ids = _ids(vocabulary or protein_vocabulary(), unknown, bool(rows.codes))
    needed = native.longest(rows.capsule, ids)
    width = max(needed, out.shape[-1]) if isinstance(out, np.ndarray) and out.ndim else needed
    shape = (width,) if rows.single else (rows.n, width)
    found = np.empty(shape, dtype) if out is None else checked_out(out, shape, np.dtype(dtype))
    size = found.itemsize
    pool.run(
        lambda first, last: native.write(rows.capsule, ids, first, last, found, width, size),
        rows.n,
        pool.resolve(threads, rows.n * width * size),
    )
    return found


@lru_cache(maxsize=16)
def _ids(vocabulary: Vocabulary, unknown: Unknown, codes: bool) -> native.Ids:
    """Return the kernels' tables of a vocabulary, for rows of codes or of text."""
    place, k = vocabulary.place, vocabulary.k
    table = np.arange(256, dtype=np.uint8) if codes else letters.letter_codes(letters.DNA)
    single = [*"ACGT", "<mask>" if unknown == "mask" else "N"]
    letter = np.array([place[token] for token in single], np.int64)
    word = np.array([place[word] for word in vocabulary.words], np.int32)
    around = place["<cls>"], place.get("<eos>", -1), place["<pad>"]
    return native.Ids(np.minimum(table, UNKNOWN), letter, word, k, *around)
