"""SmoothedClassifier: the public interface, and the checks of the input space."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

import holdfast as hf
from holdfast.errors import HoldfastError, InputError, UsageError
from holdfast.noises.base import Guarantee, guarantees_of
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.types import Example

WEIGHTS = torch.randn(16, generator=torch.Generator().manual_seed(1))


def linear(z: torch.Tensor) -> torch.Tensor:
    score = z.flatten(1) @ WEIGHTS
    return torch.stack([score, -score], 1)


def inputs(count: int = 5) -> torch.Tensor:
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(2))


def smoothed(noise: object = None) -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(linear, noise or hf.Gaussian(0.5), 2, batch_size=256)


def test_certify_gives_a_certificate_for_each_input() -> None:
    certificates = smoothed().certify(inputs(), n0=50, n=2000, alpha=0.001, seed=3)
    assert len(certificates) == 5
    for x, certificate in zip(inputs(), certificates, strict=True):
        assert certificate.norm is hf.Norm.L2
        assert certificate.alpha == 0.001
        assert (certificate.selection.total, certificate.estimation.total) == (50, 2000)
        assert certificate.label in (int(linear(x[None]).argmax()), None)


def test_one_input_is_a_batch_of_one_and_arrays_are_inputs_too() -> None:
    whole = smoothed().certify(inputs(), n=500, alpha=0.01, seed=3)
    assert smoothed().certify(inputs()[:1], n=500, alpha=0.01, seed=3) == whole[:1]
    assert smoothed().certify(inputs().numpy().astype(np.float64), n=500, alpha=0.01, seed=3) == whole
    assert smoothed().certify(inputs()[:0], n=500, alpha=0.01) == []


def test_the_default_seed_is_fresh() -> None:
    first, second = (smoothed().certify(inputs(), n=2000, alpha=0.01) for _ in range(2))
    assert [c.estimation for c in first] != [c.estimation for c in second]


def test_predict_abstains_where_the_classes_cannot_be_told_apart() -> None:
    even = hf.SmoothedClassifier(lambda z: (z.flatten(1).sum(1) > 0).long(), hf.Gaussian(1.0), 2)
    (prediction,) = even.predict(torch.zeros(1, 1, 4, 4), n=1000, alpha=0.001, seed=1)
    assert prediction.label is None
    assert prediction.p_value > 0.001
    fixed = even.predict(torch.ones(1, 1, 4, 4), n=1000, alpha=0.001, ratio=None, seed=1)[0]
    assert (fixed.label, fixed.counts.total) == (1, 1000)
    assert fixed.p_value is not None
    assert fixed.p_value <= 0.001


def test_predict_stops_as_soon_as_the_answer_is_clear() -> None:
    f = hf.SmoothedClassifier(lambda z: (z.flatten(1).sum(1) > 0).long(), hf.Gaussian(1.0), 2)
    sure = f.predict(torch.ones(1, 1, 4, 4), n=100_000, alpha=0.001, seed=1)[0]
    assert sure.label == 1
    assert sure.counts.total < 100
    assert sure.alpha == 0.001


def test_certify_stops_early_on_request_with_the_same_first_votes() -> None:
    whole = smoothed().certify(inputs(), n=50_000, alpha=0.001, seed=3)
    half = smoothed().certify(inputs(), n=50_000, alpha=0.001, until_precision=0.5, seed=3)
    asked = smoothed().certify(inputs(), n=50_000, alpha=0.001, until_radius=[0.05], seed=3)
    for full, near, decided in zip(whole, half, asked, strict=True):
        assert near.estimation.total < 50_000
        assert decided.estimation.total < 50_000
        assert near.radius >= 0.4 * full.radius
        assert (decided.radius >= 0.05) == (full.radius >= 0.05) or abs(full.radius - 0.05) < 0.01


@pytest.mark.parametrize("value", [1.0001, -0.5, float("nan"), float("inf")])
def test_inputs_outside_the_input_space_are_an_error_that_names_the_example(value: float) -> None:
    x = inputs()
    x[3, 0, 1, 2] = value
    for call in (smoothed().certify, smoothed().predict):
        with pytest.raises(InputError, match="example 3 has"):
            call(x, n=10, alpha=0.1)


def test_another_range_can_be_declared() -> None:
    x = inputs() * 255
    with pytest.raises(InputError, match=r"the input space is \[0, 1\]. Nothing is clipped"):
        smoothed().certify(x, n=10, alpha=0.1)
    wide = hf.SmoothedClassifier(linear, hf.Gaussian(30.0), 2, input_range=(0.0, 255.0))
    assert len(wide.certify(x, n=10, alpha=0.1)) == 5
    with pytest.raises(UsageError, match=r"encodes s as \(s, 1 - s\)"):
        hf.SmoothedClassifier(linear, hf.Ablation(3), 2, input_range=(0.0, 255.0)).certify(x, n=10, alpha=0.1)


def test_wrong_shapes_are_refused() -> None:
    for shape in ((4, 4), (5, 4, 4), (2, 1, 4, 4, 4)):
        with pytest.raises(UsageError, match=r"inputs have the shape|k = 8 pixels"):
            hf.SmoothedClassifier(linear, hf.Ablation(8), 2).certify(torch.zeros(shape), n=10, alpha=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0, "alpha": 0.1}, "n is a whole number"),
        ({"n": 10, "alpha": 0.0}, "alpha is a failure probability"),
        ({"n": 10, "alpha": float("nan")}, "alpha is a failure probability"),
        ({"n": 10, "alpha": 0.1, "n0": 0}, "n0 is a whole number"),
        ({"n": 10, "alpha": 0.1, "seed": -1}, "a seed is a whole number"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        smoothed().certify(inputs(), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "tpu"}, "a device is 'cpu', 'cuda'"),
        (
            {"device": "cuda:99"},
            "torch sees 0 CUDA devices" if not torch.cuda.is_available() else "not on this machine",
        ),
        ({"batch_size": 0}, "at least 1 noisy copy"),
        ({"threads": 0}, "number of threads is at least 1"),
    ],
)
def test_engines_that_cannot_be_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hf.SmoothedClassifier(linear, hf.Gaussian(0.5), 2, **arguments)


@pytest.mark.parametrize("engine", [LocalEngine("cuda:99"), ProcessesEngine(1, "cuda:99")])
def test_a_device_that_is_not_here_is_refused_when_an_engine_runs(engine: Engine) -> None:
    """Not earlier: the engine may be created on another machine than the one it runs on."""
    with pytest.raises(UsageError, match="device 'cuda:99' is not on this machine"):
        hf.SmoothedClassifier(linear, hf.Gaussian(0.5), 2, engine=engine).certify(inputs(), n=10, alpha=0.1)
    with pytest.raises(UsageError, match="a device is 'cpu', 'cuda'"):
        replace(engine, device="tpu")


def test_the_batch_size_is_measured_when_none_is_given() -> None:
    fixed = smoothed().certify(inputs(), n=300, alpha=0.01, seed=3)
    assert hf.SmoothedClassifier(linear, hf.Gaussian(0.5), 2).certify(inputs(), n=300, alpha=0.01, seed=3) == fixed


def linear_up_to(most: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A device with memory for `most` noisy copies."""

    def greedy(z: torch.Tensor) -> torch.Tensor:
        if len(z) > most:
            raise torch.OutOfMemoryError
        return linear(z)

    return greedy


