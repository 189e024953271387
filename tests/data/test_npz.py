"""NumPy's archives and pairs of arrays."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import holdfast as hf
from holdfast.data import open_data
from holdfast.errors import DataError, UsageError

RNG = np.random.default_rng(5)
X = RNG.random((20, 6)).astype(np.float32)
Y = np.arange(20) % 4
PICTURES = RNG.integers(0, 256, (20, 5, 5), dtype=np.uint8)


def opened(path: Path, split: str = "test", **options: str) -> hf.DataSet:
    return open_data("npz", path, split, options)


def saved(file: Path, **arrays: np.ndarray) -> Path:
    np.savez(file, **arrays)
    return file


def test_all_of_two_arrays(tmp_path: Path) -> None:
    data = opened(saved(tmp_path / "a.npz", x=X, y=Y), split="all")
    assert (len(data), data.shape, data.split, data.source) == (20, (6,), "all", "npz")
    np.testing.assert_array_equal(data.batch(range(20)), X)
    assert data.labels.tolist() == Y.tolist()
    assert (data.low, data.high) == (0.0, 1.0)
    assert len(data.notes) == 1
    assert "is taken to be [0, 1]" in data.notes[0]


def test_a_fifth_is_for_testing_where_nothing_says_so(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.npz", x=X, y=Y)
    train, test = opened(file, "train"), opened(file)
    assert (len(train), len(test)) == (16, 4)
    together = np.concatenate([train.batch(range(16)), test.batch(range(4))])
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, X.tolist()))
    assert "one distinct example in five" in test.notes[-1]
    assert (train.low, train.high, train.class_names) == (test.low, test.high, test.class_names)


@pytest.mark.parametrize(
    "names",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "y_train", "X_test", "y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("train_images", "train_labels", "val_images", "val_labels"),
        ("xtrain", "ytrain", "xtest", "ytest"),
    ],
)
def test_names_of_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    arrays = dict(zip(names, (PICTURES[:12], Y[:12], PICTURES[12:], Y[12:, np.newaxis]), strict=True))
    file = saved(tmp_path / "a.npz", **arrays)
    train, test, whole = (opened(file, split) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(whole)) == (12, 8, 20)
    assert test.shape == (1, 5, 5)
    np.testing.assert_array_equal(np.rint(test.batch(range(8))[:, 0] * 255), PICTURES[12:])
    np.testing.assert_array_equal(np.rint(whole.batch(range(20))[:, 0] * 255), PICTURES)
    np.testing.assert_array_equal(whole.batch([19, 0, 12]), np.concatenate([whole.batch([i]) for i in (19, 0, 12)]))
    assert any("validation" in note for note in test.notes) == ("val_images" in names)


def test_the_range_is_that_of_the_training_set(tmp_path: Path) -> None:
    arrays = {"x_train": X * 8 - 4, "y_train": Y, "x_test": X * 2, "y_test": Y}
    data = opened(saved(tmp_path / "a.npz", **arrays))
    assert (data.low, data.high) == (float((X * 8 - 4).min()), float((X * 8 - 4).max()))
    assert any("of the training set" in note for note in data.notes)
    arrays["x_test"] = X * 10
    file = saved(tmp_path / "b.npz", **arrays)
    with pytest.raises(DataError, match=r"x in .*b\.npz has \d+ values outside of .* nothing is cut off"):
        opened(file)
    assert opened(file, range="-4..10").high == 10.0


def test_arrays_are_told_by_their_names_and_shapes(tmp_path: Path) -> None:
    digits = load_digits()
    data = opened(saved(tmp_path / "a.npz", pixels=digits.images, number=digits.target, weight=X[0]), split="all")
    assert (data.shape, data.high, len(data)) == ((1, 8, 8), 16.0, 1797)
    assert "the array pixels (float64, shape (1797, 8, 8)) is taken for the inputs, number" in data.notes[0]
    data = opened(saved(tmp_path / "b.npz", a=X, b=Y, c=X[:, :2]), split="all", x="c", y="b")
    assert data.shape == (2,)
    file = saved(tmp_path / "c.npz", a=X, b=Y, c=X[:, :2])
    with pytest.raises(DataError, match=r"cannot be told: name them, as in x=NAME,y=NAME"):
        opened(file)
    with pytest.raises(UsageError, match=r"x=q: .* has no such array; it has a \(float32, shape \(20, 6\)\), b"):
        opened(file, x="q")


def test_a_pair_of_npy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    np.save(tmp_path / "y.npy", Y)
    data = opened(tmp_path / "x.npy", split="all", y="y.npy")
    np.testing.assert_array_equal(data.batch(range(20)), X)
    with pytest.raises(UsageError, match="name the file of the labels"):
        opened(tmp_path / "x.npy")
    with pytest.raises(DataError, match=r"y: no file or folder z\.npy"):
        opened(tmp_path / "x.npy", y="z.npy")


def test_files_that_are_called_by_splits(tmp_path: Path) -> None:
    saved(tmp_path / "toy_train.npz", x=X[:12], y=Y[:12])
    file = saved(tmp_path / "toy_test.npz", x=X[12:], y=Y[12:])
    assert (len(opened(file)), len(opened(file, "train")), len(opened(file, "all"))) == (8, 12, 20)
    other = saved(tmp_path / "other.npz", x=X, y=Y)
    assert len(opened(file, "train", train=str(other))) == 20
    (tmp_path / "toy_train.npz").unlink()
    with pytest.raises(DataError, match="has no train split, only test"):
        opened(file, "train")


@pytest.mark.parametrize(
    ("values", "options", "shape", "note"),
    [
        (RNG.integers(0, 256, (20, 4, 6, 3), dtype=np.uint8), {}, (3, 4, 6), "the last axis is taken for the channels"),
        (RNG.random((20, 3, 50)), {}, (3, 50), "taken for 3 channels of 50 values each"),
        (RNG.random((20, 50, 3)), {"channels": "last"}, (3, 50), ""),
        (RNG.random((20, 4, 6)), {"channels": "none"}, (1, 4, 6), ""),
        (RNG.random((20, 2, 4, 5, 6)), {}, (2, 4, 5, 6), ""),
    ],
)
def test_shapes(tmp_path: Path, values: np.ndarray, options: dict[str, str], shape: tuple[int, ...], note: str) -> None:
    data = opened(saved(tmp_path / "a.npz", x=values, y=Y), split="all", **options)
    assert data.shape == shape
    assert any(note in each for each in data.notes)
    expected = np.moveaxis(values, -1, 1) if shape[0] == values.shape[-1] else values.reshape(20, *shape)
    scale = 255 if values.dtype == np.uint8 else 1
    np.testing.assert_allclose(data.batch(range(20)) * scale, expected, rtol=1e-6)


def test_bits_are_black_and_white(tmp_path: Path) -> None:
    bits = PICTURES > 127
    data = opened(saved(tmp_path / "a.npz", x=bits, y=Y), split="all")
    assert set(np.unique(data.batch(range(20)))) == {0.0, 1.0}
    data = opened(saved(tmp_path / "b.npz", x=bits.astype(np.uint8), y=Y), split="all")
    assert any("peak=1" in note for note in data.notes)
    assert opened(tmp_path / "b.npz", split="all", peak="1").batch(range(20)).max() == 1.0


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.where(X > 0.9, np.nan, X), Y, r"has \d+ values that are not finite, the first \(nan\) in example \d+"),
        (np.full_like(X, 1e39, dtype=np.float64), Y, "beyond those of float32"),
        (X, Y[:7], "has 20 inputs and 7 labels"),
        (X, Y - 1, "labels from -1 to 2"),
        (X, Y + 0.5, "the label 0.5 for example 0"),
        (X.astype(complex), Y, "is an array of complex128, expected numbers"),
        (X * 0, Y * 10**9, "labels from 0 to 3000000000"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, x: np.ndarray, y: np.ndarray, message: str) -> None:
    file = saved(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(DataError, match=message):
        opened(file)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil-was-here",)


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bad = np.empty(20, dtype=object)
    bad[:] = [Evil()] * 20
    file = saved(tmp_path / "a.npz", x=bad, y=Y)
    with pytest.raises(DataError, match=r"has the arrays y \(int64"):
        opened(file)
    with pytest.raises(UsageError, match="has no such array"):
        opened(file, x="x")
    file.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"cannot be read, expected a complete \.npz or \.npy file"):
        opened(file)
    assert not (tmp_path / "evil-was-here").exists()


def array_file(shape: tuple[int, ...], content: bytes) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue() + content


def test_a_header_that_claims_more_than_there_is(tmp_path: Path) -> None:
    file = tmp_path / "x.npy"
    file.write_bytes(array_file((10**12, 100), b"\0" * 400))
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(DataError, match=r"claims 400,000,000,000,000 bytes in its header and has 400"):
        opened(file, y="y.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", array_file((300_000_00, 1), bytes(120_000_000)))
    with pytest.raises(DataError, match="it is made to fill the memory"):
        opened(tmp_path / "a.npz")


@pytest.mark.parametrize("kept", [3, 200, -30])
def test_a_file_that_is_cut_off(tmp_path: Path, kept: int) -> None:
    file = saved(tmp_path / "a.npz", x=X, y=Y)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"cannot be read, expected a complete \.npz"):
        opened(file)


@pytest.mark.parametrize("option", [{"range": "1..0"}, {"range": "0-1"}, {"peak": "300"}, {"channels": "middle"}])
def test_options_that_cannot_be(tmp_path: Path, option: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="got '"):
        opened(saved(tmp_path / "a.npz", x=X, y=Y), **option)


def test_it_can_be_sent_to_another_process(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X, y_test=Y)
    for split in ("test", "all"):
        data = opened(file, split)
        assert pickle.loads(pickle.dumps(data)).sha256 == data.sha256
