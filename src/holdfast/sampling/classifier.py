"""From a batch of noisy inputs to one vote for each: the only place where logits become integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError
from holdfast.plain import plain

# What the logits of one input may differ by, relative to the largest logit, when it is computed in another batch:
# different batch sizes take different kernels. Measured: 3e-7 in float32; in bfloat16 a unit in the last place, 2^-8.
_NEAR_TIE = {
    torch.float64: 2.0**-40,
    torch.float32: 2.0**-14,
    torch.bfloat16: 2.0**-7,
    torch.float16: 2.0**-9,
}
# Random inputs for which the size of logits is measured.
_PROBES = 64
# A difference that no rounding explains: the classifier depends on the rest of the batch, or on chance.
_BATCH_DEPENDENCE = 0.05
# Rows of the first batch that are computed alone as well, and how much further apart than the largest difference seen
# between them two logits must be, to be no near tie.
_ALONE, _MARGIN = 5, 4.0

BaseClassifier = Callable[[Tensor], Any]


@runtime_checkable
class OwnRounding(Protocol):
    """A base classifier that knows how its rounding depends on the batch: the backends of `holdfast.models`."""

    near_tie: float

    def alone(self, noisy: Tensor) -> Any:
        """What it returns for a batch, each row computed by itself."""


class VotingClassifier:
    """A base classifier f as a function from one noisy input to one class, the same in every batch.

    The vote is the argmax of the logits. Where the two largest logits are so close that the rounding of another batch
    could swap them, the input is computed again, alone; a tie that remains goes to the lowest class index. So the
    votes for an input do not depend on how inputs were batched. (A fixed batch size for near ties is not enough: in
    some matrix products the rounding of a row depends on its position.)

    Args:
        function: from `(batch, *noisy event)` to logits `(batch, num_classes)` or integer votes `(batch,)`; a torch
            module in eval mode, or any callable that takes a tensor and returns a tensor or an array.
        num_classes: at least 2.

    Raises:
        ClassifierError: no callable, or a module in training mode.
    """

    def __init__(self, function: BaseClassifier, num_classes: int) -> None:
        if not callable(function):
            raise ClassifierError(
                f"a base classifier is a torch module or another callable, got {type(function).__name__}"
            )
        num_classes = plain(num_classes)
        if type(num_classes) is not int or num_classes < 2:
            raise ClassifierError(f"a classifier has at least 2 classes, a whole number; got {num_classes!r}")
        self.function = function
        self.num_classes = num_classes
        self._own = function if isinstance(function, OwnRounding) else None
        # None: as the type of the logits has it.
        self._near_tie: float | None = self._own.near_tie if self._own else None
        self._probed = False
        self._scale = 0.0
        if isinstance(function, nn.Module):
            check_at_rest(function)

    @torch.inference_mode()
    def votes(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """One vote for each noisy input, and which of the votes are void.

        Args:
            noisy: `(batch, *noisy event)`.

        Returns:
            int64 class indices `(batch,)` and a bool tensor `(batch,)` that is True where a logit was NaN or infinite.

        Raises:
            ClassifierError: the output has another shape or type than expected, a vote outside the classes, or the
                output for an input changes with the rest of its batch.
        """
        output = self.outputs(noisy)
        if not self._probed:
            self._scale = self._typical_logit(noisy)
            self._probe(noisy, output)
            self._probed = True
        if output.ndim == 1:
            return output, torch.zeros_like(output, dtype=torch.bool)
        largest = output.abs().amax(dim=1)
        # Infinite or NaN if any logit of the row is.
        finite = largest.isfinite()
        leaders, classes = output.topk(2, dim=1)
        votes = classes[:, 0]
        # Not the row's own largest logit alone: logits (s, -s) with s near 0 round as larger ones do.
        scale = largest.clamp(min=self._scale)
        near = _NEAR_TIE[output.dtype] if self._near_tie is None else self._near_tie
        close = (leaders[:, 0] - leaders[:, 1] <= near * scale) & finite
        rows = close.nonzero().squeeze(1)
        if len(rows):
            votes[rows] = self._settle(noisy[rows])
        return votes, ~finite

    def outputs(self, noisy: Tensor) -> Tensor:
        """What the function returns for a batch, logits or votes, as a tensor.

        Raises:
            ClassifierError: of another shape or type than expected, or a vote outside the classes.
        """
        return self._checked(self.function(noisy), noisy)

    def _outputs_alone(self, noisy: Tensor) -> Tensor:
        """The function's output for each row by itself."""
        if self._own:
            return self._checked(self._own.alone(noisy), noisy)
        return torch.cat([self.outputs(noisy[row : row + 1]) for row in range(len(noisy))])

    def _checked(self, output: Any, noisy: Tensor) -> Tensor:
        """`output` as a tensor of logits or votes, with its shape and type checked."""
        if isinstance(output, np.ndarray):
            output = torch.from_numpy(output)
        if not isinstance(output, Tensor):
            raise ClassifierError(f"the base classifier returns a tensor or an array, got {type(output).__name__}")
        found: Tensor = output.to(noisy.device)
        if tuple(found.shape) == (len(noisy), self.num_classes) and found.dtype in _NEAR_TIE:
            return found
        if tuple(found.shape) == (len(noisy),) and not found.dtype.is_floating_point:
            found = found.long()
            if bool(((found < 0) | (found >= self.num_classes)).any()):
                raise ClassifierError(
                    f"votes are class indices in 0..{self.num_classes - 1}, "
                    f"got values from {int(found.min())} to {int(found.max())}"
                )
            return found
        raise ClassifierError(
            f"for {len(noisy)} inputs the base classifier returns floating-point logits of shape "
            f"({len(noisy)}, {self.num_classes}) or integer votes of shape ({len(noisy)},); "
            f"got {tuple(found.shape)} of {found.dtype}. Is num_classes={self.num_classes} right?"
        )

    def _settle(self, noisy: Tensor) -> Tensor:
        """Votes for inputs with nearly equal logits: each is computed alone, on one thread."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            output = self._outputs_alone(noisy)
        finally:
            torch.set_num_threads(threads)
        is_top = output == output.amax(dim=1, keepdim=True)
        classes = torch.arange(self.num_classes, device=output.device)
        return torch.where(is_top, classes, self.num_classes).amin(dim=1)

    def _typical_logit(self, noisy: Tensor) -> float:
        """The largest logit for inputs of random values, always the same ones: what near ties are measured against.

        Not taken from the inputs that come, of which a vote must not depend on any but its own.
        """
        source = torch.Generator().manual_seed(0)
        random = torch.rand((_PROBES, *noisy.shape[1:]), generator=source).to(noisy.device, noisy.dtype)
        # No larger batches than the one that came, for which there is memory.
        size = len(noisy)
        output = torch.cat([self.outputs(random[first : first + size]) for first in range(0, _PROBES, size)])
        if output.ndim == 1:
            return 0.0
        largest = float(output.abs().max())
        return largest if math.isfinite(largest) else 0.0

    def _probe(self, noisy: Tensor, output: Tensor) -> None:
        """Raise unless a few inputs give nearly the same output alone as in their batch; learn how nearly."""
        rows = torch.linspace(0, len(noisy) - 1, min(_ALONE, len(noisy))).long().to(noisy.device)
        alone, together = self._outputs_alone(noisy[rows]).double(), output[rows].double()
        if output.ndim == 1:
            allowed, scale = 0.0, float(together.abs().max())
            difference = float((alone - together).abs().max())
        else:
            # Rows without finite logits are void, alone or not.
            finite = together.isfinite().all(dim=1) & alone.isfinite().all(dim=1)
            alone, together = alone[finite], together[finite]
            if not len(together):
                return
            scale = float(together.abs().max())
            allowed = _BATCH_DEPENDENCE * scale
            difference = float((alone - together).abs().max())
            typical = max(scale, self._scale)
            if typical:
                near = _NEAR_TIE[output.dtype] if self._near_tie is None else self._near_tie
                self._near_tie = max(near, _MARGIN * difference / typical)
        if difference > allowed:
            raise ClassifierError(
                f"the base classifier answers differently for the same input alone and in a batch of {len(noisy)} "
                f"(by {difference:.3g}, with outputs up to {scale:.3g}): it depends on its batch or on chance, "
                "and nothing can be certified. Is batch normalization or dropout left in training mode?"
            )


def check_at_rest(module: nn.Module) -> None:
    """Raise ClassifierError if a part of the base classifier is in training mode."""
    training = [name or "the module itself" for name, part in module.named_modules() if part.training]
    if training:
        raise ClassifierError(
            f"the base classifier is in training mode ({training[0]}), where batch normalization and dropout make a "
            "vote depend on the batch. Call .eval() on it first."
        )
