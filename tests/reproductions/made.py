"""What a study would have made, without training or sampling: runs in memory with chosen votes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from holdfast.cli.specs import parse_noise
from holdfast.estimators import FixedSize
from holdfast.noises.base import find_guarantee
from holdfast.reproductions.base import Certification, Finished, Model, Study, Trained
from holdfast.runs.manifest import DataPromise, Manifest
from holdfast.runs.store import Run, VoteRecord
from holdfast.types import Counts

DATA = {
    "mnist": ("mnist", (1, 28, 28), 10_000, 10),
    "cifar10": ("parquet", (3, 32, 32), 10_000, 10),
    "imagenet": ("imagenet", (3, 224, 224), 50_000, 20),
}
_MOST = 40


def finished(study: Study, scale: str, kind: str, certainty: float = 9.0) -> Finished:
    """All runs of a study at a scale, with random votes; `certainty` is how much the top class leads."""
    plan = study.plan(scale, kind)
    models = {model.name: trained(model) for model in plan.models}
    noises = {model.name: model.noise for model in plan.models}
    runs = {each.name: run(each, noises[each.model], kind, models[each.model].sha256, certainty) for each in plan.runs}
    return Finished(scale, kind, runs, models)


def trained(model: Model) -> Trained:
    """A model as its file would describe it."""
    digest = f"{abs(hash(model.name)):x}"
    noise = str(parse_noise(model.noise))
    if model.training is None:
        return Trained(model.architecture, noise, digest, {"recipe": "untrained", "seed": 0})
    figures = {"training_accuracy_under_noise": 0.9, "held_out_accuracy_under_noise": 0.7}
    data = {"size": 60_000 // model.part, "sha256": "ab" * 32}
    return Trained(model.architecture, noise, digest, {**model.training, **figures, "data": data})


def run(wanted: Certification, noise: str, kind: str, digest: str, certainty: float = 9.0) -> Run:
    """A run with random votes for up to so many of its examples."""
    source, shape, size, classes = DATA[kind]
    smoothing = parse_noise(wanted.noise or noise)
    manifest = Manifest(
        kind="certify",
        noise=smoothing.to_dict(),
        guarantee=find_guarantee(smoothing).name,
        estimator=FixedSize(wanted.n, wanted.alpha, wanted.bounds).to_dict(),
        n0=wanted.n0,
        data=DataPromise(
            source, "test", "ab" * 32, size, shape, 0.0, 1.0, tuple(map(str, range(classes))), "", wanted.every, _MOST
        ),
        model={"sha256": digest},
        seed=1,
        block=64,
        precision=wanted.precision,
        device="cpu",
        versions={},
    )
    random = np.random.default_rng(len(wanted.name))
    records = []
    for index in manifest.data.indices():
        label = int(random.integers(classes))
        weights = np.full(classes, 0.3)
        weights[label] = certainty
        shares = random.dirichlet(weights)
        votes = [Counts.of(random.multinomial(total, shares)) for total in (wanted.n0, wanted.n)]
        records.append(VoteRecord(index, label, *votes))
    return Run(Path("runs") / wanted.name, manifest, tuple(records), ())
