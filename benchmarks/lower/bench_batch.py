"""What one answer costs by how many are asked for at once, beside eager PyTorch, one thread."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

import fastseq
from benchmarks.rivals.plain_torch import ResNet, calibrated
from benchmarks.run import Case, Rival

LENGTH = 110
BATCHES = {"tiny": (1,), "full": (1, 4, 16, 64, 256, 1024)}


def cases(size: str) -> Iterator[Case]:
    """Yield the D2 ResNet at each number of sequences, called from Python each time."""
    torch.set_num_threads(1)
    model = calibrated(ResNet(), LENGTH, 4)
    plan = fastseq.lower(model, length=LENGTH)
    for batch in BATCHES[size]:
        codes = np.random.default_rng(0).integers(0, 4, (batch, LENGTH), dtype=np.uint8)
        yield Case(
            f"ResNet 110 bp, batch of {batch}", partial(plan.predict, codes), batch, "sequences",
            "random sequences as codes, float32",
            [Rival("eager nn.Conv1d, one-hot included", partial(eager, model, codes), "torch")],
            check=partial(agree, plan, model, codes),
        )  # fmt: skip


def eager(model: torch.nn.Module, codes: np.ndarray) -> torch.Tensor:
    """Return the model's answers from codes, as its author would get them."""
    with torch.inference_mode():
        return model(torch.from_numpy(fastseq.one_hot(codes, dtype="float32")))


def agree(plan: fastseq.lower.Plan, model: torch.nn.Module, codes: np.ndarray) -> None:
    """Raise when the plan's answers are not the model's."""
    truth = eager(model, codes).numpy()
    np.testing.assert_allclose(plan.predict(codes), truth, atol=1e-5 * max(1, abs(truth).max()))
