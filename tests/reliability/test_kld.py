"""K-mer KLD: the twin over generated inputs, what must not change it, nulls, and hostile maps."""

import math
import pickle
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastseq._native import cpu
from fastseq.errors import FastseqError, LengthError, MapError, OptionError, ShapeError
from fastseq.reliability import tables
from fastseq.reliability.kld import kmer_kld
from fastseq.reliability.nulls import KINDS
from fastseq.sequence.encode import decode
from fastseq.sequence.simulate import simulate_motif_task
from tests.reference import kld as twin

# sums are whole multiples of 2^-40 or less of a row; the twin's own rounding is of that order
CLOSE = {"rtol": 1e-9, "atol": 1e-11}


def case(seed, n=12, length=40, unknown=0.03, smooth=False):
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (n, length), dtype=np.uint8)
    codes[random.random((n, length)) < unknown] = 4
    maps = random.normal(size=(n, 4, length)).astype(np.float32)
    if smooth and length > 8:
        kernel = np.ones(5) / 5
        maps = np.apply_along_axis(np.convolve, 2, maps, kernel, "same").astype(np.float32)
    return codes, maps


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 8),
    length=st.integers(1, 90),
    ks=st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True),
    score=st.sampled_from(["observed", "l2"]),
    form=st.sampled_from(["instance", "product", "sequence_product"]),
    correct=st.booleans(),
    double=st.booleans(),
)
def test_weighted_equals_its_twin(seed, n, length, ks, score, form, correct, double):
    codes, maps = case(seed, n, length, unknown=0.05)
    maps = maps.astype(np.float64) if double else maps
    found = kmer_kld(codes, maps, ks=ks, score=score, form=form, correct=correct).per_k
    scores = twin.scores_of(maps, codes, score, correct)
    expected = [twin.weighted(codes, scores, k, form) for k in ks]
    np.testing.assert_allclose(list(found.values()), expected, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 8),
    length=st.integers(1, 120),
    ks=st.lists(st.integers(1, 8), min_size=1, max_size=4, unique=True),
    score=st.sampled_from(["observed", "l2"]),
    quantile=st.sampled_from([0.0, 0.3, 0.5, 0.9, 0.95, 0.99]),
    buffer=st.integers(0, 5),
    grain=st.sampled_from([0, 3]),
)
def test_thresholded_equals_its_twin(seed, n, length, ks, score, quantile, buffer, grain):
    codes, maps = case(seed, n, length, unknown=0.02, smooth=True)
    scores = twin.scores_of(maps, codes, score, correct=True)
    if grain:  # many equal scores
        scores = np.round(scores * grain)
    found = kmer_kld(
        codes, scores, ks=ks, method="thresholded", quantile=quantile, buffer=buffer
    ).per_k
    expected = [twin.thresholded(codes, scores, k, quantile, buffer) for k in ks]
    np.testing.assert_allclose(list(found.values()), expected, **CLOSE)


def test_the_six_lengths_share_a_pass_and_change_nothing():
    codes, maps = case(1, n=40, length=77)
    together = kmer_kld(codes, maps).per_k
    for k, value in together.items():
        alone = kmer_kld(codes, maps, ks=[k]).per_k[k]
        assert value == alone == kmer_kld(codes, maps, ks=[k, 9]).per_k[k] or math.isclose(
            value, alone, rel_tol=1e-11
        )


@pytest.mark.parametrize("method", ["weighted", "thresholded"])
@pytest.mark.parametrize("form", ["instance", "sequence_product"])
def test_threads_blocks_and_order_change_no_bit(method, form, monkeypatch):
    codes, maps = case(2, n=3000, length=60)
    options = {"method": method, "form": form, "ks": (3, 6, 8)}
    one = kmer_kld(codes, maps, threads=1, **options)
    for positions in (1, 4096, 1 << 18):
        monkeypatch.setattr(tables, "_POSITIONS_PER_BLOCK", positions)
        assert kmer_kld(codes, maps, threads=1, **options).per_k == one.per_k
    for threads in (2, 5):
        assert kmer_kld(codes, maps, threads=threads, **options).per_k == one.per_k
    order = np.random.default_rng(0).permutation(len(codes))
    assert kmer_kld(codes[order], maps[order], **options).per_k == one.per_k


