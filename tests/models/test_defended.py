"""Defences that hide gradients, and the targets that adversaries make of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.attacks import Access, attack_from_dict
from holdfast.attacks.check import Check, verify
from holdfast.attacks.defended import DefendedTarget
from holdfast.attacks.target import MOST_LEVEL
from holdfast.data import open_data
from holdfast.errors import ClassifierError, UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.defended import Defence, Defended, RandomResized
from holdfast.models.bundle import load_bundle
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import Standard
from holdfast.workflows.train import begun_bundle

DATA = open_data("digits", None, "train", {})
TEST = open_data("digits", None, "test", {})


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A classifier of digits in four shades."""
    out = tmp_path_factory.mktemp("defended") / "quantized.safetensors"
    info = begun_bundle(DATA, None, "quantized:levels=4")
    assert info.input_space.mean is None
    train(info, TrainConfig(8, 32, "adamw", 0.003, 0.0, recipe=Standard()), DATA, out)
    return load_bundle(out)


def target(bundle, seed=0):
    return DefendedTarget(bundle.module, 10, (1, 8, 8), seed=seed)


def test_quantized_values_are_levels_and_have_no_gradient():
    module = build("quantized", (1, 8, 8), 10, {"levels": 3})
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    seen = module.defence.apply_draws(x, module.defence.draw(2, None, x.device))
    assert set(seen.detach().unique().tolist()) <= {0.0, 0.5, 1.0}
    module(x).sum().backward()
    assert float(x.grad.abs().sum()) == 0.0


def test_binarized_cnn_sees_zero_and_one():
    module = build("binarized-cnn", (1, 28, 28), 10)
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(module(x), module((x >= 0.5).float()))


def test_resized_images_are_shrunk_copies_in_a_black_frame():
    module = build("random-resized", (1, 8, 8), 10, {"least": 0.5})
    defence = module.defence
    x = 0.5 + 0.5 * torch.rand(40, 1, 8, 8)
    draws = defence.draw(40, torch.Generator().manual_seed(0), x.device)
    sizes, top, left = draws.unbind(dim=1)
    assert set(sizes.tolist()) == {4.0, 5.0, 6.0, 7.0, 8.0}
    seen = defence.apply_draws(x, draws)
    for each, size, first, column in zip(seen[:, 0], sizes.int(), top.int(), left.int(), strict=True):
        inside = each[first : first + size, column : column + size]
        assert (inside >= 0.5).all()
        assert int((each > 0).sum()) == int(size) ** 2
    torch.testing.assert_close(defence.apply_draws(x, defence.still(40, x.device)), x)


@pytest.mark.parametrize(
    ("name", "shape", "arguments", "message"),
    [
        ("quantized", (1, 8, 8), {"levels": 1}, "levels"),
        ("random-resized", (1, 8, 9), {}, "square"),
        ("random-resized", (1, 8, 8), {"least": 0.0}, "least"),
        ("random-resized", (1, 8, 8), {"least": 0.9, "most": 0.5}, "most"),
        ("random-resized", (1, 8, 8), {"least": 0.51, "most": 0.52}, "whole size"),
        ("binarized-cnn", (5,), {}, "takes images"),
    ],
)
def test_what_cannot_be_built(name, shape, arguments, message):
    with pytest.raises(UsageError, match=message):
        build(name, shape, 10, arguments)


def test_rounding_hides_from_pgd_and_from_nothing_else(quantized):
    broken = {"pgd": 0, "bpda": 0, "nattack": 0}
    described = {
        "pgd": {"name": "pgd", "steps": 20},
        "bpda": {"name": "bpda", "steps": 40, "samples": 1},
        "nattack": {"name": "nattack", "steps": 100, "population": 100},
    }
    images = [TEST[index] for index in range(12)]
    right = [e for e in images if int(target(quantized).decide(torch.from_numpy(e.x)[None])[0]) == e.label]
    assert len(right) >= 9
    for name, description in described.items():
        for example in right:
            x = torch.from_numpy(example.x)
            found = attack_from_dict(description).run(target(quantized), x, example.label, 0.25, seed=example.index)
            broken[name] += found is not None
    assert broken["pgd"] <= 3
    assert broken["bpda"] >= len(right) - 2
    assert broken["nattack"] >= len(right) - 2


def test_a_random_defence_keeps_its_draws_until_it_is_renewed():
    torch.manual_seed(0)
    module = build("random-resized", (1, 8, 8), 10, {"least": 0.5}).eval()
    made = DefendedTarget(module, 10, (1, 8, 8), seed=1)
    x = torch.from_numpy(TEST.batch(np.arange(60)))
    assert made.gives is Access.GRADIENTS
    assert not made.deterministic
    assert torch.equal(made.decide(x), made.decide(x)), "the same draws, until it is renewed"
    assert len({tuple(made.renewed(seed)._draws[0].tolist()) for seed in range(5)}) > 1
    assert made.queries.decisions == 120
    assert made.renewed(3).queries.decisions == 0
    source = torch.Generator().manual_seed(0)
    logits = made.surrogate(x[:2].requires_grad_(), 16, source)
    assert logits.shape == (2, 16, 10)
    assert float(logits.detach().std(dim=1).max()) > 0
    assert made.scores(x[:3]).shape == (3, 10)


