"""The table of models: what each is, where it comes from, and how `build` makes one by name."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from fastseq.errors import OptionError
from fastseq.models.tum import TumClassifier, TumCNN, TumResNet

CHALLENGE = "Random Promoter DREAM Challenge (Rafi et al. 2024)"
TUM = "TUM report on the DREAM Challenge (Vynnyk et al. 2022)"


@dataclass(frozen=True)
class Entry:
    """One row of the table: a model, its builder, its source, the licence of the idea."""

    name: str
    make: Callable[..., Any]
    summary: str
    source: str
    licence: str

    @property
    def sizes(self) -> dict[str, Any]:
        """The builder's keywords and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    @property
    def parameters(self) -> int:
        """Parameters at the default sizes, counted without allocating them."""
        with torch.device("meta"):
            return sum(weight.numel() for weight in self.make().parameters())


class Catalogue(tuple[Entry, ...]):
    """The entries in order; printed, a table."""

    def __str__(self) -> str:
        rows = [("name", "parameters", "what it is", "source", "licence")]
        rows += [(e.name, f"{e.parameters:,}", e.summary, e.source, e.licence) for e in self]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column == 1 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in rows
        )


REPORT = "described in a report; this code MIT"

TABLE = Catalogue((
    Entry("tum_resnet", TumResNet, "residual CNN of 7 convolutions", TUM, REPORT),
    Entry("tum_cnn", TumCNN, "baseline CNN of 2 convolutions", TUM, REPORT),
    Entry("tum_classifier", TumClassifier, "CNN over 19 expression bins", TUM, REPORT),
))  # fmt: skip

BY_NAME = {entry.name: entry for entry in TABLE}


def list() -> Catalogue:
    """Return the table of models; print it to read it.

    Examples
    --------
    >>> [entry.name for entry in list()][:2]
    ['tum_resnet', 'tum_cnn']
    """
    return TABLE


def entry(name: str) -> Entry:
    """Return the table's entry of that name.

    Raises
    ------
    OptionError
        The table has no such model.
    """
    if name not in BY_NAME:
        near = get_close_matches(name, BY_NAME, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise OptionError(f"no model is named {name!r}{meant}; there are {', '.join(BY_NAME)}")
    return BY_NAME[name]


def build(name: str, **sizes: Any) -> nn.Module:
    """Return a new, randomly initialised model of the table.

    Parameters
    ----------
    name : str
        A name of the table.
    **sizes
        What differs from the entry's defaults, such as ``length=200``.

    Returns
    -------
    nn.Module
        Maps one-hot ``(n, channels, length)`` to scores before the activation; carries ``name``,
        ``sizes`` (which rebuild it), ``input_spec`` and ``target_spec``.

    Raises
    ------
    OptionError
        The table has no such model, or the model no such size.

    Examples
    --------
    >>> build("tum_resnet", length=200).input_spec.length
    200
    """
    row = entry(name)
    if unknown := sizes.keys() - row.sizes.keys():
        raise OptionError(
            f"{name} has no size {', '.join(sorted(unknown))}; it has {', '.join(row.sizes)}"
        )
    sizes = {**row.sizes, **sizes}
    model = row.make(**sizes)
    model.name, model.sizes = name, sizes
    return model
