"""What a recipe is: the loss of one training step, and the table that finds recipes by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

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
    """What a step gives: the loss to minimize, and the classified copies whose hits are counted.

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
    """What a recipe has at hand in one step: this process's share of the minibatch, and its noise.

    Attributes:
        model: the base classifier, to compute the loss with: one call a step. It averages gradients over the processes.
        module: the same base classifier, for anything else, such as an attack.
        x: images `(batch, *event)` in input units.
        labels: `(batch,)`.
        config: of the training.
        space: what the base classifier takes.
        progress: the share of the training that is done, in [0, 1).
        noise: that the classifier will be smoothed with; None for a training without noise.
        draws: of the noise, `(batch x copies, ...)`, or one for all of them.
        randomness: `make -> tensor`: what `make(images, generator)` draws for all images of the minibatch, first axis
            the images, cut to this process's share.
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
        """Noisy copies of images like `x`: `(batch, *event) -> (batch x copies, *noisy event)`, an image's together."""
        if self.noise is None or self.draws is None:
            raise UsageError("this training has no noise")
        return self.noise.apply(x.repeat_interleave(self.copies, 0), self.draws)


RECIPES: Family[Recipe] = Family("recipe", "holdfast.training.recipes", "holdfast.recipes")


class Recipe(Named, ABC):
    """What one training step minimizes.

    A subclass is a frozen dataclass with a class attribute `name`; its fields are its parameters. It writes `outcome`,
    sets `least_copies` where it needs copies of an image that differ, and extends `check` where it does not work for
    every noise.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        RECIPES.register(cls)

    # What it trains where no architecture is named; None for what fits the data.
    architecture: ClassVar[str | None] = None
    # Noisy copies of each image that it takes at least, each under noise of its own; 0 for any number, and for noise
    # that copies share.
    least_copies: ClassVar[int] = 0

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError if it cannot train for this noise with these settings."""
        if noise is None:
            raise UsageError(
                f"the recipe {self.name!r} trains for a noise, got none; give one, as in gaussian:sigma=0.5"
            )
        if self.least_copies:
            _check_copies(self, config)

    def start(self, info: BundleInfo, images: int) -> BundleInfo:
        """What the bundle says of the model, with what the recipe knows of it filled in.

        Args:
            info: as the caller describes the model.
            images: how many the training set has.
        """
        return info

    def prepare(self, module: nn.Module) -> None:
        """Set up a new base classifier before the first step, such as weights that are not trained."""

    @abstractmethod
    def outcome(self, step: Step) -> StepLoss:
        """The loss of a step."""


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    return RECIPES.names()


def recipe_from_dict(description: Mapping[str, Any]) -> Recipe:
    """The recipe that `Recipe.to_dict` described.

    Raises:
        UsageError: an unknown recipe, or a parameter that is unknown, missing or out of range.
    """
    return RECIPES.from_dict(description)


def _check_copies(recipe: Recipe, config: Settings) -> None:
    """Raise UsageError unless each image has the least copies of the recipe, under noise of their own."""
    if config.noise_copies < recipe.least_copies:
        raise UsageError(
            f"the recipe {recipe.name!r} compares noisy copies of an image: it takes at least {recipe.least_copies} "
            f"of each, got {config.noise_copies}; set noise_copies to that"
        )
    if config.shared_noise and config.noise_copies > 1:
        raise UsageError(f"the recipe {recipe.name!r} needs noise of its own for each copy; leave out shared_noise")


def check_additive(recipe: Recipe, noise: Noise | None, why: str) -> None:
    """Raise UsageError unless the noise is added to the image; `why` says what the recipe does that takes it."""
    if not isinstance(noise, AdditiveNoise):
        raise UsageError(
            f"the recipe {recipe.name!r} {why}; it takes noises that are added to the image, such as gaussian, "
            f"got {noise}"
        )


def check_weight(name: str, value: float) -> None:
    """Raise UsageError unless a weight in a loss is a finite number from 0 on."""
    if not (is_real(plain(value)) and value >= 0.0):
        raise UsageError(f"{name} is a number from 0 on, got {value!r}")
