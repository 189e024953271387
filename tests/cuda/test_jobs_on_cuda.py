"""Training, certification, attack and verification on a card; runs killed there are in tests/jobs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from on_cuda import CUDA, ON_CUDA

import holdfast as hf
from holdfast.sampling.engines.local import LocalEngine

pytestmark = ON_CUDA

# On a processor, as little as shows that every line runs.
FEW = CUDA == "cpu"
RUN = {"n": 200 if FEW else 2_000, "n0": 50, "alpha": 0.01, "every": 36 if FEW else 12, "seed": 5}
ENGINE = LocalEngine(CUDA, 512)
TRAINING = {"epochs": 3, "optimizer": "adamw", "learning_rate": 0.004, "batch_size": 64, "device": CUDA}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "model.safetensors"
    hf.train("digits", hf.Gaussian(0.25), out=out, progress=False, **TRAINING)
    return out


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> hf.CertifiedRun:
    out = tmp_path_factory.mktemp("run") / "run"
    return hf.certify(model, "digits", engine=ENGINE, out=out, progress=False, **RUN)


def correct(run: hf.CertifiedRun) -> float:
    return sum(result.correct for result in run.results) / len(run.results)


def test_a_model_trained_on_a_card_is_one_for_the_processor(model: Path, run: hf.CertifiedRun) -> None:
    there = hf.certify(model, "digits", progress=False, **RUN)
    assert correct(there) > 0.5
    assert abs(correct(there) - correct(run)) <= 0.3
    assert torch.device(run.manifest.device).type == torch.device(CUDA).type


@pytest.mark.parametrize(
    "recipe", ["consistency:weight=1", "smoothadv:epsilon=0.25", "macer", "adversarial:epsilon=0.1"]
)
@pytest.mark.parametrize("precision", ["bfloat16"] if FEW else ["float32", "bfloat16"])
def test_recipes_on_a_card(recipe: str, precision: str, tmp_path: Path) -> None:
    noise = None if recipe.startswith("adversarial") else hf.Gaussian(0.25)
    settings = {**TRAINING, "epochs": 1, "noise_copies": 1 if noise is None else 2, "precision": precision}
    out = tmp_path / "m.safetensors"
    hf.train("digits", noise, out=out, recipe=recipe, progress=False, **settings)
    assert all(bool(weights.isfinite().all()) for weights in hf.load_model(out).module.parameters())


@pytest.mark.parametrize("batch_size", [100] if FEW else [100, None])
def test_a_run_of_a_card_is_computed_again_there(model: Path, run: hf.CertifiedRun, batch_size: int | None) -> None:
    found = hf.verify(
        run, model=model, data="digits", replay="all", engine=LocalEngine(CUDA, batch_size), progress=False
    )
    assert found.failures == []
    assert found.ok
    assert len(found.replayed) == len(run.results)
    assert found.level == "replay"


@pytest.mark.skipif(CUDA == "cpu", reason="a run of the processor is computed again there")
def test_a_run_of_a_card_is_drawn_again_on_a_processor_up_to_near_ties(model: Path, run: hf.CertifiedRun) -> None:
    found = hf.verify(run, model=model, data="digits", replay="all", progress=False)
    assert found.failures == []
    assert any("was drawn on cuda" in words for words in found.notes)
    assert found.ok or "near ties" in str(found)


def test_backends_and_precisions_certify_on_a_card(model: Path) -> None:
    for precision in ("float32", "bfloat16"):
        for backend in ("torch", "torch-optimized"):
            found = hf.certify(
                model, "digits", engine=ENGINE, precision=precision, backend=backend, progress=False, **RUN
            )
            assert correct(found) > 0.5


def test_an_attack_on_a_card_is_one_that_can_be_checked(model: Path, run: hf.CertifiedRun, tmp_path: Path) -> None:
    found = hf.attack(
        run, "smooth-pgd", model=model, data="digits", engine=ENGINE, n=200, limit=1 if FEW else 3, soft_samples=16,
        seed=1, out=tmp_path / "attack", progress=False,
    )  # fmt: skip
    checked = hf.verify(
        found, model=model, data="digits", certification=run, replay="all", engine=ENGINE, progress=False
    )
    assert checked.failures == []


def test_an_attack_without_noise_on_a_card(model: Path, tmp_path: Path) -> None:
    found = hf.attack(
        None, "pgd:norm=linf,steps=20", model=model, data="digits", noise="none", budget=0.3, engine=ENGINE, limit=20,
        seed=1, out=tmp_path / "attack", progress=False,
    )  # fmt: skip
    assert found.adversarials
