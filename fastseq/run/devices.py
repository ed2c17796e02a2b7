"""Which device each of several workers of one machine runs on."""

import os
from collections.abc import Sequence

import torch

from fastseq.errors import OptionError


def named_devices(devices: int | str | Sequence[str]) -> tuple[str, ...]:
    """Return the devices that workers take in turns, by name.

    Parameters
    ----------
    devices : int, str or sequence of str
        So many GPUs, "all" of them, or names such as "cuda:0" and "cuda:2".

    Raises
    ------
    OptionError
        This machine has fewer GPUs, or the names are of several types or of none.

    Examples
    --------
    >>> named_devices(["cpu", "cpu"])
    ('cpu', 'cpu')
    """
    there = torch.cuda.device_count()
    if devices == "all":
        devices = there
    if isinstance(devices, int):
        if not 0 < devices <= there:
            raise OptionError(f"{devices} devices asked for; this machine has {there} GPUs")
        return tuple(f"cuda:{number}" for number in range(devices))
    names = (devices,) if isinstance(devices, str) else tuple(devices)
    try:
        found = [torch.device(name) for name in names]
    except RuntimeError as error:
        raise OptionError(
            f"devices={list(names)}; expected names such as cuda:0, or how many GPUs"
        ) from error
    if len({device.type for device in found}) != 1:
        # parts of one run are the same bytes only on one type of device
        raise OptionError(f"devices={list(names)}; expected some, all of one type")
    absent = [str(one) for one in found if one.type == "cuda" and (one.index or 0) >= there]
    if absent:
        raise OptionError(f"no device {', '.join(absent)}; this machine has {there} GPUs")
    return names


def device_of_rank(devices: Sequence[str] = ()) -> str | None:
    """Return the device of a process that torchrun started: by its rank on this machine.

    Parameters
    ----------
    devices : sequence of str
        Those to take in turns; the machine's GPUs where not given.

    Returns
    -------
    str or None
        None where the process has no such rank, or there is no GPU.
    """
    names = devices or [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    rank = os.environ.get("LOCAL_RANK")
    return names[int(rank) % len(names)] if rank is not None and names else None
