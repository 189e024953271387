import numpy as np
import pytest

from holdfast.data import open_data

SHA256 = {
    "train": "666bdce748f03c347dfb7f3b99c2aa9c0ee16d7e5b1bef75a189fa98c6de3aad",
    "test": "9706acfb3b07bf97e12e8bc6ae314612473efe685490c58409e4351dbd4a3cdd",
}


@pytest.mark.parametrize(("split", "length"), [("train", 1437), ("test", 360)])
def test_size_range_and_hash(split, length):
    data = open_data("digits", None, split, {})
    assert len(data) == length
    assert data.shape == (1, 8, 8)
    assert data.class_names == tuple("0123456789")
    x = data.batch(range(length))
    assert (x.min(), x.max()) == (0.0, 1.0)
    # Manifests of runs hold this hash: it must never change.
    assert data.sha256 == SHA256[split]


def test_same_as_scikit_learn():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    original = load_digits()
    places = np.arange(1797)
    for split, chosen in (("test", places % 5 == 0), ("train", places % 5 != 0)):
        data = open_data("digits", None, split, {})
        expected = (original.images[chosen] / 16).astype(np.float32)[:, np.newaxis]
        np.testing.assert_array_equal(data.batch(range(len(data))), expected)
        np.testing.assert_array_equal(data.labels, original.target[chosen])
