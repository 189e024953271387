"""An adversarial beyond its budget does not count, whatever a search returns and wherever the check is asked.

The searches here overshoot on purpose. What a candidate is moved to by the classifier is checked as the candidate is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from holdfast.attacks import Access, Attack, PlainTarget, Problem, base
from holdfast.attacks.distances import distance, within
from holdfast.types import Norm

SHAPE = (1, 2, 2)
BUDGETS = {Norm.L0: 2.0, Norm.L1: 0.75, Norm.L2: 0.5, Norm.LINF: 0.25}


def bright(x: Tensor) -> Tensor:
    """Class 1 is any input that is not 0 everywhere: every change is adversarial."""
    lit = (x.flatten(1) != 0).any(1).float()
    return torch.stack([1 - lit, lit], dim=1)


def shifted(norm: Norm, size: float) -> Tensor:
    """A change of 0 of exactly this size: in one pixel, or in as many pixels for L0."""
    x = torch.zeros(SHAPE)
    x.view(-1)[: int(size) if norm is Norm.L0 else 1] = 0.5 if norm is Norm.L0 else size
    return x


@pytest.fixture
def overshooting() -> Iterator[type[Attack]]:
    """An attack of its own that returns a change of a given size, whatever the budget; not left in the table."""

    @dataclass(frozen=True)
    class Overshooting(Attack):
        name = "overshooting"
        needs = Access.DECISIONS
        norms = (Norm.L2, Norm.L1, Norm.LINF, Norm.L0)
        minimizes = False
        source = "made up"
        size: float
        norm: str = "l2"

        def search(self, problem: Problem) -> Tensor:
            return shifted(problem.norm, self.size)

    yield Overshooting
    base.ATTACKS.remove("overshooting")


@pytest.mark.parametrize("norm", BUDGETS, ids=str)
def test_what_a_search_returns_counts_up_to_its_budget_and_not_beyond(overshooting: type[Attack], norm: Norm) -> None:
    target, x, budget = PlainTarget(bright, 2, SHAPE), torch.zeros(SHAPE), BUDGETS[norm]
    sizes = {"within": budget - (norm is Norm.L0 or 0.01), "at": budget, "beyond": budget + (norm is Norm.L0 or 0.01)}
    found = {name: overshooting(size, norm.spelling).run(target, x, 0, budget) for name, size in sizes.items()}
    for name in ("within", "at"):
        assert found[name] is not None
        assert distance(x, found[name], norm) == pytest.approx(sizes[name])
    assert found["beyond"] is None
    assert bool(target.decide(shifted(norm, sizes["beyond"]).unsqueeze(0)) == 1), "it is adversarial all the same"


def test_a_candidate_beyond_the_budget_is_not_asked_for() -> None:
    """It is refused before the classifier is asked, whose answers are counted."""
    target = PlainTarget(bright, 2, SHAPE)
    problem = Problem(target, torch.zeros(1, *SHAPE), 0, None, Norm.L2, 0.5, 0)
    before = target.queries.decisions
    assert problem.accepted(shifted(Norm.L2, 0.51)) is None
    assert target.queries.decisions == before
    assert problem.accepted(shifted(Norm.L2, 0.5)) is not None
    assert target.queries.decisions == before + 1


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF], ids=str)
def test_what_is_taken_back_is_rounding_and_no_more(norm: Norm) -> None:
    x, budget = torch.zeros(SHAPE), BUDGETS[norm]
    rounded = within(x, shifted(norm, budget * (1 + 5e-5)), norm, budget)
    assert rounded is not None
    assert budget * (1 - 2e-4) < distance(x, rounded, norm) <= budget
    assert within(x, shifted(norm, budget * (1 + 2e-4)), norm, budget) is None
    assert within(x, shifted(norm, math.nan), norm, budget) is None


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF], ids=str)
@pytest.mark.parametrize("budget", [1e-6, 0.001, 0.003, 0.03, 8 / 255, 0.3, 8.0])
def test_a_photograph_keeps_a_step_of_the_whole_budget(norm: Norm, budget: float) -> None:
    """Of 150,000 values some are always rounded the wrong way; the whole step was refused for most budgets."""
    source = torch.Generator().manual_seed(0)
    for _ in range(5):
        x = torch.randint(0, 256, (3, 224, 224), generator=source) / 255
        step = torch.randn(x.shape, generator=source)
        step = budget * (step.sign() if norm is Norm.LINF else step / step.norm())
        kept = within(x, x + step, norm, budget)
        assert kept is not None
        assert distance(x, kept, norm) <= budget
        assert distance(x + step, kept, norm) < 0.02 * budget + 2e-7 * float(x.norm())


def test_pixels_are_not_rounded() -> None:
    x = torch.zeros(SHAPE)
    assert within(x, shifted(Norm.L0, 2), Norm.L0, 2.0) is not None
    assert within(x, shifted(Norm.L0, 3), Norm.L0, 2.99999) is None


class Coarse(PlainTarget):
    """A classifier that takes halves alone, to which candidates are moved: further away than they were."""

    def admissible(self, x: Tensor, candidates: Tensor) -> Tensor:
        return (candidates * 2).ceil() / 2


@pytest.mark.parametrize(("budget", "counts"), [(0.5, True), (0.4, False)])
def test_what_the_classifier_takes_in_its_place_is_within_the_budget_too(budget: float, counts: bool) -> None:
    """0.3 is within both budgets, and is moved to 0.5, which is within one of them."""
    target, x = Coarse(bright, 2, SHAPE), torch.zeros(1, *SHAPE)
    found = Problem(target, x, 0, None, Norm.LINF, budget, 0).accepted(shifted(Norm.LINF, 0.3))
    if counts:
        assert found is not None
        assert float(found.max()) == 0.5
    else:
        assert found is None


@pytest.mark.parametrize("norm", BUDGETS, ids=str)
def test_without_a_budget_every_adversarial_counts(norm: Norm) -> None:
    problem = Problem(PlainTarget(bright, 2, SHAPE), torch.zeros(1, *SHAPE), 0, None, norm, math.inf, 0)
    assert problem.accepted(shifted(norm, 1.0)) is not None
    assert problem.accepted(torch.zeros(SHAPE)) is None, "not adversarial"
    assert problem.accepted(torch.full(SHAPE, math.nan)) is None
    assert problem.accepted(None) is None
