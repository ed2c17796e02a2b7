"""Reference maps as rows with margins, so that windows of them are views."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fastseq.lower import ops
from fastseq.lower.chain import Chain, Step
from fastseq.lower.references import Reference

# outside the map: act(OUTSIDE + d) - act(OUTSIDE) is exactly 0 for every activation and any d
# below 1e22, and no maximum ever picks it
OUTSIDE = -1e30


class Maps:
    """Reference maps as rows with margins on both sides, each made when first read.

    The rows of one sequence stand behind those of the one before.

    Attributes
    ----------
    reference : Reference
    before : int
        Rows of a margin in front of a map.
    """

    def __init__(self, chain: Chain, reference: Reference) -> None:
        self.reference = reference
        self._rows: dict[tuple[str, int], Tensor] = {}
        self._edges: dict[int, tuple[Tensor, Tensor]] = {}
        ends = chain.windows(0, chain.shapes[0][1], clip=False)
        beyond = [(-e[0], e[1] - s[1]) for e, s in zip(ends, chain.shapes) if e is not None]
        # a pool reads up to a window more than it answers for
        extra = max((step.kernel + step.stride for step in chain.steps), default=0)
        self.before = max(0, *(int(before) for before, _ in beyond)) + extra
        self._after = max(0, *(int(after) for _, after in beyond)) + extra

    def value(self, number: int) -> Tensor:
        """Return a value of the chain."""
        return self._kept(("value", number), self.reference.values[number], OUTSIDE)

    def linear(self, number: int) -> Tensor:
        """Return what stands before the activation of a step."""
        return self._kept(("linear", number), self.reference.linear[number], OUTSIDE)

    def activated(self, number: int, step: Step) -> Tensor:
        """Return the activation of `linear`, margins included."""
        key = ("activated", number)
        if key not in self._rows:
            self._rows[key] = activate(self.linear(number).clone(), step)
        return self._rows[key]

    def bent(self, number: int) -> tuple[Tensor, Tensor]:
        """Return what stands before a ReLU below zero, and the negative of what it gives."""
        for name, most in (("below", self.linear), ("floor", lambda i: -self.linear(i))):
            if (name, number) not in self._rows:
                self._rows[name, number] = most(number).clamp(max=0)
        return self._rows["below", number], self._rows["floor", number]

    def share(self, number: int, step: Step) -> Tensor:
        """Return the inverse divisors of a mean pool, (rows, 1)."""
        inverse = (1 / step.arguments["divisor"]).expand(
            len(self.reference.codes), 1, step.shape[1]
        )
        return self._kept(("share", number), inverse, 0.0)

    def pooled(self, step: Step) -> Tensor:
        """Return what a pool of maxima reads, without what it drops at the end."""
        (number,) = step.inputs
        reads = (step.shape[1] - 1) * step.stride + step.kernel - step.before
        if reads >= step.length_in:
            return self.value(number)
        seen = self.reference.values[number][:, :, :reads]
        return self._kept(("pooled", number), seen, OUTSIDE, step.length_in - reads)

    def edges(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the maxima before and from every position of a map, (rows, length + 1, c)."""
        if number not in self._edges:
            rows = self.reference.values[number].mT
            edge = torch.full((len(rows), 1, rows.shape[2]), OUTSIDE)
            prefix = torch.cat([edge, rows.cummax(1)[0]], 1)
            suffix = torch.cat([rows.flip(1).cummax(1)[0].flip(1), edge], 1)
            self._edges[number] = prefix, suffix
        return self._edges[number]

    def _kept(self, key: tuple[str, int], x: Tensor, fill: float, dropped: int = 0) -> Tensor:
        if key not in self._rows:
            after = self._after + dropped
            padded = F.pad(x.mT, (0, 0, self.before, after), value=fill)
            self._rows[key] = padded.contiguous().flatten(0, 1)
        return self._rows[key]


def activate(rows: Tensor, step: Step) -> Tensor:
    """Return the activation of a step over (..., channels); `rows` may be overwritten."""
    if step.activation == "prelu":  # which wants channels second
        x = rows.reshape(-1, rows.shape[-1])
        return F.prelu(x, step.parameter).view(rows.shape)  # type: ignore[arg-type]
    return ops.activate(rows, step.activation, step.parameter, inplace=True)  # type: ignore[arg-type]
