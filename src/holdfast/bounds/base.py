"""The interface of deterministic bounds, and the table that finds them by name."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch.func import functional_call

from holdfast.errors import ClassifierError, InputError, UsageError
from holdfast.estimators.conclude import certain
from holdfast.estimators.proved import IN_RANGE, MOST_RADIUS
from holdfast.models.architectures.rejecting import check_answers
from holdfast.named import Family, Named
from holdfast.plain import is_real, plain
from holdfast.sampling.inputs import check_values, checked_shape, checked_tensor
from holdfast.types import Norm, norm_spelt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from holdfast.types import Certificate

# Instead of a class, if rounding leaves open which logit is the largest.
UNDECIDED = -1
# The order of the dual norm.
DUAL_ORDERS = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
# Number of random inputs on which to compare a module with its layers.
_PROBES = 8

BOUNDS: Family[Bound] = Family("bound", "holdfast.bounds.methods", "holdfast.bounds")


@dataclass(frozen=True, eq=False)
class Classifier:
    """A classifier without noise, as bounds take it.

    Attributes:
        module: from inputs `(batch, *shape)` to logits `(batch, num_classes)`, in eval mode; in a bundle, its first
            layer is the normalization.
        shape: of one input.
        num_classes: at least 2.
        low: smallest value of an input.
        high: largest value of an input.
        device: where to compute.

    Raises:
        UsageError: not a module, fewer classes, or an invalid shape, range or device.
    """

    module: nn.Module
    shape: tuple[int, ...]
    num_classes: int
    low: float = 0.0
    high: float = 1.0
    device: torch.device | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.module, torch.nn.Module):
            raise UsageError(f"a bound is about a torch module, got {type(self.module).__name__}")
        checked_shape(self.shape)
        if not (self.device is None or isinstance(self.device, torch.device)):
            raise UsageError(f"the device is a torch.device or None, got {self.device!r}")
        if type(plain(self.num_classes)) is not int or self.num_classes < 2:
            raise UsageError(f"a bound is about two classes or more, a whole number, got {self.num_classes!r}")
        low, high = plain(self.low), plain(self.high)
        # Written so that a NaN fails.
        if not (is_real(low) and is_real(high) and low < high):
            raise UsageError(
                f"the input space is [low, high] with finite low < high, got [{self.low!r}, {self.high!r}]"
            )


class Bound(Named, ABC):
    """A proof that a classifier without noise keeps its answer: no sampling, alpha is 0.

    A subclass is a frozen dataclass with a class attribute `name`; its fields are its parameters, among them `norm` if
    it has more than one, and `inputs` ("all" or "in-range") if it has the choice. It defines `prepare`.

    Attributes:
        norms: of its radii, the default first.
        source: of the theorem.
        assumption: what the theorem assumes of every classifier, besides float64 arithmetic, in a sentence or two.
        packages: that compute it, whose versions are recorded in the manifest.
        asks_the_module: whether it rests on answers of the module itself, so that there are no layers to compare with
            it and torch need not compute it.
    """

    norms: ClassVar[tuple[Norm, ...]]
    source: ClassVar[str]
    assumption: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    asks_the_module: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        BOUNDS.register(cls)

    @property
    def measure(self) -> Norm:
        """The norm of its radii."""
        named = getattr(self, "norm", None)
        return self.norms[0] if named is None else norm_spelt(named, self.name, self.norms)

    @property
    def most(self) -> float | None:
        """The largest radius that it can certify; None if that depends on the input."""
        epsilon = getattr(self, "epsilon", None)
        return None if epsilon is None else float(epsilon)

    @property
    def in_range(self) -> bool:
        """Whether its certificates are only about changed inputs in the classifier's range: what `inputs` says."""
        return getattr(self, "inputs", None) == IN_RANGE

    @final
    def assumed(self, low: float, high: float) -> str:
        """What its certificates assume of a classifier of inputs in [low, high], in sentences."""
        if not self.in_range:
            return self.assumption
        return (
            f"{self.assumption} It holds as long as every value of the changed input lies between {low:g} and "
            f"{high:g}, and says nothing of other inputs."
        )

    @final
    def versions(self) -> dict[str, str]:
        """Versions of the packages that compute it, as far as they are installed."""
        return {package: _version(package) for package in self.packages if find_spec(package) is not None}

    @final
    def on(self, classifier: Classifier) -> Bounded:
        """Prepare the bound for one classifier.

        Raises:
            UsageError: this bound does not apply to the classifier; the message says to which ones it does. Or the
                module's output differs from that of its layers.
            ClassifierError: the module is in training mode, or its weights or logits are not finite.
            MissingExtraError: a package is not installed.
        """
        check_answers(classifier.module, f"the module {type(classifier.module).__name__}")
        _check_module(classifier.module)
        method = self.prepare(classifier)
        if not self.asks_the_module:
            _check_same(classifier, method)
        return Bounded(self, classifier, method)

    @abstractmethod
    def prepare(self, classifier: Classifier) -> Method:
        """The computation for one classifier."""


