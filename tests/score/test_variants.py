"""Variant scores against haplotypes built as plain strings and scored as whole sequences."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch import nn

from fastseq.errors import (
    ContigError,
    FastseqWarning,
    LengthError,
    OptionError,
    PrecisionError,
    ReferenceMismatchError,
    TableError,
)
from fastseq.io.fasta import Genome
from fastseq.lower.incremental import DeltaEngine
from fastseq.models.registry import build
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.score import scorer
from fastseq.score.effects import empirical_p_values
from fastseq.score.predict import predict
from fastseq.score.variants import score_variants
from tests.reference import alleles as slow

COLUMNS = [
    "chrom",
    "pos",
    "id",
    "ref",
    "alt",
    "norm_pos",
    "norm_ref",
    "norm_alt",
    "status",
    "flags",
]


class Net(nn.Module):
    """A small network that sees every base and its neighbours."""

    def __init__(self, spec: InputSpec, target: TargetSpec | None = None, seed: int = 0) -> None:
        super().__init__()
        self.input_spec = spec
        self.target_spec = target or TargetSpec()
        generator = torch.Generator().manual_seed(seed)
        self.conv = nn.Conv1d(spec.channels, 6, 5, padding=2)
        self.head = nn.Linear(6 * spec.length, len(self.target_spec.tasks))
        for values in self.parameters():
            values.data = torch.randn(values.shape, generator=generator) / 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(x).relu().flatten(1))


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    rng = np.random.default_rng(5)
    texts = {name: "".join(rng.choice(list("ACGT"), 400)) for name in ("c1", "c2")}
    # repeats, where normal forms move, and an unknown stretch
    texts["c1"] = texts["c1"][:100] + "CACACACACACA" + "GGGGGGGG" + texts["c1"][120:]
    texts["c2"] = texts["c2"][:200] + "NNNNN" + texts["c2"][205:]
    return texts


@pytest.fixture(scope="module")
def genome(texts: dict[str, str]) -> Genome:
    return Genome.from_sequences(texts)


def table_of(texts: dict[str, str], count: int, seed: int) -> pd.DataFrame:
    """Random alleles of every kind, all over the contigs and beyond a window's reach."""
    rng = np.random.default_rng(seed)
    rows = []
    while len(rows) < count:
        chrom = str(rng.choice(list(texts)))
        start = int(rng.integers(0, 400))
        sizes = [1, 1, 1, 2, 3, 8, 60]
        ref = texts[chrom][start : start + int(rng.choice(sizes))]
        alt = "".join(rng.choice(list("ACGT"), int(rng.choice(sizes))))
        if rng.random() < 0.5:
            alt = ref[0] + alt[1:]
        if "N" not in ref + alt and ref != alt:
            rows.append((chrom, start + 1, ref, alt))
    return pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"])


def expected_windows(row, text: str, length: int, before: int, shift: int = 0) -> tuple[str, str]:
    changed = slow.haplotype(text, int(row.norm_pos), row.norm_ref, row.norm_alt)
    # behind the contig's end there is nothing to refill from
    anchor = int(row.norm_pos) - 1 + shift
    return slow.window(text, anchor, length, before), slow.window(changed, anchor, length, before)


