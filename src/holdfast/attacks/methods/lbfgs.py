"""The first attack on neural networks. Source: Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow & Fergus 2014,
"Intriguing properties of neural networks", section 4.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from holdfast.attacks.base import Attack, check_whole
from holdfast.attacks.target import Access
from holdfast.types import Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.attacks.base import Problem

# Range of the factors of the squared length.
_LEAST, _MOST = 1e-4, 1e4


@dataclass(frozen=True)
class LBFGS(Attack):
    """A constant times the squared length plus the cross-entropy of the target class, minimized by L-BFGS in the box.

    Bisection finds the largest constant for which the minimum is adversarial. Without a target class, it aims at the
    most probable wrong class.

    Args:
        steps: most iterations of L-BFGS for each constant.
        searches: number of constants to try.
    """

    name: ClassVar[str] = "lbfgs"
    needs = Access.GRADIENTS
    norms = (Norm.L2,)
    minimizes = True
    randomized = False
    source = "Szegedy et al. 2014; scipy.optimize"
    library = "scipy"
    steps: int = 50
    searches: int = 10

    def __post_init__(self) -> None:
        check_whole("steps", self.steps)
        check_whole("searches", self.searches)

    def search(self, problem: Problem) -> Tensor | None:
        """Bisect over the constant, on a logarithmic scale."""
        classes = _target_classes(problem)
        least, most = np.log(_LEAST), np.log(_MOST)
        best: Tensor | None = None
        constant = least
        for _ in range(self.searches):
            candidate = self._minimum(problem, classes, float(np.exp(constant)))
            if bool(problem.succeeds(candidate)[0]):
                best, least = candidate, constant
            elif best is None:
                return None
            else:
                most = constant
            constant = (least + most) / 2
        return best

    def _minimum(self, problem: Problem, classes: Tensor, constant: float) -> Tensor:
        from scipy.optimize import minimize

        x, target = problem.x, problem.target

        def value(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            moved = torch.from_numpy(flat).to(x).view_as(x).requires_grad_()
            loss = constant * (moved - x).square().sum() + cross_entropy(target.logits(moved), classes)
            (gradient,) = torch.autograd.grad(loss, moved)
            return float(loss.detach()), gradient.double().cpu().numpy().ravel()

        start = x.double().cpu().numpy().ravel()
        box = [(target.low, target.high)] * start.size
        found = minimize(value, start, jac=True, method="L-BFGS-B", bounds=box, options={"maxiter": self.steps})
        return torch.from_numpy(found.x).to(x).view_as(x)


def _target_classes(problem: Problem) -> Tensor:
    if problem.target_class is not None:
        return torch.tensor([problem.target_class], device=problem.x.device)
    scores = problem.target.scores(problem.x)[:, : problem.target.num_classes]
    scores[:, problem.label] = -torch.inf
    return scores.argmax(dim=1)
