"""Weights that Keras saved become ours; TensorFlow is not needed, h5py is."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._lazy import load
from fastseq.errors import CheckpointError, MissingFileError
from fastseq.models import registry
from fastseq.models.motif_cnn import SHALLOW, MotifCNN

Weights = dict[str, dict[str, np.ndarray]]

# what cannot be seen in the weights, for the deep and the shallow network
_POOLS = {
    4: {"pools": (1, 4, 4, 3), "dropout": (0.1, 0.2, 0.3, 0.4, 0.5)},
    2: {name: SHALLOW[name] for name in ("pools", "dropout")},
}


def read_weights(path: str | Path) -> Weights:
    """Return the arrays of a Keras weight file, ``{layer: {"kernel": ...}}`` in model order.

    Raises
    ------
    MissingFileError
        There is no such file.
    CheckpointError
        It is no Keras weight file in HDF5.
    MissingExtraError
        h5py is not installed.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: no such file")
    h5py = load("h5py")
    layers: Weights = {}
    try:
        with h5py.File(path, "r") as file:
            root = file.get("model_weights", file)
            for name in map(_text, root.attrs["layer_names"]):
                group = root[name]
                # conv1d/kernel:0
                names = {
                    _text(x).split(":")[0].split("/")[-1]: x for x in group.attrs["weight_names"]
                }
                if names:
                    layers[name] = {short: group[long][()] for short, long in names.items()}
    except (OSError, KeyError) as error:
        raise CheckpointError(f"{path}: expected Keras weights in HDF5 ({error})") from error
    return layers


def motif_cnn(
    path: str | Path, *, first: Literal["exponential", "relu"], length: int = 200
) -> MotifCNN:
    """Return the motif network whose Keras weights these are, in eval mode.

    Parameters
    ----------
    path : str or Path
        HDF5 weights of a deep (four convolutions) or shallow (two) network.
    first : {"exponential", "relu"}
        The first activation, which the file does not tell.
    length : int
        Model input in bp.

    Raises
    ------
    CheckpointError
        The layers are not those of such a network.
    """
    layers = read_weights(path)
    convolutions = [x for name, x in layers.items() if name.startswith("conv1d")]
    dense = [x for name, x in layers.items() if name.startswith("dense")]
    norms = [x for name, x in layers.items() if name.startswith("batch_normalization")]
    known = len(convolutions) in _POOLS and len(dense) == 2
    if not known or len(norms) not in (0, len(convolutions) + 1):
        raise CheckpointError(
            f"{path}: {len(convolutions)} convolutions, {len(norms)} BatchNorms and {len(dense)} "
            "dense layers; expected 2 or 4 convolutions, a BatchNorm after each layer or none, and "
            "2 dense layers"
        )
    sizes = {
        "length": length,
        "tasks": dense[1]["kernel"].shape[1],
        "channels": [x["kernel"].shape[2] for x in convolutions],
        "kernels": [x["kernel"].shape[0] for x in convolutions],
        "hidden": dense[0]["kernel"].shape[1],
        "first": first,
        "batch_norm": bool(norms),
    }
    model = registry.build("motif_cnn", **sizes, **_POOLS[len(convolutions)])
    assert isinstance(model, MotifCNN)
    ours = [x for x in model.modules() if isinstance(x, nn.Conv1d)]
    for layer, weights in zip(ours, convolutions):
        _set(path, layer, weights, weights["kernel"].transpose(2, 1, 0))
    ours = [x for x in model.modules() if isinstance(x, nn.BatchNorm1d)]
    for layer, weights in zip(ours, norms):
        for name, value in (
            ("weight", "gamma"), ("bias", "beta"),
            ("running_mean", "moving_mean"), ("running_var", "moving_variance"),
        ):  # fmt: skip
            _copy(path, getattr(layer, name), weights[value])
    first_dense, last = [x for x in model.head if isinstance(x, nn.Linear)]
    # Keras flattens position by position, we flatten channel by channel
    kernel = dense[0]["kernel"]
    width = convolutions[-1]["kernel"].shape[2]
    if kernel.shape[0] % width:
        raise CheckpointError(f"{path}: dense kernel {kernel.shape} after {width} channels")
    turned = kernel.reshape(-1, width, kernel.shape[1]).transpose(2, 1, 0)
    _set(path, first_dense, dense[0], turned.reshape(kernel.shape[1], -1))
    _set(path, last, dense[1], dense[1]["kernel"].T)
    return model.eval()


def _set(path, layer: nn.Conv1d | nn.Linear, weights: dict, kernel: np.ndarray) -> None:
    assert layer.bias is not None
    _copy(path, layer.weight, kernel)
    # exponential_activations leaves the biases of its convolutions out
    bias = weights.get("bias", np.zeros(kernel.shape[0], np.float32))
    _copy(path, layer.bias, bias)


def _copy(path, to: Tensor, values: np.ndarray) -> None:
    if to.shape != values.shape:
        raise CheckpointError(f"{path}: weights of shape {values.shape}; expected {to.shape}")
    with torch.no_grad():
        to.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
