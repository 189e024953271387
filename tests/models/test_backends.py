"""Backends: the logits of eager torch up to a stated rounding, and votes that are functions of one input."""

import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from holdfast.errors import ClassifierError, MissingExtraError, UsageError
from holdfast.models.architectures.base import build
from holdfast.models.backends import Backend, Calibration, Job, backend_names, base, prepare, usable
from holdfast.models.backends.base import backend
from holdfast.models.backends.openvino import OpenVino
from holdfast.models.backends.torch_compiled import TorchCompiled
from holdfast.models.backends.torch_optimized import folded
from holdfast.models.normalization import Normalization
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.types import Example

CPU = torch.device("cpu")
EVERY = [
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("torch-optimized", "float32"),
    ("torch-optimized", "bfloat16"),
    ("torch-compiled", "bfloat16"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("openvino", "int8"),
    ("onnxruntime", "float32"),
]
# Differences from the logits of eager float32: the largest relative to the largest logit, the mean one relative to the
# mean.
TOLERANCE = {"float32": (1e-5, 1e-5), "bfloat16": (0.06, 0.02), "int8": (0.7, 0.25)}
SHAPES = {"digits-cnn": (1, 8, 8), "mnist-cnn": (2, 28, 28), "resnet20": (3, 8, 8), "sparse-cnn": (2, 12, 12)}


def network(name: str) -> nn.Module:
    """Random weights, statistics for batch normalization, and a last layer that tells two kinds of inputs apart."""
    torch.manual_seed(0)
    shape = SHAPES[name]
    scale = (0.5,) * shape[0]
    module = nn.Sequential(Normalization(scale, scale, 3), build(name, shape, 4))
    with torch.no_grad():
        for seed in range(20):
            module(inputs(name, seed=seed))
    return module.eval()


def inputs(name: str, count: int = 150, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    shape = SHAPES[name]
    brightness = torch.rand(count, shape[0], 1, 1, generator=source) * 2
    return brightness + 0.3 * torch.randn(count, *shape, generator=source)


def job(name: str, precision: str) -> Job:
    calibration = Calibration(inputs(name, 64, seed=1).numpy(), {"inputs": 64})
    return Job(network(name), SHAPES[name], precision, calibration=calibration)


def made(name: str, backend: str, precision: str) -> Backend:
    return prepared(backend, job(name, precision))


def prepared(backend: str, whole: Job) -> Backend:
    """The backend; the test is skipped where this machine cannot do it."""
    if backend == "torch-compiled" and shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    try:
        return prepare(backend, whole)
    except UsageError as error:
        if "this processor has no" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize(("backend", "precision"), EVERY)
@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_those_of_eager_float32_up_to_rounding(name: str, backend: str, precision: str) -> None:
    if backend == "torch-compiled" and name != "digits-cnn":
        pytest.skip("a compilation takes seconds; one is enough")
    x = inputs(name)
    with torch.inference_mode():
        expected = network(name)(x)
    classifier = made(name, backend, precision)
    logits = classifier(x).float()
    scale = float(expected.abs().max())
    assert logits.shape == expected.shape
    largest, mean = TOLERANCE[precision]
    difference = (logits - expected).abs()
    assert float(difference.max()) <= largest * scale
    assert float(difference.mean()) <= mean * float(expected.abs().mean())
    agreeing = float((logits.argmax(1) == expected.argmax(1)).float().mean())
    assert agreeing >= {"float32": 1.0, "bfloat16": 0.95, "int8": 0.85}[precision]
    if precision != "float32":
        assert not torch.equal(logits, expected), "it computes in the precision that it says"
    # Single rows, and a batch that is not a multiple of the compiled size.
    rounding = classifier.near_tie * scale / 2
    assert float((classifier.alone(x[:9]).float() - logits[:9]).abs().max()) <= rounding
    assert float((classifier(x[:71]).float() - logits[:71]).abs().max()) <= rounding


@pytest.mark.parametrize(("backend", "precision"), EVERY)
def test_votes_depend_neither_on_batch_size_nor_on_order(backend: str, precision: str) -> None:
    """Through the real engine, where examples share batches."""
    classifier = VotingClassifier(made("digits-cnn", backend, precision), 4)
    source = np.random.default_rng(0)
    examples = [Example(index, source.random((1, 8, 8), dtype=np.float32), 0) for index in range(5)]

    def votes(batch: int, order: int) -> dict[int, object]:
        found = LocalEngine(batch_size=batch).run(classifier, Gaussian(0.8), Burst(130), 3, examples[::order])
        return {example.index: each for example, each in found}

    expected = votes(64, 1)
    assert len({tuple(next(iter(each.values())).votes) for each in expected.values()}) > 1
    for batch, order in ((9, 1), (100, -1), (700, -1)):
        assert votes(batch, order) == expected


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "resnet50"])
def test_folding_batch_normalization_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(Normalization((0.5,) * 3, (0.5,) * 3, 3), build(name, (3, 32, 32), 10))
    x = torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        module(x)
    module.eval().requires_grad_(False)
    expected = module(x)
    lean = folded(module)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in lean.modules())
    assert float((lean(x) - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_folding_leaves_what_it_cannot_fold() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.linear(self.linear(x)))

    class Untraceable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if float(x.sum()) > 0 else -x

    twice, x = Twice().eval(), torch.rand(5, 3)
    twice.norm.running_mean += 1.0
    assert torch.allclose(folded(twice)(x), twice(x), atol=1e-6)
    untraceable = Untraceable().eval()
    assert folded(untraceable) is untraceable


def test_unknown_names_and_what_does_not_fit_are_refused() -> None:
    whole = job("digits-cnn", "float32")
    with pytest.raises(UsageError, match="unknown backend 'tensorflow'; known are onnxruntime, openvino, torch"):
        prepare("tensorflow", whole)
    with pytest.raises(UsageError, match="the precision is float32, bfloat16 or int8, got 'int4'"):
        prepare("torch", Job(whole.module, whole.shape, "int4"))
    with pytest.raises(UsageError, match=r"'torch' does not compute in int8, .*; for int8 there is openvino"):
        prepare("torch", Job(whole.module, whole.shape, "int8"))
    with pytest.raises(UsageError, match="'openvino' computes on cpu, not on cuda"):
        prepare("openvino", Job(whole.module, whole.shape, device=torch.device("cuda")))
    with pytest.raises(UsageError, match="int8 needs noisy inputs"):
        prepare("openvino", Job(whole.module, whole.shape, "int8"))
    with pytest.raises(TypeError, match="two backends are named 'torch'"):
        backend("torch")(OpenVino)


def test_a_network_that_a_backend_cannot_take_is_refused() -> None:
    class Strange(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_y1(x.flatten(1))

    with pytest.raises(UsageError, match=r"backend 'onnxruntime' cannot take this network .*use another, as torch"):
        prepare("onnxruntime", Job(Strange().eval(), (1, 8, 8)))


PROGRAMS = {
    "exported": lambda module, x: torch.export.export(
        module, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},)
    ).module(),
    "scripted": lambda module, x: torch.jit.script(module),
    "traced": lambda module, x: torch.jit.trace(module, x),
    "frozen": lambda module, x: torch.jit.freeze(torch.jit.script(module)),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("form", PROGRAMS)
@pytest.mark.parametrize("backend", ["torch", "torch-optimized"])
def test_programs_that_have_one_mode_are_networks_too(form: str, backend: str) -> None:
    """They take no eval(), no requires_grad_(), and some have no flag that says whether they are trained."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()
    x = torch.rand(4, 1, 4, 4)
    program = PROGRAMS[form](module, x)
    made = prepare(backend, Job(program, (1, 4, 4)))
    with torch.inference_mode():
        assert torch.allclose(made(x), module(x), atol=1e-6)
    assert not any(weights.requires_grad for weights in made._module.parameters())


@pytest.mark.parametrize(
    ("nothing", "message"),
    [(False, "this processor has no bfloat16 arithmetic that OpenVINO uses"), (True, "cannot take this network")],
)
def test_openvino_says_when_only_bfloat16_cannot_be_compiled(
    nothing: bool, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where ONEDNN_MAX_CPU_ISA keeps bfloat16 from the kernels, which the plugin does not know."""
    made("digits-cnn", "openvino", "float32")
    openvino = base.imported("openvino")
    compiled = openvino.Core.compile_model

    def compile_model(self, graph, device: str, settings: dict[str, object]):
        if nothing or settings["INFERENCE_PRECISION_HINT"] == openvino.Type.bf16:
            raise RuntimeError("object is not initialized")
        return compiled(self, graph, device, settings)

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    with pytest.raises(UsageError, match=message):
        prepare("openvino", job("digits-cnn", "bfloat16"))


def test_missing_packages_are_named_with_their_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "importable", lambda package: False)
    for name, extra in (("openvino", "openvino"), ("onnxruntime", "onnx")):
        with pytest.raises(MissingExtraError, match=rf"The backend '{name}' needs .*'holdfast-robustness\[{extra}\]'"):
            prepare(name, job("digits-cnn", "float32"))
    assert usable("int8", CPU) == []
    assert usable("bfloat16", CPU)[0] == "torch"
    monkeypatch.undo()
    monkeypatch.setattr("holdfast.models.backends.openvino.importable", lambda package: False)
    with pytest.raises(MissingExtraError, match=r"int8 on the backend 'openvino' needs the package 'nncf'"):
        prepare("openvino", job("digits-cnn", "int8"))


