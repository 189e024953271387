"""The interface of recipes, the loss of one training step, and the table that finds recipes by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import torch
from torch.nn.functional import cross_entropy

from holdfast.errors import UsageError
from holdfast.named import Family, Named
from holdfast.noises.base import AdditiveNoise
from holdfast.plain import is_real, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Generator, Tensor, nn

    from holdfast.models.bundle import BundleInfo
    from holdfast.models.model import InputSpace
    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


class StepLoss(NamedTuple):
    """The result of a step: the loss to minimize, and the classified copies whose hits are counted.

    Attributes:
        loss: a scalar, the mean over this process's copies.
        logits: `(copies, classes)`.
        targets: `(copies,)` their labels.
    """

    loss: Tensor
    logits: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Step:
    """The inputs of a recipe in one step: this process's share of the minibatch, and its noise.

    Attributes:
        model: the base classifier, for the loss: one call per step. It averages gradients over the processes.
        module: the same base classifier, for anything else, such as an attack.
        x: images `(batch, *event)` in input units.
        labels: `(batch,)`.
        config: of the training.
        space: the input space of the base classifier.
        progress: finished share of the training, in [0, 1).
        noise: that the classifier will be smoothed with; None for a training without noise.
        draws: of the noise, `(batch x copies, ...)`, or one for all of them.
        randomness: `make -> tensor`: calls `make(images, generator)` for all images of the minibatch, which are the
            first axis of its result, and cuts the result to this process's share.
    """

    model: nn.Module
    module: nn.Module
    x: Tensor
    labels: Tensor
    config: Settings
    space: InputSpace
    progress: float
    noise: Noise | None
    draws: Tensor | None
    randomness: Callable[[Callable[[int, Generator], Tensor]], Tensor]

    @property
    def copies(self) -> int:
        """Noisy copies of each image."""
        return self.config.noise_copies

    @property
    def targets(self) -> Tensor:
        """The label of each noisy copy, `(batch x copies,)`."""
        return self.labels.repeat_interleave(self.copies)

    def noisy(self, x: Tensor) -> Tensor:
        """Noisy copies of images like `x`: `(batch, *event) -> (batch x copies, *noisy event)`, grouped by image."""
        if self.noise is None or self.draws is None:
            raise UsageError("this training has no noise")
        return self.noise.apply(x.repeat_interleave(self.copies, 0), self.draws)

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean cross-entropy, with the label smoothing of the training."""
        return cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)


@dataclass(frozen=True)
class Look:
    """What a recipe has before the first step and after the last one, to set what is not learned by steps.

    Attributes:
        module: the base classifier in eval mode, with its first weights before the first step, its final ones later.
        images: number of images in the training set.
        batch: positions, an int64 tensor on the CPU -> images `(num, *event)` in input units and labels `(num,)`.
        config: of the training.
        space: the input space of the base classifier.
        generator: of all randomness; on the device of the images.
    """

    module: nn.Module
    images: int
    batch: Callable[[Tensor], tuple[Tensor, Tensor]]
    config: Settings
    space: InputSpace
    generator: Generator

    def some(self, count: int) -> tuple[Tensor, Tensor]:
        """Images and labels of at most `count` different images, drawn at random."""
        order = torch.randperm(self.images, generator=self.generator, device=self.generator.device)
        return self.batch(order[:count].cpu())


RECIPES: Family[Recipe] = Family("recipe", "holdfast.training.recipes", "holdfast.recipes")


