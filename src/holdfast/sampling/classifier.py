"""One vote for each noisy input of a batch: the only place where logits become integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError
from holdfast.plain import plain
from holdfast.sampling.exported import program_module
from holdfast.sampling.fresh import fresh_copy
from holdfast.sampling.logits import center_of, sizes
from holdfast.sampling.modes import check_eval_mode
from holdfast.sampling.steadiness import MARGIN, Steadiness

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What the logits of one input may differ by, relative to the largest logit, when it is computed in another batch:
# different batch sizes take different kernels. Measured: 3e-7 in float32; in bfloat16 a unit in the last place, 2^-8.
_NEAR_TIE = {
    torch.float64: 2.0**-40,
    torch.float32: 2.0**-14,
    torch.bfloat16: 2.0**-7,
    torch.float16: 2.0**-9,
}

BaseClassifier = Callable[[Tensor], Any]


@runtime_checkable
class OwnRounding(Protocol):
    """A base classifier that states how its rounding depends on the batch: the backends of `holdfast.models`."""

    near_tie: float

    def alone(self, noisy: Tensor) -> Any:
        """The output for a batch, each row computed alone."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier answered for a batch, before its near ties are settled.

    Attributes:
        votes: int64 class indices `(batch,)`; those of near ties and void ones say nothing.
        void: bool `(batch,)`, True where there is no vote.
        close: bool `(batch,)`, True for near ties; None where the classifier casts votes itself.
        valid: whether all votes are classes, a bool tensor without dimensions; None where this is known.
    """

    votes: Tensor
    void: Tensor
    close: Tensor | None
    valid: Tensor | None


class VotingClassifier:
    """A base classifier f as a function from one noisy input to one class, the same in every batch.

    The vote is the argmax of the logits. If the two largest logits are so close that the rounding of another batch
    could swap them, the input is computed again, alone; a remaining tie goes to the lowest class index. So the vote for
    an input does not depend on its batch. (A fixed batch size for near ties is not enough: in some matrix products the
    rounding of a row depends on its position.)

    Args:
        function: from `(batch, *noisy event)` to logits `(batch, num_classes)` or integer votes `(batch,)`; a torch
            module in eval mode, a `torch.export` program, or any callable from a tensor to a tensor or an array.
        num_classes: at least 2.

    Raises:
        ClassifierError: `function` is not callable, or is a module in training mode.
    """

    def __init__(self, function: BaseClassifier, num_classes: int) -> None:
        function = program_module(function)
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
        # None: it depends on the type of the logits.
        self._near_tie: float | None = self._own.near_tie if self._own else None
        self._probed = False
        self._scale = 0.0
        # The median logit of each class; unused where the function votes.
        self._center = torch.zeros(0)
        self._steadiness = Steadiness(self._outputs_alone, self.outputs, self._outputs_of_copy)
        # A copy of the function before its first call; None before that call, and if it cannot be copied.
        self._fresh: BaseClassifier | None = None
        if isinstance(function, nn.Module):
            check_eval_mode(function)

    # Not in inference mode, where the function could not take gradients of its own (to purify its input, say).
    @torch.inference_mode(False)
    @torch.no_grad()
    def votes(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """One vote for each noisy input, and which votes are void.

        A class whose logit is minus infinity never gets the vote, as long as another class has a finite logit.

        Args:
            noisy: `(batch, *noisy event)`; not changed.

        Returns:
            int64 class indices `(batch,)` and a bool tensor `(batch,)`, True where there is no vote: a logit was NaN or
            infinite, or all were minus infinity.

        Raises:
            ClassifierError: the output has an unexpected shape or type, a vote is not a class, or the output for an
                input changes with the rest of its batch, or with time.
        """
        found = self._answers(noisy, None)
        if found.close is not None:
            rows = found.close.nonzero().squeeze(1)
            if len(rows):
                settled = self._settle(noisy[rows])
                if bool((settled > self.num_classes).any()):
                    raise undecided()
                found.votes[rows] = settled
        return found.votes, found.void

    @torch.inference_mode(False)
    @torch.no_grad()
    def rankings(self, noisy: Tensor) -> tuple[Tensor, Tensor]:
        """All classes for each noisy input, from the largest logit to the smallest, and which inputs have no vote.

        The first class is the vote. If any two neighbors are so close that the rounding of another batch could swap
        them, the input is computed again, alone; classes whose logits are still equal stand in the order of their
        indices. So a ranking, too, is a function of the input.

        Args:
            noisy: `(batch, *noisy event)`; not changed.

        Returns:
            int64 class indices `(batch, num_classes)` and a bool tensor `(batch,)`, as for `votes`.

        Raises:
            ClassifierError: as `votes`, or the function casts votes, which rank nothing.
        """
        output = self._observed(noisy, None)
        if output.ndim == 1:
            raise ClassifierError("a run-off ranks classes by logits, and the base classifier returns votes alone")
        ranked, rankings = output.sort(dim=1, descending=True, stable=True)
        void = _void(output)
        rows = (self._close(output, ranked, 1.0) & ~void).nonzero().squeeze(1)
        if len(rows):
            alone = self._alone_on_one_thread(noisy[rows])
            if bool(alone.isnan().any()):
                raise undecided()
            rankings[rows] = alone.sort(dim=1, descending=True, stable=True).indices
        return rankings, void

    @torch.inference_mode(False)
    @torch.no_grad()
    def answers(self, noisy: Tensor) -> Answers:
        """The first half of `votes`, which does not wait for the device once the first batch is done.

        Args:
            noisy: `(batch, *noisy event)`; not changed.

        Raises:
            ClassifierError: as `votes`, except that votes which are no classes are told by `Answers.valid`.
        """
        return self._answers(noisy, [])

    @torch.inference_mode(False)
    @torch.no_grad()
    def settled(self, noisy: Tensor) -> Tensor:
        """The second half of `votes`: int64 votes for near ties, each computed alone, without waiting for the device.

        Returns:
            `(num,)`; `num_classes + 1` where the output for an input alone has a NaN (`undecided`).
        """
        return self._settle(noisy)

    def _observed(self, noisy: Tensor, conditions: list[Tensor] | None) -> Tensor:
        """The function's output for a batch whose rows are compared later; `conditions` as for `_answers`."""
        if not self._probed and self._own is None:
            self._fresh = fresh_copy(self.function)
        output = self._checked(self.function(noisy.clone()), noisy, conditions)
        if not self._probed:
            self._probe(noisy, output)
            self._probed = True
        self._steadiness.observe(noisy, output)
        return output

    def _answers(self, noisy: Tensor, conditions: list[Tensor] | None) -> Answers:
        """Votes but for near ties; `conditions` collects what must hold for votes to be classes, or None to check."""
        output = self._observed(noisy, conditions)
        if output.ndim == 1:
            valid = conditions[0] if conditions else None
            return Answers(output, torch.zeros_like(output, dtype=torch.bool), None, valid)
        leaders, classes = output.topk(2, dim=1)
        void = _void(output)
        return Answers(classes[:, 0], void, self._close(output, leaders, 1.0) & ~void, None)

    @torch.inference_mode(False)
    @torch.no_grad()
    def near_ties(self, noisy: Tensor, times: float, *, ranked: bool = False) -> Tensor:
        """Which of the noisy inputs are near ties, bool `(batch,)`; none where the classifier casts votes itself.

        Args:
            noisy: `(batch, *noisy event)`, after the first call of `votes` or `rankings`.
            times: so many times as far apart as for `votes`, two logits still count as close.
            ranked: whether any two neighbors in the ranking count, or the two leaders alone.
        """
        output = self.outputs(noisy)
        if output.ndim == 1:
            return torch.zeros_like(output, dtype=torch.bool)
        return self._close(output, output.topk(self.num_classes if ranked else 2, dim=1).values, times)

    def _close(self, output: Tensor, leaders: Tensor, times: float) -> Tensor:
        """Whether two neighbors among the largest logits `(batch, 2 or more)`, in decreasing order, are close."""
        # Not the row's own logits alone: (s, -s) with s near 0 rounds as larger logits do.
        scale = sizes(output, leaders, self._center).clamp(min=self._scale)
        gaps = leaders[:, :-1] - leaders[:, 1:]
        return (gaps <= (times * self._tie_of(output) * scale).unsqueeze(1)).any(dim=1)

    @torch.inference_mode(False)
    @torch.no_grad()
    def confirm(self, *, now: bool) -> bool:
        """Check that the classifier still gives the same outputs, for rows of the last batches and of earlier ones.

        Args:
            now: check in any case; otherwise only if enough time has passed for the check to cost next to nothing.

        Returns:
            Whether the votes so far were checked.

        Raises:
            ClassifierError: an output has changed.
        """
        if not now and not self._steadiness.due():
            return False
        self._steadiness.look(last=now)
        return True

    def outputs(self, noisy: Tensor) -> Tensor:
        """What the function returns for a batch, logits or votes, as a new tensor.

        Input and output are copied: the function may write into its input or keep it, and may write into its output
        again in its next call.

        Raises:
            ClassifierError: the output has an unexpected shape or type, or a vote is not a class.
        """
        return self._checked(self.function(noisy.clone()), noisy)

    def _outputs_alone(self, noisy: Tensor) -> Tensor:
        """The function's output for each row, computed alone."""
        if self._own:
            return self._checked(self._own.alone(noisy.clone()), noisy)
        return torch.cat([self.outputs(noisy[row : row + 1]) for row in range(len(noisy))])

    def _outputs_of_copy(self, noisy: Tensor) -> Tensor | None:
        """The output of a copy of the function that was never called before; None if there is no such copy."""
        made = None if self._fresh is None else fresh_copy(self._fresh)
        if made is not None:
            try:
                return self._checked(made(noisy.clone()), noisy)
            except Exception:
                # Some copies can be made but do not work.
                self._fresh = None
        return None

    def _tie_of(self, output: Tensor) -> float:
        return _NEAR_TIE[output.dtype] if self._near_tie is None else self._near_tie

    def _checked(self, output: Any, noisy: Tensor, conditions: list[Tensor] | None = None) -> Tensor:
        """A copy of `output` as a tensor of logits or votes, after checks of its shape and type.

        Args:
            output: of the function.
            noisy: what it was asked.
            conditions: collects that votes are classes, which others then become; None raises an error instead.
        """
        if isinstance(output, np.ndarray):
            output = _tensor(output)
        if not isinstance(output, Tensor):
            raise ClassifierError(f"the base classifier returns a tensor or an array, got {type(output).__name__}")
        shape, dtype = tuple(output.shape), output.dtype
        dense = output.layout is torch.strided and not output.is_meta
        whole = not (dtype.is_floating_point or dtype.is_complex or output.is_quantized)
        if dense and shape == (len(noisy), self.num_classes) and dtype in _NEAR_TIE:
            return output.detach().to(noisy.device, copy=True)
        if dense and whole and shape == (len(noisy),):
            found = output.to(noisy.device, torch.int64, copy=True)
            outside = ((found < 0) | (found >= self.num_classes)).any()
            if conditions is not None:
                conditions.append(~outside)
                return found.clamp_(0, self.num_classes - 1)
            if bool(outside):
                raise ClassifierError(
                    f"votes are class indices in 0..{self.num_classes - 1}, "
                    f"got values from {int(found.min())} to {int(found.max())}"
                )
            return found
        how = "" if dense else f" on {output.device}" if output.is_meta else f" laid out as {output.layout}"
        raise ClassifierError(
            f"for {len(noisy)} inputs the base classifier returns floating-point logits of shape "
            f"({len(noisy)}, {self.num_classes}) or integer votes of shape ({len(noisy)},); "
            f"got {shape} of {dtype}{how}. Is num_classes={self.num_classes} right?"
        )

    def _settle(self, noisy: Tensor) -> Tensor:
        """Votes for inputs with nearly equal logits, each computed alone, on one thread; `num_classes + 1` for NaN."""
        output = self._alone_on_one_thread(noisy)
        is_top = output == output.amax(dim=1, keepdim=True)
        classes = torch.arange(self.num_classes, device=output.device)
        return torch.where(is_top, classes, self.num_classes + 1).amin(dim=1)

    def _alone_on_one_thread(self, noisy: Tensor) -> Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._outputs_alone(noisy)
        finally:
            torch.set_num_threads(threads)

    def _probe(self, noisy: Tensor, output: Tensor) -> None:
        """Learn the size of the logits, and how much outputs for an input alone and in its batch differ.

        Raises:
            ClassifierError: they differ too much.
        """
        tie = 0.0 if output.ndim == 1 else self._tie_of(output)
        # Near ties are measured against fixed random inputs: a vote must depend on no other input.
        probes, difference = self._steadiness.first(noisy, output, tie)
        if probes.ndim == 1:
            return
        self._center = center_of(probes).to(output)
        self._scale = float(sizes(probes, probes.topk(2, dim=1).values, self._center).max())
        if self._scale:
            self._near_tie = max(tie, MARGIN * difference / self._scale)


def _void(logits: Tensor) -> Tensor:
    """Which rows have no vote: the largest logit is NaN or infinite."""
    # Not from `topk`, which on some devices does not put a NaN first.
    largest = logits.amax(dim=1)
    return largest - largest != 0.0


def undecided() -> ClassifierError:
    """The error for a near tie that has a NaN among its logits when it is computed alone."""
    return ClassifierError(
        "the base classifier returns NaN for an input alone, and finite logits for it in a batch: it depends "
        "on its batch, and nothing can be certified"
    )


def _tensor(array: NDArray[Any]) -> Tensor:
    """A copy of an array as a tensor, for any byte order and strides."""
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ClassifierError(f"the base classifier returns an array of numbers, got one of {array.dtype}")
    if array.dtype.kind in "iu":
        # Votes; a number beyond int64 becomes negative, which is not a class either.
        return torch.from_numpy(array.astype(np.int64, order="C"))
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
