"""The fourth step: work is ended by kill -9 on the card, goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.card.children import finish, started
from common.card.plan import Outcome
from common.card.results import last_lines
from common.small import DATA, digits_model
from holdfast.models.bundle import load_bundle
from holdfast.store.run import VoteRecord, read_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.card.plan import Plan

_LOOK_SECONDS = 0.01


class _Program:
    """`holdfast` with the same arguments, as often as needed."""

    def __init__(self, end: float, log: Path, *arguments: object) -> None:
        self.end, self.log = end, log
        self.command = [sys.executable, "-m", "holdfast", *map(str, arguments)]

    def to_the_end(self) -> float:
        """Seconds of a whole call; RuntimeError if it fails."""
        start = time.monotonic()
        left = max(0.1, self.end - start)
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=left, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"{' '.join(self.command)} ended with {done.returncode}: {last_lines(done.stderr)}")
        return time.monotonic() - start

    def killed_once(self, when: Callable[[], bool]) -> bool:
        """Kill a call as soon as something holds; whether it was still at work."""
        with self.log.open("w", encoding="utf-8") as output:
            process = started(self.command, output)
            try:
                while process.poll() is None and not when():
                    if time.monotonic() > self.end:
                        raise RuntimeError("the time was up before there was anything to kill")
                    time.sleep(_LOOK_SECONDS)
                at_work = process.poll() is None
                if at_work:
                    os.killpg(process.pid, signal.SIGKILL)
            finally:
                finish(process)
        if not at_work and process.returncode:
            raise RuntimeError(
                f"{' '.join(self.command)} ended with {process.returncode}: {last_lines(self.log.read_text())}"
            )
        return at_work


def kill_and_go_on(plan: Plan, name: str, end: float) -> Outcome:
    """One part of the step; it fails if the work ends otherwise than without a kill."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return (_certification if name == "certify" else _training)(plan, Path(folder), end)
        except subprocess.TimeoutExpired as error:
            return Outcome({}, "stopped", f"the time was up during `holdfast {error.cmd[3]}`")


def _certification(plan: Plan, folder: Path, end: float) -> Outcome:
    model = digits_model(folder)
    n, kills = (1_000, 1) if plan.smoke else (20_000, 2)
    settings = ["--data", DATA, "--noise", "gaussian:sigma=0.25", "--n", n, "--every", 24 if plan.smoke else 1]
    settings += ["--seed", 5, "--device", plan.device, "--model", model, "--batch-size", 1024, "--quiet"]
    log, records = folder / "log", folder / "killed" / "records.jsonl"
    program = _Program(end, log, "certify", *settings, "--out", folder / "killed")
    seen, killed = 0, []
    for _ in range(kills):
        if not program.killed_once(lambda seen=seen: _size(records) > seen):  # type: ignore[misc]
            break
        seen = _size(records)
        killed.append(len(read_run(folder / "killed").records))
    seconds = program.to_the_end()
    _Program(end, log, "certify", *settings, "--out", folder / "whole").to_the_end()
    one, other = _votes(folder / "killed"), _votes(folder / "whole")
    checked = _Program(
        end, log, "verify", folder / "killed", "--model", model, "--data", DATA, "--replay", 20, "--quiet",
        "--device", plan.device,
    )  # fmt: skip
    replay = checked.to_the_end()
    found = {
        "records": len(other),
        "records_when_killed": killed,
        "same_votes": one == other,
        "seconds_of_the_last_call": seconds,
        "seconds_of_replaying_20": replay,
    }
    return _judged(found, one == other, "the votes of the killed run are not those of the whole one")


def _training(plan: Plan, folder: Path, end: float) -> Outcome:
    epochs = 3 if plan.smoke else 30
    settings = ["--data", DATA, "--noise", "gaussian:sigma=0.25", "--epochs", epochs, "--device", plan.device, "--json"]
    killed_model, whole_model = folder / "killed.safetensors", folder / "whole.safetensors"
    log, checkpoint = folder / "log", folder / "killed.safetensors.checkpoint"
    program = _Program(end, log, "train", *settings, "--out", killed_model)
    was_killed = program.killed_once(checkpoint.exists)
    program.to_the_end()
    _Program(end, log, "train", *settings, "--out", whole_model).to_the_end()
    one, other = (load_bundle(path).module.state_dict() for path in (killed_model, whole_model))
    differences = {key: float((one[key].double() - other[key].double()).abs().max()) for key in other}
    # On a card the sums of a backward pass may take any order, so equal weights are reported and not asked for.
    accuracies = [_accuracy(path) for path in (killed_model, whole_model)]
    found = {
        "epochs": epochs,
        "was_killed": was_killed,
        "same_weights": not any(differences.values()),
        "largest_difference": max(differences.values()),
        "accuracies": accuracies,
    }
    near = abs(accuracies[0] - accuracies[1]) <= 0.1
    return _judged(found, near, "the accuracies of the killed and the whole training differ by more than 10 points")


def _judged(found: dict[str, Any], holds: bool, otherwise: str) -> Outcome:
    return Outcome(found) if holds else Outcome(found, "failed", otherwise)


def _accuracy(model: Path) -> float:
    return float(load_bundle(model).info.training["held_out_accuracy_under_noise"])


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _votes(folder: Path) -> dict[int, tuple[object, object]]:
    records = read_run(folder).records
    return {each.index: (each.selection, each.estimation) for each in records if isinstance(each, VoteRecord)}
