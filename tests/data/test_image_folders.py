import io
import pickle
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import open_data
from holdfast.errors import DataError, MissingExtraError, UsageError

Image = pytest.importorskip("PIL.Image")


def pixels(seed, height=6, width=6):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(file: Path, values):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file)


def fill(folder, classes=("cat", "dog"), num=5, height=6, width=6):
    for label, name in enumerate(classes):
        for number in range(num):
            save(folder / name / f"{number}.png", pixels(100 * label + number, height, width))
    return folder


def opened(folder, split="train", **options):
    return open_data("images", folder, split, options)


def contents(data):
    return {example.x.tobytes() for example in data}


@pytest.mark.parametrize("name", ["test", "val", "validation"])
def test_folders_of_the_splits(tmp_path, name):
    fill(tmp_path / "train")
    save(tmp_path / name / "dog" / "a.png", pixels(7))
    train, test = opened(tmp_path), opened(tmp_path, "test")
    assert train.class_names == test.class_names == ("cat", "dog")
    assert train.labels.tolist() == [0] * 5 + [1] * 5
    assert test.labels.tolist() == [1]
    np.testing.assert_array_equal(test[0].x, pixels(7).transpose(2, 0, 1).astype(np.float32) / np.float32(255))


def test_without_such_folders_one_in_five_is_for_testing(tmp_path):
    train, test = opened(fill(tmp_path)), opened(tmp_path, "test")
    assert (len(train), len(test)) == (8, 2)
    assert sorted(test.labels.tolist()) == [0, 1]
    assert not contents(train) & contents(test)


def test_the_split_does_not_depend_on_file_names(tmp_path):
    fill(tmp_path / "a")
    for file in (tmp_path / "a").glob("*/*.png"):
        target = tmp_path / "b" / file.parent.name / f"{9 - int(file.stem)}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    assert contents(opened(tmp_path / "a", "test")) == contents(opened(tmp_path / "b", "test"))


