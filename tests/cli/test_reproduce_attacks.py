"""`holdfast reproduce` for studies of bounds and attacks: everything is made once, and other settings are refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from published_files import FILES
from scipy.io import savemat

from holdfast.reproductions import cohen_heuristics, cohen_lipschitz, cohen_wong, defences, models, wong_kolter


def arguments(name, data, out):
    return ("reproduce", name, "--data", f"mnist:{data}", "--scale", "smoke", "--out", out, "--json")


def test_bounds_and_attacks_are_made_once(call, mnist, tmp_path, monkeypatch):
    monkeypatch.setitem(wong_kolter._EPOCHS, "smoke", 1)
    code, out, err = call(*arguments("wong-kolter", mnist, tmp_path))
    assert code == 0, err
    document = json.loads(out)
    quantities = [row["quantity"] for row in document["tables"][0]["rows"]]
    assert quantities == ["test error", "FGSM error", "PGD error", "robust error bound"] * 2
    certified = [each for each in document["statements"] if "certified" in each["text"] and "attack" in each["text"]]
    assert all(each["holds"] for each in certified)

    # Nothing is done a second time.
    monkeypatch.setattr("holdfast.workflows.study_attacks.bound_into", None)
    monkeypatch.setattr("holdfast.execution.attack.attack_run", None)
    again = json.loads(call(*arguments("wong-kolter", mnist, tmp_path))[1])
    assert again["tables"] == document["tables"]

    monkeypatch.setitem(wong_kolter._EPSILON, "mnist", 0.2)
    code, _, err = call(*arguments("wong-kolter", mnist, tmp_path))
    assert code == 1
    assert "comes from another training" in err


@pytest.mark.parametrize("kind", sorted(FILES))
def test_wong_kolter_takes_each_of_its_data_sets(call, tmp_path, monkeypatch, kind):
    """Smoke takes one training image in 25; of these small files it has to take more."""
    monkeypatch.setitem(wong_kolter._EPOCHS, "smoke", 4)
    monkeypatch.setitem(defences.PART, "smoke", 2)
    monkeypatch.setitem(wong_kolter._EVERY, "smoke", 50)
    folder = tmp_path / "data"
    folder.mkdir()
    FILES[kind](folder, 400, 500)
    out = ("--scale", "smoke", "--out", tmp_path / "out", "--json")
    code, printed, err = call("reproduce", "wong-kolter", "--data", f"{kind}:{folder}", *out)
    assert code == 0, err
    document = json.loads(printed)
    assert "scale smoke" in document["title"]
    assert {row["published"]["value"] is not None for row in document["tables"][0]["rows"]} == {True}
    said = [each for each in document["statements"] if "no image that an attack made wrong" in each["text"]]
    assert len(said) == 2
    assert all(each["holds"] in (True, None) for each in said)


def test_provable_training_beside_smoothing(call, mnist, tmp_path, monkeypatch):
    monkeypatch.setitem(cohen_wong._PART, "smoke", 10)
    monkeypatch.setitem(cohen_wong._EPOCHS, "smoke", 4)
    code, out, err = call(*arguments("cohen-wong", mnist, tmp_path))
    assert code == 0, err
    document = json.loads(out)
    said = [each for each in document["statements"] if "no adversarial of PGD" in each["text"]]
    assert len(said) == 2
    assert all(each["holds"] in (True, None) for each in said)
    assert (tmp_path / "cohen-wong-mnist.svg").is_file()


def test_other_settings_of_an_attack_are_refused(call, mnist, tmp_path, monkeypatch):
    monkeypatch.setitem(cohen_heuristics._EPOCHS, "smoke", 1)
    assert call(*arguments("cohen-heuristics", mnist, tmp_path))[0] == 0
    monkeypatch.setattr(cohen_heuristics, "_EPSILON", 0.3)
    code, _, err = call(*arguments("cohen-heuristics", mnist, tmp_path))
    assert code == 1
    assert "is an attack with other settings" in err
    assert "budget" in err


def test_an_attack_on_another_certification_is_refused(call, mnist, tmp_path):
    """The run was deleted and made anew, with other noise: the attack is not about its radii."""
    code, out, err = call(*arguments("cohen-attack", mnist, tmp_path))
    assert code == 0, err
    said = {each["text"]: each["holds"] for each in json.loads(out)["statements"]}
    assert said["no certificate was contradicted"]
    assert (tmp_path / "cohen-attack-mnist.svg").is_file()
    shutil.rmtree(tmp_path / "runs")
    code, _, err = call(*arguments("cohen-attack", mnist, tmp_path))
    assert code == 1
    assert "is an attack with other settings" in err
    assert "certification" in err


@pytest.fixture(scope="module")
def svhn(tmp_path_factory):
    """Files of the published layout: the class is the row that is bright."""
    folder, random = tmp_path_factory.mktemp("svhn"), np.random.default_rng(7)
    for split, count in (("train", 800), ("test", 1001)):
        labels = random.integers(0, 10, count)
        images = random.integers(0, 60, (32, 32, 3, count)).astype(np.uint8)
        for number, label in enumerate(labels):
            images[3 * label, :, :, number] = 250
        # The published files call the digit 0 class 10.
        savemat(folder / f"{split}_32x32.mat", {"X": images, "y": np.where(labels == 0, 10, labels)[:, None]})
    return folder


def test_figure_13_on_files_of_svhn(call, svhn, tmp_path, monkeypatch):
    """Both networks, the bound's run, the smoothed one, and the attacks."""
    monkeypatch.setitem(models._CIFAR_PART, "smoke", 20)
    command = (
        "reproduce",
        "cohen-lipschitz",
        "--data",
        f"svhn:{svhn}",
        "--scale",
        "smoke",
        "--out",
        tmp_path,
        "--json",
    )
    code, out, err = call(*command)
    assert code == 0, err
    document = json.loads(out)
    groups = {row["group"] for row in document["tables"][0]["rows"]}
    assert {"Lipschitz margin", "smoothing, sigma = 0.25"} < groups
    said = {each["text"]: each["holds"] for each in document["statements"]}
    assert said["no attack finds an adversarial within a radius that Lipschitz margin certifies"] is True
    for name in ("cohen-lipschitz-svhn-figure-13.svg", "cohen-lipschitz-svhn-attack.svg", "cohen-lipschitz.html"):
        assert (tmp_path / name).is_file()
    assert "Lipschitz margin" in (tmp_path / "cohen-lipschitz-svhn-figure-13.svg").read_text(encoding="utf-8")
    # What is there fits, and other settings do not.
    code, out, err = call(*command)
    assert code == 0, err
    assert json.loads(out)["tables"] == document["tables"]
    monkeypatch.setitem(cohen_lipschitz._MARGIN, "svhn", 0.2)
    code, _, err = call(*command)
    assert code == 1
    assert "comes from another training" in err
