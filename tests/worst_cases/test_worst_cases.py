"""For every noise and theorem: just inside the radius the class stays, and just beyond it a base classifier changes it.

Probabilities are exact or enclosed, so nothing here fails by chance, but for one simulation of each, at 6 deviations.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from noise_cases import draws

from holdfast.errors import UsageError
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import NOISES, AdditiveNoise, Noise, find_guarantee, guarantees_of, noise_names
from holdfast.noises.blocks import Blocks
from holdfast.noises.channel_flip import ChannelFlip
from holdfast.noises.columns import Columns
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.partition import Partition
from holdfast.noises.splitting import Splitting
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.types import ClassBounds
from holdfast.worst_cases import find_worst_case, known_worst_cases
from holdfast.worst_cases.base import NUM_CLASSES, RIVAL, TOP, WorstCase
from holdfast.worst_cases.slab import robust_everywhere

# Every noise of the package, with an input that it can smooth. A new noise needs a worst case, and a line here.
CASES: dict[str, list[tuple[Noise, tuple[int, ...]]]] = {
    "gaussian": [(Gaussian(0.5), (1, 4, 4)), (Gaussian(1.5), (7,))],
    "lattice-gaussian": [(LatticeGaussian(0.25), (1, 4, 4)), (LatticeGaussian(0.5, levels=17), (5,))],
    "laplace": [(Laplace(0.3), (1, 4, 4)), (Laplace(2.0), (7,))],
    "uniform": [(Uniform(0.5), (1, 3, 3)), (Uniform(2.0), (2,))],
    "ablation": [(Ablation(3), (1, 3, 3)), (Ablation(2), (8,))],
    "partition": [(Partition(2), (1, 4, 4)), (Partition(1), (9,))],
    "columns": [(Columns(2), (1, 4, 12)), (Columns(1), (3, 2, 7))],
    "blocks": [(Blocks(2), (1, 9, 7)), (Blocks(1), (2, 3, 8))],
    "splitting": [(Splitting(0.25, levels=17), (1, 4, 4)), (Splitting(0.3), (5,))],
    "channel-flip": [(ChannelFlip(0.8, levels=3), (1, 3, 3)), (ChannelFlip(0.8, levels=2), (2, 1, 5))],
    "uniform-flip": [(UniformFlip(0.8, levels=3), (1, 3, 3)), (UniformFlip(0.8, levels=2), (12,))],
}
PAIRS = [(0.6, None), (0.9, None), (0.99, None), (0.999, None), (0.7, 0.1), (0.9, 0.05), (0.4, 0.2), (0.99, 0.001)]
ALL = [
    (noise, shape, theorem.name, *pair)
    for name in CASES
    for noise, shape in CASES[name]
    for theorem in guarantees_of(noise)
    for pair in PAIRS
]


def inputs(noise: Noise, shape: tuple[int, ...]) -> np.ndarray:
    levels = noise.grid or 256
    return np.random.default_rng(1).integers(0, levels, shape) / (levels - 1)


def case_of(noise: Noise, shape: tuple[int, ...], theorem: str, top: float, rival: float | None) -> WorstCase:
    return find_worst_case(noise, inputs(noise, shape), top, rival, theorem)


def arc(marked: np.ndarray) -> int:
    """The least length of a range of places that holds all marked ones and may go on at the other end."""
    return min(int(np.flatnonzero(np.roll(marked, k)).max(initial=-1)) + 1 for k in range(len(marked)))


def test_every_theorem_of_every_noise_has_a_worst_case() -> None:
    own = {name for name in noise_names() if NOISES.find(name).__module__.startswith("holdfast.noises")}
    assert own == set(CASES), "a new noise needs a worst case in holdfast.worst_cases, and an input here"
    wanted = {(name, theorem.name) for name in CASES for theorem in guarantees_of(CASES[name][0][0])}
    assert wanted <= set(known_worst_cases())
    additive = {name for name in CASES if isinstance(CASES[name][0][0], AdditiveNoise)}
    assert additive == {"gaussian", "laplace", "uniform"}


@pytest.mark.parametrize(("noise", "shape", "theorem", "top", "rival"), ALL)
def test_the_class_stays_just_inside_and_changes_just_beyond(
    noise: Noise, shape: tuple[int, ...], theorem: str, top: float, rival: float | None
) -> None:
    case = case_of(noise, shape, theorem, top, rival)
    assert case.bounds.p_lower > case.bounds.p_upper
    assert case.answer(0.0) == TOP
    assert case.answer(case.inside) == TOP, "the theorem"
    sizes = np.linspace(0.0, case.inside, 7) if case.unit is None else np.arange(0.0, case.inside + 1e-9, case.unit)
    assert all(case.answer(size) == TOP for size in sizes)
    if case.tight:
        assert case.answer(case.beyond) != TOP, "no theorem can certify more"
        assert not case.why
        if case.unit is None:
            assert case.radius == pytest.approx(case.turning, rel=1e-9)
            assert case.answer(case.turning * 1.0001) == RIVAL
    else:
        assert case.why
        assert case.radius < case.turning
        assert case.answer(case.turning * (1 - 1e-8)) == TOP
        assert case.answer(case.turning * (1 + 1e-8)) == RIVAL


def test_only_the_older_theorems_are_not_tight() -> None:
    loose = {
        (noise.name, theorem) for noise, shape, theorem, *pair in ALL if not case_of(noise, shape, theorem, *pair).tight
    }
    assert loose == {("gaussian", "lecuyer"), ("gaussian", "li"), ("laplace", "dwork")}
    two = {case_of(noise, shape, "dwork", top, None).tight for noise, shape in CASES["laplace"] for top in (0.6, 0.9)}
    assert two == {True}, "with two classes it is"


@pytest.mark.parametrize(
    ("noise", "shape", "theorem", "top", "rival"),
    [
        (noise, shape, theorem.name, *pair)
        for name in CASES
        for noise, shape in CASES[name]
        for theorem in guarantees_of(noise)[:1]
        for pair in [(0.9, None), (0.7, 0.1)]
    ]
    + [(Uniform(0.5), (1, 3, 3), "overlap_linf", 0.8, 0.1), (Gaussian(0.5), (1, 4, 4), "cohen_linf", 0.8, 0.1)],
)
def test_the_classifier_has_these_probabilities(
    noise: Noise, shape: tuple[int, ...], theorem: str, top: float, rival: float | None
) -> None:
    case = case_of(noise, shape, theorem, top, rival)
    num = 20_000
    for size in (0.0, case.inside, case.beyond):
        x = torch.from_numpy(case.changed(size)).float()
        exact = case.probabilities(size)
        count = noise.realizations(shape)
        if count is not None:
            noisy = noise.apply(x.unsqueeze(0), noise.enumerate(x, 0, count)).numpy()
            votes = np.bincount(case.classify(noisy), minlength=NUM_CLASSES)
            for label, p in zip((TOP, RIVAL), exact, strict=True):
                share = Fraction(int(votes[label]), count)
                assert Fraction(p.lower) <= share <= Fraction(p.upper)
            continue
        noisy = noise.sample(x, draws(num, 3)).numpy()
        votes = np.bincount(case.classify(noisy), minlength=NUM_CLASSES)
        for label, p in zip((TOP, RIVAL), exact, strict=True):
            middle = (p.lower + p.upper) / 2
            assert votes[label] / num == pytest.approx(middle, abs=6 * math.sqrt(0.25 / num))


@pytest.mark.parametrize("seed", range(3))
def test_theorem_2_holds_in_every_direction(seed: int) -> None:
    direction = np.random.default_rng(seed).normal(size=(3, 2, 2))
    case = find_worst_case(Gaussian(0.7), np.zeros((3, 2, 2)), 0.8, 0.1, direction=direction)
    assert case.answer(case.inside) == TOP
    assert case.answer(case.beyond) == RIVAL
    moved = case.changed(0.3)
    assert np.linalg.norm(moved) == pytest.approx(0.3)
    assert float((moved * direction).sum()) == pytest.approx(0.3 * np.linalg.norm(direction))


def test_the_size_of_a_change_is_that_of_the_norm() -> None:
    norms: dict[str, Callable[[np.ndarray], float]] = {
        "L1": lambda d: np.abs(d).sum(),
        "L2": lambda d: math.sqrt((d**2).sum()),
        "Linf": lambda d: np.abs(d).max(),
        "L0": lambda d: float(np.count_nonzero(d.reshape(d.shape[0], -1).any(axis=0) if d.ndim > 1 else d)),
        "patch": lambda d: float(max(arc(d.any(axis=(0, 2))), arc(d.any(axis=(0, 1))))),
    }
    for noise, shape, theorem, top, rival in ALL:
        case = case_of(noise, shape, theorem, top, rival)
        for size in (case.inside, case.beyond):
            if case.turning >= size or case.unit is None:
                moved = case.changed(size) - case.x
                assert norms[case.theorem.norm.value](moved) == pytest.approx(size, rel=1e-9, abs=1e-12)


def test_no_other_set_loses_more_than_the_half_space() -> None:
    # Lemma 4: half-spaces, balls, slabs and boxes of the same probability at x, in two dimensions, by quadrature.
    case = find_worst_case(Gaussian(1.0), np.zeros(2), 0.8, direction=np.array([1.0, 0.0]))
    grid = np.linspace(-8, 9, 681)
    first, second = np.meshgrid(grid, grid, indexing="ij")
    cell = (grid[1] - grid[0]) ** 2 / (2 * math.pi)
    at_x = np.exp(-(first**2 + second**2) / 2) * cell
    at_other = np.exp(-((first - 0.7) ** 2 + second**2) / 2) * cell
    least = case.probabilities(0.7)[0].lower
    orders = [first, second, first + second, -first, first**2 + second**2, (first - 1) ** 2 + second**2, np.abs(first)]
    for order in orders:
        ranked = np.argsort(order.ravel())
        taken = ranked[: int(np.searchsorted(np.cumsum(at_x.ravel()[ranked]), 0.8))]
        assert at_other.ravel()[taken].sum() >= least - 1e-2
    half_line = np.argsort(first.ravel(), kind="stable")
    taken = half_line[: int(np.searchsorted(np.cumsum(at_x.ravel()[half_line]), 0.8))]
    assert at_other.ravel()[taken].sum() == pytest.approx(least, abs=1e-2)


def test_neyman_and_pearson_on_a_finite_space() -> None:
    # Lemma 3 over all 2^9 sets: S = {q/p <= t} loses most, and {q/p >= t} gains most, exactly.
    random = np.random.default_rng(5)
    for _ in range(3):
        p, q = ([Fraction(int(v), int(w.sum())) for v in w] for w in random.integers(1, 30, (2, 9)))
        sets = list(product((False, True), repeat=9))
        at_x = [sum((p[i] for i in range(9) if chosen[i]), Fraction(0)) for chosen in sets]
        at_y = [sum((q[i] for i in range(9) if chosen[i]), Fraction(0)) for chosen in sets]
        for t in {b / a for a, b in zip(p, q, strict=True)}:
            low = tuple(b / a <= t for a, b in zip(p, q, strict=True))
            high = tuple(b / a >= t for a, b in zip(p, q, strict=True))
            here = {name: sets.index(name) for name in (low, high)}
            for mass, after in zip(at_x, at_y, strict=True):
                if mass >= at_x[here[low]]:
                    assert after >= at_y[here[low]]
                if mass <= at_x[here[high]]:
                    assert after <= at_y[here[high]]


@pytest.mark.parametrize("tau", [1e-9, 0.001, 0.3, 2.0])
def test_proposition_6_robust_everywhere_and_hardly_certified(tau: float) -> None:
    noise = Gaussian(0.5)
    case = robust_everywhere(noise, np.full((1, 2, 2), 0.5), tau)
    assert case.radius == pytest.approx(tau, rel=1e-5)
    assert case.radius <= tau * (1 + 1e-5)
    assert all(case.answer(size) == TOP for size in (0.0, tau, 2 * tau, 0.1, 1.0, 100.0))
    # Lemma 5: nowhere has the slab more than in its middle.
    middle = case.probabilities(0.0)[1].upper
    assert all(case.probabilities(size)[1].lower <= middle for size in np.geomspace(1e-6, 10.0, 20))
    noisy = noise.sample(torch.from_numpy(case.x).float(), draws(20_000, 2)).numpy()
    assert (case.classify(noisy) == RIVAL).mean() == pytest.approx(middle, abs=0.022)


def test_the_quantile_theorem_of_laplace_noise_is_never_below_the_older_one() -> None:
    noise, more = Laplace(0.4), 0
    old, new = (find_guarantee(noise, name).radius for name in ("dwork", "quantiles"))
    for p, q in product(np.linspace(0.01, 0.999, 60), np.linspace(0.001, 0.49, 60)):
        if p > q and p + q <= 1:
            bounds = ClassBounds(0, float(p), float(q))
            first, second = old(noise, bounds, (1,)), new(noise, bounds, (1,))
            assert second >= first - 1e-11
            more += second > first + 1e-3
    assert more > 500
    assert new(noise, ClassBounds(0, 0.4, 0.5), (1,)) is None
    assert new(noise, ClassBounds(0, 1.0, 0.0), (1,)) == math.inf


def test_the_quantile_theorem_holds_for_changes_of_several_values() -> None:
    # Two values change; the set that loses most has the largest ratio of densities (Lemma 3), found on a fine grid.
    noise, p_top, shift = Laplace(1.0), 0.8, (0.35, 0.25)
    grid = (np.arange(-1200, 1200) + 0.5) / 60
    before = [np.exp(-np.abs(grid)) / 120 for _ in range(2)]
    after = [np.exp(-np.abs(grid - s)) / 120 for s in shift]
    here, there = np.outer(*before).ravel(), np.outer(*after).ravel()
    ranked = np.argsort(there / here, kind="stable")
    taken = ranked[: int(np.searchsorted(np.cumsum(here[ranked]), p_top))]
    line = find_worst_case(noise, np.zeros(2), p_top, theorem="quantiles").probabilities(sum(shift))[0].lower
    assert there[taken].sum() >= line - 2e-4


@pytest.mark.parametrize(
    ("noise", "top", "rival", "theorem", "direction", "match"),
    [
        (Gaussian(1.0), 0.4, None, None, None, "larger one of two"),
        (Gaussian(1.0), 0.9, 0.2, None, None, "sum is at most 1"),
        (Gaussian(1.0), 1.0, None, None, None, "reaches everywhere"),
        (Gaussian(1.0), 0.9, None, None, np.zeros(4), "one that is not 0"),
        (Gaussian(1.0), 0.9, None, None, np.ones(3), "shape of the input"),
        (Laplace(1.0), 0.9, None, None, np.ones(4), "changes 4"),
        (Uniform(1.0), 0.9, None, "overlap_linf", np.arange(1.0, 5.0), "same amount"),
        (Ablation(2, null="mean", fill=(0.5,)), 0.9, None, None, None, "multichannel"),
        (Ablation(2), 0.9, None, None, np.ones(3), "shape of the input"),
        (Columns(2, null="mean", fill=(0.5,)), 0.9, None, None, None, "multichannel"),
        (Splitting(0.5), 0.9, None, None, np.ones(4), "changes 4"),
        (Splitting(4.0, levels=17), 0.9, None, None, None, "of the 128 offsets"),
    ],
)
def test_what_has_no_worst_case_is_refused(
    noise: Noise, top: float, rival: float | None, theorem: str | None, direction: np.ndarray | None, match: str
) -> None:
    with pytest.raises(UsageError, match=match):
        find_worst_case(noise, np.zeros(4), top, rival, theorem, direction)


def test_where_no_pixel_is_left_the_theorem_states_no_more() -> None:
    case = find_worst_case(UniformFlip(0.6, levels=2), np.zeros(6), 0.999)
    assert (case.radius, case.tight) == (6.0, False)
    assert "6 pixels at most" in case.why
    assert case.answer(6.0) == TOP


def test_where_a_value_has_no_room_the_worst_case_says_so() -> None:
    end = np.array([1.0, 0.0, 0.0, 0.0])
    case = find_worst_case(Splitting(0.25, levels=17), end, 0.9, direction=np.array([1.0, 0.0, 0.0, 0.0]))
    assert (case.turning, case.tight) == (math.inf, False)
    assert "can move by 0 steps" in case.why
    back = find_worst_case(Splitting(0.25, levels=17), end, 0.9, direction=np.array([-1.0, 0.0, 0.0, 0.0]))
    assert back.tight
    assert back.turning == back.beyond


def test_a_slab_without_width_is_refused() -> None:
    with pytest.raises(UsageError, match="positive"):
        robust_everywhere(Gaussian(1.0), np.zeros(2), 0.0)