@pytest.mark.parametrize(("most", "then"), [(1, 1), (50, 32), (200, 128)])
def test_batches_without_memory_are_halved_and_results_are_the_same(most: int, then: int) -> None:
    greedy = hf.SmoothedClassifier(linear_up_to(most), hf.Gaussian(0.5), 2, batch_size=256)
    with pytest.warns(RuntimeWarning, match="no memory for batches") as seen:
        small = greedy.certify(inputs(), n=500, alpha=0.1, seed=1)
    assert str(seen[-1].message).endswith(f"going on with {then}. Results are the same")
    assert len(seen) == 8 - then.bit_length() + 1
    whole = hf.SmoothedClassifier(linear, hf.Gaussian(0.5), 2, batch_size=256)
    assert small == whole.certify(inputs(), n=500, alpha=0.1, seed=1)


@pytest.mark.parametrize("most", [1, 40, 100, 300])
def test_measured_batches_have_memory(most: int) -> None:
    """No warning, which pytest would make an error."""
    engine = LocalEngine()
    classifier = VotingClassifier(linear_up_to(most), 2)
    size, speed = engine.fastest_batch(classifier, hf.Gaussian(0.5), Example(0, inputs()[0].numpy(), 0))
    assert size <= most
    assert speed > 0


@pytest.mark.filterwarnings("ignore:cpu has no memory")
@pytest.mark.parametrize("batch_size", [None, 4])
def test_no_memory_for_a_single_copy_is_an_error(batch_size: int | None) -> None:
    greedy = hf.SmoothedClassifier(linear_up_to(0), hf.Gaussian(0.5), 2, batch_size=batch_size)
    with pytest.raises(HoldfastError, match="cpu has no memory for a single noisy copy of example 0; use another"):
        greedy.certify(inputs(), n=500, alpha=0.1)


@pytest.mark.parametrize("guarantee", guarantees_of(hf.Gaussian(0.5)), ids=lambda guarantee: guarantee.name)
@pytest.mark.parametrize("stopping", [{}, {"until_radius": 0.01}], ids=["fixed", "looks"])
def test_every_guarantee_of_a_noise_is_reached_by_its_name(guarantee: Guarantee, stopping: dict[str, float]) -> None:
    found = smoothed().certify(inputs(), n=500, alpha=0.01, theorem=guarantee.name, seed=3, **stopping)
    assert any(each.label is not None for each in found)
    for each in found:
        radius = guarantee.radius(hf.Gaussian(0.5), each.bounds, (1, 4, 4))
        assert (each.norm, each.radius) == (guarantee.norm, radius or 0.0)


def test_a_guarantee_of_another_noise_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no guarantee 'levine'; it has cohen, "):
        smoothed().certify(inputs(), n=50, alpha=0.01, theorem="levine")
