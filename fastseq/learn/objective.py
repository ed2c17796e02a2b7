"""What a step minimises: the loss of a batch, of near-copies, and of an auxiliary task."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastseq.errors import OptionError
from fastseq.learn import losses
from fastseq.learn.losses import Loss
from fastseq.learn.recipes import Recipe
from fastseq.models.specs import TargetSpec

BASES = 4
MASKED, MUTATED = 0.05, 0.15

# which method of a network an auxiliary task asks
AUXILIARY = {"reconstruction": "reconstruct", "mutation": "mutated"}


class Objective(nn.Module):
    """The mean loss of model input and labels under a recipe.

    Parameters
    ----------
    model : nn.Module
        With ``target_spec``.
    recipe : Recipe
        Its ``strands``, ``within``, ``auxiliary`` and ``precision``.
    loss : callable
        One of `fastseq.learn.losses`.

    Raises
    ------
    OptionError
        The network has no head for the auxiliary task.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, loss: Loss):
        super().__init__()
        self.model: Any = model
        self.recipe, self.loss = recipe, loss
        self.head: TargetSpec = self.model.target_spec
        task = recipe.auxiliary
        if task not in ("none", *AUXILIARY):
            raise OptionError(f"auxiliary={task!r}; expected none, {', '.join(AUXILIARY)}")
        if task != "none" and not hasattr(model, AUXILIARY[task]):
            raise OptionError(
                f"auxiliary={task!r} asks the network's {AUXILIARY[task]}(x), which a "
                f"{type(model).__name__} has not (unlock_dna reconstructs, bugf finds mutations)"
            )

    def forward(self, x: Tensor, y: Tensor, groups: Tensor) -> Tensor:
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
            raw, extra = self._answer(x)
        raw = raw.float()
        if self.recipe.strands == "conjoined":
            forward, reverse = raw.chunk(2)
            raw = (forward + self.head.same_strand(reverse)) / 2
        raw = raw[:, None] if raw.ndim == 1 else raw
        loss = self.loss(raw, y, self.head).mean() + self.recipe.auxiliary_weight * extra
        if self.recipe.within:
            loss = loss + self.recipe.within * losses.within_groups(raw, y, groups, self.head)
        return loss

    def _answer(self, x: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return the scores, and the loss of the auxiliary task."""
        match self.recipe.auxiliary:
            case "reconstruction":
                hidden = torch.rand(len(x), x.shape[2], device=x.device) < MASKED
                raw, letters = self.model.reconstruct(x, hidden)
                return raw, reconstruction(letters.float(), x, hidden)
            case "mutation":
                changed, where = mutated(x, MUTATED)
                found = self.model.mutated(changed).float()
                return self.model(x), F.binary_cross_entropy_with_logits(found, where.float())
        return self.model(x), 0.0


def reconstruction(letters: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    """Return the cross entropy of the bases that were hidden; 0 where none was known.

    Parameters
    ----------
    letters : float, (n, length, 4)
        Scores of the bases.
    x : float, (n, channels, length)
        What was there before.
    hidden : bool, (n, length)
    """
    counts = hidden & (x[:, :BASES].sum(1) > 0.5)
    entropy = F.cross_entropy(letters.transpose(1, 2), x[:, :BASES].argmax(1), reduction="none")
    return (entropy * counts).sum() / counts.sum().clamp(min=1)


def mutated(x: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return model input with that share of its bases made others, and where, bool (n, length)."""
    where = torch.rand(len(x), x.shape[2], device=x.device) < share
    where = where & (x[:, :BASES].sum(1) > 0.5)
    by = torch.randint(1, BASES, where.shape, device=x.device)
    other = F.one_hot((x[:, :BASES].argmax(1) + by) % BASES, BASES).to(x).transpose(1, 2)
    bases = torch.where(where[:, None], other, x[:, :BASES])
    return torch.cat((bases, x[:, BASES:]), dim=1), where
