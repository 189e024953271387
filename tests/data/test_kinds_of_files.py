"""Options of every source: `classes` and `split`; and paths whose source is told by what lies there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import holdfast as hf
from holdfast.data.kinds import kind_of
from holdfast.errors import DataError, UsageError

X = np.random.default_rng(2).integers(0, 256, (20, 3, 4, 4), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    np.savez(tmp_path / "a.npz", x=X, y=np.arange(20) % 5)
    return tmp_path / "a.npz"


def folder_of_images(base: Path, classes: str = "abc", count: int = 6) -> Path:
    for number, name in enumerate(classes):
        (base / name).mkdir(parents=True)
        for row in range(count):
            picture = PIL.Image.fromarray(np.full((4, 4, 3), 30 * row + number, np.uint8))
            picture.save(base / name / f"{row}.png")
    return base


def test_the_number_of_classes(archive: Path) -> None:
    assert hf.load_data(archive).class_names == tuple("01234")
    data = hf.load_data(archive, classes=1000)
    assert len(data.class_names) == 1000
    assert data.sha256 == hf.load_data(archive).sha256
    for classes in (4, 0, 100_001):
        with pytest.raises((DataError, UsageError), match=r"expected 5 or more|classes is a number from 1"):
            hf.load_data(archive, classes=classes)


def test_a_file_of_names(archive: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("cat\ndog\nbird\nfish\ncrane\ncrane\n\n", encoding="utf-8")
    data = hf.load_data(f"npz:{archive},classes={names}")
    assert data.class_names == ("cat", "dog", "bird", "fish", "crane (4)", "crane (5)")
    for written in (list("abcde"), {str(label): [f"n{label}", "x"] for label in range(5)}):
        names.write_text(json.dumps(written))
        expected = tuple("abcde") if isinstance(written, list) else ("n0", "n1", "n2", "n3", "n4")
        assert hf.load_data(archive, classes=str(names)).class_names == expected
    for text, message in (
        ("a\nb\n", "has 2 names, and the data have labels up to 4"),
        ("a\n\nb\n", "no name in line 2"),
        ("", "has no names"),
        ("[1, 2]", "has 1 for a name"),
        ('{"a": 1}', "begins as JSON and cannot be read"),
    ):
        names.write_text(text)
        with pytest.raises(DataError, match=message):
            hf.load_data(archive, classes=str(names))
    with pytest.raises(UsageError, match="classes is a number of classes, or a file with one name a line; no file"):
        hf.load_data(archive, classes="nowhere.txt")


def test_classes_with_names_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "images", "bd")
    names = tmp_path / "names.txt"
    names.write_text("d\nc\nb\na\n")
    data = hf.load_data(folder, "all", classes=str(names))
    assert data.class_names == ("d", "c", "b", "a")
    assert data.labels.tolist() == [2] * 6 + [0] * 6
    names.write_text("d\nc\n")
    with pytest.raises(DataError, match="not the class 'b' of the data"):
        hf.load_data(folder, classes=str(names))
    with pytest.raises(DataError, match=r"the data name 2 classes \(b, d\); to add others, give a file"):
        hf.load_data(folder, classes=3)


def test_all_of_the_data(tmp_path: Path) -> None:
    pile = folder_of_images(tmp_path / "pile")
    assert (len(hf.load_data(pile)), len(hf.load_data(f"images:{pile},split=all"))) == (4, 18)
    assert [each.split for each in (hf.load_data(pile), hf.load_data(pile, "all"))] == ["test", "all"]
    folder_of_images(tmp_path / "split" / "train")
    folder_of_images(tmp_path / "split" / "val", count=2)
    whole = hf.load_data(tmp_path / "split", "all")
    assert (len(whole), whole.shape, whole.class_names) == (24, (3, 4, 4), ("a", "b", "c"))
    both = [hf.load_data(tmp_path / "split", split) for split in ("train", "test")]
    np.testing.assert_array_equal(whole.batch(range(24)), np.concatenate([x.batch(range(len(x))) for x in both]))
    digits = hf.load_data("digits", "all")
    assert (len(digits), digits.split) == (1797, "all")
    with pytest.raises(UsageError, match="unknown split 'dev' of digits; known are train, test, all"):
        hf.load_data("digits:split=dev")
    assert any(
        "all of the data, those for training included" in note for note in hf.load_data("digits:split=all").notes
    )
    assert hf.load_data("digits:split=train").sha256 == hf.load_data("digits", "train").sha256


def test_the_centre_of_a_larger_image(tmp_path: Path) -> None:
    (tmp_path / "images" / "a").mkdir(parents=True)
    values = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    for row in range(2):
        PIL.Image.fromarray(values + np.uint8(row)).save(tmp_path / "images" / "a" / f"{row}.png")
    data = hf.load_data(tmp_path / "images", "all", size=8, crop=16)
    np.testing.assert_array_equal(np.rint(data.batch([0])[0] * 255), values[4:12, 4:12].transpose(2, 0, 1))
    for options, message in (
        ({"crop": 16}, "say its size"),
        ({"size": 8, "crop": 7}, "from 8 to 9,459, got '7'"),
        ({"size": 8, "crop": "x"}, "got 'x'"),
    ):
        with pytest.raises(UsageError, match=message):
            hf.load_data(tmp_path / "images", "all", **options)


def test_a_path_alone_tells_its_source(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = folder_of_images(tmp_path / "images")
    assert hf.load_data(str(archive)).source == "npz"
    assert hf.load_data(images).source == "images"
    monkeypatch.chdir(tmp_path)
    assert len(hf.load_data("a.npz,classes=10,split=all")) == 20
    folder = tmp_path / "with, comma:and colon"
    archive.rename((folder.mkdir() or folder) / "b.npz")
    assert hf.load_data(folder / "b.npz").source == "npz"
    assert kind_of(tmp_path) is None


def test_paths_of_real_data(data_folder: Path) -> None:
    for name, kind in (("cifar10", "parquet"), ("imagenet-sample", "parquet"), ("mnist", None), ("cohen-logs", None)):
        assert kind_of(data_folder / name) == kind
    data = hf.load_data(data_folder / "imagenet-sample", size=224, crop=256, classes=1000)
    assert (data.shape, len(data.class_names), len(data)) == ((3, 224, 224), 1000, 200)
    with pytest.raises(UsageError, match="what it holds cannot be told from that"):
        hf.load_data(data_folder / "mnist")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("nowhere.npz", DataError, "no file or folder nowhere.npz; its folder has"),
        ("no/such/folder/", DataError, "no file or folder no/such/folder; there is .*, and not what should follow"),
        ("diigts", UsageError, "unknown data source 'diigts'"),
        ("picture.png", UsageError, "one image: give the folder"),
        ("notes.docx", UsageError, "a file that ends in '.docx'; what it holds cannot be told"),
        ("images:a.npz", DataError, "It looks like something for the source npz: write npz:a.npz"),
        ("npz:a.npz,x=x,y=y,classes=10,classes=9", UsageError, "'classes' is given twice"),
    ],
)
def test_wrong_paths(
    archive: Path, monkeypatch: pytest.MonkeyPatch, spec: str, error: type[Exception], message: str
) -> None:
    monkeypatch.chdir(archive.parent)
    for name in ("picture.png", "notes.docx"):
        Path(name).write_bytes(b"something")
    with pytest.raises(error, match=message):
        hf.load_data(spec)


def test_an_option_is_given_once(archive: Path) -> None:
    with pytest.raises(UsageError, match=r"'classes' is given twice: in .* and as an argument"):
        hf.load_data(f"npz:{archive},classes=10", classes=10)
