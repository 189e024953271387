"""At scale full every study has the settings of the papers: `paper_settings.csv` has one of them in each row.

Columns of the table:

* `study`, `data`: which plans the row is about, as patterns (`cohen-*`, `*`).
* `job`: which of their jobs, as a kind and a pattern of names (`model:mnist-k*`, `run:*`, `bound:*`, `attack:*`), or
  several with bars between them, or `study` for the plan as a whole.
* `setting`: what is compared. Of a model: `architecture`, `arguments.NAME`, `noise.NAME`, `recipe.NAME`, `rates` (pairs
  of a learning rate and the epochs that it lasts) and all settings of a training. Of a run, a bound or an attack: its
  attributes, `images` (how many), `bound.NAME`, `attack.NAME`. Of the plan: `sigma` and `k`, all that are there.
* `paper`: the value, as JSON or as a word.
* `source`: where it is printed: section or table, or the public program where the text is silent.
* `reason`: empty where the plan has that value. Otherwise why it has another one; without a `setting`, why no text
  fixes anything about these jobs. A row of this kind may be about a study that is not there (yet).

A new study needs rows for each model, run, bound and attack that it plans, or a row that gives the reason.
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

import made
import numpy as np
import pytest
import torch

from holdfast.data import DataSet
from holdfast.noises.base import Noise
from holdfast.reproductions import find_study, studies
from holdfast.reproductions.plans import Attacking, Bounding, Certification, Model, Plan
from holdfast.training.config import TrainConfig
from holdfast.training.devices import Team
from holdfast.training.trainer import Trainer
from holdfast.workflows.specs import parse_attack, parse_bound, parse_drawn, parse_noise, parse_recipe
from holdfast.workflows.train import begun_bundle

TABLE = Path(__file__).with_name("paper_settings.csv")
PLANS = {(study.name, kind): study.plan("full", kind) for study in studies() for kind in study.data}
# What the rows about a trained model and about a run have to settle, each with a value or with a reason.
OF_MODELS = {"architecture", "epochs", "batch_size", "optimizer", "rates", "weight_decay"}
OF_RUNS = {"n0", "n", "alpha", "images"}


@dataclass(frozen=True)
class Setting:
    """A row of the table."""

    study: str
    data: str
    job: str
    setting: str
    paper: str
    source: str
    reason: str

    @property
    def expected(self) -> Any:
        try:
            return json.loads(self.paper)
        except ValueError:
            return self.paper

    def about(self, study: str, kind: str, job: str) -> bool:
        plan = fnmatchcase(study, self.study) and fnmatchcase(kind, self.data)
        return plan and any(fnmatchcase(job, pattern) for pattern in self.job.split("|"))


with TABLE.open(encoding="utf-8", newline="") as file:
    ROWS = [Setting(**row) for row in csv.DictReader(file)]


def jobs(plan: Plan) -> dict[str, Any]:
    """All that a plan asks for, by kind and name."""
    return {
        f"{kind}:{each.name}": each
        for kind, all_of_kind in (
            ("model", plan.models),
            ("run", plan.runs),
            ("bound", plan.bounds),
            ("attack", plan.attacks),
        )
        for each in all_of_kind
    }


def config_of(model: Model) -> TrainConfig:
    assert model.training is not None
    return TrainConfig(**{**model.training, "recipe": parse_recipe(model.training.get("recipe", "noise"))})


def parts(name: str, described: dict[str, Any]) -> dict[str, Any]:
    return {f"{name}.{key}": value for key, value in described.items()}


def values_of(job: Any, kind: str) -> dict[str, Any]:
    """The settings of a job, by their names in the table."""
    if isinstance(job, Plan):
        noises = [parse_noise(model.noise).to_dict() for model in job.models if model.noise is not None]
        return {key: sorted({noise[key] for noise in noises if key in noise}) for key in ("sigma", "k")}
    found = {**asdict(job)}
    if isinstance(job, Model):
        found |= parts("arguments", dict(job.arguments))
        found |= {} if job.noise is None else parts("noise", parse_noise(job.noise).to_dict())
        if job.training is not None:
            config = config_of(job)
            rates = [round(config.rate(epoch, config.epochs), 12) for epoch in range(config.epochs)]
            found |= {**config.to_dict(), **parts("recipe", config.recipe.to_dict())}
            found["rates"] = [[rate, len(list(epochs))] for rate, epochs in groupby(rates)]
    if isinstance(job, Certification | Bounding | Attacking):
        size = made.DATA[kind][2]
        drawn = parse_drawn(job.sample) if isinstance(job, Certification) else None
        found["images"] = len(range(0, size, job.every)[: job.limit]) if drawn is None else drawn.size
    if isinstance(job, Bounding):
        found |= parts("bound", parse_bound(job.bound).to_dict())
    if isinstance(job, Attacking):
        found |= parts("attack", parse_attack(job.attack).to_dict())
    return json.loads(json.dumps(found))


def matching(row: Setting) -> dict[str, tuple[Any, str]]:
    """The jobs that a row is about, with the kind of their data."""
    return {
        f"{study} on {kind}, {name}": (job, kind)
        for (study, kind), plan in PLANS.items()
        for name, job in {**jobs(plan), "study": plan}.items()
        if row.about(study, kind, name)
    }


@pytest.mark.parametrize("row", [row for row in ROWS if row.setting], ids=lambda row: f"{row.study}-{row.setting}")
def test_a_setting_is_that_of_the_paper(row: Setting) -> None:
    found = matching(row)
    assert found, f"no job is like this: {row}"
    for name, (job, kind) in found.items():
        values = values_of(job, kind)
        assert row.setting in values, f"{name} has no {row.setting}; it has {', '.join(sorted(values))}"
        same = values[row.setting] in (row.expected, row.paper)
        if row.reason:
            assert not same, f"{name}: {row.setting} is the paper's, and the table gives a reason why it is not"
        else:
            assert same, f"{name}: {row.setting} is {values[row.setting]}, in the paper {row.paper} ({row.source})"


def test_every_row_has_a_source_or_a_reason() -> None:
    for row in ROWS:
        assert row.reason or (row.setting and row.paper and row.source), row
        assert not row.paper or row.setting, row


@pytest.mark.parametrize(("study", "kind"), PLANS)
def test_every_job_of_a_study_is_in_the_table(study: str, kind: str) -> None:
    for name, job in jobs(PLANS[study, kind]).items():
        rows = [row for row in ROWS if row.about(study, kind, name)]
        assert rows, f"{TABLE.name} has no row about {name} of {study} on {kind}: add its settings, or the reason"
        if any(not row.setting for row in rows):
            continue
        settled = {row.setting for row in rows}
        needed = OF_MODELS if isinstance(job, Model) and job.training is not None else set()
        needed = OF_RUNS if isinstance(job, Certification) else needed
        assert needed <= settled, f"{TABLE.name} has nothing about {', '.join(sorted(needed - settled))} of {name}"


def test_rows_are_about_jobs_that_are_there_or_about_other_studies_with_a_reason() -> None:
    known = {study.name for study in studies()}
    for row in ROWS:
        if not any(fnmatchcase(name, row.study) for name in known):
            assert row.reason, row
            assert not row.setting, row
        else:
            assert matching(row), f"the study is there, and no job of it is like this: {row}"


def test_a_wrong_setting_would_be_noticed() -> None:
    (row,) = (row for row in ROWS if (row.study, row.job, row.setting) == ("levine-*", "model:mnist-k*", "rates"))
    model = next(
        model for model in find_study("levine-mnist").plan("full", "mnist").models if model.name == "mnist-k45"
    )
    assert values_of(model, "mnist")["rates"] == row.expected == [[0.01, 200], [0.001, 200]]
    for change in ({"milestones": (100,)}, {"factor": 0.2}, {"learning_rate": 0.1}):
        other = replace(model, training={**(model.training or {}), **change})
        assert values_of(other, "mnist")["rates"] != row.expected


def needs_another(model: Model) -> bool:
    """Whether its training reads the file of another model of the study."""
    recipe = config_of(model).recipe
    return any(getattr(recipe, name) for name in recipe.paths)


TRAINED = {
    (
        model.architecture,
        "" if model.noise is None else parse_noise(model.noise).name,
        json.dumps(dict(model.training), sort_keys=True, default=str),
    ): (model, kind)
    for (_, kind), plan in PLANS.items()
    for model in plan.models
    if model.training is not None and not needs_another(model)
}
# Networks and recipes whose single step takes long on a processor.
LARGE = {"resnet110": "resnet20", "resnet18": "resnet20"}


def tiny(model: Model, kind: str, noise: Noise | None) -> tuple[DataSet, TrainConfig]:
    """A few images and a few epochs with the settings of a training at full scale."""
    shape = {"imagenet": (3, 32, 32)}.get(kind, made.DATA[kind][1])
    grid = None if noise is None else noise.grid
    values = np.random.default_rng(0).integers(0, grid or 256, (4, *shape)) / np.float32((grid or 256) - 1)
    data = DataSet.in_memory(
        source="made",
        split="train",
        class_names=("a", "b"),
        labels=np.arange(4) % 2,
        values=values.astype(np.float32),
        bounds=(0.0, 1.0),
    )
    config = config_of(model)
    milestones = tuple(range(1, len(config.milestones) + 1))
    # Rectangles of these images, which are not cut out of larger 8-bit ones, would leave the grid.
    crop = config.resized_crop if grid is None else ()
    epochs = len(milestones) + 1
    return data, replace(config, epochs=epochs, milestones=milestones, batch_size=2, resized_crop=crop)


@pytest.mark.parametrize(("model", "kind"), TRAINED.values(), ids=lambda each: getattr(each, "name", each))
def test_a_training_of_full_scale_takes_a_step(model: Model, kind: str) -> None:
    """A step of each training, on images of noise."""
    # The images are smaller than those of ImageNet.
    noise = None if model.noise is None else parse_noise(re.sub(r"k=\d{3,}", "k=99", model.noise))
    data, config = tiny(model, kind, noise)
    small = LARGE.get(model.architecture)
    info = begun_bundle(data, noise, small or model.architecture)
    info = replace(info, arguments={} if small else dict(model.arguments))
    info = config.recipe.start(info, len(data))
    torch.set_num_threads(1)
    trainer = Trainer(info, config, data, torch.device("cpu"), Team())
    before = [weights.detach().clone() for weights in trainer.module.parameters()]
    sums = trainer.step(torch.arange(2))
    assert torch.isfinite(sums).all()
    assert int(sums[2]) == 2 * config.noise_copies
    if config.recipe.name != "memorize":
        assert any(not torch.equal(old, new) for old, new in zip(before, trainer.module.parameters(), strict=True))
