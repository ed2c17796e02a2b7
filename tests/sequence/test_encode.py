"""Codes, one-hot arrays and back, on every native path, against the slow twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastseq.errors import DTypeError, LengthError, OptionError, SequenceError, ShapeError
from fastseq.sequence.alphabet import PROTEIN
from fastseq.sequence.encode import Ragged, decode, encode, one_hot
from tests.reference import sequence as twin

LETTERS = "ACGTUNacgtunRYSWKMBDHVX-*.@`[{ \x00\x7f"
texts = st.lists(st.text(LETTERS, max_size=150), max_size=5)
DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint64",
    "float16",
    "float32",
    "float64",
]


def random_texts(lengths, letters="ACGTNacgtn", seed=0):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(letters), length)) for length in lengths]


def test_all_256_bytes(path):
    every = np.arange(256, dtype=np.uint8)
    expected = twin.encode(["".join(map(chr, range(128)))])[0]
    assert np.array_equal(encode(every)[:128], expected)
    assert (encode(every)[128:] == 4).all()
    for dtype in DTYPES:
        for layout in ("ncl", "nlc"):
            array = one_hot(every.tobytes(), layout=layout, dtype=dtype)
            letters = array.T if layout == "ncl" else array
            assert np.array_equal(letters[:128], np.eye(5, 4)[expected])
            assert not letters[128:].any()


@pytest.mark.parametrize("layout", ["ncl", "nlc"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lengths_0_to_257(path, layout, dtype):
    for length in [*range(0, 258, 7 if dtype not in ("uint8", "float32") else 1), 4095, 4097]:
        text = random_texts([length], seed=length)
        assert np.array_equal(encode(text), twin.encode(text))
        got = one_hot(text, layout=layout, dtype=dtype)
        assert got.dtype == dtype
        assert np.array_equal(got, twin.one_hot(text, layout=layout, dtype=dtype))
        assert np.array_equal(one_hot(encode(text), layout=layout, dtype=dtype), got)


@given(texts, st.sampled_from(["right", "left", "center"]), st.data())
@settings(max_examples=60, deadline=None)
def test_padding_and_truncation(rows, side, data):
    length = data.draw(st.integers(0, 170))
    cut = data.draw(st.sampled_from(["right", "left", "center"]))
    options = {"length": length, "pad": side, "truncate": cut}
    assert np.array_equal(encode(rows, **options), twin.encode(rows, **options))
    for layout in ("ncl", "nlc"):
        for dtype, unknown in (("uint8", "zero"), ("float32", "uniform"), ("float16", "uniform")):
            got = one_hot(rows, layout=layout, dtype=dtype, unknown=unknown, **options)
            expected = twin.one_hot(rows, layout, dtype, unknown, **options)
            assert np.array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_fractions_of_ambiguity_codes(path, dtype):
    rows = ["ACGTRYSWKMBDHVN", "rn", ""]
    for unknown in ("zero", "uniform"):
        got = one_hot(rows, dtype=dtype, ambiguity="fraction", unknown=unknown)
        expected = twin.one_hot(rows, "ncl", dtype, unknown, "fraction")
        assert np.allclose(got, expected, atol=1e-3)
    again = decode(
        one_hot("ACGTRYSWKMBDHVN", dtype=dtype, ambiguity="fraction"), ambiguity="letter"
    )
    assert again == "ACGTRYSWKMBDHVN"


def test_every_input_form_gives_the_same_codes(path, tmp_path):
    rows = random_texts([70] * 9)
    expected = twin.encode(rows)
    ascii_ = np.frombuffer("".join(rows).encode(), np.uint8).reshape(9, 70)
    mapped = np.memmap(tmp_path / "x", np.uint8, "w+", shape=(9, 70))
    mapped[:] = ascii_
    frozen = ascii_.copy()
    frozen.flags.writeable = False
    wide = np.zeros((18, 200), np.uint8)
    wide[::2, 3:73] = ascii_
    forms = [
        rows,
        tuple(rows),
        [r.encode() for r in rows],
        [bytearray(r.encode()) for r in rows],
        [memoryview(r.encode()) for r in rows],
        np.array(rows),
        np.array(rows).astype(">U70"),
        np.array(rows).astype("<U70"),
        np.array(rows, "S"),
        np.array(rows, "S90"),
        np.array(rows, object),
        ascii_,
        mapped,
        frozen,
        wide[::2, 3:73],
        np.asfortranarray(ascii_),
        ascii_[::-1][::-1],
        ascii_.view("S1"),
        np.array([list(r) for r in rows]),
        expected,
        Ragged(ascii_.reshape(-1), np.arange(10) * 70),
        [np.frombuffer(r.encode(), np.uint8) for r in rows],
        list(expected),
    ]
    for form in forms:
        assert np.array_equal(encode(form), expected)
        assert np.array_equal(one_hot(form), twin.one_hot(rows))
    flipped = ascii_[::-1, ::-1]
    assert np.array_equal(encode(flipped), expected[::-1, ::-1])
    assert np.array_equal(encode(ascii_[:, ::2]), expected[:, ::2])
    mixed = [rows[0], rows[1].encode(), *rows[2:]]
    assert np.array_equal(encode(mixed), expected)


@pytest.mark.parametrize(
    "form",
    [
        str,
        str.encode,
        lambda s: bytearray(s.encode()),
        lambda s: memoryview(s.encode()),
        np.array,
        lambda s: np.frombuffer(s.encode(), np.uint8),
    ],
)
def test_single_texts_lose_the_row_axis(form):
    assert encode(form("ACGN")).tolist() == [0, 1, 2, 4]
    assert one_hot(form("ACGN")).shape == (4, 4)
    assert one_hot(form("ACGNA"), layout="nlc").shape == (5, 4)


def test_letters_beyond_ascii_are_one_unknown_each(path):
    rows = ["Aé", "A€C", "\udc80T", "𝟙G", ""]
    assert np.array_equal(encode(rows), twin.encode(rows))
    assert np.array_equal(encode(np.array(rows)), twin.encode(rows))
    assert encode("é").tolist() == [4]


def test_fixed_width_text_ends_at_its_last_letter():
    assert encode(np.array(["ACG", "A", ""], "S5")).tolist() == [[0, 1, 2], [0, 4, 4], [4, 4, 4]]
    assert encode(np.array(["AC", ""], "U4"), length=3).tolist() == [[0, 1, 4], [4, 4, 4]]


@pytest.mark.parametrize(
    "empty",
    [
        [],
        "",
        b"",
        np.empty((0, 5), np.uint8),
        np.empty((5, 0), np.uint8),
        np.array([], "S3"),
        [""],
        Ragged(np.empty(0, np.uint8), np.zeros(1, np.int64)),
    ],
)
def test_nothing_in_nothing_out(path, empty):
    codes = encode(empty)
    assert codes.size == 0
    assert one_hot(empty).size == 0
    if not (isinstance(empty, list) and not empty):
        assert encode(empty, length=3).tolist() in ([4, 4, 4], [[4, 4, 4]] * len(empty))


def test_uint8_is_codes_up_to_4_and_text_beyond():
    assert encode(np.array([0, 1, 2, 3, 4], np.uint8)).tolist() == [0, 1, 2, 3, 4]
    assert encode(np.array([0, 1, 65], np.uint8)).tolist() == [4, 4, 0]


def test_values_between_codes_and_letters_are_refused_wherever_they_stand():
    for values in ([5, 5], [0, 1, 5], [31, 0], [4, 9]):
        for shape in ((-1,), (1, -1)):
            with pytest.raises(DTypeError, match=rf"up to {max(values)}; expected codes 0..4"):
                one_hot(np.array(values, np.uint8).reshape(shape))
    with pytest.raises(DTypeError, match="up to 5"):
        encode(Ragged(np.array([0, 5], np.uint8), np.array([0, 2])))


def test_iupac_letters_and_gaps_are_unknown_and_the_rest_is_refused(path):
    text = "ACGTUNRYSWKMBDHV-."
    known = [0, 1, 2, 3, 3] + [4] * 13
    for form in (text, text.lower(), text.encode(), np.array([text]), np.array([text], "S")):
        assert encode(form, unknown="iupac").ravel().tolist() == known
        assert one_hot(form, unknown="iupac").sum() == 5
    assert encode(np.array([4, 0], np.uint8), unknown="iupac").tolist() == [4, 0]
    for letter in "!Z1xX*é? \n\0":
        for form in (["ACG", f"AC{letter}T"], np.array(["ACG", f"AC{letter}T"])):
            with pytest.raises(SequenceError, match="row 1 has .* at position 2; expected IUPAC"):
                encode(form, unknown="iupac")
            with pytest.raises(SequenceError, match="row 1 has .* at position 2; expected IUPAC"):
                one_hot(form, unknown="iupac")
    with pytest.raises(OptionError, match="has no IUPAC codes"):
        encode("ACD", unknown="iupac", alphabet="ACDEFGHIKLMNPQRSTVWY")


def test_foreign_letters_are_named(path):
    rows = ["ACGTN", "A" * 200 + "Z", "X"]
    with pytest.raises(
        SequenceError, match=r"row 1 has 'Z' at position 200; expected A, C, G, T or N"
    ):
        encode(rows, unknown="error")
    with pytest.raises(SequenceError, match=r"row 1 has 'Z' at position 200"):
        one_hot(rows, unknown="error")
    with pytest.raises(SequenceError, match=r"row 0 has 'é' at position 1"):
        encode("Aé", unknown="error")
    with pytest.raises(SequenceError, match=r"'R' at position 1"):
        encode(b"ARX", unknown="error")
    with pytest.raises(SequenceError, match=r"'X' at position 2"):
        one_hot("ARX", unknown="error", ambiguity="fraction", dtype="float32")
    assert encode("ACGTUNacgtun", unknown="error").max() == 4


@pytest.mark.parametrize("dtype", ["foo", complex, object, "S1"])
def test_dtypes_that_hold_no_numbers(dtype):
    with pytest.raises(DTypeError, match="expected bool, an integer or a float type"):
        one_hot("ACGT", dtype=dtype)


def test_out_is_written_whole_or_not_at_all(path):
    out = np.full((2, 5), 9, np.uint8)
    assert encode(["ACGTN", "A"], out=out) is out
    assert out.tolist() == [[0, 1, 2, 3, 4], [0, 4, 4, 4, 4]]
    hot = np.full((2, 4, 5), 9, np.uint8)
    for wrong in (
        lambda: encode(["ACGTN", "A!"], unknown="error", out=out),
        lambda: encode(["ACGTNAA", "A"], length=5, out=out),
        lambda: one_hot(["ACGTN", "A!"], unknown="error", out=hot),
    ):
        with pytest.raises((SequenceError, LengthError)):
            wrong()
    assert out.tolist() == [[0, 1, 2, 3, 4], [0, 4, 4, 4, 4]]
    assert (hot == 9).all()
    frozen = np.empty((2, 5), np.uint8)
    frozen.flags.writeable = False
    for bad, error in (
        (np.empty((2, 4), np.uint8), ShapeError),
        (np.empty((2, 5), np.int8), DTypeError),
        (np.empty((5, 2), np.uint8).T, ShapeError),
        (frozen, ShapeError),
        ([0], DTypeError),
    ):
        with pytest.raises(error, match="out"):
            encode(["ACGTN", "A"], out=bad)


def test_unaligned_outputs_and_stores_past_the_caches(path):
    rows = np.frombuffer(b"ACGTN", np.uint8)[
        np.random.default_rng(1).integers(0, 5, (3, 1_400_003))
    ]
    expected = np.eye(5, 4, dtype=np.uint8)[encode(rows)]
    for offset in (0, 1, 4, 12):
        space = np.full(expected.size + 64, 7, np.uint8)
        out = space[offset : offset + expected.size].reshape(expected.shape)
        one_hot(rows, layout="nlc", out=out, threads=1)
        assert np.array_equal(out, expected)
        assert (space[:offset] == 7).all()
        assert (space[offset + expected.size :] == 7).all()
    text = rows.tobytes()
    floats = one_hot(text, layout="nlc", dtype="float32")
    assert np.array_equal(floats, expected.reshape(-1, 4))


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_nothing(threads):
    rows = random_texts([0, 1, 2000, 300, 64] * 7)
    for layout in ("ncl", "nlc"):
        assert np.array_equal(
            one_hot(rows, layout=layout, threads=threads), one_hot(rows, layout=layout)
        )
    long = random_texts([100_001])[0]
    for pad in ("left", "right"):
        assert np.array_equal(
            encode(long, length=120_000, pad=pad, threads=threads),
            encode(long, length=120_000, pad=pad, threads=1),
        )
        assert np.array_equal(
            one_hot(long, length=120_000, pad=pad, threads=threads),
            one_hot(long, length=120_000, pad=pad, threads=1),
        )


@pytest.mark.parametrize(
    "alphabet", [PROTEIN, "ACGU", "TCAG", "aA", "01", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
)
def test_other_alphabets(path, alphabet):
    rng = np.random.default_rng(3)
    rows = ["".join(rng.choice(list(alphabet), length)) for length in (0, 5, 99)]
    codes = encode(rows, alphabet=alphabet)
    assert codes.max() == len(alphabet)
    assert [c[: len(r)].tolist() for c, r in zip(codes, rows)] == [
        [alphabet.index(x) for x in r] for r in rows
    ]
    pad = next(c for c in "?#" if c not in alphabet)
    assert decode(codes, alphabet=alphabet, unknown=pad) == [r.ljust(99, pad) for r in rows]
    for layout in ("ncl", "nlc"):
        for dtype in ("uint8", "float32"):
            hot = one_hot(rows, alphabet=alphabet, layout=layout, dtype=dtype)
            expected = np.eye(len(alphabet) + 1, len(alphabet), dtype=dtype)[codes]
            assert np.array_equal(hot, np.swapaxes(expected, 1, 2) if layout == "ncl" else expected)
            assert np.array_equal(
                one_hot(codes, alphabet=alphabet, layout=layout, dtype=dtype), hot
            )
    if alphabet == PROTEIN:
        with pytest.raises(SequenceError, match="'B' at position 1"):
            encode("AB", alphabet=alphabet, unknown="error")
        assert encode("AXx", alphabet=alphabet, unknown="error").tolist() == [0, 20, 20]


@given(texts)
@settings(max_examples=40, deadline=None)
def test_decode_is_the_way_back(rows):
    codes = encode(rows)
    expected = ["".join("ACGTN"[c] for c in row) for row in twin.encode(rows)]
    assert decode(codes) == expected
    for layout in ("ncl", "nlc"):
        for dtype in ("uint8", "bool", "float16", "int32", "float64"):
            assert decode(one_hot(rows, layout=layout, dtype=dtype), layout=layout) == expected


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "float32", "int64", "float64"])
@pytest.mark.parametrize("layout", ["ncl", "nlc"])
def test_decode_wants_exactly_one_channel(path, layout, dtype):
    rng = np.random.default_rng(5)
    array = rng.choice(np.array([0, 0, 0, 1, 7], dtype), (3, 4, 1000))
    if dtype.startswith("float"):
        array[0, 0, :9] = -0.0
    letters = np.where(
        (array != 0).sum(1) == 1, np.frombuffer(b"ACGT", "S1")[(array != 0).argmax(1)], b"N"
    )
    shaped = array if layout == "ncl" else np.swapaxes(array, 1, 2)
    assert decode(shaped, layout=layout) == [row.tobytes().decode() for row in letters]
    out = np.empty((3, 1000), np.uint8)
    assert decode(shaped, layout=layout, out=out) is out
    assert np.array_equal(out, letters.view(np.uint8))
    assert np.array_equal(decode(shaped, layout=layout, as_array=True, threads=2), out)


def test_decode_refuses_what_is_neither():
    for bad, error in (
        (np.array([0, 5], np.uint8), DTypeError),
        (np.zeros((2, 3, 5)), ShapeError),
        (np.zeros(4), DTypeError),
        (np.zeros((1, 4, 2), complex), DTypeError),
    ):
        with pytest.raises(error):
            decode(bad)
    with pytest.raises(OptionError):
        decode(np.zeros((1, 4, 2)), layout="lcn")
    with pytest.raises(OptionError):
        decode("A", unknown="NN")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"pad": "up"}, OptionError),
        ({"truncate": "no"}, OptionError),
        ({"length": -1}, OptionError),
        ({"unknown": "what"}, OptionError),
        ({"threads": 0}, OptionError),
        ({"alphabet": ""}, OptionError),
        ({"alphabet": "AA"}, OptionError),
        ({"alphabet": "Aé"}, OptionError),
    ],
)
def test_options_are_checked(options, error):
    with pytest.raises(error):
        encode("ACGT", **options)
    with pytest.raises(error):
        one_hot("ACGT", **options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"layout": "cl"}, OptionError),
        ({"dtype": "complex64"}, DTypeError),
        ({"dtype": "S1"}, DTypeError),
        ({"unknown": "uniform"}, OptionError),
        ({"ambiguity": "fraction"}, OptionError),
        ({"ambiguity": "fraction", "dtype": "f4", "alphabet": "AB"}, OptionError),
    ],
)
def test_one_hot_options_are_checked(options, error):
    with pytest.raises(error):
        one_hot("ACGT", **options)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (5, DTypeError),
        (None, DTypeError),
        ([1], DTypeError),
        (["A", None], DTypeError),
        ([["A"]], DTypeError),
        (np.zeros(3), DTypeError),
        (np.zeros((1, 1, 1), np.uint8), ShapeError),
        (np.uint8(1), ShapeError),
        (np.array([["AC"]]), ShapeError),
        (np.array([["A"]], object), ShapeError),
        ([np.zeros(2, np.uint8), "A"], DTypeError),
        ([np.zeros((1, 2), np.uint8)], ShapeError),
        (Ragged(np.zeros(3, np.uint8), np.array([0, 2, 1])), ShapeError),
        (Ragged(np.zeros(3, np.uint8), np.array([0, 4])), ShapeError),
        (Ragged(np.zeros(3, np.uint8), np.array([-1, 2])), ShapeError),
        (Ragged(np.zeros(3, np.uint8), np.array([], np.int64)), ShapeError),
        (Ragged(np.zeros(3), np.array([0, 3])), DTypeError),
        ({"A"}, DTypeError),
    ],
)
def test_what_is_no_sequence_is_refused(bad, error):
    with pytest.raises(error):
        encode(bad)


def test_too_long_rows_are_named():
    with pytest.raises(LengthError, match="row 1 has 3 letters; expected at most 2"):
        encode(["AC", "ACG"], length=2)


def test_ragged_is_a_sequence_of_rows():
    ragged = Ragged.of(
        [np.array([0, 1], np.uint8), np.array([], np.uint8), np.array([2], np.uint8)]
    )
    assert [row.tolist() for row in ragged] == [[0, 1], [], [2]]
    assert ragged[-1].tolist() == [2]
    with pytest.raises(IndexError):
        ragged[3]
