import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fastseq.errors import FormatError, MissingFileError, PrecisionError, ResumeError
from fastseq.io import map_shards
from fastseq.io.map_shards import are_shards, each_shard, holds_shards, read_shards
from fastseq.io.maps import Maps

ROWS = 11
CODES = np.random.default_rng(0).integers(0, 5, (ROWS, 9), dtype=np.uint8)
NAMES = tuple(f"séq\n{i}" for i in range(ROWS))
VALUES = np.random.default_rng(1).normal(size=(ROWS, 2, 4, 6)).astype(np.float32)


write_shards = partial(map_shards.write_shards, shard=4)


@pytest.fixture(params=["maps.zarr", "folder"])
def path(request, tmp_path):
    if request.param == "maps.zarr":
        pytest.importorskip("zarr")
    return tmp_path / request.param


def make(rows):
    made = VALUES[rows]
    return Maps(
        NAMES[rows], CODES[rows], made, 2, "ism", ("a", "b"), made[:, :, 0, 0], made[:, 0, 0, 0]
    )


def contents(path):
    return {
        p.relative_to(path): p.read_bytes() for p in sorted(Path(path).rglob("*")) if p.is_file()
    }


def test_shards_read_back_as_one(path):
    write_shards(path, NAMES, CODES, make, {"model": "x"})
    found, whole = read_shards(path), make(slice(None))
    assert found.names == whole.names
    assert (found.start, found.method, found.tasks) == (2, "ism", ("a", "b"))
    for name in ("codes", "values", "y_ref", "missing"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
    assert are_shards(path)


class Killed(BaseException):
    pass


def test_a_run_killed_at_any_rename_resumes_to_the_same_bytes(path, tmp_path, monkeypatch):
    whole = tmp_path / f"whole{path.suffix}"
    write_shards(whole, NAMES, CODES, make, {"model": "x"})
    expected, replace = contents(whole), os.replace
    for last in range(1, 40):
        home = tmp_path / f"run{last}{path.suffix}"
        count = 0

        def dying(*arguments, last=last, **options):
            nonlocal count
            count += 1
            if count == last:
                raise Killed
            return replace(*arguments, **options)

        monkeypatch.setattr(os, "replace", dying)
        try:
            write_shards(home, NAMES, CODES, make, {"model": "x"})
        except Killed:
            pass
        else:
            assert last > 4
            break
        finally:
            monkeypatch.setattr(os, "replace", replace)
        for left in home.rglob("*"):  # what a killed writer leaves under a temporary name
            assert not left.name.endswith(".npz") or left.name.startswith("part-")
        write_shards(home, NAMES, CODES, make, {"model": "x"}, resume=True)
        assert {k: v for k, v in contents(home).items() if k in expected} == expected
        np.testing.assert_array_equal(read_shards(home).values, VALUES)


def test_only_missing_shards_are_made_again(path):
    made = []

    def dying(rows):
        made.append(rows.start)
        if len(made) == 3:
            raise Killed
        return make(rows)

    with pytest.raises(Killed):
        write_shards(path, NAMES, CODES, dying, {})
    with pytest.raises(FormatError, match="has not ended"):
        read_shards(path)
    write_shards(path, NAMES, CODES, dying, {}, resume=True)
    assert made == [0, 4, 8, 8]


def test_shards_are_read_one_at_a_time(path):
    write_shards(path, NAMES, CODES, make, {})
    shards = each_shard(path)
    for rows in (slice(0, 4), slice(4, 8), slice(8, 11)):
        shard, whole = next(shards), make(rows)
        assert shard.names == whole.names
        np.testing.assert_array_equal(shard.values, whole.values)
    assert next(shards, None) is None


def test_other_runs_are_not_mixed(path):
    write_shards(path, NAMES, CODES, make, {"model": "x", "engine": "full"})
    with pytest.raises(ResumeError, match="already holds a run; resume it"):
        write_shards(path, NAMES, CODES, make, {"model": "x", "engine": "full"})
    with pytest.raises(ResumeError, match='another run; model differ: "x" there, "y" now'):
        write_shards(path, NAMES, CODES, make, {"model": "y", "engine": "full"}, resume=True)
    with pytest.raises(ResumeError, match="another run; shard differ: 4 there, 8 now"):
        write_shards(
            path, NAMES, CODES, make, {"model": "x", "engine": "full"}, resume=True, shard=8
        )
    with pytest.raises(ResumeError, match="model, engine differ"):
        write_shards(path, NAMES, CODES, make, {}, resume=True)
    (path / "manifest.json").write_text(json.dumps({"kind": "other"}))
    assert not holds_shards(path)
    with pytest.raises(FormatError, match="not that of maps"):
        read_shards(path)
    (path / "manifest.json").write_text("[")
    with pytest.raises(FormatError, match="not a manifest"):
        read_shards(path)


def test_other_files_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ResumeError, match="holds other files"):
        write_shards(tmp_path, NAMES, CODES, make, {})
    with pytest.raises(MissingFileError, match="no such file"):
        read_shards(tmp_path / "absent")
    assert not holds_shards(tmp_path / "mine.txt")


def test_a_run_that_cannot_begin_leaves_nothing(path):
    def refused(rows):
        raise PrecisionError("no")

    with pytest.raises(PrecisionError):
        write_shards(path, NAMES, CODES, refused, {})
    assert not path.exists()


def test_a_damaged_shard_is_named(path):
    write_shards(path, NAMES, CODES, make, {})
    part = path / ("values/zarr.json" if path.suffix else "part-00001.npz")
    part.write_bytes(part.read_bytes()[:20])
    with pytest.raises(FormatError, match=f"{path}"):
        read_shards(path)


def test_no_sequences_are_no_maps(path):
    assert write_shards(path, (), CODES[:0], make, {})["complete"]
    with pytest.raises(FormatError, match="holds no sequences"):
        read_shards(path)
