"""`benchmarks/gpu.py`: steps in processes that are ended in time, results that outlast them, and the page.

Its smoke run, which does every line of every step, is in test_programs.py.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from holdfast.__main__ import app

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "docs" / "measurements" / "gpu.json"

with pytest.MonkeyPatch.context() as _patch:
    _patch.syspath_prepend(ROOT / "benchmarks")
    gpu = importlib.import_module("gpu")
    children, conditions, lacks, packed, page, plans, results, tests, waits, work = (
        importlib.import_module(f"common.card.{name}")
        for name in ("children", "conditions", "lacks", "packed", "page", "plan", "results", "tests", "waits", "work")
    )


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    return plans.Plan("cpu", True, 1, time.monotonic() + 60, str(tmp_path / "out"), str(tmp_path / "state"))


def begun(plan: Any) -> Any:
    made = results.Results(plan)
    made.begin_call()
    return made


# Steps in processes.

# A child as steps.py is one: it does the parts "digits-cnn" (which ends its process), "resnet20" (which takes
# forever), and the others.
CHILD = """
import os, sys, time
sys.path.insert(0, {benchmarks!r})
from common.card.plan import Outcome, Plan
from common.card.results import Results
plan, step, *tried = sys.argv[1:]
plan = Plan.of(plan)
results = Results(plan)
for part in plan.parts(step):
    if part in tried:
        continue
    results.begin(f"{{step}}/{{part}}")
    if part == {fatal!r}:
        print("the card fell off the bus", flush=True)
        os.kill(os.getpid(), 9)
    if part == {endless!r}:
        os.system("sleep 1000")
    results.record(f"{{step}}/{{part}}", Outcome({{"figure": 1}}))
"""


@pytest.fixture
def fake(plan: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def child(fatal: str = "", endless: str = "") -> None:
        script = tmp_path / "child.py"
        script.write_text(CHILD.format(benchmarks=str(ROOT / "benchmarks"), fatal=fatal, endless=endless))
        monkeypatch.setattr(gpu, "child", lambda plan, step: [sys.executable, str(script), plan.text(), step])

    Path(plan.out).mkdir()
    begun(plan)
    return child


def statuses(plan: Any, step: str) -> dict[str, str]:
    return {part: each["status"] for part, each in results.Results(plan).of_this_call(step).items()}


def test_a_part_that_ends_its_process_is_recorded_and_the_others_are_done(plan: Any, fake) -> None:
    fake(fatal="digits-cnn")
    gpu.do(plan, "votes")
    assert statuses(plan, "votes") == {
        "digits-cnn": "failed", "resnet20": "done", "partition": "done", "noises": "done"
    }  # fmt: skip
    reason = results.Results(plan).parts["votes/digits-cnn"]["reason"]
    assert reason == "its process ended with -9: the card fell off the bus"
    assert gpu.shown(plan, ["votes"], 0.0) == 1


def test_a_part_that_takes_forever_is_ended_in_time_with_what_it_started(plan: Any, fake) -> None:
    fake(endless="resnet20")
    start = time.monotonic()
    gpu.do(replace(plan, end=start + 3.0), "votes")
    assert time.monotonic() - start < 30
    assert statuses(plan, "votes") == {"digits-cnn": "done", "resnet20": "stopped"}
    assert gpu.shown(plan, ["votes"], 0.0) == 0
    assert json.loads((Path(plan.out) / "gpu.json").read_text())["parts"]["votes/digits-cnn"]["found"] == {"figure": 1}


def test_a_step_that_cannot_begin_says_why(plan: Any, fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "child", lambda plan, step: [sys.executable, "-c", "import no_such_package"])
    gpu.do(plan, "kill")
    assert statuses(plan, "kill") == {"certify": "failed"}
    assert "No module named 'no_such_package'" in results.Results(plan).parts["kill/certify"]["reason"]


def test_a_process_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """A grandchild in a session of its own, too."""
    script = tmp_path / "tree.py"
    script.write_text(
        textwrap.dedent(
            """
            import subprocess, sys, time
            one = subprocess.Popen(["sleep", "1000"])
            other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            print(one.pid, other.pid, flush=True)
            time.sleep(1000)
            """
        )
    )
    log = tmp_path / "log"
    with log.open("w") as output:
        process = children.started([sys.executable, str(script)], output)
        while not log.read_text().endswith("\n"):
            time.sleep(0.01)
        assert children.waited(process, time.monotonic() + 0.2) is None
    pids = [int(pid) for pid in log.read_text().split()]
    assert len(pids) == 2
    assert not any(children.is_running(pid) for pid in pids)


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    code = "import time; from common.card.children import end_with_parent; end_with_parent(); time.sleep(1000)"
    parent = f"""
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {code!r}])
print(child.pid, flush=True)
time.sleep(2)
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
    done = subprocess.run([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment)
    pid, end = int(done.stdout), time.monotonic() + 60
    while children.is_running(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not children.is_running(pid)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "got no OUT; --smoke makes its own"),
        (["--out", "x", "--device", "cpu"], "on a processor there is only --smoke"),
        (["--out", "x", "--steps", "tests,speeed"], "there is no step 'speeed'"),
        (["--out", "x", "--data", "cifar10"], "--data takes NAME=SPEC"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments])
    with pytest.raises(SystemExit):
        gpu.options()
    assert message in capsys.readouterr().err


