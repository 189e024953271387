"""A first look at a network: its answers for a few examples of its data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from holdfast.errors import BundleError
from holdfast.noises.draws import Draws
from holdfast.stats.binomial import lower_bound

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.models.bundle import BundleInfo

_EXAMPLES, _AT_ONCE = 50, 10
# At which accuracy is told from guessing.
_ALPHA = 0.05


@dataclass(frozen=True)
class Trial:
    """The answers of a network in a trial.

    Attributes:
        examples: number of examples that it was shown.
        right: how many of them it classified right.
        constant: whether its logits are the same for all.
        guessing: whether it classifies no more right than a guess among the classes would.
    """

    examples: int
    right: int
    constant: bool
    guessing: bool


@torch.inference_mode()
def tried(module: torch.nn.Module, info: BundleInfo, data: DataSet) -> Trial:
    """Show a network some examples, spread evenly, each under the noise that it was trained for.

    Args:
        module: in eval mode, on a processor.
        info: description of it.
        data: data set with its inputs and classes.

    Raises:
        BundleError: its largest logit is NaN or infinite for one of them.
    """
    count = min(_EXAMPLES, len(data))
    indices = np.arange(count) * len(data) // count
    noise = info.trained_for
    found = []
    for first in range(0, count, _AT_ONCE):
        x = torch.from_numpy(data.batch(indices[first : first + _AT_ONCE]))
        if noise is not None:
            x = torch.cat([noise.sample(each, Draws(0, first + number, 0, 1)) for number, each in enumerate(x)])
        found.append(module(x))
    logits = torch.cat(found)
    # Minus infinity masks a class.
    broken = (~logits.amax(dim=1).isfinite()).nonzero()
    if len(broken):
        raise BundleError(
            f"the network returns NaN or infinite logits for {len(broken)} of {count} examples of {data.source} (the "
            f"first is example {int(indices[int(broken[0])])}), so it can be certified for none of them. Are mean "
            "and std those that it was trained with? Otherwise take other weights"
        )
    right = int((logits.argmax(dim=1).numpy() == data.labels[indices]).sum())
    return Trial(
        examples=count,
        right=right,
        constant=bool((logits == logits[0]).all()),
        guessing=lower_bound(right, count, _ALPHA) <= 1.0 / len(info.class_names),
    )
