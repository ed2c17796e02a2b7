"""Differences of vectors: what the dense layers at the end of a chain make of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fastseq.lower import ops
from fastseq.lower.chain import HOMOGENEOUS, Step
from fastseq.lower.references import STRAIGHT, Reference, linear_part

# vectors that a layer takes at once: always as many, so that neighbours change no bit; whole
# registers, because PyTorch rounds the remainder another way
VECTORS = 64


def vector_step(
    reference: Reference,
    rows: Tensor,
    number: int,
    step: Step,
    inputs: list[Tensor],
    delta: Tensor | None = None,
) -> Tensor:
    """Return the differences of a step over vectors.

    Parameters
    ----------
    reference : Reference
    rows : int64, (edits,)
        Which reference each edit belongs to.
    number : int
        Of the step.
    step : Step
    inputs : list of float32, (edits, features)
        Differences of what the step reads.
    delta : float32, (edits, features), optional
        Differences before its activation, where they are known already.
    """
    if step.function in HOMOGENEOUS:
        return linear_part(step, inputs, bias=False)
    count, short = len(rows), -len(rows) % VECTORS
    exact = step.activation in STRAIGHT  # rounded alike wherever a vector stands
    if delta is not None:
        delta = delta if exact else F.pad(delta, (0, 0, 0, short))
    elif step.function is ops.linear and count:
        delta = _multiplied(F.pad(inputs[0], (0, 0, 0, short)), step.arguments["weight"])
    else:
        delta = linear_part(step, [F.pad(x, (0, 0, 0, short)) for x in inputs], bias=False)
    if step.activation == "none":
        return delta[:count]
    delta = delta[:count] if exact else delta
    z = reference.linear[number]
    z = z if len(z) == 1 else z[rows if exact else F.pad(rows, (0, short))]
    before = ops.activate(z, step.activation, step.parameter)  # type: ignore[arg-type]
    moved = ops.activate(delta + z, step.activation, step.parameter, inplace=True)  # type: ignore[arg-type]
    return moved.sub_(before)[:count]


def _multiplied(x: Tensor, weight: Tensor) -> Tensor:
    """Return vectors times the transpose of a weight, `VECTORS` of them at a time."""
    # a strided input would be multiplied by another routine, with other last bits
    x, out = x.contiguous(), x.new_empty(len(x), len(weight))
    for part, answers in zip(x.split(VECTORS), out.split(VECTORS)):
        torch.mm(part, weight.mT, out=answers)
    return out
