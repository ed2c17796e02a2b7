"""Maps from files: each format, each layout, and files that are something else."""

import sys

import numpy as np
import pytest

from fastseq.errors import FormatError, MissingExtraError, MissingFileError, OptionError
from fastseq.io.plain_maps import read_plain_maps

MAPS = np.random.default_rng(0).normal(size=(3, 4, 20)).astype(np.float32)


def test_npy_is_mapped(tmp_path):
    np.save(tmp_path / "maps.npy", MAPS)
    found = read_plain_maps(tmp_path / "maps.npy")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, MAPS)


def test_channels_last_are_turned(tmp_path):
    np.save(tmp_path / "maps.npy", MAPS.transpose(0, 2, 1))
    np.testing.assert_array_equal(read_plain_maps(tmp_path / "maps.npy"), MAPS)


def test_npz_keys(tmp_path):
    np.savez(tmp_path / "one.npz", anything=MAPS)
    np.testing.assert_array_equal(read_plain_maps(tmp_path / "one.npz"), MAPS)
    np.savez(tmp_path / "two.npz", codes=MAPS[:, 0], attributions=MAPS)
    np.testing.assert_array_equal(read_plain_maps(tmp_path / "two.npz"), MAPS)
    np.testing.assert_array_equal(read_plain_maps(tmp_path / "two.npz", "codes"), MAPS[:, 0])
    with pytest.raises(OptionError, match="no 'absent'"):
        read_plain_maps(tmp_path / "two.npz", "absent")
    np.savez(tmp_path / "strange.npz", x=MAPS, y=MAPS)
    with pytest.raises(OptionError, match="holds x, y"):
        read_plain_maps(tmp_path / "strange.npz")


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(tmp_path / "maps.h5", "w") as file:
        file["run/attributions"] = MAPS
        file["run/codes"] = MAPS[:, 0]
    np.testing.assert_array_equal(read_plain_maps(tmp_path / "maps.h5", "run/attributions"), MAPS)
    with pytest.raises(OptionError, match="run/attributions"):
        read_plain_maps(tmp_path / "maps.h5")


def test_hdf5_without_its_library(tmp_path, monkeypatch):
    (tmp_path / "maps.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match="h5py"):
        read_plain_maps(tmp_path / "maps.h5")


def test_files_that_are_something_else(tmp_path):
    with pytest.raises(MissingFileError):
        read_plain_maps(tmp_path / "absent.npy")
    with pytest.raises(MissingFileError):
        read_plain_maps(tmp_path)
    for content in (b"", b"chr1\t5\n"):
        (tmp_path / "text").write_bytes(content)
        with pytest.raises(FormatError, match="npy, npz or HDF5"):
            read_plain_maps(tmp_path / "text")
    np.save(tmp_path / "whole.npy", MAPS)
    whole = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(whole[:-50])
    with pytest.raises(FormatError, match="cut off"):
        read_plain_maps(tmp_path / "cut.npy")
    np.savez(tmp_path / "whole.npz", MAPS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-50])
    with pytest.raises(FormatError, match="cut off"):
        read_plain_maps(tmp_path / "cut.npz")
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    with pytest.raises(FormatError, match="damaged|pickle|Python objects"):
        read_plain_maps(tmp_path / "objects.npy")
    np.save(tmp_path / "shape.npy", MAPS[0, 0])
    with pytest.raises(FormatError, match="expected numbers"):
        read_plain_maps(tmp_path / "shape.npy")
