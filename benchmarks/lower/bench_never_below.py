"""Every network of the table in jobs from one edit to a saturation, beside the plain module.

The plan is made first: what lowering takes is in the note. The rival is the module as it stands,
in eager PyTorch at its fastest batch size, one-hot rows included.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

import fastseq
from benchmarks.run import Case, Rival
from fastseq.lower import Plan, probe
from fastseq.models import registry
from fastseq.sequence.edits import Edits, apply

# operations of a job, a third of a second of one core; a larger one is run on fewer sequences, or
# left out unless it is the smallest
MOST_OPERATIONS = 1.5e10
BATCHES = (1, 4, 16, 64)


def cases(size: str) -> Iterator[Case]:
    """Yield each network in each job that it can afford."""
    torch.set_num_threads(1)
    names = [entry.name for entry in registry.list() if entry.counted is None]
    for name in ["tum_cnn"] if size == "tiny" else names:
        torch.manual_seed(0)
        model = registry.build(name)
        if not any(True for _ in model.parameters()):
            continue  # trees, and what is solved rather than trained
        model = model.eval()
        begin = time.process_time()
        plan = fastseq.lower(model, device="cpu")
        note = f"lowered in {time.process_time() - begin:.2g} s"
        with probe.Operations() as operations:
            probe.answer_to_zeros(model, plan.input_spec, plan.device)
        for words, codes, edits in jobs(plan.input_spec.variable, operations.count):
            yield case(f"{name}, {words}", plan, model, codes, edits, note)


def jobs(length: int, operations: int) -> Iterator[tuple[str, np.ndarray, Edits]]:
    """Yield a job in words, its sequences and its edits."""
    afford = MOST_OPERATIONS / operations
    yield "1 edit", *substitutions(1, length, 1, 1)
    if afford >= 13:
        yield "12 edits", *substitutions(1, length, 4, 3)
    rows = 1 << max(min(64, int(afford / 2)), 1).bit_length() - 1
    if rows > 1:
        yield f"1 edit in each of {rows} sequences", *substitutions(rows, length, 1, 1)
    if afford >= 3 * length + 1:
        yield f"all {3 * length} edits of a sequence", *substitutions(1, length, length, 3)


def substitutions(rows: int, length: int, positions: int, letters: int) -> tuple[np.ndarray, Edits]:
    """Return random sequences, and other letters at positions spread over each."""
    codes = np.random.default_rng(0).integers(0, 4, (rows, length), dtype=np.uint8)
    first = length // 2 if positions == 1 else 0
    places = np.linspace(first, length - 1, positions).astype(np.int64)
    start = np.tile(np.repeat(places, letters), rows)
    row = np.repeat(np.arange(rows), positions * letters)
    inserted = (codes[row, start] + np.tile(np.arange(1, letters + 1), rows * positions)) % 4
    offsets = np.arange(len(row) + 1)
    return codes, Edits(row, start, np.ones_like(start), inserted.astype(np.uint8), offsets)


def case(
    name: str, plan: Plan, model: torch.nn.Module, codes: np.ndarray, edits: Edits, note: str
) -> Case:
    """Return a job through the public call, checked against the plain module."""
    run = partial(eager, plan, model, codes, edits)
    fitting = [batch for batch in BATCHES if batch < 2 * (len(codes) + len(edits))]
    run(fitting[0])
    batch = min(fitting, key=lambda batch: seconds(run, batch))
    rival = Rival(f"eager module, batches of {batch}", partial(run, batch), "torch", goal=0.95)

    def check() -> None:
        (answer, expected), found = run(batch), fastseq.perturb(plan, codes, edits).effect
        scale = max(1, float(np.abs(answer).max()))
        np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4 * scale)

    engine = "incremental" if plan.incremental_pays(len(edits), len(codes)) else "full"
    return Case(
        name,
        lambda: fastseq.perturb(plan, codes, edits, reduce="sum"),
        len(edits),
        "edits",
        f"random sequences of {codes.shape[1]} bp, random weights",
        [rival],
        check=None if plan.positions else check,
        note=f"auto takes the {engine} engine; {note}",
        rounds=3,
    )


def eager(
    plan: Plan, model: torch.nn.Module, codes: np.ndarray, edits: Edits, batch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the module's answers to sequences, and what edits change, in its target's units."""
    every = np.concatenate([codes, apply(codes, edits, length=codes.shape[1])])
    with torch.inference_mode():
        hot = plan.input_spec.expand(plan.input_spec.place(every), "+")
        score = plan.target_spec.score(torch.cat([model(part) for part in hot.split(batch)]))
        answers = (plan.target_spec.activate(score) * plan.target_spec.slope).numpy()
    return answers, answers[len(codes) :] - answers[edits.row]


def seconds(run: Callable[[int], object], batch: int) -> float:
    """Return what a batch size takes, once."""
    begin = time.process_time()
    run(batch)
    return time.process_time() - begin
