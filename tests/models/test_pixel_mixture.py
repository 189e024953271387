"""The mixture of pixels against Bayes' rule written out, and its two ways to add up scores against each other."""

from __future__ import annotations

import math
import re

import pytest
import torch
from noise_cases import draws
from torch import Tensor

from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.pixel_mixture import KNOTS, PixelMixture
from holdfast.models.backends import Job, prepare
from holdfast.noises.ablation import Ablation

SHAPE = (2, 5, 6)


def mixture(shape: tuple[int, ...] = SHAPE, classes: int = 3, components: int = 4) -> PixelMixture:
    torch.manual_seed(1)
    module = build("pixel-mixture", shape, classes, {"components": components})
    assert isinstance(module, PixelMixture)
    with torch.no_grad():
        module.weights.copy_(torch.randn(classes * components))
        module.table.copy_(torch.randn_like(module.table))
    return module.eval()


def ablated(k: int, count: int = 20, channels: int = 1) -> Tensor:
    source = torch.Generator().manual_seed(k)
    x = torch.rand(channels, *SHAPE[1:], generator=source).mul(1.4).sub(0.2).clamp(0.0, 1.0)
    return Ablation(k).sample(x, draws(count, k))


def test_shares_of_knots_are_linear_between_two_and_one_in_all() -> None:
    module = mixture()
    shares = module.features(torch.tensor([*KNOTS, 0.1, 0.45]))
    torch.testing.assert_close(shares[: len(KNOTS)], torch.eye(len(KNOTS)))
    assert shares[-2].tolist() == pytest.approx([0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert shares[-1].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_are_the_mixture_written_out(channels: int) -> None:
    module = mixture((2 * channels, *SHAPE[1:]))
    noisy = ablated(4, 3, channels)
    table = module.table.detach().view(module.places, len(KNOTS), 3, 4)
    for row, logits in zip(noisy, module(noisy).tolist(), strict=True):
        values, known = row[:channels].flatten().tolist(), row.view(2, -1).sum(dim=0).flatten().tolist()
        for label in range(3):
            terms = []
            for component in range(4):
                score = module.weights[4 * label + component].item()
                for place, (value, there) in enumerate(zip(values, known, strict=True)):
                    if there:
                        upper = next(number for number in range(1, len(KNOTS)) if value <= KNOTS[number])
                        share = (value - KNOTS[upper - 1]) / (KNOTS[upper] - KNOTS[upper - 1])
                        low, high = table[place, upper - 1 : upper + 1, label, component].tolist()
                        score += (1.0 - share) * low + share * high
                terms.append(score)
            assert logits[label] == pytest.approx(math.log(sum(map(math.exp, terms))), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("k", [1, 7, 30])
def test_scores_of_known_places_are_those_of_all(k: int) -> None:
    module, noisy = mixture(), ablated(k)
    noisy[3] = 0.0
    values, inverted = noisy.view(len(noisy), 2, -1).unbind(1)
    few, every = (each(values, values + inverted) for each in (module._scores_of_known, module._scores_of_all))
    torch.testing.assert_close(few, every, atol=1e-5, rtol=1e-5)
    assert not few[3].any(), "without a known pixel only the weights of the components are left"


def test_gradients_are_differences() -> None:
    module = mixture().double()
    noisy = ablated(5, 2).double()
    # Away from knots, where the logits are smooth, and for known places alone.
    known = noisy > 0.0
    noisy = torch.where(known, torch.where(noisy > 0.5, 0.65, 0.25), 0.0).double()
    noisy.requires_grad_()

    def logits(x: Tensor, table: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(module, {"table": table}, (x,))
        return found

    table = module.table.detach().clone().requires_grad_()
    loss = logits(noisy, table).sum()
    by_x, by_table = torch.autograd.grad(loss, (noisy, table))
    source = torch.Generator().manual_seed(0)
    for given, gradient in ((noisy, by_x * known), (table, by_table)):
        step = 1e-5 * torch.randn(given.shape, generator=source, dtype=torch.float64)
        if given is noisy:
            step *= known
        moved = [
            logits(noisy + sign * step, table) if given is noisy else logits(noisy, table + sign * step)
            for sign in (1, -1)
        ]
        difference = (moved[0] - moved[1]).sum().item() / 2
        assert (gradient * step).sum().item() == pytest.approx(difference, rel=1e-5)
        assert difference != 0.0


@pytest.mark.parametrize("backend", ["torch", "torch-optimized", "openvino", "onnxruntime"])
def test_backends_compute_the_same(backend: str) -> None:
    module, noisy = mixture(), ablated(7, 70)
    with torch.inference_mode():
        expected = module(noisy)
    assert expected.argmax(1).unique().numel() > 1
    found = prepare(backend, Job(module, SHAPE, "float32"))(noisy)
    torch.testing.assert_close(found.float(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((1, 8, 8), {}, "takes ablated inputs, each channel s encoded as (s, 1 - s)"),
        ((64,), {}, "got inputs of shape (64,)"),
        (SHAPE, {"components": 0}, "components from 1 on, a whole number; got 0"),
        (SHAPE, {"components": 1.5}, "components from 1 on, a whole number; got 1.5"),
    ],
)
def test_what_it_cannot_be_is_refused(shape: tuple[int, ...], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        build("pixel-mixture", shape, 3, arguments)