class Method(ABC):
    """A bound's computation for one classifier."""

    # Number of inputs to compute together.
    batch: int = 1

    @abstractmethod
    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits that the bound is about, and how far the module's own can differ in float64.

        Args:
            x: `(batch, *shape)`, float64.

        Returns:
            Both `(batch, classes)`, float64.
        """

    @abstractmethod
    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The answer for each input `(batch, *shape)`, float64, and the radius within which it is certain.

        Returns:
            Classes `(batch,)`, int64, or `UNDECIDED`; radii `(batch,)`, float64, rounded down, 0 if none is certain.
        """


@dataclass(frozen=True, eq=False)
class Bounded:
    """A bound for one classifier. Made by `Bound.on`.

    Attributes:
        bound: the bound.
        classifier: the classifier.
        method: the computation.
    """

    bound: Bound
    classifier: Classifier
    method: Method

    @final
    @torch.no_grad()
    def certify(self, x: Tensor) -> list[Certificate]:
        """A certificate for each input of a batch `(batch, *shape)`, with alpha = 0 and no votes.

        The label is the classifier's own answer; the radius is 0 if the bound proves nothing further.

        Raises:
            InputError: another shape, a value that is not finite, or one outside the classifier's range.
            ClassifierError: the classifier has NaN or infinite logits.
        """
        x = checked_batch(self.classifier, x)
        found: list[Certificate] = []
        for part in torch.split(x, max(1, self.method.batch)) if len(x) else ():
            answers, radii = self.method.radii(part)
            pairs = zip(answers.tolist(), radii.tolist(), strict=True)
            found.extend(self._certificate(answer, radius) for answer, radius in pairs)
        return found

    def _certificate(self, answer: int, radius: float) -> Certificate:
        if not radius >= 0.0:
            raise ClassifierError(f"the bound {self.bound} gave the radius {radius}; it does not apply to this network")
        known = answer != UNDECIDED
        space = (self.classifier.low, self.classifier.high) if self.bound.in_range else None
        # A classifier with the same answer for all inputs has no finite radius.
        reached = min(radius, MOST_RADIUS) if known else 0.0
        return certain(answer if known else None, reached, self.bound.measure, self.classifier.num_classes, space)


def bound_classes() -> dict[str, type[Bound]]:
    """All bounds by name."""
    return BOUNDS.all()


def bound_from_dict(description: Mapping[str, Any]) -> Bound:
    """The bound described by `Bound.to_dict`.

    Raises:
        UsageError: an unknown bound, or a parameter that is unknown, missing or out of range.
    """
    return BOUNDS.from_dict(description)


def _version(package: str) -> str:
    """The version of a package that can be imported."""
    try:
        return version(package)
    except PackageNotFoundError:
        # Imported from a source folder without package metadata.
        return "unknown"


def check_norm(bound: Bound, name: str) -> None:
    """Raise UsageError unless the bound supports this norm."""
    norm_spelt(name, f"the bound {bound.name!r}", bound.norms)


