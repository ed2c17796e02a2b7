"""Windows are cut where the regions are, labelled by what the files say, split by chromosome."""

import numpy as np
import pytest

from fastseq.errors import ContigError, FormatError, MissingFileError, OptionError, TableError
from fastseq.io.fasta import Genome
from fastseq.learn.genome import from_genome
from fastseq.learn.train import train
from fastseq.sequence.encode import decode

bigtools = pytest.importorskip("pybigtools", reason="pybigtools is not installed")

SIZES = {"chr1": 4000, "chr8": 3000, "chr9": 2000, "chrY": 1000}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    rng = np.random.default_rng(0)
    codes = {name: rng.integers(0, 4, size, dtype=np.uint8) for name, size in SIZES.items()}
    codes["chr1"][100:200] = 4
    (folder / "genome.fa").write_text(
        "".join(f">{name}\n{decode(row)}\n" for name, row in codes.items())
    )
    regions = [
        (name, start, start + 40)
        for name, size in SIZES.items() for start in range(300, size - 100, 200)
    ]  # fmt: skip
    regions += [("chr1", 0, 40), ("chr9", 1970, 2000)]
    (folder / "peaks.bed").write_text("".join("\t".join(map(str, r)) + "\n" for r in regions))
    # the writer closes the file itself
    bigtools.open(str(folder / "atac.bw"), "w").write(SIZES, [
        (name, start, min(start + 50, size), float(1 + start % 7))
        for name, size in SIZES.items() for start in range(0, size, 100)
    ])  # fmt: skip
    return folder, codes, regions


def value(name, at):
    """The bigWig's value of a base."""
    start = at // 100 * 100
    return 1 + start % 7 if 0 <= at < SIZES[name] and at < start + 50 else 0


def test_windows_and_coverage_are_those_of_the_files(files):
    folder, codes, regions = files
    rows = from_genome(
        folder / "peaks.bed", folder / "genome.fa", bigwig=folder / "atac.bw", length=60,
        valid=["chr9"], test=["chr8"], drop=["chrY"], background=0,
    )  # fmt: skip
    kept = [
        (name, (start + end) // 2 - 30) for name, start, end in regions
        if name != "chrY" and 30 <= (start + end) // 2 <= SIZES[name] - 30
    ]  # fmt: skip
    assert len(rows) == len(kept)
    assert rows.dropped == f"2 of {len(kept) + 2} windows leave their chromosome"
    assert rows.tasks == ("atac",)
    for (name, start), row, label, fold in zip(kept, rows.codes, rows.targets, rows.fold):
        np.testing.assert_array_equal(row, codes[name][start : start + 60])
        assert label[0] == pytest.approx(np.mean([value(name, start + i) for i in range(60)]))
        assert fold == {"chr1": "train", "chr8": "test", "chr9": "val"}[name]


@pytest.mark.parametrize("statistic", ["sum", "log_sum", "max"])
def test_other_statistics(files, statistic):
    folder, _, _ = files
    options = {"bigwig": folder / "atac.bw", "length": 60, "background": 0}
    mean = from_genome(folder / "peaks.bed", folder / "genome.fa", **options).targets
    other = from_genome(
        folder / "peaks.bed", folder / "genome.fa", statistic=statistic, **options
    ).targets
    if statistic != "max":
        found = other if statistic == "sum" else np.expm1(other)
        np.testing.assert_allclose(found, 60 * mean, rtol=1e-5)
    assert (other >= mean).all()


def test_profiles_are_the_middles_of_the_windows(files):
    folder, _, regions = files
    options = {"bigwig": [folder / "atac.bw"] * 2, "length": 60, "background": 0}
    rows = from_genome(folder / "peaks.bed", folder / "genome.fa", profile=20, stretch=4, **options)
    assert rows.targets.shape == (len(rows), 2, 5)
    middles = [
        (name, (start + end) // 2) for name, start, end in regions
        if 30 <= (start + end) // 2 <= SIZES[name] - 30
    ]  # fmt: skip
    for (name, middle), labels in zip(middles, rows.targets, strict=True):
        bases = [value(name, middle - 10 + at) for at in range(20)]
        wanted = np.reshape(bases, (5, 4)).sum(1)
        np.testing.assert_array_equal(labels, [wanted, wanted])


def test_background_meets_no_region_and_no_unknown_base(files):
    folder, codes, regions = files
    options = {"length": 60, "background": 2.0, "drop": ["chrY"]}
    rows = from_genome(folder / "peaks.bed", folder / "genome.fa", **options)
    peaks = int(rows.targets.sum())
    assert len(rows) == 3 * peaks
    assert rows.tasks == ("peak",)
    assert rows.fold is None
    joined = {name: row.tobytes() for name, row in codes.items()}
    for row in rows.codes[peaks:]:
        assert (row < 4).all()
        name, at = next((n, s.find(row.tobytes())) for n, s in joined.items() if row.tobytes() in s)
        assert not any(n == name and s < at + 60 and at < e for n, s, e in regions)
    again = from_genome(folder / "peaks.bed", folder / "genome.fa", **options)
    np.testing.assert_array_equal(rows.codes, again.codes)
    other = from_genome(folder / "peaks.bed", folder / "genome.fa", seed=1, **options)
    assert not np.array_equal(rows.codes, other.codes)


def test_a_network_trains_on_them(files):
    folder, _, _ = files
    rows = from_genome(
        folder / "peaks.bed", Genome.open(folder / "genome.fa"), length=64,
        bigwig=[folder / "atac.bw"], valid=["chr9"], test=["chr8"],
    )  # fmt: skip
    sizes = {"channels": 8, "dilated": 1}
    result = train("basenji", rows, sizes=sizes, epochs=2, progress=False)
    assert np.isfinite(result.best["val_loss"])
    assert result.model.target_spec.tasks == ("atac",)


def test_what_does_not_fit_is_named(files, tmp_path):
    folder, _, _ = files
    bed, fasta = folder / "peaks.bed", folder / "genome.fa"
    for options, error, message in (
        ({"valid": ["chr7"]}, OptionError, "no region is on chr7; they are on chr1, chr8, chr9"),
        ({"valid": ["chr9"], "drop": ["chr9"]}, OptionError, "chr9 is held out twice"),
        ({"test": ["chr8"]}, OptionError, "ask for valid ones"),
        ({"background": 0}, OptionError, "some background"),
        ({"background": 500.0}, OptionError, "has room for"),
        ({"length": 5000}, TableError, "no window of 5000 bp"),
        ({"bigwig": bed}, FormatError, "is no bigWig"),
        ({"profile": 20}, OptionError, "profile=20, stretch=1 of length=60; expected .* a bigWig"),
        ({"stretch": 2}, OptionError, "expected a profile"),
        ({"profile": 61, "bigwig": bed}, OptionError, "at most the length"),
        (
            {"profile": 20, "stretch": 3, "bigwig": folder / "atac.bw"},
            OptionError,
            "stretches of 3",
        ),
        ({"bigwig": tmp_path / "none.bw"}, MissingFileError, "no bigWig"),
        ({"bigwig": folder / "atac.bw", "statistic": "mode"}, OptionError, "statistic='mode'"),
    ):
        with pytest.raises(error, match=message):
            from_genome(bed, fasta, **{"length": 60, **options})
    (tmp_path / "other.bed").write_text("chr2\t10\t20\n")
    with pytest.raises(ContigError, match="no contig 'chr2'; it has chr1, chr8"):
        from_genome(tmp_path / "other.bed", fasta, length=10)
