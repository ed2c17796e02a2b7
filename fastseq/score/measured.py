"""How fast both engines make substitutions on this machine, on a sample."""

from time import perf_counter

import numpy as np

from fastseq.lower.plan import Engine, Plan
from fastseq.sequence.edits import Edits

# as many mutants as fill the batches of most networks, in seconds where the network is large
SAMPLE, ROUNDS = 256, 3


def measured_ism(plan: Plan, edits: int) -> str:
    """Return a line: how long each engine takes for substitutions of one random sequence.

    Parameters
    ----------
    plan : Plan
    edits : int
        How many a run would make of a sequence; at most 256 of them are timed.

    Notes
    -----
    The best of three rounds, one engine after the other, once each beforehand.
    """
    shape = (1, plan.input_spec.variable)
    row = np.random.default_rng(0).integers(0, 4, shape, dtype=np.uint8)
    sample = Edits.substitutions(row)[: max(1, min(edits, SAMPLE))]

    def seconds(engine: Engine) -> float:
        begin = perf_counter()
        plan.effects(row, sample, engine=engine)
        return perf_counter() - begin

    engines: tuple[Engine, ...] = ("full",) if plan.not_incremental else ("full", "incremental")
    rounds = [[seconds(engine) for engine in engines] for _ in range(1 + ROUNDS)][1:]
    full, *incremental = (min(times) for times in zip(*rounds))
    told = f"measured here: {len(sample)} edits of a sequence in {1000 * full:.3g} ms in full"
    for other in incremental:
        told += f", in {1000 * other:.3g} ms as differences, {full / other:.2f}x"
    return told
