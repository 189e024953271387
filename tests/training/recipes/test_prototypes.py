"""The recipe that trains prototypes for certified radii."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from holdfast.bounds import Classifier
from holdfast.bounds.methods.nearest import Nearest
from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.architectures import build
from holdfast.models.architectures.prototypes import Prototypes
from holdfast.models.bundle import BundleInfo, InputSpace, load_bundle
from holdfast.noises.gaussian import Gaussian
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import PrototypeTraining
from holdfast.training.recipes.base import Look, Step

DIGITS = open_data("digits", None, "train", {})
SPACE = InputSpace(DIGITS.shape, DIGITS.low, DIGITS.high, None, None)


def info(architecture: str = "prototypes", **arguments: Any) -> BundleInfo:
    return BundleInfo(architecture, arguments, SPACE, None, DIGITS.class_names, {})


def step(module: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Step:
    return Step(
        module,
        module,
        x,
        labels,
        TrainConfig(),
        SPACE,
        0.0,
        None,
        None,
        lambda make: make(len(x), torch.Generator().manual_seed(3)),
    )


def some(classes: int = 3, per_class: int = 4, features: int = 5) -> tuple[Prototypes, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    module = build("prototypes", (features,), classes, {"per_class": per_class})
    assert isinstance(module, Prototypes)
    return module, torch.rand((20, features)), torch.arange(20) % classes


def planes(points: np.ndarray, labels: np.ndarray, x: np.ndarray, label: int) -> float:
    """By its formula, over all pairs."""
    squares = np.square(points - x).sum(axis=1)
    return min(
        max(
            (squares[j] - squares[i]) / (2.0 * np.linalg.norm(points[i] - points[j]))
            for i in np.flatnonzero(labels == label)
        )
        for j in np.flatnonzero(labels != label)
    )


def test_the_loss_is_minus_the_clipped_radius() -> None:
    module, x, labels = some()
    points = module.points.detach().double().numpy()
    wanted = [
        planes(points, module.labels.numpy(), each, label)
        for each, label in zip(x.double().numpy(), labels.tolist(), strict=True)
    ]
    assert min(wanted) < 0.0 < max(wanted)
    recipe = PrototypeTraining(target=10.0, least=-10.0, own=4, rivals=8)
    assert recipe.radii(module, x, labels)[0].tolist() == pytest.approx(wanted, abs=1e-5)
    loss, logits, targets = PrototypeTraining(target=0.1, least=-0.2, own=4, rivals=8).outcome(step(module, x, labels))
    assert loss.item() == pytest.approx(-np.clip(wanted, -0.2, 0.1).mean(), abs=1e-6)
    assert torch.allclose(logits - x.square().sum(dim=1, keepdim=True), module(x), atol=1e-5)
    assert torch.equal(targets, labels)


def test_radii_that_are_trained_for_are_certified() -> None:
    """The bound's radius, which counts all planes together, is no smaller."""
    module, x, labels = some()
    radii = PrototypeTraining(target=1.0, own=4, rivals=8).radii(module, x, labels)[0].tolist()
    found = Nearest().on(Classifier(nn.Sequential(module).eval(), (5,), 3)).certify(x)
    for radius, each, label in zip(radii, found, labels.tolist(), strict=True):
        assert (radius > 0.0) == (each.label == label)
        if radius > 0.0:
            assert each.radius >= radius - 1e-5


def test_gradients_reach_two_prototypes_of_each_image_within_the_limits() -> None:
    module, x, labels = some()
    recipe = PrototypeTraining(target=10.0, least=-10.0)
    recipe.outcome(step(module, x[:1], labels[:1])).loss.backward()
    assert module.points.grad is not None
    moved = module.points.grad.abs().sum(dim=1) > 0
    assert int(moved.sum()) == 2
    assert len(set(module.labels[moved].tolist())) == 2
    module.points.grad = None
    given_up = replace(recipe, target=1e-4, least=-1e-4)
    given_up.outcome(step(module, x[:1], labels[:1])).loss.backward()
    assert float(module.points.grad.abs().sum()) == 0.0


def test_some_images_move_by_a_pixel() -> None:
    module = build("prototypes", (1, 3, 3), 2, {"per_class": 1})
    x = torch.arange(1.0, 10.0).view(1, 1, 3, 3).expand(4000, 1, 3, 3)
    made = step(module, x, torch.zeros(4000, dtype=torch.int64))
    moved = PrototypeTraining(target=1.0, moved=0.4)._moved(made)
    kinds, counts = moved.flatten(1).unique(dim=0, return_counts=True)
    shares = {tuple(kind): count / 4000 for kind, count in zip(kinds.int().tolist(), counts.tolist(), strict=True)}
    assert shares == {
        (1, 2, 3, 4, 5, 6, 7, 8, 9): pytest.approx(0.6, abs=0.03),
        (0, 0, 0, 1, 2, 3, 4, 5, 6): pytest.approx(0.1, abs=0.02),
        (4, 5, 6, 7, 8, 9, 0, 0, 0): pytest.approx(0.1, abs=0.02),
        (0, 1, 2, 0, 4, 5, 0, 7, 8): pytest.approx(0.1, abs=0.02),
        (2, 3, 0, 5, 6, 0, 8, 9, 0): pytest.approx(0.1, abs=0.02),
    }
    assert x[0].flatten().tolist() == list(range(1, 10))


