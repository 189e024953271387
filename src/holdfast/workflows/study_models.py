"""The base classifiers of a study: existing ones are checked and reused, the others are trained side by side."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, HoldfastWarning, RunError, UsageError, first_line
from holdfast.folders import lies
from holdfast.memory import is_out_of_memory
from holdfast.models.precision import AUTO
from holdfast.process import interrupts_held_back
from holdfast.workflows.observer import Observer
from holdfast.workflows.specs import open_data_spec, parse_noise, parse_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    from holdfast.data.base import DataSet
    from holdfast.folders import Below, Where
    from holdfast.models.bundle import BundleInfo
    from holdfast.models.model import Model as OpenedModel
    from holdfast.reproductions.plans import Model
    from holdfast.reproductions.results import Trained
    from holdfast.training.trainer import TrainProgress

# A process tells of its progress so often at most.
_SECONDS_BETWEEN_NEWS = 0.3
# Images from which an untrained network takes its normalization.
_IMAGES_FOR_STATISTICS = 100


class Splits:
    """The data of a study, each split opened once: a data spec, with the options that a model adds."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self._opened: dict[tuple[str, str], DataSet] = {}

    def spec_for(self, options: str) -> str:
        """The data spec with more options."""
        return f"{self.spec},{options}" if options else self.spec

    def open(self, split: str, options: str = "") -> DataSet:
        """One split."""
        if (split, options) not in self._opened:
            self._opened[split, options] = open_data_spec(self.spec_for(options), split)
        return self._opened[split, options]


@dataclass(frozen=True)
class Workspace:
    """Where a study works, and with what.

    Attributes:
        folder: folder of all its output.
        device: cpu, cuda or cuda:N.
        threads: threads of each process.
        workers: processes side by side.
        observer: hears of the progress.
        given: name of a base classifier -> spec of a model from elsewhere, which takes its place.
    """

    folder: Below
    device: str
    threads: int
    workers: int
    observer: Observer = field(default_factory=Observer)
    given: Mapping[str, str] = field(default_factory=dict)

    def bundle(self, name: str) -> Below:
        """The file of a base classifier."""
        return self.folder / "models" / f"{name}.safetensors"

    def model(self, name: str) -> str | Below:
        """A base classifier: the spec of the one that was given for it, or where its file lies."""
        return self.given.get(name) or self.bundle(name)

    def opened(self, name: str, data: DataSet) -> OpenedModel:
        """A base classifier, for the inputs and classes of a data set.

        Raises:
            UsageError: the one that was given is for others.
        """
        from holdfast.models.bundle import open_bundle
        from holdfast.models.source import open_model
        from holdfast.sampling.devices import torch_device
        from holdfast.workflows.setup import fitted_model

        if name not in self.given:
            return open_bundle(self.bundle(name), torch_device(self.device))
        return fitted_model(open_model(self.given[name], torch_device(self.device)), data, "the data of the study")

    def run(self, name: str) -> Below:
        """The folder of a run."""
        return self.folder / "runs" / name

    def attack(self, name: str) -> Below:
        """The folder of an attack."""
        return self.folder / "attacks" / name


@dataclass(frozen=True)
class _Job:
    """One training, with its data; it can be sent to another process."""

    model: Model
    out: Below
    data: DataSet
    held_out: DataSet
    device: str
    threads: int


def train_all(models: Sequence[Model], splits: Splits, place: Workspace) -> dict[str, Trained]:
    """Make a bundle for each model: reuse existing ones, train the others, and describe all.

    Raises:
        RunError: a bundle comes from another training than the study asks for, or a training failed in another process.
        UsageError: a model was given that fits none of them.
        RunLockedError: another process is training one of them.
    """
    _check_given(models, place)
    jobs = []
    for model in models:
        if model.name in place.given:
            continue
        if lies(place.bundle(model.name)):
            _check_same(model, splits, place.bundle(model.name))
        else:
            jobs.append(_job(model, splits, place))
    for ready in _in_turn(jobs):
        if place.workers == 1 or len(ready) < 2:
            for job in ready:
                with place.observer.training(f"train {job.model.name}") as show:
                    _train(job, show, partial(_note, place.observer, job.model.name))
        else:
            _side_by_side(ready, place)
    return {
        model.name: _described(place.opened(model.name, splits.open("test", model.options)), place.given[model.name])
        if model.name in place.given
        else describe_bundle(place.bundle(model.name))
        for model in models
    }


