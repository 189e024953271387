"""Defences with randomness inside a network, encodings, projections and detectors, and what adversaries see of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from holdfast.attacks import attack_from_dict
from holdfast.attacks.base import Problem
from holdfast.attacks.check import Check, verify
from holdfast.attacks.defended import DefendedTarget
from holdfast.attacks.target import ABSTAINS
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.dimension import dimension
from holdfast.models.architectures.projected import Generator
from holdfast.models.architectures.pruned import pruned
from holdfast.models.architectures.rejecting import Rejecting
from holdfast.models.architectures.seeded import STILL, mixed, normal, uniform
from holdfast.types import Norm

SHAPE = (1, 8, 8)
MADE = {
    "thermometer": {"levels": 4},
    "pruned": {"share": 0.5},
    "self-ensemble": {"copies": 3},
    "region-based": {"copies": 5, "radius": 0.2},
    "projected": {"codes": 4, "hidden": 16, "steps": 5},
    "dimension-detector": {"references": 12, "neighbours": 5},
}


def made(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(name, SHAPE, 10, MADE[name]).eval()


def seeds(count: int) -> torch.Tensor:
    return torch.randint(2**62, (count,), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", sorted(MADE))
def test_an_answer_depends_on_an_input_and_its_draws_alone(name: str) -> None:
    module, x = made(name), torch.rand(6, *SHAPE)
    draws = module.draw(6, torch.Generator().manual_seed(1), x.device)
    whole = module.under(x, draws)
    alone = torch.cat([module.under(x[i : i + 1], draws[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=1e-5)
    assert torch.equal(whole, module.under(x, draws))
    assert module.random == (name in ("pruned", "self-ensemble", "region-based"))
    if name in ("pruned", "self-ensemble"):
        assert not torch.equal(module(x), module(x))


@pytest.mark.parametrize("name", sorted(MADE))
def test_useful_gradients_come_with_the_same_answers(name: str) -> None:
    module, x = made(name), torch.rand(6, *SHAPE, requires_grad=True)
    draws = module.draw(6, torch.Generator().manual_seed(1), x.device)
    revealed = module.revealing(x, draws)
    if name != "region-based":
        torch.testing.assert_close(revealed, module.under(x, draws))
    revealed[:, 0].sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0.0


@pytest.mark.parametrize("name", ["thermometer", "projected"])
def test_steps_and_searches_have_no_gradient(name: str) -> None:
    x = torch.rand(6, *SHAPE, requires_grad=True)
    made(name)(x).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) == 0.0


@pytest.mark.parametrize("name", ["pruned", "self-ensemble", "region-based"])
def test_still_draws_are_the_bare_network(name: str) -> None:
    module, x = made(name), torch.rand(4, *SHAPE)
    bare = module.classifier(x)
    found = module.revealing(x, module.still(4, x.device))
    torch.testing.assert_close(found.log_softmax(dim=1), bare.log_softmax(dim=1))


def test_numbers_from_seeds_are_uniform_normal_and_independent() -> None:
    flat = uniform(seeds(400), 0, 500).double()
    assert float(flat.min()) > 0.0
    assert float(flat.max()) < 1.0
    # Kolmogorov-Smirnov at about 1e-6; correlations of 400 pairs of rows or columns within five deviations.
    ordered = flat.flatten().sort().values
    assert float((ordered - torch.linspace(0, 1, ordered.numel(), dtype=torch.float64)).abs().max()) < 2.7 / math.sqrt(
        ordered.numel()
    )
    other = uniform(seeds(400) + 1, 0, 500).double()
    layers = uniform(seeds(400), 1, 500).double()
    for first, second in ((flat[:, :-1], flat[:, 1:]), (flat[:-1], flat[1:]), (flat, other), (flat, layers)):
        pair = torch.stack([first.flatten(), second.flatten()])
        assert abs(float(torch.corrcoef(pair)[0, 1])) < 5.0 / math.sqrt(pair.shape[1])
    values = normal(seeds(400), 2, 500)
    assert float(values.mean()) == pytest.approx(0.0, abs=5.0 / math.sqrt(200_000))
    assert float(values.var()) == pytest.approx(1.0, abs=5.0 * math.sqrt(2.0 / 200_000))


def test_the_mixing_is_that_of_splitmix64() -> None:
    def exact(word: int) -> int:
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) % 2**64
        return word ^ (word >> 31)

    words = [0, 1, 2**63 - 1, 12345678901234567]
    assert [word % 2**64 for word in mixed(torch.tensor(words)).tolist()] == [exact(word) for word in words]


def test_pruning_keeps_the_mean_and_the_published_probability() -> None:
    values = torch.tensor([[4.0, 3.0, 2.0, 1.0, 0.0]]).repeat(20_000, 1)
    found = pruned(values, seeds(20_000), 0, 0.6)
    share = values[0] / values[0].sum()
    kept = 1.0 - (1.0 - share) ** 3
    deviation = (kept * (1 - kept) / 20_000).sqrt()
    assert ((found > 0).double().mean(dim=0) - kept).abs().le(5 * deviation + 1e-9).all()
    torch.testing.assert_close(found[0][found[0] > 0], (values[0] / kept)[found[0] > 0])
    torch.testing.assert_close(found.mean(dim=0), values[0], atol=0.15, rtol=0.0)
    assert torch.equal(pruned(values[:1], torch.tensor([STILL]), 0, 0.6), values[:1])
    assert torch.equal(pruned(torch.zeros(2, 5), seeds(2), 0, 1.0), torch.zeros(2, 5))


def test_a_thermometer_counts_thresholds() -> None:
    defence = made("thermometer").defence
    x = torch.tensor([0.0, 0.24, 0.25, 0.6, 1.0]).view(1, 1, 1, 5)
    seen = defence.apply_draws(x, torch.zeros(1, 0))
    assert seen[0, :, 0].T.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_votes_in_a_region_are_whole_and_all_there() -> None:
    module = made("region-based")
    votes = module(torch.rand(3, *SHAPE))
    assert torch.equal(votes, votes.round())
    assert votes.sum(dim=1).tolist() == [5.0] * 3


def test_the_slope_of_a_projection_is_that_of_the_distance() -> None:
    torch.manual_seed(0)
    generator, x = Generator(10, 3, 7).double(), torch.rand(4, 10, dtype=torch.float64)
    codes = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad((generator.decoded(codes) - x).square().sum(), codes)
    torch.testing.assert_close(generator.slope(codes, x), wanted)


def test_a_search_comes_nearer_than_the_encoder() -> None:
    defence, x = made("projected").defence, torch.rand(5, 64)
    start = (defence.generator.decoded(defence.generator.encoded(x)[0]) - x).square().sum(dim=1)
    end = (defence.generator.decoded(defence.code(x)) - x).square().sum(dim=1)
    assert (end < start).all()


def test_the_dimension_of_a_cube_is_found() -> None:
    """Estimates at the origin from the nearest of many uniform points: their mean is near the dimension."""
    source = torch.Generator().manual_seed(0)
    for wanted in (2, 5):
        found = [
            float(dimension(torch.zeros(1, wanted), 2 * torch.rand(4000, wanted, generator=source) - 1, 100)[0])
            for _ in range(20)
        ]
        assert np.mean(found) == pytest.approx(wanted, rel=0.1)
    same = dimension(torch.zeros(1, 3), torch.eye(3).repeat(4, 1), 5)
    assert bool(same.isfinite().all())


class Doubtful(Rejecting):
    """Class 1 above one half of a single value; rejects values between .46 and .56."""

    def classified(self, x):
        return torch.cat([0.5 - x, x - 0.5], dim=1)

    def suspicion(self, x):
        return (0.05 - (x[:, 0] - 0.51).abs()) * 10


def doubtful() -> DefendedTarget:
    return DefendedTarget(Doubtful().eval(), 2, (1,))


def test_a_rejection_is_neither_an_answer_nor_a_success() -> None:
    target = doubtful()
    x = torch.tensor([[0.1], [0.48], [0.54], [0.9]])
    assert target.decide(x).tolist() == [0, ABSTAINS, ABSTAINS, 1]
    assert target.loses(x, 0, None).tolist() == [False, False, False, True]
    assert target.scores(x).argmax(dim=1).tolist() == [0, 2, 2, 1]
    assert target.logits(x).shape == (4, 2), "a naive adversary knows no detector"
    problem = Problem(target, torch.tensor([[0.1]]), 0, None, Norm.LINF, 1.0, 0)
    assert (problem.margin(target.scores(x)) > 0).tolist() == [False, False, False, True]
    verdict, _ = verify(target, x[2], 0, None, Check(), 1, 0)
    assert not verdict.holds


def test_attacks_pass_by_a_detector_or_fail() -> None:
    x = torch.tensor([0.1])
    for attack in ({"name": "bpda", "samples": 1, "steps": 15}, {"name": "nattack", "population": 40, "steps": 60}):
        assert attack_from_dict(attack).run(doubtful(), x, 0, 0.45) is None, "all wrong answers are rejected"
        found = attack_from_dict(attack).run(doubtful(), x, 0, 0.7)
        assert found is not None
        assert float(found) >= 0.56


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("thermometer", {"levels": 1}, "levels"),
        ("pruned", {"share": 0.0}, "share"),
        ("pruned", {"copies": 0}, "copies"),
        ("self-ensemble", {"inner": -1.0}, "inner"),
        ("region-based", {"radius": math.inf}, "radius"),
        ("projected", {"steps": 0}, "steps"),
        ("dimension-detector", {"references": 5, "neighbours": 6}, "neighbours"),
    ],
)
def test_what_cannot_be_made(name: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, SHAPE, 10, arguments)
