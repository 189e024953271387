"""Small tensors between the host and a device, without waiting for either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device: the host does not wait for the copy, since it comes from pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class ToHost:
    """A tensor on its way to the host.

    Args:
        tensor: on any device; it may be overwritten afterwards.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._arrival: torch.cuda.Event | None = None
        if tensor.device.type == "cuda":
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrival.record(torch.cuda.current_stream(tensor.device))
        else:
            self._host = tensor.clone()

    def arrived(self) -> NDArray[Any]:
        """The values, as soon as the device has computed them: later work of the device is not waited for."""
        if self._arrival is not None:
            self._arrival.synchronize()
        return self._host.numpy()
