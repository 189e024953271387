"""The recipe of pixel-mixture: mixtures that are known are found again, the loss is its formula, and resuming works."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest
import torch
from noise_cases import draws
from safetensors.torch import load_file

from holdfast.data import DataSet, open_data
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.pixel_mixture import KNOTS, PixelMixture
from holdfast.models.bundle import InputSpace
from holdfast.noises.ablation import Ablation
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import Mixture, recipe_from_dict
from holdfast.training.recipes.base import Look, Step
from holdfast.training.recipes.mixture import _fitted
from holdfast.workflows.train import begun_bundle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from holdfast.noises.base import Noise
    from holdfast.training.trainer import TrainProgress


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return open_data("digits", None, "train", {})


SHAPE = (1, 6, 6)
# Two components of each of two classes, with these weights in their class: which quarter of the image is bright.
SHARES = (0.7, 0.3)


def drawn(count: int = 1500) -> tuple[Tensor, Tensor, Tensor]:
    """Images of independent black and white pixels, their labels, and their components."""
    source = torch.Generator().manual_seed(4)
    labels = torch.randint(0, 2, (count,), generator=source)
    component = 2 * labels + (torch.rand(count, generator=source) > SHARES[0]).long()
    bright = torch.full((4, 6, 6), 0.15)
    for number in range(4):
        row, column = 3 * (number // 2), 3 * (number % 2)
        bright[number, row : row + 3, column : column + 3] = 0.85
    images = (torch.rand(count, 6, 6, generator=source) < bright[component]).float().unsqueeze(1)
    return images, labels, component


def fitted(images: Tensor, labels: Tensor, components: int = 2, iterations: int = 10) -> PixelMixture:
    torch.manual_seed(0)
    module = build("pixel-mixture", (2, 6, 6), 2, {"components": components})
    assert isinstance(module, PixelMixture)
    look = Look(
        module,
        len(images),
        lambda indices: (images[indices], labels[indices]),
        TrainConfig(),
        InputSpace(SHAPE, 0.0, 1.0),
        torch.Generator().manual_seed(7),
    )
    Mixture(iterations=iterations).begin(look)
    return module.eval()


def test_known_mixtures_are_found_again() -> None:
    images, labels, _ = drawn()
    module = fitted(images, labels)
    shares = module.weights.detach().exp().view(2, 2).sum(dim=1)
    torch.testing.assert_close(shares, labels.bincount() / len(labels))
    for label in range(2):
        table, weights = _fitted(module, images[labels == label], 10)
        torch.testing.assert_close(table.exp().sum(dim=2), torch.ones(2, 36))
        white = table[:, :, -1].exp().view(2, 6, 6)
        heavy, light = (white[int(number)] for number in weights.argsort(descending=True))
        rows = slice(3 * label, 3 * label + 3)
        # Inside its quarter, off the edge that the neighbours blur.
        assert heavy[rows, :2].mean() == pytest.approx(0.85, abs=0.08)
        assert light[rows, 4:].mean() == pytest.approx(0.85, abs=0.08)
        assert heavy[rows, 4:].mean() == pytest.approx(0.15, abs=0.08)
        assert weights.max().item() == pytest.approx(SHARES[0], abs=0.05)


def test_what_components_have_in_common_is_taken_off() -> None:
    """So logits stay small where many pixels are known, and few votes are near ties."""
    images, labels, _ = drawn(300)
    module = fitted(images, labels)
    torch.testing.assert_close(module.table.detach().mean(dim=1), torch.zeros(36 * len(KNOTS)), atol=1e-5, rtol=0.0)


def test_few_known_pixels_are_classified_nearly_as_well_as_they_can_be() -> None:
    """The best possible classifier knows the distribution that the images were drawn from."""
    images, labels, _ = drawn()
    module = fitted(images, labels)
    noise = Ablation(6)
    noisy = noise.apply(images, noise.draw(images[0], draws(len(images))))
    bright = torch.full((4, 6, 6), 0.15)
    for number in range(4):
        row, column = 3 * (number // 2), 3 * (number % 2)
        bright[number, row : row + 3, column : column + 3] = 0.85
    likely = noisy.flatten(1) @ torch.stack([bright, 1 - bright], dim=1).log().flatten(1).T
    weights = torch.tensor([*SHARES, *SHARES]).log()
    best = (likely + weights).view(-1, 2, 2).logsumexp(2).argmax(1)
    with torch.no_grad():
        ours = module(noisy).argmax(1)
    reached, possible = ((each == labels).float().mean().item() for each in (ours, best))
    assert 0.7 < possible < 0.95
    assert reached > possible - 0.02


def test_one_iteration_and_more_components_than_images() -> None:
    images, labels, _ = drawn(6)
    module = fitted(images, labels, components=9, iterations=1)
    assert bool(torch.isfinite(module.table).all())
    assert bool(torch.isfinite(module.weights).all())


def test_a_class_without_images_is_refused() -> None:
    images, labels, _ = drawn(20)
    with pytest.raises(UsageError, match="needs training images of every class; class 1 has none"):
        fitted(images, torch.zeros_like(labels))


@pytest.mark.parametrize("most", [0.1, 0.5, 2.0])
def test_the_loss_is_its_formula(most: float) -> None:
    images, labels, _ = drawn(200)
    module = fitted(images, labels)
    few, own, copies = images[:8], labels[:8], 3
    noise = Ablation(5)
    masks = noise.draw(few[0], draws(len(few) * copies, 2))
    step = Step(
        model=module,
        module=module,
        x=few,
        labels=own,
        config=TrainConfig(noise_copies=copies),
        space=InputSpace(SHAPE, 0.0, 1.0),
        progress=0.0,
        noise=noise,
        draws=masks,
        randomness=lambda make: make(8, torch.Generator()),
    )
    recipe = Mixture(weight=3.0, margin=0.3, most=most, inverse_temperature=2.0)
    loss, logits, targets = recipe.outcome(step)
    error = lacking = 0.0
    missing = []
    for image, label in enumerate(own.tolist()):
        rows = logits[image * copies : (image + 1) * copies].detach()
        error -= math.log(float(rows.softmax(1)[:, label].mean()))
        vote = float((2.0 * rows).softmax(1)[:, label].mean())
        missing.append(0.3 - (vote - (1.0 - vote)))
        lacking += min(most, max(0.0, missing[-1]))
    assert loss.item() == pytest.approx((error + 3.0 * lacking) / 8, rel=1e-5)
    assert min(missing) < 0.0 < max(missing)
    assert targets.tolist() == own.repeat_interleave(copies).tolist()


def die_at(number: int) -> Callable[[TrainProgress], None]:
    def die(progress: TrainProgress) -> None:
        if progress.step == number:
            raise KeyboardInterrupt

    return die


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_resumed_training_does_not_begin_again(tmp_path: Path, digits: DataSet, ema: float) -> None:
    config = TrainConfig(
        recipe=Mixture(iterations=4),
        epochs=2,
        batch_size=64,
        noise_copies=4,
        optimizer="adamw",
        learning_rate=0.001,
        weight_decay=0.0,
        ema=ema,
    )
    info = begun_bundle(digits, Ablation(16), "pixel-mixture:components=5")
    whole = train(info, config, digits, tmp_path / "whole.safetensors")
    steps = -(-len(digits) // 64)
    with pytest.raises(KeyboardInterrupt):
        train(info, config, digits, tmp_path / "resumed.safetensors", on_progress=die_at(steps + 1))
    train(info, config, digits, tmp_path / "resumed.safetensors")
    first, second = (load_file(tmp_path / f"{name}.safetensors") for name in ("whole", "resumed"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert whole.training["training_accuracy_under_noise"] > 0.7


def test_expectation_maximization_alone_is_a_good_start(tmp_path: Path, digits: DataSet) -> None:
    """Also for the moving average, which begins with the weights that were set."""
    config = TrainConfig(
        recipe=Mixture(weight=0.0), epochs=1, batch_size=len(digits), noise_copies=2, learning_rate=1e-9, ema=0.999
    )
    info = begun_bundle(digits, Ablation(16), "pixel-mixture:components=10")
    done = train(info, config, digits, tmp_path / "m.safetensors", held_out=digits)
    assert done.training["held_out_accuracy_under_noise"] > 0.75


@pytest.mark.parametrize(
    ("noise", "copies", "message"),
    [
        (Gaussian(0.5), 2, "trains for noises that take pixels away, with null=multichannel, got gaussian:sigma=0.5"),
        (Ablation(4, null="mean"), 2, "with null=multichannel, got ablation:k=4,null=mean"),
        (Ablation(4), 1, "'mixture' compares noisy copies of an image: it takes at least 2 of each, got 1"),
        (None, 2, "'mixture' trains for a noise, got none"),
    ],
)
def test_what_it_cannot_train_for_is_refused(noise: Noise | None, copies: int, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        Mixture().check(noise, TrainConfig(noise_copies=copies))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"iterations": 0}, "iterations is a whole number from 1 on, got 0"),
        ({"iterations": 2.5}, "iterations is a whole number from 1 on, got 2.5"),
        ({"weight": -1.0}, "weight is a number from 0 on, got -1.0"),
        ({"most": float("nan")}, "most is a number from 0 on, got nan"),
        ({"margin": 0.0}, "margin is a lead over all other classes, in (0, 1], got 0.0"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        recipe_from_dict({"name": "mixture", **parameters})


def test_other_networks_are_refused() -> None:
    with pytest.raises(UsageError, match="trains the architecture pixel-mixture"):
        Mixture().prepare(build("fc", (2, 6, 6), 2))


def test_labels_of_any_order_give_the_same_classes() -> None:
    images, labels, _ = drawn(400)
    swapped = fitted(images, 1 - labels)
    plain = fitted(images, labels)
    with torch.no_grad():
        noisy = Ablation(9).apply(images, Ablation(9).draw(images[0], draws(400, 1)))
        agreeing = (swapped(noisy).argmax(1) == 1 - plain(noisy).argmax(1)).float().mean().item()
    assert agreeing == pytest.approx(1.0, abs=0.01)
