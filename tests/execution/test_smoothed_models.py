"""SmoothedClassifier of a loaded model: its classes, its range, its backend, its precision; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holdfast as hf

MODEL = Path(__file__).parents[1] / "stored" / "models" / "gaussian.safetensors"
NOISE = hf.Gaussian(0.25)
SETTINGS: dict[str, Any] = {"n0": 20, "n": 300, "alpha": 0.01, "seed": 4}
INDICES = [0, 60, 120]


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return hf.load_data("digits").batch(INDICES)


def test_a_loaded_model_knows_its_classes_and_gives_what_a_run_gives(x: np.ndarray) -> None:
    model = hf.load_model(MODEL)
    f = hf.SmoothedClassifier(model, NOISE)
    assert (f.num_classes, f.input_range) == (10, (0.0, 1.0))
    found = f.certify(x, indices=INDICES, **SETTINGS)
    run = hf.certify(model, "digits", NOISE, every=60, limit=3, progress=False, **SETTINGS)
    assert found == [each.certificate for each in run.results]
    module = hf.SmoothedClassifier(model.module, NOISE, 10)
    assert found == module.certify(x, indices=INDICES, **SETTINGS)


def test_one_input_is_as_good_as_a_batch_of_one(x: np.ndarray) -> None:
    f = hf.SmoothedClassifier(hf.load_model(MODEL), NOISE)
    assert f.certify_one(x[1], index=60, **SETTINGS) == f.certify(x[1:2], indices=[60], **SETTINGS)[0]
    assert f.certify_one(torch.from_numpy(x[1]), **SETTINGS) == f.certify(x[1:2], **SETTINGS)[0]
    asked = {"n": 100, "alpha": 0.01, "seed": 1}
    assert f.predict_one(x[0], **asked) == f.predict(x[:1], **asked)[0]
    assert f.predict_one(x[0], index=7, **asked) == f.predict(x[:1], indices=[7], **asked)[0]


def test_the_theorem_of_the_constructor_is_that_of_calls_that_name_none(x: np.ndarray) -> None:
    f = hf.SmoothedClassifier(hf.load_model(MODEL), NOISE, theorem="cohen_linf")
    g = hf.SmoothedClassifier(hf.load_model(MODEL), NOISE)
    found = f.certify(x, **SETTINGS)
    assert found[0].norm is hf.Norm.LINF
    assert found == g.certify(x, theorem="cohen_linf", **SETTINGS)
    assert f.certify(x, theorem="cohen", **SETTINGS) == g.certify(x, **SETTINGS)
    with pytest.raises(hf.UsageError, match="cohen_l7"):
        hf.SmoothedClassifier(hf.load_model(MODEL), NOISE, theorem="cohen_l7")


def test_bfloat16_is_the_base_classifier_of_a_run_in_bfloat16(x: np.ndarray) -> None:
    model = hf.load_model(MODEL)
    f = hf.SmoothedClassifier(model, NOISE, precision="bfloat16", backend="torch")
    run = hf.certify(
        model, "digits", every=60, limit=3, precision="bfloat16", backend="torch", progress=False, **SETTINGS
    )
    assert f.certify(x, indices=INDICES, **SETTINGS) == [each.certificate for each in run.results]


def test_a_torch_module_takes_a_backend_too(x: np.ndarray) -> None:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).eval()
    plain = hf.SmoothedClassifier(module, NOISE, 10).certify(x, **SETTINGS)
    assert hf.SmoothedClassifier(module, NOISE, 10, backend="torch").certify(x, **SETTINGS) == plain
    pytest.importorskip("onnxruntime")
    other = hf.SmoothedClassifier(module, NOISE, 10, backend="onnxruntime").certify(x, **SETTINGS)
    assert [each.label for each in other] == [each.label for each in plain]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"base_classifier": lambda z: z, "backend": "openvino", "num_classes": 2},
            "are for a torch module or a Model",
        ),
        ({"base_classifier": lambda z: z, "precision": "bfloat16", "num_classes": 2}, "are for a torch module or a"),
        ({"num_classes": 9}, "num_classes is 9, and the model has 10 classes; leave it out"),
        ({"layout": "channels-last"}, "a Model has its layout from load_model"),
        ({"precision": "float17"}, "float17"),
        ({"noise": "gaussian"}, "the noise must be an object"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any], message: str) -> None:
    given = {"base_classifier": hf.load_model(MODEL), "noise": NOISE, **arguments}
    with pytest.raises(hf.UsageError, match=message):
        hf.SmoothedClassifier(**given)


def test_what_cannot_be_asked_of_a_model_is_said(x: np.ndarray) -> None:
    with pytest.raises(hf.UsageError, match="int8 is calibrated on training inputs, which a SmoothedClassifier has"):
        hf.SmoothedClassifier(hf.load_model(MODEL), NOISE, precision="int8").certify(x, **SETTINGS)
    with pytest.raises(hf.UsageError, match=r"takes inputs of shape \(1, 8, 8\)"):
        hf.SmoothedClassifier(hf.load_model(MODEL), NOISE).certify(x[:, :, :4], **SETTINGS)
    with pytest.raises(hf.ClassifierError, match="at least 2 classes"):
        hf.SmoothedClassifier(lambda z: z, NOISE)


@pytest.mark.parametrize("backend", ["auto", "torch", "onnxruntime", "openvino"])
def test_torchs_settings_are_left_as_they_were(backend: str, x: np.ndarray) -> None:
    if backend in ("onnxruntime", "openvino"):
        pytest.importorskip(backend)
    before = torch.get_num_threads()
    model = hf.load_model(MODEL)
    torch.set_num_threads(2)
    try:
        with torch.enable_grad():
            f = hf.SmoothedClassifier(model, NOISE, backend=backend, threads=1)
            f.certify(x, n0=10, n=50, alpha=0.1)
            assert torch.is_grad_enabled()
        with torch.inference_mode():
            f.predict(x, n=50, alpha=0.1)
            assert torch.is_inference_mode_enabled()
        with torch.no_grad():
            f.predict(x, n=50, alpha=0.1)
            assert not torch.is_grad_enabled()
        assert torch.get_num_threads() == 2
        assert not torch.is_inference_mode_enabled()
        assert torch.get_float32_matmul_precision() == "highest"
    finally:
        torch.set_num_threads(before)