@pytest.mark.parametrize("length", [1, 2, 7, 8, 63, 64, 65, 130])
@pytest.mark.parametrize("score", ["observed", "l2"])
def test_instruction_sets_change_no_bit(length, score):
    codes, maps = case(19, n=30, length=length)
    answers = []
    before = cpu.current()
    for path in cpu.supported():
        cpu.use(path)
        for values in (maps, maps.astype(np.float64), maps[:, 0], maps[:, 1].astype(np.float64)):
            for method in ("weighted", "thresholded"):
                result = kmer_kld(
                    codes, values, ks=(1, 3, 6, 8), method=method, score=score, null=2,
                    null_kind="shift",
                )  # fmt: skip
                answers.append(repr((path * 0, result.per_k, result.null.total)))
    cpu.use(before)
    for path in range(1, len(cpu.supported())):
        assert answers[8 * path : 8 * path + 8] == answers[:8]


def test_both_methods_in_one_call():
    codes, maps = case(20)
    both = kmer_kld(
        codes, {"a": maps, "b": maps[::-1]}, method=("weighted", "thresholded"),
        score=("observed", "l2"), null=2,
    )  # fmt: skip
    assert both.keys() == {"a", "b"}
    for name, found in both.items():
        mine = maps if name == "a" else maps[::-1]
        assert found["weighted"].per_k == kmer_kld(codes, mine).per_k
        alone = kmer_kld(codes, mine, method="thresholded", score="l2", null=2)
        assert repr(found["thresholded"].per_k) == repr(alone.per_k)
        assert repr(found["thresholded"].null) == repr(alone.null)
    assert kmer_kld(codes, maps, method=["weighted"]).keys() == {"weighted"}


def test_norms_and_ready_norms_have_the_same_blocks():
    codes, maps = case(21, n=200, length=90)
    norms = np.sqrt(((maps.astype(np.float64) - maps.mean(1, keepdims=True)) ** 2).sum(1))
    found = kmer_kld(codes, maps, method="thresholded", score="l2").per_k
    assert found == kmer_kld(codes, norms, method="thresholded").per_k


@pytest.mark.parametrize("tail", [0.5, 3, 12])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.95])
def test_cutoffs_of_any_distribution(tail, zeros):
    random = np.random.default_rng(1)
    codes = random.integers(0, 4, (40, 137), dtype=np.uint8)
    scores = random.gamma(1, size=codes.shape) ** tail * (random.random(codes.shape) >= zeros)
    found = kmer_kld(codes, scores, ks=[2, 3], method="thresholded").per_k
    for k in (2, 3):
        np.testing.assert_allclose(found[k], twin.thresholded(codes, scores, k), **CLOSE)


def test_one_length_may_be_a_number():
    codes, maps = case(22)
    assert kmer_kld(codes, maps, ks=6).per_k == kmer_kld(codes, maps, ks=[6]).per_k
    assert kmer_kld(codes, maps, ks=np.int64(6)).per_k.keys() == {6}


def test_null_replicates_do_not_depend_on_threads_or_their_number():
    codes, maps = case(3, n=50)
    few = kmer_kld(codes, maps, null=4, threads=1).null
    many = kmer_kld(codes, maps, null=9, threads=3).null
    np.testing.assert_array_equal(few.total, many.total[:4])


@pytest.mark.parametrize("method", ["weighted", "thresholded"])
@pytest.mark.parametrize("score", ["observed", "l2"])
def test_what_must_not_change_the_metric(method, score):
    codes, maps = case(4, n=30, length=100)
    options = {"method": method, "score": score, "ks": (3, 4, 5)}
    before = kmer_kld(codes, maps, **options).per_k
    random = np.random.default_rng(1)
    for scale in (4.0, 0.125):
        after = kmer_kld(codes, maps * np.float32(scale), **options).per_k
        assert after == before, "powers of two are exact"
    offset = random.integers(-4, 5, (30, 1, 100))
    maps = np.round(maps * 64) / 64  # so that adding the offset is exact
    before = kmer_kld(codes, maps, **options).per_k
    after = kmer_kld(codes, maps + offset, **options).per_k
    np.testing.assert_allclose(list(after.values()), list(before.values()), **CLOSE)
    text = kmer_kld(decode(codes), maps, **options).per_k
    assert text == before


