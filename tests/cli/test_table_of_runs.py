"""`holdfast table --compare` and `--by-class`: the command prints what the objects print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Call

import holdfast as hf


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    model = hf.load_model(Path(__file__).parents[1] / "stored" / "models" / "plain.safetensors")
    data = hf.load_data("digits")
    for name, sigma, every in (("a", 0.25, 12), ("b", 0.5, 12), ("fewer", 0.25, 24)):
        settings = {"n": 200, "n0": 20, "alpha": 0.01, "every": every, "seed": 1, "progress": False}
        hf.certify(model, data, hf.Gaussian(sigma=sigma), out=folder / name, **settings)
    return folder


def test_the_command_prints_what_python_prints(call: Call, runs: Path) -> None:
    first, second = (hf.load_run(runs / name) for name in ("a", "b"))
    found, classes = first.compare(second, radii=[0.0, 0.25]), first.by_class([0.0, 0.25])
    given = (runs / "a", runs / "b", "--radii", "0,.25")
    assert call("table", "--compare", *given)[1] == f"{found}\n"
    assert call("table", "--by-class", runs / "a", "--radii", "0,.25")[1] == f"{classes}\n"
    assert json.loads(call("table", "--compare", *given, "--json")[1]) == json.loads(json.dumps(found.to_dict()))
    (entry, _) = json.loads(call("table", "--by-class", *given, "--json")[1])
    assert entry == json.loads(json.dumps(classes.to_dict()))
    for style in ("markdown", "latex", "csv"):
        assert call("table", "--compare", *given, "--format", style)[1] == getattr(found, f"to_{style}")()
    both = call("table", "--by-class", *given, "--format", "csv")[1]
    assert both.startswith(classes.to_csv())
    assert both.count('"Run"') == 1


def test_a_plot_beside_the_table(call: Call, runs: Path, tmp_path: Path) -> None:
    code, _, err = call("table", "--compare", runs / "a", runs / "b", "--plot", tmp_path / "d.svg")
    assert (code, "plot:" in err) == (0, True)
    assert "a - b" in (tmp_path / "d.svg").read_text() or (tmp_path / "d.svg").stat().st_size > 10_000


def test_other_bounds_on_the_same_votes_are_compared_too(call: Call, runs: Path) -> None:
    code, out, err = call("table", "--compare", runs / "a", runs / "b", "--bounds", "cohen", "--json")
    assert code == 0
    assert "not the bounds in the manifests" in err
    assert json.loads(out)["images"] == 30


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--compare", "a", "fewer"), "different images"),
        (("--compare", "a"), "two or more, got 1"),
        (("--compare", "--by-class", "a", "b"), "one at a time"),
        (("a", "--plot", "x.png"), "--plot draws what --compare tells"),
    ],
)
def test_what_cannot_be_compared(call: Call, runs: Path, arguments: tuple[str, ...], why: str) -> None:
    given = [runs / each if (runs / each).is_dir() else each for each in arguments]
    code, out, err = call("table", *given)
    assert (code, out) == (2 if "image" not in why else code, "")
    assert code != 0
    assert why in err