@pytest.mark.parametrize("length", [20, 21])
@pytest.mark.parametrize("anchor", ["L//2", "L//2-1"])
@pytest.mark.parametrize("normalize", [True, False])
def test_every_row_is_scored_in_its_true_haplotype(texts, genome, length, anchor, normalize):
    model = Net(InputSpec(length))
    variants = table_of(texts, 120, length)
    frame = score_variants(model, variants, genome, anchor=anchor, normalize=normalize)
    assert list(frame.columns) == [*COLUMNS, "y_ref", "y_alt", "diff", "log2fc"]
    assert frame.status.eq("ok").all()
    assert frame[["chrom", "pos", "ref", "alt"]].equals(variants)
    before = length // 2 - (anchor == "L//2-1")
    windows = [
        expected_windows(row, texts[row.chrom], length, before) for row in frame.itertuples()
    ]
    y_ref, y_alt = (predict(model, list(seen)) for seen in zip(*windows))
    np.testing.assert_allclose(frame.y_ref, y_ref, atol=2e-6)
    np.testing.assert_allclose(frame["diff"], y_alt - y_ref, atol=3e-6)
    assert np.array_equal(frame.y_alt, frame.y_ref + frame["diff"])
    for row in frame.itertuples():
        start = row.norm_pos - 1 - before
        drawn = max(len(row.norm_ref) - len(row.norm_alt), 0)
        end = start + length + drawn
        assert ("padded" in row.flags) == (start < 0 or end > 400)
        inside = texts[row.chrom][max(start, 0) : end]
        assert ("n_in_window" in row.flags) == ("N" in inside)


def test_views_average_before_differences(texts, genome):
    model = Net(InputSpec(24, strand_channel=True))
    variants = table_of(texts, 40, 1)
    shifts = (-3, 0, 2)
    frame = score_variants(model, variants, genome, strands="both", shifts=shifts)
    refs, alts = [], []
    for shift in shifts:
        windows = [
            expected_windows(row, texts[row.chrom], 24, 12, shift) for row in frame.itertuples()
        ]
        for strands in ("forward", "both"):
            y_ref, y_alt = (predict(model, list(seen), strands=strands) for seen in zip(*windows))
            if strands == "both":
                # both = (forward + reverse) / 2
                y_ref, y_alt = 2 * y_ref - refs[-1], 2 * y_alt - alts[-1]
            refs.append(y_ref)
            alts.append(y_alt)
    diffs = np.array(alts) - np.array(refs)
    np.testing.assert_allclose(frame.y_ref, np.mean(refs, 0), atol=5e-6)
    np.testing.assert_allclose(frame["diff"], diffs.mean(0), atol=5e-6)
    np.testing.assert_allclose(frame.sd, diffs.std(0), atol=1e-5)


def test_construct_flanks_hold_windows_of_the_variable_length(texts, genome):
    left, right = "ACGTAC", "GGTT"
    model = Net(InputSpec(30, left, right))
    variants = table_of(texts, 30, 2)
    frame = score_variants(model, variants, genome)
    pairs = [expected_windows(row, texts[row.chrom], 20, 10) for row in frame.itertuples()]
    y_ref, y_alt = (predict(model, list(seen)) for seen in zip(*pairs))
    np.testing.assert_allclose(frame.y_ref, y_ref, atol=2e-6)
    np.testing.assert_allclose(frame["diff"], y_alt - y_ref, atol=3e-6)
    full = score_variants(model, variants, genome, length=30)
    assert not np.allclose(full["diff"], frame["diff"])


def test_ways_of_writing_a_variant_score_bit_for_bit_the_same(genome, texts):
    model = Net(InputSpec(40))
    ways = [
        ("c1", 101, "CAC", "C"),
        ("c1", 109, "CAC", "C"),
        ("c1", 103, "CACAC", "CAC"),
        ("c1", 105, "CA", "-"),
        ("c1", 104, "ACA", "A"),
    ]
    frame = score_variants(model, [":".join(map(str, way)) for way in ways], genome)
    assert frame[["norm_pos", "norm_ref", "norm_alt"]].drop_duplicates().shape[0] == 1
    for column in ("y_ref", "y_alt", "diff", "log2fc"):
        assert frame[column].nunique() == 1
    apart = score_variants(
        model, [":".join(map(str, way)) for way in ways[:2]], genome, normalize=False
    )
    assert apart["diff"].nunique() == 2