# Results.


def test_results_of_earlier_calls_are_kept_where_a_call_has_no_figures(plan: Any) -> None:
    begun(plan).record("speed/resnet20", plans.Outcome({"figure": 1}), seconds=2.0)
    made = begun(plan)
    assert made.of_this_call("speed") == {}
    made.record("speed/resnet20", plans.Outcome({}, "stopped", "the time was up"))
    again = results.Results(plan)
    assert again.parts["speed/resnet20"]["found"] == {"figure": 1}
    assert again.of_this_call("speed")["resnet20"]["status"] == "stopped"
    made.record("speed/resnet20", plans.Outcome({"figure": 2}))
    assert results.Results(plan).parts["speed/resnet20"]["found"] == {"figure": 2}
    assert len(results.Results(plan).all["calls"]) == 2


def test_a_smoke_run_and_a_measurement_share_no_results(plan: Any) -> None:
    begun(plan).record("speed/resnet20", plans.Outcome({"figure": 1}))
    assert results.Results(replace(plan, smoke=False)).parts == {}


def test_a_broken_file_of_results_is_replaced(plan: Any) -> None:
    plan.results.parent.mkdir(parents=True)
    plan.results.write_text('{"format": 1, "parts"')
    assert results.Results(plan).parts == {}


def test_a_plan_is_the_same_in_another_process(plan: Any) -> None:
    full = replace(plan, data={"cifar10": "cifar10:/data,classes=10"}, only=("absent",), commit="abc")
    assert plans.Plan.of(full.text()) == full
    assert full.parts("work") == ("absent",)


# The state in a few files.


def test_a_packed_state_is_the_same_again(plan: Any, tmp_path: Path) -> None:
    state, out, again = Path(plan.state), tmp_path / "out", tmp_path / "again"
    begun(plan)
    (state / "work" / "run").mkdir(parents=True)
    (state / "work" / "run" / "records.jsonl").write_bytes(os.urandom(5_000))
    out.mkdir(exist_ok=True)
    (out / "state.part-999").write_bytes(b"old")
    made = packed.pack(state, out, part=2_000)
    assert len(made) > 3
    assert sorted(out.glob("state.part-*")) == made
    assert packed.unpack(out, again)
    files = [path.relative_to(state) for path in state.rglob("*") if path.is_file()]
    assert files
    assert all((again / path).read_bytes() == (state / path).read_bytes() for path in files)
    assert not packed.unpack(again, state)


@pytest.mark.parametrize("kind", ["above", "link"])
def test_a_packed_state_writes_nowhere_else(kind: str, tmp_path: Path) -> None:
    member = tarfile.TarInfo("../outside" if kind == "above" else "link")
    if kind == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(member, io.BytesIO())
    (tmp_path / "state.part-000").write_bytes(content.getvalue())
    with pytest.raises(ValueError, match="holds no state"):
        packed.unpack(tmp_path, tmp_path / "state")
    assert not (tmp_path / "outside").exists()


# What a machine lacks, and its conditions.


def test_what_is_missing_is_named_with_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"torch", "msgspec", "safetensors", "pytest", "pyarrow"} <= set(lacks.needed())
    assert lacks.words({}) == []
    absent = lambda name: name not in ("torch", "msgspec")  # noqa: E731
    monkeypatch.setattr(lacks, "_is_here", absent)
    text = "\n".join(lacks.words(lacks.missing()))
    assert "missing: msgspec (for everything)" in text
    assert "pip download --only-binary=:all:" in text
    assert "'torch' 'msgspec==" in text or "'msgspec==" in text
    assert "pip install --no-index" in text
    monkeypatch.setattr(lacks, "_is_here", lambda name: name != "msgspec")
    assert "--no-deps" in "\n".join(lacks.words(lacks.missing()))