def _check_given(models: Sequence[Model], place: Workspace) -> None:
    """Refuse a model that stands for none of the study.

    Raises:
        UsageError: there is one.
    """
    unknown = sorted(place.given.keys() - {model.name for model in models})
    if unknown:
        known = ", ".join(model.name for model in models) or "none"
        raise UsageError(f"this study has no base classifier {unknown[0]!r} to give a model for; it has: {known}")


def _described(opened: OpenedModel, spec: str) -> Trained:
    """The description of a model that was given.

    Raises:
        UsageError: it has no digest, by which its runs could be known again.
    """
    from holdfast.reproductions.results import Trained

    if opened.sha256 is None:
        raise UsageError(
            f"{spec} is code whose weights nobody can compare, so that its runs could not be resumed; give a file: a "
            "bundle, ONNX, TorchScript or an exported program"
        )
    noise = str(opened.trained_for) if opened.says_noise else "a noise that it does not say"
    return Trained(opened.label, noise, opened.sha256, {"recipe": "given", "file": Path(opened.name).name})


def _in_turn(jobs: Sequence[_Job]) -> Iterator[list[_Job]]:
    """Groups of trainings, of which each group needs only the bundles of those before it."""
    waiting = list(jobs)
    while waiting:
        coming = {job.out.name for job in waiting}
        ready = [job for job in waiting if not coming & set(_files_of(job.model).values())]
        if not ready:
            names = ", ".join(job.model.name for job in waiting)
            raise RunError(f"the trainings of {names} wait for each other's models; no order of them can be right")
        yield ready
        waiting = [job for job in waiting if job not in ready]


def _files_of(model: Model) -> dict[str, str]:
    """The parameters of the recipe that are files of other models of the study, and their names."""
    if model.training is None:
        return {}
    recipe = parse_recipe(model.training.get("recipe", "noise"))
    return {name: value for name in recipe.paths if (value := getattr(recipe, name))}


def describe_bundle(file: Where) -> Trained:
    """The description of a bundle."""
    from holdfast.models.bundle import load_bundle
    from holdfast.reproductions.results import Trained

    bundle = load_bundle(file)
    info = bundle.info
    return Trained(info.architecture, str(info.trained_for), bundle.sha256, info.training)


