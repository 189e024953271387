"""The devices to compute on: their names, and whether they are present."""

from __future__ import annotations

import re

import torch

from holdfast.errors import UsageError

_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,4})?")


def device_name(device: str | torch.device) -> str:
    """The name of a device, given as a name or a `torch.device`; it need not be on this machine.

    Raises:
        UsageError: not a device that Holdfast computes on.
    """
    name = device
    if isinstance(device, torch.device):
        # A CPU has no number.
        name = "cpu" if device.type == "cpu" else str(device)
    if not isinstance(name, str) or not _DEVICE.fullmatch(name):
        raise UsageError(f"a device is 'cpu', 'cuda' or 'cuda:0', or such a torch.device; got {device!r}")
    return name


def torch_device(name: str | torch.device) -> torch.device:
    """The device `name`, after a check that it is present.

    Raises:
        UsageError: the device is unknown or absent.
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