def test_uniform_scores_give_exactly_0():
    codes, _ = case(5, n=20, length=203)
    for constant in (1.0, 0.1, 1e-300):
        result = kmer_kld(codes, np.full(codes.shape, constant), ks=range(1, 11))
        if constant > 1e-299:
            assert set(result.per_k.values()) == {0.0}
        assert all(value >= 0 for value in result.per_k.values())
    assert kmer_kld(codes, np.ones(codes.shape), form="product").total > 0


def test_silent_maps_attribute_nothing_and_move_no_other_row():
    codes, maps = case(6, n=10, length=60)
    maps[3] = 0
    for method in ("weighted", "thresholded"):
        result = kmer_kld(codes, maps, ks=[3], method=method)
        assert result.n_silent == 1
        scores = twin.scores_of(maps, codes, "observed", correct=True)
        expected = getattr(twin, method)(codes, scores, 3)
        np.testing.assert_allclose(result.per_k[3], expected, **CLOSE)
        assert math.isnan(kmer_kld(codes, np.zeros_like(maps), method=method).total)


def test_external_priors():
    codes, maps = case(7, n=20, unknown=0)
    scores = twin.scores_of(maps, codes, "observed", correct=True)
    background, _ = case(8, n=400)
    found = kmer_kld(codes, maps, ks=[2, 3], prior=background).per_k
    for k in (2, 3):
        expected = twin.weighted(codes, scores, k, prior=twin.frequencies(background, k))
        np.testing.assert_allclose(found[k], expected, **CLOSE)
    uniform = {k: np.ones(4**k) for k in (2, 3)}
    assert kmer_kld(codes, maps, ks=[2, 3], prior=uniform).per_k[2] > 0
    uniform[3][:32] = 0
    assert kmer_kld(codes, maps, ks=[2, 3], prior=uniform).per_k[3] == math.inf
    assert kmer_kld(codes, maps, ks=[2, 3], prior=uniform, pseudocount=1).total < math.inf


def test_per_sequence():
    codes, maps = case(9, n=9, length=50)
    codes[4] = 4
    scores = twin.scores_of(maps, codes, "observed", correct=True)
    found = kmer_kld(codes, maps, ks=[2, 5], per_sequence=True).per_sequence
    for k in (2, 5):
        expected = [
            twin.row_divergence(codes[row], scores[row], k, twin.frequencies(codes, k))
            for row in range(9)
        ]
        np.testing.assert_allclose(found[k], expected, **CLOSE)
    assert math.isnan(found[2][4])


def test_several_models_in_one_call():
    codes, maps = case(10)
    results = kmer_kld(codes, {"a": maps, "b": maps[::-1]})
    assert results["a"].per_k == kmer_kld(codes, maps).per_k
    assert sorted(results.values())[0].total == min(r.total for r in results.values())


def test_the_result_of_attribute_goes_in_as_it_is():
    codes, maps = case(10)
    found = kmer_kld(codes, SimpleNamespace(raw=maps))
    assert found.per_k == kmer_kld(codes, maps).per_k


@pytest.fixture(scope="module")
def motif_maps():
    """Return codes and scores that stand out where motifs are, and smooth noise beside them."""
    task = simulate_motif_task(n=600, seed=2, negatives="document")
    rows = task.rows("train", label=1)[:200]
    codes, random = task.codes[rows], np.random.default_rng(0)
    noise = np.abs(np.apply_along_axis(
        np.convolve, 1, random.normal(size=codes.shape), np.ones(9) / 3, "same"
    )) + 0.01  # fmt: skip
    return codes, noise + 2 * task.motif_mask[rows], noise


def test_each_null_sees_through_what_it_says(motif_maps):
    codes, motifs, noise = motif_maps
    rich = noise * np.where(np.isin(codes, (1, 2)), 3, 1)
    z = {
        (name, kind): kmer_kld(codes, scores, null=40, null_kind=kind).null.z
        for name, scores in (("motifs", motifs), ("noise", noise), ("rich", rich))
        for kind in KINDS
    }
    assert min(z["motifs", kind] for kind in KINDS) > 10
    assert abs(z["noise", "swap"]) < 4
    assert abs(z["noise", "shift"]) < 4
    assert z["noise", "permute"] > 20, "a smooth map passes the permutation"
    assert abs(z["noise", "composition"]) < 4
    assert z["rich", "swap"] > 20, "a map that is merely high on G and C passes the swap"
    assert abs(z["rich", "composition"]) < 4


