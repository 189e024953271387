"""Several processes: the records of the local engine, whatever happens to a worker or to the driver."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_cases import (
    CLASSES,
    NOISE,
    PATIENCE,
    PROCEDURE,
    Alarmed,
    Deadly,
    Real,
    Seen,
    Stillborn,
    Talking,
    alive,
    collected,
    drawn,
    examples,
    expected,
    nan_vote,
    vote,
    wait_until,
)

import holdfast as hf
from holdfast.errors import ClassifierError, HoldfastError, RunError, UsageError
from holdfast.estimators import FixedSize, Looks, scale_of
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines import stopped, worker_process
from holdfast.sampling.engines.base import FunctionFactory
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.sampling.engines.stopped import Silence, Stopwatch
from holdfast.sampling.engines.worker import Failed
from holdfast.sampling.engines.worker_process import WorkerProcess
from holdfast.sampling.procedure import Votes
from holdfast.store.run import RECORDS, read_run
from holdfast.types import Example
from holdfast.workflows.specs import parse_engine

TWO = ProcessesEngine(2, batch_size=100)


def test_records_are_those_of_the_local_engine(tmp_path: Path, real: Real) -> None:
    fixed = FixedSize(700, 0.01)
    early = Looks(5000, 0.01, (0.1, 0.3), None, scale=scale_of(Gaussian(0.25), "cohen", (1, 8, 8)))
    for name, estimator, batch_size in (("fixed", fixed, 64), ("early", early, 1000), ("measured", early, None)):
        local = real.run(tmp_path / f"{name}-local", estimator, LocalEngine(batch_size=333))
        assert real.run(tmp_path / name, estimator, ProcessesEngine(2, batch_size=batch_size)) == local
    (session,) = read_run(tmp_path / "early").sessions
    assert session.settings == {"engine": "processes:2", "device": "cpu", "threads": 1, "batch_size": 1000}
    assert session.examples == 18


def test_killed_and_stopped_workers_change_nothing(tmp_path: Path) -> None:
    factory = Seen(tmp_path)
    stopped_at: list[int] = []

    def until_both_have_happened() -> Iterator[Example]:
        for index in count():
            if stopped_at and index > stopped_at[0] + 20:
                return
            yield from examples([index])

    known: list[int] = []

    def disturbed() -> Iterator[tuple[Example, Votes]]:
        for example, each in TWO.run(factory, NOISE, PROCEDURE, 9, until_both_have_happened()):
            yield example, each
            if not known and len(factory.workers()) == 2:
                known[:] = factory.workers()
                os.kill(known[0], signal.SIGKILL)
            elif len(factory.workers()) == 3 and not stopped_at:
                # It never answers again, and never ends: another worker computes its examples, too.
                os.kill(known[1], signal.SIGSTOP)
                stopped_at.append(example.index)

    with pytest.warns(RuntimeWarning, match="a worker was lost") as lost:
        votes = collected(disturbed())
    # If the remaining work takes long, the stopped worker is replaced, too.
    assert any(re.search(r"it was ended by SIGKILL \(.*memory runs out", str(each.message)) for each in lost)
    assert votes == expected(len(votes))
    wait_until(lambda: not any(map(alive, factory.workers())))


def test_all_workers_stopped_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopped, "STOPPED_SECONDS", 2.0)
    factory = Seen(tmp_path)
    votes: dict[int, Votes] = {}
    begun: list[float] = []

    def work() -> None:
        for example, each in TWO.run(factory, NOISE, PROCEDURE, 9, map(one, count())):
            votes[example.index] = each
            if len(factory.workers()) == 2 and not begun:
                for pid in factory.workers():
                    os.kill(pid, signal.SIGSTOP)
                begun.append(time.monotonic())

    with pytest.raises(HoldfastError, match="all 2 workers have been stopped, as by SIGSTOP") as raised:
        work()
    assert 2.0 <= time.monotonic() - begun[0] < PATIENCE
    assert "the same command goes on from there" in str(raised.value)
    assert votes == {index: each for index, each in expected(max(votes) + 1).items() if index in votes}
    wait_until(lambda: not any(map(alive, factory.workers())))


def test_a_stopped_worker_is_done_without_also_where_it_takes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model is larger than a pipe: sending it to a stopped worker would block for ever."""
    monkeypatch.setattr(stopped, "STOPPED_SECONDS", 1.0)
    started: list[int] = []
    start = WorkerProcess.__init__

    def stop_the_first(self: WorkerProcess, *arguments: Any) -> None:
        start(self, *arguments)
        if not started:
            os.kill(self._process.pid, signal.SIGSTOP)
        started.append(self._process.pid)

    monkeypatch.setattr(WorkerProcess, "__init__", stop_the_first)
    large = Seen(tmp_path, b"x" * 2**23)
    with pytest.warns(RuntimeWarning, match="a worker was lost: it was stopped, as by SIGSTOP"):
        votes = collected(TWO.run(large, NOISE, PROCEDURE, 9, some_until(lambda: len(started) > 2)))
    assert votes == expected(len(votes))
    assert not any(map(alive, started))


