import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import fastseq
from fastseq.errors import LengthError, OptionError, ResumeError
from fastseq.io.results import read_results
from fastseq.models.specs import InputSpec
from fastseq.sequence.edits import Edits
from tests.reference import mutants
from tests.score.test_ism import network

LENGTH = 14
TEXTS = ["ACGTTGCANNACGT", "TTGATTACAGGGCC", "CCCCCGTATAACGT"]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("engine", ["full", "incremental"])
@pytest.mark.parametrize(
    "source",
    ["substitutions", "deletions:3", "insertions:GATA,C", "motifs:GATTA", "ablations:4",
     "shuffles:6x2"],
)  # fmt: skip
def test_every_source_is_the_module_on_every_mutant(source, engine):
    model = network()
    found = fastseq.perturb(model, TEXTS, source, engine=engine)
    close(found.effect, mutants.effects(model, TEXTS, found.edits))
    close(found.y_alt, found.y_ref[found.edits.row] + found.effect)


@settings(max_examples=20)
@given(st.data())
def test_tables_of_any_edits_are_the_module_on_every_mutant(data):
    rows = data.draw(st.lists(st.tuples(
        st.integers(0, 2), st.integers(0, LENGTH), st.integers(0, 6), st.text("ACGTN", max_size=5)
    ), min_size=1, max_size=12))  # fmt: skip
    rows = [(row, start, min(removed, LENGTH - start), word) for row, start, removed, word in rows]
    margin, model = data.draw(st.sampled_from([0, 2])), network(length=LENGTH)
    edits = Edits.of_words(*zip(*rows))
    model = network(length=LENGTH - 2 * margin)
    found = fastseq.perturb(model, TEXTS, edits, margin=margin, engine="incremental")
    close(found.effect, mutants.effects(model, TEXTS, edits, margin=margin))


def test_the_table_says_what_was_done():
    table = fastseq.perturb(network(), TEXTS, Edits.of_words([2, 0], [3, 5], [2, 0], ["", "GAT"]))
    columns = table.columns()
    assert columns["row"].tolist() == [2, 0]
    assert columns["ref"] == ["CC", ""]
    assert columns["alt"] == ["", "GAT"]
    assert columns["effect_task1"].shape == (2,)


def test_positions_count_in_what_the_caller_gave():
    model = network()
    model.input_spec = InputSpec(LENGTH, left="ACG", right="TT")
    inner = ["ACGTACGTA"]
    whole = ["ACG" + inner[0] + "TT"]
    short = fastseq.perturb(model, inner, "deletions:2", shifts=(-1, 0))
    long = fastseq.perturb(model, whole, "deletions:2", shifts=(-1, 0))
    np.testing.assert_array_equal(long.edits.start, short.edits.start + 3)
    np.testing.assert_array_equal(long.effect, short.effect)
    reaching = fastseq.perturb(model, whole, Edits.of_words([0], [1], [1], ["T"]))
    close(reaching.effect, mutants.effects(model, whole, reaching.edits))


def test_a_set_in_blocks_is_the_set_at_once():
    codes = np.random.default_rng(0).integers(0, 4, (37, LENGTH), dtype=np.uint8)
    whole = fastseq.perturb(network(), codes, "shuffles:7x2")
    for row in (0, 17, 36):
        mine = whole.edits.row == row
        one = fastseq.perturb(network(), codes, whole.edits.take(np.flatnonzero(mine)))
        np.testing.assert_array_equal(one.effect, whole.effect[mine])


TABLE = Edits.of_words(
    [69, 0, 3, 64, 0], [2, 14, 1, 5, 0], [3, 0, 1, 1, 2], ["", "GA", "T", "C", "A"]
)


