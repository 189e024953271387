"""Numbers of numpy are taken wherever a whole or a real number is, and are plain when they are written."""

from __future__ import annotations

import json
from dataclasses import fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from holdfast.attacks import Check, attack_from_dict
from holdfast.bounds import bound_from_dict
from holdfast.errors import ClassifierError, UsageError
from holdfast.estimators import FixedSize, Looks, TopTwo
from holdfast.execution.smoothed import SmoothedClassifier
from holdfast.models.architectures import build
from holdfast.noises.base import noise_from_dict
from holdfast.noises.gaussian import Gaussian
from holdfast.plain import is_real, plain
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.sampling.rng import check_seed
from holdfast.stats.binomial import lower_bound, upper_bound
from holdfast.store.attack_manifest import Budgets
from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import VoteRecord
from holdfast.training.config import TrainConfig
from holdfast.training.recipes import recipe_from_dict
from holdfast.types import Counts, Example

if TYPE_CHECKING:
    from collections.abc import Callable


def numbers_in(made: Any) -> list[object]:
    """All values of a dataclass, those in tuples one by one."""
    values = [getattr(made, field.name) for field in fields(made)]
    return [part for value in values for part in (value if isinstance(value, tuple) else [value])]


OF_NUMPY = [np.int64(6), np.int32(6), np.uint8(6), np.float64(0.25), np.float32(0.25), np.float16(0.25), Fraction(1, 4)]


@pytest.mark.parametrize("value", OF_NUMPY)
def test_numbers_become_pythons_own(value: Any) -> None:
    assert type(plain(value)) is (int if value == 6 else float)
    assert plain(value) == value
    assert plain((1, [value, "x"])) == (1, [value, "x"])
    assert type(plain((value,))[0]) in (int, float)


@pytest.mark.parametrize("value", [True, np.bool_(True), "6", None, 2.5, (1, 2), [0.5]])
def test_everything_else_stays_as_it_was(value: Any) -> None:
    assert plain(value) is value
    assert not is_real(True)
    assert not is_real(float("nan"))


@pytest.mark.parametrize(
    ("make", "description"),
    [
        (noise_from_dict, {"name": "gaussian", "sigma": np.float32(0.25)}),
        (noise_from_dict, {"name": "uniform", "half_width": np.float64(0.25)}),
        (noise_from_dict, {"name": "ablation", "k": np.int64(6)}),
        (noise_from_dict, {"name": "ablation", "k": np.int64(6), "null": "mean", "fill": np.float32(0.5)}),
        (noise_from_dict, {"name": "lattice-gaussian", "sigma": np.float32(0.25), "levels": np.int64(256)}),
        (noise_from_dict, {"name": "uniform-flip", "kappa": np.float32(0.25), "levels": np.int64(16)}),
        (noise_from_dict, {"name": "splitting", "half_width": np.float32(0.25), "levels": np.int64(16)}),
        (attack_from_dict, {"name": "pgd", "norm": "l2", "steps": np.int64(3)}),
        (attack_from_dict, {"name": "gaussian-noise", "deviation": np.float32(0.25)}),
        (bound_from_dict, {"name": "convex", "epsilon": np.float32(0.25), "norm": "linf"}),
        (recipe_from_dict, {"name": "consistency", "weight": np.int64(10)}),
        (recipe_from_dict, {"name": "smoothadv", "epsilon": np.float32(0.25), "steps": np.int64(2)}),
    ],
)
def test_described_objects_take_them(make: Callable[[Any], Any], description: dict[str, Any]) -> None:
    made = make(description)
    assert all(type(value) in (int, float, str, bool, type(None)) for value in numbers_in(made))
    again = make(json.loads(json.dumps(made.to_dict())))
    assert (again, str(again)) == (made, str(made))


