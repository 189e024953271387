"""The target of an attack: a classifier as an adversary sees it, which counts all queries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import copy, deepcopy
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from holdfast.errors import ClassifierError, UsageError, first_line
from holdfast.plain import is_real, plain
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.devices import torch_device
from holdfast.sampling.exported import program_module
from holdfast.sampling.inputs import checked_range, checked_shape
from holdfast.sampling.sizes import check_sizes, votes_of
from holdfast.sampling.void import no_vote

if TYPE_CHECKING:
    from typing_extensions import Self

    from holdfast.sampling.classifier import BaseClassifier
    from holdfast.types import Counts

# Stands for a class if the classifier gives no answer.
ABSTAINS = -1
# Number of random inputs used to find out what a classifier gives.
_PROBES = 4
# The highest level of `Target.renewed`.
MOST_LEVEL = 3


class Access(IntEnum):
    """What an adversary learns from a classifier; each level includes those before it."""

    DECISIONS = 0
    SCORES = 1
    SURROGATE = 2
    GRADIENTS = 3

    def __str__(self) -> str:
        return "surrogate gradients" if self is Access.SURROGATE else self.name.lower()


@dataclass
class Queries:
    """How often a target was queried.

    Attributes:
        decisions: inputs that were classified.
        scores: inputs whose scores were computed without gradients.
        gradients: inputs whose scores were computed for gradients.
        samples: noisy copies that the base classifier saw for all of these; 0 if nothing is random.
    """

    decisions: int = 0
    scores: int = 0
    gradients: int = 0
    samples: int = 0

    def add(self, other: Queries) -> None:
        """Add the queries of another target."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def passes(self) -> int:
        """Inputs that went through the base classifier."""
        return self.samples or self.decisions + self.scores + self.gradients


@dataclass(frozen=True)
class Answers:
    """Independent answers of a deployed classifier to one input.

    Attributes:
        classes: the answers; -1 (`ABSTAINS`) for none.
        votes: of all answers together; None if nothing is random.
        queries: that the answers took.
    """

    classes: tuple[int, ...]
    votes: Counts | None
    queries: Queries