def check_epsilon(epsilon: float) -> None:
    """Raise UsageError unless `epsilon` is a number above 0 and at most `MOST_RADIUS`."""
    if not (is_real(plain(epsilon)) and 0.0 < epsilon <= MOST_RADIUS):
        raise UsageError(f"epsilon is a number above 0 in input units, up to {MOST_RADIUS:g}, got {epsilon!r}")


def checked_batch(classifier: Classifier, x: Tensor) -> Tensor:
    """A copy of `x` in float64 on the classifier's device, if it lies in the input space.

    Raises:
        InputError: another shape, a value that is not finite, or one outside the range.
    """
    if not isinstance(x, torch.Tensor):
        raise InputError(
            f"a bound takes a batch of inputs as a torch tensor, got {type(x).__name__}; torch.as_tensor makes one"
        )
    checked_tensor(x)
    if tuple(x.shape[1:]) != classifier.shape:
        raise InputError(
            f"a bound takes a batch of inputs of shape {classifier.shape}, got {tuple(x.shape)}; a single input is a "
            "batch of one"
        )
    moved = x.detach().to(classifier.device or torch.device("cpu"), torch.float64, copy=True)
    for number, each in enumerate(moved):
        check_values(f"input {number} of the batch", each.numpy(force=True), classifier.low, classifier.high)
    return moved


def checked_logits(logits: Tensor) -> Tensor:
    """`logits`, if all are finite; ClassifierError otherwise."""
    good = logits.isfinite().all(dim=1)
    if not bool(good.all()):
        raise ClassifierError(
            f"the classifier returned NaN or infinite logits for {int((~good).sum())} of {len(good)} inputs, "
            "expected finite ones. A model that diverged, or that rules classes out by minus infinity, has no bound: "
            "train it again, or have it return large negative numbers instead"
        )
    return logits


def _check_module(module: nn.Module) -> None:
    if any(part.training for part in module.modules()):
        raise ClassifierError("the classifier is in training mode, in which its answers change; call .eval() first")
    not_finite = [name for name, weights in module.state_dict().items() if not bool(weights.isfinite().all())]
    if not_finite:
        raise ClassifierError(
            f"the weights {not_finite[0]} have NaN or infinite values; the training diverged, so repeat it"
        )


def _check_same(classifier: Classifier, method: Method) -> None:
    """Raise UsageError unless a module's output is that of its layers, on a few random inputs."""
    module, where = classifier.module, classifier.device or torch.device("cpu")
    shares = torch.rand((_PROBES, *classifier.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = (classifier.low * (1.0 - shares) + classifier.high * shares).to(where)
    tensors = {
        name: each.detach().to(where, torch.float64 if each.is_floating_point() else each.dtype)
        for name, each in chain(module.named_parameters(), module.named_buffers())
    }
    with torch.no_grad():
        of_layers, slack = method.logits(x)
        try:
            own = functional_call(module, tensors, (x.clone(),))
        except RuntimeError as error:
            raise UsageError(f"the module cannot be computed in float64, which a bound is about: {error}") from error
        if tuple(own.shape) != tuple(of_layers.shape):
            raise UsageError(
                f"the module returns values of shape {tuple(own.shape)} for {len(x)} inputs, but its layers return "
                f"{tuple(of_layers.shape)}"
            )
        apart = (checked_logits(own) - of_layers).abs()
        # If sizes overflow, this check cannot decide, and nothing is certified.
        worst = (apart - slack.nan_to_num(nan=math.inf)).argmax()
    if float(apart.flatten()[worst]) > float(slack.flatten()[worst]):
        raise UsageError(
            f"the module computes something else than its layers: on random inputs of its range a logit is "
            f"{float(apart.flatten()[worst]):.3g} away from theirs, and rounding explains "
            f"{float(slack.flatten()[worst]):.3g}. A bound would be about the layers, so nothing is certified; look "
            "for hooks, methods that were replaced, and weights that change"
        )