def test_the_hash_does_not_depend_on_the_place(tmp_path):
    fill(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert opened(tmp_path / "a").sha256 == opened(tmp_path / "b").sha256
    assert opened(tmp_path / "a").sha256 != opened(tmp_path / "a", mode="grey").sha256
    save(tmp_path / "b" / "dog" / "5.png", pixels(1))
    assert opened(tmp_path / "a").sha256 != opened(tmp_path / "b").sha256


def test_a_class_may_be_called_train(tmp_path):
    assert opened(fill(tmp_path, ("car", "train"))).class_names == ("car", "train")


@pytest.mark.parametrize("ending", ["png", "PNG", "bmp", "ppm", "webp", "jpg", "jpeg"])
def test_formats(tmp_path, ending):
    fill(tmp_path / "train")
    values = np.full((6, 6, 3), (200, 100, 50), dtype=np.uint8)
    save(tmp_path / "test" / "cat" / f"a.{ending}", values)
    found = opened(tmp_path, "test")[0].x
    # JPEG and WebP are lossy.
    np.testing.assert_allclose(found, values.transpose(2, 0, 1) / 255, atol=3 / 255)


def test_other_files_are_left_aside(tmp_path):
    fill(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "list.csv").write_text("no folder")
    assert opened(tmp_path).class_names == ("cat", "dog")


def test_mode_grey(tmp_path):
    data = opened(fill(tmp_path), mode="grey")
    assert data.shape == (1, 6, 6)
    colours = opened(tmp_path).batch([0])[0]
    luma = np.tensordot([0.299, 0.587, 0.114], colours, axes=1)
    np.testing.assert_allclose(data[0].x[0], luma, atol=1 / 255)


def test_grey_palette_and_transparent_images_become_rgb(tmp_path):
    fill(tmp_path / "train")
    grey = Image.fromarray(pixels(1)[:, :, 0])
    clear = Image.fromarray(pixels(2)).convert("P")
    clear.info["transparency"] = bytes(range(256))
    folder = tmp_path / "test" / "cat"
    folder.mkdir(parents=True)
    for name, image in (("a", grey), ("b", clear), ("c", Image.fromarray(pixels(3)).convert("RGBA"))):
        image.save(folder / f"{name}.png")
    x = opened(tmp_path, "test").batch(range(3))
    assert x.shape == (3, 3, 6, 6)
    np.testing.assert_array_equal(x[0, 0], pixels(1)[:, :, 0].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(x[0, 0], x[0, 2])
    np.testing.assert_array_equal(x[2], pixels(3).transpose(2, 0, 1).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("height", "width"), [(6, 6), (6, 9), (13, 6), (3, 4), (7, 29)])
def test_size_gives_squares(tmp_path, height, width):
    fill(tmp_path, height=height, width=width)
    assert opened(tmp_path, size="5").batch([0, 1]).shape == (2, 3, 5, 5)


def test_size_keeps_the_centre(tmp_path):
    values = np.zeros((4, 10, 3), dtype=np.uint8)
    values[:, 3:7] = 255
    save(tmp_path / "train" / "cat" / "a.png", values)
    fill(tmp_path / "test")
    assert opened(tmp_path, size="4")[0].x.min() == 1.0


def test_size_averages_when_it_shrinks(tmp_path):
    values = np.zeros((64, 64, 3), dtype=np.uint8)
    values[::2] = 255
    save(tmp_path / "train" / "cat" / "a.png", values)
    fill(tmp_path / "test")
    np.testing.assert_allclose(opened(tmp_path, size="4")[0].x, 0.5, atol=0.03)


def test_images_of_different_sizes(tmp_path):
    save(fill(tmp_path / "train") / "dog" / "1.png", pixels(1, 7, 8))
    fill(tmp_path / "test")
    expected = r"0.png is 6 x 6, .*1.png is 8 x 7 \(width x height\), expected one size; .*size=N, as in size=6"
    with pytest.raises(DataError, match=expected):
        opened(tmp_path)
    assert opened(tmp_path, size="6").shape == (3, 6, 6)


@pytest.mark.parametrize("size", ["0", "-3", "big", "2.5", "²"])
def test_size_that_cannot_be(tmp_path, size):
    with pytest.raises(UsageError, match=f"a positive whole number, got '{size}'"):
        opened(fill(tmp_path), size=size)


def test_unknown_mode(tmp_path):
    with pytest.raises(UsageError, match="unknown mode 'cmyk' of images; known are rgb, grey"):
        opened(fill(tmp_path), mode="cmyk")


def test_corrupt_header(tmp_path):
    fill(tmp_path)
    (tmp_path / "cat" / "5.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"5.png cannot be decoded, expected an image .*; replace it or take it out"):
        opened(tmp_path, "train"), opened(tmp_path, "test")


def test_corrupt_pixels_are_found_when_decoded(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    buffer = io.BytesIO()
    Image.fromarray(pixels(1, 60, 60)).save(buffer, "jpeg")
    (tmp_path / "train" / "cat" / "5.jpg").write_bytes(buffer.getvalue()[: buffer.tell() // 2])
    data = opened(tmp_path, size="6")
    assert data.batch([0]).shape == (1, 3, 6, 6)
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "train" / "cat" / "5.jpg")) + " cannot be decoded"):
        data.batch([5])


def test_sixteen_bits_are_refused(tmp_path):
    fill(tmp_path / "test")
    save(tmp_path / "train" / "cat" / "a.png", np.full((6, 6), 40_000, dtype=np.uint16))
    with pytest.raises(DataError, match=r"a.png has the pixel format I;16, expected 8 bits a channel; convert it"):
        opened(tmp_path)


def test_files_that_change_or_go_while_in_use(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    data = opened(tmp_path)
    save(tmp_path / "train" / "cat" / "0.png", pixels(1, 9, 9))
    with pytest.raises(DataError, match=r"0.png now has shape \(3, 9, 9\), expected \(3, 6, 6\) as when"):
        data.batch([0])
    (tmp_path / "train" / "cat" / "0.png").unlink()
    with pytest.raises(DataError, match=r"0.png cannot be read, expected an image file .*; restore it"):
        data.batch([0])


def test_missing_folder(tmp_path):
    with pytest.raises(DataError, match=r"no folder .*none; expected a folder with one folder a class"):
        opened(tmp_path / "none")


def test_folder_without_classes(tmp_path):
    save(tmp_path / "a.png", pixels(1))
    with pytest.raises(DataError, match="has no folders, expected one a class, as in"):
        opened(tmp_path)


def test_class_without_images(tmp_path):
    (fill(tmp_path) / "eel").mkdir()
    with pytest.raises(DataError, match=r"eel has no images, expected files ending in .png, .jpg"):
        opened(tmp_path)


def test_class_in_the_test_split_only(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test", ("cat", "eel"))
    with pytest.raises(DataError, match=r"test has the class 'eel', expected only classes that .*train has too"):
        opened(tmp_path, "test")


def test_too_few_images_to_split(tmp_path):
    fill(tmp_path, ("cat",), num=1)
    with pytest.raises(DataError, match=r"the train split of .* would be empty: found 1 distinct images"):
        opened(tmp_path)


def test_can_be_sent_to_another_process(tmp_path):
    data = opened(fill(tmp_path))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).batch([3]), data.batch([3]))


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match=r"'pillow', which is not installed. .*'holdfast-robustness\[images\]'"):
        opened(fill_without_pillow(tmp_path))


def fill_without_pillow(folder):
    (folder / "cat").mkdir()
    (folder / "cat" / "a.png").write_bytes(b"never read")
    return folder
