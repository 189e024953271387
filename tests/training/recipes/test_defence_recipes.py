"""Recipes of defences: a cascade, a detector by dimensions, and a projection."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from holdfast.data import open_data
from holdfast.errors import UsageError
from holdfast.models.bundle import load_bundle
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import Adversarial, Cascade, DimensionTraining, ProjectionTraining, Standard
from holdfast.training.recipes.dimension import logistic_regression
from holdfast.workflows.train import begun_bundle

DATA = open_data("digits", None, "train", {})
TEST = open_data("digits", None, "test", {})


def trained(folder, name, recipe, arch, epochs=4, held_out=None):
    out = folder / f"{name}.safetensors"
    info = begun_bundle(DATA, None, arch or recipe.architecture)
    made = train(info, TrainConfig(epochs, 64, "adamw", 0.003, 0.0, recipe=recipe), DATA, out, held_out=held_out)
    return made, load_bundle(out)


def test_logistic_regression_finds_the_law_it_is_given():
    source = torch.Generator().manual_seed(0)
    rows = torch.randn(20_000, 2, generator=source, dtype=torch.float64)
    odds = rows @ torch.tensor([1.5, -0.5], dtype=torch.float64) + 0.25
    positive = torch.rand(20_000, generator=source, dtype=torch.float64) < torch.sigmoid(odds)
    weights, bias = logistic_regression(rows[~positive], rows[positive])
    assert weights.tolist() == pytest.approx([1.5, -0.5], abs=0.1)
    # Both kinds weigh the same, which shifts the log-odds by the logarithm of their ratio.
    shift = float((~positive).sum() / positive.sum())
    assert float(bias) == pytest.approx(0.25 + torch.tensor(shift).log().item(), abs=0.1)
    apart = logistic_regression(torch.zeros(10, 1), torch.ones(10, 1))
    assert float(apart[0]) > 0
    assert bool(torch.isfinite(apart[0]).all())


def test_a_detector_rejects_its_share_and_more_of_what_it_learned_from(tmp_path):
    recipe = DimensionTraining(epsilon=0.3, steps=10, examples=400, rejected=0.1)
    _, bundle = trained(tmp_path, "dimension", recipe, "dimension-detector:references=60,neighbours=15")
    detector = bundle.module[1]
    x = torch.from_numpy(TEST.batch(range(200)))
    unchanged = float((detector.suspicion(x) > 0).double().mean())
    # The threshold is of other images: binomial(200, .1) is below .2 but for 1e-5, and estimates of 400 blur it.
    assert unchanged < 0.25
    labels = torch.from_numpy(TEST.labels[:200].copy())
    start = torch.zeros_like(x)
    moved = recipe._moved(detector, x, labels, start, (0.0, 1.0))
    assert float((detector.suspicion(moved) > 0).double().mean()) > unchanged + 0.1
    again = trained(tmp_path, "again", recipe, "dimension-detector:references=60,neighbours=15")[1]
    assert again.sha256 == bundle.sha256


def test_a_projection_learns_to_answer(tmp_path):
    made, bundle = trained(
        tmp_path,
        "projection",
        ProjectionTraining(),
        "projected:codes=8,hidden=64,steps=20,classifier=digits-cnn",
        30,
        TEST,
    )
    assert made.training["held_out_accuracy_under_noise"] > 0.7
    defence = bundle.module[1].defence
    x = torch.from_numpy(TEST.batch(range(50)))
    near = (defence.apply_draws(x, torch.zeros(50, 0)) - x).flatten(1).norm(dim=1).mean()
    gray = (x.mean(dim=0) - x).flatten(1).norm(dim=1).mean()
    assert float(near) < 0.8 * float(gray), "nearer than the mean image"


def test_a_cascade_learns_from_two_networks(tmp_path):
    first = Adversarial(epsilon=0.1, norm="linf", steps=1)
    trained(tmp_path, "first", first, "digits-cnn", 1)
    recipe = Cascade(source=str(tmp_path / "first.safetensors"), epsilon=0.1, steps=3)
    assert recipe.written == "cascade:source=first.safetensors,epsilon=0.1,steps=3,weight=0.3,similarity=0.0001"
    made, _ = trained(tmp_path, "second", recipe, "digits-cnn", 2, TEST)
    assert made.training["held_out_accuracy_under_noise"] > 0.7
    assert made.training["recipe"] == recipe.written


def test_a_cascade_refuses_a_network_for_other_inputs(tmp_path):
    trained(tmp_path, "first", Standard(), "digits-mlp", 1)
    recipe = Cascade(source=str(tmp_path / "first.safetensors"), epsilon=0.1)
    info = begun_bundle(DATA, None, "digits-mlp")
    with pytest.raises(UsageError, match="knows 10 classes"):
        recipe.start(replace(info, class_names=("even", "odd")), 100)
    with pytest.raises(UsageError, match="two layers"):
        recipe.prepare(torch.nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DimensionTraining(epsilon=0.1, examples=5), "examples"),
        (lambda: DimensionTraining(epsilon=0.1, rejected=1.0), "rejected"),
        (lambda: DimensionTraining(epsilon=0.0), "epsilon"),
        (lambda: ProjectionTraining(divergence=-1.0), "divergence"),
        (lambda: Cascade(source="x", epsilon=0.1, weight=-1.0), "weight"),
    ],
)
def test_wrong_parameters_of_defences_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()
