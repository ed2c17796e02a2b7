"""Edits other than substitutions, one thread, beside PyTorch on mutants made beforehand."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

import fastseq
from benchmarks.rivals.plain_torch import ResNet, calibrated
from benchmarks.run import Case, Rival
from fastseq.sequence.edits import Edits, apply
from fastseq.sequence.scans import pairs, read_source

LENGTH = 110
SOURCES = ("motifs:TGACTCA", "shuffles:10x5", "deletions:3", "insertions:GATA")


def cases(size: str) -> Iterator[Case]:
    torch.set_num_threads(1)
    model = calibrated(ResNet(activation=torch.nn.ReLU), LENGTH)
    plan = fastseq.lower(model, length=LENGTH, device="cpu")
    rows = 1 if size == "tiny" else 4
    codes = np.random.default_rng(0).integers(0, 4, (rows, LENGTH), dtype=np.uint8)
    for source in SOURCES[:: 3 if size == "tiny" else 1]:
        edits = read_source(source, codes)
        run = lambda source=source: fastseq.perturb(plan, codes, source)  # noqa: E731
        # edits that keep the length are to run at the speed of substitutions
        goal = 5.0 if (edits.removed == edits.lengths).all() else 1.0
        yield case(source, run, model, codes, edits, goal)
    distance = 5 if size == "tiny" else 20
    edits = Edits.concatenate([pairs(codes[:1], at) for at in range(1, distance + 1)])
    run = lambda: fastseq.epistasis(plan, codes[:1], max_distance=distance)  # noqa: E731
    yield case(f"pairs up to {distance} bp apart", run, model, codes[:1], edits, 3.0)


def case(
    name: str, run: Callable[[], object], model: torch.nn.Module, codes: np.ndarray, edits: Edits,
    goal: float,
) -> Case:  # fmt: skip
    mutants = torch.from_numpy(fastseq.one_hot(apply(codes, edits), dtype="float32"))

    def eager() -> None:
        with torch.inference_mode():
            for part in mutants.split(64):
                model(part)

    kind = f"{len(edits)} edits in {len(codes)} random sequences of {LENGTH} bp, ResNet"
    rivals = [Rival("mutants in PyTorch, batch 64", eager, "torch", goal)]
    return Case(name, run, len(edits), "edits", kind, rivals)
