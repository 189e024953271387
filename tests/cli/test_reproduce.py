"""`holdfast reproduce`, from data to a page: what is reused, what is gone on with, and what is refused."""

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from program import Call

from holdfast.errors import RunError
from holdfast.folders import Below
from holdfast.outputs import alone_at
from holdfast.reproductions import base, levine_imagenet, models
from holdfast.store.run import RECORDS, read_run
from holdfast.workflows import study_models
from holdfast.workflows.observer import Observer
from holdfast.workflows.reproduce import _SMOKE_BATCH

MODELS = ("mnist-k15", "mnist-k45", "mnist-k45-mean")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two epochs."""
    monkeypatch.setitem(models._MNIST_EPOCHS, "smoke", 2)
    return


def arguments(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("reproduce", "levine-mnist", "--data", f"mnist:{data}", "--scale", "smoke", "--out", out, "--quiet", *more)


def test_from_data_to_a_page_and_again_without_work(
    call: Call, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = call(*arguments(mnist, tmp_path / "out"))
    assert code == 0, err
    assert "Table 1: pixels kept" in out
    assert "mnist-cnn, 2 epochs on 20 images; 2 of 1,000 test images" in " ".join(out.split())
    page = (tmp_path / "out" / "levine-mnist.md").read_text()
    assert "| accuracy | 96.72% |" in page
    assert "](levine-mnist-curves.svg)" in page
    assert (tmp_path / "out" / "levine-mnist-curves.svg").read_text().startswith("<svg")
    written = (tmp_path / "out" / "levine-mnist.html").read_text()
    assert "same votes, split" in written
    assert str(tmp_path / "out") in written, "the command that makes it anew"
    for name in MODELS:
        run = read_run(tmp_path / "out" / "runs" / name)
        assert (run.missing, len(run.records)) == (0, 2)
        assert run.manifest.estimator == {"name": "fixed", "n": 500, "alpha": 0.05, "method": "cohen"}

    # Nothing is trained or certified a second time, not even by another version of the libraries.
    monkeypatch.setattr(study_models, "_train", None)
    monkeypatch.setattr("holdfast.workflows.reproduce.certify_into", None)
    monkeypatch.setattr("holdfast.execution.certify.installed_versions", lambda: {"torch": "9"})
    code, again, err = call(*arguments(mnist, tmp_path / "out"), "--json")
    assert code == 0, err
    found = json.loads(again)
    assert found["name"] == "levine-mnist"
    (row,) = (
        row
        for table in found["tables"]
        for row in table["rows"]
        if (row["group"], row["quantity"]) == ("k = 15", "accuracy")
    )
    assert row["published"] == {"value": 86.09, "unit": "%", "source": "Levine & Feizi 2020, Table 1"}
    assert set(row["found"]["here"]) == {"value", "unit", "lower", "upper"}
    assert row["settings"].startswith("mnist-cnn, 2 epochs on 20 images")


def test_workers_train_side_by_side_and_leave_the_same_models(call: Call, mnist: Path, tmp_path: Path) -> None:
    """Processes of their own have their own module: two epochs are told to them with the job."""
    assert call(*arguments(mnist, tmp_path / "one"))[0] == 0
    code, _, err = call(*arguments(mnist, tmp_path / "two", "--workers", 2))
    assert code == 0, err
    for name in MODELS:
        first, second = (
            study_models.describe_bundle(tmp_path / o / "models" / f"{name}.safetensors") for o in ("one", "two")
        )
        assert first == second


def test_a_failure_in_another_process_names_the_model(mnist: Path, tmp_path: Path) -> None:
    splits = study_models.Splits(f"mnist:{mnist}")
    place = study_models.Workspace(Below(tmp_path), "cpu", 1, 2)
    good = models.mnist("smoke", "ablation:k=15", "k15")
    wrong = replace(good, name="too-many", noise="ablation:k=785")
    with pytest.raises(RunError, match=r"training (too-many|as-wrong): .*785"):
        study_models.train_all([wrong, replace(wrong, name="as-wrong")], splits, place)


def test_a_process_that_dies_is_noticed(mnist: Path, tmp_path: Path) -> None:
    splits, place = study_models.Splits(f"mnist:{mnist}"), study_models.Workspace(Below(tmp_path), "cpu", 1, 2)
    job = study_models._job(models.mnist("smoke", "ablation:k=15", "k15"), splits, place)
    here, there = multiprocessing.Pipe()
    there.send(("progress", None))
    assert study_models._heard(here, job, None, Observer())
    there.close()
    with pytest.raises(RunError, match="the process that trained mnist-k15 died"):
        study_models._heard(here, job, None, Observer())


def test_killed_at_any_time_the_same_command_goes_on(call: Call, mnist: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = "from holdfast.cli.main import main; from holdfast.reproductions import models; "
    program += "models._MNIST_EPOCHS['smoke'] = 2; main()"
    command = [sys.executable, "-c", program, *map(str, arguments(mnist, out))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = out / "models" / f"{MODELS[0]}.safetensors"
    while not first.exists() and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "levine-mnist.md").exists()
    before = first.stat().st_mtime_ns
    assert call(*arguments(mnist, out))[0] == 0
    assert first.stat().st_mtime_ns == before
    # A run that lost its last records gets them again, the same ones.
    records = out / "runs" / MODELS[0] / RECORDS
    whole = read_run(records.parent).records
    text = records.read_bytes()
    records.write_bytes(text[: len(text) // 2])
    assert call(*arguments(mnist, out))[0] == 0
    assert read_run(records.parent).records == whole


def test_other_settings_in_the_same_folder_are_refused_with_the_difference(
    call: Call, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert call(*arguments(mnist, out))[0] == 0
    monkeypatch.setitem(models._MNIST_EPOCHS, "smoke", 3)
    code, _, err = call(*arguments(mnist, out))
    assert code == 1
    assert "comes from another training: epochs: found 2, this call asks for 3" in err
    assert "Choose another folder" in err
    monkeypatch.setitem(models._MNIST_EPOCHS, "smoke", 2)
    monkeypatch.setattr(
        "holdfast.reproductions.levine_mnist.mnist_run",
        lambda scale, model: replace(models.mnist_run(scale, model), n=600),
    )
    study = base.find_study("levine-mnist")
    assert study.plan("smoke", "mnist").runs[0].n == 600
    code, _, err = call(*arguments(mnist, out))
    assert code == 1
    assert "is a run with other settings: n: found 500, this call asks for 600" in err


def test_other_data_are_refused(call: Call, mnist: Path, tmp_path: Path) -> None:
    assert call(*arguments(mnist, tmp_path / "out"))[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    for file in mnist.iterdir():
        content = gzip.decompress(file.read_bytes())
        (other / file.name).write_bytes(gzip.compress(content[:-1] + bytes([content[-1] ^ 1])))
    code, _, err = call(*arguments(other, tmp_path / "out"))
    assert code == 1
    assert "is a run with other settings: images: found" in err, "the last test image is another one"


def test_imported_weights_take_the_place_of_a_training(
    call: Call, mnist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from holdfast.models.bundle import load_bundle, save_bundle

    out = tmp_path / "out"
    assert call(*arguments(mnist, out))[0] == 0
    file = out / "models" / "mnist-k45.safetensors"
    bundle = load_bundle(file)
    save_bundle(file, replace(bundle.info, training={"recipe": "imported", "file": "theirs.pth"}), bundle.module)
    code, _, err = call(*arguments(mnist, out))
    assert code == 1
    assert "mnist-k45.safetensors has imported weights" in err
    assert "model: found" in err, "the run is of the old weights"


def test_a_model_is_trained_by_one_process_at_a_time(call: Call, mnist: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    file = out / "models" / "mnist-k15.safetensors"
    with alone_at(file, f"is training {file}"):
        code, _, err = call(*arguments(mnist, out))
    assert code == 1
    assert f"another process (process {os.getpid()}) is training" in err
    assert not list(file.parent.glob(".*lock"))


def test_without_data_equations_are_computed_and_the_rest_is_named(call: Call, tmp_path: Path) -> None:
    code, out, err = call("reproduce", "levine-lee", "--out", tmp_path / "out")
    assert code == 0
    assert "14,521" in out
    assert "Without --data levine-lee computes its equations only" in err
    code, out, err = call("reproduce", "levine-delta", "--data", "mnist:NOWHERE", "--out", tmp_path / "out")
    assert code == 0
    assert "levine-delta needs no data; --data is not used" in err
    assert (tmp_path / "out" / "levine-delta-figure-2.svg").is_file()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("levine",), "there is no study named 'levine'; the studies are athalye, "),
        (("levine-mnist",), "levine-mnist needs data: give --data mnist:DIR; Holdfast downloads nothing"),
        (
            ("levine-mnist", "--data", "digits"),
            "needs mnist, given as mnist:DIR; the data given are from the source 'digits', with inputs of shape",
        ),
        (("cohen-bounds", "--scale", "tiny"), "the scale must be one of smoke, small, full, got 'tiny'"),
    ],
)
def test_wrong_calls_say_what_was_expected(call: Call, tmp_path: Path, given: tuple[str, ...], message: str) -> None:
    code, _, err = call("reproduce", *given, "--out", tmp_path / "out")
    assert code == 2
    assert message in err


def test_missing_files_and_a_file_for_a_folder(call: Call, tmp_path: Path) -> None:
    code, _, err = call("reproduce", "levine-mnist", "--data", f"mnist:{tmp_path / 'none'}", "--out", tmp_path / "out")
    assert code == 1
    assert "looked in" in err
    assert "give the folder with MNIST's IDX files" in err
    (tmp_path / "file").write_text("")
    code, _, err = call("reproduce", "cohen-bounds", "--out", tmp_path / "file")
    assert code == 2
    assert "expected a folder" in err


def test_alone_it_lists_names_data_and_cost(call: Call) -> None:
    code, out, _ = call("reproduce")
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    for study in base.studies():
        assert f"\n{study.name}\n" in f"\n{out}"
        for cost in study.cost.values():
            assert cost in " ".join(out.split())
    listed = json.loads(call("reproduce", "--json")[1])
    assert [each["name"] for each in listed] == [study.name for study in base.studies()]


def photographs(folder: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    random = np.random.default_rng(8)
    for number in range(4):
        place = folder / "val" / f"n0000000{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        picture = random.integers(0, 256, (70, 70, 3), dtype=np.uint8)
        pillow.fromarray(picture).save(place / f"{number}.png")


def test_a_random_sample_is_certified_and_found_again(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs(tmp_path)
    monkeypatch.setitem(levine_imagenet._KEPT, "smoke", (500,))

    def sample(text: str) -> None:
        monkeypatch.setattr(
            levine_imagenet,
            "imagenet_ablation_run",
            lambda scale, model: replace(models.imagenet_ablation_run(scale, model), limit=None, sample=text),
        )

    command = ("reproduce", "levine-imagenet", "--data", f"imagenet:{tmp_path},size=64", "--scale", "smoke")
    command = (*command, "--out", tmp_path / "out", "--quiet")
    sample("3")
    code, out, err = call(*command)
    assert code == 0, err
    assert "3 of 4 test images (a random sample)" in " ".join(out.split())
    run = read_run(tmp_path / "out" / "runs" / "imagenet-k500")
    assert (run.manifest.data.sample, run.manifest.data.sample_seed, len(run.records)) == (3, 0, 3)
    assert call(*command)[0] == 0, "it is reused"
    sample("2:7")
    code, _, err = call(*command)
    assert code == 1
    assert "sample: found Sample(size=3, seed=0), this call asks for Sample(size=2, seed=7)" in " ".join(err.split())
    sample("9")
    code, _, err = call(*command)
    assert "this call asks for None" in " ".join(err.split()), "a sample of more images than there are is all of them"


def test_untrained_networks_for_photographs(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path)
    monkeypatch.setitem(levine_imagenet._KEPT, "smoke", (500, 2000))
    command = ("reproduce", "levine-imagenet", "--data", f"imagenet:{tmp_path},size=64", "--scale", "smoke")
    code, out, err = call(*command, "--out", tmp_path / "out", "--quiet")
    assert code == 0, err
    assert "Pipeline check, not a result" in out
    assert "k = 2000: resnet50, untrained; 1 of 4 test images" in " ".join(out.split())
    assert " diff" not in out
    assert _SMOKE_BATCH < 100
    assert err.count("the test split has 4 examples, 50,000 as published") == 1, "a warning is said once"