@pytest.mark.parametrize(
    "make", [lambda: Net(InputSpec(32)), partial(build, "tum_resnet", length=40)]
)
def test_company_and_order_do_not_matter(texts, genome, make):
    model = make()
    variants = table_of(texts, 97, 3)
    whole = score_variants(model, variants, genome)
    order = np.random.default_rng(0).permutation(97)
    mixed = score_variants(model, variants.iloc[order], genome)
    for column in whole.columns:
        pd.testing.assert_series_equal(
            whole[column].iloc[order], mixed[column], check_index=False, check_exact=True
        )
    for row in (0, 7, 41, 96):
        alone = score_variants(model, variants.iloc[[row]], genome)
        assert alone["diff"].tolist() == whole["diff"].iloc[[row]].tolist()


def test_rows_out_are_alleles_in(genome, texts):
    ref = texts["c1"][49]
    alt = "A" if ref != "A" else "C"
    rows = [
        f"c1:50:{ref}:{alt},<DEL>,*,.",
        f"c1:50:{alt}:{ref}",
        "c9:50:A:C",
        "c1:500:A:C",
        f"c1:50:{ref}:{ref}",
        f"c1:50:{ref}:{ref}[c2:7[",
        f"c1:50:{ref}:N",
    ]
    with pytest.warns(FastseqWarning, match="no contig c9"):
        frame = score_variants(Net(InputSpec(16)), rows, genome)
    assert frame.status.tolist() == [
        "ok", "symbolic", "spanning_deletion", "no_alt", "ref_mismatch", "unknown_contig",
        "out_of_bounds", "ref_equals_alt", "breakend", "non_ACGT",
    ]  # fmt: skip
    scored = frame[["y_ref", "y_alt", "diff"]].notna().all(axis=1)
    assert scored.tolist() == [True] + [False] * 9
    assert frame.norm_pos.notna().tolist() == scored.tolist()
    assert frame.alt.tolist()[:4] == [alt, "<DEL>", "*", "."]


def test_reference_mismatches(genome, texts):
    model = Net(InputSpec(16))
    ref = texts["c1"][49]
    one, two = [letter for letter in "ACGT" if letter != ref][:2]
    plain = score_variants(model, [f"c1:50:{ref}:{one}"], genome)
    swapped = score_variants(model, [f"c1:50:{one}:{ref}"], genome, on_ref_mismatch="swap")
    assert swapped["flags"].tolist() == ["swapped"]
    assert swapped["diff"].tolist() == (-plain["diff"]).tolist()
    assert swapped.y_ref.tolist() == plain.y_alt.tolist()
    forced = score_variants(model, [f"c1:50:{one}:{two}"], genome, on_ref_mismatch="force")
    text = texts["c1"]
    windows = [slow.window(text[:49] + base + text[50:], 49, 16, 8) for base in (one, two)]
    y_ref, y_alt = predict(model, windows)
    np.testing.assert_allclose(forced.y_ref, y_ref, atol=1e-6)
    np.testing.assert_allclose(forced["diff"], y_alt - y_ref, atol=1e-6)
    with pytest.raises(ReferenceMismatchError, match=f"REF is {one}, the genome holds {ref}"):
        score_variants(model, [f"c1:50:{one}:{two}"], genome, on_ref_mismatch="error")


def test_an_ambiguity_letter_matches_its_members_and_takes_the_file_base():
    model = Net(InputSpec(8))
    genome = Genome.from_sequences({"c": "ACGTACRTACGTNCGT"})
    frame = score_variants(model, ["c:7:A:C", "c:7:G:C", "c:7:T:C", "c:13:T:A"], genome)
    assert frame.status.tolist() == ["ok", "ok", "ref_mismatch", "ok"]
    windows = [slow.window(f"ACGTAC{base}TACGTNCGT", 6, 8, 4) for base in "AGC"]
    y = predict(model, windows)
    np.testing.assert_allclose(frame.y_ref[:2], y[:2], atol=1e-6)
    np.testing.assert_allclose(frame["diff"][:2], y[2] - y[:2], atol=1e-6)