def test_p_value_and_excess(motif_maps):
    codes, motifs, _ = motif_maps
    result = kmer_kld(codes, motifs, null=19)
    assert result.null.p == 1 / 20
    assert "maps of this texture" in str(result)
    assert result.excess[6] == pytest.approx(result.per_k[6] - result.null.per_k[6].mean())
    with pytest.raises(OptionError, match="null=100"):
        _ = kmer_kld(codes, motifs).excess


def test_the_result_says_what_it_is():
    codes, maps = case(11)
    result = kmer_kld(codes, maps, method="thresholded", score="l2")
    assert "thresholded" in result.metric
    assert "norm of the corrected gradient" in result.metric
    assert any("n = 12" in warning for warning in result.warnings)
    assert any("grows with k" in warning for warning in result.warnings)
    assert any("shuffled map" in warning for warning in result.warnings)
    assert any("no window carries attribution at k = 6, 7, 8" in text for text in result.warnings)
    whole = kmer_kld(codes, maps)
    assert any("k = 8 makes" in warning for warning in whole.warnings)
    assert "given scores" in kmer_kld(codes, maps[:, 0]).metric
    assert result.to_dict()["per_k"].keys() == {"3", "4", "5", "6", "7", "8"}
    assert pickle.loads(pickle.dumps(result)).per_k.keys() == result.per_k.keys()


def test_comparison_is_refused_where_numbers_are_not_comparable():
    codes, maps = case(12)
    whole = kmer_kld(codes, maps)
    with pytest.raises(OptionError, match=r"n \(12 against 11\)"):
        _ = whole < kmer_kld(codes[:11], maps[:11])
    with pytest.raises(OptionError, match="score"):
        _ = whole > kmer_kld(codes, maps, score="l2")


def test_length_weights():
    codes, maps = case(13)
    result = kmer_kld(codes, maps, ks=[3, 4], weights={4: 3, 3: 1})
    assert result.total == pytest.approx(0.25 * result.per_k[3] + 0.75 * result.per_k[4])
    assert kmer_kld(codes, maps, ks=[3, 4], weights=[1, 3]).total == result.total
    for weights in ([1], {3: 1}, [-1, 2], [0, 0], [np.nan, 1]):
        with pytest.raises(OptionError, match="weights"):
            kmer_kld(codes, maps, ks=[3, 4], weights=weights)


def test_short_and_empty_sets():
    codes, maps = case(14, n=5, length=5, unknown=0)
    found = kmer_kld(codes, maps, ks=[3, 6]).per_k
    assert found[3] >= 0
    assert math.isnan(found[6])
    empty = kmer_kld(np.zeros((0, 30), np.uint8), np.zeros((0, 4, 30)))
    assert math.isnan(empty.total)
    assert math.isnan(kmer_kld(np.full((3, 30), 4, np.uint8), np.ones((3, 30))).total)
    ragged = kmer_kld(["ACGTACGT", "ACG"], np.ones((2, 8)), ks=[3])
    assert ragged.n_kmers == {3: 7}


