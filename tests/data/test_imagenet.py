"""ImageNet's layouts with small photographs, made here: the real ones are not at hand."""

import io
import pickle
import sys

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.data.sources import imagenet
from holdfast.errors import DataError, MissingExtraError, UsageError

Image = pytest.importorskip("PIL.Image")

CLASSES = ("n01440764", "n01443537", "n02102040")


def jpeg(seed, width=60, height=40):
    # Smooth, so that JPEG keeps it nearly as it is.
    small = np.random.default_rng(seed).integers(0, 256, (2, 3, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(buffer, "jpeg", quality=95)
    return buffer.getvalue()


def save(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def by_class(folder, num=2, classes=CLASSES):
    for label, name in enumerate(classes):
        for number in range(num):
            save(folder / name / f"{name}_{number}.JPEG", jpeg(10 * label + number))


def flat(folder, labels=(2, 0, 1, 0)):
    lines = ["ImageId,PredictionString"]
    for number, label in enumerate(labels, start=1):
        name = f"ILSVRC2012_val_{number:08d}"
        save(folder / "val" / f"{name}.JPEG", jpeg(10 * label + number))
        lines.append(f"{name},{CLASSES[label]} 85 1 499 272 {CLASSES[label]} 1 2 3 4 ")
    (folder / "LOC_val_solution.csv").write_text("\n".join([lines[0], *sorted(lines[1:], reverse=True)]) + "\n")
    return folder


def opened(folder, split="test", **options):
    return open_data("imagenet", folder, split, options)


def test_folders_by_class(tmp_path):
    by_class(tmp_path / "train", 3)
    by_class(tmp_path / "val", 1, CLASSES[1:])
    train, test = opened(tmp_path, "train", size="32"), opened(tmp_path, size="32")
    assert train.class_names == test.class_names == CLASSES
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert test.labels.tolist() == [1, 2]
    assert test.shape == (3, 32, 32)
    assert [("2 examples, 50,000 as published" in note) for note in test.notes] == [True]
    assert opened(tmp_path).shape == (3, 224, 224)


@pytest.mark.parametrize("inner", [".", "ILSVRC/Data/CLS-LOC"])
def test_validation_images_without_folders(tmp_path, inner):
    flat(tmp_path)
    if inner != ".":
        (tmp_path / inner).mkdir(parents=True)
        (tmp_path / "val").rename(tmp_path / inner / "val")
    data = opened(tmp_path, size="32")
    assert data.labels.tolist() == [2, 0, 1, 0]
    assert data.class_names == CLASSES
    by_class(tmp_path / inner / "train", 1, (*CLASSES, "n03000000"))
    assert opened(tmp_path, size="32").class_names == (*CLASSES, "n03000000")


def test_the_short_side_becomes_256_for_a_crop_of_224(tmp_path):
    save(tmp_path / "val" / CLASSES[0] / "a.JPEG", jpeg(1, 300, 400))
    image = Image.open(io.BytesIO(jpeg(1, 300, 400))).resize((256, 341), Image.Resampling.BILINEAR)
    expected = np.asarray(image.crop((16, 58, 240, 282))).transpose(2, 0, 1)
    np.testing.assert_array_equal(opened(tmp_path)[0].x, expected.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("size", "short"), [(224, 256), (32, 37), (64, 73), (299, 342), (1, 1)])
def test_the_margin_in_other_sizes(size, short):
    assert round(size * imagenet._MARGIN) == short


def test_the_hash_is_of_the_encoded_images_and_their_labels(tmp_path, monkeypatch):
    by_class(tmp_path / "a" / "val")
    by_class(tmp_path / "b" / "val")
    monkeypatch.setattr("PIL.Image.open", None)  # Nothing is decoded for it.
    assert opened(tmp_path / "a").sha256 == opened(tmp_path / "b").sha256
    save(tmp_path / "b" / "val" / CLASSES[0] / "z.JPEG", b"another")
    assert opened(tmp_path / "a").sha256 != opened(tmp_path / "b").sha256


def test_can_be_sent_to_another_process(tmp_path):
    by_class(tmp_path / "val")
    data = opened(tmp_path, size="32")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).batch([3]), data.batch([3]))


def test_missing_folders(tmp_path):
    by_class(tmp_path / "train")
    with pytest.raises(DataError, match=r"looked in .* for val/: the folder has none of them; .*image-net.org"):
        opened(tmp_path)
    with pytest.raises(DataError, match=r"looked in .*none for train/: no such folder"):
        opened(tmp_path / "none", "train")
    (flat(tmp_path) / "LOC_val_solution.csv").unlink()
    with pytest.raises(
        DataError, match=r"val has no class folders, and looked in vain for .*csv; put this list .* sort"
    ):
        opened(tmp_path)


def test_a_list_that_does_not_fit(tmp_path):
    flat(tmp_path)
    listing = tmp_path / "LOC_val_solution.csv"
    lines = listing.read_text().splitlines()
    listing.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DataError, match=r"val_00000001.JPEG is not in .*csv, expected a line for each image"):
        opened(tmp_path)
    listing.write_text("name,label\na,b\n")
    with pytest.raises(DataError, match="cannot be read, expected a CSV file with the columns ImageId and Prediction"):
        opened(tmp_path)
    listing.write_text("\n".join([*lines, "ILSVRC2012_val_00000009,"]) + "\n")
    with pytest.raises(DataError, match="cannot be read, expected a CSV file with the columns ImageId and Prediction"):
        opened(tmp_path)
    listing.write_text("\n".join(lines) + "\n")
    by_class(tmp_path / "train", 1, CLASSES[:2])
    with pytest.raises(DataError, match=r"has the class .*'n02102040', expected only classes that .*train has too"):
        opened(tmp_path)


@pytest.mark.parametrize("size", ["", "0", "big"])
def test_sizes_that_cannot_be(tmp_path, size):
    with pytest.raises(UsageError, match=f"a positive whole number, got '{size}'"):
        opened(tmp_path, size=size)


def test_a_class_in_val_only(tmp_path):
    by_class(tmp_path / "train", 1, CLASSES[:2])
    by_class(tmp_path / "val", 1)
    with pytest.raises(DataError, match=r"has the class .*'n02102040', expected only classes that .*train has too"):
        opened(tmp_path)


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"'holdfast-robustness\[images\]'"):
        opened(tmp_path)