class OneSize(torch.nn.Module):
    """Class 1 for the one of the five sizes of `RandomResized(8, 4, 8)` that fills the frame, class 0 otherwise."""

    def forward(self, x):
        filled = (x[:, 0, :, -1].amin(dim=1) * x[:, 0, -1].amin(dim=1) * x[:, 0, 0].amin(dim=1) > 0).float()
        return torch.stack([0.5 - filled, filled - 0.5], dim=1)


def test_one_lucky_draw_of_a_random_defence_is_no_adversarial():
    """White images get class 1 from one draw in five, or so: searches hardly claim it, fresh draws refuse it."""
    made = DefendedTarget(Defended(RandomResized(8, 4, 8), OneSize()).eval(), 2, (1, 8, 8))
    white = torch.ones(1, 8, 8)
    assert {made.answers(white, 1, seed).classes[0] for seed in range(40)} == {0, 1}
    # P(Binomial(20, 1/5) >= 10) = .0026.
    assert sum(bool(made.renewed(seed).loses(white[None], 0, None)[0]) for seed in range(40)) <= 2
    for seed in range(10):
        verdict, queries = verify(made, white, 0, None, Check(), 1, seed)
        assert not verdict.holds
        assert (verdict.repeats, verdict.votes.total, verdict.silent) == (50, 50, 0)
        assert (queries.decisions, queries.samples) == (50, 50)
    verdict, _ = verify(made, white, 1, None, Check(), 1, seed=1)
    assert (verdict.holds, verdict.answer, verdict.kind(1)) == (True, 0, "misclassified")


class Shifted(Defence):
    """A value less a uniform draw from [0, 1]: `Sign` answers 1 to the value v with probability v."""

    random = True
    differentiable = True

    def draw(self, count, generator, device):
        return torch.rand((count, 1), generator=generator, device=device)

    def still(self, count, device):
        return torch.zeros((count, 1), device=device)

    def apply_draws(self, x, draws):
        return x - draws


class Sign(torch.nn.Module):
    """Class 1 above 0, class 0 below."""

    def forward(self, x):
        return torch.cat([-x, x], dim=1)


def shifted(seed=0):
    return DefendedTarget(Defended(Shifted(), Sign()).eval(), 2, (1,), seed=seed)


def test_a_clearer_search_finds_what_fresh_draws_confirm():
    """A first search stops where half of its draws fail; the next ones where most of many draws fail."""
    attack = attack_from_dict({"name": "nattack", "steps": 400, "population": 20, "spread": 0.02, "rate": 0.005})
    held = []
    for level in range(MOST_LEVEL + 1):
        found = [
            attack.run(shifted().renewed(seed, level), torch.tensor([0.1]), 0, 0.85, seed=seed) for seed in range(24)
        ]
        assert all(each is not None for each in found)
        held.append(sum(verify(shifted(), each, 0, None, Check(100, 0.95), 4, seed=7)[0].holds for each in found))
    assert held[0] <= 18
    assert held[1] > held[0]
    assert held[2:] == [24, 24], held


def test_the_levels_want_a_larger_share_of_more_draws():
    values = torch.linspace(0, 1, 101)[:, None]
    least, drawn = [], []
    for level in range(MOST_LEVEL + 1):
        targets = [shifted().renewed(seed, level) for seed in range(40)]
        least.append(np.mean([1 - float(each.loses(values, 0, None).double().mean()) for each in targets]))
        drawn.append(targets[0].queries.samples // len(values))
    assert drawn == sorted(set(drawn))
    # Means over 40 searches of order statistics of uniform draws: their standard deviations are .018 and less.
    assert least == pytest.approx([0.48, 0.64, 0.74, 0.845], abs=0.07)
    clear = shifted().renewed(0, MOST_LEVEL)
    assert clear.decide(torch.tensor([[0.3], [0.7]])).tolist() == [0, 1]
    assert clear.loses(torch.tensor([[0.3], [0.7], [0.99]]), 0, 1).tolist() == [False, False, True]
    assert clear.loses(torch.tensor([[0.01], [0.7]]), 1, None).tolist() == [True, False]


def test_inputs_that_are_scored_together_get_the_same_draws():
    made = shifted()
    first, second = made.scores(torch.full((5, 1), 0.5)), made.scores(torch.full((5, 1), 0.5))
    assert len(first.unique(dim=0)) == 1
    assert not torch.equal(first, second)
    torch.testing.assert_close(first.logsumexp(dim=1), torch.zeros(5))


def test_a_defence_in_training_mode_is_refused():
    with pytest.raises(ClassifierError, match="training mode"):
        DefendedTarget(build("quantized", (1, 8, 8), 10), 10, (1, 8, 8))


def test_a_classifier_without_a_defence_is_no_such_target():
    with pytest.raises(UsageError, match="has no defence"):
        DefendedTarget(build("fc", (1, 8, 8), 10), 10, (1, 8, 8))


def test_noise_in_the_place_of_an_attack(quantized):
    x = torch.from_numpy(TEST[0].x)
    label = int(target(quantized).decide(x[None])[0])
    small = attack_from_dict({"name": "gaussian-noise", "deviation": 1e-6})
    large = attack_from_dict({"name": "gaussian-noise", "deviation": 5.0})
    assert small.run(target(quantized), x, label) is None
    found = [large.run(target(quantized), x, label, seed=seed) for seed in range(10)]
    assert any(each is not None and float(each.max()) <= 1.0 for each in found)
    with pytest.raises(UsageError, match="deviation"):
        attack_from_dict({"name": "gaussian-noise", "deviation": 0.0})
