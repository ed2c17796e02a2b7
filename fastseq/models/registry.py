"""The table of models: what each is, where it comes from, and how `build` makes one by name."""

import builtins
import inspect
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from fastseq.errors import FastseqError, OptionError
from fastseq.models import esm
from fastseq.models.bionml import BioNML
from fastseq.models.bugf import BUGF
from fastseq.models.contenders import Camformers, Mt, Wztr
from fastseq.models.dream import BHI, Dream, dream_attn, dream_cnn, dream_rnn
from fastseq.models.genome import Basenji, BPNet, DeePromoter, DeepSTARR
from fastseq.models.high_schoolers import HighSchoolers
from fastseq.models.kmer_ridge import KmerRidge
from fastseq.models.legnet import LegNet, LegNetMPRA, legnet_optimized, legnet_prixfixe
from fastseq.models.motif_cnn import MotifCNN
from fastseq.models.nad import NAD
from fastseq.models.trees import Trees, random_forest
from fastseq.models.tum import TumClassifier, TumCNN, TumResNet
from fastseq.models.unlock_dna import UnlockDNA
from fastseq.models.vaishnav import Vaishnav

CHALLENGE = "Random Promoter DREAM Challenge (Rafi et al. 2024)"
PENZAR = "LegNet (Penzar et al. 2023)"
TUM = "TUM report on the DREAM Challenge (Vynnyk et al. 2022)"

# what may be given for a size that is None unless said, by its type
USUAL: dict[Any, Any] = {int: 0, str: "", dict: {}, dict[str, Any]: {}, tuple[str, ...]: ("",)}
MAY_BE_EMPTY = ("k", "gaps")
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Entry:
    """One row of the table: a model, its builder, its source, the licence of the idea."""

    name: str
    make: Callable[..., Any]
    summary: str
    source: str
    licence: str
    counted: int | None = None

    @property
    def sizes(self) -> dict[str, Any]:
        """The builder's keywords and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        return {parameter.name: parameter.default for parameter in parameters}

    @property
    def kinds(self) -> dict[str, Any]:
        """The types of the builder's keywords."""
        parameters = inspect.signature(self.make).parameters.values()
        return {parameter.name: parameter.annotation for parameter in parameters}

    @property
    def parameters(self) -> int:
        """Parameters at the default sizes, counted without allocating them; 0 for trees."""
        if self.counted is not None:
            return self.counted
        with torch.device("meta"):
            return sum(weight.numel() for weight in self.make().parameters())


class Catalogue(tuple[Entry, ...]):
    """The entries in order; printed, a table."""

    def __str__(self) -> str:
        rows = [("name", "parameters", "what it is", "source", "licence")]
        for e in self:
            parameters = f"{e.parameters:,}" if e.parameters else "grown"
            rows.append((e.name, parameters, e.summary, e.source, e.licence))
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column == 1 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(row, widths))
            ).rstrip()
            for row in rows
        )


REPORT = "described in a report; this code MIT"
PAPER = "described in a paper; this code MIT"
MIT = "MIT where published; this code MIT"


def _table(*rows: tuple[Any, ...]) -> Catalogue:
    return Catalogue(Entry(*row) for row in rows)


