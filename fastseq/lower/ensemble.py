"""A module, a checkpoint or a list of them becomes plans."""

import os
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import nn

from fastseq.errors import OptionError
from fastseq.lower import saved
from fastseq.lower.plan import Plan, Precision
from fastseq.models.checkpoints import load

Runnable: TypeAlias = nn.Module | Plan | str | os.PathLike[str]
"""What the public functions take as a model; a list of these is an ensemble."""


def lower(
    model: nn.Module | str | os.PathLike[str],
    *,
    length: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision = "float32",
    batch_size: int | None = None,
    compile: bool = False,
) -> Plan:
    """Return a plan that runs the model on codes and edits.

    Parameters
    ----------
    model : nn.Module or path
        Any module that maps float32 (n, 4, length) one-hot to (n,), (n, tasks) or (n, tasks,
        positions), or a checkpoint. The module is copied, never changed.
    length : int, optional
        Input length in bp; needed where the module carries no InputSpec.
    device : str or torch.device, optional
        CUDA where there is one, else the CPU.
    precision : {"float32", "tf32", "float16", "bfloat16"}
        Of activations and products; sums are float32. "tf32" and "float16" run on GPUs alone.
    batch_size : int, optional
        Sequences run at once.
    compile : bool
        On the CPU, whether inductor compiles, with frozen weights, what runs in PyTorch. Native
        layers stay: they are faster than what inductor makes of them, and a convolutional network
        gains nothing. It takes seconds, again in each process, and a C++ compiler; every call
        then costs a whole batch.

    Returns
    -------
    Plan

    Raises
    ------
    OptionError, LengthError, ModelError
        The length is missing or wrong; the module refuses such input or answers in other shapes;
        ``compile`` cannot be had here.
    MissingFileError, CheckpointError
        As `fastseq.models.load`.
    """
    return Plan(
        _module(model), length=length, device=device, precision=precision, micro_batch=batch_size,
        compile=compile,
    )  # fmt: skip


def _module(model: object) -> nn.Module:
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, str | os.PathLike):
        return (
            saved.parts(saved.read(model), str(model))[0] if saved.is_plan(model) else load(model)
        )
    raise OptionError(
        f"model is a {type(model).__name__}; expected an nn.Module, a checkpoint's path, a Plan, "
        "or a list of these"
    )


def lower_all(
    models: Runnable | Sequence[Runnable],
    *,
    length: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    batch_size: int | None = None,
    sequences: int | None = None,
) -> list[Plan]:
    """Return the plans of a model or of an ensemble whose members agree on input and tasks.

    ``sequences`` is how many will be run: a module is lowered only for a job that earns it back.

    Raises
    ------
    OptionError
        The list is empty, a Plan is given together with options it already fixed, or members
        differ in variable length, tasks or scale.
    """
    members = list(models) if isinstance(models, list | tuple) else [models]
    if not members:
        raise OptionError("an empty list of models; expected at least one")
    plans = []
    for member in members:
        if isinstance(member, Plan):
            _refuse_options(member, device=device, precision=precision, batch_size=batch_size)
            plans.append(member)
        else:
            options = {"device": device, "precision": precision or "float32"}
            plans.append(
                Plan(_module(member), length=length, micro_batch=batch_size, sequences=sequences,
                     **options)
            )  # fmt: skip
    first = plans[0]
    for number, plan in enumerate(plans[1:], 1):
        for what, mine, theirs in (
            ("variable length", first.input_spec.variable, plan.input_spec.variable),
            ("tasks", first.target_spec.tasks, plan.target_spec.tasks),
            ("scale", first.target_spec.scale, plan.target_spec.scale),
        ):
            if mine != theirs:
                raise OptionError(
                    f"model {number} of the ensemble has {what} {theirs}; model 0 has {mine}"
                )
    return plans


def _refuse_options(plan: Plan, **options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise OptionError(
            f"{', '.join(given)} given together with a Plan, which has fixed them "
            f"({plan.precision} on {plan.device}); pass them to fastseq.lower instead"
        )
