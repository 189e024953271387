"""The grammar of specs: what each form means, what is refused and how, and that spelling is the inverse of reading."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.data.base import DataSet
from holdfast.errors import UsageError
from holdfast.noises.base import NOISES
from holdfast.spec import Form, Quoted, Slashed, Spec, name_of, parse, spell
from holdfast.workflows.specs import open_data_spec, parse_noise, parse_recipe

IMAGES = Form(path=True, options=("size", "mode"))
FILE = Form(options=("classifier", "agreement"), texts=("classifier",))


def nowhere(path: str) -> bool:
    return False


def read(text: str, form: Form | None = None, there: tuple[str, ...] = ()) -> tuple[str, str | None, dict[str, str]]:
    found = parse(text, form, lambda path: path in there)
    return found.name, found.path, dict(found.options)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("digits", IMAGES, ("digits", None, {})),
        ("digits:", IMAGES, ("digits", None, {})),
        ("gaussian:sigma=0.5", None, ("gaussian", None, {"sigma": "0.5"})),
        ("gaussian,sigma=0.5", None, ("gaussian", None, {"sigma": "0.5"})),
        ("ablation:k=45,null=mean", None, ("ablation", None, {"k": "45", "null": "mean"})),
        ("ablation:k=45,,null=mean,", None, ("ablation", None, {"k": "45", "null": "mean"})),
        ("stripes:count=150", None, ("stripes", None, {"count": "150"})),
        ("stripes:,count=150", None, ("stripes", None, {"count": "150"})),
        ("processes:4", None, ("processes", "4", {})),
        ("images:DIR", IMAGES, ("images", "DIR", {})),
        ("images:DIR,size=4,mode=grey", IMAGES, ("images", "DIR", {"size": "4", "mode": "grey"})),
        ("images:size=4", IMAGES, ("images", None, {"size": "4"})),
        ("images:,size=4", IMAGES, ("images", None, {"size": "4"})),
        ("images:lr=0.1,sigma=0.25/imgs,size=4", IMAGES, ("images", "lr=0.1,sigma=0.25/imgs", {"size": "4"})),
        ('images:"lr=0.1,sigma=0.25",size=32', IMAGES, ("images", "lr=0.1,sigma=0.25", {"size": "32"})),
        ('images:"a,size=4"', IMAGES, ("images", "a,size=4", {})),
        ('images:"a ""b"", c",mode="grey"', IMAGES, ("images", 'a "b", c', {"mode": "grey"})),
        ('images:a"b,size=4', IMAGES, ("images", 'a"b', {"size": "4"})),
        ("images:C:\\data\\imgs,size=4", IMAGES, ("images", "C:\\data\\imgs", {"size": "4"})),
        ("denoise:classifier=a,b.st,agreement=1", FILE, ("denoise", None, {"classifier": "a,b.st", "agreement": "1"})),
        ('denoise:classifier="a,agreement=1"', FILE, ("denoise", None, {"classifier": "a,agreement=1"})),
        ("", None, ("", None, {})),
    ],
)
def test_what_specs_mean(text: str, form: Form | None, expected: tuple[str, str | None, dict[str, str]]) -> None:
    assert read(text, form) == expected
    assert name_of(text) == expected[0]


def test_a_path_without_quotes_is_the_one_that_is_there() -> None:
    assert read("images:a,size=4", IMAGES, ("a",)) == ("images", "a", {"size": "4"})
    assert read("images:a,size=4", IMAGES, ("a,size=4",)) == ("images", "a,size=4", {})
    assert read("images:size=4", IMAGES, ("size=4",)) == ("images", "size=4", {})
    with pytest.raises(UsageError, match="both a and a,size=4 are there: write images:a,size=4/ for the second"):
        read("images:a,size=4", IMAGES, ("a", "a,size=4"))
    assert read('images:"a",size=4', IMAGES, ("a", "a,size=4")) == ("images", "a", {"size": "4"})
    assert read('images:a,size="4"', IMAGES, ("a", 'a,size="4"')) == ("images", "a", {"size": "4"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('images:"a,size=4', "a double quote in 'images:\"a,size=4' is not closed: '\"a,size=4'. Close it; write a"),
        ('images:"a"b,size=4', "after the closing quote of \"a\" in .* comes 'b', expected a comma or the end"),
        ('gaussian:sigma="1"2', "after the closing quote of \"1\" in .* comes '2'"),
        ("gaussian:sigma=1,2", "cannot read '2' in 'gaussian:sigma=1,2': parameters are written key=value"),
        ("gaussian:sigma=", "cannot read 'sigma='"),
        ("gaussian:=1", "cannot read '=1'"),
        ("gaussian:sigma=1,sigma=2", "'sigma' is given twice in 'gaussian:sigma=1,sigma=2'"),
        (
            "images:a,sise=4",
            "'images' has no option 'sise'; it takes size, mode. Nor is there a file or folder a,sise=4",
        ),
    ],
)
def test_what_cannot_be_read_says_why(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text, IMAGES if text.startswith("images") else None, nowhere)


def test_a_noise_takes_no_path() -> None:
    with pytest.raises(UsageError, match=r"cannot read '0\.5' in 'gaussian:0\.5': parameters are written key=value"):
        parse_noise("gaussian:0.5")
    with pytest.raises(UsageError, match="noise 'gaussian' has no parameter 'name'"):
        parse_noise("gaussian:name=laplace,b=1")


def test_quoted_values_are_text() -> None:
    assert parse('x:a=1,b="1",c=1/2,d=one,e="1/2"').values() == {
        "a": 1,
        "b": "1",
        "c": Slashed((1.0, 2.0)),
        "d": "one",
        "e": "1/2",
    }
    assert isinstance(parse('x:a="1"').options["a"], Quoted)


_NAMES = st.text(st.characters(exclude_characters=":,", exclude_categories=("Cs",)), max_size=8)
_TEXTS = st.one_of(
    st.text(st.sampled_from('ab=,":/\\ .1~'), max_size=8),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=6),
)
_VALUES = st.one_of(_TEXTS, _TEXTS.map(Quoted))
_KEYS = st.from_regex(r"[a-z_][a-z0-9_]{0,5}", fullmatch=True)
_SPECS = st.builds(Spec, _NAMES, st.none() | _TEXTS, st.dictionaries(_KEYS, _VALUES, max_size=4))


@given(_SPECS, st.booleans())
def test_what_is_spelled_is_read_as_it_was(spec: Spec, path: bool) -> None:
    """Whatever is there on the disk, and whatever options a family has."""
    if path and spec.path is None and spec.options:
        # Of a family that takes a path: its first option may be the path.
        return
    form = Form(path=path, options=tuple(spec.options))
    for there in (nowhere, lambda text: True):
        found = parse(spell(spec), form, there)
        assert found == spec
        assert {key: text for key, text in found.values().items() if isinstance(spec.options[key], Quoted)} == {
            key: str(text) for key, text in spec.options.items() if isinstance(text, Quoted)
        }


@given(st.text(st.sampled_from('ab=,":/1'), max_size=14), st.booleans())
def test_what_is_read_can_be_spelled(text: str, path: bool) -> None:
    form = Form(path=path, options=("a", "b"))
    try:
        found = parse(text, form, nowhere)
        again = spell(found)
    except UsageError:
        return
    except ValueError:
        # A key that is no word: such a spec names nothing.
        return
    if path and found.path is None and set(found.options) - set(form.options):
        # An option that the family does not have may be taken for the path (`spell`): no family would take it.
        return
    assert parse(again, form, nowhere) == found


@pytest.mark.parametrize(("name", "key"), [("a:b", "k"), ("a,b", "k"), ("a", "1k"), ("a", "k l"), ("a", "")])
def test_what_cannot_be_spelled(name: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"must have no colon and no comma|must be a word of letters"):
        spell(Spec(name, None, {key: "1"}))


def test_variants_are_spelled_so_that_they_are_read_again(tmp_path: Path) -> None:
    recipe = parse_recipe('denoise:classifier="a,agreement=0.5.safetensors",agreement=0.1')
    assert parse_recipe(str(recipe)) == parse_recipe(recipe.written) == recipe
    for kind in NOISES.all().values():
        noise = parse_noise(kind.example)
        assert parse_noise(str(noise)) == noise


@pytest.mark.filterwarnings("ignore::holdfast.errors.HoldfastWarning")
def test_a_folder_whose_name_looks_like_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    for label in ("cat", "dog"):
        folder = tmp_path / "lr=0.1,size=7" / label
        folder.mkdir(parents=True)
        for number in range(5):
            image.new("RGB", (6, 6), (number, 9 * number, ord(label[0]))).save(folder / f"{number}.png")

    def opened(spec: str) -> DataSet:
        return open_data_spec(spec, "test")

    assert opened('images:"lr=0.1,size=7",size=4').shape == (3, 4, 4)
    assert opened('images:"lr=0.1,size=7"').shape == (3, 6, 6)
