"""What would make the host wait for a card, found on a processor: operations whose result a host must know."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from holdfast.noises.base import Noise
from holdfast.sampling import counts
from holdfast.sampling.transfer import ToHost, to_device

# Operations that copy a result to the host to find out its size or value, or a list of numbers to the device.
_OPERATIONS = (
    "_local_scalar_dense", "nonzero", "_unique", "_unique2", "unique_dim", "unique_consecutive", "masked_select",
    "is_nonzero", "equal", "bincount", "repeat_interleave", "argwhere",
)  # fmt: skip
_FUNCTIONS = (
    "item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__", "__array__", "__contains__",
    "tensor", "as_tensor", "new_tensor", "nonzero", "argwhere", "unique", "masked_select", "equal", "allclose",
)  # fmt: skip


class Elsewhere(Tensor):
    """A tensor of this processor that calls itself one of another device: noises look at the name only."""

    device = torch.device("meta")


class _Operations(TorchDispatchMode):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        by_mask = name in ("index", "index_put", "index_put_", "_index_put_impl_") and any(
            each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
        )
        if name in _OPERATIONS or by_mask:
            self._note(name)
        return func(*args, **(kwargs or {}))


class _Functions(TorchFunctionMode):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        to_processor = name == "to" and "cpu" in [
            each for each in (*args[1:], *(kwargs or {}).values()) if isinstance(each, str)
        ]
        if name in _FUNCTIONS or to_processor:
            self._note(name)
        return func(*args, **(kwargs or {}))


class HostWaits:
    """Counts waits while `on`, by the line of the package that waits; transfers that nobody waits for do not count.

    Reading what was sent to the host counts as a wait unless a batch was given to the device after it was sent.
    """

    def __init__(self, noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: Counter[str] = Counter()
        self.on = False
        # Batches given to the device so far.
        self.batches = 0
        # Transfers that were read while `on`.
        self.read = 0
        self._sent: dict[int, int] = {}
        sent, arrived = ToHost.__init__, ToHost.arrived

        def send(transfer: ToHost, tensor: Tensor) -> None:
            sent(transfer, tensor)
            self._sent[id(transfer)] = self.batches

        def read(transfer: ToHost) -> Any:
            # The batch after it is given to the device, and counted when it has been.
            if self.on and self._sent[id(transfer)] > self.batches:
                self.note("arrived")
            self.read += self.on
            return self._free(arrived, transfer)

        monkeypatch.setattr(ToHost, "__init__", send)
        monkeypatch.setattr(ToHost, "arrived", read)
        monkeypatch.setattr(counts, "to_device", lambda *arguments: self._free(to_device, *arguments))
        # Of an input on the host.
        check = type(noise).check_values
        monkeypatch.setattr(type(noise), "check_values", lambda *arguments: self._free(check, *arguments))
        answers = counts.answers_of

        def ask(*arguments: Any) -> Any:
            found = answers(*arguments)
            self.batches += 1
            return found

        monkeypatch.setattr(counts, "answers_of", ask)
        self._modes = (_Operations(self.note), _Functions(self.note))

    def _free(self, function: Any, *arguments: Any) -> Any:
        before, self.on = self.on, False
        try:
            return function(*arguments)
        finally:
            self.on = before

    def note(self, what: str) -> None:
        if not self.on:
            return
        frame = sys._getframe()
        while frame.f_back is not None and "/holdfast/" not in frame.f_code.co_filename:
            frame = frame.f_back
        self.found[f"{what} at {frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"] += 1

    def __enter__(self) -> HostWaits:
        self._stack = ExitStack()
        for mode in self._modes:
            self._stack.enter_context(mode)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def drawn_elsewhere(noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the loop draw this noise as on another device."""
    kind = type(noise)
    whole, enumerate_all = kind.sample_into, kind.enumerate

    def sample_into(self: Noise, noisy: Tensor, x: Tensor, draws: Any) -> None:
        whole(self, noisy.as_subclass(Elsewhere), x.as_subclass(Elsewhere), draws)

    def enumerate(self: Noise, x: Tensor, first: int, end: int) -> Tensor:
        return enumerate_all(self, x.as_subclass(Elsewhere), first, end).as_subclass(Tensor)

    monkeypatch.setattr(kind, "sample_into", sample_into)
    monkeypatch.setattr(kind, "enumerate", enumerate)