def test_tasks_and_scales(genome, texts):
    tasks = TargetSpec(tasks=("dev", "hk"), activation="softplus", scale="counts")
    variants = table_of(texts, 10, 4)
    frame = score_variants(Net(InputSpec(16), tasks), variants, genome, pseudocount=0.5)
    names = [
        f"{name}_{task}" for name in ("y_ref", "y_alt", "diff", "log2fc") for task in tasks.tasks
    ]
    assert list(frame.columns) == [*COLUMNS, *names]
    ratio = np.log2((frame.y_alt_hk + 0.5) / (frame.y_ref_hk + 0.5))
    np.testing.assert_allclose(frame.log2fc_hk, ratio, atol=1e-5)
    logit = Net(InputSpec(16), TargetSpec(scale="logit"))
    assert score_variants(logit, variants, genome).log2fc.isna().all()


def test_compensated_indels_average_both_alignments(texts, genome):
    model = Net(InputSpec(24))
    variants = table_of(texts, 80, 11)
    plain = score_variants(model, variants, genome)
    both = score_variants(model, variants, genome, indel="compensate")
    pairs = []
    for row in both.itertuples():
        text = texts[row.chrom]
        growth = len(row.norm_alt) - len(row.norm_ref)
        changed = slow.haplotype(text, row.norm_pos, row.norm_ref, row.norm_alt)
        anchor = row.norm_pos - 1
        # the window ends where it ended: its end moved with the right flank
        start = anchor - 12 + growth
        ends = (slow.window(text, anchor, 24, 12), slow.window(changed, start, 24, 0))
        pairs.append(ends)
    y_ref, y_right = (predict(model, list(seen)) for seen in zip(*pairs))
    grown = (both.norm_ref.str.len() != both.norm_alt.str.len()).to_numpy()
    right = y_right - y_ref
    expected = np.where(grown, (plain["diff"] + right) / 2, plain["diff"])
    np.testing.assert_allclose(both["diff"], expected, atol=5e-6)
    np.testing.assert_allclose(
        both.sd, np.where(grown, abs(plain["diff"] - right) / 2, 0), atol=5e-6
    )


def test_profiles_are_compared_in_sum_and_shape(texts, genome):
    class Profile(nn.Module):
        input_spec, target_spec = InputSpec(16), TargetSpec(activation="exp", scale="counts")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.cumsum(2)[:, :1] / 4

    variants = table_of(texts, 20, 12)
    frame = score_variants(Profile(), variants, genome, reduce="sum")
    windows = [expected_windows(row, texts[row.chrom], 16, 8) for row in frame.itertuples()]
    ref, alt = (predict(Profile(), list(seen))[:, 0] for seen in zip(*windows))
    np.testing.assert_allclose(frame["diff"], alt.sum(1) - ref.sum(1), atol=1e-4)
    np.testing.assert_allclose(frame.l2, np.sqrt(((alt - ref) ** 2).sum(1)), atol=1e-5)
    expected = jensenshannon(ref, alt, base=2, axis=1)
    np.testing.assert_allclose(frame.jsd, expected, atol=1e-4)
    with pytest.raises(OptionError, match="expected 'sum' or 'mean'"):
        score_variants(Profile(), variants, genome)


def test_contig_names_are_mended_only_when_asked(genome, texts, tmp_path):
    model = Net(InputSpec(16))
    rows = [f"chromosome1:50:{texts['c1'][49]}:<X>", "chr1:1:A:<X>"]
    with pytest.raises(ContigError, match="name contigs chromosome1, chr1; .* has c1, c2: no name"):
        score_variants(model, rows, genome)
    with pytest.raises(ContigError):
        score_variants(model, rows, genome, output=tmp_path / "scores")
    assert not (tmp_path / "scores").exists(), (
        "a run that never began is not in the way of the next"
    )
    mapped = {"chromosome1": "c1", "chr1": "c1"}
    assert (
        score_variants(model, rows, genome, contig_map=mapped).status.tolist() == ["symbolic"] * 2
    )
    chrom = Genome.from_sequences({"chrI": "ACGT", "chrM": "ACGT", "chrIX": "ACGT"})
    roman = [f"{name}:1:A:<X>" for name in ("chromosome1", "chr9", "1", "MT", "chrIX")]
    found = score_variants(model, roman, chrom, contig_map="roman")
    assert found.status.tolist() == ["symbolic"] * 5
    assert found.chrom.tolist()[0] == "chromosome1"
    bare = [f"{name}:1:A:<X>" for name in ("I", "chrI", "IX")]
    assert len(score_variants(model, bare, chrom, contig_map="chr")) == 3


