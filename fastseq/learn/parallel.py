"""Several processes train one network: who this one is, and what all of them agree on.

torchrun starts the processes and names them in the environment; nothing here starts any.
"""

import atexit
import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from fastseq.errors import OptionError


@dataclass(frozen=True)
class World:
    """The processes of one training.

    Attributes
    ----------
    rank, size : int
        This process, 0 the one that writes and speaks, and how many there are.
    """

    rank: int = 0
    size: int = 1

    def part(self, batch: Tensor, copies: int = 1) -> Tensor:
        """Return this process' rows of a batch; of ``copies`` batches end to end, of each."""
        if self.size == 1:
            return batch
        rows = len(batch) // copies
        ends = [rows * rank // self.size for rank in (self.rank, self.rank + 1)]
        return torch.cat([batch[copy * rows :][slice(*ends)] for copy in range(copies)])

    def share(self, objective: nn.Module) -> nn.Module:
        """Return the module with gradients averaged over the processes."""
        if self.size == 1 or not any(weight.requires_grad for weight in objective.parameters()):
            return objective
        # a network may have a head that this training leaves alone
        return DistributedDataParallel(objective, find_unused_parameters=True)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum over the processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def agree(self, value: Any) -> Any:
        """Return what the first process has, in all of them."""
        if self.size == 1:
            return value
        held = [value]
        distributed.broadcast_object_list(held)
        return held[0]


def world(device: torch.device) -> World:
    """Return the processes that torchrun started, joined once and for good; alone without it.

    Raises
    ------
    OptionError
        The environment names more processes, and this PyTorch cannot join them.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return World()
    if not distributed.is_available():
        raise OptionError(f"WORLD_SIZE={size}, but this PyTorch has no torch.distributed")
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return World(distributed.get_rank(), distributed.get_world_size())


def own_device(device: "str | torch.device | None") -> torch.device:
    """Return the device to train on; where none is named, the GPU if there is one.

    Of several GPUs on one machine each process takes its own.
    """
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if chosen.type == "cuda" and chosen.index is None and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return chosen
