"""Fashion-MNIST; the IDX reader itself is tested in test_mnist.py."""

import gzip
import hashlib

import numpy as np
import pytest
from test_mnist import IMAGES, LABELS, idx

from holdfast.data import open_data
from holdfast.data.sources import fashion_mnist
from holdfast.errors import DataError


def write(folder, ending=".gz"):
    pack = gzip.compress if ending else bytes
    (folder / f"t10k-images-idx3-ubyte{ending}").write_bytes(pack(idx(IMAGES)))
    (folder / f"t10k-labels-idx1-ubyte{ending}").write_bytes(pack(idx(LABELS)))
    return folder


def opened(folder):
    return open_data("fashion-mnist", folder, "test", {})


def test_the_same_files_as_mnist_with_other_class_names(tmp_path):
    data = opened(write(tmp_path))
    assert data.source == "fashion-mnist"
    assert data.class_names[0] == "T-shirt/top"
    assert data.class_names[9] == "Ankle boot"
    assert len(data.class_names) == 10
    assert data.labels.tolist() == LABELS.tolist()
    np.testing.assert_array_equal(data.batch(range(7)), IMAGES[:, np.newaxis].astype(np.float32) / np.float32(255))
    assert data.sha256 == open_data("mnist", tmp_path, "test", {}).sha256


def test_other_files_than_the_published_ones_are_noted(tmp_path, monkeypatch):
    size, images, labels = opened(write(tmp_path)).notes
    assert "7 examples, 10,000 as published at https://github.com/zalandoresearch/fashion-mnist" in size
    assert "bef4ecab320f06d8554ea6380940ec79" in images
    assert "bb300cfdad3c16e7a12a480ee83cd310" in labels
    for file in tmp_path.iterdir():
        monkeypatch.setitem(fashion_mnist._MD5, file.name, hashlib.md5(file.read_bytes()).hexdigest())
    monkeypatch.setitem(fashion_mnist._SIZES, "test", 7)
    assert opened(tmp_path).notes == ()


def test_raw_files_have_no_published_checksum(tmp_path):
    assert len(opened(write(tmp_path, "")).notes) == 1


def test_mnist_is_not_fashion_mnist(data_folder):
    assert len(opened(data_folder / "mnist").notes) == 2


def test_missing_folder(tmp_path):
    with pytest.raises(
        DataError, match=r"no such folder; give the folder with Fashion-MNIST's IDX files, published at"
    ):
        opened(tmp_path / "none")