class Recipe(Named, ABC):
    """Defines what one training step minimizes.

    A subclass is a frozen dataclass with a class attribute `name`; its fields are its parameters. It defines `outcome`,
    sets `least_copies` if it needs different copies of an image, and extends `check` if it does not work for every
    noise.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        RECIPES.register(cls)

    # The architecture to train if none is named; None for one that fits the data.
    architecture: ClassVar[str | None] = None
    # Least number of noisy copies of each image, each under its own noise; 0 for any number, also under shared noise.
    least_copies: ClassVar[int] = 0

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError if the recipe cannot train for this noise with these settings."""
        if noise is None:
            raise UsageError(
                f"the recipe {self.name!r} trains for a noise, got none; give one, as in gaussian:sigma=0.5"
            )
        if self.least_copies:
            _check_copies(self, config)

    def start(self, info: BundleInfo, images: int) -> BundleInfo:
        """The description of the model, completed by what the recipe knows.

        Args:
            info: the caller's description.
            images: number of images in the training set.
        """
        return info

    def prepare(self, module: nn.Module) -> None:
        """Set up a new base classifier before the first step, for example weights that are not trained."""

    def begin(self, look: Look) -> None:
        """Set weights from the training set, before the first step; not when a training is resumed."""

    @abstractmethod
    def outcome(self, step: Step) -> StepLoss:
        """The loss of a step."""

    def finish(self, look: Look) -> None:
        """Set what steps do not learn, once the weights are final; in the first process of a team alone."""


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    return RECIPES.names()


def recipe_from_dict(description: Mapping[str, Any]) -> Recipe:
    """The recipe described by `Recipe.to_dict`.

    Raises:
        UsageError: an unknown recipe, or a parameter that is unknown, missing or out of range.
    """
    return RECIPES.from_dict(description)


def _check_copies(recipe: Recipe, config: Settings) -> None:
    """Raise UsageError unless each image has the recipe's least number of copies, each under its own noise."""
    if config.noise_copies < recipe.least_copies:
        raise UsageError(
            f"the recipe {recipe.name!r} compares noisy copies of an image: it takes at least {recipe.least_copies} "
            f"of each, got {config.noise_copies}; set noise_copies to that"
        )
    if config.shared_noise and config.noise_copies > 1:
        raise UsageError(f"the recipe {recipe.name!r} needs noise of its own for each copy; leave out shared_noise")


Part = TypeVar("Part", bound="nn.Module")


def part_of(recipe: Recipe, module: nn.Module, kind: type[Part]) -> Part:
    """The part of `module` that the recipe trains; UsageError if there is none of that class."""
    for part in module.modules():
        if isinstance(part, kind):
            return part
    raise UsageError(
        f"the recipe {recipe.name!r} trains the architecture {recipe.architecture}; name this architecture"
    )


def check_alone(recipe: Recipe, step: Step) -> None:
    """Raise UsageError if several processes share the step of a recipe that does not work so."""
    if int(step.randomness(_count)[0]) != len(step.x):
        raise UsageError(f"the recipe {recipe.name!r} trains in one process; train on one device")


def takes_the_same(known: BundleInfo, info: BundleInfo) -> bool:
    """Whether another network takes inputs of the same shape and range."""
    mine, theirs = info.input_space, known.input_space
    return (theirs.shape, theirs.low, theirs.high) == (mine.shape, mine.low, mine.high)


def check_additive(recipe: Recipe, noise: Noise | None, why: str) -> None:
    """Raise UsageError unless the noise is added to the image; `why` says what in the recipe needs that."""
    if not isinstance(noise, AdditiveNoise):
        raise UsageError(
            f"the recipe {recipe.name!r} {why}; it takes noises that are added to the image, such as gaussian, "
            f"got {noise}"
        )


def check_weight(name: str, value: float) -> None:
    """Raise UsageError unless a weight in a loss is a finite number from 0 on."""
    if not (is_real(plain(value)) and value >= 0.0):
        raise UsageError(f"{name} is a number from 0 on, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Raise UsageError unless a parameter is a share in [0, 1]."""
    check_weight(name, value)
    if value > 1.0:
        raise UsageError(f"{name} is a share in [0, 1], got {value!r}")


def _count(images: int, generator: Generator) -> Tensor:
    return torch.full((images,), images)
