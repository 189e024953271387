"""Short specs: fractions where a real number is taken, lists where a list is."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from holdfast.errors import UsageError
from holdfast.noises.base import noise_from_dict
from holdfast.spelling import spelled, with_fractions
from holdfast.training.config import TrainConfig
from holdfast.workflows.specs import (
    parse_architecture,
    parse_attack,
    parse_bound,
    parse_budgets,
    parse_noise,
    parse_radii,
    parse_recipe,
    parse_share,
)

if TYPE_CHECKING:
    from pathlib import Path

    from program import Call


def test_fractions_are_taken_for_real_numbers() -> None:
    noise = parse_noise("gaussian:sigma=64/255")
    assert noise.to_dict() == {"name": "gaussian", "sigma": 64 / 255}
    assert noise_from_dict(json.loads(json.dumps(noise.to_dict()))) == noise
    assert parse_noise(str(noise)) == noise
    assert parse_noise("uniform-flip:kappa=1/4").to_dict()["kappa"] == 0.25
    assert parse_attack("gaussian-noise:deviation=8/255").to_dict()["deviation"] == 8 / 255
    assert parse_bound("convex:epsilon=2/255,norm=linf").to_dict()["epsilon"] == 2 / 255
    assert parse_recipe("smoothadv:epsilon=64/255,steps=2").to_dict()["epsilon"] == 64 / 255
    assert parse_architecture("random-resized:least=4/5") == ("random-resized", {"least": 0.8})
    assert parse_radii("0,8/255,.25") == [0.0, 8 / 255, 0.25]
    assert parse_budgets("8/255,16/255").values == (8 / 255, 16 / 255)
    assert parse_budgets("1/2x,1x").values == (0.5, 1.0)
    assert parse_share("1/20") == 0.05


def test_lists_stay_lists() -> None:
    assert parse_noise("ablation:k=5,null=mean,fill=0.1/0.2/0.3").to_dict()["fill"] == (0.1, 0.2, 0.3)
    assert parse_architecture("digits-mlp:widths=256/128")[1] == {"widths": (256, 128)}


@pytest.mark.parametrize(
    "spec", ["gaussian:sigma=1/0", "gaussian:sigma=1/2/3", "gaussian:sigma=a/2", "ablation:k=4/2", "gaussian:sigma=1/"]
)
def test_what_is_no_fraction_is_refused(spec: str) -> None:
    with pytest.raises(UsageError):
        parse_noise(spec)


@pytest.mark.parametrize("text", ["1/0", "1/2/3", "/2", "1/", "0/0", "-1/2"])
def test_what_is_no_fraction_is_no_radius(text: str) -> None:
    for parse in (parse_radii, parse_budgets, parse_share):
        with pytest.raises(UsageError):
            parse(text)


def test_the_manifest_keeps_the_number(call: Call, tmp_path: Path) -> None:
    log, out = tmp_path / "log.tsv", tmp_path / "run"
    log.write_text("idx\tlabel\tpredict\tradius\n0\t1\t1\t0.1\n")
    code, _, err = call("import-log", log, "--noise", "gaussian:sigma=64/255", "--n", 100, "--alpha", 0.1, "--out", out)
    assert code == 0, err
    assert json.loads((out / "manifest.json").read_text())["noise"] == {"name": "gaussian", "sigma": 64 / 255}
    rows = json.loads(call("table", out, "--radii", "0,8/255", "--json")[1])
    assert list(rows[0]["certified_accuracy"]) == ["0.0", str(8 / 255)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (64 / 255, "64/255"),
        (8 / 255, "8/255"),
        (1 / 3, "1/3"),
        (320 / 255, "64/51"),
        (0.25, "0.25"),
        (1.0, "1.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (0.2509803921568, "0.2509803921568"),
        (1e-12, "1e-12"),
        (1234567890123.0, "1234567890123.0"),
        (math.inf, "inf"),
        (-1 / 3, "-0.3333333333333333"),
    ],
)
def test_numbers_are_shown_as_the_fractions_that_they_are(value: float, shown: str) -> None:
    assert spelled(value) == shown
    numerator, _, denominator = shown.partition("/")
    assert float(numerator) / float(denominator or 1) == value


def test_a_fraction_is_shown_as_one_wherever_people_read_it(call: Call, tmp_path: Path) -> None:
    assert str(parse_noise("gaussian:sigma=64/255")) == "gaussian:sigma=64/255"
    assert str(parse_noise("ablation:k=5,null=mean,fill=0.1/0.2/0.3")).endswith("fill=0.1/0.2/0.3")
    log, out = tmp_path / "log.tsv", tmp_path / "run"
    log.write_text("idx\tlabel\tpredict\tradius\n0\t1\t1\t0.1\n1\t1\t1\t0.1\n")
    call("import-log", log, "--noise", "gaussian:sigma=64/255", "--n", 100, "--alpha", 0.1, "--out", out)
    _, table, _ = call("table", out, "--radii", "0,8/255")
    assert "sigma=64/255" in table
    assert "r = 8/255" in table
    assert call("report", out, "--radii", "0,8/255", "--out", tmp_path / "r.html")[0] == 0
    page = (tmp_path / "r.html").read_text()
    assert "sigma=64/255" in page
    _, shown, _ = call("info", out)
    assert "64/255" in shown
    for text in (table, shown):
        assert "0.2509" not in text
    assert json.loads(call("info", out, "--json")[1])["manifest"]["noise"]["sigma"] == 64 / 255


def test_files_keep_decimals() -> None:
    """A checkpoint, and a bundle that a study finds again, are compared with what earlier versions wrote."""
    recipe = parse_recipe("smoothadv:epsilon=64/255,steps=2")
    assert "epsilon=64/255" in str(recipe)
    assert f"epsilon={64 / 255}" in recipe.written
    assert f"epsilon={64 / 255}" in TrainConfig(recipe=recipe).to_dict()["recipe"]
    assert with_fractions(recipe.written) == str(recipe)
    assert with_fractions("r=0.1234567890123,v1.20250101,a=0.25") == "r=0.1234567890123,v1.20250101,a=0.25"