def test_without_a_compiler_there_is_no_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "torch-compiled" not in usable("float32", CPU)
    with pytest.raises(UsageError, match="needs a C\\+\\+ compiler and there is no 'no-such-compiler' here"):
        prepare("torch-compiled", job("digits-cnn", "float32"))


def test_gpus_have_the_backends_of_torch() -> None:
    assert usable("bfloat16", torch.device("cuda")) == ["torch", "torch-optimized"]
    assert set(backend_names()) == {name for name, _ in EVERY}
    assert TorchCompiled.name == "torch-compiled"


@pytest.mark.parametrize(("backend", "precision"), EVERY)
def test_a_diverged_network_is_an_error(backend: str, precision: str) -> None:
    if backend == "torch-compiled":
        pytest.skip("a compilation takes seconds")
    whole = job("digits-cnn", precision)
    with torch.no_grad():
        for weights in whole.module.parameters():
            weights.fill_(float("nan"))
    example = Example(7, np.zeros((1, 8, 8), dtype=np.float32), 0)

    def certify() -> None:
        classifier = VotingClassifier(prepared(backend, whole), 4)
        list(LocalEngine(batch_size=64).run(classifier, Gaussian(0.5), Burst(10), 0, [example]))

    with pytest.raises(ClassifierError, match=r"NaN or infinite logits .*(example 7|training inputs)"):
        certify()