@pytest.mark.parametrize(
    "make",
    [
        lambda: FixedSize(np.int64(100), np.float32(0.01)),
        lambda: TopTwo(np.int64(100), np.float64(0.01), np.float32(1.5)),
        lambda: Looks(np.int64(100), np.float32(0.01), tuple(np.array([0.25, 0.5])), scale=lambda bounds: None),
        lambda: LocalEngine("cpu", np.int64(8), np.int64(1)),
        lambda: ProcessesEngine(np.int64(2)),
        lambda: Check(np.int64(50), np.float32(0.99)),
        lambda: Budgets(tuple(np.array([0.25, 0.5], np.float32))),
        lambda: TrainConfig(epochs=np.int64(3), learning_rate=np.float32(0.1), crop=np.int64(2)),
        lambda: Counts(tuple(np.array([3, 4]))),
        lambda: DataManifest(
            "a", "test", "0", np.int64(9), (np.int64(3),), 0.0, 1.0, ("x",), "", np.int64(3), np.int64(2)
        ),
    ],
)
def test_other_objects_take_them(make: Callable[[], Any]) -> None:
    numbers = [value for value in numbers_in(make()) if isinstance(value, (int, float, np.generic))]
    assert numbers
    assert all(type(value) in (int, float, bool) for value in numbers)


def test_functions_take_them() -> None:
    assert type(check_seed(np.int64(5))) is int
    assert lower_bound(np.int64(90), np.int64(100), np.float64(0.001)) == lower_bound(90, 100, 0.001)
    assert upper_bound(np.int32(90), np.int32(100), np.float64(0.001)) == upper_bound(90, 100, 0.001)
    # A float32 alpha is that number, and the bound is computed in float64 all the same.
    assert lower_bound(90, 100, np.float32(0.001)) == lower_bound(90, 100, float(np.float32(0.001)))
    assert build("digits-mlp", (np.int64(4),), np.int64(3), {"widths": np.int64(5)})[-1].out_features == 3
    example = Example(np.int64(3), np.zeros(2, np.float32), np.int64(1))
    record = VoteRecord(example.index, example.label, Counts((1,)), Counts((2,)))
    assert json.loads(record.to_line("0"))["index"] == 3


def test_a_smoothed_classifier_takes_them_for_the_same_votes() -> None:
    def certified(whole: Callable[[int], Any], real: Callable[[float], Any]) -> list[Any]:
        smoothed = SmoothedClassifier(
            lambda z: z[:, :2], Gaussian(real(0.25)), whole(2), batch_size=whole(50), threads=whole(1)
        )
        x = torch.tensor([[0.75, 0.25]])
        sampled = {"n": whole(100), "alpha": real(0.25), "seed": whole(7)}
        return [
            smoothed.certify(x, n0=whole(20), **sampled),
            smoothed.certify(x, n0=whole(20), until_radius=[real(0.125)], **sampled),
            smoothed.predict(x, **sampled),
        ]

    expected = certified(int, float)
    assert certified(np.int64, np.float32) == expected
    assert certified(np.uint16, np.float64) == expected


@pytest.mark.parametrize("value", [True, np.bool_(True), np.float64(2.0), "2", None])
def test_what_is_no_whole_number_stays_refused(value: Any) -> None:
    for refused in (
        lambda: FixedSize(value, 0.01),
        lambda: noise_from_dict({"name": "ablation", "k": value}),
        lambda: check_seed(value),
        lambda: lower_bound(value, 3, 0.1),
        lambda: Counts((value,)),
        lambda: build("digits-mlp", (4,), value),
    ):
        with pytest.raises(UsageError):
            refused()
    with pytest.raises(ClassifierError, match="at least 2 classes"):
        SmoothedClassifier(lambda z: z, Gaussian(0.5), value)


@pytest.mark.parametrize("value", [True, np.bool_(True), "0.5", None, np.float32("nan"), np.float64("inf")])
def test_what_is_no_real_number_stays_refused(value: Any) -> None:
    for refused in (
        lambda: Gaussian(value),
        lambda: FixedSize(100, value),
        lambda: attack_from_dict({"name": "gaussian-noise", "deviation": value}),
        lambda: recipe_from_dict({"name": "consistency", "weight": value}),
    ):
        with pytest.raises(UsageError):
            refused()