def test_clocks_as_nvidia_smi_says_them() -> None:
    found = conditions.parsed_clocks("580.159.04, 1980, 1980, 3201, 412.07, 44\n580.1, 1, 1, 1, 1, 1\n")
    assert found["driver"] == "580.159.04"
    assert (found["sm_clock_mhz"], found["power_w"]) == ("1980", "412.07")
    assert "power_w" not in conditions.parsed_clocks("580.159.04, 1980, 1980, 3201, [N/A], 44\n")
    assert conditions.parsed_clocks("Failed to initialize NVML\n") == conditions.parsed_clocks("") == {}


def test_lines_that_wait_for_the_card_are_counted() -> None:
    def run() -> None:
        for _ in range(3):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally at x.cpp:1)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)

    ((place, count),) = waits.waits_of("cpu", run).items()
    assert place.startswith("benchmarks/test_gpu.py:")
    assert count == 3


# The tests of a card.


def test_every_file_with_cuda_tests_is_run() -> None:
    names = {Path(path).name for path in tests.files()}
    folder = {path.name for path in (ROOT / "tests" / "cuda").glob("test_*.py")}
    assert names == folder | {"test_python_killed.py"}
    marked = {
        path.name for path in (ROOT / "tests").rglob("test_*.py")
        if "mark.cuda" in path.read_text() or "ON_CUDA" in path.read_text()
    }  # fmt: skip
    assert marked - {Path(__file__).name} <= names


@pytest.mark.parametrize(
    ("lines", "code", "status"),
    [
        ([("a", "passed")], 0, "done"),
        ([("a", "passed"), ("b", "failed")], 1, "failed"),
        ([("a", "passed")], None, "stopped"),
        ([("a", "skipped")], 0, "failed"),
        ([], 4, "failed"),
        ([], None, "stopped"),
    ],
)
def test_what_a_run_of_the_tests_means(lines: list[tuple[str, str]], code: int | None, status: str) -> None:
    found: list[dict[str, Any]] = [{"collected": 2}] if lines else []
    found += [{"test": name, "outcome": outcome, "seconds": 1.0, "words": ""} for name, outcome in lines]
    assert tests.judged(found, code, "said").status == status


# Work that goes on from call to call.


