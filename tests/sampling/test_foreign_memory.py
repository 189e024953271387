"""Inputs and outputs are copied: neither the base classifier nor we can change the other's memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import holdfast as hf
from holdfast.models.backends import Job, backend_names, prepare, usable
from holdfast.sampling.classifier import VotingClassifier

CPU = torch.device("cpu")


def scores(z: Tensor) -> Tensor:
    """Three classes; the first two are often nearly tied."""
    s = (z.flatten(1).mean(1) * 8).round()
    return torch.stack([s, torch.full_like(s, 4.0), s * 0 - 50], 1)


def same_array() -> Callable[[Tensor], Any]:
    """Returns the rows of one numpy array, overwritten by each call (`out=`, an output bound beforehand)."""
    memory = np.zeros((4096, 3), dtype=np.float32)

    def f(z: Tensor) -> Any:
        np.copyto(memory[: len(z)], scores(z).numpy())
        return memory[: len(z)]

    return f


def same_tensor() -> Callable[[Tensor], Any]:
    """Returns one tensor, overwritten by each call, as a captured graph does."""
    memory = torch.zeros(4096, 3)

    def f(z: Tensor) -> Tensor:
        memory[: len(z)] = scores(z)
        return memory[: len(z)]

    return f


def same_votes() -> Callable[[Tensor], Any]:
    memory = torch.zeros(4096, dtype=torch.int64)

    def f(z: Tensor) -> Tensor:
        memory[: len(z)] = scores(z).argmax(1)
        return memory[: len(z)]

    return f


def in_its_input() -> Callable[[Tensor], Any]:
    """Logits in the memory of the input."""

    def f(z: Tensor) -> Tensor:
        flat = z.flatten(1)
        flat[:, :3] = scores(z)
        return flat[:, :3]

    return f


@pytest.mark.parametrize("make", [same_array, same_tensor, same_votes, in_its_input])
def test_memory_that_is_written_again_changes_no_vote(make: Callable[[], Callable[[Tensor], Any]]) -> None:
    x = torch.full((2, 1, 4, 4), 0.55)
    settings = {"n0": 100, "n": 1000, "alpha": 0.001, "seed": 1}
    right = hf.SmoothedClassifier(scores, hf.Gaussian(sigma=0.5), 3, batch_size=128).certify(x, **settings)
    found = hf.SmoothedClassifier(make(), hf.Gaussian(sigma=0.5), 3, batch_size=128).certify(x, **settings)
    assert found == right
    assert all(certificate.radius < 0.45 for certificate in found)


def test_the_output_of_an_openvino_request_is_copied() -> None:
    openvino = pytest.importorskip("openvino")

    class Net(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return scores(z)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # OpenVINO traces by what torch says is old.
        graph = openvino.convert_model(Net(), example_input=torch.rand(64, 1, 4, 4))
    graph.reshape([-1, 1, 4, 4])
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()

    def f(z: Tensor) -> Any:
        request.infer([z.numpy()])
        return request.get_output_tensor(0).data

    x, sampling = torch.full((2, 1, 4, 4), 0.55), {"n0": 100, "n": 1000, "alpha": 0.001, "seed": 1}
    found = hf.SmoothedClassifier(f, hf.Gaussian(sigma=0.5), 3).certify(x, **sampling)
    assert found == hf.SmoothedClassifier(scores, hf.Gaussian(sigma=0.5), 3).certify(x, **sampling)
    # The true probability is .815, and the radius .45.
    assert all(each.label == 0 and 0.3 < each.radius < 0.45 for each in found)


class InPlace(nn.Module):
    """Normalizes its input in place, as many scripts do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z.sub_(0.5).div_(0.25).flatten(1))


class Aside(nn.Module):
    """The same network without changing its input."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 3)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(((z - 0.5) / 0.25).flatten(1))


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    changing, leaving = InPlace().eval(), Aside().eval()
    leaving.load_state_dict(changing.state_dict())
    return changing, leaving


@pytest.mark.parametrize("noise", [hf.Gaussian(sigma=0.5), hf.Ablation(20), hf.LatticeGaussian(sigma=0.5)], ids=str)
def test_a_model_that_normalizes_in_place_gets_the_votes_of_one_that_does_not(noise: Any) -> None:
    x = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 255).round() / 255
    torch.manual_seed(0)
    size = 64 * noise.noisy_shape((1, 8, 8))[0]
    changing, leaving = (
        nn.Sequential(nn.ReLU(inplace), nn.Flatten(), nn.Linear(size, 3)).eval() for inplace in (True, False)
    )
    leaving.load_state_dict(changing.state_dict())
    settings = {"n0": 64, "n": 500, "alpha": 0.001, "seed": 1}
    found, right = (
        hf.SmoothedClassifier(model, noise, 3, batch_size=96).certify(x, **settings) for model in (changing, leaving)
    )
    assert found == right


def test_inputs_are_left_as_they_are() -> None:
    changing, _ = pair()
    x = torch.rand(7, 1, 8, 8)
    before = x.clone()
    VotingClassifier(changing, 3).votes(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", [name for name in backend_names() if name != "openvino"])
def test_backends_of_a_model_that_works_in_place(name: str) -> None:
    if name not in usable("float32", CPU):
        pytest.skip(f"{name} cannot be used here")
    changing, leaving = pair()
    x = torch.randn(70, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = VotingClassifier(leaving, 3).votes(x)[0]
    classifier = VotingClassifier(prepare(name, Job(changing, (1, 8, 8))), 3)
    for _ in range(2):
        assert torch.equal(classifier.votes(x)[0], expected)


def test_a_backend_computes_rows_alone_in_memory_of_their_own() -> None:
    class Buffered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("memory", torch.zeros(64, 3))

        def forward(self, z: Tensor) -> Tensor:
            self.memory[: len(z)] = z.flatten(1)[:, :3]
            return self.memory[: len(z)]

    x = torch.randn(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    backend = prepare("torch", Job(Buffered().eval(), (1, 8, 8)))
    assert torch.equal(backend.alone(x), x.flatten(1)[:, :3])
    assert torch.equal(VotingClassifier(backend, 3).votes(x)[0], x.flatten(1)[:, :3].argmax(1))


def test_an_attack_on_a_classifier_that_works_in_place_changes_no_input() -> None:
    from holdfast.attacks.target import Access, PlainTarget

    changing, leaving = pair()
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    target, other = PlainTarget(changing, 3, (1, 8, 8)), PlainTarget(leaving, 3, (1, 8, 8))
    assert target.gives is Access.GRADIENTS
    first = target.logits(x)
    assert torch.equal(first, other.logits(x))
    assert torch.equal(target.scores(x), first)
    assert torch.equal(target.decide(x), other.decide(x))
    assert torch.equal(x, before)


def test_scores_for_an_attack_stay_what_they_were() -> None:
    from holdfast.attacks.target import PlainTarget

    target = PlainTarget(same_tensor(), 3, (1, 4, 4))
    x = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    first = target.scores(x)
    kept = first.clone()
    target.scores(1 - x)
    assert torch.equal(first, kept)