@pytest.mark.parametrize("engine", ["full", "incremental"])
@pytest.mark.parametrize("edits", ["deletions:2", "shuffles:7x2", TABLE])
def test_parts_are_the_table_at_once(tmp_path, edits, engine):
    codes = np.random.default_rng(0).integers(0, 5, (70, LENGTH)).astype(np.uint8)
    names, how = [f"s{row}" for row in range(70)], {"strands": "both", "engine": engine}
    whole = pd.DataFrame(fastseq.perturb(network(), codes, edits, **how).columns(names))
    manifest = fastseq.perturb(
        network(), codes, edits, **how, names=names, output=tmp_path / "e", shard=64
    )
    assert [part["rows"] for part in manifest["parts"]] == (
        [3, 2] if edits is TABLE else [len(whole) * 64 // 70, len(whole) * 6 // 70]
    )
    if edits is TABLE:
        whole = whole.iloc[[1, 4, 2, 3, 0]].reset_index(drop=True)
    found = read_results(tmp_path / "e")
    # a table of one's own shares its batches with other edits there
    close = {"rtol": 1e-4, "atol": 1e-6} if edits is TABLE else {"check_exact": True}
    pd.testing.assert_frame_equal(found, whole, **close)


def test_pairs_by_parts_are_those_at_once_bit_for_bit(tmp_path):
    codes = np.random.default_rng(0).integers(0, 5, (70, LENGTH)).astype(np.uint8)
    how = {"start": 4, "end": 11, "max_distance": 3}
    whole = pd.DataFrame(fastseq.epistasis(network(), codes, **how).columns())
    fastseq.epistasis(network(), codes, **how, output=tmp_path / "e", shard=64)
    found = read_results(tmp_path / "e")
    assert found.pop("name").tolist() == whole.pop("row").astype(str).tolist()
    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_parts_are_of_one_run(tmp_path):
    output, codes = tmp_path / "e", np.zeros((3, LENGTH), np.uint8)

    def run(edits="deletions", **options):
        return fastseq.perturb(network(), codes, edits, output=output, **options)

    run()
    for options, differs in (
        ({"edits": "deletions:2"}, "edits"),
        ({"edits": Edits.of_words([0], [1], [1], ["C"])}, "edits, start, end"),
        ({"scale": "logit"}, "scale"),
        ({"end": 9}, "end"),
    ):
        with pytest.raises(ResumeError, match=f"holds another run; {differs}.* differ"):
            run(**options, resume=True)
    with pytest.raises(OptionError, match="looks like one file; expected a folder"):
        fastseq.perturb(network(), codes, "deletions", output=tmp_path / "e.tsv")
    with pytest.raises(OptionError, match="resume and names need output="):
        fastseq.perturb(network(), codes, "deletions", resume=True)


def test_no_sequences_and_no_edits():
    none = fastseq.perturb(network(), np.zeros((0, LENGTH), np.uint8), "deletions")
    assert none.effect.shape == (0, 2)
    nothing = fastseq.perturb(network(), TEXTS, Edits.of_words([], [], [], []))
    assert nothing.effect.shape == (0, 2)
    assert nothing.y_ref.shape == (3, 2)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"edits": "deletions:15"}, OptionError, "15 bp do not fit"),
        ({"edits": "deletions", "start": 3, "end": 2}, OptionError, "do not fit"),
        ({"edits": Edits.of_words([0], [13], [2], [""])}, OptionError, "removes 2 bases"),
        ({"edits": Edits.of_words([3], [1], [2], [""])}, OptionError, "names row 3 of 3"),
        ({"edits": "deletions", "margin": 7}, LengthError, "margin=7"),
        ({"edits": "deletions", "shifts": 3}, OptionError, "shifts=3"),
        ({"edits": "deletions", "start": 1.5}, OptionError, "start=1.5; expected a whole number"),
        ({"edits": "deletions", "batch_size": 1.5}, OptionError, "batch_size=1.5"),
        ({"edits": "substitutions", "engine": "magic"}, OptionError, "engine='magic'"),
    ],
)
def test_what_cannot_be_is_refused(options, error, said):
    with pytest.raises(error, match=said):
        fastseq.perturb(network(), TEXTS, **options)