TABLE = _table(
    ("tum_resnet", TumResNet, "residual CNN of 7 convolutions", TUM, REPORT),
    ("tum_cnn", TumCNN, "baseline CNN of 2 convolutions", TUM, REPORT),
    ("tum_classifier", TumClassifier, "CNN over 19 expression bins", TUM, REPORT),
    ("legnet", LegNet, "winner: EfficientNet-like CNN, 18 bins", PENZAR, MIT),
    ("legnet_optimized", legnet_optimized, "LegNet, depthwise", PENZAR, MIT),
    ("legnet_prixfixe", legnet_prixfixe, "LegNet as in Prix Fixe", CHALLENGE, MIT),
    ("legnet_mpra", LegNetMPRA, "LegNet for human MPRA", "Agarwal et al. 2025", MIT),
    ("dream", Dream, "any first, core and final block", CHALLENGE, MIT),
    ("dream_cnn", dream_cnn, "BHI's first block, LegNet's core", CHALLENGE, MIT),
    ("dream_rnn", dream_rnn, "BHI's first block and core", CHALLENGE, MIT),
    ("dream_attn", dream_attn, "LegNet's first block, Unlock_DNA's core", CHALLENGE, MIT),
    ("bhi", BHI, "2nd: CNN, BiLSTM, CNN", CHALLENGE, MIT),
    ("unlock_dna", UnlockDNA, "3rd: Macaron transformer, expression tokens", CHALLENGE, MIT),
    ("camformers", Camformers, "4th: wide residual CNN", CHALLENGE, MIT),
    ("nad", NAD, "5th: 5-mer vectors, CNN, transformers", CHALLENGE, MIT),
    ("wztr", Wztr, "5th: CNN of four dilations at once", CHALLENGE, MIT),
    ("high_schoolers", HighSchoolers, "7th: CNN, attention pools", CHALLENGE, MIT),
    ("bionml", BioNML, "8th: k-mer kernels, cross-attention", CHALLENGE, MIT),
    ("bugf", BUGF, "9th: one transformer layer sixteen times", CHALLENGE, MIT),
    ("mt", Mt, "10th: GRU and CNN over both strands", CHALLENGE, MIT),
    ("vaishnav", Vaishnav, "reference: CNN, attention, BiLSTM", "Vaishnav et al. 2022", MIT),
    ("motif_cnn", MotifCNN, "CNN with an exponential first layer", "Koo & Ploenzke 2021", MIT),
    ("deepstarr", DeepSTARR, "enhancer CNN", "de Almeida et al. 2022", MIT),
    ("deepromoter", DeePromoter, "parallel CNN, BiLSTM", "Oubounyt et al. 2019", MIT),
    ("bpnet", BPNet, "dilated CNN, profile and counts", "Avsec et al. 2021", MIT),
    ("basenji", Basenji, "pooled and dilated CNN", "Kelley et al. 2018", PAPER),
    ("esm", esm.ESM, "protein or 6-mer language model", "Lin et al. 2023", MIT, esm.PARAMETERS),
    ("lightgbm", Trees, "boosted trees over k-mers and bases", TUM, REPORT),
    ("kmer_ridge", KmerRidge, "linear in k-mer counts, solved at once", TUM, REPORT),
    ("random_forest", random_forest, "forest over k-mers and bases", TUM, REPORT),
)  # fmt: skip

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
        The table has no such model, the model no such size, or a size it cannot be built with.

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
    for size, value in sizes.items():
        _check(size, value, row.sizes[size], row.kinds[size])
    sizes = {**row.sizes, **sizes}
    try:
        model = row.make(**sizes)
    except FastseqError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        given = ", ".join(f"{size}={value!r}" for size, value in sizes.items())
        raise OptionError(f"{name} cannot be built with {given}: {error}") from error
    # a model begun from files says what rebuilds it without them
    model.name, model.sizes = name, {**sizes, **getattr(model, "rebuilt", {})}
    return model


def _check(size: str, value: Any, default: Any, kind: Any) -> None:
    """Raise on a value of another kind than the size's own, or a number that builds nothing.

    Parameters
    ----------
    kind : type
        The builder's annotation, which tells what stands beside None.
    """
    if default is None:
        if value is None:
            return
        kinds = get_args(kind) or (kind,)
        default = next((usual for one, usual in USUAL.items() if one in kinds), None)
    if isinstance(default, (tuple, builtins.list)):
        # a str is a sequence, too
        if not isinstance(value, (tuple, builtins.list)) or not (value or size in MAY_BE_EMPTY):
            raise OptionError(f"{size}={value!r}; expected several, such as {default}")
        for part in value if default else ():
            _check(size, part, default[0], None)
        return
    wanted = _wanted(value, default)
    if wanted:
        raise OptionError(f"{size}={value!r}; expected {wanted}")


def _wanted(value: Any, default: Any) -> str:
    """Return what a value should have been, or nothing where it may stand for the default."""
    truth = isinstance(value, (bool, np.bool_))
    match default:
        case bool():
            return "" if truth else "True or False"
        case int():
            least = min(default, 1) if default > 0 else -1
            whole = isinstance(value, (int, np.integer)) and not truth
            if whole and least <= value <= LARGEST:
                return ""
            return f"whole numbers of {least} or more" if least == 1 else "a whole number"
        case float():
            number = isinstance(value, (int, float, np.number)) and not truth
            return "" if number and 0 <= value < math.inf else "numbers of 0 or more"
        case str():
            return "" if isinstance(value, (str, os.PathLike)) else f"text, such as {default!r}"
        case dict():
            return "" if isinstance(value, dict) else "a dict"
    return ""