def test_prototypes_that_are_equal_have_finite_gradients() -> None:
    module, x, labels = some(per_class=1)
    with torch.no_grad():
        module.points.fill_(0.5)
    PrototypeTraining(target=1.0).outcome(step(module, x, labels)).loss.backward()
    assert module.points.grad is not None
    assert bool(module.points.grad.isfinite().all())


def test_prototypes_start_as_centres_of_their_classes() -> None:
    module = build("prototypes", (2,), 2, {"per_class": 2})
    x = torch.tensor([[0.0, 0.0], [0.2, 0.0], [1.0, 1.0], [1.0, 0.8], [0.5, 0.5]])
    labels = torch.tensor([0, 0, 0, 0, 1])

    def batch(positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x[positions], labels[positions]

    for seed in range(20):
        look = Look(module, 5, batch, TrainConfig(), SPACE, torch.Generator().manual_seed(seed))
        PrototypeTraining(target=1.0).begin(look)
        found = module.points.detach()
        assert found[2:].tolist() == [[0.5, 0.5]] * 2
        # Two starts in the same pair may stay there; from two pairs, the means are found.
        means = found[:2][found[:2, 1].argsort()]
        if torch.allclose(means, torch.tensor([[0.1, 0.0], [1.0, 0.9]])):
            break
    else:
        pytest.fail("no start of twenty found the two means")
    PrototypeTraining(target=1.0, iterations=0).begin(look)
    assert all(any(torch.equal(each, image) for image in x) for each in module.points.detach())
    labels[4] = 0
    with pytest.raises(UsageError, match="class 1 has none"):
        PrototypeTraining(target=1.0).begin(look)


def test_training_certifies_more_than_the_centres(tmp_path: Any) -> None:
    data = open_data("digits", None, "test", {})
    x = torch.from_numpy(data.batch(np.arange(100)))
    shares = []
    for epochs, rate in ((1, 1e-9), (6, 0.02)):
        config = TrainConfig(
            epochs,
            recipe=PrototypeTraining(target=1.0),
            optimizer="adamw",
            learning_rate=rate,
            weight_decay=0.0,
        )
        train(info(per_class=8), config, DIGITS, tmp_path / f"{epochs}.safetensors")
        bundle = load_bundle(tmp_path / f"{epochs}.safetensors")
        found = Nearest().on(Classifier(bundle.module, (1, 8, 8), 10)).certify(x)
        good = [
            each.label == label and each.radius >= 0.7 for each, label in zip(found, data.labels[:100], strict=True)
        ]
        shares.append(np.mean(good))
    assert shares[1] > shares[0] + 0.05


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PrototypeTraining(target=0.0), "target is a number above 0"),
        (lambda: PrototypeTraining(target=float("inf")), "target is a number above 0"),
        (lambda: PrototypeTraining(target=1.0, least=0.5), "least is a finite number up to 0"),
        (lambda: PrototypeTraining(target=1.0, moved=1.5), r"moved is a share in \[0, 1\]"),
        (lambda: PrototypeTraining(target=1.0, moved=0.5).outcome(step(*some())), "moves images by pixels"),
        (lambda: PrototypeTraining(target=1.0).outcome(_shared()), "one process"),
        (lambda: PrototypeTraining(target=1.0, iterations=-1), "iterations is a whole number from 0 on"),
        (lambda: PrototypeTraining(target=1.0, own=0), "own is a whole number from 1 on"),
        (lambda: PrototypeTraining(target=1.0, rivals=1.5), "rivals is a whole number"),
        (lambda: PrototypeTraining(target=1.0).check(Gaussian(0.5), TrainConfig()), "trains without noise"),
        (lambda: PrototypeTraining(target=1.0).check(None, TrainConfig(precision="bfloat16")), "float32"),
        (lambda: PrototypeTraining(target=1.0).prepare(info("fc").build()), "architecture prototypes"),
        (lambda: PrototypeTraining(target=1.0).prepare(_normalized().build()), "leave out the normalization"),
        (lambda: info(per_class=0).build(), "per_class"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def _normalized() -> BundleInfo:
    return replace(info(), input_space=replace(SPACE, mean=(0.5,), std=(0.5,)))


def _shared() -> Step:
    """Ten of twenty images of a minibatch."""
    made = step(*some())
    return replace(made, x=made.x[:10], labels=made.labels[:10])
