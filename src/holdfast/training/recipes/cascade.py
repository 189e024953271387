"""Cascade adversarial training. Source: Na, Ko & Mukhopadhyay 2018, "Cascade Adversarial Machine Learning Regularized
with a Unified Embedding"."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from holdfast.attacks.ascent import check_ascent, random_start
from holdfast.errors import UsageError
from holdfast.models.architectures.layers import inputs_changed, learned
from holdfast.models.bundle import load_bundle
from holdfast.spec import spell_text
from holdfast.training.recipes.attack import ascend
from holdfast.training.recipes.base import Step, StepLoss, check_weight, takes_the_same
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor

    from holdfast.models.bundle import BundleInfo


@dataclass(frozen=True)
class Cascade(WithoutNoise):
    """Cross-entropy on images, and on adversarial ones: of every second image one step against the network itself, of
    the others several steps against another network that was already trained to resist.

    Embeddings, the inputs of the last layer, of an image and its adversarial are drawn to each other. It costs four
    times a `standard` step, and `steps` passes of the other network.

    Args:
        source: bundle of the other network.
        epsilon: largest perturbation, in input units, in Linf.
        steps: against the other network.
        weight: of the adversarial images, relative to the unchanged ones; 0.3 in the paper.
        similarity: weight of the squared distance between embeddings; 0.0001 in the paper.
    """

    name: ClassVar[str] = "cascade"
    paths: ClassVar[tuple[str, ...]] = ("source",)
    source: str
    epsilon: float
    steps: int = 10
    weight: float = 0.3
    similarity: float = 0.0001

    def __post_init__(self) -> None:
        check_ascent("linf", self.epsilon, self.steps)
        check_weight("weight", self.weight)
        check_weight("similarity", self.similarity)

    def spec(self, number: Callable[[float], str]) -> str:
        """With the file's name only: the same training may find the file at another place."""
        given = [f"{name}={number(value) if isinstance(value, float) else value}" for name, value in self._numbers()]
        return ",".join([f"{self.name}:source={spell_text(Path(self.source).name)}", *given])

    def _numbers(self) -> list[tuple[str, float]]:
        return [(name, value) for name, value in self.to_dict().items() if name not in ("name", "source")]

    def start(self, info: BundleInfo, images: int) -> BundleInfo:
        """Check that the other network takes the same inputs and knows the same classes.

        Raises:
            UsageError: it does not, or it was trained for noise.
        """
        known = load_bundle(Path(self.source)).info
        mine, theirs = info.input_space, known.input_space
        same = takes_the_same(known, info) and len(known.class_names) == len(info.class_names)
        if known.noise is not None or not same:
            raise UsageError(
                f"{self.source} takes inputs of shape {theirs.shape} in [{theirs.low:g}, {theirs.high:g}], knows "
                f"{len(known.class_names)} classes and was trained for {known.trained_for}; the recipe 'cascade' needs "
                f"a network without noise for {mine.shape} in [{mine.low:g}, {mine.high:g}] and "
                f"{len(info.class_names)} classes"
            )
        return info

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError if the network has no embedding: no layer before its last one."""
        if len(learned(module)) < 2:
            raise UsageError("the recipe 'cascade' needs a network with at least two layers, for its embeddings")

    def outcome(self, step: Step) -> StepLoss:
        """The three losses; hits are counted on the adversarial images."""
        adversarial = self._adversarial(step)
        seen: list[Tensor] = []

        def look(_: int, values: Tensor) -> Tensor:
            seen.append(values.flatten(1).float())
            return values

        with inputs_changed(learned(step.module)[-1:], look):
            logits = step.model(torch.cat([step.x, adversarial])).float()
        (clean, moved), (own, others) = logits.chunk(2), seen[0].chunk(2)
        error = step.cross_entropy(clean, step.labels) + self.weight * step.cross_entropy(moved, step.labels)
        apart = (own - others).square().sum(dim=1).mean()
        return StepLoss(error / (1.0 + self.weight) + self.similarity * apart, moved, step.labels)

    def _adversarial(self, step: Step) -> Tensor:
        """One step against the network itself for even images of this process's share; against the other for odd."""

        def start(images: int, generator: Generator) -> Tensor:
            like = torch.empty((images, *step.x.shape[1:]), device=step.x.device)
            return random_start(like, "linf", self.epsilon, generator)

        first, found = step.randomness(start), torch.empty_like(step.x)
        for part, network, steps in (
            (slice(0, None, 2), step.module, 1),
            (slice(1, None, 2), _loaded(self.source, str(step.x.device)), self.steps),
        ):
            labels = step.labels[part]

            def loss(x: Tensor, network: nn.Module = network, labels: Tensor = labels) -> Tensor:
                return cross_entropy(network(x).float(), labels, reduction="sum")

            bounds = step.space.low, step.space.high
            found[part] = ascend(network, loss, step.x[part], first[part], "linf", self.epsilon, steps, bounds)
        return found


@lru_cache(maxsize=2)
def _loaded(source: str, device: str) -> nn.Module:
    """The other network; a process trains with few of them."""
    return deepcopy(load_bundle(Path(source)).module).to(device).eval().requires_grad_(False)
