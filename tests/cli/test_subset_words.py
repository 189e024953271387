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
