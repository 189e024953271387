"""Analysis by synthesis: the answers are the optimum that they say, whatever else is in the batch."""

from __future__ import annotations

import copy

import pytest
import torch

from holdfast.attacks import Access, DefendedTarget, PlainTarget
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.synthesis import AnalysisBySynthesis

SHAPE = (1, 18, 18)


def made(name="abs", classes=3, shape=SHAPE, **arguments):
    """With random weights and statistics of batch normalization, in eval mode."""
    torch.manual_seed(1)
    module = build(name, shape, classes, {"starts": 40, "steps": 6, "step_size": 0.1, **arguments})
    module.train()
    for part in module.modules():
        if isinstance(part, AnalysisBySynthesis):
            for each in part.autoencoders:
                each.decode(each.encode(3.0 * torch.rand(8, *shape))[0] + torch.randn(8, part.latents))
    return module.eval()


@pytest.mark.parametrize("shape", [(1, 17, 17), (3, 18, 22), (1, 28, 28)])
def test_the_joined_layers_are_those_of_each_class(shape):
    module = made(shape=shape, latents=5)
    codes = torch.randn(4, 5)
    ready = module._prepared()
    for kind, autoencoder in enumerate(module.autoencoders):
        expected = autoencoder.decode(ready.codes[:4])
        assert expected.shape == (4, *shape)
        torch.testing.assert_close(ready.images[kind, :4], expected.flatten(1), rtol=1e-4, atol=1e-5)
        assert autoencoder.encode(torch.rand(2, *shape))[0].shape == (2, 5)
    assert not torch.equal(codes, ready.codes[:4])


def test_bounds_reach_the_optimum_of_a_search_on_a_grid():
    module = made(classes=2, latents=1, starts=50, steps=60, step_size=0.05)
    x = torch.rand(5, *SHAPE)
    grid = torch.linspace(-5, 5, 4001)[:, None]
    with torch.no_grad():
        found = module.bounds(x)
        for kind, autoencoder in enumerate(module.autoencoders):
            images = autoencoder.decode(grid).flatten(1)
            errors = (x.flatten(1)[:, None] - images).square().sum(dim=2) + 0.5 * grid[:, 0].square()
            torch.testing.assert_close(found[:, kind], -errors.amin(dim=1), rtol=0, atol=2e-3)


def test_steps_only_raise_bounds_and_only_of_the_refined_classes():
    x = torch.rand(6, *SHAPE)
    start = made(steps=0).bounds(x)
    every, two = made().bounds(x), made(refined=2).bounds(x)
    assert (every >= start - 1e-4).all()
    assert (every > start + 1e-3).any(dim=1).all()
    unchanged = (two - start).abs() < 1e-4
    assert (unchanged.sum(dim=1) >= 1).all()
    best = start.argsort(dim=1, descending=True)[:, :2]
    torch.testing.assert_close(two.gather(1, best), every.gather(1, best), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("refined", [0, 2])
def test_a_row_does_not_see_the_others(refined):
    module = made(refined=refined)
    x = torch.rand(5, *SHAPE)
    alone = torch.cat([module(row[None]) for row in x])
    torch.testing.assert_close(module(x), alone, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(module(x.flip(0)).flip(0), alone, rtol=1e-5, atol=1e-4)
    assert torch.equal(module(x), module(x))
    with torch.inference_mode():
        assert torch.equal(module(x), module(x.clone()))


def test_new_weights_replace_what_was_made_from_the_old_ones():
    one, x = made(), torch.rand(2, *SHAPE)
    torch.manual_seed(2)
    other = build("abs", SHAPE, 3, {"starts": 40, "steps": 6, "step_size": 0.1}).eval()
    before = one(x)
    one.load_state_dict(other.state_dict())
    assert torch.equal(one(x), other(x))
    assert not torch.allclose(one(x), before)
    doubled = copy.deepcopy(one).double()
    torch.testing.assert_close(doubled(x.double()).float(), one(x), rtol=1e-4, atol=1e-3)


def test_the_gradient_is_that_of_the_optimum():
    """By differences of bounds that are optimized anew, in double precision."""
    module = made(classes=2, latents=2, steps=300, step_size=0.02).double()
    x = torch.rand(1, *SHAPE, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module.bounds(x)[0, 1], x)
    direction = torch.randn(1, *SHAPE, dtype=torch.float64)
    step = 1e-3 * direction
    with torch.no_grad():
        change = module.bounds(x + step)[0, 1] - module.bounds(x - step)[0, 1]
    assert float(change) == pytest.approx(2 * float((gradient * step).sum()), rel=0.02)
    assert PlainTarget(made(), 3, SHAPE).gives is Access.GRADIENTS


def test_binarized_inputs_are_the_only_difference():
    module, x = made("binarized-abs"), torch.rand(4, *SHAPE)
    plain = made()
    plain.load_state_dict(module.classifier.state_dict())
    assert torch.equal(module(x), plain((x >= 0.5).float()))
    target = DefendedTarget(module, 3, SHAPE)
    assert target.deterministic
    assert torch.equal(target.decide(x), module(x).argmax(dim=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"starts": 0}, "starts"),
        ({"steps": -1}, "steps"),
        ({"latents": 0}, "latents"),
        ({"refined": 4}, "refined of .*abs is a whole number from 0 to 3"),
        ({"step_size": 0.0}, "step_size"),
    ],
)
@pytest.mark.parametrize("name", ["abs", "binarized-abs"])
def test_what_cannot_be_built(name, arguments, message):
    with pytest.raises(UsageError, match=message):
        build(name, SHAPE, 3, arguments)
    with pytest.raises(UsageError, match="at least 17 x 17"):
        build(name, (1, 16, 28), 3)
