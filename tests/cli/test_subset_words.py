"""What every command says of a subset: an irregular log, a killed run, the beginning of a folder sorted by class."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from holdfast.store.folder import RECORDS
from holdfast.store.results import FILE_NAME as RESULTS

if TYPE_CHECKING:
    from pathlib import Path

    from program import Call

HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"
QUICK = ("--n", 100, "--n0", 20, "--alpha", 0.01, "--seed", 5, "--quiet", "--batch-size", 100, "--backend", "torch")


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def sorted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten classes of four images each, as any folder of classes gives them: class by class."""
    pillow = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(3)
    for label in range(10):
        for split in ("train", "test"):
            place = folder / split / str(label)
            place.mkdir(parents=True)
            for number in range(4):
                pillow.fromarray(random.integers(0, 256, (8, 8)).astype(np.uint8)).save(place / f"{number}.png")
    return folder


def test_the_beginning_of_a_sorted_folder_is_no_sample(
    call: Call, models: Path, sorted_folder: Path, tmp_path: Path
) -> None:
    data = ("--data", f"images:{sorted_folder},mode=grey")
    model, out = ("--model", models / "gaussian.safetensors"), tmp_path / "run"
    words = "4 of 40 test examples of images, the first 4 (in class order: 1 of 10 classes)"
    code, text, err = call("certify", *model, *data, "--out", out, "--limit", 4, *QUICK)
    assert code == 0, err
    assert "in the order of its classes" in err
    assert "do not cover the sampling of the subset" in err
    assert "every = 10 takes as many" in err
    assert words in flat(text)
    assert "covering alpha alone, for these very examples" in flat(text)
    assert "sampling of the subset" not in text
    for style in ("markdown", "latex"):
        assert "covering alpha alone" in flat(call("table", out, "--format", style)[1])
    assert words in call("table", out, "--format", "csv")[1]
    assert json.loads(call("info", out, "--json")[1])["subset"] == words
    _, text, err = call("predict", *model, *data, "--limit", 4, "--n", 50)
    assert "every = 10 takes as many" in err
    assert "for these examples alone" in flat(text)
    assert words in flat(text)
    attack = tmp_path / "attack"
    plain = ("--attack", "gaussian-noise", "--noise", "none", "--limit", 4)
    code, text, err = call("attack", *plain, *model, *data, "--out", attack)
    assert code == 0, err
    assert words in flat(text)
    assert "The numbers are about them alone" in flat(text)
    call("report", out, "--out", tmp_path / "report.html")
    page = flat((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "The numbers are about them alone, and the intervals do not cover the sampling of the subset" in page
    assert "The lower end bounds the share of these 4 examples" in page
    assert "covers both" not in page
    assert "covering alpha and the sampling" not in page


def test_steps_through_a_sorted_folder_are_one(call: Call, models: Path, sorted_folder: Path, tmp_path: Path) -> None:
    data = ("--data", f"images:{sorted_folder},mode=grey")
    code, text, err = call(
        "certify", "--model", models / "gaussian.safetensors", *data, "--out", tmp_path / "run", "--every", 10, *QUICK
    )
    assert code == 0, err
    assert "in the order of its classes" not in err
    assert "covering alpha and the sampling of the subset" in flat(text)


def test_a_random_sample_of_a_sorted_folder_is_one(
    call: Call, models: Path, sorted_folder: Path, tmp_path: Path
) -> None:
    data = ("--data", f"images:{sorted_folder},mode=grey")
    model, out = ("--model", models / "gaussian.safetensors"), tmp_path / "run"
    words = "6 of 40 test examples of images, drawn at random (seed 7)"
    (sorted_folder / "other").mkdir(exist_ok=True)
    code, text, err = call("certify", *model, *data, "--out", out, "--sample", "6:7", *QUICK)
    assert code == 0, err
    assert "in the order of its classes" not in err
    assert words in flat(text)
    assert "covering alpha and the sampling of the subset" in flat(text)
    entries = json.loads((out / "manifest.json").read_text())["data"]
    assert (entries["sample"], entries["sample_seed"], entries["every"], entries["limit"]) == (6, 7, 1, None)
    assert "1 folder beside those of the splits (other)" in entries["notes"][0]
    assert not any(str(tmp_path.parent) in note for note in entries["notes"])
    assert json.loads(call("info", out, "--json")[1])["subset"] == words
    # The same call goes on, another seed does not.
    assert call("certify", *model, *data, "--out", out, "--sample", "6:7", *QUICK)[0] == 0
    code, _, err = call("certify", *model, *data, "--out", out, "--sample", "6:8", *QUICK)
    assert code == 1
    assert "data.sample_seed: the run has 7, this call has 8" in flat(err)
    code, text, err = call("verify", out, *model, *data, "--replay", 2)
    assert "FAILED" not in text + err
    call("report", out, "--out", tmp_path / "report.html")
    page = flat((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert words in page
    assert "Decided by the data source" in page
    assert "1 folder beside those of the splits (other)" in page


def test_every_command_takes_a_random_sample(call: Call, models: Path, sorted_folder: Path, tmp_path: Path) -> None:
    data = ("--data", f"images:{sorted_folder},mode=grey")
    model = ("--model", models / "gaussian.safetensors")
    words = "4 of 40 test examples of images, drawn at random (seed 0)"
    _, text, err = call("predict", *model, *data, "--sample", 4, "--n", 50)
    assert words in flat(text), err
    out = tmp_path / "attack"
    plain = ("--attack", "gaussian-noise", "--noise", "none", "--sample", 4)
    code, text, err = call("attack", *plain, *model, *data, "--out", out)
    assert code == 0, err
    assert words in flat(text)
    assert call("verify", out)[0] == 0
    document = json.loads(call("plan", *model, *data, "--sample", 4, "--n", 100, "--json")[1])
    assert document["examples"] == 4
    document = json.loads(call("agree", *model, *data, "--sample", 4, "--n", 50, "--json")[1])
    assert document["examples"] == 4
    for command in (
        ("certify", "--out", tmp_path / "x"),
        ("predict",),
        ("plan",),
        ("agree",),
        ("attack", "--attack", "gaussian-noise", "--noise", "none", "--out", tmp_path / "y"),
    ):
        code, _, err = call(*command, *model, *data, "--sample", 4, "--every", 2)
        assert code == 2, command
        assert "a random sample of 4 takes the place of every = 2" in flat(err)
    assert not (tmp_path / "x").exists()


def test_an_attack_takes_a_part_of_the_runs_sample(call: Call, models: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "attack"
    model = ("--model", models / "gaussian.safetensors")
    assert call("certify", *model, "--out", run, "--sample", 6, *QUICK)[0] == 0
    attack = ("attack", run, *model, "--attack", "gaussian-noise", "--budget", "0.1", "--out", out)
    code, text, err = call(*attack, "--limit", 3)
    assert code == 0, err
    assert "3 of 360 test examples of digits, drawn at random (seed 0)" in flat(text)
    assert call("verify", out, "--run", run)[0] in (0, 4)
    code, _, err = call(*attack, "--sample", 3)
    assert code == 2
    assert "leave out the sample 3, or take some with a limit" in flat(err)


def test_an_older_run_on_a_sorted_folder_is_told_by_its_labels(call: Call, tmp_path: Path) -> None:
    log = tmp_path / "log.tsv"
    log.write_text(HEADER + "".join(f"{index}\t{index // 50}\t1\t0.1\t0\t1\n" for index in range(100)))
    options = ("--noise", "gaussian:sigma=0.25", "--n", 1000, "--alpha", 0.001, "--data-name", "imagenet")
    assert call("import-log", log, *options, "--out", tmp_path / "run")[0] == 0
    assert "(in class order: 2 of 1000 classes)" in flat(call("table", tmp_path / "run")[1])


def test_an_irregular_log_is_not_all_of_anything(call: Call, tmp_path: Path) -> None:
    """427 of 50,000 images were "all 427 test examples of imagenet"."""
    indices = np.sort(np.random.default_rng(1).choice(50_000, 427, replace=False))
    log, out = tmp_path / "log.tsv", tmp_path / "run"
    log.write_text(HEADER + "".join(f"{index}\t{7 * index % 1000}\t0\t0.1\t0\t1\n" for index in indices))
    options = ("--noise", "gaussian:sigma=0.25", "--n", 1000, "--alpha", 0.001, "--data-name", "imagenet")
    words = "427 test examples of imagenet, not a regular subset; the split has 50,000"
    code, text, _ = call("import-log", log, *options, "--out", out)
    assert code == 0
    assert words in flat(text)
    assert words in flat(call("table", out)[1])
    assert "only if its examples were drawn at random" in flat(call("table", out)[1])
    assert json.loads(call("table", out, "--json")[1])[0]["subset"] == words
    assert json.loads(call("info", out, "--json")[1])["subset"] == words
    call("report", out, "--out", tmp_path / "report.html")
    page = flat((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"Another tool claims: of {words}" in page
    assert "all 427" not in page
    assert "imagenet, test split, 50000 examples" in page
    assert call("verify", out, "--require", "claims")[0] == 0


def test_a_killed_run_is_not_all_of_its_subset(call: Call, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, _, err = call("certify", "--model", models / "gaussian.safetensors", "--out", out, "--every", 60, *QUICK)
    assert code == 0, err
    lines = (out / RECORDS).read_bytes().splitlines(keepends=True)
    (out / RECORDS).write_bytes(lines[0] + lines[1] + lines[4])
    (out / RESULTS).unlink()
    words = "3 so far of 6 of 360 test examples of digits, every 60th (not a regular part of them)"
    assert json.loads(call("info", out, "--json")[1])["subset"] == words
    assert words in flat(call("table", out)[1])


@pytest.mark.parametrize(
    ("line", "message"),
    [("50000\t1\t1\t0.1\t1\t1\n", "has 50,000 examples"), ("7\t1000\t1\t0.1\t0\t1\n", "has classes 0 to 999")],
)
def test_a_log_that_is_not_about_its_data_set_is_refused(call: Call, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "log.tsv").write_text(HEADER + line)
    options = ("--noise", "gaussian:sigma=0.25", "--n", 1000, "--alpha", 0.001, "--data-name", "imagenet")
    code, _, err = call("import-log", tmp_path / "log.tsv", *options, "--out", tmp_path / "run")
    assert code == 1
    assert message in err
