"""Which folders of images are taken for what, what is left out, and that both are said."""

import numpy as np
import pytest

from holdfast.data import DataSet, open_data
from holdfast.errors import DataError

Image = pytest.importorskip("PIL.Image")


def picture(file, seed=0):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(file)


def fill(folder, classes=("cat", "dog"), num=5, first=0):
    for label, name in enumerate(classes):
        for number in range(num):
            picture(folder / name / f"{number}.png", first + 100 * label + number)
    return folder


def opened(folder, split="test", **options):
    return open_data("images", folder, split, options)


def note(data, words):
    found = [each for each in data.notes if words in each]
    assert len(found) == 1, data.notes
    return found[0]


@pytest.mark.parametrize("train", ["train", "Train", "training"])
@pytest.mark.parametrize("name", ["test", "Testing", "val", "valid", "validation", "dev"])
def test_names_of_splits(tmp_path, train, name):
    fill(tmp_path / train)
    fill(tmp_path / name, num=2, first=50)
    assert len(opened(tmp_path, "train")) == 10
    assert len(opened(tmp_path, "test")) == 4


def test_a_split_by_content_is_said(tmp_path):
    for split in ("train", "test"):
        assert "one distinct image in five" in note(opened(fill(tmp_path), split), str(tmp_path))


def test_published_splits_need_no_word(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    assert opened(tmp_path).notes == opened(tmp_path, "train").notes == ()


def test_validation_in_the_place_of_test_is_said(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "valid")
    assert "there is no test/" in note(opened(tmp_path), "the test split is")
    fill(tmp_path / "test", num=1)
    assert len(opened(tmp_path)) == 2
    assert "valid is left aside" in note(opened(tmp_path), "the test split is")


@pytest.mark.parametrize("split", ["train", "test"])
def test_one_split_alone_is_that_split_and_nothing_is_held_out(tmp_path, split):
    fill(tmp_path / split)
    assert len(opened(tmp_path, split)) == 10
    other = {"train": "test", "test": "train"}[split]
    with pytest.raises(DataError, match=f"has no {other} split: expected a folder {other}/ beside {split}/; add it"):
        opened(tmp_path, other)


def test_a_folder_called_train_is_not_certified_as_test_images(tmp_path):
    fill(tmp_path / "train")
    with pytest.raises(DataError, match="has no test split: expected a folder test/ beside train/"):
        opened(tmp_path / "train", "test")
    fill(tmp_path / "test", num=2)
    train, test = opened(tmp_path / "train", "train"), opened(tmp_path / "train", "test")
    assert (len(train), len(test)) == (10, 4)
    assert f"the test split is taken from {tmp_path / 'test'}" in note(test, "is called train")


def test_a_folder_called_test_is_the_whole_test_split(tmp_path):
    fill(tmp_path / "train", ("ape", "cat", "dog"))
    fill(tmp_path / "test")
    data = opened(tmp_path / "test")
    assert data.labels.tolist() == [1] * 5 + [2] * 5, "the classes are those of train/"
    assert "all of its images are taken for the test split" in note(data, "is called test")


def test_two_names_of_one_split_are_refused(tmp_path):
    for name in ("train", "Training", "test"):
        fill(tmp_path / name)
    with pytest.raises(DataError, match="has Training, train, which are all names of the train split, expected one"):
        opened(tmp_path, "train")


def test_classes_beside_a_single_split_are_refused(tmp_path):
    fill(tmp_path / "test")
    fill(tmp_path, ("eel",))
    with pytest.raises(DataError, match=r"has the folder test, .* and beside it eel with images, as a class has"):
        opened(tmp_path)


def test_a_class_may_still_be_called_by_a_split(tmp_path):
    for name in ("test", "dev"):
        assert opened(fill(tmp_path / f"of {name}", ("cat", name))).class_names == ("cat", name)


def test_what_lies_in_class_folders_and_is_no_image_is_counted_and_named(tmp_path):
    fill(tmp_path / "train")
    folder = fill(tmp_path / "test") / "cat"
    for name in ("._0.png", "._1.png", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    picture(folder / "more" / "5.png")
    data = opened(tmp_path)
    assert len(data) == 10
    hidden = note(data, "4 hidden files or folders")
    assert hidden == (
        f"left out of {tmp_path}: 4 hidden files or folders, or ones of an operating system "
        "(test/cat/.DS_Store, test/cat/._0.png, test/cat/._1.png and 1 more)"
    )
    assert "test/cat/notes.txt" in note(data, "1 file whose ending is that of no image format read")
    assert "test/cat/more" in note(data, "1 folder within the folder of a class")
    assert len(data.notes) == 3


def test_what_lies_beside_class_folders_is_counted_and_named(tmp_path):
    fill(tmp_path / "train")
    fill(tmp_path / "test")
    for name in ("loose.png", "test/loose.jpg"):
        picture(tmp_path / name)
    fill(tmp_path, ("extra",))
    fill(tmp_path / "test", ("__MACOSX",))
    data = opened(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert "2 image files outside the folders of classes (loose.png, test/loose.jpg)" in note(data, "outside")
    assert "(extra)" in note(data, "1 folder beside those of the splits")
    assert "(test/__MACOSX)" in note(data, "1 hidden file or folder")


def test_archives_of_a_mac_do_not_make_a_class(tmp_path):
    fill(tmp_path, ("__MACOSX", "cat", "dog"))
    assert opened(tmp_path).class_names == ("cat", "dog")
    assert "(__MACOSX)" in note(opened(tmp_path), "1 hidden file or folder")


@pytest.mark.parametrize("ending", ["tif", "TIFF", "gif", "pgm", "jfif", "WebP", "jp2"])
def test_further_endings_are_read(tmp_path, ending):
    fill(tmp_path / "train")
    kind = {"jfif": "jpeg", "jp2": "jpeg2000", "pgm": "ppm", "tif": "tiff"}.get(ending, ending)
    image = Image.new("L" if ending == "pgm" else "RGB", (6, 6), 90 if ending == "pgm" else (90, 90, 90))
    (tmp_path / "test" / "cat").mkdir(parents=True)
    try:
        image.save(tmp_path / "test" / "cat" / f"a.{ending}", kind)
    except (OSError, KeyError) as error:
        pytest.skip(f"this Pillow does not write {kind} ({error})")
    np.testing.assert_allclose(opened(tmp_path)[0].x, 90 / 255, atol=3 / 255)


def test_only_folders_in_a_class_folder(tmp_path):
    fill(tmp_path / "a" / "b" / "c")
    with pytest.raises(DataError, match=r"c has no images, expected files .* in the folder itself"):
        opened(tmp_path / "a" / "b")


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"images.zip is a file; expected a folder with one folder a class"):
        opened(tmp_path / "images.zip")


def test_a_class_folder_whose_name_is_no_text(tmp_path):
    fill(tmp_path)
    try:
        (tmp_path / "cat").rename(tmp_path / "caf\udce9")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    with pytest.raises(DataError, match=r"has the class folder b'caf\\xe9', expected a name in UTF-8 .*; rename it"):
        opened(tmp_path)


def test_a_folder_whose_name_is_no_text(tmp_path):
    try:
        folder = fill(tmp_path / "caf\udce9")
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    data = opened(folder)
    assert data.batch(range(2)).shape == (2, 3, 6, 6)
    note(data, "caf\\xe9 does not say which").encode("utf-8")


def test_notes_can_be_written_to_pages_whatever_their_paths_are_called():
    data = DataSet.in_memory(
        source="toy",
        split="test",
        class_names=["a"],
        labels=np.zeros(1, dtype=np.int64),
        values=np.zeros((1, 4), dtype=np.uint8),
        notes=["caf\udce9 was changed"],
    )
    assert data.notes == ("caf\\xe9 was changed",)
    assert data.part(2).notes == data.notes
