"""What a CPU plan leaves to PyTorch, compiled by inductor with its weights frozen."""

import os
import shutil
import warnings
from itertools import groupby
from typing import Any

import torch
from torch import fx
from torch.fx.passes.split_module import split_module

OPTIONS: dict[str, Any] = {"freezing": True}
COMPILERS = ("g++", "clang++", "c++")


def refusals(graph: fx.GraphModule | None, unlowered: str, device: torch.device) -> list[str]:
    """Return why a plan cannot be compiled, as sentences."""
    if device.type != "cpu":
        return [f"it is for plans on the CPU, this one is on {device}"]
    if graph is None:
        return [f"the model was not lowered: {unlowered}"]
    wanted = [os.environ["CXX"]] if "CXX" in os.environ else [*COMPILERS]
    if not any(map(shutil.which, wanted)):
        return [f"inductor needs a C++ compiler, and {', '.join(wanted)} cannot be found"]
    return []


def compiled(placed: fx.GraphModule, batch: int) -> fx.GraphModule:
    """Return a program whose native layers stay and whose other operators are compiled.

    Parameters
    ----------
    placed : fx.GraphModule
        As `fastseq.lower.program.program` makes it; it is not changed.
    batch : int
        Sequences of every call: each stretch of operators is compiled for this shape alone.

    Notes
    -----
    Native layers are faster than the convolutions that inductor calls: a residual network of 110
    bp in bfloat16 ran at 4.7 times the speed of eager float32 with them, at 2.5 times wholly by
    inductor. What is left between them may gain or lose: that network and LegNet ran at 0.9 to
    0.96 of the speed of their plans as they are. The first call, made here, takes seconds.
    """
    called = [node for node in placed.graph.nodes if node.op.startswith("call_")]
    stretches = groupby(called, lambda node: node.op == "call_function")
    number = {node: at for at, (_, nodes) in enumerate(stretches) for node in nodes}
    split = split_module(placed, placed, number.__getitem__)
    in_torch = {number[node] for node in called if node.op == "call_function"}
    length = next(iter(placed.graph.nodes)).meta["shape"][0]
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # inductor's own, of deprecated parts of PyTorch
        for at in in_torch:
            name = f"submod_{at}"
            part = split.get_submodule(name)
            setattr(split, name, torch.compile(part, dynamic=False, options=OPTIONS))
        split(torch.zeros(batch, length, dtype=torch.uint8))
    return split
