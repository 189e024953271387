"""Variants of other distributions: loaded when asked for, told of when broken or refused, and never in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import brought
import pytest

from holdfast import registry
from holdfast.errors import HoldfastWarning, UsageError
from holdfast.registry import Registry

MODULE = """
from holdfast_test_registry import KNOWN

KNOWN.add("green", "green of one", __name__)
"""
FAILING = "raise RuntimeError('no such luck')\n"
CERTIFY = ("--n", "200", "--n0", "20", "--limit", "2", "--quiet")


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[str]]:
    """A registry with one variant of its own, and a folder on the path for distributions of others."""
    made: Registry[str] = Registry("colour", "own_colours", "holdfast.colours")
    (tmp_path / "own_colours").mkdir()
    (tmp_path / "own_colours" / "__init__.py").write_text("")
    (tmp_path / "own_colours" / "red.py").write_text(
        "from holdfast_test_registry import KNOWN\nKNOWN.add('red', 'red itself', __name__)\n"
    )
    (tmp_path / "holdfast_test_registry.py").write_text("KNOWN = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    __import__("holdfast_test_registry").KNOWN = made
    registry._entries.cache_clear()
    yield made
    registry._entries.cache_clear()
    import sys

    for name in [
        name for name in sys.modules if name.startswith(("own_colours", "holdfast_test_registry", "one_", "two_"))
    ]:
        del sys.modules[name]


def brings(folder: Path, name: str, source: str, **entries: str) -> None:
    module = f"{name}_colours"
    points = {key: value.replace("MODULE", module) for key, value in entries.items()}
    brought.install(folder, name, {f"{module}.py": source}, {"holdfast.colours": points})


def test_what_lies_at_home_is_found(known: Registry[str]) -> None:
    assert known.names() == ["red"]
    assert known.find("red") == "red itself"
    assert known.get("blue") is None
    assert known.get(["red"]) is None
    with pytest.raises(UsageError, match="unknown colour 'blue'; known are red"):
        known.find("blue")
    with pytest.raises(
        TypeError, match=r"two colours are named 'red': that of own_colours\.red, and that of elsewhere"
    ):
        known.add("red", "another", "elsewhere")


def test_another_distribution_is_loaded_when_it_is_asked_for(known: Registry[str], tmp_path: Path) -> None:
    import sys

    brings(tmp_path, "one", MODULE, green="MODULE:anything")
    # The object that an entry point names need not be what is registered, but has to be there.
    (tmp_path / "one_colours.py").write_text(MODULE + "anything = 1\n")
    assert known.names() == ["green", "red"]
    assert known.find("red") == "red itself"
    assert "one_colours" not in sys.modules
    assert known.find("green") == "green of one"
    assert known.all() == {"green": "green of one", "red": "red itself"}


@pytest.mark.parametrize(
    ("source", "value", "reason"),
    [
        (FAILING, "MODULE", "RuntimeError: no such luck"),
        ("import not_there_at_all", "MODULE", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("x = 1", "MODULE:y", "AttributeError: "),
        ("x = 1", "MODULE:x", "one_colours:x registers no colour with that name"),
        (MODULE.replace("green", "red"), "MODULE", "two colours are named 'red': that of own_colours.red, and that of"),
    ],
)
def test_a_broken_one_is_one_warning(
    known: Registry[str], tmp_path: Path, source: str, value: str, reason: str
) -> None:
    brings(tmp_path, "one", source, green=value)
    with pytest.warns(HoldfastWarning, match="the colour 'green' of the distribution one cannot be loaded") as told:
        assert known.all() == {"red": "red itself"}
    assert len(told) == 1
    assert reason in str(told[0].message)
    assert known.names() == ["red"]
    with pytest.raises(UsageError, match="unknown colour 'green'; known are red"):
        known.find("green")


def test_a_name_that_is_taken_is_refused_with_both_homes(known: Registry[str], tmp_path: Path) -> None:
    brings(tmp_path, "one", MODULE, red="MODULE:other", green="MODULE")
    brings(tmp_path, "two", MODULE, green="MODULE")
    with pytest.warns(HoldfastWarning) as told:
        assert known.find_written("red") == "red itself"
    said = sorted(str(each.message) for each in told)
    assert len(said) == 2
    assert "the colour 'red' of the distribution one (one_colours) is refused: own_colours.red has that name" in said[1]
    first, second = ("one", "two") if "distribution two (two_colours) is refused" in said[0] else ("two", "one")
    assert (
        f"of the distribution {second} ({second}_colours) is refused: {first}_colours (distribution {first})" in said[0]
    )
    assert known.find("green") == "green of one"


def test_metadata_that_cannot_be_read_are_left_out(known: Registry[str], tmp_path: Path) -> None:
    brought.install(tmp_path, "one", {}, {}, metadata="[holdfast.colours]\ngreen\n=\nred = = [\n[[[\n")
    brings(tmp_path, "two", MODULE, green="MODULE")
    with pytest.warns(
        HoldfastWarning, match="entry points of .*one-1.0.dist-info cannot be read|of the distribution one"
    ):
        known.names()
    assert known.find("green") == "green of one"


def test_holdfast_looks_for_nothing_when_it_is_imported(tmp_path: Path) -> None:
    brought.install(tmp_path, "one", {"one.py": FAILING}, {"holdfast.noises": {"green": "one"}})
    code = """
