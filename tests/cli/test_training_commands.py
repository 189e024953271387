"""Recipes and composed classifiers on the command line: trained, certified, and what is refused."""

import json
import re
from pathlib import Path

import pytest
import torch
from program import CERTIFY, Call

from holdfast.data import open_data
from holdfast.models.bundle import load_bundle, read_info
from holdfast.training.recipes import recipe_names
from holdfast.training.recipes.standard import WithoutNoise
from holdfast.workflows.specs import parse_recipe


def words(printed: str) -> str:
    """Without line breaks."""
    return " ".join(printed.split())


TRAIN = ("train", "--arch", "digits-mlp", "--learning-rate", 0.1, "--quiet")


@pytest.mark.parametrize("columns", [80, 300])
def test_the_help_names_every_recipe(call: Call, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    code, printed, _ = call("train", "--help")
    assert code == 0
    colours, boxes = r"\x1b\[[0-9;]*m", r"[\u2500-\u257f]"
    printed = words(re.sub(boxes, " ", re.sub(colours, "", printed)))
    listed = re.search(r"--recipe SPEC Training loss. With noise: (.*?)\. Without noise: (.*?)\. \[default", printed)
    assert listed, printed
    specs = [re.sub("=[ECR]", "=0.1", text).split(", ") for text in listed.groups()]
    with_noise, without = ([parse_recipe(spec) for spec in each] for each in specs)
    assert sorted(recipe.name for recipe in (*with_noise, *without)) == recipe_names()
    assert not any(isinstance(recipe, WithoutNoise) for recipe in with_noise)
    assert all(isinstance(recipe, WithoutNoise) for recipe in without)


def test_a_recipe_is_named_in_the_bundle(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    spec = ("--noise", "gaussian:sigma=0.25", "--recipe", "consistency:weight=3", "--noise-copies", 2)
    code, printed, _ = call(*TRAIN, *spec, "--epochs", 2, "--crop", 1, "--ema", 0.9, "--out", out)
    assert code == 0
    assert "recipe consistency:weight=3,entropy=0.5, float32; accuracy under noise" in words(printed)
    _, printed, _ = call("info", out, "--json")
    training = json.loads(printed)["training"]
    assert training["recipe"] == "consistency:weight=3,entropy=0.5"
    assert (training["crop"], training["ema"], training["noise_copies"]) == (1, 0.9, 2)


def test_steps_of_the_learning_rate_and_resized_crops_are_settings(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    steps = ("--schedule", "step", "--milestones", "1,2", "--factor", 0.5, "--no-nesterov", "--momentum", 0.8)
    crops = ("--resized-crop", "0.5,1", "--crop-ratio", "4/5,5/4")
    given = (*TRAIN, "--noise", "gaussian:sigma=0.25", "--epochs", 3, *steps, *crops)
    code, _, _ = call(*given, "--out", out)
    assert code == 0
    training = read_info(out).training
    assert (training["schedule"], training["milestones"], training["factor"]) == ("step", [1, 2], 0.5)
    assert (training["nesterov"], training["momentum"]) == (False, 0.8)
    assert (training["resized_crop"], training["crop_ratio"]) == ([0.5, 1.0], [0.8, 1.25])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--schedule", "step", "--milestones", "1,x"), "--milestones takes whole numbers separated by commas"),
        (("--schedule", "step", "--milestones", "-1"), "--milestones takes whole numbers separated by commas"),
        (("--schedule", "step", "--milestones", "30"), "from 1 to 19 for 20 epochs, got (30,)"),
        (("--resized-crop", "half"), "--resized-crop takes numbers separated by commas, as in 0.08,1 or 3/4,4/3"),
        (("--resized-crop", "1/0,1"), "--resized-crop takes numbers separated by commas"),
        (("--crop-ratio", "1"), "crop_ratio is the smallest and the largest ratio"),
        (("--momentum", 0), "Nesterov's momentum needs one above 0"),
    ],
)
def test_settings_that_cannot_be(call: Call, tmp_path: Path, given: tuple[object, ...], message: str) -> None:
    code, _, error = call(*TRAIN, "--noise", "gaussian:sigma=0.25", *given, "--out", tmp_path / "m.safetensors")
    assert code == 2
    assert message in words(error)
    assert not (tmp_path / "m.safetensors").exists()


def test_a_classifier_without_noise_is_denoised_and_certified(call: Call, tmp_path: Path) -> None:
    plain, out = tmp_path / "plain.safetensors", tmp_path / "denoised.safetensors"
    code, printed, _ = call(
        "train", "--arch", "digits-cnn", "--learning-rate", 0.1, "--quiet", "--recipe", "standard", "--out", plain
    )
    assert code == 0
    assert "digits-cnn without noise; recipe standard, float32; accuracy 100.0% on the training split" in words(printed)
    spec = ("--noise", "gaussian:sigma=0.5", "--recipe", f"denoise:classifier={plain}")
    adam = ("--optimizer", "adamw", "--learning-rate", 0.01, "--quiet")
    code, printed, _ = call("train", "--arch", "denoised:depth=4,width=8", *adam, *spec, "--epochs", 30, "--out", out)
    assert code == 0
    assert f"recipe denoise:classifier={plain.name},agreement=0.05" in words(printed)
    under_noise = read_info(out).training["held_out_accuracy_under_noise"]
    digits, noise = open_data("digits", None, "test", {}), torch.Generator().manual_seed(0)
    x = torch.from_numpy(digits.batch(range(360)))
    answers = load_bundle(plain).module(x + 0.5 * torch.randn(x.shape, generator=noise)).argmax(1).numpy()
    assert under_noise > (answers == digits.labels).mean() + 0.02, "denoised against as it was"
    code, _, _ = call("certify", "--model", out, *CERTIFY, "--out", tmp_path / "run")
    assert code == 0


def test_an_ensemble_is_certified_like_any_other(call: Call, models: Path, tmp_path: Path) -> None:
    second, out = tmp_path / "second.safetensors", tmp_path / "both.safetensors"
    call(*TRAIN, "--noise", "gaussian:sigma=0.25", "--epochs", 12, "--seed", 1, "--out", second)
    code, printed, _ = call("ensemble", models / "gaussian.safetensors", second, "--out", out)
    assert code == 0
    assert "the mean of the logits of 2 base classifiers, for gaussian:sigma=0.25" in words(printed)
    code, _, _ = call("certify", "--model", out, *CERTIFY, "--out", tmp_path / "run")
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "noise"), "the recipe 'noise' trains for a noise, got none"),
        (
            ("--recipe", "magic", "--noise", "gaussian:sigma=1"),
            "unknown recipe 'magic'; known are abs, adversarial",
        ),
        (
            ("--recipe", "standard", "--noise", "gaussian:sigma=1"),
            "'standard' trains without noise, got gaussian",
        ),
        (
            ("--recipe", "denoise:classifier=nowhere.safetensors", "--noise", "gaussian:sigma=1"),
            "trains the architecture 'denoised', got 'digits-mlp'",
        ),
    ],
)
def test_recipes_that_cannot_be_are_refused(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, _, said = call(*TRAIN, *arguments, "--out", tmp_path / "m.safetensors")
    assert code == 2
    assert message in said
    assert not list(tmp_path.iterdir())


def test_a_denoiser_goes_before_a_fitting_classifier(call: Call, models: Path, tmp_path: Path) -> None:
    spec = ("--noise", "gaussian:sigma=0.5", "--recipe", f"denoise:classifier={models / 'gaussian.safetensors'}")
    code, _, said = call("train", *spec, "--out", tmp_path / "m.safetensors")
    assert code == 2
    assert "was trained for gaussian:sigma=0.25; a denoiser goes in front" in said


def test_members_of_an_ensemble_fit_together(call: Call, models: Path, tmp_path: Path) -> None:
    both = (models / "gaussian.safetensors", models / "ablation.safetensors")
    code, _, said = call("ensemble", *both, "--out", tmp_path / "m.safetensors")
    assert code == 2
    assert "members of an ensemble have the same noise" in said
    code, _, said = call("ensemble", both[0], "--out", tmp_path / "m.safetensors")
    assert code == 2
    assert "at least two members, got 1" in said
