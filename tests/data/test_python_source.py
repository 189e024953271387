"""The user's own code as a source, and data sets made of arrays and items in Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

import holdfast as hf
from holdfast.errors import DataError, HoldfastWarning, UsageError

CODE = """
import numpy as np
import torch
from torch.utils.data import TensorDataset

import holdfast as hf

X = torch.rand(20, 5, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 3


def arrays(count=20, name="x"):
    return X[:count].numpy(), Y[:count].tolist()

def named():
    return X, Y, ["a", "b", "c", "d"]

def tensors(split):
    return TensorDataset(X[5:], Y[5:]) if split == "train" else TensorDataset(X[:5], Y[:5])

def both():
    return {"train": (X[5:], Y[5:]), "test": (X[:5], Y[:5])}

def ours(split):
    return hf.DataSet.from_arrays(X, Y, low=-1, high=1, split=split)

def fails():
    return 1 / 0

def nothing():
    return None

def wrong_splits():
    return {"dev": (X, Y)}

def takes_range(range):
    return X * float(range), Y
"""


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[str]:
    path, modules = list(sys.path), set(sys.modules)
    file = tmp_path / f"hf_code_{tmp_path.name}.py"
    file.write_text(CODE, encoding="utf-8")
    yield str(file)
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_arrays_of_a_function(mine: str) -> None:
    data = hf.load_data(f"python:{mine}:arrays", "all")
    assert (len(data), data.shape, data.source, data.class_names) == (20, (5,), "python", ("0", "1", "2"))
    assert len(hf.load_data(f"python:{mine}:arrays")) == 4
    assert len(hf.load_data(f"{mine}:arrays,count=10", "all")) == 10
    assert len(hf.load_data(f"python:{mine}:arrays", "all", count=7)) == 7
    assert hf.load_data(f"python:{mine}:arrays", "all").sha256 == data.sha256
    assert hf.load_data(f"python:{mine}:named", "all", range="-2..2").low == -2.0
    assert hf.load_data(f"python:{mine}:named", "all").class_names == ("a", "b", "c", "d")


@pytest.mark.parametrize("name", ["tensors", "both"])
def test_splits_of_a_function(mine: str, name: str) -> None:
    test, train, whole = (hf.load_data(f"python:{mine}:{name}", split) for split in ("test", "train", "all"))
    assert (len(test), len(train), len(whole)) == (5, 15, 20)
    assert (test.split, whole.split) == ("test", "all")
    np.testing.assert_array_equal(whole.batch(range(20))[15:], test.batch(range(5)))


def test_a_data_set_of_ours(mine: str) -> None:
    data = hf.load_data(f"python:{mine}:ours")
    assert (data.low, data.high, data.split, len(data)) == (-1.0, 1.0, "test", 20)
    with pytest.raises(UsageError, match="gives a DataSet, which has its range already"):
        hf.load_data(f"python:{mine}:ours,range=0..1")


def test_options_of_the_function_come_first(mine: str) -> None:
    assert hf.load_data(f"python:{mine}:takes_range,range=3", "all").high > 1.0


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("fails", DataError, r"fails with ZeroDivisionError: division by zero \(line \d+ of .*hf_code"),
        ("nothing", DataError, "gives an object of the type NoneType, expected arrays"),
        ("wrong_splits", DataError, "gives a dictionary with dev, expected the splits train and test"),
        ("arrays,colour=3", UsageError, r"takes \(count=20, name='x'\), and gets colour: got an unexpected"),
        ("takes_range", UsageError, "missing a required argument: 'range'"),
        ("absent", UsageError, "has no 'absent'; it defines"),
    ],
)
def test_functions_that_do_not_fit(mine: str, spec: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hf.load_data(f"python:{mine}:{spec}")


def test_a_python_file_without_a_function(mine: str) -> None:
    with pytest.raises(UsageError, match="is a Python file: name the function in it"):
        hf.load_data(mine)


def test_from_arrays_of_any_kind() -> None:
    x, y = np.random.default_rng(1).random((6, 3)), [0, 1, 2, 0, 1, 2]
    first = hf.DataSet.from_arrays(x, y, low=0, high=1)
    assert first.notes == ()
    for values in (x.tolist(), torch.tensor(x, requires_grad=True), x.astype(np.float32)):
        assert hf.DataSet.from_arrays(values, torch.tensor(y), low=0, high=1).sha256 == first.sha256
    named = hf.DataSet.from_arrays(x, ["cat", "dog", "bird"] * 2, low=0, high=1)
    assert (named.class_names, named.labels.tolist()) == (("bird", "cat", "dog"), [1, 2, 0, 1, 2, 0])
    hot = hf.DataSet.from_arrays(x, np.eye(4)[y], ["a", "b", "c", "d"])
    assert (hot.labels.tolist(), hot.class_names) == (y, ("a", "b", "c", "d"))
    series = hf.DataSet.from_arrays(np.full((2, 3, 50), [[[0.5]], [[1.5]]]), [0, 1])
    assert (series.shape, series.low, series.high) == ((3, 50), 0.5, 1.5)


def test_guesses_are_warnings() -> None:
    with pytest.warns(HoldfastWarning, match=r"range of x is taken to be \[0, 1\]") as told:
        hf.DataSet.from_arrays(np.random.default_rng(1).random((6, 3)), [0, 1] * 3)
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("x", "y", "given", "error", "message"),
    [
        (np.zeros((3, 2)), [0, 1], {"low": 0, "high": 1}, DataError, "3 inputs in x and 2 labels in y"),
        (np.zeros((2, 2)), [0, 1], {"low": 0}, UsageError, "low and high belong together, got low=0 and high=None"),
        (np.zeros((2, 2)), [0, 1], {"low": 1, "high": 0}, UsageError, "low the smaller one; got 1 and 0"),
        (np.zeros((2, 2)), [0, 1], {"peak": 9}, UsageError, "peak is about 8-bit values; x is float64"),
        (np.zeros((2, 2)), [0, 5], {"class_names": ["a"]}, DataError, "label 5, and there are 1 class names"),
        (np.zeros(2), [0, 1], {}, DataError, "one number for each example"),
        (np.zeros((2, 1, 1, 1, 1, 1)), [0, 1], {}, DataError, "with one to three axes behind the channels"),
        ([[1.0], [1.0, 2.0]], [0, 1], {}, DataError, "expected numbers of one shape for all examples"),
        (np.zeros((2, 2)), ["a", ""], {}, DataError, "the label '' for example 1"),
        (np.zeros((2, 2)), [[0, 1, 1], [1, 0, 1]], {}, DataError, "or one-hot rows"),
        (np.ma.masked_equal([[0.0], [1.0]], 0), [0, 1], {}, DataError, "a masked array that hides values"),
    ],
)
def test_arrays_that_cannot_be(x: Any, y: Any, given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hf.DataSet.from_arrays(x, y, **given)


class Pictures(Dataset):  # type: ignore[type-arg]
    classes = ("left", "right")

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[PIL.Image.Image, int]:
        return PIL.Image.fromarray(np.full((3, 4, 3), 10 * index, dtype=np.uint8)), index % 2


class Augmented(Pictures):
    def __getitem__(self, index: int) -> Any:
        return torch.rand(3), index % 2


class Ragged(Pictures):
    def __getitem__(self, index: int) -> Any:
        return torch.zeros(3 + index), index % 2


class Bare(Pictures):
    def __getitem__(self, index: int) -> Any:
        return torch.zeros(3)


def test_from_torch() -> None:
    data = hf.DataSet.from_torch(Pictures())
    assert (data.shape, data.class_names, data.source) == ((3, 3, 4), ("left", "right"), "torch")
    np.testing.assert_allclose(data.batch([2])[0], 20 / 255, rtol=1e-6)
    data = hf.DataSet.from_torch(TensorDataset(torch.rand(5, 2), torch.tensor([0, 1, 1, 0, 2])), low=0, high=1)
    assert (data.shape, data.labels.tolist()) == ((2,), [0, 1, 1, 0, 2])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Augmented(), "switch off random augmentation"),
        (Ragged(), r"item 1 has inputs of float32 and shape \(4,\), item 0 of float32 and \(3,\)"),
        (Bare(), "item 0 is of the type Tensor, expected a pair"),
        (iter([1]), "has no length"),
        ([], "has no items"),
    ],
)
def test_torch_data_sets_that_cannot_be(dataset: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        hf.DataSet.from_torch(dataset)
