"""GC content against the slow twin; melting temperatures against values of Bio.SeqUtils 1.88."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastseq.errors import OptionError
from fastseq.sequence.encode import encode
from fastseq.sequence.features import TABLES, NearestNeighbours, gc_content, melting_temperature
from tests.reference import sequence as twin

SEQUENCES = [
    "CGTTCCAAAGATGTGGGCATGAGCTTAC",
    "TTTTAATTAA",
    "ACGT",
    "GGGCCCATATGGGCCC",
    "TAGCAGTCGA" * 11,
]
# Tm_NN(sequence, nn_table=...)
BY_TABLE = {
    "DNA_NN1": [
        72.19499984118579,
        7.572322151036246,
        -63.31699769888175,
        67.069893484683,
        92.42872211998997,
    ],
    "DNA_NN2": [
        65.46933554780924,
        4.440979628119237,
        -39.624803356919756,
        54.71510102561325,
        86.47977035595301,
    ],
    "DNA_NN3": [
        60.32091949919129,
        1.9691803676579411,
        -52.36053106556557,
        53.232152762282965,
        76.35657555502479,
    ],
    "DNA_NN4": [
        60.27151268472841,
        0.4748723484717061,
        -52.57413119246809,
        53.144860287745246,
        76.34313621634965,
    ],
    "RNA_NN1": [
        73.35039082785681,
        -3.389934501270602,
        -40.488589494793985,
        73.65639840566638,
        90.30569718967882,
    ],
    "RNA_NN2": [
        76.41778112061309,
        -10.859321544506827,
        -61.25550722070636,
        75.97384222116347,
        92.60110287345105,
    ],
    "RNA_NN3": [
        75.19147344538436,
        -10.144830320912263,
        -66.56764229515593,
        75.45533378191368,
        90.15445476300653,
    ],
    "R_DNA_NN1": [
        58.449575213422236,
        -3.194240313670832,
        -47.20362915092781,
        61.866469700815685,
        74.47617960554823,
    ],
}
# Tm_NN(sequence, saltcorr=..., Na=40, K=10, Tris=20, Mg=1.5, dNTPs=0.6)
BY_SALT = {
    0: [75.86281007878182, 14.146703719876882, -45.0553553245588],
    1: [63.24937808536087, 1.5332717264559275, -57.668787317979756],
    2: [62.42149268218251, 0.7053863232775708, -58.49667272115811],
    3: [66.36474381867568, 4.648637459770741, -54.553421584664946],
    4: [66.97262005932248, 5.2565137004175355, -53.94554534401815],
    5: [66.61451305816661, 6.906973780129704, -49.379429692402056],
    6: [68.66263409489193, 6.288394521686428, -48.152816020314305],
    7: [66.1412118397239, 4.373681549541232, -51.411335046190715],
}


@given(st.lists(st.text("ACGTUNacgtunR-", max_size=150), max_size=5))
def test_gc_content(rows):
    for unknown in ("ignore", "count"):
        expected = [twin.gc_content(row, unknown) for row in rows]
        assert np.array_equal(gc_content(rows, unknown=unknown), expected, equal_nan=True)


def test_gc_content_of_every_length(path):
    rng = np.random.default_rng(0)
    for length in range(1, 258):
        text = "".join(rng.choice(list("ACGTNacgtn"), length)) + "C"
        assert gc_content(text) == twin.gc_content(text)
        assert gc_content(encode(text), unknown="count") == twin.gc_content(text, "count")
    assert gc_content(["GC"] * 5000, threads=3).tolist() == [1] * 5000
    assert math.isnan(gc_content("NN"))
    with pytest.raises(OptionError, match="unknown"):
        gc_content("A", unknown="skip")


@pytest.mark.parametrize("table", TABLES)
def test_melting_by_table(path, table):
    found = melting_temperature(SEQUENCES, table=table)
    assert np.abs(found - BY_TABLE[table]).max() < 1e-9
    assert np.array_equal(melting_temperature([s.lower() for s in SEQUENCES], table=table), found)


@pytest.mark.parametrize("method", BY_SALT)
def test_melting_by_salt_correction(method):
    ions = {"Na": 40, "K": 10, "Tris": 20, "Mg": 1.5, "dNTPs": 0.6}
    found = melting_temperature(SEQUENCES[:3], saltcorr=method, **ions)
    assert np.abs(found - BY_SALT[method]).max() < 1e-9


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"selfcomp": True, "dnac1": 200},
            [62.383610675327134, 6.885019108822689, -43.21083342555386],
        ),
        (
            {"saltcorr": 7, "Na": 5, "Mg": 3},
            [67.68992592416726, 9.941482202843815, -43.00422284539263],
        ),
        (
            {"saltcorr": 7, "Na": 0, "Mg": 3},
            [67.68992592416726, 9.941482202843815, -43.00422284539263],
        ),
        (
            {"saltcorr": 7, "Na": 500, "Mg": 1},
            [73.80093676753336, 11.537967610257397, -45.93782387170282],
        ),
    ],
)
def test_melting_by_concentrations(options, expected):
    assert np.abs(melting_temperature(SEQUENCES[:3], **options) - expected).max() < 1e-9


def test_unknown_bases_have_no_temperature(path):
    rows = ["ACNGT", "", "A", "ACGT", "A" * 3000 + "N", "CG" * 3000]
    found = melting_temperature(rows)
    assert np.isnan(found).tolist() == [True, True, True, False, True, False]
    assert melting_temperature("ACGU") == melting_temperature("ACGT")


def test_long_rows_add_up(path):
    # enthalpy and entropy of a repeat grow by the same step: the limit is known
    table = TABLES["DNA_NN3"]
    step = np.add(table.pairs["CG"], table.pairs["GC"])
    limit = 1000 * step[0] / (step[1] + 2 * 0.368 * math.log(0.05)) - 273.15
    assert melting_temperature("CG" * 500_000) == pytest.approx(limit, abs=1e-3)


def test_tables_of_ones_own():
    pairs = {a + b: (-8.0, -22.0) for a in "ACGT" for b in "ACGT"}
    table = NearestNeighbours("here", pairs)
    expected = -8000 * 3 / (-66 + 1.987 * math.log(12.5e-9)) - 273.15
    assert melting_temperature("ACGT", table=table, saltcorr=0) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"table": "DNA_NN9"},
        {"saltcorr": 8},
        {"saltcorr": "5"},
        {"dnac1": 10, "dnac2": 20},
        {"Na": 0},
        {"Na": 0, "saltcorr": 7},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(OptionError):
        melting_temperature("ACGT", **options)