def test_a_worker_that_was_only_stopped_for_a_while_changes_nothing(tmp_path: Path) -> None:
    factory = Seen(tmp_path)
    votes: dict[int, Votes] = {}
    for example, each in TWO.run(factory, NOISE, PROCEDURE, 9, examples(range(60))):
        assert example.index not in votes
        votes[example.index] = each
        if len(votes) == 10:
            os.kill(factory.workers()[0], signal.SIGSTOP)
        if len(votes) == 30:
            os.kill(factory.workers()[0], signal.SIGCONT)
    assert votes == expected(60)


def test_what_workers_print_is_shown_with_their_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert collected(drawn(ProcessesEngine(1, batch_size=100), Talking(), 3)) == expected(3)
    printed = capfd.readouterr().err
    assert "worker 0: making it \\x1b[2J\n" in printed
    assert "\x1b" not in printed


def test_a_worker_that_dies_while_it_starts_leaves_its_last_words_and_no_traceback(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_process, "_PROGRAM", "import no_such_module")
    with (
        pytest.raises(HoldfastError, match=r"exit code 1; its last words: .*No module named 'no_such_module'"),
        pytest.warns(RuntimeWarning, match="a worker was lost"),
    ):
        collected(drawn(TWO, Seen(Path())))
    assert capfd.readouterr().err == ""


def test_memory_that_runs_out_in_a_worker_is_named() -> None:
    for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")):
        arrived = Failed.of(error).error()
        assert type(arrived) is HoldfastError
        assert str(arrived).startswith("a worker has not enough memory")
        assert "Use fewer workers or smaller batches" in str(arrived)


def test_warnings_of_workers_are_those_of_the_driver() -> None:
    with pytest.warns(RuntimeWarning, match="halved, say"):
        assert collected(drawn(ProcessesEngine(1, batch_size=100), Alarmed(), 2)) == expected(2)


def test_time_that_we_were_stopped_ourselves_does_not_count() -> None:
    now = [0.0]
    watch, silence = Stopwatch(lambda: now[0]), Silence(lambda: now[0])
    silence.heard(1)
    seen: list[tuple[dict[int, float], dict[int, float]]] = []
    for step in [*[1.0] * 29, 600.0, *[1.0] * 29]:
        now[0] += step
        seen.append((watch.late({1}), silence.late({1})))
    assert all(each == ({}, {}) for each in seen)
    now[0] += 1.0
    assert watch.late({1}) == {1: now[0]}
    assert watch.late(set()) == {}


def test_a_worker_elsewhere_that_is_silent_for_long_is_missed_and_one_that_often_is_is_not() -> None:
    now = [0.0]
    quick, slow = Silence(lambda: now[0]), Silence(lambda: now[0])
    slow.heard(1)
    for _ in range(20):
        now[0] += 1.0
        quick.heard(1)
        assert (quick.late({1}), slow.late({1})) == ({}, {})
    slow.heard(1)
    for _ in range(int(stopped.SILENT_SECONDS)):
        now[0] += 1.0
        assert (quick.late({1}), slow.late({1})) == ({}, {})
    due = now[0]
    now[0] += 1.0
    assert (quick.late({1}), slow.late({1})) == ({1: due}, {})
    assert [quick.heard_since(1, time) for time in (0.0, 20.0)] == [True, False]
    quick.heard(1)
    assert quick.heard_since(1, due)


def test_samples_are_counted(tmp_path: Path) -> None:
    counted: list[int] = []
    made = TWO.run(VotingClassifier(vote, CLASSES), NOISE, PROCEDURE, 9, examples(range(30)), counted.append)
    assert collected(made) == expected()
    assert sum(counted) >= 30 * 630


def test_an_example_that_ends_every_worker_is_named() -> None:
    deadly = Example(7, next(examples([7])).x + 100.0, 0)
    made = [deadly if each.index == 7 else each for each in examples(range(12))]
    results = TWO.run(Deadly(), NOISE, PROCEDURE, 9, made)
    with (
        pytest.raises(HoldfastError, match=r"3 workers were lost while they computed example 7, .*SIGKILL"),
        pytest.warns(RuntimeWarning, match="a worker was lost"),
    ):
        collected(results)