def test_ablations_by_window():
    model = network()
    codes = fastseq.encode(TEXTS)
    found = fastseq.ablate(model, TEXTS, 5, n=3, step=2)
    assert found.effect.shape == (3, 2, 5, 3)
    words = fastseq.shuffle(codes[1:2, 4:9], 2, 3, row_offset=1 * 5 + 2)[0]
    texts = ["".join("ACGTN"[c] for c in word) for word in words]
    edits = Edits.of_words([1] * 3, [4] * 3, [5] * 3, texts)
    close(found.effect[1, :, 2].T, mutants.effects(model, TEXTS, edits))
    unknown = fastseq.ablate(model, TEXTS, 5, by="unknown")
    np.testing.assert_array_equal(unknown.start, [0, 5])
    assert unknown.importance.shape == (3, 2, LENGTH)
    np.testing.assert_array_equal(unknown.importance[:, :, 6], -unknown.effect[:, :, 1, 0])
    assert (unknown.importance[:, :, 10:] == 0).all()
    with pytest.raises(OptionError, match="expected whole numbers"):
        fastseq.ablate(model, TEXTS, 2.5)
    with pytest.raises(OptionError, match="by='zeros'"):
        fastseq.ablate(model, TEXTS, 5, by="zeros")


def test_motifs_in_backgrounds():
    model = network()
    found = fastseq.marginalize(model, TEXTS, ["GATTA", "CC"], positions=[0, 4])
    assert found.effect.shape == (3, 2, 2, 2, 2)
    for motif, word in enumerate(("GATTA", "CC")):
        for strand, put in enumerate((word, fastseq.reverse_complement(word))):
            edits = Edits.of_words(range(3), [4] * 3, [len(word)] * 3, [put] * 3)
            close(found.effect[:, :, motif, strand, 1], mutants.effects(model, TEXTS, edits))
    np.testing.assert_allclose(found.mean, found.effect.mean(0))
    assert np.isfinite(found.standard_error).all()
    centred = fastseq.marginalize(model, TEXTS[:1], "GATA", orientations="+")
    assert centred.positions.tolist() == [5]
    assert np.isnan(centred.standard_error).all()
    with pytest.raises(OptionError, match="words of A, C, G and T"):
        fastseq.marginalize(model, TEXTS, "GAXA")
    with pytest.raises(OptionError, match="expected whole numbers of bp"):
        fastseq.marginalize(model, TEXTS, "GATA", positions=1.5)
    with pytest.raises(OptionError, match="expected places where they fit"):
        fastseq.marginalize(model, TEXTS, "GATA", positions=11)


@pytest.mark.parametrize("engine", ["full", "incremental"])
def test_pairs_beyond_the_sum_of_their_parts(engine):
    model = network()
    found = fastseq.epistasis(model, TEXTS, start=5, end=12, engine=engine)
    assert found.interaction.shape == (3, 2, 7, 4, 7, 4)
    row, i, a, j, b = 1, 1, 2, 5, 0
    old = TEXTS[row]
    word = "ACGT"[a] + old[7:10] + "ACGT"[b]
    edits = Edits.of_words([1] * 3, [6, 6, 10], [5, 1, 1], [word, "ACGT"[a], "ACGT"[b]])
    both, left, right = mutants.effects(model, TEXTS, edits)
    close(found.interaction[row, :, i, a, j, b], both - left - right)
    np.testing.assert_array_equal(found.interaction, found.interaction.transpose(0, 1, 4, 5, 2, 3))
    assert (found.dependency[0, :, 3:5] == 0).all()  # unknown bases
    near = fastseq.epistasis(model, TEXTS, start=5, end=12, max_distance=2, engine=engine)
    far = np.abs(np.subtract.outer(np.arange(7), np.arange(7))) > 2
    assert (near.dependency[:, :, far] == 0).all()
    np.testing.assert_array_equal(near.dependency[:, :, ~far], found.dependency[:, :, ~far])


def test_sums_over_positions_have_no_interaction():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4 * LENGTH, 2))
    found = fastseq.epistasis(model, TEXTS)
    assert np.abs(found.interaction).max() < 1e-6
    assert np.abs(found.effect).max() > 0.05
