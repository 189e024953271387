"""Training all blocks of a partition at once, for their votes together: every image through every block. Our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch.nn.functional import one_hot

from holdfast.errors import UsageError
from holdfast.models.architectures.block_networks import BlockNetworks
from holdfast.noises.partition import Partition
from holdfast.training.recipes.base import Recipe, Step, StepLoss, check_weight, part_of

if TYPE_CHECKING:
    from torch import nn

    from holdfast.noises.base import Noise
    from holdfast.training.recipes.settings import Settings


@dataclass(frozen=True)
class BlockVotes(Recipe):
    """Trains `block-networks`: the mean cross-entropy of all blocks, and a hinge on the lead of the right class.

    Soft votes are the means over all blocks of softmax(`inverse_temperature` x logits): what certificates count, and
    not a sample of it. The hinge is max(0, `margin` - lead), where the lead is over the strongest other class.

    Args:
        weight: of the hinge.
        margin: the intended lead, in (0, 2]; a radius of r pixels needs 2 r of the blocks.
        inverse_temperature: factor of the logits; the larger it is, the closer soft votes are to votes.
    """

    name: ClassVar[str] = "block-votes"
    architecture: ClassVar[str | None] = "block-networks"
    weight: float = 3.0
    margin: float = 0.6
    inverse_temperature: float = 2.0

    def __post_init__(self) -> None:
        check_weight("weight", self.weight)
        check_weight("inverse_temperature", self.inverse_temperature)
        if not 0.0 < self.margin <= 2.0:
            raise UsageError(f"margin is a difference of shares of the votes in (0, 2], got {self.margin!r}")

    def check(self, noise: Noise | None, config: Settings) -> None:
        """Raise UsageError unless the noise shows disjoint blocks, each image once."""
        super().check(noise, config)
        if not (isinstance(noise, Partition) and noise.null == "multichannel"):
            raise UsageError(
                f"the recipe 'block-votes' trains for the noise partition with null=multichannel, got {noise}"
            )
        if config.noise_copies > 1:
            raise UsageError("the recipe 'block-votes' takes every block of an image; leave out noise_copies")

    def prepare(self, module: nn.Module) -> None:
        """Raise UsageError unless `module` contains networks of blocks."""
        part_of(self, module, BlockNetworks)

    def outcome(self, step: Step) -> StepLoss:
        """Cross-entropy and hinge over all blocks.

        Raises:
            UsageError: the networks are of other blocks than those of the noise.
        """
        part, noise = part_of(self, step.module, BlockNetworks), step.noise
        assert isinstance(noise, Partition)
        if (part.noise.k, part.noise.pattern) != (noise.k, noise.pattern):
            raise UsageError(
                f"the networks are those of the blocks of {part.noise}, the noise is {noise}; give the architecture "
                "the same k and pattern"
            )
        logits = part.of_all_blocks(step.x).float()
        own = one_hot(step.labels, part.num_classes).to(logits)
        votes = (self.inverse_temperature * logits).softmax(dim=2).mean(dim=1)
        lead = (votes * own).sum(dim=1) - (votes - 2.0 * own).max(dim=1).values
        hinge = (self.margin - lead).clamp_min(0.0).mean()
        targets = step.labels.repeat_interleave(logits.shape[1])
        flat = logits.flatten(0, 1)
        return StepLoss(step.cross_entropy(flat, targets) + self.weight * hinge, flat, targets)
