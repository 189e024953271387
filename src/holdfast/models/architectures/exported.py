"""A network of another tool, frozen as a program of torch.export: the program is the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from holdfast.errors import BundleError, UsageError
from holdfast.models.architectures.base import Shape, architecture
from holdfast.models.exported_program import module_in, plain_program
from holdfast.models.networks import Still

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self


class FrozenProgram(Still):
    """A program whose archive is a buffer of bytes. It is read when it is first called.

    Args:
        size: bytes of the archive.
        num_classes: how many logits it returns.
    """

    program: Tensor
    # Its operations name the types of their inputs.
    fixed_precision = True

    def __init__(self, size: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.register_buffer("program", torch.zeros(size, dtype=torch.uint8))
        self._changes: list[Callable[[Tensor], Tensor]] = []
        self._network: tuple[nn.Module, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *noisy event)` to logits `(batch, classes)`.

        Raises:
            BundleError: the program is broken, or would run more than operators of torch.
        """
        if not self._network:
            content = plain_program(self.program.cpu().numpy().tobytes(), "the frozen network")
            network = module_in(content)
            for change in self._changes:
                network._apply(change)  # type: ignore[no-untyped-call]
            # In a tuple, which torch does not look into: its weights are those of the program.
            self._network = (network,)
        logits: Tensor = self._network[0](x)
        if logits.ndim != 2 or logits.shape[1] != self.num_classes:
            raise BundleError(
                f"the frozen network returns an output of shape {tuple(logits.shape[1:])}, expected "
                f"({self.num_classes},); the bundle was changed"
            )
        return logits

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """Move or convert the network as well, now or when it is read."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._changes.append(fn)
        for network in self._network:
            network._apply(fn)  # type: ignore[no-untyped-call]
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_network": (), "_changes": []}

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenProgram:
        made = FrozenProgram(len(self.program), self.num_classes)
        made.program = self.program.clone()
        return made


@architecture("exported", raw=True)
def exported(shape: Shape, num_classes: int, *, size: int = 0) -> nn.Module:
    """A network that `holdfast bundle` froze; `size` is the number of bytes of its program.

    Raises:
        UsageError: `size` is not a whole number from 1 on: such a network is made by `holdfast bundle` only.
    """
    if type(size) is not int or size < 1:
        raise UsageError(
            f"the architecture 'exported' is made by `holdfast bundle`, which knows its size; got size={size!r}"
        )
    return FrozenProgram(size, num_classes)
