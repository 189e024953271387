"""Training for a Lipschitz margin. Source: Tsuzuku, Sato & Sugiyama 2018, "Lipschitz-Margin Training: Scalable
Certification of Perturbation Invariance for Deep Neural Networks", Algorithm 1, and their program
(github.com/ytsmiling/lmt), which raises the margin at the start and has the difference of rows."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from holdfast.bounds import Classifier
from holdfast.bounds.graph import graph
from holdfast.bounds.nodes import Fixed, Scaled, Weighted
from holdfast.bounds.norms import nonnegative_norm
from holdfast.bounds.stages import Stage, constant, slope, stages
from holdfast.errors import UsageError
from holdfast.plain import is_real, plain
from holdfast.training.recipes.base import Step, StepLoss, check_share
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings

LAST_LAYERS = ("norm", "rows")


@dataclass(frozen=True)
class LipschitzMargin(WithoutNoise):
    """Cross-entropy after all logits but the right one's were raised by the most that a change of length `margin` can.

    That is sqrt(2) x margin x L, with L the network's upper bound of its Lipschitz constant in L2, as `holdfast bound
    --bound lipschitz` composes it of the layers' norms. Here the norms are estimated, by power iteration from a random
    start, and gradients reach the weights through them; certificates never use these estimates. Batch normalization
    counts with the variance of the minibatch. A step costs about as much as one of `standard` with `iterations` more
    images.

    Args:
        margin: length of the changes, in input units; 0.1 in the program for SVHN.
        first: share of `margin` at the start of the training.
        warm_up: share of the training over which the margin rises.
        iterations: of each power iteration.
        last: "norm" is the paper's bound. "rows", its program's, takes the difference of two rows of the last layer
            instead of sqrt(2) times its norm, and is never larger.
    """

    name: ClassVar[str] = "lipschitz-margin"
    margin: float
    first: float = 0.0001
    warm_up: float = 0.03
    iterations: int = 10
    last: str = "norm"

    def __post_init__(self) -> None:
        if not (is_real(plain(self.margin)) and 0.0 < self.margin < math.inf):
            raise UsageError(f"margin is a number above 0 in input units, got {self.margin!r}")
        for name in ("first", "warm_up"):
            check_share(name, getattr(self, name))
        if type(self.iterations) is not int or self.iterations < 1:
            raise UsageError(f"iterations is a whole number from 1 on, got {self.iterations!r}")
        if self.last not in LAST_LAYERS:
            raise UsageError(f"last is one of {', '.join(LAST_LAYERS)}, got {self.last!r}")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError with noise, or in another precision than float32."""
        super().check(noise, config)
        if config.precision != "float32":
            raise UsageError(f"the recipe {self.name!r} trains in float32, got precision {config.precision!r}")

    def margin_at(self, progress: float) -> float:
        """The margin of a step after this share of the training."""
        risen = min(1.0, progress / self.warm_up) if self.warm_up else 1.0
        return float(self.margin * (self.first + (1.0 - self.first) * risen))

    def outcome(self, step: Step) -> StepLoss:
        """The loss after the raise; a hit is an image that is still right then."""
        with _recorded(step.module) as variances:
            logits = step.model(step.x).float()
        space = step.space
        classifier = Classifier(step.module, tuple(step.x.shape[1:]), logits.shape[1], space.low, space.high)
        with _put(variances):
            slopes = self.slopes(classifier)
        raised = logits + self.margin_at(step.progress) * slopes[step.labels]
        loss = cross_entropy(raised, step.labels, label_smoothing=step.config.label_smoothing)
        return StepLoss(loss, raised, step.labels)

    def slopes(self, classifier: Classifier) -> Tensor:
        """Estimates of the most that the lead of a class (row) over another (column) changes per unit of L2 length.

        `(classes, classes)`, with gradients to the classifier's weights; 0 for a class itself.
        """
        parts, last = stages(graph(classifier, dtype=None))
        one = last.weight.new_ones(())
        largest = constant(parts, self._estimate, one, lambda value: value)
        if self.last == "rows":
            apart = last.weight.unsqueeze(1) - last.weight.unsqueeze(0)
            # The root has no gradient at 0, which is every class's difference from itself.
            own = torch.eye(len(apart), device=apart.device)
            return largest * ((apart.square().sum(dim=2) + own).sqrt() - own)
        whole = _estimated(last.weight, self.iterations)
        others = 1.0 - one_hot(torch.arange(len(last.weight), device=one.device)).to(one.dtype)
        return math.sqrt(2.0) * largest * whole * others

    def _estimate(self, stage: Stage) -> Tensor:
        """The norm of a stage with one input."""
        operation = stage.operation
        if isinstance(operation, Weighted):
            return _power_iteration(stage, operation, self.iterations)
        if isinstance(operation, Scaled):
            return operation.scale.abs().max()
        known = nonnegative_norm(operation, stage.shape) if isinstance(operation, Fixed) else slope(operation)
        return torch.tensor(known)


def _power_iteration(stage: Stage, layer: Weighted, iterations: int) -> Tensor:
    """A lower estimate of the norm of a layer, and the scaling behind it, with gradients."""
    weight = layer.layer.weight
    if stage.scaled is not None:
        weight = weight * stage.scaled.scale.reshape(-1, *[1] * (weight.ndim - 1))
    if isinstance(layer.layer, nn.Linear):
        return _estimated(weight, iterations)
    with torch.no_grad():
        x = _unit(torch.randn((1, *stage.shape), dtype=weight.dtype, device=weight.device))
        for _ in range(iterations):
            x = _unit(layer.transposed(layer.weighted(x, weight), stage.shape, weight))
    found: Tensor = torch.linalg.vector_norm(layer.weighted(x, weight))
    return found


def _estimated(weight: Tensor, iterations: int) -> Tensor:
    """A lower estimate of the norm of a matrix, with gradients."""
    with torch.no_grad():
        x = _unit(torch.randn(weight.shape[1], dtype=weight.dtype, device=weight.device))
        for _ in range(iterations):
            x = _unit(weight.T @ (weight @ x))
    found: Tensor = torch.linalg.vector_norm(weight @ x)
    return found


def _unit(x: Tensor) -> Tensor:
    found: Tensor = x / torch.linalg.vector_norm(x).clamp_min(1e-12)
    return found


@contextmanager
def _recorded(module: nn.Module) -> Iterator[dict[nn.Module, Tensor]]:
    """Within the block, note the variance of what goes into each batch normalization, `(channels,)`, with gradients."""
    seen: dict[nn.Module, Tensor] = {}

    def look(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        axes = [axis for axis in range(given[0].ndim) if axis != 1]
        seen[layer] = given[0].var(dim=axes, correction=0)

    layers = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _put(variances: dict[nn.Module, Tensor]) -> Iterator[None]:
    """Within the block, batch normalizations have these variances in the place of their running ones."""
    kept = {layer: layer.get_buffer("running_var") for layer in variances}
    try:
        for layer, variance in variances.items():
            layer._buffers["running_var"] = variance
        yield
    finally:
        for layer, running in kept.items():
            layer._buffers["running_var"] = running
