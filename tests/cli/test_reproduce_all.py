"""`holdfast reproduce --all`: every study that the data allow, whatever becomes of the others, and one index."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from program import Call

from holdfast.errors import RunError
from holdfast.folders import Below
from holdfast.reproductions import find_study, models, studies
from holdfast.reproductions.base import Study
from holdfast.reproductions.index import Entry, Index, html, markdown
from holdfast.reproductions.records import DONE, FAILED, Job, Record, read_record, write_record
from holdfast.store.run import read_run
from holdfast.workflows import study_jobs

CHOSEN = ("cohen-bounds", "cohen-imagenet", "levine-mnist")
# In a process of its own, with two epochs.
PROGRAM = (
    "from holdfast.workflows import study_jobs; from holdfast.cli.main import main; "
    "from holdfast.reproductions import find_study, models; models._MNIST_EPOCHS['smoke'] = 2; "
    f"study_jobs.studies = lambda: [find_study(name) for name in {CHOSEN}]; main()"
)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(models._MNIST_EPOCHS, "smoke", 2)
    monkeypatch.setattr(study_jobs, "studies", lambda: [find_study(name) for name in CHOSEN])
    return


def arguments(data: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("reproduce", "--all", "--data", f"mnist:{data}", "--scale", "smoke", "--out", out, *more)


def broken(*_: object) -> None:
    raise RunError("the disk <b>burns</b>")


def test_every_study_runs_and_a_failing_one_does_not_stop_the_others(
    call: Call, mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = replace(find_study("cohen-bounds"), page=broken)
    with monkeypatch.context() as patch:
        patch.setattr(study_jobs, "studies", lambda: [failing, *map(find_study, CHOSEN[1:])])
        code, out, err = call(*arguments(mnist, tmp_path, "--json"))
    assert code == 1
    assert "cohen-bounds failed: the disk <b>burns</b>" in err
    first = json.loads(out)
    found = {each["name"]: each for each in first["studies"]}
    assert {name: each["status"] for name, each in found.items()} == {
        "cohen-bounds": "failed",
        "cohen-imagenet": "not run",
        "levine-mnist": "done",
    }
    assert found["cohen-imagenet"]["why"].startswith("not run: needs imagenet")
    assert found["levine-mnist"]["pages"] == ["levine-mnist.html", "levine-mnist.md"]
    assert all((tmp_path / page).is_file() for page in found["levine-mnist"]["pages"])
    shown = (tmp_path / "index.html").read_text()
    assert "failed: the disk &lt;b&gt;burns&lt;/b&gt;" in shown
    assert 'href="levine-mnist.html"' in shown
    assert 'href="cohen-bounds.html"' not in shown

    # Again: the one that failed is done, and nothing else is done a second time.
    monkeypatch.setattr("holdfast.workflows.study_models._train", None)
    monkeypatch.setattr("holdfast.workflows.reproduce.certify_into", None)
    code, out, err = call(*arguments(mnist, tmp_path, "--json"))
    assert code == 0, err
    again = {each["name"]: each for each in json.loads(out)["studies"]}
    assert again["cohen-bounds"]["statements"] == {"held": 1, "not_held": 0, "not_judged": 0}
    assert again["levine-mnist"]["statements"] == found["levine-mnist"]["statements"]
    assert again["levine-mnist"]["seconds"] > found["levine-mnist"]["seconds"] > 0
    assert "[page](levine-mnist.html)" in (tmp_path / "index.md").read_text()


def test_a_fault_of_the_program_is_told_with_its_trace_and_the_others_go_on(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object) -> None:
        raise ZeroDivisionError("oh")

    failing = replace(find_study("cohen-bounds"), page=faulty)
    monkeypatch.setattr(study_jobs, "studies", lambda: [failing, find_study("levine-delta")])
    code, out, err = call("reproduce", "--all", "--scale", "smoke", "--out", tmp_path)
    assert code == 1
    assert "cohen-bounds failed: ZeroDivisionError: oh" in err
    assert "Traceback" in err
    assert "1 of 2 are done, 1 failed" in out


def begun(mnist: Path, out: Path) -> subprocess.Popen[bytes]:
    """A process that has trained its first network."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments(mnist, out, "--quiet"))]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while not (out / "models" / "mnist-k15.safetensors").exists() and process.poll() is None:
        time.sleep(0.02)
    return process


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_at_any_time_the_same_command_goes_on(
    call: Call, mnist: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    process = begun(mnist, tmp_path)
    os.kill(process.pid, sign)
    err = process.communicate()[1].decode()
    assert "Run the same command again to continue" in err or sign == signal.SIGKILL
    record = read_record(Below(tmp_path), "levine-mnist")
    assert record is not None
    assert record.status == ("started" if sign == signal.SIGKILL else "interrupted")
    index = (tmp_path / "index.md").read_text()
    assert "repeat the command to go on" in index
    assert "[page](cohen-bounds.html)" in index
    first = tmp_path / "models" / "mnist-k15.safetensors"
    before = first.stat().st_mtime_ns
    assert call(*arguments(mnist, tmp_path, "--quiet"))[0] == 0
    assert first.stat().st_mtime_ns == before
    assert read_run(tmp_path / "runs" / "mnist-k15").missing == 0
    assert "repeat the command" not in (tmp_path / "index.md").read_text()


def test_calls_that_cannot_be_right_are_refused(call: Call, mnist: Path, tmp_path: Path) -> None:
    data = f"mnist:{mnist}"
    calls = {
        ("--all", "levine-mnist"): "--all reproduces every table, and levine-mnist is one",
        ("levine-mnist", "--data", data, "--data", data): "levine-mnist takes one data set, got 2",
        ("--data", data): "--data needs the name of a table, or --all",
        ("--all", "--data", data, "--data", f"{data},levels=2"): "are both mnist; give each kind of data once",
        ("--all", "--data", "digits"): "no study takes the data digits: its inputs have the shape (1, 8, 8)",
        ("--all", "--scale", "tiny"): "the scale must be one of smoke, small, full, got 'tiny'",
    }
    for call_of, message in calls.items():
        code, _, err = call("reproduce", *call_of, "--out", tmp_path)
        assert (code, message in err) == (2, True), err
    assert not list(tmp_path.iterdir())


def test_a_folder_has_one_scale(call: Call, tmp_path: Path) -> None:
    write_record(Below(tmp_path), Record("cohen-bounds", "full"))
    code, _, err = call("reproduce", "--all", "--scale", "smoke", "--out", tmp_path)
    assert code == 1
    assert "holds cohen-bounds at scale full, this call asks for smoke" in err


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"stem": "other"}',
        "whole",
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    write_record(Below(tmp_path), Record("x", "small"))
    file = tmp_path / "studies" / "x.json"
    if content == "whole":
        content = file.read_text().replace('"thumbnail": ""', '"thumbnail": "https://example.org/p.png"')
    file.write_text(content)
    with pytest.raises(RunError, match="is not a record of a study"):
        read_record(Below(tmp_path), "x")


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    said = (("a <b>", True), ("c", False), ("d", None))
    record = Record("x", "small", "mnist:D", DONE, 61.5, 70.25, "title", "warning", said)
    write_record(Below(tmp_path), record)
    assert read_record(Below(tmp_path), "x") == record
    assert [record.counted(each) for each in (True, False, None)] == [1, 1, 1]
    assert read_record(Below(tmp_path), "y") is None


