"""Specs whose paths have commas and equals signs, as tools that sweep settings name their folders."""

import numpy as np
import pytest

from holdfast.errors import DataError, HoldfastWarning, UsageError
from holdfast.workflows.specs import open_data_spec, parse_batch_size, parse_engine, parse_recipe

Image = pytest.importorskip("PIL.Image")

SWEPT = "multirun/lr=0.1,sigma=0.25/imgs"


def fill(folder, side=6):
    for label, name in enumerate(("cat", "dog")):
        for number in range(5):
            values = np.random.default_rng(100 * label + number).integers(0, 256, (side, side, 3), dtype=np.uint8)
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(folder / name / f"{number}.png")
    return folder


@pytest.mark.parametrize("name", [SWEPT, "a=1,b=2", "a,b", "size=4", "x,size=4/imgs", "mode=grey,size=4/y"])
@pytest.mark.parametrize(
    ("options", "shape"), [("", (3, 6, 6)), (",size=4", (3, 4, 4)), (",size=4,mode=grey", (1, 4, 4))]
)
def test_paths_with_commas_and_equals_signs(tmp_path, name, options, shape):
    fill(tmp_path / name)
    assert open_data_spec(f"images:{tmp_path / name}{options}", "test").shape == shape


def test_a_path_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / SWEPT)
    assert open_data_spec(f"images:{SWEPT}", "test").shape == (3, 6, 6)


def test_a_path_that_ends_as_an_option_does(tmp_path):
    fill(tmp_path / "imgs,size=4")
    assert open_data_spec(f"images:{tmp_path}/imgs,size=4", "test").shape == (3, 6, 6)
    fill(tmp_path / "imgs", side=5)
    with pytest.raises(
        UsageError, match=r"both .*imgs and .*imgs,size=4 are there: write images:.*,size=4/ for the se"
    ):
        open_data_spec(f"images:{tmp_path}/imgs,size=4", "test")
    assert open_data_spec(f"images:{tmp_path}/imgs,size=4/", "test").shape == (3, 6, 6)
    assert open_data_spec(f"images:{tmp_path}/imgs/,size=4", "test").shape == (3, 4, 4)


def test_an_option_that_the_source_does_not_have(tmp_path):
    fill(tmp_path / "imgs")
    known = "size, crop, mode, classes, split"
    with pytest.raises(UsageError, match=rf"'images' has no option 'sise'; it takes {known}. Nor is there a file or"):
        open_data_spec(f"images:{tmp_path}/imgs,sise=4", "test")


def test_what_a_source_decided_and_left_out_is_a_warning(tmp_path):
    folder = fill(tmp_path / "imgs")
    (folder / "cat" / "._0.png").write_bytes(b"no image")
    with pytest.warns(HoldfastWarning) as found:
        open_data_spec(f"images:{folder}", "test")
    messages = " ".join(str(each.message) for each in found)
    assert "one distinct image in five, chosen by content, is the test split" in messages
    assert "1 hidden file or folder, or one of an operating system (cat/._0.png)" in messages


def test_an_option_given_twice_or_without_a_value(tmp_path):
    fill(tmp_path / "imgs")
    for options, message in (("size=4,size=5", "'size' is given twice"), ("size=", "cannot read 'size='")):
        with pytest.raises(UsageError, match=message):
            open_data_spec(f"images:{tmp_path}/imgs,{options}", "test")


def test_a_missing_path_with_equals_signs_is_named_whole():
    with pytest.raises(DataError, match=rf"no folder {SWEPT}; expected a folder"):
        open_data_spec(f"images:{SWEPT}", "test")


@pytest.mark.parametrize("path", [f"{SWEPT}/m.safetensors", "a,b.safetensors", "0.5/2", "7"])
def test_a_recipe_keeps_the_path_of_its_file(path):
    recipe = parse_recipe(f"denoise:classifier={path},agreement=0.1")
    assert (recipe.classifier, recipe.agreement) == (path, 0.1)
    assert parse_recipe(f"denoise:agreement=0.1,classifier={path}") == recipe


def test_parameters_that_a_recipe_does_not_have_are_still_refused():
    with pytest.raises(UsageError, match="recipe 'consistency' has no parameter 'wait'"):
        parse_recipe("consistency:weight=10,wait=3")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("~nobody-of-this-name/x", "begins with the home folder of nobody"),
        ("a\0b", "a path has no zero byte"),
        ("x" * 300, "its name, or its path, is too long"),
    ],
)
def test_paths_that_cannot_be(path, message):
    with pytest.raises((UsageError, DataError), match=message):
        open_data_spec(f"images:{path}", "test")


@pytest.mark.parametrize("text", ["\u00b2", "\u0663", "1" * 5000, "1_0", "+1", " 1", "0", ""])
def test_counts_are_digits_and_few(text):
    for parse in (parse_batch_size, lambda number: parse_engine(f"processes:{number}", None, "cpu", None, 1)):
        with pytest.raises(UsageError, match=r"a whole number|an engine is"):
            parse(text)
