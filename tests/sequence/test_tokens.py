"""Token ids are those of the library of the published models, whatever holds the sequences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import DTypeError, FormatError, MissingFileError, OptionError, ShapeError
from fastseq.sequence.encode import Ragged, encode
from fastseq.sequence.tokens import Vocabulary, kmer_vocabulary, protein_vocabulary, tokenize

VOCABULARIES = {"protein": protein_vocabulary(), "3-mers": kmer_vocabulary(3),
                "6-mers": kmer_vocabulary(6)}  # fmt: skip


@pytest.fixture(params=VOCABULARIES)
def vocabulary(request):
    return VOCABULARIES[request.param]


def twin(seq, vocabulary, unknown="N"):
    """The greedy parse, one token at a time."""
    found, at, k = ["<cls>"], 0, vocabulary.k
    while at < len(seq):
        word = seq[at : at + k]
        word = word if len(word) == k and "N" not in word else seq[at]
        found.append(unknown if word == "N" else word)
        at += len(word)
    found += ["<eos>"] * ("<eos>" in vocabulary)
    return [vocabulary.place[token] for token in found]


@given(st.lists(st.text("ACGTN", max_size=40), min_size=1, max_size=6), st.booleans())
def test_ids_are_those_of_a_greedy_parse(seqs, mask):
    for vocabulary in VOCABULARIES.values():
        rows = [twin(seq, vocabulary, "<mask>" if mask else "N") for seq in seqs]
        found = tokenize(seqs, vocabulary, unknown="mask" if mask else "letter")
        width = max(map(len, rows))
        pad = vocabulary.place["<pad>"]
        assert found.tolist() == [row + [pad] * (width - len(row)) for row in rows]


def test_ids_are_the_librarys(vocabulary, tmp_path):
    esm = pytest.importorskip("transformers").EsmTokenizer
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary.tokens))
    assert Vocabulary.read(tmp_path / "vocab.txt") == vocabulary
    library = esm(str(tmp_path / "vocab.txt"), eos_token="<eos>" if "<eos>" in vocabulary else None)
    rng = np.random.default_rng(0)
    for unknown in (0.0, 0.05, 0.5):
        odds = [(1 - unknown) / 4] * 4 + [unknown]
        seqs = ["".join(rng.choice([*"ACGTN"], n, p=odds)) for n in rng.integers(1, 60, 40)]
        wanted = library(seqs, padding=True)["input_ids"]
        np.testing.assert_array_equal(tokenize(seqs, vocabulary), wanted)


def test_every_form_of_input_gives_the_same_ids(vocabulary):
    seqs = ["ACGTNACGTACGTTT", "GGGNNGGGGGGACGT"]
    wanted = tokenize(seqs, vocabulary)
    codes = encode(seqs)
    text = np.frombuffer("".join(seqs).encode(), np.uint8)
    ragged = Ragged(codes.ravel(), np.array([0, 15, 30]))
    lists = [s.encode() for s in seqs], [s.lower() for s in seqs]
    for form in (codes, np.array(seqs), text.reshape(2, 15), ragged, *lists):
        np.testing.assert_array_equal(tokenize(form, vocabulary), wanted)
    np.testing.assert_array_equal(tokenize(seqs[0], vocabulary), wanted[0][: len(wanted[0])])
    np.testing.assert_array_equal(tokenize(seqs, vocabulary, threads=2, dtype="int32"), wanted)


def test_out_is_written_and_padded(vocabulary):
    out = np.full((2, 99), -7)
    ids = tokenize(["ACGTACG", ""], vocabulary, out=out)
    assert ids is out
    pad = vocabulary.place["<pad>"]
    np.testing.assert_array_equal(out[:, :9], tokenize(["ACGTACG", ""], vocabulary, out=out)[:, :9])
    assert (out[:, 12:] == pad).all()
    assert tokenize([], vocabulary).shape[0] == 0


def test_options_and_vocabularies_that_cannot_be(tmp_path):
    with pytest.raises(OptionError, match="unknown='skip'"):
        tokenize(["A"], unknown="skip")
    with pytest.raises(DTypeError, match="dtype is uint8"):
        tokenize(["A"], dtype="uint8")
    with pytest.raises(ShapeError):
        tokenize(["A", "C"], out=np.empty((3, 9), np.int64))
    with pytest.raises(DTypeError):
        tokenize(["A", "C"], out=np.empty((2, 9), np.int32))
    with pytest.raises(MissingFileError, match="no vocabulary"):
        Vocabulary.read(tmp_path / "vocab.txt")
    with pytest.raises(FormatError, match="lacks N, <mask>"):
        Vocabulary((*"ACGT", "<cls>", "<pad>"))
    with pytest.raises(FormatError, match="lacks 15 of 16 2-mers"):
        Vocabulary((*protein_vocabulary().tokens, "AC"))
    with pytest.raises(OptionError, match="k=1"):
        kmer_vocabulary(1)
