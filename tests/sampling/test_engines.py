"""Several processes: the records of the local engine, whatever happens to a worker or to the driver."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from engine_cases import (
    CLASSES,
    NOISE,
    PATIENCE,
    PROCEDURE,
    Deadly,
    Real,
    Seen,
    Stillborn,
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
from holdfast.cli.specs import parse_engine
from holdfast.errors import ClassifierError, HoldfastError, RunError, UsageError
from holdfast.estimators import FixedSize, Looks, scale_of
from holdfast.noises.gaussian import Gaussian
from holdfast.runs.store import RECORDS, read_run
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import FactoryRecipe
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.processes import ProcessesEngine
from holdfast.sampling.procedure import Votes
from holdfast.types import Example

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
    recipe = Seen(tmp_path)
    stopped_at: list[int] = []

    def until_both_have_happened() -> Iterator[Example]:
        for index in count():
            if stopped_at and index > stopped_at[0] + 20:
                return
            yield from examples([index])

    votes: dict[int, Votes] = {}
    first = second = 0
    for example, each in TWO.run(recipe, NOISE, PROCEDURE, 9, until_both_have_happened()):
        votes[example.index] = each
        known = recipe.workers()
        if not first and len(known) == 2:
            first, second = known
            os.kill(first, signal.SIGKILL)
        elif len(known) == 3 and not stopped_at:
            # It never answers again, and never ends: what it has in hand is computed by another one, too.
            os.kill(second, signal.SIGSTOP)
            stopped_at.append(max(votes))
    assert votes == expected(len(votes))
    wait_until(lambda: not any(map(alive, recipe.workers())))


def test_samples_are_counted(tmp_path: Path) -> None:
    counted: list[int] = []
    made = TWO.run(VotingClassifier(vote, CLASSES), NOISE, PROCEDURE, 9, examples(range(30)), counted.append)
    assert collected(made) == expected()
    assert sum(counted) >= 30 * 630


def test_an_example_that_ends_every_worker_is_named() -> None:
    deadly = Example(7, next(examples([7])).x + 100.0, 0)
    made = [deadly if each.index == 7 else each for each in examples(range(12))]
    results = TWO.run(Deadly(), NOISE, PROCEDURE, 9, made)
    with pytest.raises(HoldfastError, match=r"3 workers were lost while they computed example 7, .*SIGKILL"):
        collected(results)


def test_workers_that_never_get_ready_are_an_error() -> None:
    with pytest.raises(HoldfastError, match=r"3 workers in a row were lost before they were ready \(.*exit code 3"):
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
        collected(drawn(ProcessesEngine(1), real.recipe(torch="1.0")))


def test_other_code_is_refused(real: Real) -> None:
    recipe = replace(real.recipe(), code={"holdfast.sampling.rng": "0" * 64})
    with pytest.raises(RunError, match=r"a worker has other code than the driver in holdfast\.sampling\.rng"):
        collected(drawn(ProcessesEngine(1), recipe))


def test_a_backend_that_is_another_on_the_worker_is_refused(real: Real) -> None:
    recipe = replace(real.recipe(), described={"name": "torch", "version": "1.0"})
    with pytest.raises(RunError, match=r"base classifier on a worker: version is .* there and 1.0 at the driver"):
        recipe.build(torch.device("cpu"))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda sent: sent.name)
def test_workers_end_with_their_driver_and_the_run_goes_on(tmp_path: Path, real: Real, sent: signal.Signals) -> None:
    # Where the tests run in the background, a shell has had them ignore interrupts, and so would the program.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; from holdfast.cli.main import main; main()"
    command = [sys.executable, "-c", program, "certify", "--model", real.model]
    command += ["--out", tmp_path / "run", "--every", "20", "--n", "400000", "--seed", "3", "--quiet"]
    driver = subprocess.Popen(
        [*map(str, command), "--engine", "processes:2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: (tmp_path / "run" / RECORDS).exists() and bool(read_run(tmp_path / "run").records))
    workers = children(driver.pid)
    assert len(workers) >= 2
    driver.send_signal(sent)
    _, said = driver.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(map(alive, workers)))
    if sent is signal.SIGINT:
        assert "Interrupted. What is finished is on the disk" in said
        assert "Traceback" not in said
    kept = read_run(tmp_path / "run").records
    assert 0 < len(kept) < 18, "the driver should have been ended at work"


def test_what_cannot_be_sent_is_refused_with_a_way_out() -> None:
    with pytest.raises(UsageError, match=r"cannot be sent to other processes .* FactoryRecipe"):
        collected(drawn(TWO, VotingClassifier(lambda z: vote(z), CLASSES)))


def test_the_smoothed_classifier_takes_an_engine() -> None:
    inputs = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(2))
    here = hf.SmoothedClassifier(vote, Gaussian(0.5), CLASSES).certify(inputs, n=500, alpha=0.01, seed=3)
    recipe = FactoryRecipe(make_vote, CLASSES)
    there = hf.SmoothedClassifier(recipe, Gaussian(0.5), CLASSES, engine=TWO)
    assert there.certify(inputs, n=500, alpha=0.01, seed=3) == here


def make_vote() -> object:
    return vote


@pytest.mark.parametrize(
    ("spec", "address", "message"),
    [
        ("threads:2", None, "an engine is local, processes:N"),
        ("processes", None, "an engine is local, processes:N"),
        ("processes:0", None, "an engine is local, processes:N"),
        ("local:2", None, "an engine is local, processes:N"),
        ("processes:2", "auto", "--ray-address belongs to --engine ray"),
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
    """The processes that a process has started."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in found.stdout.split()]
