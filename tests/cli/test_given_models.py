"""`holdfast reproduce --model NAME=SPEC`: models from elsewhere in the place of a study's base classifiers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from program import Call
from torch import nn

from holdfast.reproductions import goodfellow_panda

SIDE, CLASSES, IMAGES = 64, 4, 8


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small pictures, each class of its own brightness."""
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        label = number % CLASSES
        pixels = random.integers(0, 60, (SIDE, SIDE, 3)) + 60 * label
        for split in ("train", "test"):
            place = folder / split / f"class{label}"
            place.mkdir(exist_ok=True, parents=True)
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("networks") / "net.pt2", 40.0)


def saved(path: Path, steep: float) -> Path:
    """A network that tells brightnesses apart: the class whose brightness is the nearest."""
    centres = torch.tensor([(30 + 60 * label) / 255 for label in range(CLASSES)])
    last = nn.Linear(1, CLASSES)
    with torch.no_grad():
        last.weight.copy_(2 * steep * centres[:, None])
        last.bias.copy_(-steep * centres**2)
    module = nn.Sequential(nn.AvgPool2d(SIDE), nn.Flatten(), nn.AvgPool1d(3), last).eval()
    program = torch.export.export(
        module, (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(program, path)
    return path


def arguments(photographs: Path, out: Path, *more: object) -> tuple[object, ...]:
    data = f"images:{photographs}"
    return ("reproduce", "goodfellow-panda", "--data", data, "--scale", "smoke", "--out", out, "--quiet", *more)


def test_a_given_model_takes_the_place_of_the_study_s(
    call: Call, photographs: Path, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(goodfellow_panda._SUBSET, "smoke", (1, IMAGES))
    out = tmp_path / "out"
    given = f"imagenet-plain={network}"
    code, text, err = call(*arguments(photographs, out, "--model", given))
    assert code == 0, err
    assert "as given in net.pt2" in " ".join(text.split())
    assert not (out / "models").exists(), "nothing was trained"
    found = json.loads(call(*arguments(photographs, out, "--model", given, "--json"))[1])
    rows = {row["quantity"]: row["found"] for row in found["tables"][0]["rows"]}
    assert rows["unchanged"]["accuracy"]["value"] == 1.0
    assert rows["epsilon = 0.001"]["accuracy"]["value"] == 1.0
    other = saved(tmp_path / "other.pt2", 20.0)
    code, _, err = call(*arguments(photographs, out, "--model", f"imagenet-plain={other}"))
    assert code != 0
    assert "is an attack with other settings" in err
    assert f"--model {given}" in (out / "goodfellow-panda.html").read_text(), "the command that makes it anew"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("resnet=net.pt2",), "has no base classifier 'resnet' to give a model for; it has: imagenet-plain"),
        (("net.pt2",), "--model takes NAME=SPEC"),
        (("=net.pt2",), "--model takes NAME=SPEC"),
        (("imagenet-plain=",), "--model takes NAME=SPEC"),
        (("imagenet-plain=a.pt", "imagenet-plain=b.pt"), "names a base classifier twice"),
        (("imagenet-plain=nowhere.onnx",), "there is no model file nowhere.onnx"),
    ],
)
def test_what_cannot_stand_for_a_model_is_refused(
    call: Call, photographs: Path, tmp_path: Path, given: tuple[str, ...], said: str
) -> None:
    more = [word for each in given for word in ("--model", each)]
    code, _, err = call(*arguments(photographs, tmp_path / "out", *more))
    assert code != 0
    assert said in " ".join(err.split())
