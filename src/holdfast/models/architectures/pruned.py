"""Stochastic activation pruning: a defence by randomness inside a network. It is no certified defence.

Source: Dhillon, Azizzadenesheli, Lipton, Bernstein, Kossaifi, Khanna & Anandkumar 2018, "Stochastic Activation Pruning
for Robust Adversarial Defense". Broken by Athalye, Carlini & Wagner 2018, by gradients averaged over the pruning.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from holdfast.errors import UsageError
from holdfast.models.architectures.base import Shape, architecture, build
from holdfast.models.architectures.layers import inputs_changed, learned
from holdfast.models.architectures.seeded import STILL, Seeded, check_count, check_deviation, uniform


class Pruned(Seeded):
    """Keeps an activation if it is drawn, with a probability that grows with its size, and makes up for the others.

    In each layer, `share` times as many activations as it has are drawn with replacement, each with probability
    p = its size / the sum of all sizes. One that is drawn at least once is divided by the probability of that,
    1 - (1 - p)^draws, so that its mean stays; the others become 0. The network is trained without pruning.

    Args:
        classifier: module from inputs to logits.
        share: draws in a layer for each of its activations.
        copies: passes whose probabilities are averaged; 1 in the paper.
    """

    def __init__(self, classifier: nn.Module, share: float, copies: int) -> None:
        super().__init__(classifier, copies)
        self.share = share

    def once(self, x: Tensor, seeds: Tensor) -> Tensor:
        """One pass in which the activations before each layer but the first are pruned."""

        def prune(layer: int, values: Tensor) -> Tensor:
            return pruned(values.flatten(1), seeds, layer, self.share).view_as(values)

        with inputs_changed(learned(self.classifier)[1:], prune):
            logits: Tensor = self.classifier(x)
        return logits


def pruned(values: Tensor, seeds: Tensor, layer: int, share: float) -> Tensor:
    """Activations `(batch, count)` after the pruning; unchanged where the seed is `STILL`."""
    with torch.no_grad():
        sizes = values.abs().double()
        total = sizes.sum(dim=1, keepdim=True)
        # Where all activations are 0, so are they after the pruning.
        probabilities = sizes / total.clamp_min(torch.finfo(torch.float64).tiny)
        draws = max(1, round(share * values.shape[1]))
        ends = probabilities.cumsum(dim=1)
        points = uniform(seeds, layer, draws).double() * ends[:, -1:]
        drawn = torch.searchsorted(ends, points, right=True).clamp_max(values.shape[1] - 1)
        kept = torch.zeros_like(sizes).scatter_(1, drawn, 1.0)
        chance = -torch.expm1(draws * torch.log1p(-probabilities.clamp_max(1.0)))
        factor = torch.where(probabilities > 0.0, kept / chance.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
        factor = torch.where((seeds == STILL).unsqueeze(1), 1.0, factor)
    return values * factor.to(values.dtype)


@architecture("pruned", raw=True)
def stochastically_pruned(
    shape: Shape, num_classes: int, *, share: float = 1.0, copies: int = 1, classifier: str = "wong-small"
) -> nn.Module:
    """A classifier whose activations are pruned at random: a layer of m activations keeps those among share x m draws.

    Raises:
        UsageError: a share that is not above 0 and at most 100, or no copies.
    """
    check_deviation("pruned", "share", share)
    if not 0.0 < share <= 100.0:
        raise UsageError(f"argument share of pruned is a number above 0 and at most 100, got {share!r}")
    check_count("pruned", "copies", copies)
    return Pruned(build(classifier, shape, num_classes), float(share), copies)
