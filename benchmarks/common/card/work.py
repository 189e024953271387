"""The last step: trainings and certifications that take longer than one call; each call goes on where it ended."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from common.card.children import started, waited
from common.card.conditions import clocks
from common.card.plan import Outcome
from common.card.results import last_lines
from common.speed_cases import ALL, SMALL, images, network_for
from holdfast.analysis.accuracy import certified_accuracy
from holdfast.analysis.runs import analyze
from holdfast.models.backends import Job, prepare
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst
from holdfast.sampling.settings import computing
from holdfast.store.run import read_run

if TYPE_CHECKING:
    from common.card.plan import Plan

# Of the time left, what is kept for writing the results.
_FOR_RESULTS = 1.0
# Seconds of a long measurement of throughput, and of its warm-up.
_LONG, _WARM = 60.0, 5.0
# Samples come in multiples of this.
SOME = 64


@dataclass(frozen=True)
class Task:
    """A training, the certification of its model, and a check of some of its records.

    Attributes:
        data: name of its data set (`--data NAME=SPEC`); "" for the digits, which are always there.
        noise: of both.
        train: arguments of `holdfast train`.
        certify: arguments of `holdfast certify`.
        radii: at which certified accuracy is reported.
        most: seconds of each command in one call; None for as long as there is time.
    """

    data: str
    noise: str
    train: tuple[str, ...]
    certify: tuple[str, ...]
    radii: tuple[float, ...]
    most: float | None = None


def _consistency(sigma: float, weight: float) -> Task:
    """Settings of Jeong & Shin 2020 for CIFAR-10: ResNet-110, 150 epochs, two copies; then as Cohen et al. 2019."""
    radii = tuple(step * 0.25 for step in range(round(sigma * 16) + 1))
    return Task(
        "cifar10",
        f"gaussian:sigma={sigma}",
        (
            *("--arch", "resnet110", "--recipe", f"consistency:weight={weight},entropy=0.5", "--noise-copies", "2"),
            *("--epochs", "150", "--train-batch", "256", "--learning-rate", "0.1", "--weight-decay", "0.0001"),
            *("--schedule", "step", "--milestones", "50,100", "--no-nesterov", "--crop", "4", "--flip"),
            *("--precision", "bfloat16"),
        ),
        (
            *("--n", "100000", "--bounds", "cohen", "--precision", "bfloat16", "--backend", "torch-optimized"),
            *("--until-radius", ",".join(f"{radius:g}" for radius in radii)),
        ),
        radii,
    )


_RESNET18 = (
    *("--arch", "resnet18", "--epochs", "60", "--train-batch", "256", "--learning-rate", "0.1"),
    *("--crop", "4", "--flip", "--precision", "bfloat16"),
)
_FAST = ("--precision", "bfloat16", "--backend", "torch-optimized")
TASKS = {
    "cifar10-partition": Task("cifar10", "partition:k=25", _RESNET18, _FAST, (0, 1, 2, 4, 8)),
    "cifar10-ablation": Task("cifar10", "ablation:k=75", _RESNET18, (*_FAST, "--n", "10000"), (0, 1, 2, 4, 8)),
    "cifar10-consistency-0.25": _consistency(0.25, 20.0),
    "cifar10-consistency-0.5": _consistency(0.5, 10.0),
    "cifar10-consistency-1.0": _consistency(1.0, 10.0),
    # Of a smoke run.
    "digits-consistency": Task(
        "",
        "gaussian:sigma=0.25",
        ("--recipe", "consistency", "--noise-copies", "2", "--epochs", "1", "--no-nesterov"),
        ("--n", "200", "--limit", "4", "--bounds", "cohen", "--until-radius", "0,0.25", "--backend", "torch-optimized"),
        (0.0, 0.25),
    ),
    "digits-stopped": Task("", "gaussian:sigma=0.25", ("--epochs", "100000"), (), (0,), most=6.0),
    "absent": Task("no-such-data", "gaussian:sigma=0.25", (), (), (0,)),
}
_THROUGHPUT = {"resnet50-throughput": "resnet50", "digits-throughput": SMALL}


def further_work(plan: Plan, name: str, end: float) -> Outcome:
    """One part of the step."""
    if name in _THROUGHPUT:
        return throughput(plan, _THROUGHPUT[name], end)
    if name not in TASKS:
        raise ValueError(f"there is no work {name!r}, only {', '.join([*_THROUGHPUT, *TASKS])}")
    task = TASKS[name]
    spec = plan.data.get(task.data, "") if task.data else "digits"
    if not spec:
        return Outcome({}, "skipped", f"no data: give --data {task.data}=SPEC")
    return trained_and_certified(plan, name, task, spec, end)


def throughput(plan: Plan, name: str, end: float) -> Outcome:
    """The engine at work for a minute, in the fastest precision, after which a card is as warm as it gets."""
    case = ALL[name]
    examples = images(case)
    warm, long = (0.01, 0.1) if plan.smoke else (_WARM, _LONG)
    with computing(plan.threads):
        network = network_for(name, case, examples, plan.device)
    shape, device = case.noise.noisy_shape(case.shape), torch.device(plan.device)
    backend = prepare("torch-optimized", Job(network, shape, "bfloat16", device, plan.threads))
    classifier = VotingClassifier(backend, case.classes)
    batch, _ = LocalEngine(plan.device, None, plan.threads).fastest_batch(classifier, case.noise, examples[0])
    engine = LocalEngine(plan.device, batch, plan.threads)
    # Whole batches of all pictures together.
    each = -(-batch // SOME) * SOME

    def drawn(seconds: float) -> tuple[int, float]:
        start, samples = time.monotonic(), 0
        while not samples or time.monotonic() - start < seconds:
            samples += each * len(list(engine.run(classifier, case.noise, Burst(each), 0, examples)))
        return samples, time.monotonic() - start

    drawn(warm)
    before = clocks(plan.device)
    samples, took = drawn(min(long, max(warm, end - time.monotonic() - 2 * _FOR_RESULTS)))
    return Outcome(
        {
            "network": name,
            "noise": str(case.noise),
            "shape": list(case.shape),
            "backend": "torch-optimized",
            "precision": "bfloat16",
            "batch": batch,
            "seconds": took,
            "samples_per_second": samples / took,
            "clocks_before": before,
            "clocks_after": clocks(plan.device),
        }
    )


def trained_and_certified(plan: Plan, name: str, task: Task, spec: str, end: float) -> Outcome:
    """Go on with the commands of a task, as far as the time allows."""
    folder = Path(plan.state) / name
    folder.mkdir(parents=True, exist_ok=True)
    model, run = folder / "model.safetensors", folder / "run"
    where = ("--data", spec, "--noise", task.noise, "--device", plan.device, "--threads", str(plan.threads))
    checked = ("--data", spec, "--model", str(model), "--device", plan.device, "--replay", "1" if plan.smoke else "20")
    commands: list[tuple[str, ...]] = [
        ("train", "--out", str(model), *where, *task.train),
        ("certify", "--model", str(model), "--out", str(run), "--seed", "0", *where, *task.certify),
        ("verify", str(run), *checked),
    ]
    until = end - _FOR_RESULTS
    said = {"data": spec, "noise": task.noise, "commands": [" ".join(each) for each in commands]}
    for command in commands:
        if _is_done(folder, command):
            continue
        limit = until if task.most is None else min(until, time.monotonic() + task.most)
        code, words, seconds = _called(command, folder, limit)
        _note(folder, command, code, seconds)
        if code is None:
            progress = {**said, **_progress(folder, model, run)}
            return Outcome(progress, "unfinished", f"the next call goes on with `holdfast {command[0]}`")
        if code:
            return Outcome(said, "failed", f"`holdfast {command[0]}` ended with {code}: {last_lines(words)}")
    return Outcome({**said, **_progress(folder, model, run), **_figures(run, task)})


def _called(command: tuple[str, ...], folder: Path, limit: float) -> tuple[int | None, str, float]:
    """Exit code (None: it was ended), output, and seconds."""
    start, path = time.monotonic(), folder / "log"
    with path.open("w", encoding="utf-8") as log:
        code = waited(started([sys.executable, "-m", "holdfast", *command, "--quiet"], log), limit)
    return code, path.read_text(encoding="utf-8", errors="replace"), time.monotonic() - start


def _notes(folder: Path) -> dict[str, dict[str, Any]]:
    """Seconds of each command over all calls, and whether it is done, by its arguments."""
    path = folder / "notes.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _note(folder: Path, command: tuple[str, ...], code: int | None, seconds: float) -> None:
    notes = _notes(folder)
    before = notes.get(command[0], {"seconds": 0.0})
    notes[command[0]] = {"seconds": before["seconds"] + seconds, "done": code == 0}
    beside = folder / "notes.json.new"
    beside.write_text(json.dumps(notes), encoding="utf-8")
    beside.replace(folder / "notes.json")


def _is_done(folder: Path, command: tuple[str, ...]) -> bool:
    return bool(_notes(folder).get(command[0], {}).get("done"))


def _progress(folder: Path, model: Path, run: Path) -> dict[str, Any]:
    """Seconds of each command, whether the model is there, and how many records are."""
    records = len(read_run(run).records) if (run / "manifest.json").is_file() else 0
    checkpoint = model.with_name(model.name + ".checkpoint")
    seconds = {command: each["seconds"] for command, each in _notes(folder).items()}
    return {
        "seconds_of": seconds,
        "trained": model.is_file(),
        "epochs": _epoch(checkpoint) if checkpoint.is_file() else None,
        "records": records,
    }


def _epoch(checkpoint: Path) -> int | None:
    """The epochs that the header of a checkpoint says are done."""
    with checkpoint.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found = json.loads(header.get("__metadata__", {}).get("holdfast-checkpoint", "{}")).get("epoch")
    return found if isinstance(found, int) else None


def _figures(run: Path, task: Task) -> dict[str, Any]:
    """Certified accuracy at the radii of the task."""
    found = analyze(read_run(run))
    return {
        "images": len(found.results),
        "norm": found.norm.value,
        "certified_accuracy": {
            f"{radius:g}": [share.value, share.lower, share.upper]
            for radius in task.radii
            for share in [certified_accuracy(found.results, radius, found.alpha)]
        },
    }
