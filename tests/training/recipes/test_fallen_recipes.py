"""Recipes of analysis by synthesis, MagNet, feature squeezing and distillation: what they learn, and what they set."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from holdfast.attacks import PlainTarget, attack_from_dict
from holdfast.data import DataSet, open_data
from holdfast.errors import UsageError
from holdfast.models.architectures.synthesis import AnalysisBySynthesis
from holdfast.models.bundle import load_bundle
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes import recipe_from_dict
from holdfast.training.recipes.synthesis import balanced, best_scale
from holdfast.workflows.specs import parse_recipe
from holdfast.workflows.train import begun_bundle


def doubled(split: str) -> DataSet:
    """The digits with four pixels for each and a frame, since the autoencoders' strides need 17."""
    data = open_data("digits", None, split, {})
    values = np.kron(data.batch(np.arange(len(data))), np.ones((1, 1, 2, 2), np.float32))
    values = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return DataSet.in_memory(
        source="digits", split=split, class_names=data.class_names, labels=data.labels, values=values, bounds=(0.0, 1.0)
    )


DATA, TEST = open_data("digits", None, "train", {}), open_data("digits", None, "test", {})


def trained(out, recipe, architecture, data, epochs=4, **settings):
    info = begun_bundle(data, None, architecture)
    config = TrainConfig(epochs, 32, "adamw", 0.003, 0.0, recipe=parse_recipe(recipe), **settings)
    train(info, config, data, out)
    return load_bundle(out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fallen")


@pytest.fixture(scope="module")
def by_synthesis(folder):
    return trained(
        folder / "abs.safetensors", "abs:measured=300", "abs:starts=100,steps=2,step_size=.1,refined=3",
        doubled("train").part(2), epochs=6,
    )  # fmt: skip


def right(module, data):
    with torch.no_grad():
        answers = module(torch.from_numpy(data.batch(np.arange(len(data))))).argmax(dim=1)
    return float((answers == torch.from_numpy(data.labels.copy())).float().mean())


def part_of(bundle):
    return next(part for part in bundle.module.modules() if isinstance(part, AnalysisBySynthesis))


def test_synthesis_tells_digits_apart_without_learning_from_labels_between_classes(by_synthesis):
    assert right(by_synthesis.module, doubled("test").part(2)) >= 0.85
    part = part_of(by_synthesis)
    assert float(part.scale) != 1.0
    assert torch.equal(part.balance, torch.ones(10)), "the paper balances binarized ABS alone"


def test_the_binarized_classifier_takes_the_autoencoders_over(by_synthesis, folder):
    recipe = "abs:measured=300,autoencoders=" + str(folder / "abs.safetensors")
    data = doubled("train").part(2)
    made = trained(
        folder / "binarized.safetensors", recipe, "binarized-abs:starts=100,steps=2,step_size=.1,refined=3", data, 1
    )
    own, given = part_of(made), part_of(by_synthesis)
    expected = given.autoencoders.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in own.autoencoders.state_dict().items())
    assert made.info.training["recipe"] == "abs:beta=10.0,annealed=0.5,measured=300,autoencoders=abs.safetensors"
    assert right(made.module, doubled("test").part(2)) >= 0.8
    with pytest.raises(UsageError, match="one epoch, got 2"):
        trained(folder / "x.safetensors", recipe, "binarized-abs", data, 2)
    with pytest.raises(UsageError, match="the same latents"):
        trained(folder / "x.safetensors", recipe, "binarized-abs:latents=3", data, 1)


def test_scales_are_those_of_a_search():
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (400,))
    bounds = -20.0 * torch.rand(400, 3, dtype=torch.float64) - 20.0
    bounds[torch.arange(400), labels] += 6.0
    scale = float(best_scale(bounds, labels))

    def loss(factor):
        return float(torch.nn.functional.cross_entropy(factor * bounds, labels))

    assert loss(scale) <= min(loss(scale * 1.13), loss(scale / 1.13))
    # Class 1 explains everything 5% too well: dividing that away is the most that can be won.
    tilted = bounds * torch.tensor([1.0, 0.95, 1.0])
    factors = balanced(tilted, labels)
    before, after = (float((each.argmax(dim=1) == labels).double().mean()) for each in (tilted, tilted * factors))
    assert after > before + 0.02
    assert torch.equal(balanced(torch.eye(3, dtype=torch.float64), torch.arange(3)), torch.ones(3, dtype=torch.float64))


