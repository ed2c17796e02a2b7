"""Trained networks on disk: one safetensors file whose header holds the JSON; never a pickle."""

import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fastseq.errors import CheckpointError, MissingFileError, UnreadableFileError
from fastseq.models.registry import build
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.models.whole_files import write_whole

KIND = "fastseq-checkpoint-1"


def save(
    model: nn.Module, path: str | os.PathLike[str], *, training: dict[str, Any] | None = None
) -> Path:
    """Write a model with all it takes to rebuild and read it; return the path.

    The file appears under its name only when it is complete.

    Parameters
    ----------
    model : nn.Module
        A model that `build` made: it carries ``name``, ``sizes``, ``input_spec``, ``target_spec``.
    path : path
        Usually ``*.safetensors``.
    training : dict, optional
        Whatever should be remembered of the training, as JSON values.

    Raises
    ------
    CheckpointError
        The model was not made by `build`, so that nobody could load it.
    UnreadableFileError
        The folder cannot be written.
    """
    path = Path(path)
    lacking = [n for n in ("name", "sizes", "input_spec", "target_spec") if not hasattr(model, n)]
    if lacking:
        raise CheckpointError(
            f"a {type(model).__name__} without {', '.join(lacking)} cannot be saved so that it "
            "loads again; make it with fastseq.models.build, or keep its state_dict yourself"
        )
    about = {
        "kind": KIND,
        "name": model.name,
        "sizes": model.sizes,
        "input_spec": model.input_spec.to_dict(),  # type: ignore[operator]
        "target_spec": model.target_spec.to_dict(),  # type: ignore[operator]
        "training": training or {},
    }
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    return write_whole(path, safetensors.torch.save(tensors, {"fastseq": json.dumps(about)}))


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a checkpoint's JSON: name, sizes, input_spec, target_spec, training.

    Raises
    ------
    MissingFileError, UnreadableFileError
        No such file, or the system refuses to read it.
    CheckpointError
        The file is a pickle, truncated, or no checkpoint of fastseq.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"there is no checkpoint {path}")
    try:
        with open(path, "rb") as file:
            head = file.read(9)
        _refuse_pickle(path, head)
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) is truncated or no safetensors file: {error}"
        ) from error
    except OSError as error:
        raise UnreadableFileError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        about = json.loads(metadata["fastseq"])
        if about["kind"] != KIND:
            raise CheckpointError(
                f"{path} is of kind {about['kind']!r}; this fastseq reads {KIND!r}"
            )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} holds tensors but no description of their model; expected a file that "
            "fastseq.models.save wrote"
        ) from error
    return about


def _refuse_pickle(path: Path, head: bytes) -> None:
    # the first eight bytes of safetensors are a length, which may begin as a pickle does
    if head[8:] != b"{" and head.startswith((b"\x80", b"PK\x03\x04")):
        raise CheckpointError(
            f"{path} is a pickle (torch.save), which can run any code when loaded; load it where "
            "you trust it and write it anew with fastseq.models.save"
        )


def _check_tensors(path: Any, found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Raise on the first tensor that the model lacks, or that the model has otherwise."""
    of = len(found.keys() ^ wanted.keys())
    for name in sorted(found.keys() ^ wanted.keys()):
        held = "no tensor" if name in wanted else "a tensor"
        raise CheckpointError(
            f"{path} does not fit its own description: it holds {held} {name}, which its model "
            f"{'has' if name in wanted else 'has not'} ({of} such)"
        )
    for name, tensor in found.items():
        its, own = ((tuple(one.shape), one.dtype) for one in (tensor, wanted[name]))
        # the text of trees has any length
        if its != own and not name.endswith("_extra_state"):
            raise CheckpointError(
                f"{path} does not fit its own description: {name} is {its[1]} {its[0]}; its model "
                f"has {own[1]} {own[0]}"
            )


def load(path: str | os.PathLike[str]) -> nn.Module:
    """Return the model of a checkpoint, in eval mode on the CPU.

    Raises
    ------
    MissingFileError, UnreadableFileError, CheckpointError
        As `describe`; also when tensors are missing or of other shapes than the sizes say.
    """
    about = describe(path)
    try:
        model: Any = build(about["name"], **about["sizes"])
        model.input_spec = InputSpec.from_dict(about["input_spec"])
        model.target_spec = TargetSpec.from_dict(about["target_spec"])
        tensors = safetensors.torch.load_file(path)
        _check_tensors(path, tensors, model.state_dict())
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} does not fit its own description: {error}") from error
    return model.eval()
