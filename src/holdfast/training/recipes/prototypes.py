"""Training prototypes for certified L2 radii. Source: Voracek & Hein 2022, "Provably Adversarially Robust Nearest
Prototype Classifiers"."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from scipy.cluster.vq import kmeans2

from holdfast.errors import UsageError
from holdfast.models.architectures.prototypes import Prototypes
from holdfast.models.normalization import Normalization
from holdfast.plain import is_real, plain
from holdfast.training.recipes.base import Look, Step, StepLoss, check_alone, check_share, part_of
from holdfast.training.recipes.standard import WithoutNoise

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings

# Images of a class at a time when the training set is read.
_AT_ONCE = 1000
# In the place of the distance between two prototypes that are equal.
_APART = 1e-6


@dataclass(frozen=True)
class PrototypeTraining(WithoutNoise):
    """Minus the certified L2 radius of the training images, clipped to [`least`, `target`]; no cross-entropy.

    The radius of an image is the smallest, over prototypes j of other classes, of the largest, over prototypes i of its
    own class, distance to the plane between i and j; below 0 if j is nearer than all i. docs/bounds.md has the proof.
    A step looks at the nearest prototypes alone. Before the first step, prototypes are the centres of k-means of each
    class.

    Args:
        target: radius, in input units, from which on an image gives no gradient; above the intended one.
        least: signed radius below which an image is given up and gives no gradient, at most 0.
        moved: share of images that each step moves by one pixel, up, down, left or right.
        own: nearest prototypes of the right class to look at.
        rivals: nearest prototypes of other classes to look at.
        iterations: of k-means; without any, prototypes start as training images.
    """

    name: ClassVar[str] = "prototypes"
    architecture: ClassVar[str | None] = "prototypes"
    target: float
    least: float = -10.0
    moved: float = 0.0
    own: int = 4
    rivals: int = 16
    iterations: int = 10

    def __post_init__(self) -> None:
        if not (is_real(plain(self.target)) and 0.0 < self.target < math.inf):
            raise UsageError(f"target is a number above 0 in input units, got {self.target!r}")
        if not (is_real(plain(self.least)) and -math.inf < self.least <= 0.0):
            raise UsageError(f"least is a finite number up to 0 in input units, got {self.least!r}")
        check_share("moved", self.moved)
        for name in ("own", "rivals"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise UsageError(f"{name} is a whole number from 1 on, got {value!r}")
        if type(self.iterations) is not int or self.iterations < 0:
            raise UsageError(f"iterations is a whole number from 0 on, got {self.iterations!r}")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError with noise, or in another precision than float32."""
        super().check(noise, config)
        if config.precision != "float32":
            raise UsageError(f"the recipe {self.name!r} trains in float32, got precision {config.precision!r}")

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` is of prototypes in input units."""
        part_of(self, module, Prototypes)
        if any(isinstance(each, Normalization) and each.active for each in module.modules()):
            raise UsageError(
                f"the recipe {self.name!r} trains for radii in input units: leave out the normalization of inputs"
            )

    def begin(self, look: Look) -> None:
        """Set the prototypes to the centres of k-means of each class."""
        part = part_of(self, look.module, Prototypes)
        parts = [look.batch(each) for each in torch.split(torch.arange(look.images), _AT_ONCE)]
        images = torch.cat([x.flatten(1) for x, _ in parts])
        labels = torch.cat([each for _, each in parts])
        for label in range(part.num_classes):
            own = images[labels == label]
            if not len(own):
                raise UsageError(
                    f"the recipe {self.name!r} needs training images of every class; class {label} has none"
                )
            centres = _centres(own, part.per_class, self.iterations, look.generator)
            with torch.no_grad():
                part.points[part.labels == label] = centres.to(part.points)

    def outcome(self, step: Step) -> StepLoss:
        """The mean of minus the clipped radius.

        Raises:
            UsageError: several processes share the step, or images are to be moved and inputs are no images.
        """
        check_alone(self, step)
        part = part_of(self, step.module, Prototypes)
        x = step.x if self.moved == 0.0 else self._moved(step)
        radii, logits = self.radii(part, x.flatten(1), step.labels)
        return StepLoss(-radii.clamp(self.least, self.target).mean(), logits, step.labels)

    def radii(self, part: Prototypes, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Signed radii `(batch,)`, with gradients to the two prototypes that decide each; and logits, without.

        The logits lack the input's own square, which all classes have in common. With all prototypes looked at, radii
        are those of single planes but for float32; with fewer, they may be smaller or larger.

        Args:
            part: the prototypes.
            x: inputs `(batch, features)`.
            labels: `(batch,)`.
        """
        own, rival, logits = self._deciding(part, x, labels)
        apart = part.points[own] - part.points[rival]
        middle = 0.5 * (part.points[own] + part.points[rival])
        lengths = torch.linalg.vector_norm(apart, dim=1).clamp_min(_APART)
        return ((x - middle) * apart).sum(dim=1) / lengths, logits

    @torch.no_grad()
    def _deciding(self, part: Prototypes, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The positions `(batch,)` of the prototypes i and j whose plane is the radius, and logits."""
        points, sizes = part.points, part.points.square().sum(dim=1)
        # Squared distances but for the input's own square, `(batch, prototypes)`.
        squares = torch.addmm(sizes, x, points.T, alpha=-2.0)
        by_class = squares.view(len(x), part.num_classes, part.per_class)
        logits = -by_class.amin(dim=2)
        everyone = torch.arange(len(x), device=x.device)
        near, own = by_class[everyone, labels].topk(min(self.own, part.per_class), largest=False)
        own = own + part.per_class * labels.unsqueeze(1)
        by_class[everyone, labels] = math.inf
        far, rivals = squares.topk(min(self.rivals, len(points) - part.per_class), largest=False)
        apart = (
            sizes[own].unsqueeze(2) + sizes[rivals].unsqueeze(1) - 2.0 * points[own] @ points[rivals].transpose(1, 2)
        )
        planes = (far.unsqueeze(1) - near.unsqueeze(2)) / (2.0 * apart.clamp_min(_APART**2).sqrt())
        farthest, of_rival = planes.max(dim=1)
        nearest = farthest.argmin(dim=1, keepdim=True)
        return own.gather(1, of_rival.gather(1, nearest)).squeeze(1), rivals.gather(1, nearest).squeeze(1), logits

    def _moved(self, step: Step) -> Tensor:
        """The images, a share of them one pixel up, down, left or right; the lowest value comes in at the edge."""
        x, low = step.x, step.space.low
        if x.ndim != 4:
            raise UsageError(
                f"the recipe {self.name!r} moves images by pixels, got inputs of shape {tuple(x.shape[1:])}"
            )
        chosen = step.randomness(lambda images, source: torch.rand(images, generator=source, device=x.device))
        where = (chosen / self.moved * 4.0).long()
        found = x.clone()
        for number, (axis, by) in enumerate(((2, 1), (2, -1), (3, 1), (3, -1))):
            some = where == number
            shifted = torch.roll(x[some], by, axis)
            shifted.select(axis, 0 if by > 0 else -1).fill_(low)
            found[some] = shifted
        return found


def _centres(images: Tensor, count: int, iterations: int, generator: Generator) -> Tensor:
    """`count` centres of k-means `(count, features)`, from images drawn at random; some twice if there are fewer."""
    order = torch.randperm(len(images), generator=generator, device=generator.device)
    first = images[order.to(images.device)[torch.arange(count, device=images.device) % len(images)]]
    if not iterations:
        return first
    with warnings.catch_warnings():
        # A centre without images keeps its place.
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centres, _ = kmeans2(images.cpu().numpy(), first.cpu().numpy(), iter=iterations, minit="matrix")
    return torch.from_numpy(centres)