def test_a_map_file_has_two_columns(genome, tmp_path):
    model = Net(InputSpec(16))
    path = tmp_path / "map.tsv"
    path.write_text("# ours theirs\n7\tc1\n")
    assert len(score_variants(model, ["7:1:A:<X>"], genome, contig_map=path)) == 1
    path.write_text("7 c1 c2\n")
    with pytest.raises(OptionError, match="line 1 is '7 c1 c2'; expected two columns"):
        score_variants(model, ["7:1:A:<X>"], genome, contig_map=path)


def test_sources_of_variants_agree(genome, texts, tmp_path):
    model = Net(InputSpec(16))
    variants = table_of(texts, 12, 6)
    expected = score_variants(model, variants, genome)["diff"].tolist()
    loud = variants.rename(columns=str.upper).assign(extra="NA")
    loud.to_csv(tmp_path / "v.tsv", sep="\t", index=False)
    variants.to_csv(tmp_path / "v.csv.gz", index=False)
    variants.to_parquet(tmp_path / "v.parquet")
    lines = [f"{r.chrom}\t{r.pos}\t.\t{r.ref}\t{r.alt}\t.\t.\t.\n" for r in variants.itertuples()]
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.2\n" + "".join(lines))
    for name in ("v.tsv", "v.csv.gz", "v.parquet", "v.vcf"):
        assert score_variants(model, tmp_path / name, genome)["diff"].tolist() == expected
    texts_of = [":".join(map(str, row)) for row in variants.itertuples(index=False)]
    assert score_variants(model, texts_of, genome)["diff"].tolist() == expected


def test_table_positions_that_are_missing_are_marked(genome):
    frame = pd.DataFrame({"chrom": ["c1", "NA"], "pos": [np.nan, 1.5], "ref": "A", "alt": "C"})
    with pytest.warns(FastseqWarning, match="no contig NA"):
        found = score_variants(Net(InputSpec(16)), frame, genome)
    assert found.status.tolist() == ["out_of_bounds", "unknown_contig"]


def test_positions_of_any_size_are_marked(genome):
    far = "9" * 30
    frame = pd.DataFrame({"chrom": "c1", "pos": [1e30], "ref": "A", "alt": "C"})
    for source in ([f"c1:{far}:A:C"], frame):
        assert score_variants(Net(InputSpec(16)), source, genome).status.tolist() == [
            "out_of_bounds"
        ]
    with pytest.raises(TableError, match="expected chrom:pos:ref:alt"):
        score_variants(Net(InputSpec(16)), ["c1:,:A:C"], genome)


def test_regions_choose_records(genome, texts, tmp_path):
    model = Net(InputSpec(16))
    variants = table_of(texts, 60, 7)
    (tmp_path / "r.bed").write_text("c1\t99\t200\n")
    for regions in ("c1:100-200", ["c1:100-150", "c1:140-200"], tmp_path / "r.bed"):
        frame = score_variants(model, variants, genome, regions=regions)
        chosen = variants[(variants.chrom == "c1") & variants.pos.between(100, 200)]
        assert frame.pos.tolist() == chosen.pos.tolist()


