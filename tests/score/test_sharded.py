"""Maps of large sets, written as they are made: the same bits, whatever stops the run."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import fastseq
from fastseq.errors import OptionError, ResumeError, ShapeError
from fastseq.io.map_shards import each_shard, read_shards
from tests.score.test_ism import network

ROWS, LENGTH = 150, 14
CODES = np.random.default_rng(11).integers(0, 5, (ROWS, LENGTH)).astype(np.uint8)
NAMES = tuple(f"s{row}" for row in range(ROWS))


@pytest.fixture(params=["maps/", "maps", "maps.zarr"])
def output(request, tmp_path):
    if request.param == "maps.zarr":
        pytest.importorskip("zarr")
    return f"{tmp_path}/{request.param}"


def same(maps, expected):
    assert (maps.start, maps.method, maps.tasks) == (
        expected.start, expected.method, expected.tasks
    )  # fmt: skip
    for name in ("codes", "values", "y_ref", "missing"):
        np.testing.assert_array_equal(getattr(maps, name), getattr(expected, name))


@pytest.mark.parametrize("engine", ["full", "incremental"])
def test_sharded_effects_are_those_at_once_bit_for_bit(output, engine):
    options = {"engine": engine, "strands": "both", "start": 2, "end": 11}
    whole = fastseq.saturation_mutagenesis(network(), CODES, **options)
    manifest = fastseq.saturation_mutagenesis(
        network(), CODES, **options, output=output, names=NAMES, shard=64
    )
    assert manifest["complete"]
    assert manifest["identity"]["engine"] == engine
    maps = read_shards(output)
    assert maps.names == NAMES
    same(maps, whole.maps(NAMES))
    assert [len(shard) for shard in each_shard(output)] == [64, 64, 22]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("saliency", {"strands": "both"}),
        ("smooth_grad", {"n": 2}),
        ("integrated_gradients", {"baselines": "shuffle", "n": 2, "steps": 3}),
        ("integrated_gradients", {"baselines": "uniform", "steps": 3, "row_offset": 5}),
        ("ism", {}),
    ],
)
def test_sharded_attributions_are_those_at_once_bit_for_bit(output, method, options):
    how = {"task": 1, **options}
    whole = fastseq.attribute(network(), CODES, method, **how)
    fastseq.attribute(network(), CODES, method, **how, output=output, shard=64)
    maps = read_shards(output)
    same(maps, whole.maps())
    assert (maps.missing is not None) == (method == "integrated_gradients")


def test_contributions_by_tangermeme_are_sharded_too(tmp_path):
    pytest.importorskip("tangermeme")
    how = {"method": "deeplift_shap", "task": 0, "n": 2}
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    whole = fastseq.attribute(model, CODES[:70], **how)
    fastseq.attribute(model, CODES[:70], **how, output=tmp_path / "maps", shard=64)
    same(read_shards(tmp_path / "maps"), whole.maps())


def test_one_shard_is_in_memory_at_a_time(tmp_path):
    codes = np.random.default_rng(0).integers(0, 4, (1024, 200), dtype=np.uint8)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 2, 5), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    plan, peaks = fastseq.lower(model, length=200, batch_size=64), []
    for rows in (256, 1024):
        for how in ({}, {"output": tmp_path / str(rows), "shard": 64}):
            tracemalloc.start()
            fastseq.attribute(plan, codes[:rows], task=0, **how)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    few, few_sharded, many, many_sharded = peaks
    assert many > 2 * few
    # what grows are the codes
    assert many_sharded - few_sharded < (many - few) / 4


def test_runs_go_on_only_as_they_began(tmp_path):
    output, model = tmp_path / "maps", network()

    def run(model=model, codes=CODES, **options):
        return fastseq.saturation_mutagenesis(model, codes, output=output, shard=64, **options)

    run()
    (output / "part-00001.npz").unlink()
    with pytest.raises(ResumeError, match="already holds a run"):
        run()
    other = CODES.copy()
    other[3, 3] ^= 1
    for options, differs in (
        ({"model": network(seed=1)}, "models"),
        ({"codes": other}, "sequences"),
        ({"names": NAMES}, "sequences"),
        ({"codes": CODES[:149]}, "sequences, rows"),
        ({"start": 1}, "start"),
        ({"scale": "logit", "strands": "both"}, "scale, strands"),
        ({"batch_size": 32}, "batch"),
    ):
        with pytest.raises(ResumeError, match=f"holds another run; {differs} differ"):
            run(**options, resume=True)
    with pytest.raises(ResumeError, match="another run; task, baselines, n, steps"):
        fastseq.attribute(model, CODES, "ism", task=0, output=output, shard=64, resume=True)
    whole = fastseq.saturation_mutagenesis(model, CODES)
    assert run(resume=True)["complete"]
    same(read_shards(output), whole.maps())


def test_reducers_are_part_of_a_run_by_name(tmp_path):
    torch.manual_seed(0)
    model = nn.Conv1d(4, 2, 3, padding=1)

    def first(profile):
        return profile[..., 0]

    for reduce, told in ((first, first.__qualname__), ("mean", "mean")):
        output = f"{tmp_path / told}/"
        found = fastseq.saturation_mutagenesis(
            model, CODES, reduce=reduce, output=output, shard=128
        )
        assert found["identity"]["reduce"] == told
        whole = fastseq.saturation_mutagenesis(model, CODES, reduce=reduce)
        same(read_shards(output), whole.maps())


@pytest.mark.parametrize("name", ["maps.npz", "maps.tsv", "a.b/maps.parquet"])
def test_single_files_are_the_results_own(tmp_path, name):
    with pytest.raises(OptionError, match=r"looks like one file; expected a folder"):
        fastseq.saturation_mutagenesis(network(), CODES, output=tmp_path / name)
    assert not list(Path(tmp_path).iterdir())


def test_other_shards_and_names_are_refused(tmp_path):
    for shard in (0, 63, -64):
        with pytest.raises(OptionError, match=f"shard={shard}; expected a multiple of 64"):
            fastseq.attribute(network(), CODES, task=0, output=tmp_path / "m", shard=shard)
    with pytest.raises(ShapeError, match="1 names for 150 sequences"):
        fastseq.attribute(network(), CODES, task=0, output=tmp_path / "m", names=["a"])
    with pytest.raises(ShapeError):
        fastseq.saturation_mutagenesis(network(), CODES).maps(["a"])
