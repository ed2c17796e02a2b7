"""Result folders: whole or absent, resumable at every step, never mixed."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pytest

from fastseq.errors import FormatError, MissingFileError, ResumeError, UnreadableFileError
from fastseq.io.files import replacing
from fastseq.io.manifest import read_manifest
from fastseq.io.results import ResultFolder, read_results, tables

IDENTITY = {"kind": "test", "inputs": {"sha256": "12"}}

# writes three parts and dies at the n-th rename, before or after it
DYING = """
import os, sys
import pyarrow as pa
from fastseq.io.results import ResultFolder
path, last, after = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "after"
rename, count = os.replace, 0
def replace(source, target):
    global count
    count += 1
    if count == last and not after:
        os._exit(9)
    rename(source, target)
    if count == last:
        os._exit(9)
os.replace = replace
folder = ResultFolder(path, {"kind": "test", "inputs": {"sha256": "12"}}, resume=True)
for number in range(3):
    if not folder.has(number):
        folder.write(number, pa.table({"y": pa.array([number, number + 0.5])}), {"ok": 2})
folder.finish(3)
"""


def part(number: int) -> pa.Table:
    return pa.table({"y": pa.array([number, number + 0.5])})


def whole(path) -> dict[str, bytes]:
    folder = ResultFolder(path, IDENTITY)
    for number in range(3):
        folder.write(number, part(number), {"ok": 2})
    folder.finish(3)
    return contents(path)


def contents(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def test_parts_read_back_in_order(tmp_path):
    whole(tmp_path / "r")
    assert read_results(tmp_path / "r").y.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    manifest = read_manifest(tmp_path / "r")
    assert manifest["complete"]
    assert manifest["rows"] == 6
    assert manifest["counts"] == {"ok": 6}
    assert [row["rows"] for row in manifest["parts"]] == [2, 2, 2]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("last", [1, 2, 3, 4, 5])
def test_death_at_any_rename_is_resumed_to_the_same_bytes(tmp_path, last, when):
    expected = whole(tmp_path / "whole")
    path = tmp_path / "killed"
    words = [sys.executable, "-c", DYING, str(path), str(last), when]
    assert subprocess.run(words, check=False).returncode == 9
    for file in path.glob("part-*.parquet"):
        assert file.read_bytes() == expected[file.name]
    if not (last == 5 and when == "after"):
        with pytest.raises((ResumeError, MissingFileError)):
            list(tables(path))
    folder = ResultFolder(path, IDENTITY, resume=True)
    for number in range(3):
        if not folder.has(number):
            folder.write(number, part(number), {"ok": 2})
    folder.finish(3)
    temporary = {name for name in contents(path) if name.endswith(".tmp")}
    assert {
        name: data for name, data in contents(path).items() if name not in temporary
    } == expected


def test_a_second_run_refuses_unless_told(tmp_path):
    whole(tmp_path)
    with pytest.raises(ResumeError, match="already holds a run; resume it"):
        ResultFolder(tmp_path, IDENTITY)
    other = {**IDENTITY, "inputs": {"sha256": "34"}}
    with pytest.raises(ResumeError, match='holds another run; inputs differ: {"sha256": "12"} th'):
        ResultFolder(tmp_path, other, resume=True)
    ResultFolder(tmp_path, other, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
    assert not read_manifest(tmp_path)["complete"]


def test_parts_without_a_manifest_are_not_touched(tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"someone's")
    with pytest.raises(ResumeError, match="holds parts but no manifest.json"):
        ResultFolder(tmp_path, IDENTITY, resume=True)


def test_a_missing_or_altered_part_is_named(tmp_path):
    folder = ResultFolder(tmp_path, IDENTITY)
    folder.write(0, part(0), {})
    with pytest.raises(ResumeError, match="part-00001.parquet: missing"):
        folder.finish(2)
    folder.finish(1)
    path = tmp_path / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(FormatError, match="differs from its checksum"):
        list(tables(tmp_path))


def test_other_folders_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="expected a folder of results"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(FormatError, match="not a manifest"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"complete": true, "kind": "maps"}')
    with pytest.raises(FormatError, match="expected a folder of scores"):
        read_results(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UnreadableFileError, match="cannot be made"):
        ResultFolder(tmp_path / "file" / "r", IDENTITY)


def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnreadableFileError, match="x: cannot be written: No space left on device"):
        _write(path)
    assert contents(tmp_path) == {"x": b"old"}


def _write(path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("new")


def test_a_folder_that_takes_no_files_is_named(tmp_path):
    with pytest.raises(UnreadableFileError, match="cannot be written: No such file or directory"):
        _write(tmp_path / "nowhere" / "x")


def test_the_manifest_is_json_a_stranger_can_read(tmp_path):
    whole(tmp_path)
    assert set(json.loads((tmp_path / "manifest.json").read_text())) == {
        "complete", "identity", "rows", "counts", "parts",
    }  # fmt: skip