def test_magnet_rejects_few_training_images_and_much_noise(folder):
    bundle = trained(
        folder / "magnet.safetensors", "magnet:rejected=0.01,measured=1000",
        "magnet:classifier=digits-mlp,width=8", DATA, epochs=10,
    )  # fmt: skip
    part = bundle.module[1]
    x = torch.from_numpy(DATA.batch(np.arange(len(DATA))))
    with torch.no_grad():
        assert 0.0 < float((part.errors(x) > part.thresholds).double().mean()) <= 0.015
        noisy = torch.from_numpy(TEST.batch(np.arange(100)))
        noisy = (noisy + 0.5 * torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
        assert float((part.suspicion(noisy) > 0).double().mean()) >= 0.5
    assert right(part.classifier, TEST) >= 0.85


def test_squeezing_rejects_its_share_of_the_training_images(folder):
    bundle = trained(
        folder / "squeezing.safetensors", "squeezing:rejected=0.05,measured=1000",
        "feature-squeezing:classifier=digits-mlp,bits=2", DATA, epochs=8,
    )  # fmt: skip
    part = bundle.module[1]
    with torch.no_grad():
        share = float((part.suspicion(torch.from_numpy(DATA.batch(np.arange(len(DATA))))) > 0).double().mean())
    assert 0.03 <= share <= 0.07
    assert right(bundle.module, TEST) >= 0.9


def test_a_distilled_network_has_no_gradients_and_falls_all_the_same(folder):
    teacher = trained(folder / "teacher.safetensors", "distillation:temperature=100", "digits-mlp", DATA, 12)
    student = trained(
        folder / "student.safetensors",
        f"distillation:temperature=100,teacher={folder / 'teacher.safetensors'}",
        "digits-mlp",
        DATA,
        12,
    )
    assert student.info.training["recipe"] == "distillation:temperature=100,teacher=teacher.safetensors"
    assert right(student.module, TEST) >= 0.9
    x = torch.from_numpy(TEST.batch(np.arange(100)))
    with torch.no_grad():
        soft = [(each.module(x) / 100.0).softmax(dim=1) for each in (teacher, student)]
    assert float((soft[0] - soft[1]).abs().sum(dim=1).mean()) < 0.3, "the student learned the teacher's probabilities"
    target = PlainTarget(student.module, 10, (1, 8, 8))
    broken = {"fgsm": 0, "cw-linf": 0}
    examples = [TEST[index] for index in range(8)]
    right_ones = [each for each in examples if int(target.decide(torch.from_numpy(each.x)[None])[0]) == each.label]
    for name in broken:
        attack = attack_from_dict({"name": name})
        for each in right_ones:
            found = attack.run(target, torch.from_numpy(each.x), each.label, 0.2)
            broken[name] += found is not None
    assert broken["cw-linf"] >= len(right_ones) - 1
    assert broken["fgsm"] <= len(right_ones) // 2


def test_a_teacher_of_other_classes_is_refused(folder, by_synthesis):
    with pytest.raises(UsageError, match=r"the teacher .*abs.safetensors takes inputs of shape \(1, 18, 18\)"):
        trained(folder / "x.safetensors", f"distillation:teacher={folder / 'abs.safetensors'}", "digits-mlp", DATA, 1)


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"name": "abs", "beta": 0.5}, "beta"),
        ({"name": "abs", "annealed": 2.0}, "annealed"),
        ({"name": "abs", "measured": 0}, "measured"),
        ({"name": "magnet", "noise": -1.0}, "noise"),
        ({"name": "magnet", "rejected": 1.0}, "rejected"),
        ({"name": "squeezing", "measured": 0}, "measured"),
        ({"name": "distillation", "temperature": 0.0}, "temperature"),
    ],
)
def test_parameters_out_of_range(description, message):
    with pytest.raises(UsageError, match=message):
        recipe_from_dict(description)


def test_settings_that_do_not_fit():
    with pytest.raises(UsageError, match="float32"):
        recipe_from_dict({"name": "abs"}).check(None, TrainConfig(precision="bfloat16"))
    with pytest.raises(UsageError, match="label_smoothing"):
        recipe_from_dict({"name": "distillation", "teacher": "t"}).check(None, TrainConfig(label_smoothing=0.1))
    for architecture in ("abs", "magnet", "feature-squeezing"):
        name = "squeezing" if architecture == "feature-squeezing" else architecture
        with pytest.raises(UsageError, match=f"trains the architecture {architecture}"):
            recipe_from_dict({"name": name}).prepare(torch.nn.Linear(2, 2))
