"""Text files of data sets, as any editor may have saved them."""

import codecs

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.errors import DataError

NAMES = ["WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING"]
ENCODINGS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16, little endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32": lambda text: text.encode("utf-32"),
    "lines of Windows": lambda text: text.replace("\n", "\r\n").encode(),
}
encodings = pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)


def har(folder, encode=str.encode, names=NAMES):
    (folder / "test").mkdir()
    features = "".join(" ".join(f"{value:.7e}" for value in row) + "\n" for row in np.eye(3, 561) * 2 - 1)
    for name, text in (
        ("activity_labels.txt", "".join(f"{row + 1} {name}\n" for row, name in enumerate(names))),
        ("test/X_test.txt", features),
        ("test/y_test.txt", "6\n5\n1\n"),
    ):
        (folder / name).write_bytes(encode(text))
    return folder


@encodings
def test_text_files_of_har(tmp_path, encode):
    (tmp_path / "plain").mkdir()
    (tmp_path / "other").mkdir()
    expected = open_data("har", har(tmp_path / "plain"), "test", {})
    found = open_data("har", har(tmp_path / "other", encode), "test", {})
    assert found.class_names == expected.class_names
    assert found.sha256 == expected.sha256


@encodings
def test_the_list_of_imagenet(tmp_path, encode):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "val").mkdir()
    for number in (1, 2):
        image.new("RGB", (9, 9)).save(tmp_path / "val" / f"{number}.JPEG", "jpeg")
    text = "ImageId,PredictionString\n1,n02000000 1 2 3 4\n2,n01000000 1 2 3 4\n"
    (tmp_path / "LOC_val_solution.csv").write_bytes(encode(text))
    assert open_data("imagenet", tmp_path, "test", {"size": "8"}).labels.tolist() == [1, 0]


def test_an_image_that_the_list_of_imagenet_files_under_two_classes(tmp_path):
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "val").mkdir()
    image.new("RGB", (9, 9)).save(tmp_path / "val" / "1.JPEG", "jpeg")
    (tmp_path / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n1,n02000000\n1,n01000000\n")
    with pytest.raises(DataError, match="gives 1 the classes n02000000 and n01000000, expected one"):
        open_data("imagenet", tmp_path, "test", {"size": "8"})


def test_another_encoding_is_refused_and_not_guessed(tmp_path):
    har(tmp_path, lambda text: text.encode("latin1"), ["GÅENDE", *NAMES[1:]])
    with pytest.raises(DataError, match=r"activity_labels.txt is not text in UTF-8: byte 3 is c5 45; save it as UTF-8"):
        open_data("har", tmp_path, "test", {})


def test_sixteen_bits_without_a_mark_are_refused(tmp_path):
    har(tmp_path, lambda text: text.encode("utf-16-le"))
    with pytest.raises(DataError, match=r"activity_labels.txt has zero bytes, expected text in UTF-8"):
        open_data("har", tmp_path, "test", {})


def test_names_in_other_letters_stay_as_they_are(tmp_path):
    assert open_data("har", har(tmp_path, names=["GÅENDE", *NAMES[1:]]), "test", {}).class_names[0] == "GÅENDE"
