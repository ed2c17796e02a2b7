"""How an op is made of a plain twin and a kernel's launch, and joins PyTorch."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from inspect import signature
from types import SimpleNamespace
from typing import TypeAlias

import torch
from torch import Tensor

from fastseq_kernels.epilogue import INTERPRETED
from fastseq_kernels.launch import architecture, choose
from fastseq_kernels.support import refuse

# define + impl cost 1.6 us a call, torch.library.custom_op 18 us (measured, torch 2.13)
LIBRARY = torch.library.Library("fastseq", "FRAGMENT")

Call: TypeAlias = SimpleNamespace
"""A call's arguments by name, those not given at their defaults; ``y``, its answer, unwritten."""


def define(
    twin: Callable[..., Tensor],
    *,
    empty: Callable[[Call], Tensor],
    facts: Callable[[Call], Mapping[str, object]],
    launch: Callable[[Call, Tensor, str, dict], None],
    name: str | None = None,
) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """Return an op's host function and ``torch.ops.fastseq.<name>``, which is defined here.

    Both take the arguments of the twin. On a GPU the op is its kernel, on the CPU its twin, in
    Triton's interpreter the kernel again.

    Parameters
    ----------
    twin : callable
        The op in plain PyTorch; schema, defaults and documentation are its own.
    empty : callable
        Returns an answer of the right shape, unwritten; on any device, fake ones included.
    facts : callable
        Returns what chooses the launch configuration.
    launch : callable
        Takes the call, an answer that has elements, the architecture and the configuration; runs
        the kernel.
    name : str, optional
        The twin's where not given.

    Returns
    -------
    host, op : callable
        ``host`` also takes ``out``, to be written in place, and ``config``, a launch configuration
        to run with instead of the committed one. It raises ValueError with every reason why the
        kernel cannot take a call.
    """
    name = name or twin.__name__
    parameters = signature(twin)

    def bound(*args, **options) -> Call:
        given = parameters.bind(*args, **options)
        given.apply_defaults()
        return SimpleNamespace(**given.arguments)

    @wraps(twin)
    def host(*args, out: Tensor | None = None, config: dict | None = None, **options) -> Tensor:
        call = bound(*args, **options)
        tensors = {key: v for key, v in vars(call).items() if isinstance(v, Tensor)}
        others = {key: v for key, v in vars(call).items() if key not in tensors}
        device = next(iter(tensors.values())).device
        shapes = {key: v.shape for key, v in tensors.items()}
        refuse(name, shapes, {key: v.dtype for key, v in tensors.items()}, device, **others)
        call.y = y = empty(call) if out is None else out
        if y.numel():
            arch = architecture(device)
            with on(y):
                launch(call, y, arch, dict(config or choose(name, arch, facts(call))))
        return y

    def backward(context, gradient):
        raise RuntimeError(
            f"fastseq::{name} runs forward only; take gradients of the module itself"
        )

    LIBRARY.define(torch.library.infer_schema(twin, mutates_args=(), op_name=name))
    LIBRARY.impl(name, host if INTERPRETED else twin, "CPU")
    LIBRARY.impl(name, host, "CUDA")
    torch.library.register_fake(
        f"fastseq::{name}", lambda *args, **options: empty(bound(*args, **options)), lib=LIBRARY
    )
    torch.library.register_autograd(f"fastseq::{name}", backward, lib=LIBRARY)
    return host, getattr(torch.ops.fastseq, name).default


def on(x: Tensor) -> AbstractContextManager:
    """Make the GPU of ``x`` the current one: Triton launches there, wherever its tensors lie."""
    return torch.cuda.device_of(x) if torch.cuda.device_count() > 1 else nullcontext()


def channels_last(x: Tensor | None) -> Tensor | None:
    """Return NLC activations whose channels are contiguous, copied only where they are not."""
    return x if x is None or x.stride(-1) == 1 else x.contiguous()


def strides(*tensors: Tensor | None) -> list[int]:
    """Return the outer two strides of each tensor, in elements; zeros where there is none."""
    return [stride for x in tensors for stride in ((0, 0) if x is None else x.stride()[:2])]


def vector(v: Tensor | None) -> Tensor | None:
    """Return parameters as contiguous float32."""
    return v if v is None else v.float().contiguous()


def per_channel(v: Tensor | None, channels: int) -> Tensor | None:
    """Return one float32 parameter a channel, also where one serves all."""
    return v if v is None else vector(v.expand(channels))
