"""The UCI HAR data set in text files of the published layout, made here: the real ones are not at hand."""

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.data.sources import har
from holdfast.errors import DataError, UsageError

NAMES = ["WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING"]
FEATURES = {"train": np.random.default_rng(1).uniform(-1, 1, (8, 561)), "test": np.eye(3, 561) * 2 - 1}
LABELS = {"train": [1, 2, 3, 4, 5, 6, 1, 2], "test": [6, 5, 1]}


def write(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "activity_labels.txt").write_text("".join(f"{row + 1} {name}\n" for row, name in enumerate(NAMES)))
    for split in ("train", "test"):
        (folder / split).mkdir()
        # As published: columns of 16 characters, three digits in the exponent.
        rows = (
            "".join(f" {value: .7e}".replace("e-", "e-0").replace("e+", "e+0") for value in row)
            for row in FEATURES[split]
        )
        (folder / split / f"X_{split}.txt").write_text("".join(f"{row}\n" for row in rows))
        (folder / split / f"y_{split}.txt").write_text("".join(f"{label}\n" for label in LABELS[split]))
    return folder


def opened(folder, split="test", **options):
    return open_data("har", folder, split, options)


@pytest.mark.parametrize("split", ["train", "test"])
def test_values_labels_and_range(tmp_path, split):
    data = opened(write(tmp_path), split)
    assert data.shape == (561,)
    assert (data.low, data.high) == (-1.0, 1.0)
    assert data.class_names == tuple(NAMES)
    assert data.labels.tolist() == [label - 1 for label in LABELS[split]]
    np.testing.assert_allclose(data.batch(range(len(data))), FEATURES[split], atol=1e-7)
    size = {"train": "8 examples, 7,352", "test": "3 examples, 2,947"}[split]
    assert [size in note for note in data.notes] == [True]


def test_the_folder_around_will_do(tmp_path, monkeypatch):
    inner = write(tmp_path / "UCI HAR Dataset")
    assert opened(tmp_path).sha256 == opened(inner).sha256
    monkeypatch.setitem(har._SIZES, "test", 3)
    assert opened(tmp_path).notes == ()


def test_rescaled_to_the_unit_interval(tmp_path):
    data = opened(write(tmp_path), rescale="unit")
    assert (data.low, data.high) == (0.0, 1.0)
    np.testing.assert_allclose(data.batch(range(3)), (FEATURES["test"] + 1) / 2, atol=1e-7)
    assert data.sha256 != opened(tmp_path).sha256
    with pytest.raises(UsageError, match=r"rescale is 'none' \(features in .*\) or 'unit' .*, got 'half'"):
        opened(tmp_path, rescale="half")


def test_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"looked in .* for activity_labels.txt: no such folder; .*archive.ics.uci.edu"):
        opened(tmp_path / "none")
    (write(tmp_path) / "test" / "y_test.txt").unlink()
    with pytest.raises(DataError, match=r"looked in .*test for y_test.txt: the folder has none of them"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "activity_labels.txt",
            "1 WALKING\n2 SITTING\n",
            r"has 2 lines .*, expected 6 of a number from 1 on and a name",
        ),
        ("activity_labels.txt", "".join(f"{row} x\n" for row in range(6)), "expected 6 of a number from 1 on"),
        ("test/X_test.txt", "0.5 0.25\n", "has 2 numbers a line, expected 561"),
        ("test/X_test.txt", "0.5 0.25\n0.5\n", "cannot be read, expected 561 numbers a line"),
        ("test/X_test.txt", "0.5 x\n", "cannot be read, expected 561 numbers a line"),
        ("test/X_test.txt", "", "har: 0 inputs and 3 labels, expected as many of each"),
        ("test/X_test.txt", ("0.5 " * 560 + "1.5\n") * 3, r"has values from 0.5 to 1.5, expected \[-1, 1\]; take the"),
        ("test/X_test.txt", ("0.5 " * 560 + "nan\n") * 3, r"has values from nan to nan, expected \[-1, 1\]"),
        ("test/y_test.txt", "1\n2\n", "har: 3 inputs and 2 labels, expected as many of each"),
        ("test/y_test.txt", "1\n2\n2.5\n", "cannot be read, expected 1 numbers a line"),
        ("test/y_test.txt", "1\n2\n7\n", "labels of the test split go from 0 to 6, expected 0 to 5"),
    ],
)
def test_other_content(tmp_path, name, text, message):
    (write(tmp_path) / name).write_text(text)
    with pytest.raises(DataError, match=message):
        opened(tmp_path)
