"""The devices that we compute on: their names, and whether they are there."""

from __future__ import annotations

import re

import torch

from holdfast.errors import UsageError

# The names of devices.
_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,4})?")


def device_name(device: str | torch.device) -> str:
    """The name of a device that we compute on, here or elsewhere: `device` itself, or that of one of torch's.

    Raises:
        UsageError: another device, or none.
    """
    name = device
    if isinstance(device, torch.device):
        # Processors have no numbers.
        name = "cpu" if device.type == "cpu" else str(device)
    if not isinstance(name, str) or not _DEVICE.fullmatch(name):
        raise UsageError(f"a device is 'cpu', 'cuda' or 'cuda:0', or such a torch.device; got {device!r}")
    return name


def torch_device(name: str | torch.device) -> torch.device:
    """The device of that name, after checking that it is there.

    Raises:
        UsageError: an unknown or absent device.
    """
    kind, _, number = device_name(name).partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    available = torch.cuda.device_count()
    if int(number or 0) >= available:
        raise UsageError(
            f"device {str(name)!r} is not on this machine: torch sees {available} CUDA devices; use the device cpu"
        )
    return torch.device("cuda", int(number or 0))
