"""Training analysis by synthesis. Source: Schott, Rauber, Bethge & Brendel 2019, "Towards the first adversarially
robust neural network model on MNIST"."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn.functional import cross_entropy

from holdfast.errors import UsageError
from holdfast.models.architectures.defended import Quantized
from holdfast.models.architectures.synthesis import AnalysisBySynthesis, ClassAutoencoder
from holdfast.models.bundle import load_bundle
from holdfast.plain import is_real, plain
from holdfast.spec import spell_text
from holdfast.training.recipes.base import Step, StepLoss, check_alone, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Generator, Tensor, nn

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.base import Look
    from holdfast.training.recipes.settings import Settings

# Images of each step that are classified to see how the training goes.
_SEEN = 16
# Scales that are tried: from e^-9 to e^3, times e^(1/8) from one to the next.
_SCALES = torch.arange(-72, 25, dtype=torch.float64).div(8).exp()
# Balances of classes that are tried; the paper's lie between .96 and 1.06.
_BALANCES = torch.arange(90, 111, dtype=torch.float64).div(100)
_SWEEPS = 2


@dataclass(frozen=True)
class Synthesis(WithoutNoise):
    """The variational lower bound of each class on its own images, a squared error and a KL divergence; no labels help.

    Then the scales of the bounds are measured on training images: of all, by the cross-entropy; of each class, if
    inputs are binarized as in the paper, by the accuracy. `autoencoders` trains nothing and takes those of a bundle:
    in the paper, ABS and binarized ABS have the same.

    Args:
        beta: weight of the KL divergence at the start; it falls to 1.
        annealed: share of the training in which it falls.
        measured: training images on which the scales are measured.
        autoencoders: bundle of the architecture abs or binarized-abs with the same autoencoders; empty to train them.
    """

    name: ClassVar[str] = "abs"
    architecture: ClassVar[str | None] = "abs"
    paths: ClassVar[tuple[str, ...]] = ("autoencoders",)
    beta: float = 10.0
    annealed: float = 0.5
    measured: int = 2000
    autoencoders: str = ""

    def __post_init__(self) -> None:
        if not (is_real(plain(self.beta)) and self.beta >= 1.0):
            raise UsageError(f"beta is a number from 1 on, got {self.beta!r}")
        if not (is_real(plain(self.annealed)) and 0.0 <= self.annealed <= 1.0):
            raise UsageError(f"annealed is a share of the training, from 0 to 1, got {self.annealed!r}")
        if type(plain(self.measured)) is not int or self.measured < 1:
            raise UsageError(f"measured is a number of images from 1 on, got {self.measured!r}")

    def spec(self, number: Callable[[float], str]) -> str:
        """With the file's name only, and without one that is not there."""
        given = [f"beta={number(self.beta)}", f"annealed={number(self.annealed)}", f"measured={self.measured}"]
        if self.autoencoders:
            given.append(f"autoencoders={spell_text(Path(self.autoencoders).name)}")
        return f"{self.name}:{','.join(given)}"

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError if autoencoders that are not trained would be, or lower precision spoiled their bounds."""
        super().check(noise, config)
        if config.precision != "float32":
            raise UsageError(f"the recipe 'abs' measures likelihoods in float32, got {config.precision}")
        if self.autoencoders and config.epochs != 1:
            raise UsageError(
                f"with autoencoders of a file there is nothing to train: one epoch, got {config.epochs}; set epochs "
                "to 1 or leave the file out"
            )

    def prepare(self, module: nn.Module) -> None:
        """Take the autoencoders of a file, if there is one.

        Raises:
            UsageError: the module, or the file, has none, or they are of other sizes.
        """
        part = part_of(self, module, AnalysisBySynthesis)
        if not self.autoencoders:
            return
        given = part_of(self, load_bundle(Path(self.autoencoders)).module, AnalysisBySynthesis).autoencoders
        expected, found = part.autoencoders.state_dict(), given.state_dict()
        if {key: value.shape for key, value in expected.items()} != {key: value.shape for key, value in found.items()}:
            raise UsageError(
                f"the autoencoders of {self.autoencoders} are for other images, classes or codes than these: give the "
                "bundle of the same data and the same latents"
            )
        part.autoencoders.load_state_dict(found)

    def outcome(self, step: Step) -> StepLoss:
        """Minus the lower bound, a mean over images; hits are those of the encoders' codes for a few images.

        Raises:
            UsageError: several processes share the step: classes do not.
        """
        part = part_of(self, step.module, AnalysisBySynthesis)
        check_alone(self, step)
        if self.autoencoders:
            loss = 0.0 * next(part.parameters()).sum()
            return StepLoss(loss, _by_encoders(part, step.x[:_SEEN]), step.labels[:_SEEN])
        deviations = step.randomness(lambda images, source: _normal(images, part.latents, step.x, source))
        beta = self.beta - (self.beta - 1.0) * (min(1.0, step.progress / self.annealed) if self.annealed else 1.0)
        loss = step.x.new_zeros(())
        for kind, each in _by_class(part, step.labels):
            loss = loss + _minus_bounds(each, step.x[kind], deviations[kind], beta).sum()
        return StepLoss(loss / len(step.x), _by_encoders(part, step.x[:_SEEN]), step.labels[:_SEEN])

    def finish(self, look: Look) -> None:
        """Measure the scales."""
        part = part_of(self, look.module, AnalysisBySynthesis)
        binarized = [each for each in look.module.modules() if isinstance(each, Quantized)]
        x, labels = look.some(self.measured)
        with torch.no_grad():
            for each in binarized:
                x = each.apply_draws(x, x.new_zeros((len(x), 0)))
            bounds = part.bounds(x).double()
            balance = balanced(bounds, labels) if binarized else torch.ones_like(bounds[0])
            part.balance.copy_(balance)
            part.scale.copy_(best_scale(bounds * balance, labels))


def best_scale(bounds: Tensor, labels: Tensor) -> Tensor:
    """The factor of bounds `(images, classes)` with the smallest cross-entropy, a scalar."""
    losses = torch.stack([cross_entropy(factor * bounds, labels) for factor in _SCALES.to(bounds.device)])
    return _SCALES.to(bounds.device)[losses.argmin()]


def balanced(bounds: Tensor, labels: Tensor) -> Tensor:
    """A factor for the bound of each class `(classes,)`: the most hits by a search along one class after another.

    Among equals the factor nearest to 1 is taken.
    """
    tried = _BALANCES.to(bounds.device)
    factors = torch.ones_like(bounds[0])
    for _ in range(_SWEEPS):
        for kind in range(len(factors)):
            hits = []
            for value in tried:
                factors[kind] = value
                hits.append(int(((bounds * factors).argmax(dim=1) == labels).sum()))
            rank = torch.tensor(hits, dtype=torch.float64, device=bounds.device) - (tried - 1.0).abs()
            factors[kind] = tried[rank.argmax()]
    return factors


def _by_class(part: AnalysisBySynthesis, labels: Tensor) -> Iterator[tuple[Tensor, ClassAutoencoder]]:
    """For each class, where its images are, and its autoencoder; none for classes without images."""
    for kind, each in enumerate(part.by_class()):
        where = (labels == kind).nonzero().flatten()
        if len(where):
            yield where, each


def _minus_bounds(autoencoder: ClassAutoencoder, x: Tensor, deviations: Tensor, beta: float) -> Tensor:
    """Squared error plus `beta` times the KL divergence from the standard normal distribution, for each image."""
    mean, log_variance = autoencoder.encode(x)
    made = autoencoder.decode(mean + (0.5 * log_variance).exp() * deviations)
    error = (x - made).flatten(1).square().sum(dim=1)
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1.0).sum(dim=1)
    return error + beta * divergence


@torch.no_grad()
def _by_encoders(part: AnalysisBySynthesis, x: Tensor) -> Tensor:
    """The bound of each class for the codes that its encoder gives, `(images, classes)`; no statistics change."""
    bounds = []
    for each in part.by_class():
        training = each.training
        each.eval()
        mean, _ = each.encode(x)
        bounds.append(-(x - each.decode(mean)).flatten(1).square().sum(dim=1) - 0.5 * mean.square().sum(dim=1))
        each.train(training)
    return torch.stack(bounds, dim=1)


def _normal(images: int, latents: int, like: Tensor, source: Generator) -> Tensor:
    return torch.randn((images, latents), generator=source, device=like.device)
