"""Double masking, against patches: a proof from the answers of a classifier to masked images, whatever it is.

Source: Xiang, Mahloujifar & Mittal 2022, "PatchCleanser". Derivation: docs/guarantees.md, "Double masking".
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from holdfast.bounds.base import UNDECIDED, Bound, Classifier, Method
from holdfast.errors import UsageError
from holdfast.models.double_masking import DoubleMasked
from holdfast.types import Norm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DoubleMasking(Bound):
    """The side of the patch that a double-masked classifier is made for, if no two masks together change its answer.

    The classifier is that of the model source `double-masking`, which has the masks. One that is not behind them keeps
    no answer by this proof.
    """

    name: ClassVar[str] = "double-masking"
    norms = (Norm.PATCH,)
    source = "Xiang et al. 2022"
    assumption = "The classifier behind the masks always gives an image the same answer, up to rounding."
    asks_the_module = True

    def prepare(self, classifier: Classifier) -> Method:
        """A copy of the classifier in float64, where torch computes it."""
        if not isinstance(classifier.module, DoubleMasked):
            raise UsageError(
                "the bound 'double-masking' takes models behind two rounds of masks: name the model "
                "double-masking:MODEL,patch=M, with the side of the patch in pixels"
            )
        module = deepcopy(classifier.module).double()
        module.covers(classifier.shape)
        return _Proof(module)


class _Proof(Method):
    """The answers for an image under all pairs of masks, one image at a time."""

    def __init__(self, module: DoubleMasked) -> None:
        self.module = module

    def logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The module's own."""
        scores = self.module(x).double()
        return scores, torch.zeros_like(scores)

    def radii(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The answer for each image, and the side of the patch or 0."""
        found = [self.module.certify(each) for each in x]
        answers = [UNDECIDED if answer is None else answer for answer, _ in found]
        radii = [float(self.module.patch) if sure else 0.0 for _, sure in found]
        return torch.tensor(answers, dtype=torch.int64), torch.tensor(radii, dtype=torch.float64)