def test_workers_that_never_get_ready_are_an_error() -> None:
    with (
        pytest.raises(HoldfastError, match=r"3 workers in a row were lost before they were ready \(.*exit code 3"),
        pytest.warns(RuntimeWarning, match="exit code 3"),
    ):
        collected(drawn(TWO, Stillborn()))


def test_errors_of_workers_are_those_of_the_local_engine() -> None:
    classifier = VotingClassifier(nan_vote, CLASSES)
    messages = []
    for engine in (LocalEngine(batch_size=100), ProcessesEngine(1, batch_size=100)):
        with pytest.raises(ClassifierError, match="example 0") as caught:
            collected(drawn(engine, classifier))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_another_installation_is_refused(real: Real) -> None:
    with pytest.raises(RunError, match=f"torch is {torch.__version__.replace('+', '.')} there and 1.0 at the driver"):
        collected(drawn(ProcessesEngine(1), real.factory(torch="1.0")))


def test_other_code_is_refused(real: Real) -> None:
    factory = replace(real.factory(), code={"holdfast.sampling.rng": "0" * 64})
    with pytest.raises(RunError, match=r"a worker has other code than the driver in holdfast\.sampling\.rng"):
        collected(drawn(ProcessesEngine(1), factory))


def test_a_backend_that_is_another_on_the_worker_is_refused(real: Real) -> None:
    factory = replace(real.factory(), described={"name": "torch", "version": "1.0"})
    with pytest.raises(RunError, match=r"base classifier on a worker: version is .* there and 1.0 at the driver"):
        factory.build(torch.device("cpu"))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_workers_end_with_their_driver_and_the_run_goes_on(tmp_path: Path, real: Real, sent: signal.Signals) -> None:
    # A test run in the background ignores interrupts, and so would the program.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from holdfast.__main__ import main; main()"
    command = [sys.executable, "-c", program, "certify", "--model", real.model]
    command += ["--out", tmp_path / "run", "--every", "20", "--n", "400000", "--seed", "3", "--quiet"]
    driver = subprocess.Popen(
        [*map(str, command), "--engine", "processes:2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: (tmp_path / "run" / RECORDS).exists() and bool(read_run(tmp_path / "run").records))
    workers = children(driver.pid)
    assert len(workers) >= 2
    driver.send_signal(sent)
    _, printed = driver.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(map(alive, workers)))
    if sent is signal.SIGINT:
        assert "Interrupted. Finished work is on the disk" in printed
        assert "Traceback" not in printed
    kept = read_run(tmp_path / "run").records
    assert 0 < len(kept) < 18, "the driver should have been ended at work"


def test_what_cannot_be_sent_is_refused_with_a_way_out() -> None:
    with pytest.raises(UsageError, match=r"cannot be sent to other processes .* FunctionFactory"):
        collected(drawn(TWO, VotingClassifier(lambda z: vote(z), CLASSES)))


def test_the_smoothed_classifier_takes_an_engine() -> None:
    inputs = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    here = hf.SmoothedClassifier(vote, Gaussian(0.5), CLASSES).certify(inputs, n=500, alpha=0.01, seed=3)
    factory = FunctionFactory(make_vote, CLASSES)
    there = hf.SmoothedClassifier(factory, Gaussian(0.5), CLASSES, engine=TWO)
    assert there.certify(inputs, n=500, alpha=0.01, seed=3) == here


def some_until(reached: Callable[[], bool]) -> Iterator[Example]:
    for index in count():
        yield one(index)
        if reached():
            return


def one(index: int) -> Example:
    return next(examples([index]))


def make_vote() -> object:
    return vote


@pytest.mark.parametrize(
    ("spec", "address", "message"),
    [
        ("threads:2", None, "an engine is local, processes:N"),
        ("processes", None, "an engine is local, processes:N"),
        ("processes:0", None, "an engine is local, processes:N"),
        ("local:2", None, "an engine is local, processes:N"),
        ("processes:2", "auto", "an address of Ray belongs to the engine ray"),
    ],
)
def test_engines_that_do_not_exist_are_refused(spec: str, address: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_engine(spec, address, "cpu", None, 1)


def test_engines_are_named_on_the_command_line() -> None:
    assert parse_engine("local", None, "cpu", 64, 2) == LocalEngine("cpu", 64, 2)
    assert parse_engine("processes:3", None, "cpu", None, 1) == ProcessesEngine(3)
    with pytest.raises(UsageError, match="the number of processes is at least 1, a whole number; got 0"):
        ProcessesEngine(0)


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in found.stdout.split()]
