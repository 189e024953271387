"""Networks without values: what an architecture would allocate is known before it does."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from holdfast.errors import BundleError, HoldfastError, first_line
from holdfast.models.architectures.base import builders_used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor, nn

    from holdfast.models.stored import Stored

# Parameters of a network that are made before they are compared with the file: so few are quick, and an honest mistake
# is then named with all that is missing.
_AT_ONCE = 2_000
_OURS = "holdfast.models.architectures."

# What the network that is being made may still ask for: shapes of tensors, and how many of each.
_LEFT: ContextVar[Counter[tuple[int, ...]] | None] = ContextVar("_LEFT", default=None)
_MADE: ContextVar[list[int]] = ContextVar("_MADE")


class _TooMuch(Exception):
    """The network asks for more than the file has."""


def sketch(file: Stored, architecture: str, build: Callable[[], nn.Module]) -> Mapping[str, Tensor] | None:
    """The tensors that a network will have, without values: `state_dict` of it on torch's device meta.

    It is left off as soon as it has more parameters than the file, or others.

    Args:
        file: file with its weights.
        architecture: its name, for messages.
        build: makes it.

    Returns:
        None where the code of others cannot be run without values: its parameters were not compared.

    Raises:
        BundleError: the network cannot be made, or asks for more than the file has.
    """
    with builders_used() as builders:
        try:
            with torch.device("meta"), _compared(file.shapes):
                return dict(build().state_dict())
        except HoldfastError:
            raise
        except _TooMuch as error:
            raise BundleError(
                f"the weights in {file.path} do not fit its architecture {architecture!r}, which asks for "
                f"{first_line(error)}, and the file has {len(file.shapes):,} tensors. The file was changed, or "
                "written with other code of this architecture"
            ) from None
        except Exception as error:
            if not all(name.startswith(_OURS) for name in builders):
                return None
            raise BundleError(
                f"{file.path} describes a network that cannot be made: its architecture {architecture!r} fails with "
                f"{type(error).__name__} ({first_line(error)}). The file was changed after it was written, or was "
                "written by other code"
            ) from error


@contextmanager
def _compared(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[None]:
    """Compare each parameter that is made within the block, in this thread, with those that there are."""
    left, made = _LEFT.set(Counter(shapes.values())), _MADE.set([0, 0])
    handle = register_module_parameter_registration_hook(_compare)
    try:
        yield
    finally:
        handle.remove()
        _LEFT.reset(left)
        _MADE.reset(made)


def _compare(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    left = _LEFT.get()
    if left is None:
        # Another thread makes a network of its own.
        return
    shape, made = tuple(parameter.shape), _MADE.get()
    made[0] += 1
    left[shape] -= 1
    if left[shape] < 0:
        made[1] += 1
    if made[0] > _AT_ONCE and made[1]:
        raise _TooMuch(f"more than {made[0] - 1:,} parameters")