def test_nothing_in_is_nothing_out(genome, tmp_path):
    (tmp_path / "v.vcf").write_text("##fileformat=VCFv4.2\n")
    for empty in (tmp_path / "v.vcf", []):
        frame = score_variants(Net(InputSpec(16)), empty, genome)
        assert len(frame) == 0
        assert list(frame.columns) == [*COLUMNS, "y_ref", "y_alt", "diff", "log2fc"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchor": "middle"}, "anchor='middle'; expected 'L//2' or 'L//2-1'"),
        ({"shifts": (9,)}, "move the variant out of a 16 bp window"),
        ({"shifts": (-8,)}, "move the variant out of a 16 bp window"),
        ({"tile": 3}, "among the alleles of saturate="),
        ({"resume": True}, "need output="),
    ],
)
def test_options_outside_their_choices_are_named(genome, options, message):
    with pytest.raises(OptionError, match=message):
        score_variants(Net(InputSpec(16)), ["c1:1:A:C"], genome, **options)


def test_the_widest_shifts_keep_the_variant(genome):
    frame = score_variants(Net(InputSpec(16)), ["c1:30:A:C"], genome, shifts=(-7, 8),
                           on_ref_mismatch="force")  # fmt: skip
    assert (frame["diff"] != 0).all()


@pytest.mark.parametrize("tile", [1, 4, 5, 16])
def test_tiles_share_a_window_over_their_middle(genome, texts, tile):
    """Each SNV is mutated where it stands in the window of its tile, contig ends included."""
    model = Net(InputSpec(16))
    frame = score_variants(model, None, genome, saturate="c1", tile=tile)
    padded = "N" * 16 + texts["c1"] + "N" * 24
    windows, mutants = [], []
    for pos, alt in zip(frame.pos, frame.alt):
        centre = (pos - 1) // tile * tile + tile // 2
        window = padded[centre + 8 : centre + 24]
        at = pos - 1 - centre + 8
        windows.append(window)
        mutants.append(window[:at] + alt + window[at + 1 :])
    np.testing.assert_allclose(frame.y_ref, predict(model, windows), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(frame.y_alt, predict(model, mutants), rtol=2e-6, atol=1e-6)
    padding = [window.strip("N") != window for window in windows]
    assert frame["flags"].str.contains("padded").tolist() == padding
    with pytest.raises(OptionError, match="alleles of a tile of 17 out of a 16 bp window"):
        score_variants(model, None, genome, saturate="c1", tile=17)


def test_a_window_the_model_cannot_take(genome):
    with pytest.raises(LengthError, match="length=17; the model takes 16 bp"):
        score_variants(Net(InputSpec(16)), ["c1:1:A:C"], genome, length=17)


def test_texts_and_tables_of_another_form_are_named(genome):
    with pytest.raises(TableError, match="variant 1 is 'c1:7'; expected chrom:pos:ref:alt"):
        score_variants(Net(InputSpec(16)), ["c1:1:A:C", "c1:7"], genome)
    with pytest.raises(TableError, match="no column pos, alt; it has chrom, ref"):
        score_variants(Net(InputSpec(16)), pd.DataFrame({"chrom": [], "ref": []}), genome)


def test_p_values_count_shuffled_backgrounds(texts, genome):
    model = Net(InputSpec(16))
    variants = table_of(texts, 60, 13)
    frame = score_variants(model, variants, genome, null=199, null_seed=1)
    again = score_variants(model, variants, genome, null=199, null_seed=1)
    pd.testing.assert_frame_equal(frame, again)
    assert frame.p_value.between(1 / 200, 1).all()
    np.testing.assert_allclose(frame.p_value * 200, (frame.p_value * 200).round())
    least, most = frame["diff"].abs().argmin(), frame["diff"].abs().argmax()
    assert frame.p_value[least] > frame.p_value[most]
    pd.testing.assert_frame_equal(
        frame.drop(columns="p_value"), score_variants(model, variants, genome)
    )
    with pytest.raises(OptionError, match="no allele can be scored"):
        score_variants(model, ["c1:1:A:<X>"], genome, null=9)


def test_matched_variants_and_active_regions_rank_scores(texts, genome, tmp_path):
    spec, target = InputSpec(20), TargetSpec(tasks=("a", "b"))
    model = Net(spec, target)
    table, matched = table_of(texts, 30, 1), table_of(texts, 50, 2)
    matched.loc[len(matched)] = ("c1", 7, "A", "<DEL>")
    (tmp_path / "peaks.bed").write_text("c1\t50\t61\nc2\t0\t10\nc2\t300\t340\n")
    frame = score_variants(model, table, genome, null_variants=matched,
                           active=tmp_path / "peaks.bed")  # fmt: skip
    null = score_variants(model, matched, genome)
    null = null[null.status == "ok"]
    windows = [slow.window(texts[name], at, 20, 10) for name, at in
               (("c1", 55), ("c2", 5), ("c2", 320))]  # fmt: skip
    answers = predict(model, windows)
    for at, task in enumerate("ab"):
        expected = empirical_p_values(frame[f"diff_{task}"], null[f"diff_{task}"])
        np.testing.assert_array_equal(frame[f"p_value_{task}"], expected)
        most = frame[[f"y_ref_{task}", f"y_alt_{task}"]].max(axis=1).to_numpy()
        ranks = (answers[:, at] < most[:, None]).mean(1)
        np.testing.assert_array_equal(frame[f"active_quantile_{task}"], ranks)
    with pytest.raises(OptionError, match="no background variant can be scored"):
        score_variants(model, table, genome, null_variants=["c1:7:A:<DEL>"])
    with pytest.raises(OptionError, match="either null= or null_variants="):
        score_variants(model, table, genome, null_variants=matched, null=3)
    with pytest.raises(ContigError, match="has no contig 'c9'"):
        score_variants(model, table, genome, active="c9:1-5")


def test_both_engines_agree_and_a_lost_precision_is_refused(texts, genome):
    model = build("tum_resnet", length=40).eval()
    variants = table_of(texts, 30, 14)
    full = score_variants(model, variants, genome, engine="full")
    carried = score_variants(model, variants, genome, engine="incremental")
    size = full["diff"].abs().median()
    np.testing.assert_allclose(carried["diff"], full["diff"], atol=1e-3 * size)
    with pytest.raises(OptionError, match="engine='fast'; expected"):
        score_variants(model, variants, genome, engine="fast")
    high = Net(InputSpec(40))
    high.head.bias.data[:] = 1000
    with pytest.raises(PrecisionError, match="bfloat16 loses the effects"):
        score_variants(high, variants, genome, precision="bfloat16")


@pytest.mark.parametrize("indel", ["left", "compensate"])
def test_alleles_that_move_the_rest_run_as_differences(texts, genome, indel, monkeypatch):
    model = build("tum_resnet", length=40).eval()
    variants, options = table_of(texts, 40, 7), {"indel": indel, "strands": "both"}
    full = score_variants(model, variants, genome, engine="full", **options)
    widest = []
    monkeypatch.setattr(
        DeltaEngine, "pays", lambda _, start, size: widest.append(max(size)) or size > 0
    )
    carried = score_variants(model, variants, genome, engine="incremental", **options)
    assert max(widest) > 10
    size = full["diff"].abs().median()
    np.testing.assert_allclose(carried["diff"], full["diff"], atol=1e-3 * size)


@pytest.mark.parametrize("engine", ["full", "incremental"])
def test_a_reduced_precision_is_judged_on_the_engine_that_runs(texts, genome, engine, monkeypatch):
    judged = []
    monkeypatch.setattr(scorer, "check_precision", lambda *_, engine, **__: judged.append(engine))
    model, variants = build("tum_cnn", length=40, channels=8), table_of(texts, 5, 1)
    score_variants(model, variants, genome, precision="bfloat16", engine=engine, device="cpu")
    assert judged == [engine]
