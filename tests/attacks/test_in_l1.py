"""The attack in L1: its linear step is the best one, and within a certificate it finds nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from victims import made

from holdfast.attacks import PlainTarget, SmoothedTarget
from holdfast.attacks.distances import distance
from holdfast.attacks.methods.frank_wolfe import steepest
from holdfast.noises.splitting import Splitting
from holdfast.sampling.classifier import VotingClassifier
from holdfast.types import Norm

SIZE = 12


@pytest.mark.parametrize("budget", [0.05, 0.7, 2.5, 100.0])
def test_the_linear_step_is_that_of_a_linear_program(budget: float) -> None:
    random = np.random.default_rng(2)
    for _ in range(5):
        x, gradient = random.random(SIZE), random.normal(size=SIZE)
        gradient[3], x[4], x[5] = 0.0, 0.0, 1.0
        # Change = up - down, both at least 0.
        found = linprog(
            np.concatenate([-gradient, gradient]),
            A_ub=np.ones((1, 2 * SIZE)),
            b_ub=[budget],
            bounds=[(0.0, 1.0 - value) for value in x] + [(0.0, value) for value in x],
        )
        change = steepest(torch.tensor(gradient), torch.tensor(x), budget, 0.0, 1.0).numpy()
        assert gradient @ change == pytest.approx(-found.fun, rel=1e-9)
        assert np.abs(change).sum() <= budget + 1e-12
        assert ((x + change >= -1e-12) & (x + change <= 1.0 + 1e-12)).all()


class Sum(torch.nn.Module):
    """Class 1 where the weighted sum of the values exceeds a limit."""

    def __init__(self, weights: torch.Tensor, limit: float) -> None:
        super().__init__()
        self.weights, self.limit = weights, limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        above = (x.flatten(1) * self.weights).sum(1) - self.limit
        return torch.stack([-above, above], dim=1)


def test_a_linear_classifier_falls_exactly_where_it_must() -> None:
    """The nearest adversarial moves the value with the largest weight alone: known distances."""
    weights = torch.linspace(0.1, 1.0, SIZE)
    x = torch.full((SIZE,), 0.25)
    limit = float((x * weights).sum()) + 0.5
    target = PlainTarget(Sum(weights, limit).eval(), 2, (SIZE,))
    attack = made("frank-wolfe", steps=10)
    assert attack.run(target, x, 0, 0.49) is None
    found = attack.run(target, x, 0, 0.51)
    assert found is not None
    assert distance(x, found, Norm.L1) <= 0.51
    # The second value is needed as soon as the first one has reached its end.
    limit = float((x * weights).sum()) + 0.75 + 0.3 * float(weights[-2])
    target = PlainTarget(Sum(weights, limit).eval(), 2, (SIZE,))
    assert attack.run(target, x, 0, 1.04) is None
    assert attack.run(target, x, 0, 1.06) is not None


def test_nothing_is_found_within_an_exact_l1_certificate_and_something_beyond() -> None:
    noise, shape = Splitting(half_width=0.5, levels=17), (SIZE,)
    weights = torch.linspace(0.1, 1.0, SIZE)
    random = np.random.default_rng(4)
    reached = 0
    for _ in range(6):
        x = torch.tensor(random.integers(0, 17, SIZE) / 16, dtype=torch.float32)
        module = Sum(weights, float((x * weights).sum()) + float(random.uniform(0.3, 0.9))).eval()
        target = SmoothedTarget(VotingClassifier(module, 2), noise, shape, 1000, 0.01, module=module)
        (votes,) = target.votes(x.unsqueeze(0))
        top, other = votes.top_two()
        radius = max(0, votes.votes[top] - votes.votes[other] - (other < top)) // 2 / 16
        attack = made("frank-wolfe", steps=20, samples=16)
        if radius > 0.0:
            assert attack.run(target, x, top, radius) is None
        found = attack.run(target, x, top, 4.0)
        if found is not None:
            assert radius < distance(x, found, Norm.L1) <= 4.0
            assert torch.equal((found * 16).round() / 16, found), "adversarials stay on the grid"
            reached += 1
    assert reached >= 3
