"""Labels are class indices: nothing else is cut to fit, and no memory is taken for classes that cannot be."""

import tracemalloc

import numpy as np
import pytest
from scipy.io import savemat

from holdfast.data import DataSet, open_data
from holdfast.errors import DataError


def small(labels):
    return DataSet.in_memory(
        source="small",
        split="test",
        class_names=["a", "b", "c"],
        labels=labels,
        values=np.zeros((len(labels), 4), dtype=np.uint8),
    )


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (np.array([0, 2.5]), "float64, such as 2.5"),
        (np.array([0.0, np.nan]), "float64, such as nan"),
        (np.array([0.0, 1.0]), "float64, such as 0.0"),
        (np.array([False, True]), "bool, such as False"),
        (np.array(["0", "1"]), "<U1, such as 0"),
        ([0, 1.5], "float64, such as 1.5"),
    ],
)
def test_labels_of_another_kind_are_refused_and_not_cut(labels, found):
    with pytest.raises(DataError, match=f"the test split of small has labels of the type {found}, expected whole"):
        small(labels)


def test_a_label_beyond_64_bits_is_refused():
    with pytest.raises(DataError, match="has the label 18446744073709551615, expected a class index"):
        small(np.array([0, 2**64 - 1], dtype=np.uint64))


def test_whole_numbers_of_any_width_are_taken():
    for kind in (np.uint8, np.int16, np.uint64):
        assert small(np.array([0, 2], dtype=kind)).labels.tolist() == [0, 2]
    assert small([0, 2]).labels.tolist() == [0, 2]


@pytest.mark.parametrize(("label", "found"), [(2.5, "has the label 2.5"), (np.nan, "has labels from nan to nan")])
def test_a_label_of_svhn_that_is_no_whole_number(tmp_path, label, found):
    labels = np.array([[1.0], [label]])
    savemat(tmp_path / "test_32x32.mat", {"X": np.zeros((32, 32, 3, 2), dtype=np.uint8), "y": labels})
    with pytest.raises(DataError, match=found):
        open_data("svhn", tmp_path, "test", {})


@pytest.mark.parametrize("label", [10**9, 10**18, 100_000])
def test_a_huge_label_without_class_names_takes_no_memory(tmp_path, label):
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    images = arrow.array([{"bytes": b"never decoded", "path": None}] * 2)
    parquet.write_table(arrow.table({"image": images, "label": [0, label]}), tmp_path / "test.parquet")
    tracemalloc.start()
    try:
        with pytest.raises(
            DataError, match=rf"test.parquet has the label {label:,} in 'label' and no class names, exp"
        ):
            open_data("parquet", tmp_path, "test", {})
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