def _job(model: Model, splits: Splits, place: Workspace) -> _Job:
    test = splits.open("test", model.options)
    if model.training is None:
        few = max(1, len(test) // _IMAGES_FOR_STATISTICS)
        data = test.part(few)
    else:
        data = splits.open("train", model.options).part(model.part)
    return _Job(model, place.bundle(model.name), data, test.part(model.checked), place.device, place.threads)


def _note(observer: Observer, name: str, text: str) -> None:
    observer.note(f"{name}: {text}")


def _train(
    job: _Job, on_progress: Callable[[TrainProgress], None] | None, tell: Callable[[str], None] | None = None
) -> None:
    """Train in this process, or continue an interrupted training, and write the bundle."""
    import torch

    from holdfast.sampling.devices import torch_device
    from holdfast.training.config import TrainConfig
    from holdfast.training.loop import train
    from holdfast.workflows.train import begun_bundle

    torch.set_num_threads(job.threads)
    noise = None if job.model.noise is None else parse_noise(job.model.noise)
    info = begun_bundle(job.data, noise, job.model.architecture)
    info = replace(info, arguments=dict(job.model.arguments))
    if job.model.training is None:
        _write_untrained(info, job.out)
        return
    settings = dict(job.model.training)
    recipe = parse_recipe(settings.pop("recipe", "noise"))
    beside = {name: str(job.out.parent / file) for name, file in _files_of(job.model).items()}
    recipe = replace(recipe, **beside)  # type: ignore[type-var]
    config = TrainConfig(**settings, recipe=recipe)
    where = torch_device(job.device)
    train(
        info,
        config,
        job.data,
        job.out,
        held_out=job.held_out,
        device=where,
        on_progress=on_progress,
        on_precision=tell,
    )


def _write_untrained(info: BundleInfo, out: Below) -> None:
    import torch

    from holdfast.models.bundle import save_bundle

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = info.build()
    save_bundle(out, replace(info, training={"recipe": "untrained", "seed": 0}), module)


def _check_same(model: Model, splits: Splits, file: Below) -> None:
    """Refuse a bundle of another training than the model's; imported weights are taken as they are.

    Raises:
        RunError: the bundle comes from another training.
    """
    from holdfast.models.bundle import read_info

    info = read_info(file)
    if info.training.get("recipe") == "imported":
        warnings.warn(f"{file.name} has imported weights; they replace the training", HoldfastWarning, stacklevel=2)
        return
    made = info.training
    entries: dict[str, tuple[Any, Any]] = {
        "architecture": (info.architecture, model.architecture),
        # JSON has no tuples.
        "arguments": (info.arguments, json.loads(json.dumps(dict(model.arguments)))),
    }
    if model.noise is None:
        entries["noise"] = (info.noise, None)
    else:
        for key, value in parse_noise(model.noise).to_dict().items():
            if value is not None:
                entries[f"noise {key}"] = ((info.noise or {}).get(key), value)
    if model.training is None:
        entries["recipe"] = (made.get("recipe"), "untrained")
    else:
        data, known = splits.open("train", model.options).part(model.part), made.get("data", {})
        # What "auto" came to is kept, and JSON has no tuples.
        entries |= {
            key: (made.get(key), list(value) if isinstance(value, tuple) else value)
            for key, value in model.training.items()
            if (key, value) != ("precision", AUTO)
        }
        entries["training images"] = (known.get("size"), len(data))
        entries["hash of the images"] = (known.get("sha256"), data.sha256)
    check_entries(f"{file} comes from another training", entries)


def check_entries(what: str, entries: Mapping[str, tuple[Any, Any]]) -> None:
    """Refuse results of other settings; `entries` has the found and the expected value by name.

    Raises:
        RunError: some differ.
    """
    different = [
        f"{key}: found {found}, this call asks for {expected}"
        for key, (found, expected) in entries.items()
        if found != expected
    ]
    if different:
        raise RunError(
            f"{what}:",
            *(f"  {each}" for each in different),
            "Choose another folder (one for each scale), or delete it (a model with its runs) to make it again",
        )


def _side_by_side(jobs: Sequence[_Job], place: Workspace) -> None:
    """Train in other processes, several at a time; they end when this one ends, in whatever way."""
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)
    working: dict[Connection, tuple[_Job, Any]] = {}
    with place.observer.trainings() as show:
        try:
            while waiting or working:
                while waiting and len(working) < place.workers:
                    job = waiting.pop(0)
                    here, there = context.Pipe()
                    process = context.Process(target=_other, args=(there, job), daemon=True)
                    with interrupts_held_back():
                        process.start()
                    there.close()
                    working[here] = (job, process)
                ready = wait(list(working))
                for pipe in [each for each in working if each in ready]:
                    job, process = working[pipe]
                    if not _heard(pipe, job, show, place.observer):
                        process.join()
                        del working[pipe]
        finally:
            for _, process in working.values():
                process.kill()
                process.join()


def _heard(pipe: Connection, job: _Job, show: Callable[[str, TrainProgress], None] | None, observer: Observer) -> bool:
    """Take one message of a training process; False when it was the last.

    Raises:
        RunError: the training failed, or its process died.
    """
    try:
        kind, content = pipe.recv()
    except EOFError:
        raise RunError(
            f"the process that trained {job.model.name} died, as it does when memory runs out. Finished work is "
            "on the disk: repeat the call to continue, with one worker if need be"
        ) from None
    if kind == "progress" and show is not None:
        show(f"train {job.model.name}", content)
    if kind == "precision":
        _note(observer, job.model.name, content)
    if kind == "failed":
        first, *others = content
        raise RunError(f"training {job.model.name}: {first}", *others)
    return bool(kind != "done")


def _other(driver: Connection, job: _Job) -> None:
    """The work of another process."""

    def watch() -> None:
        with suppress(EOFError, OSError):
            driver.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    last = 0.0

    def tell(progress: TrainProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_NEWS:
            last = time.monotonic()
            driver.send(("progress", progress))

    try:
        _train(job, tell, lambda text: driver.send(("precision", text)))
        driver.send(("done", None))
    except HoldfastError as error:
        driver.send(("failed", error.lines))
    except Exception as error:
        trace = () if is_out_of_memory(error) else traceback.format_exc().splitlines()
        driver.send(("failed", (f"{type(error).__name__}: {first_line(error)}", *trace)))
