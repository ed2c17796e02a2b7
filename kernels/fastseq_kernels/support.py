"""Why an op cannot run here, as sentences; an empty list means that it can."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from shutil import which

import torch

from fastseq_kernels.reference import ACTIVATIONS, length_out

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
LARGEST_POOL = 16
SMALL_GROUP = 16
LARGEST_TILE = 128
LARGEST_GATE = 128
BILINEAR = ("mix", "left", "right", "combine")

Shapes = Mapping[str, Sequence[int]]
DTypes = Mapping[str, torch.dtype]


def reasons(
    op: str, shapes: Shapes, dtypes: DTypes, device: torch.device | str | None, **options
) -> list[str]:
    """Return why the Triton kernel of ``op`` cannot take this call; nothing where it can.

    Parameters
    ----------
    op : {"conv1d", "first_conv1d", "depthwise_conv1d", "squeeze", "excite", "pointwise",
        "window_conv1d", "residual_pair"}
    shapes, dtypes : mapping
        Of its tensors by argument name; ``x``, ``delta``, ``squeezed`` or ``codes`` at least,
        ``weight`` where there is one and ``slope`` with activation "prelu".
    device : torch.device or None
        None judges the call alone, wherever it may run.
    **options
        The op's other arguments; defaults where not given.

    Returns
    -------
    list of str
        One sentence a reason.

    Raises
    ------
    ValueError
        There is no such op.
    """
    if op not in CHECKS:
        raise ValueError(f"op={op!r}; expected one of {', '.join(CHECKS)}")
    here = [] if device is None else machine(torch.device(device))
    return [*here, *CHECKS[op](shapes, dtypes, options)]


def refuse(op: str, shapes: Shapes, dtypes: DTypes, device: torch.device, **options) -> None:
    """Raise ValueError with every reason, if there is one."""
    found = reasons(op, shapes, dtypes, device, **options)
    if found:
        raise ValueError(f"{op}: " + "; ".join(found))


@cache
def machine(device: torch.device) -> tuple[str, ...]:
    """Return why no kernel runs on this device, as sentences; nothing where they do."""
    found = []
    try:
        release = version("triton")
        if tuple(map(int, release.split(".")[:2])) not in ((3, 6), (3, 7)):
            found.append(f"triton {release} is installed; the kernels are written for 3.6 and 3.7")
    except PackageNotFoundError:
        found.append("triton is not installed (pip install 'fastseq-genomics[gpu]')")
    if os.environ.get("TRITON_INTERPRET") == "1":
        return tuple(found)
    if device.type != "cuda":
        return (*found, f"the tensors are on {device.type}; the kernels run on CUDA and ROCm GPUs")
    if not torch.cuda.is_available():
        return (*found, "PyTorch sees no GPU")
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < (8, 0):
        name = torch.cuda.get_device_name(device)
        found.append(f"{name} is older than compute capability 8.0, the first with bfloat16 units")
    if not (os.environ.get("CC") or which("cc") or which("gcc") or which("clang")):
        found.append("there is no C compiler, with which Triton builds its launcher (set CC)")
    return tuple(found)


def _common(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = []
    kinds = {name: dtypes[name] for name in ("x", "delta", "squeezed", "weight") if name in dtypes}
    for name, dtype in kinds.items():
        if dtype not in FLOATS:
            found.append(f"{name} is {_name(dtype)}; expected float32, float16 or bfloat16")
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name} {_name(dtype)}" for name, dtype in kinds.items())
        found.append(f"the types differ: {listed}")
    activation = options.get("activation", "none")
    if activation not in ACTIVATIONS:
        found.append(f"activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    if activation == "prelu" and "slope" not in shapes:
        found.append("activation 'prelu' has no slopes")
    pool = options.get("pool", 1)
    if not 1 <= pool <= LARGEST_POOL:
        found.append(f"pool windows of {pool} positions; one program holds up to {LARGEST_POOL}")
    if options.get("precision", "float32") not in ("float32", "tf32"):
        found.append(f"precision {options['precision']!r} is neither 'float32' nor 'tf32'")
    return found


def _convolution(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _common(shapes, dtypes, options)
    (_, length, channels), (kernel, c_in, c_out) = shapes["x"], shapes["weight"]
    groups = options.get("groups", 1)
    if c_in * groups != channels:
        found.append(f"x has {channels} channels; the weight takes {groups} x {c_in}")
    if c_out % groups:
        found.append(f"{c_out} output channels do not split into {groups} groups")
    stride, dilation = options.get("stride", 1), options.get("dilation", 1)
    padding = options.get("pad_left", 0) + options.get("pad_right", 0)
    positions = length_out(length, kernel, stride, dilation, padding)
    if positions < 1:
        reach = dilation * (kernel - 1) + 1
        found.append(f"{length} + {padding} positions are fewer than the {reach} a window spans")
        return found
    n = shapes["x"][0]
    return [
        *found,
        *_short(positions, options.get("pool", 1)),
        *_unlike(shapes, "residual", (n, positions, c_out)),
        *_unlike(shapes, "gate", (n, channels)),
        *_unlike(shapes, "bias", (c_out,)),
        *_channelwise(shapes, c_out),
    ]


def _unlike(shapes: Shapes, name: str, expected: tuple[int, ...]) -> list[str]:
    """Return that a tensor, where given, has another shape."""
    if name not in shapes or tuple(shapes[name]) == expected:
        return []
    return [f"{name} is {tuple(shapes[name])}; expected {expected}"]


def _channelwise(shapes: Shapes, channels: int) -> list[str]:
    """Return that slopes are neither one for all channels nor one for each."""
    return [] if tuple(shapes.get("slope", (1,))) == (1,) else _unlike(shapes, "slope", (channels,))


def small_groups(weight: Sequence[int], groups: int) -> bool:
    """Whether a convolution's groups are too narrow for a matrix unit: depthwise_conv1d's own."""
    _, c_in, c_out = weight
    return groups > 1 and min(c_in, c_out // groups) < SMALL_GROUP


def _dense(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _convolution(shapes, dtypes, options)
    (_, c_in, c_out), groups = shapes["weight"], options.get("groups", 1)
    if small_groups(shapes["weight"], groups):
        found.append(
            f"groups of {c_in} to {c_out // groups} channels would leave a {SMALL_GROUP}-wide "
            "matrix unit idle; depthwise_conv1d takes them"
        )
    return found


def _small_groups(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _convolution(shapes, dtypes, options)
    if not small_groups(shapes["weight"], options.get("groups", 1)):
        c_in = shapes["weight"][1]
        found.append(f"groups of {c_in} channels fill a matrix unit; conv1d takes them")
    if "gate" in shapes:
        found.append("small groups take no gate; pointwise applies it before")
    return found


def _codes(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _common(shapes, dtypes, options)
    if dtypes["codes"] != torch.uint8:
        found.append(f"codes are {_name(dtypes['codes'])}; expected uint8")
    if shapes["weight"][1] != 4:
        found.append(f"the weight has {shapes['weight'][1]} input channels; codes have 4")
    positions = options.get("positions", 1)
    base = tuple(shapes.get("base", (0,)))
    if len(base) == 2:
        found += _unlike(shapes, "base", (positions, shapes["weight"][2]))
    elif "base" in shapes:
        found += _unlike(shapes, "base", (shapes["weight"][2],))
    found += _channelwise(shapes, shapes["weight"][2])
    return found + (_short(positions, options.get("pool", 1)) if "positions" in options else [])


def _pair(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _common(shapes, dtypes, options)
    (_, length, channels), (layers, kernel, c_in, c_out) = shapes["x"], shapes["weight"]
    if (layers, c_in, c_out) != (2, channels, channels):
        expected = f"expected 2 of {channels}-{channels}"
        found.append(f"weights of {layers} layers {c_in}-{c_out}; {expected}")
    if channels not in (16, 32, 64):
        found.append(f"{channels} channels; a tile in registers has 16, 32 or 64")
    elif channels == 64 and dtypes["x"] == torch.float32:
        found.append("64 channels of float32 do not fit in registers; two calls of conv1d do it")
    if length > LARGEST_TILE:
        found.append(f"{length} positions; a tile in registers has up to {LARGEST_TILE}")
    if kernel % 2 == 0:
        found.append(f"a kernel of {kernel}; same padding on both sides wants an odd one")
    pool = options.get("pool", 1)
    if pool not in (1, 2, 4, 8):
        found.append(f"pool windows of {pool} positions; a tile splits into 1, 2, 4 or 8")
    return found + _short(length, pool)


def _short(positions: int, pool: int) -> list[str]:
    return [] if positions >= pool else [f"{positions} positions fill no pool window of {pool}"]


def _windows(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _common(shapes, dtypes, options)
    (_, c_in, c_out), channels = shapes["weight"], shapes["delta"][2]
    if c_in != channels:
        found.append(f"delta has {channels} channels; the weight takes {c_in}")
    for name in ("pre", "skip", "skip_reference"):
        if name in shapes and shapes[name][2] != c_out:
            found.append(f"{name} has {shapes[name][2]} channels; the weight gives {c_out}")
    if ("skip" in shapes) != ("skip_start" in shapes) and "start" in shapes:
        found.append("skip and skip_start come together; one is missing")
    found += _channelwise(shapes, c_out)
    last = "skip" in shapes and not options.get("residual_first")
    if last and options.get("pool", 1) > 1 and "skip_reference" not in shapes:
        found.append("a pool after the residual needs skip_reference, to know what was largest")
    return found


def _pointwise(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    n, length, channels = shapes["x"]
    return [
        *_common(shapes, dtypes, options),
        *_unlike(shapes, "gate", (n, channels)),
        *_unlike(shapes, "residual", (n, length, channels)),
        *_channelwise(shapes, channels),
    ]


def _positions(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    none = [] if shapes["x"][1] else ["no position, of which to take the mean or the largest"]
    return _common(shapes, dtypes, options) + none


def _gates(shapes: Shapes, dtypes: DTypes, options: Mapping) -> list[str]:
    found = _common(shapes, dtypes, options)
    (_, channels), reduced = shapes["squeezed"], shapes["reduce"][1]
    given = [name for name in BILINEAR if name in shapes]
    products = 0
    if given and len(given) < len(BILINEAR):
        missing = ", ".join(name for name in BILINEAR if name not in shapes)
        found.append(f"a bilinear gate has mix, left, right and combine; it lacks {missing}")
    elif given:
        rank, products = shapes["combine"]
        found += _unlike(shapes, "mix", (reduced, reduced))
        found += _unlike(shapes, "left", (reduced, rank)) + _unlike(
            shapes, "right", (reduced, rank)
        )
    for name, width in (("reduced", reduced), ("product", products)):
        if width > LARGEST_GATE:
            found.append(f"{width} {name} features; one program holds up to {LARGEST_GATE}")
    return [
        *found,
        *_unlike(shapes, "reduce", (channels, reduced)),
        *_unlike(shapes, "expand", (reduced + products, channels)),
        *_unlike(shapes, "reduce_bias", (reduced,)),
        *_unlike(shapes, "mix_bias", (reduced,)),
        *_unlike(shapes, "combine_bias", (products,)),
        *_unlike(shapes, "expand_bias", (channels,)),
    ]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


CHECKS: dict[str, Callable[[Shapes, DTypes, Mapping], list[str]]] = {
    "conv1d": _dense,
    "first_conv1d": _codes,
    "depthwise_conv1d": _small_groups,
    "squeeze": _positions,
    "excite": _gates,
    "pointwise": _pointwise,
    "window_conv1d": _windows,
    "residual_pair": _pair,
}
