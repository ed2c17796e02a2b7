"""What the loop keeps: the best epoch, also where a figure or a loss is no number."""

import numpy as np
import pytest

from fastseq.errors import DivergenceError
from fastseq.learn.loop import Run
from fastseq.learn.train import train


@pytest.fixture(scope="module")
def rows():
    codes = np.random.default_rng(4).integers(0, 4, (80, 30), dtype=np.uint8)
    return codes, np.isin(codes, (1, 2)).mean(1)


def fit(rows, **options):
    return train("tum_cnn", rows, sizes={"channels": 4}, progress=False, **options)


def test_a_validation_loss_that_is_no_number_is_divergence_too(rows, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    monkeypatch.setattr(
        Run, "validate", lambda self, model: {"val_loss": np.nan, self.figure: np.nan}
    )
    with pytest.raises(DivergenceError, match="the loss is nan at epoch 1"):
        fit(rows, path=path, epochs=1)
    assert not path.exists()


def test_without_a_figure_the_loss_decides(rows, monkeypatch):
    figures = iter([(3.0, np.nan), (1.0, np.nan), (2.0, np.nan), (9.0, 0.1), (9.0, 0.2)])

    def validate(self, model):
        loss, figure = next(figures)
        return {"val_loss": loss, self.figure: figure}

    monkeypatch.setattr(Run, "validate", validate)
    assert fit(rows, epochs=3).best["epoch"] == 2
    assert fit(rows, epochs=2).best["epoch"] == 2


def test_a_log_gets_few_lines_of_the_bar(rows, capsys):
    codes, gc = rows
    train("tum_cnn", (codes, gc), sizes={"channels": 4}, epochs=2, batch_size=4)
    lines = capsys.readouterr().err.replace("\r", "\n").split("\n")
    assert any("pearson=" in line for line in lines)
    assert len(lines) < 12


def test_a_batch_may_be_one_row(rows):
    assert len(fit((rows[0][:12], rows[1][:12]), epochs=1, batch_size=1).history) == 1