class Target(ABC):
    """A classifier under attack.

    A subclass implements `_decide`, and of `_scores`, `_logits` and `_surrogate` those that it gives. If it is random,
    it implements `_renew` and `_answers`; if answers do not show how clear a success is, `_loses`.

    Attributes:
        num_classes: number of classes.
        shape: of one input.
        low: smallest value of an input.
        high: largest value of an input.
        device: on which inputs are expected.
        gives: the highest access that it offers.
        queries: so far.
    """

    def __init__(
        self,
        num_classes: int,
        shape: tuple[int, ...],
        low: float,
        high: float,
        device: torch.device,
    ) -> None:
        low, high = checked_range((low, high))
        if not (is_real(low) and is_real(high)):
            raise UsageError(f"attacks need inputs with a finite range, got [{low}, {high}]; declare low and high")
        self.num_classes = plain(num_classes)
        self.shape = checked_shape(shape)
        self.low = low
        self.high = high
        self.device = device
        self.gives = Access.DECISIONS
        self.queries = Queries()

    # Whether an input always gets the same answer.
    deterministic: bool = True
    # Whether an abstention is a success of the adversary.
    abstention_counts: bool = True

    @final
    def renewed(self, seed: int, level: int = 0) -> Self:
        """The same classifier with no queries yet and, if it is random, other randomness.

        Args:
            seed: of the randomness.
            level: how clearly a search must succeed, from 0 to `MOST_LEVEL`; above 0 after successes that fresh noise
                did not confirm.
        """
        renewed = copy(self)
        renewed._renew(seed, level)
        return renewed

    @final
    def answers(self, x: Tensor, count: int, seed: int) -> Answers:
        """Independent answers of the deployed classifier; only one if nothing is random.

        Args:
            x: an input `(*event)`.
            count: number of answers.
            seed: of their randomness, different from that of any search. Answers to other inputs with the same seed are
                not independent of these.
        """
        fresh = self.renewed(seed)
        if self.deterministic:
            answer = int(fresh.decide(x.unsqueeze(0))[0])
            fresh._confirm()
            return Answers((answer,), None, fresh.queries)
        return fresh._answers(x, count, seed)

    def admissible(self, x: Tensor, candidates: Tensor) -> Tensor:
        """Candidates `(batch, *event)` moved to inputs that the classifier accepts, never further away from `x`."""
        return candidates.detach().clamp(self.low, self.high)

    def decide(self, x: Tensor) -> Tensor:
        """The class of each input `(batch, *event)`, int64 `(batch,)`; -1 (`ABSTAINS`) for no answer."""
        self.queries.decisions += len(x)
        return self._decide(x)

    def loses(self, x: Tensor, label: int, target_class: int | None) -> Tensor:
        """For which inputs `(batch, *event)` the adversary succeeds as clearly as the level requires, `(batch,)`.

        Args:
            x: inputs.
            label: the class to change.
            target_class: the class to reach; None for any class but `label`, or abstention.
        """
        self.queries.decisions += len(x)
        return self._loses(x, label, target_class)

    def scores(self, x: Tensor) -> Tensor:
        """Scores `(batch, classes)` whose largest is the answer, without gradients.

        Raises:
            UsageError: the target gives decisions only.
        """
        self.queries.scores += len(x)
        return self._scores(x)

    def logits(self, x: Tensor) -> Tensor:
        """Scores `(batch, classes)` with gradients, under the target's current randomness.

        Raises:
            UsageError: the target has no gradients.
        """
        self.queries.gradients += len(x)
        return self._logits(x)

    def surrogate(self, x: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """Logits `(batch, samples, classes)` for new draws of the randomness, always with gradients.

        If a step of the forward pass has no gradient, the backward pass uses the identity (BPDA, Athalye et al. 2018).
        Without randomness, there is one sample.

        Raises:
            UsageError: the target has no gradients.
        """
        self.queries.gradients += len(x)
        return self._surrogate(x, samples, generator)

    def _renew(self, seed: int, level: int) -> None:
        """Reset the queries and, if random, take other randomness; see `renewed`."""
        self.queries = Queries()

    def _confirm(self) -> None:
        """Raise ClassifierError if a base classifier no longer answers as before."""
        return

    def _answers(self, x: Tensor, count: int, seed: int) -> Answers:
        raise NotImplementedError(f"{self} is random but does not implement `_answers`")

    @abstractmethod
    def _decide(self, x: Tensor) -> Tensor: ...

    def _loses(self, x: Tensor, label: int, target_class: int | None) -> Tensor:
        answers = self._decide(x)
        if target_class is not None:
            return answers == target_class
        wrong = answers != label
        return wrong if self.abstention_counts else wrong & (answers != ABSTAINS)

    def _scores(self, x: Tensor) -> Tensor:
        raise UsageError(f"{self} gives only decisions, no scores; use an attack that needs only decisions")

    def _logits(self, x: Tensor) -> Tensor:
        raise UsageError(f"{self} has no gradients; use an attack that needs only scores or decisions")

    def _surrogate(self, x: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        raise UsageError(f"{self} has no gradients; use an attack that needs only scores or decisions")


class PlainTarget(Target):
    """A classifier without randomness.

    Args:
        function: from inputs `(batch, *event)` to logits `(batch, num_classes)` or integer votes `(batch,)`: a torch
            module in eval mode, or any callable. One trial finds out what it gives: gradients if they flow from the
            logits to the input, scores if there are logits, otherwise decisions.
        num_classes: at least 2.
        shape: of one input.
        low: smallest value of an input.
        high: largest value of an input.
        device: on which inputs are expected.
        double: compute in a float64 copy of the function, a torch module, which is what deterministic bounds are about.
            Inputs stay the same, since float64 represents every float32 exactly.

    Raises:
        ClassifierError: the function is not callable, is a module in training mode, or fails or returns something else
            for a few inputs of this shape.
        UsageError: an argument is out of range.
    """

    def __init__(
        self,
        function: BaseClassifier,
        num_classes: int,
        shape: tuple[int, ...],
        low: float = 0.0,
        high: float = 1.0,
        device: str | torch.device | None = None,
        double: bool = False,
    ) -> None:
        super().__init__(num_classes, shape, low, high, torch_device("cpu" if device is None else device))
        function = program_module(function)
        self.function = _InDouble(function) if double else function
        self._voting = VotingClassifier(self.function, num_classes)
        self.gives = self._access()

    def __str__(self) -> str:
        return "the classifier"

    def _access(self) -> Access:
        """Find out what the function returns for a few random inputs, and whether gradients flow."""
        source = torch.Generator().manual_seed(0)
        x = self.low + (self.high - self.low) * torch.rand((_PROBES, *self.shape), generator=source)
        x = x.to(self.device)
        try:
            output = self._voting.outputs(x)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            check_sizes(self._voting, x, error)
            raise ClassifierError(
                f"the classifier fails on {_PROBES} inputs of shape {self.shape}: {first_line(error)}. Check that this "
                "is the shape of its inputs"
            ) from error
        if output.ndim == 1:
            return Access.DECISIONS
        x.requires_grad_()
        try:
            return Access.GRADIENTS if _slopes(self.function(x.clone()), x) else Access.SCORES
        except RuntimeError:
            # It computes outside torch, which refuses to convert a tensor that requires a gradient.
            return Access.SCORES

    def _confirm(self) -> None:
        self._voting.confirm(now=True)

    def _decide(self, x: Tensor) -> Tensor:
        votes, void = votes_of(self._voting, x)
        if bool(void.any()):
            raise no_vote(int(void.sum()), len(void), "inputs of the attack")
        return votes

    @torch.no_grad()
    def _scores(self, x: Tensor) -> Tensor:
        return super()._scores(x) if self.gives < Access.SCORES else self._through(x)

    def _logits(self, x: Tensor) -> Tensor:
        return super()._logits(x) if self.gives < Access.GRADIENTS else self._through(x)

    def _surrogate(self, x: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        if self.gives < Access.GRADIENTS:
            return super()._surrogate(x, samples, generator)
        return self._through(x).unsqueeze(1)

    def _through(self, x: Tensor) -> Tensor:
        # Copy both, since the function may later write into its input and its output.
        logits = torch.as_tensor(self.function(x.clone())).clone().to(self.device).float()
        check_finite(logits.isfinite().all(dim=1))
        return logits


class _InDouble(torch.nn.Module):
    """A copy of a module in float64, for inputs of any precision."""

    def __init__(self, module: BaseClassifier) -> None:
        super().__init__()
        if not isinstance(module, torch.nn.Module):
            raise UsageError(f"only a torch module can be computed in float64, got {type(module).__name__}")
        self.module = deepcopy(module).double()
        # A frozen TorchScript program has no mode. A torch.export program overrides `train` to refuse, and its flag
        # says nothing about its mode.
        self.training = getattr(module, "training", False) and "train" not in vars(module)

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, *event)` to logits `(batch, classes)`, float64."""
        logits: Tensor = self.module(x.double())
        return logits


def _slopes(output: Any, x: Tensor) -> bool:
    """Whether a nonzero gradient flows from the output to the input: through rounding it is zero."""
    if not (isinstance(output, Tensor) and output.requires_grad):
        return False
    (gradient,) = torch.autograd.grad(output.float().square().sum(), x, allow_unused=True)
    return gradient is not None and bool((gradient != 0).any())


def check_finite(good: Tensor) -> None:
    """Raise ClassifierError unless all rows have finite logits."""
    if not bool(good.all()):
        raise ClassifierError(
            f"the classifier returned NaN or infinite logits for {int((~good).sum())} of {len(good)} inputs of the "
            "attack; the attack needs finite ones. If minus infinity rules out a class, have it return a large "
            "negative number instead. Otherwise the model has diverged: train it again, or compute it in float32 if it "
            "was trained in float32"
        )