import importlib.metadata as m, sys
def fail(*a, **k): raise SystemExit("distributions were listed")
m.distributions = m.entry_points = fail
import holdfast as hf
hf.Gaussian(0.5), hf.FixedSize(10, 0.1)
from holdfast.noises.base import noise_from_dict
noise_from_dict({"name": "ablation", "k": 3})
print("torch" in sys.modules)
"""
    done = brought.python(tmp_path, tmp_path, "-c", code)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


def test_a_broken_distribution_breaks_no_command(tmp_path: Path) -> None:
    groups = ("noises", "attacks", "data", "architectures", "bounds", "recipes", "commands")
    site = brought.install(
        tmp_path / "site", "one", {"one.py": FAILING}, {f"holdfast.{group}": {"green": "one"} for group in groups}
    )
    arguments = ("--noise", "gaussian:sigma=0.5", "--epochs", "1", "--out", "m.safetensors", "--quiet")
    assert brought.program(site, tmp_path, "train", *arguments).stderr == ""
    done = brought.program(site, tmp_path, "certify", "--model", "m.safetensors", "--out", "run", *CERTIFY)
    assert (done.returncode, "distribution one" in done.stderr) == (0, False), done.stderr
    for listing in (("attack",), ("bound",), ("--help",), ("certify", "--help")):
        done = brought.program(site, tmp_path, *listing)
        assert done.returncode == 0, done.stderr
        said = " ".join(done.stderr.split())
        for kind in {"attack": ["attack"], "bound": ["bound"], "--help": ["command"]}.get(listing[0], ["noise"]):
            assert said.count(f"the {kind} 'green' of the distribution one cannot be loaded") == 1, (listing, said)
    done = brought.program(
        site, tmp_path, "certify", "--model", "m.safetensors", "--noise", "green:x=1", "--out", "other"
    )
    said = " ".join(done.stderr.split())
    assert (done.returncode, said.count("of the distribution one cannot be loaded")) == (2, 1), said
    assert "unknown noise 'green'; known are ablation" in said


def test_a_noise_of_a_name_that_holdfast_has_is_refused_aloud(tmp_path: Path) -> None:
    site = brought.install(
        tmp_path / "site",
        "one",
        {"one.py": FAILING},
        {"holdfast.noises": {"gaussian": "one"}, "holdfast.commands": {"table": "one"}},
    )
    done = brought.program(
        site, tmp_path, "train", "--noise", "gaussian:sigma=0.5", "--epochs", "1", "--out", "m.safetensors", "--json"
    )
    said = " ".join(done.stderr.split())
    assert done.returncode == 0, said
    assert (
        "the noise 'gaussian' of the distribution one (one) is refused: holdfast.noises.gaussian has that name" in said
    )
    assert json.loads(done.stdout)["noise"] == {"name": "gaussian", "sigma": 0.5}
    said = " ".join(brought.program(site, tmp_path, "--help").stderr.split())
    assert "the command 'table' of the distribution one (one) is refused: holdfast.cli has that name" in said
