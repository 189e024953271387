"""SVHN in MATLAB files of the published layout, made here: the real ones are not at hand."""

import hashlib

import numpy as np
import pytest
from scipy.io import savemat

from holdfast.data import open_data
from holdfast.data.sources import svhn
from holdfast.errors import DataError

IMAGES = np.random.default_rng(3).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
LABELS = [1, 9, 10, 2, 10]


def write(folder, split="test", images=None, labels=None, compress=True):
    # (row, column, channel, image), as published.
    images = IMAGES.transpose(2, 3, 1, 0) if images is None else images
    labels = np.array(LABELS, dtype=np.uint8)[:, None] if labels is None else labels
    savemat(folder / f"{split}_32x32.mat", {"X": images, "y": labels}, do_compression=compress)
    return folder


def opened(folder, split="test"):
    return open_data("svhn", folder, split, {})


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("compress", [True, False])
def test_values_and_labels(tmp_path, split, compress):
    data = opened(write(tmp_path, split, compress=compress), split)
    assert data.shape == (3, 32, 32)
    # The file's 10 is the digit 0.
    assert data.labels.tolist() == [1, 9, 0, 2, 0]
    assert data.class_names == tuple("0123456789")
    np.testing.assert_array_equal(data.batch(range(5)), IMAGES.astype(np.float32) / np.float32(255))


def test_labels_as_the_published_file_has_them(tmp_path):
    assert opened(write(tmp_path, labels=np.array(LABELS, dtype=np.float64)[:, None])).labels.tolist() == [
        1,
        9,
        0,
        2,
        0,
    ]


def test_other_files_than_the_published_ones_are_noted(tmp_path, monkeypatch):
    size, content = opened(write(tmp_path)).notes
    assert "the test split has 5 examples, 26,032 as published at http://ufldl.stanford.edu/housenumbers/" in size
    assert "published at http://ufldl.stanford.edu/housenumbers/ eb5a983be6a315427106f1b164d9cef3" in content
    file = tmp_path / "test_32x32.mat"
    monkeypatch.setitem(svhn._MD5, "test", hashlib.md5(file.read_bytes()).hexdigest())
    monkeypatch.setitem(svhn._SIZES, "test", 5)
    assert opened(tmp_path).notes == ()


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"looked in .* for train_32x32.mat: the folder has none .*ufldl.stanford.edu"):
        opened(write(tmp_path), "train")


@pytest.mark.parametrize("content", [b"", b"no MATLAB file", b"half"])
def test_corrupt_files(tmp_path, content):
    file = write(tmp_path) / "test_32x32.mat"
    file.write_bytes(file.read_bytes()[:-5000] if content == b"half" else content)
    with pytest.raises(DataError, match=r"test_32x32.mat cannot be read, expected a complete MATLAB 5 file"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES, None, r"has X of uint8 and shape \(5, 3, 32, 32\), expected uint8 \(32, 32, 3, images\)"),
        (np.zeros((32, 32, 3, 5)), None, "has X of float64 and shape"),
        (None, np.array([[1], [2]]), r"has y of int64 and shape \(2, 1\), expected numbers \(5, 1\)"),
        (None, np.array([LABELS]), r"has y of int64 and shape \(1, 5\)"),
        (None, np.array([[0], [1], [2], [3], [4]]), r"has labels from 0 to 4, expected 1 to 10 \(10 is the digit 0\)"),
        (None, np.array([[11], [1], [2], [3], [4]]), r"has labels from 1 to 11"),
    ],
)
def test_other_content(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message):
        opened(write(tmp_path, images=images, labels=labels))


def test_files_without_the_variables(tmp_path):
    savemat(tmp_path / "test_32x32.mat", {"digitStruct": np.zeros(3)})
    with pytest.raises(DataError, match=r"has X of float64 and shape \(0,\)"):
        opened(tmp_path)
