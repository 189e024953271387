"""Arguments and inputs of the wrong kind: a clear error or the correct answer, never a traceback."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import holdfast as hf
from holdfast.attacks import PlainTarget
from holdfast.attacks.smoothed import SmoothedTarget
from holdfast.bounds import Classifier
from holdfast.bounds.base import checked_batch
from holdfast.data.base import DataSet
from holdfast.errors import DataError, InputError, UsageError
from holdfast.estimators import EProcess, TopTwo
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine

X = torch.arange(16).reshape(1, 1, 4, 4) % 2
NAN, INF = math.nan, math.inf


def first_two(z: torch.Tensor) -> torch.Tensor:
    return z.flatten(1)[:, :2]


def smoothed(noise: Any = None, **changed: Any) -> hf.SmoothedClassifier:
    return hf.SmoothedClassifier(first_two, noise or hf.Gaussian(0.5), 2, **{"batch_size": 64, **changed})


def certify(x: Any = X, made: hf.SmoothedClassifier | None = None, **changed: Any) -> list[hf.Certificate]:
    return (made or smoothed()).certify(x, **{"n": 100, "alpha": 0.01, "seed": 1, **changed})


EXPECTED = certify()


@pytest.mark.parametrize(
    "given", [0.25, np.float32(0.25), [0.25], (0.25,), np.array([0.25]), np.array(0.25), torch.tensor([0.25]), {0.25}]
)
def test_one_radius_is_taken_in_any_form(given: Any) -> None:
    # With the noise of this seed, the radius is certified early.
    assert certify(until_radius=given, seed=2) == certify(until_radius=[0.25], seed=2)
    assert certify(until_radius=given, seed=2)[0].estimation.total < 100


def test_several_radii_and_none_are_taken_as_an_array() -> None:
    assert certify(until_radius=np.array([0.25, 0.5])) == certify(until_radius=[0.25, 0.5])
    assert certify(until_radius=np.array([])) == certify(until_radius=None) == EXPECTED
    # 0 is a radius, too: whether anything is certified.
    assert certify(until_radius=0) == certify(until_radius=[0]) != EXPECTED


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("until_radius", ["1/4"], r"finite numbers from 0 on, in a list; got '1/4'"),
        ("until_radius", "1/4", r"a radius or several, as in \[0.25, 0.5\]; got '1/4'"),
        ("until_radius", [True], "got True"),
        ("until_radius", True, "got True"),
        ("until_radius", [[0.25]], r"got \[0.25\]"),
        ("until_radius", [0.25, None], "got 0.25, None"),
        ("until_radius", [NAN], "got nan"),
        ("until_precision", "5%", r"a share of the radius between 0 and 1 \(0.05, say\), got '5%'"),
        ("until_precision", [0.05], r"got \[0.05\]"),
        ("method", ["split"], "the class bounds are one of cohen, split"),
        ("n", 3.5, "n is a whole number"),
        ("n", "5", "n is a whole number"),
        ("n0", 3.0, "n0 is a whole number"),
        ("alpha", 10**400, "alpha is a failure probability"),
        ("seed", NAN, "a seed is a whole number"),
    ],
)
def test_arguments_of_certify_of_another_kind_are_refused(name: str, given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        certify(**{name: given})


@pytest.mark.parametrize("ratio", ["5", [3], NAN, True, torch.tensor(3.0)])
def test_a_ratio_of_another_kind_is_refused(ratio: Any) -> None:
    with pytest.raises(UsageError, match="the ratio of successive looks"):
        smoothed().predict(X, n=10, alpha=0.1, ratio=ratio)
    with pytest.raises(UsageError, match="the ratio of successive looks"):
        TopTwo(10, 0.1, ratio)


@pytest.mark.parametrize("radius", ["0.5", True, NAN, [0.5]])
def test_a_bet_on_something_else_than_a_radius_is_refused(radius: Any) -> None:
    with pytest.raises(UsageError, match="a bet is on one radius, a finite number above 0; got"):
        EProcess(100, 0.01, radius, scale=lambda bounds: None)


@pytest.mark.parametrize("device", [torch.device("cpu"), torch.device("cpu", 0), X.device, "cpu"])
def test_torch_devices_are_taken(device: Any) -> None:
    assert certify(made=smoothed(device=device)) == EXPECTED
    assert LocalEngine(device).device == "cpu"
    assert hf.ProcessesEngine(2, device).device == "cpu"
    assert PlainTarget(first_two, 2, (1, 4, 4), device=device).device.type == "cpu"
    assert SmoothedTarget(VotingClassifier(first_two, 2), hf.Gaussian(0.5), (1, 4, 4), 50, 0.1, device=device).n == 50


@pytest.mark.parametrize("device", [None, 0, b"cpu", torch.device("meta"), "cuda:", "cuda:x", "cuda:²", "CPU"])
def test_what_is_no_device_is_refused(device: Any) -> None:
    for make in (smoothed, LocalEngine, lambda device: hf.ProcessesEngine(2, device)):
        with pytest.raises(UsageError, match=r"a device is 'cpu', 'cuda' or 'cuda:0', or such a torch.device; got"):
            make(device=device)


@pytest.mark.parametrize("given", [2.5, 2.0, "2", True, NAN, [3], 0, "auto"])
def test_sizes_that_are_no_whole_numbers_are_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="at least 1 noisy copy, a whole number; got"):
        smoothed(batch_size=given)
    with pytest.raises(UsageError, match="the number of threads is at least 1, a whole number; got"):
        smoothed(threads=given)
    with pytest.raises(UsageError, match="the number of processes is at least 1, a whole number; got"):
        hf.ProcessesEngine(given)


@pytest.mark.parametrize(
    "given",
    [
        *(255, "ab", ("0", "1"), (0,), (0, 1, 2), (None, 1), (0j, 1), ([0], [1]), (True, 2)),
        *((NAN, 1), (0, NAN), (1, 0), (0.5, 0.5), (INF, INF), (INF, -INF), (-INF, -INF)),
    ],
)
def test_ranges_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="the input range is two numbers, the smallest and the largest value"):
        smoothed(input_range=given)


@pytest.mark.parametrize("given", [[0, 1], np.array([0, 1]), torch.tensor([0.0, 1.0]), (np.float32(0), np.int64(1))])
def test_ranges_of_other_libraries_are_pythons_own(given: Any) -> None:
    made = smoothed(input_range=given)
    assert made.input_range == (0, 1)
    assert all(type(end) in (int, float) for end in made.input_range)
    assert certify(made=made) == EXPECTED


def test_a_range_with_one_end_is_checked_at_that_end() -> None:
    made = smoothed(input_range=(0, INF))
    assert made.certify(X * 100, n=10, alpha=0.1)
    with pytest.raises(InputError, match=r"values from -1 to 0; the input space is \[0, inf\]"):
        made.certify(-X, n=10, alpha=0.1)


@pytest.mark.parametrize(
    "given",
    [
        X.bfloat16(),
        X.half(),
        X.double().requires_grad_(),
        X.bool(),
        X.to(torch.uint8),
        X.numpy().astype(">f8"),
        X.numpy().astype(np.float16),
        X.tolist(),
        [X[0].bfloat16().requires_grad_()],
        [X[0].numpy()],
        np.ma.masked_array(X.numpy(), False),
    ],
    ids=lambda given: f"{type(given).__name__}-{getattr(given, 'dtype', '')}",
)
def test_real_numbers_in_any_form_are_taken(given: Any) -> None:
    assert certify(given) == EXPECTED


def test_half_precisions_are_taken_for_the_very_numbers_that_they_are() -> None:
    seen = []

    def f(z: torch.Tensor) -> torch.Tensor:
        seen.append(z)
        return z.flatten(1)[:, :2]

    for dtype in (torch.bfloat16, torch.float16):
        x = torch.rand(1, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
        hf.SmoothedClassifier(f, hf.Partition(4, null="mean", fill=(0.5,)), 2, batch_size=1).certify_exactly(x)
        assert any(torch.equal(z.double(), x.double()) for z in seen)


def hidden(*places: int) -> Any:
    return np.ma.masked_array(X.numpy().astype(np.float32), np.isin(np.arange(16), places).reshape(X.shape))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (hidden(*range(16)), r"hides 16 of 16 values.*x\.filled\(VALUE\)"),
        (hidden(3), r"hides 1 of 16 values"),
        ([hidden(3)[0]], r"hides 1 of 16 values"),
        (X + 0j, r"must be a tensor of real numbers, got torch.complex64; give x.real"),
        (X.numpy() + 0j, "got ndarray of complex128"),
        (X.numpy().astype(str), "got ndarray of <U"),
        (X.numpy().astype(object), "got ndarray of object; convert it to float32 first"),
        (X.numpy().astype("M8[s]"), "got ndarray of datetime64"),
        (X.float().to_sparse(), r"laid out as sparse_coo; give x.to_dense\(\)"),
        (X.float().to("meta"), "on the meta device, which has no values"),
        (X.float().to(torch.float8_e4m3fn), r"got torch.float8_e4m3fn; convert it, as x.float\(\) does"),
        ([X[0], X[0, 0]], r"one shape; got \(1, 4, 4\) and \(4, 4\) in one list"),
        ([[1.0, 0.0], [1.0]], r"one shape; got \(1,\) and \(2,\)"),
        (None, "got NoneType of object"),
        ({}, "got dict of object"),
        ("abc", "got str of <U3"),
        (0.5, r"a batch, \(batch, \*event\), got the shape \(\); one input is a batch of one, as x\[None\] is"),
        (torch.ones(3), r"got the shape \(3,\)"),
    ],
    ids=range(18),
)
def test_what_is_no_batch_of_real_numbers_is_refused(given: Any, message: str) -> None:
    exact = smoothed(hf.Partition(4))
    for call in (certify, lambda x: smoothed().predict(x, n=10, alpha=0.1), exact.certify_exactly):
        with pytest.raises(InputError, match=message):
            call(given)


def test_numbers_beyond_float32_are_refused_as_infinite() -> None:
    with pytest.raises(InputError, match="1 values that are NaN or infinite"):
        certify(torch.tensor([[1e300, 0.0]], dtype=torch.float64), smoothed(input_range=(-INF, INF)))


@pytest.mark.filterwarnings("ignore")
def test_tensors_without_plain_memory_are_refused() -> None:
    """torch warns that these are deprecated or prototypes."""
    quantized = torch.quantize_per_tensor(X.float(), 1.0, 0, torch.quint8)
    nested = torch.nested.nested_tensor([X[0].float(), X[0].float()])
    for given, message in ((quantized, r"x.dequantize\(\)"), (nested, "laid out as nested; give inputs of one shape")):
        with pytest.raises(InputError, match=message):
            certify(given)


def test_no_inputs_have_no_certificates() -> None:
    assert certify([]) == certify(torch.ones(0)) == certify(X[:0]) == []


@pytest.mark.parametrize("given", [{0}, {0: 1}, frozenset({0}), b"\x00", "0", [True], [torch.tensor(True)]])
def test_indices_without_an_order_or_that_are_no_numbers_are_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="indices are whole numbers in a sequence, one for each input; got"):
        certify(indices=given)


@pytest.mark.parametrize("given", [None, "gaussian:sigma=0.5", hf.Gaussian, {"name": "gaussian", "sigma": 0.5}])
def test_what_is_no_noise_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="the noise must be an object"):
        hf.SmoothedClassifier(first_two, given, 2)
    with pytest.raises(UsageError, match="the noise must be an object"):
        SmoothedTarget(VotingClassifier(first_two, 2), given, (1, 4, 4), 50, 0.1)


@pytest.mark.parametrize("given", ["processes:2", 2, hf.ProcessesEngine])
def test_what_is_no_engine_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="the engine is an object"):
        smoothed(engine=given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": "50"}, "n is a whole number"),
        ({"soft_samples": 0}, "soft_samples is a whole number"),
        ({"seed": "1"}, "a seed is a whole number"),
        ({"search_alpha": "0.5"}, r"search_alpha must lie between alpha \(0.1\) and 1, got '0.5'"),
        ({"low": "0"}, "the input range is two numbers"),
        ({"high": INF}, "finite range"),
        ({"low": NAN}, "the input range is two numbers"),
        ({"shape": 16}, "the shape of an input is"),
        ({"module": first_two}, "the module must be a torch module or None, got function"),
        ({"classifier": first_two}, r"VotingClassifier\(base_classifier, num_classes\), got function"),
        ({"device": 0}, "a device is 'cpu'"),
    ],
)
def test_targets_of_attacks_of_another_kind_are_refused(changed: dict[str, Any], message: str) -> None:
    given = {"classifier": VotingClassifier(first_two, 2), "noise": hf.Gaussian(0.5), "shape": (1, 4, 4)}
    with pytest.raises(UsageError, match=message):
        SmoothedTarget(**{**given, "n": 50, "alpha": 0.1, **changed})


@pytest.mark.parametrize(
    "changed",
    [
        *({"module": first_two}, {"shape": 16}, {"shape": (4, 4)}, {"num_classes": "2"}, {"num_classes": 2.5}),
        *({"low": "0"}, {"high": INF}, {"low": True}, {"device": "cpu"}),
    ],
)
def test_classifiers_of_bounds_of_another_kind_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="got"):
        Classifier(**{"module": torch.nn.Flatten(), "shape": (1, 4, 4), "num_classes": 16, **changed})


def test_inputs_of_bounds_of_another_kind_are_refused() -> None:
    classifier = Classifier(torch.nn.Flatten(), (1, 4, 4), 16)
    for x in (X + 0j, X.float().to_sparse(), X.float().to("meta"), X.numpy()):
        with pytest.raises(InputError, match=r"got|laid out as|meta device"):
            checked_batch(classifier, x)  # type: ignore[arg-type]


@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_data_sets_of_masked_arrays_are_refused(bounds: Any) -> None:
    values = np.zeros((3, 4), np.uint8 if bounds is None else np.float32)
    given = {"source": "made", "split": "test", "class_names": ["a", "b"], "bounds": bounds}
    with pytest.raises(DataError, match=r"a mask hides 4 of 12 values.*values\.filled"):
        DataSet.in_memory(
            labels=np.zeros(3, int), values=np.ma.masked_array(values, [[True] * 4, [False] * 4, [False] * 4]), **given
        )
    with pytest.raises(DataError, match="hides 1 of them"):
        DataSet.in_memory(labels=np.ma.masked_array([0, 1, 0], [True, False, False]), values=values, **given)


NOISES: dict[str, Callable[[Any], Any]] = {
    "gaussian": hf.Gaussian,
    "laplace": hf.Laplace,
    "uniform": hf.Uniform,
    "lattice": hf.LatticeGaussian,
    "flip": hf.UniformFlip,
    "fill": lambda fill: hf.Ablation(3, null="mean", fill=fill),
    "fill of blocks": lambda fill: hf.Partition(3, null="mean", fill=fill),
}


@pytest.mark.parametrize("made", NOISES)
@pytest.mark.parametrize("given", [10**400, (NAN,), ("a",), (0.5, None), "0.5", True, NAN, {0.5}, 1e40])
def test_parameters_of_noises_of_another_kind_are_refused(made: str, given: Any) -> None:
    if made.startswith("fill") and given == 1e40:
        pytest.skip("a value like any other")
    with pytest.raises(UsageError, match="got"):
        NOISES[made](given)
