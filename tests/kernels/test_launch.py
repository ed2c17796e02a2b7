"""The committed tables are well-formed, and the choice among their rows is the first that holds."""

import pytest
import torch
from fastseq_kernels import launch

TABLES = sorted(path.stem for path in launch.CONFIGS.glob("*.json"))


@pytest.mark.parametrize("op", TABLES)
def test_every_table_serves_every_architecture(op):
    table = launch.table(op)
    assert {*table} == {"cpu", *launch.SHARED_LIMIT}
    for rows in table.values():
        assert "when" not in rows[-1], "the last row takes what the others do not"
        for row in rows:
            blocks = [value for name, value in row.items() if name.isupper()]
            assert all(block & (block - 1) == 0 for block in blocks)


def test_the_first_row_that_holds_is_taken(monkeypatch):
    rows = [{"when": {"max_channels_out": 64, "bytes": [2, 4]}, "BM": 1},
            {"when": {"gated": True}, "BM": 2}, {"BM": 4}]  # fmt: skip
    monkeypatch.setattr(launch, "table", lambda op: {"sm_90": rows})

    def chosen(channels, width, gated):
        facts = {"channels_out": channels, "bytes": width, "gated": gated}
        return launch.choose("conv1d", "sm_90", facts)

    assert chosen(64, 2, True) == {"BM": 1}
    assert chosen(65, 2, True) == {"BM": 2}
    assert chosen(8, 8, False) == {"BM": 4}


def test_no_row_is_an_error(monkeypatch):
    monkeypatch.setattr(launch, "table", lambda op: {"cpu": []})
    with pytest.raises(ValueError, match="has no row for cpu"):
        launch.choose("conv1d", "cpu", {})


def test_chunks_divide_the_channels_where_a_matrix_unit_can_take_that():
    assert [launch.chunk(c, 64) for c in (64, 96, 80, 256, 60, 4, 1)] == [
        64,
        32,
        16,
        64,
        64,
        16,
        16,
    ]


@pytest.mark.parametrize(
    ("total", "size"), [(110, 16), (124, 128), (150, 32), (249, 128), (27, 32), (1, 8), (8, 8)]
)
def test_tiles_keep_most_of_their_positions_busy(total, size):
    assert launch.tile(total, 128, 8) == size


def test_powers_of_two():
    assert [launch.power_of_two(n) for n in (1, 2, 3, 16, 17)] == [1, 2, 4, 16, 32]


def test_float32_is_three_passes_on_nvidia_and_exact_elsewhere():
    assert launch.multiply("float32", "sm_90") == "tf32x3"
    assert launch.multiply("float32", "gfx942") == "ieee"
    assert launch.multiply("tf32", "sm_80") == "tf32"


def test_a_cpu_is_the_interpreter():
    assert launch.architecture(torch.device("cpu")) == "cpu"
