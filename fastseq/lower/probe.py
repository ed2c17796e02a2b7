"""What a module is asked before it is lowered: its input, its answer, its arithmetic."""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fastseq.errors import LengthError, ModelError, OptionError
from fastseq.models.specs import InputSpec, TargetSpec

aten = torch.ops.aten
# the factor whose rows are summed over, among the arguments of a matrix product
PRODUCTS = {aten.mm.default: 0, aten.bmm.default: 0, aten.addmm.default: 1,
            aten.baddbmm.default: 1, aten.linear.default: 0}  # fmt: skip
RECURRENCE = aten.mkldnn_rnn_layer.default


def input_spec(model: nn.Module, length: int | None) -> InputSpec:
    """Return a model's InputSpec, or that of a model without one at a length.

    Raises
    ------
    OptionError, LengthError
        The length is missing, or another than the model's.
    """
    spec = getattr(model, "input_spec", None)
    if spec is None:
        if length is None:
            raise OptionError(f"{type(model).__name__} carries no InputSpec; pass length= in bp")
        return InputSpec(length)
    if length not in (None, spec.length, spec.variable):
        raise LengthError(
            f"length={length}; the model takes {spec.length} bp"
            + (f" or {spec.variable} bp inside its flanks" if spec.left or spec.right else "")
        )
    return spec


def device(wanted: str | torch.device | None) -> torch.device:
    """Return the device asked for; else a GPU where there is one.

    Raises
    ------
    OptionError
        PyTorch knows no such device, or this machine has none.
    """
    name = wanted or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).strip().partition("\n")[0]
        raise OptionError(f"device={name!r} cannot be used here: {first}") from error
    return found


def own_copy(model: nn.Module, device: torch.device) -> nn.Module:
    """Return a copy in float32 and eval mode without gradients, on a device.

    Raises
    ------
    ModelError
        The module is TorchScript, or normalises by statistics of the batch, so that no sequence
        has an answer of its own.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"{type(model).__name__} is TorchScript, whose code is gone; pass the nn.Module it "
            "was made from, with load_state_dict(script.state_dict())"
        )
    for name, part in model.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
            raise ModelError(
                f"{name or 'the module'} is a {type(part).__name__} without running statistics: "
                "an answer would depend on the other sequences of its batch; train it with "
                "track_running_stats=True"
            )
    return copy.deepcopy(model).to(device).float().eval().requires_grad_(False)


def answer_to_zeros(module: nn.Module, spec: InputSpec, device: torch.device) -> object:
    """Return a module's answer to one input of zeros.

    Raises
    ------
    ModelError
        The module refuses an input of this shape; its own words follow.
    """
    x = torch.zeros(1, spec.channels, spec.length, device=device)
    try:
        with torch.inference_mode():
            return module(x)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{type(module).__name__} cannot take float32 {tuple(x.shape)}: {first}"
        ) from error


def target_spec(module: nn.Module, raw: object, spec: TargetSpec) -> tuple[TargetSpec, int | None]:
    """Return the spec with the tasks of a module's answer to one input, and profile positions.

    Raises
    ------
    ModelError
        The answer is no tensor of such a shape, or has another number of tasks than the spec.
    """
    if not isinstance(raw, Tensor) or raw.ndim not in (1, 2, 3) or len(raw) != 1:
        found = tuple(raw.shape) if isinstance(raw, Tensor) else type(raw).__name__
        raise ModelError(
            f"{type(module).__name__} answered one input with {found}; expected a "
            "tensor (1,), (1, tasks) or (1, tasks, positions): wrap it in a module that returns one"
        )
    if raw.is_complex():
        raise ModelError(
            f"{type(module).__name__} answers complex numbers; take their .abs(), .real or .angle()"
        )
    score, names = spec.score(raw), spec.tasks
    if len(names) != score.shape[1]:
        if names != TargetSpec().tasks:
            raise ModelError(
                f"{type(module).__name__} answers {score.shape[1]} tasks; its "
                f"TargetSpec names {len(names)}: {', '.join(names)}"
            )
        names = tuple(f"task{i}" for i in range(score.shape[1]))
    found = TargetSpec.from_dict(spec.to_dict() | {"tasks": names})
    return found, score.shape[2] if score.ndim == 3 else None


class Operations(TorchDispatchMode):
    """Counts the floating-point operations of convolutions and matrix products.

    PyTorch's own counter takes most of a second to import where Triton is installed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Let PyTorch leave torch._dynamo alone, which takes seconds to import."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        """Run one operator and count what it multiplies and adds."""
        counted = func in PRODUCTS or func in (aten.convolution.default, RECURRENCE)
        if isinstance(func, torch._ops.OpOverload) and not counted:
            with self:  # what the operator consists of
                parts = func.decompose(*args, **kwargs or {})
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs or {})
        if func is aten.convolution.default:
            self.count += 2 * out.numel() * math.prod(args[1].shape[1:])
        elif func is RECURRENCE:
            x, *weights = args[:3]
            self.count += 2 * math.prod(x.shape[:2]) * sum(map(Tensor.numel, weights))
        elif func in PRODUCTS:
            self.count += 2 * out.numel() * args[PRODUCTS[func]].shape[-1]
        return out