@pytest.mark.parametrize("method", ["weighted", "thresholded"])
def test_memory_holds_tables_and_nothing_for_each_sequence(method):
    codes, maps = case(28, n=4000, length=100)  # 6.4 MB of maps, 2 GB of 4^8 counts
    peaks = []
    for rows in (400, 4000):
        tracemalloc.start()
        kmer_kld(codes[:rows], maps[:rows], method=method, threads=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 4e6
    assert peaks[1] - peaks[0] < 4000 * 100 * 2  # the codes as one array, no scores


def test_any_memory_layout_and_type():
    codes, maps = case(15)
    expected = kmer_kld(codes, maps).per_k
    nlc = np.ascontiguousarray(maps.transpose(0, 2, 1))
    assert kmer_kld(codes, nlc.transpose(0, 2, 1)).per_k == expected
    assert kmer_kld(np.asfortranarray(codes), np.asfortranarray(maps)).per_k == expected
    half = maps.astype(np.float16)
    assert kmer_kld(codes, half).per_k == kmer_kld(codes, half.astype(np.float32)).per_k
    maps.setflags(write=False)
    assert kmer_kld(codes, maps).per_k == expected
    whole = np.round(maps[:, 0] * 9).astype(np.int64)
    assert kmer_kld(codes, whole).per_k == kmer_kld(codes, whole.astype(float)).per_k


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("score", ["observed", "l2", "given"])
def test_a_map_that_is_not_finite_is_named_by_its_row(poison, score):
    codes, maps = case(16, n=1400, length=100)
    maps[1317, 2, 40] = poison
    given_scores = maps[:, 2] if score == "given" else maps
    options = {} if score == "given" else {"score": score}
    for null in (0, 2):
        with pytest.raises(MapError, match="row 1317"):
            kmer_kld(codes, given_scores, null=null, **options)


@pytest.mark.parametrize("size", [1e200, 2e307])
@pytest.mark.parametrize("method", ["weighted", "thresholded"])
def test_values_that_overflow_are_named_and_nothing_else_is_said(size, method):
    codes, maps = case(23)
    maps = maps.astype(np.float64)
    maps[5] *= size
    for given_maps in (maps, maps[:, 0]):
        if given_maps.ndim == 2 and size < 1e300:
            continue  # these do not overflow
        with pytest.raises(MapError, match="row 5"):
            kmer_kld(codes, given_maps, method=method, score="l2")
    wide = maps.astype(np.longdouble)
    wide[5] = np.finfo(np.longdouble).max
    with pytest.raises(MapError, match="row 5"):
        kmer_kld(codes, wide, method=method)


def test_float32_maps_up_to_the_largest_numbers():
    codes, maps = case(24)
    largest = (maps / np.abs(maps).max() * 3e38).astype(np.float32)
    small = kmer_kld(codes, (largest / np.float32(2.0**100))).per_k
    assert kmer_kld(codes, largest).per_k == pytest.approx(small)
    assert kmer_kld(codes, largest, score="l2").total > 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"attributions": np.zeros((12, 40, 4))}, ShapeError, "channels come second"),
        ({"attributions": np.zeros((11, 4, 40))}, ShapeError, "n=12"),
        ({"attributions": np.zeros((12, 4, 39))}, FastseqError, "39|40"),
        ({"attributions": np.zeros(12)}, ShapeError, "expected maps"),
        ({"attributions": np.zeros((12, 40), complex)}, MapError, "complex"),
        ({"seqs": "ACGT" * 10, "attributions": np.zeros((1, 4, 40))}, ShapeError, "list of one"),
        ({"ks": []}, OptionError, "ks="),
        ({"ks": 6.5}, OptionError, "ks=6.5"),
        ({"ks": "36"}, OptionError, "ks='3'"),
        ({"ks": None}, OptionError, "ks=None"),
        ({"buffer": 1.5}, OptionError, "buffer=1.5"),
        ({"quantile": "high"}, OptionError, "quantile='high'"),
        ({"quantile": np.nan}, OptionError, "quantile=nan"),
        ({"null": 2.5}, OptionError, "null=2.5"),
        ({"null": 2, "seed": 0.5}, OptionError, "seed=0.5"),
        ({"method": ()}, OptionError, "each method once"),
        ({"method": ("weighted", "weighted")}, OptionError, "each method once"),
        ({"method": ("weighted", "angular")}, OptionError, "weighted, thresholded"),
        ({"method": ("weighted",), "score": ("l2", "l2")}, OptionError, "one score or one"),
        ({"method": None}, OptionError, "method=None"),
        ({"score": None}, OptionError, "score=None"),
        ({"attributions": None}, ShapeError, "expected maps"),
        ({"attributions": {}}, OptionError, "no maps"),
        ({"null": 1, "seed": 2**128}, OptionError, "less than 2"),
        ({"null_kind": "rotate"}, OptionError, "swap, shift, permute, composition"),
        ({"threads": 1.5}, OptionError, "threads=1.5"),
        ({"weights": "abc"}, OptionError, "weights='abc'"),
        ({"weights": 3}, OptionError, "weights=3"),
        ({"weights": [1] * 7}, OptionError, "weights="),
        ({"prior": {k: "x" for k in range(3, 9)}}, OptionError, "prior of k = 3"),
        ({"prior": {k: np.ones(4**k, complex) for k in range(3, 9)}}, OptionError, "prior of k"),
        ({"prior": {k: np.full(4**k, np.nan) for k in range(3, 9)}}, OptionError, "prior of k"),
        ({"prior": ["ACGT" * 9], "pseudocount": "x"}, OptionError, "pseudocount='x'"),
        ({"prior": ["ACGT" * 9], "pseudocount": np.inf}, OptionError, "pseudocount=inf"),
        ({"attributions": [[1, 2], [3]]}, MapError, "no array of numbers"),
        ({"attributions": "maps.npy"}, ShapeError, "attributions"),
        ({"attributions": np.zeros((12, 40), object)}, MapError, "object"),
        ({"attributions": np.zeros((12, 40), bool)}, MapError, "bool"),
        (
            {"attributions": np.ma.masked_less(np.arange(480.0).reshape(12, 40), 90)},
            MapError,
            "row 0 holds NaN",
        ),
        ({"threads": 0}, OptionError, "threads=0"),
        ({"per_sequence": True, "method": ("weighted", "thresholded")}, OptionError, "per_seq"),
        ({"ks": [0]}, OptionError, "between 1 and 12"),
        ({"ks": [13]}, OptionError, "between 1 and 12"),
        ({"ks": [3, 3]}, OptionError, "once"),
        ({"method": "angular"}, OptionError, "weighted, thresholded"),
        ({"score": "max"}, OptionError, "observed, l2"),
        ({"form": "sum"}, OptionError, "instance, product"),
        ({"quantile": 1.0}, OptionError, "quantile"),
        ({"buffer": -1}, OptionError, "buffer"),
        ({"null": -1}, OptionError, "null=-1"),
        ({"null": 1, "null_kind": "rotate"}, OptionError, "swap, shift, permute, composition"),
        ({"prior": {3: np.ones(64)}}, OptionError, "k = 4"),
        ({"pseudocount": 1}, OptionError, "given prior"),
        ({"pseudocount": -1}, OptionError, "pseudocount=-1"),
        ({"per_sequence": True, "form": "product"}, OptionError, "per_sequence"),
    ],
)
def test_hostile_input(arguments, error, message):
    codes, maps = case(17)
    with pytest.raises(error, match=message):
        kmer_kld(**{"seqs": codes, "attributions": maps, **arguments})