def test_a_study_of_several_kinds_has_a_page_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    every = studies()
    monkeypatch.setattr(study_jobs, "studies", lambda: every)
    jobs = study_jobs.jobs_for({"mnist": "mnist:M", "cifar10": "cifar10:C"})
    stems = [job.stem for job in jobs]
    assert len(set(stems)) == len(stems)
    assert {job.stem for job in jobs if job.study.name == "madry"} == {"madry-mnist", "madry-cifar10"}
    assert {job.stem for job in jobs if job.study.name == "levine-mnist"} == {"levine-mnist"}
    assert {(job.study.name, job.spec) for job in jobs if job.study.name == "levine-imagenet"} == {
        ("levine-imagenet", None)
    }
    assert {job.study.name for job in jobs} == {study.name for study in every}


def test_the_index_is_whole_loads_nothing_and_says_how_each_study_ended() -> None:
    study: Study = find_study("levine-mnist")
    wrong = Record("levine-mnist", "small", None, DONE, 90.0, 150.0, "T", "", (("k | <i>", False), ("m", True)))
    failed = Record("cohen-bounds", "small", None, FAILED, 6.0, 6.0, error="no *memory*")
    entries = (
        Entry(study, "mnist", wrong, "levine-mnist"),
        Entry(find_study("cohen-bounds"), None, failed, "cohen-bounds"),
        Entry(find_study("madry"), None, None, "madry"),
    )
    index = Index("small", "holdfast reproduce --all", entries, {"mnist": "mnist:D"})
    assert "1 of 3 are done, 1 failed, 1 were not run or not finished" in index.summary
    assert "Of 2 statements 1 hold, 1 do not hold" in index.summary
    page, text = html(index), markdown(index)
    assert not re.search(r"(src|href)=\"https?:", page)
    assert "k | &lt;i&gt;" in page
    assert "k \\| \\<i\\>" in text
    assert "no \\*memory\\*" in text
    assert "1.5" in text
    assert "2.5" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert entries[2].status.startswith("not run: needs mnist or cifar10")
    assert Job(study, "mnist", "mnist:D").stem == "levine-mnist"