@pytest.mark.parametrize("name", work.TASKS)
def test_the_commands_of_a_task_are_understood(name: str, plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program: Any = get_command(app)
    seen = []

    def called(command: tuple[str, ...], folder: Path, limit: float) -> tuple[int, str, float]:
        with program.make_context("holdfast", list(command), resilient_parsing=False) as context:
            sub = program.commands[command[0]]
            with sub.make_context(command[0], list(command[1:]), parent=context) as inner:
                seen.append(inner.command.name)
        return (0, "", 1.0) if command[0] != "verify" else (1, "stop here", 1.0)

    monkeypatch.setattr(work, "_called", called)
    task = replace(work.TASKS[name], data="")
    outcome = work.trained_and_certified(plan, name, task, "digits", time.monotonic() + 60)
    assert seen == ["train", "certify", "verify"]
    assert outcome.status == "failed"
    assert outcome.reason == "`holdfast verify` ended with 1: stop here"


def test_the_next_call_goes_on_with_the_command_that_was_ended(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, asked = work.TASKS["digits-consistency"], []
    codes = iter([0, None, 0, 0])

    def called(command: tuple[str, ...], folder: Path, limit: float) -> tuple[int | None, str, float]:
        asked.append(command[0])
        return next(codes), "", 2.0

    monkeypatch.setattr(work, "_called", called)
    monkeypatch.setattr(work, "_figures", lambda run, task: {"images": 4})
    first = work.trained_and_certified(plan, "digits-consistency", task, "digits", time.monotonic() + 60)
    assert (first.status, first.reason) == ("unfinished", "the next call goes on with `holdfast certify`")
    second = work.trained_and_certified(plan, "digits-consistency", task, "digits", time.monotonic() + 60)
    assert asked == ["train", "certify", "certify", "verify"]
    assert second.status == "done"
    assert second.found["seconds_of"] == {"train": 2.0, "certify": 4.0, "verify": 2.0}


def test_the_epoch_of_a_checkpoint_is_read_from_its_header(plan: Any, tmp_path: Path) -> None:
    task = replace(work.TASKS["digits-stopped"], most=None)
    for seconds in (30.0, 60.0):
        end = time.monotonic() + seconds
        outcome = work.trained_and_certified(plan, "digits-stopped", task, "digits", end)
        assert outcome.status == "unfinished", outcome.reason
        if outcome.found["epochs"]:
            break
    assert outcome.found["epochs"] >= 1


def test_work_without_its_data_is_skipped(plan: Any) -> None:
    outcome = work.further_work(plan, "cifar10-ablation", time.monotonic() + 60)
    assert (outcome.status, outcome.reason) == ("skipped", "no data: give --data cifar10=SPEC")
    with pytest.raises(ValueError, match="there is no work 'nonsense'"):
        work.further_work(plan, "nonsense", time.monotonic() + 60)


# The page.


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = {number for number, row in enumerate(cells) if set("".join(row)) == {"-"}}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def test_as_long_as_nobody_has_measured_every_row_says_so() -> None:
    found = rows(page.page({}))
    assert len(found) > 60
    assert all(page.NOT_MEASURED in row for row in found)
    text = page.page({})
    assert all(name in text for name in (*plans.NETWORKS, *plans.WORK))


def test_the_page_in_the_documentation_is_made_from_the_results() -> None:
    assert (ROOT / "docs" / "measurements" / "gpu.md").read_text(encoding="utf-8") == page.page_of(MEASURED)
    if MEASURED.is_file():
        assert json.loads(MEASURED.read_text(encoding="utf-8"))["smoke"] is False


def test_a_figure_replaces_its_row_and_failures_are_shown_with_their_traceback() -> None:
    about = {"card": "NVIDIA X", "torch": "2.11", "driver": "580", "date": "2026-11-30", "commit": "0123456789abcdef"}
    row = {
        "backend": "torch", "precision": "float32", "batch": 512, "samples_per_second": 1234.0, "times_plain": 2.0,
        "times_plain_range": [1.9, 2.1], "times_plain_tf32": 1.5, "of_ceiling": 0.5, "waiting_costs": 1.25,
        "waits_a_batch": 3.0,
        "shares": {"noise": 0.1, "forward": 0.7, "count": 0.15, "near ties": 0.05},
    }  # fmt: skip
    speed = {
        "noise": "gaussian", "loops": {kind: {"samples_per_second": 600.0} for kind in ("plain", "plain_tf32")},
        "rows": [row, {"precision": "int8", "reason": "none | at all"}],
        "ceilings": {"float32": {"size": 8192, "flop_per_second": 5e13}, "fp8": {"reason": "no"}},
    }  # fmt: skip
    parts = {
        "speed/resnet20": {"status": "done", "found": speed, "seconds": 1.0, "conditions": about, "reason": ""},
        "kill/certify": {"status": "failed", "found": {}, "reason": "Traceback\nValueError: x | y"},
    }
    text = page.page({"smoke": False, "parts": parts})
    found = rows(text)
    (measured,) = [each for each in found if each[1:4] == ["torch", "float32", "1,234"]]
    assert measured[4:] == ["2.00 (1.90 to 2.10)", "1.50", "50%", "10%", "70%", "15%", "5%", "1.25", "3.0", "512"]
    assert ["resnet20", "float32", "50.00", "8,192"] in found
    assert any(each[:3] == ["", "", "int8"] and each[3] == "not measured: none / at all" for each in found)
    assert any(each[:2] == ["speed/resnet20", "NVIDIA X"] and "0123456789ab" in each for each in found)
    assert "### kill/certify failed\n\n```\nTraceback\nValueError: x | y\n```" in text
    assert any(each[0] == "certify" and each[1].startswith("not measured: failed") for each in found)
    assert page.page({"smoke": True, "parts": {}}).startswith("**A smoke run")


# The table of speed.


def test_an_error_in_one_row_leaves_the_others(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    speed = importlib.import_module("common.card.speed")
    honest = speed._Bench.engine_speed

    def broken(bench: Any, row: Any) -> float:
        if (row.backend, row.precision) == ("torch", "bfloat16"):
            raise RuntimeError("it answers differently")
        return float(honest(bench, row))

    monkeypatch.setattr(speed._Bench, "engine_speed", broken)
    monkeypatch.setattr(speed._Bench, "shares", lambda bench, row: 1 / 0)
    outcome = speed.network_speed(plan, "digits-cnn", time.monotonic() + 600)
    assert outcome.status == "done"
    found = {(row.get("backend"), row["precision"]): row for row in outcome.found["rows"]}
    assert "it answers differently" in found.pop(("torch", "bfloat16"))["reason"]
    assert found[None, "int8"]["reason"] == "no backend computes int8 on a card"
    measured = [row for row in found.values() if "reason" not in row]
    assert len(measured) == 3
    assert all(row["samples_per_second"] > 0 and "ZeroDivisionError" in row["shares_reason"] for row in measured)
    text = page.page({"smoke": True, "parts": {"speed/digits-cnn": {"status": "done", "found": outcome.found}}})
    assert "not measured: RuntimeError: it answers differently" in text
