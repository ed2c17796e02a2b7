"""The other strand, of everything that has one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import DTypeError, ShapeError
from fastseq.sequence.encode import Ragged, encode, one_hot
from fastseq.sequence.pack import pack
from fastseq.sequence.strand import reverse_complement
from tests.reference import sequence as twin

LETTERS = "ACGTUNRYSWKMBDHVacgtunryswkmbdhv-*.@[{é"


@given(st.lists(st.text(LETTERS, max_size=150), max_size=4))
def test_text_keeps_case_and_ambiguity(rows):
    expected = [twin.reverse_complement(row) for row in rows]
    assert reverse_complement(rows) == expected
    assert [reverse_complement(row) for row in rows] == expected
    assert reverse_complement(tuple(rows)) == tuple(expected)


@given(st.text(LETTERS.replace("U", "").replace("u", ""), max_size=300))
def test_twice_is_the_same(text):
    assert reverse_complement(reverse_complement(text)) == text


def test_all_bytes_and_lengths(path):
    every = bytes(range(256))
    turned = np.frombuffer(reverse_complement(every), np.uint8)
    assert np.array_equal(reverse_complement(np.frombuffer(every, np.uint8)), turned)
    rng = np.random.default_rng(0)
    for length in range(258):
        text = rng.choice(np.frombuffer(LETTERS[:-1].encode(), np.uint8), (2, length))
        expected = [twin.reverse_complement(row.tobytes().decode()).encode() for row in text]
        assert [row.tobytes() for row in reverse_complement(text)] == expected or not length
        assert reverse_complement([row.tobytes().decode() for row in text]) == [
            row.decode() for row in expected
        ]
        codes = rng.integers(0, 5, (2, length)).astype(np.uint8)
        complement = np.array([3, 2, 1, 0, 4], np.uint8)
        assert np.array_equal(reverse_complement(codes), complement[codes[:, ::-1]])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float16", "float32", "int64", "float64"])
def test_one_hot_turns_in_both_layouts(path, dtype):
    rng = np.random.default_rng(0)
    for length in [*range(1, 40), 63, 64, 65, 257]:
        codes = rng.integers(0, 5, (3, length)).astype(np.uint8)
        for layout in ("ncl", "nlc"):
            hot = one_hot(codes, layout=layout, dtype=dtype)
            turned = reverse_complement(hot)
            assert np.array_equal(
                turned, one_hot(reverse_complement(codes), layout=layout, dtype=dtype)
            )
            out = np.empty_like(hot)
            assert reverse_complement(hot, out=out) is out
            assert np.array_equal(out, turned)
            assert np.array_equal(reverse_complement(np.asfortranarray(hot)), turned)
            assert np.array_equal(reverse_complement(hot, threads=3), turned)


def test_forms_come_back_as_they_were():
    assert reverse_complement("aCG") == "CGt"
    assert reverse_complement(b"aCG") == b"CGt"
    assert reverse_complement(bytearray(b"aCG")) == b"CGt"
    assert reverse_complement(memoryview(b"aCG")) == b"CGt"
    assert reverse_complement(["AC", b"AG"]) == ["GT", b"CT"]
    for array in (np.array(["AC", "A"]), np.array([b"AC", b"A"]), np.array(["AC", "A"], object)):
        turned = reverse_complement(array)
        assert turned.dtype == array.dtype
        assert turned.tolist() == (["GT", "T"] if array.dtype.kind != "S" else [b"GT", b"T"])
    letters = np.array([["A", "C"], ["G", "G"]])
    assert reverse_complement(letters).tolist() == [["G", "T"], ["C", "C"]]
    ragged = reverse_complement(Ragged(np.frombuffer(b"AACG", np.uint8), np.array([0, 3, 4])))
    assert [row.tobytes() for row in ragged] == [b"GTT", b"C"]
    arrays = reverse_complement([np.array([0, 1], np.uint8), np.array([2], np.uint8)])
    assert [a.tolist() for a in arrays] == [[2, 3], [1]]
    assert reverse_complement(pack(["AACN", "G"])).unpack().tolist() == [[4, 2, 3, 3], [1, 4, 4, 4]]
    maps = np.arange(8.0).reshape(4, 2)
    assert np.array_equal(reverse_complement(maps), maps[::-1, ::-1])
    assert reverse_complement([]) == []
    assert reverse_complement("") == ""
    assert reverse_complement(encode("ACGN")).tolist() == [4, 1, 2, 3]


def test_what_has_no_strand_is_refused():
    for bad in (5, None, np.zeros(3), np.zeros((1, 4, 2), complex)):
        with pytest.raises(DTypeError):
            reverse_complement(bad)
    with pytest.raises(ShapeError):
        reverse_complement(np.zeros((1, 3, 2)))
    with pytest.raises(ShapeError, match="out"):
        reverse_complement(np.zeros((1, 4, 2)), out=np.zeros((1, 2, 4)))
