"""Two bits a base and back, whole or in part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import OptionError
from fastseq.sequence.encode import encode
from fastseq.sequence.pack import pack

LETTERS = "ACGTacgtuNRX"


@given(st.lists(st.text(LETTERS, max_size=150), max_size=5))
def test_unpacking_gives_the_codes(rows):
    packed = pack(rows)
    codes = encode(rows)
    assert np.array_equal(packed.unpack(), codes)
    assert len(packed) == len(rows)
    for i, row in enumerate(rows):
        assert np.array_equal(packed[i], codes[i, : len(row)])
    assert packed.data.size == sum(-(-len(row) // 4) for row in rows)


def test_every_length_and_part(path):
    rng = np.random.default_rng(0)
    for length in [*range(258), 4096, 5001]:
        for letters in ("ACGT", LETTERS, "N"):
            text = "".join(rng.choice(list(letters), length))
            packed, codes = pack(text), encode(text)
            assert packed.single
            assert np.array_equal(packed.unpack(), codes)
            assert np.array_equal(pack(codes).unpack(), codes)
            a, b = sorted(rng.integers(0, length + 1, 2))
            assert np.array_equal(packed[a:b], codes[a:b])
            assert np.array_equal(packed.codes(0, a, b), codes[a:b])
            assert np.array_equal(packed[::-3], codes[::-3])


def test_runs_say_where_the_unknown_bases_are():
    packed = pack(["ANNC", "ACGT", "N"])
    assert packed.runs.tolist() == [[0, 1, 3], [2, 0, 1]]
    assert packed.nbytes < 200


def test_slices_share_the_bytes():
    packed = pack(["ANC", "GGGGG", "NT", "A"])
    part = packed[1:3]
    assert part.data is packed.data
    assert part.unpack().tolist() == [[2] * 5, [4, 3, 4, 4, 4]]
    assert packed[1, 1:3].tolist() == [2, 2]
    assert packed[-1].tolist() == [0]
    assert packed[2, 0].tolist() == [4]
    assert pack("ACGT")[2].tolist() == [2]
    assert pack("ACGT")[-1].tolist() == [3]
    assert len(packed[3:1]) == 0


def test_outputs_and_threads():
    rows = ["ACGTN" * 30] * 40
    packed = pack(rows, threads=3)
    out = np.empty((40, 150), np.uint8)
    assert packed.unpack(out=out, threads=2) is out
    assert np.array_equal(out, encode(rows))
    with pytest.raises(OptionError, match="out"):
        packed.unpack(out=np.empty((40, 149), np.uint8))


def test_what_is_not_there_is_refused():
    packed = pack(["ACGT"])
    for row, start, end in ((1, 0, 1), (0, 2, 5), (0, -1, 2), (0, 3, 2)):
        with pytest.raises(OptionError):
            packed.codes(row, start, end)
    with pytest.raises(IndexError):
        packed[1]
    with pytest.raises(OptionError):
        packed[::2]
    assert pack([]).unpack().shape == (0, 0)
    assert pack("").unpack().shape == (0,)
