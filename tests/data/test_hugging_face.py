"""Data sets of the library `datasets`, saved to a disk or in memory."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import holdfast as hf
from holdfast.errors import DataError, MissingExtraError, UsageError

datasets = pytest.importorskip("datasets", reason="the extra hf is not installed")

PICTURES = [PIL.Image.fromarray(np.full((8, 8, 3), 5 * row, np.uint8)) for row in range(30)]
KINDS = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


def pictures() -> Any:
    return datasets.Dataset.from_dict({"img": PICTURES, "label": [row % 3 for row in range(30)]}, features=KINDS)


def numbers(**more: Any) -> Any:
    return datasets.Dataset.from_dict({
        "x": [[float(row), 2.0] for row in range(20)], "label": [row % 2 for row in range(20)], **more
    })  # fmt: skip


def saved(found: Any, folder: Path) -> str:
    found.save_to_disk(str(folder))
    return f"hf:{folder}"


def test_images_without_splits(tmp_path: Path) -> None:
    spec = saved(pictures(), tmp_path / "a")
    whole = hf.load_data(spec, "all")
    assert (len(whole), whole.shape, whole.class_names, whole.source) == (30, (3, 8, 8), ("a", "b", "c"), "hf")
    np.testing.assert_allclose(whole.batch([7])[0], 35 / 255, rtol=1e-6)
    test, train = hf.load_data(spec), hf.load_data(tmp_path / "a", "train")
    assert (len(test), len(train)) == (6, 24)
    assert hf.load_data(spec, size=4, crop=6, mode="grey").shape == (1, 4, 4)
    assert pickle.loads(pickle.dumps(test)).sha256 == test.sha256


def test_splits_by_their_names(tmp_path: Path) -> None:
    found = pictures()
    parts = datasets.DatasetDict({"train": found.select(range(20)), "validation": found.select(range(20, 30))})
    spec = saved(parts, tmp_path / "a")
    test, train, whole = (hf.load_data(spec, split) for split in ("test", "train", "all"))
    assert (len(test), len(train), len(whole)) == (10, 20, 30)
    assert any("the split 'validation'" in note for note in test.notes)
    assert len(hf.load_data(f"{spec},test=train")) == 20
    with pytest.raises(UsageError, match=r"test=dev: .* has the splits train, validation"):
        hf.load_data(f"{spec},test=dev")
    alone = saved(datasets.DatasetDict({"extra": found}), tmp_path / "b")
    with pytest.raises(
        DataError, match="has the splits extra, and none for test; name the one to take, as in test=extra"
    ):
        hf.load_data(alone)


def test_arrays_of_numbers(tmp_path: Path) -> None:
    spec = saved(numbers(), tmp_path / "a")
    data = hf.load_data(spec, "all", range="0..20")
    assert (data.shape, data.high) == ((2,), 20.0)
    np.testing.assert_array_equal(data.batch([3])[0], [3.0, 2.0])
    cubes = datasets.Features({"x": datasets.Array3D((2, 3, 4), "float32"), "y": datasets.Value("int64")})
    values = np.random.default_rng(1).random((5, 2, 3, 4)).astype(np.float32)
    found = datasets.Dataset.from_dict({"x": list(values), "y": [0, 1, 0, 1, 0]}, features=cubes)
    np.testing.assert_array_equal(hf.DataSet.from_hf(found, split="all", label="y").batch(range(5)), values)


def test_in_memory() -> None:
    data = hf.DataSet.from_hf(pictures(), split="all", classes=3)
    assert (len(data), data.class_names) == (30, ("a", "b", "c"))
    with pytest.raises(DataError, match="is of the type list, expected a"):
        hf.DataSet.from_hf([1])


def test_columns_that_cannot_be_told(tmp_path: Path) -> None:
    two = numbers(z=[[1.0]] * 20)
    with pytest.raises(UsageError, match="x, z may all be the inputs; name that of the inputs"):
        hf.DataSet.from_hf(two)
    assert hf.DataSet.from_hf(two, x="x", split="all").shape == (2,)
    with pytest.raises(UsageError, match="name that of the classes, as in label=COLUMN"):
        hf.DataSet.from_hf(numbers().rename_column("label", "kind"))
    with pytest.raises(UsageError, match=r"x=w: the data set has the columns x \("):
        hf.DataSet.from_hf(numbers(), x="w")
    with pytest.raises(DataError, match="has no label in row 1 of the column 'label'"):
        hf.DataSet.from_hf(datasets.Dataset.from_dict({"x": [[1.0], [2.0]], "label": [0, None]}))
    with pytest.raises(DataError, match=r"in row 1 of the column 'x', expected numbers of shape \(1,\)"):
        hf.DataSet.from_hf(datasets.Dataset.from_dict({"x": [[1.0], [2.0, 3.0]], "label": [0, 1]}))


def test_images_elsewhere_are_not_opened(tmp_path: Path) -> None:
    PICTURES[3].save(tmp_path / "secret.png")
    found = datasets.Dataset.from_dict({"img": [str(tmp_path / "secret.png")] * 5, "label": [0] * 5})
    found = found.cast_column("img", datasets.Image(decode=False)).cast_column("img", datasets.Image())
    with pytest.raises(DataError, match="files elsewhere are not opened"):
        hf.DataSet.from_hf(found, split="all")


def test_folders_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file or folder"):
        hf.load_data(f"hf:{tmp_path}/nowhere")
    (tmp_path / "script.py").write_text("raise SystemExit")
    with pytest.raises(DataError, match=r"it has script\.py, a program that loads data, and no such program is run"):
        hf.load_data(f"hf:{tmp_path}")
    saved(numbers(), tmp_path / "a")
    (tmp_path / "a" / "state.json").write_text("{")
    with pytest.raises(DataError, match="expected a complete folder that datasets' save_to_disk wrote"):
        hf.load_data(f"hf:{tmp_path}/a")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = saved(numbers(), tmp_path / "a")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"'holdfast-robustness\[hf\]'"):
        hf.load_data(spec)