def test_int8_is_calibrated_to_the_same_network_again_and_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    """Its hash is in the manifest: a resumed run must get the same f."""
    before = os.environ.get("CI")
    first = made("digits-cnn", "openvino", "int8")
    second = pickle.loads(pickle.dumps(first))
    assert first.describe() == second.describe()
    assert len(first.describe()["quantization"]["sha256"]) == 64
    x = inputs("digits-cnn", 70)
    assert torch.equal(first(x), second(x))
    assert capfd.readouterr().out == ""
    assert os.environ.get("CI") == before
    changed = job("digits-cnn", "int8")
    changed.calibration.inputs[:] *= 2
    assert prepare("openvino", changed).describe() != first.describe()


def test_backends_say_what_they_are() -> None:
    assert made("digits-cnn", "torch", "bfloat16").describe() == {"name": "torch", "version": torch.__version__}
    said = made("digits-cnn", "openvino", "float32").describe()
    assert (said["name"], list(said)) == ("openvino", ["name", "version"])


def test_a_backend_that_rounds_more_than_it_says_is_found_out() -> None:
    """The first batch is compared with its rows alone, and near ties get room for what is seen there."""
    whole = job("digits-cnn", "float32")

    class Sloppy:
        near_tie = 2.0**-14

        def __call__(self, noisy: Tensor) -> Tensor:
            with torch.inference_mode():
                logits = whole.module(noisy)
            turned = torch.arange(len(noisy)).view(-1, 1) % 2 * 2 - 1
            return logits + 0.004 * turned * torch.tensor([1.0, -1.0, 1.0, -1.0]) * logits.abs().max()

        def alone(self, noisy: Tensor) -> Tensor:
            with torch.inference_mode():
                return torch.cat([whole.module(row) for row in noisy.split(1)])

    x = inputs("digits-cnn", 400)
    expected = Sloppy().alone(x).argmax(1)
    assert not torch.equal(Sloppy()(x).argmax(1), expected), "the batch does change votes here"
    classifier = VotingClassifier(Sloppy(), 4)
    for size in (400, 37):
        assert torch.equal(torch.cat([classifier.votes(part)[0] for part in x.split(size)]), expected)
