"""How fast both engines make substitutions on this machine, on a sample."""

from time import perf_counter
from typing import TYPE_CHECKING, Literal

import numpy as np

from fastseq.sequence.edits import Edits

if TYPE_CHECKING:
    from fastseq.lower.plan import Plan

# mutants timed, rounds of them at most, and seconds after which no round is begun
SAMPLE, ROUNDS, SECONDS = 128, 3, 2.0


def measured_ism(plan: "Plan", edits: int) -> str:
    """Return a line: how long each engine takes for substitutions of one random sequence.

    Parameters
    ----------
    plan : Plan
    edits : int
        How many a run would make of a sequence; at most 128 of them are timed.

    Notes
    -----
    The best of up to three rounds of two seconds, one engine after the other, once each beforehand.
    """
    shape = (1, plan.input_spec.variable)
    row = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    sample = Edits.substitutions(row)[: max(1, min(edits, SAMPLE))]

    def seconds(engine: Literal["full", "incremental"]) -> float:
        begin = perf_counter()
        plan.effects(row, sample, engine=engine)
        return perf_counter() - begin

    engines = ("full",) if plan.not_incremental else ("full", "incremental")
    for engine in engines:
        seconds(engine)
    begin, rounds = perf_counter(), []
    while not rounds or (len(rounds) < ROUNDS and perf_counter() - begin < SECONDS):
        rounds.append([seconds(engine) for engine in engines])
    full, *incremental = (min(times) for times in zip(*rounds))
    told = f"measured here: {len(sample)} edits of a sequence in {1000 * full:.3g} ms in full"
    for other in incremental:
        told += f", in {1000 * other:.3g} ms as differences, {full / other:.2f}x"
    return told
