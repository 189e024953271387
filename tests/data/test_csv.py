"""Tables of text and of Parquet: columns, categories, ranges, and the line of what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

import holdfast as hf
from holdfast.data import open_data
from holdfast.errors import DataError, UsageError


def opened(path: Path, split: str = "all", source: str = "csv", **options: str) -> hf.DataSet:
    return open_data(source, path, split, options)


def written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


ROWS = "height,weight,label\n" + "".join(f"{150 + row},{50 + row / 2},{row % 2}\n" for row in range(20))
MIXED = "age,country,y\n" + "".join(f"{20 + row},{'abc'[row % 3]},{'no' if row % 2 else 'yes'}\n" for row in range(20))


def test_breast_cancer(tmp_path: Path) -> None:
    frame = load_breast_cancer(as_frame=True).frame
    frame.to_csv(tmp_path / "breast.csv", index=False)
    frame.to_parquet(tmp_path / "breast.parquet")
    data = hf.load_data(f"csv:{tmp_path}/breast.csv,label=target", split="all")
    assert (data.shape, len(data), data.class_names) == ((30,), 569, ("0", "1"))
    features = frame.drop(columns="target").to_numpy(np.float32)
    np.testing.assert_array_equal(data.batch(range(569)), features)
    assert data.labels.tolist() == frame["target"].tolist()
    assert (data.low, data.high) == (0.0, 4254.0)
    parts = [hf.load_data(tmp_path / "breast.csv", split, label="target") for split in ("train", "test")]
    assert (len(parts[0]), len(parts[1])) == (455, 114)
    other = hf.load_data(tmp_path / "breast.parquet", label="target")
    assert other.sha256 == parts[1].sha256


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_and_what_programs_write(tmp_path: Path, separator: str) -> None:
    text = ROWS.replace(",", separator).replace("\n", "\r\n")
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    data = opened(tmp_path / "a.csv")
    assert (data.shape, len(data), data.low, data.high) == ((2,), 20, 50.0, 169.0)


def test_columns_that_are_asked_for(tmp_path: Path) -> None:
    data = opened(written(tmp_path / "a.csv", ROWS), label="label", features="weight")
    assert (data.shape, data.high) == ((1,), 59.5)
    for options, message in (
        ({"label": "lable"}, "label=lable: .* has no such column; it has height, weight, label"),
        ({"features": "height+size"}, "has no column 'size'"),
        ({"features": "height+height"}, "one is there twice"),
        ({"features": "label", "label": "label"}, "the label is among them"),
        ({"scale": "log"}, "scale is none, minmax or standard, got 'log'"),
    ):
        with pytest.raises(UsageError, match=message):
            opened(tmp_path / "a.csv", **options)
    with pytest.raises(UsageError, match="has no column with a usual name of labels"):
        opened(written(tmp_path / "b.csv", "a,b\n1,2\n"))


def test_a_category_is_one_pixel_with_channels(tmp_path: Path) -> None:
    data = opened(written(tmp_path / "a.csv", MIXED))
    assert (data.shape, data.class_names) == ((3, 1, 2), ("no", "yes"))
    x = data.batch([0, 1, 5])
    np.testing.assert_array_equal(x[:, 0, 0, 0], [20, 21, 25])
    np.testing.assert_array_equal(x[:, 1:, 0, 0], 0)
    np.testing.assert_array_equal(x[:, :, 0, 1], [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    assert any("counts as one feature for L0" in note for note in data.notes)
    # Ablation keeps pixels: two features, whatever the number of categories.
    hf.Ablation(k=2, null="mean", fill=(0.0, 0.0, 0.0)).check_inputs(data.shape, data.low, data.high)
    with pytest.raises(UsageError, match="of the 2 that inputs of shape"):
        hf.Ablation(k=3, null="mean", fill=(0.0, 0.0, 0.0)).check_inputs(data.shape, data.low, data.high)
    flat = opened(tmp_path / "a.csv", layout="flat")
    np.testing.assert_array_equal(flat.batch([1]), [[21, 0, 1, 0]])


def test_the_range_is_declared_or_said(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", ROWS)
    data = opened(file, range="0..200")
    assert (data.low, data.high) == (0.0, 200.0)
    assert not any("is taken to be" in note for note in data.notes)
    assert any("all rows, those for testing included" in note for note in opened(file, "test").notes)
    with pytest.raises(DataError, match=r"outside of \[60, 170\], the first is 50 in line 2; all values go from 50"):
        opened(file, range="60..170")


def test_a_training_file_gives_the_range_and_the_scale(tmp_path: Path) -> None:
    train = written(tmp_path / "more.csv", ROWS)
    file = written(tmp_path / "a.csv", "height,weight,label\n152,55,1\n160,58,0\n")
    test = opened(file, "test", train=str(train))
    assert (len(test), test.low, test.high) == (2, 50.0, 169.0)
    assert len(opened(file, "train", train=str(train))) == 20
    scaled = opened(file, "test", train=str(train), scale="minmax")
    np.testing.assert_allclose(scaled.batch([0]), [[2 / 19, 5 / 9.5]], rtol=1e-6)
    standard = opened(file, "train", train=str(train), scale="standard").batch(range(20))
    np.testing.assert_allclose([standard.mean(0), standard.std(0)], [[0, 0], [1, 1]], atol=1e-5)
    written(file, "height,weight,label\n152,155,1\n1600,58,0\n")
    with pytest.raises(DataError, match=r"a\.csv has 1 values outside of \[50, 169\], the first is 1600 in line 3"):
        opened(file, "test", train=str(train))


def test_splits_by_content_do_not_depend_on_range_and_scale(tmp_path: Path) -> None:
    file = written(tmp_path / "a.csv", ROWS)
    plain = opened(file, "test", range="0..200")
    scaled = opened(file, "test", scale="minmax")
    train = opened(file, "train", range="0..200").batch(range(16))
    low, size = train.min(axis=0), np.ptp(train, axis=0)
    np.testing.assert_allclose(scaled.batch(range(4)), (plain.batch(range(4)) - low) / size, atol=1e-6)
    assert scaled.labels.tolist() == plain.labels.tolist()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,label\n1,2,0\n1,,1\n", r"nothing in line 3, column 'b', expected a value"),
        ("a,b,label\n1,2,0\n\n1,NaN,1\n", r"'NaN' in line 4, column 'b'"),
        ("a,b,label\n1,2,0\n1,inf,1\n", r"'inf' in line 3, column 'b', expected a finite number"),
        ("a,b,label\n1,2,0\n1,2\n", r"2 cells in line 3, expected 3"),
        ("a,b,label\n" + "1,2,0\n" * 10 + "1,two,0\n", r"'two' in line 12, column 'b', expected a number"),
        ("a,a,label\n1,2,0\n", "the column 'a' twice"),
        ("1,2,0\n1,2,1\n", r"numbers in its first line \(1, 2, 0\), expected the names of the columns"),
        ("a,b,label\n", "has no rows below its names"),
        ("", "has no rows, expected a table"),
        ("only\n1\n", "has one column"),
        ('a,b,label\n1,"2,0\n', "cannot be read in line"),
        ("a,b,label\n1,2,0.5\n", "the label 0.5 for example 0"),
        ("a,b,label\n1,2,-1\n", "labels from -1"),
        ("a,b,label\n1,1,0\n1,1,1\n", "the value 1 alone"),
        ("name,label\n" + "".join(f"n{row},0\n" for row in range(50)), "50 different texts in 50 rows"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        opened(written(tmp_path / "a.csv", text))


def test_other_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file or folder .*/nowhere\.csv; its folder is empty"):
        opened(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="is a folder, expected a file"):
        opened(tmp_path)
    np.savez(tmp_path / "x.csv.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="It looks like something for the source npz: write npz:"):
        opened(tmp_path / "x.csv.npz")


def test_tables_of_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "age": [20, 30, 40, 50] * 5,
        "vip": [True, False] * 10,
        "country": pd.Categorical(list("abab") * 5),
        "label": [0, 1] * 10,
    })  # fmt: skip
    frame[:15].to_parquet(tmp_path / "train.parquet")
    frame[15:].to_parquet(tmp_path / "test.parquet")
    test, train = (opened(tmp_path / "test.parquet", split, "parquet") for split in ("test", "train"))
    assert (len(test), len(train), test.shape) == (5, 15, (2, 1, 3))
    np.testing.assert_array_equal(test.batch([0])[0, 0, 0], [50, 0, 0])
    assert (train.low, train.high) == (test.low, test.high) == (0.0, 50.0)
    with pytest.raises(UsageError, match="the files hold a table, and size is an option of images"):
        opened(tmp_path / "test.parquet", "test", "parquet", size="3")
    frame.loc[7, "age"] = np.nan
    frame.to_parquet(tmp_path / "holes.parquet")
    with pytest.raises(DataError, match=r"in row 7 of the column 'age', and 1 such rows"):
        opened(tmp_path / "holes.parquet", "test", "parquet")
    frame.assign(age=pd.Timestamp("2020-01-01")).to_parquet(tmp_path / "dates.parquet")
    with pytest.raises(DataError, match=r"of the type timestamp.* in the column 'age', expected numbers or texts"):
        opened(tmp_path / "dates.parquet", "test", "parquet")