def test_tensors():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    codes, maps = case(25)
    assert kmer_kld(codes, torch.tensor(maps)).per_k == kmer_kld(codes, maps).per_k
    for tensor in (torch.tensor(maps, requires_grad=True), torch.tensor(maps).bfloat16()):
        with pytest.raises(MapError, match="detach"):
            kmer_kld(codes, tensor)


def test_priors_of_any_size_and_shape():
    codes, maps = case(26)
    expected = kmer_kld(codes, maps, ks=2, prior={2: np.ones(16)}).per_k[2]
    for table in (np.ones((4, 4)), np.full(16, 1e308), np.full(16, 1e-300), [1] * 16):
        assert kmer_kld(codes, maps, ks=2, prior={2: table}).per_k[2] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["weighted", "thresholded"])
def test_nulls_of_nothing(kind, method):
    for n, length in ((3, 0), (3, 1), (3, 2), (0, 9)):
        if not n and kind in ("swap", "composition"):
            continue
        codes, maps = case(27, n=n, length=length)
        null = kmer_kld(codes, maps, null=2, null_kind=kind, method=method).null
        assert math.isnan(null.p)
        assert len(null.total) == 2


def test_a_single_sequence_has_nothing_to_swap_with():
    codes, maps = case(18, n=1)
    with pytest.raises(OptionError, match="null_kind='shift'"):
        kmer_kld(codes, maps, null=3)
    assert kmer_kld(codes, maps, null=3, null_kind="shift").null.total.shape == (3,)


def test_text_longer_than_the_maps():
    with pytest.raises(LengthError):
        kmer_kld(["ACGTACGTA"], np.ones((1, 8)))
