"""What a study would have made, without training or sampling: runs in memory with chosen votes."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import NormalDist

import numpy as np

from holdfast.analysis.runs import CertifiedRun, analyze
from holdfast.estimators import Exact, FixedSize
from holdfast.execution.bound import describe_bound
from holdfast.noises.base import find_guarantee
from holdfast.reproductions.base import Study
from holdfast.reproductions.plans import (
    Answering,
    Attacking,
    Bounding,
    Certification,
    Importing,
    Looking,
    Model,
    Noising,
)
from holdfast.reproductions.results import Answered, Finished, Looked, Noised, Timed, Trained
from holdfast.stats.datasets import proportion
from holdfast.store.attack import AttackRecord, AttackRun
from holdfast.store.attack_manifest import AttackManifest
from holdfast.store.data_manifest import DataManifest
from holdfast.store.logs import AnswerLine, Log, imported_manifest
from holdfast.store.run import BoundRecord, ClaimRecord, Run, VoteRecord
from holdfast.store.run_manifest import RunManifest
from holdfast.store.subsets import TEST_SPLITS
from holdfast.types import Counts
from holdfast.workflows.specs import parse_attack, parse_bound, parse_budgets, parse_noise

DATA = {
    "mnist": ("mnist", (1, 28, 28), 10_000, 10),
    "cifar10": ("parquet", (3, 32, 32), 10_000, 10),
    "imagenet": ("imagenet", (3, 224, 224), 50_000, 20),
    "fashion-mnist": ("fashion-mnist", (1, 28, 28), 10_000, 10),
    "svhn": ("svhn", (3, 32, 32), 26_032, 10),
    "har": ("har", (561,), 2_947, 6),
    "cohen-logs": ("cifar10", (1,), 10_000, 10),
}
_MOST = 40
# Of examples without votes; adversarials are answered with another one.
_CLASSES = 5


def finished(study: Study, scale: str, kind: str, certainty: float = 9.0) -> Finished:
    """All runs of a study at a scale, with random votes; `certainty` is how much the top class leads."""
    plan = study.plan(scale, kind)
    models = {model.name: trained(model) for model in plan.models}
    noises = {model.name: model.noise for model in plan.models}
    runs = {each.name: run(each, noises[each.model], kind, models[each.model].sha256, certainty) for each in plan.runs}
    runs |= {each.name: bounded(each, kind, models[each.model].sha256) for each in plan.bounds}
    attacks = {
        each.name: attacked(each, kind, models[each.model].sha256, runs[each.run].manifest.digest if each.run else None)
        for each in plan.attacks
    }
    runs |= {each.name: imported(each, certainty) for each in plan.logs}
    timed = {each.name: Timed((0.2, 0.1, 0.3), each.n, "a processor, 1 thread") for each in plan.timings}
    logs = {each.name: tuple(AnswerLine(i, i % 9, i % 9, 0.1) for i in range(90)) for each in plan.answer_logs}
    answers = {each.name: answered(each, kind, models[each.model].sha256) for each in plan.answers}
    looks = {each.name: looked(each, kind) for each in plan.looks}
    transfer = {a: {b: proportion(40 if a == b else 10, 40) for b in plan.transfer} for a in plan.transfer}
    noisy = {each.name: noised(each, kind) for each in plan.noisy}
    return Finished(
        scale,
        kind,
        runs,
        models,
        attacks=attacks,
        transfer=transfer,
        answers=answers,
        looks=looks,
        noisy=noisy,
        timed=timed,
        answer_logs=logs,
    )


def imported(wanted: Importing, certainty: float) -> CertifiedRun:
    """A log with radii of a random class probability, or abstentions, as 40 lines of a data set."""
    size = TEST_SPLITS[wanted.dataset].size
    random, noise = np.random.default_rng(len(wanted.name)), parse_noise(wanted.noise)
    claims = []
    for index in range(0, size, size // _MOST):
        label = int(random.integers(10))
        p = min(float(random.beta(certainty, 1.5)), 0.99995)
        radius = float(f"{max(0.0, noise.sigma * NormalDist().inv_cdf(p)):.3g}")
        claims.append(ClaimRecord(index, label, label if radius else None, radius, 15.0))
    log = Log(tuple(claims), max(claim.radius for claim in claims), 0)
    rule = FixedSize(wanted.n, wanted.alpha, "cohen")
    manifest = imported_manifest(log, noise, "cohen", rule, wanted.n0, wanted.dataset, "a.tsv")
    return analyze(Run(Path("runs") / wanted.name, manifest, log.claims, ()))


def noised(wanted: Noising, kind: str) -> tuple[Noised, ...]:
    """Copies of two grey images, each at the distance that noise has on average."""
    channels, *sides = DATA[kind][1]
    values = channels * math.prod(sides) // (wanted.before * wanted.after) ** 2
    sigma = parse_noise(wanted.noise).sigma / wanted.after if wanted.noise else 0.0
    side = sides[0] // (wanted.before * wanted.after)
    grey = np.full((side, side, 3), 128, np.uint8)
    return tuple(Noised(index, "7", grey, sigma * math.sqrt(values), values, 0) for index in (0, 1))


def promised(kind: str, every: int) -> DataManifest:
    """A subset of a data set."""
    source, shape, size, classes = DATA[kind]
    return DataManifest(
        source, "test", "ab" * 32, size, shape, 0.0, 1.0, tuple(map(str, range(classes))), "", every, _MOST
    )


def answered(wanted: Answering, kind: str, digest: str) -> Answered:
    """Nine answers of ten are right."""
    data = promised(kind, wanted.every)
    count = len(data.indices())
    return Answered(digest, count * 9 // 10, count, count // _CLASSES, data)


def looked(wanted: Looking, kind: str) -> Looked:
    """Black images with a bright square, and a training set of four black pixels to each of another value."""
    _, shape, size, classes = DATA[kind]
    index = tuple(range(0, size, wanted.every))[: wanted.limit]
    images = np.zeros((len(index), *shape), dtype=np.float32)
    images[:, :, 4:8, 4:8] = 0.9
    labels = tuple(str(number % classes) for number in index)
    return Looked(index, labels, images, (0.1306,) * shape[0], (1020, *[1] * 255))


def bounded(wanted: Bounding, kind: str, digest: str) -> CertifiedRun:
    """A deterministic bound that certifies a quarter of the examples, and of standard training none."""
    bound = parse_bound(wanted.bound)
    manifest = describe_bound(bound, promised(kind, wanted.every), {"sha256": digest}, "cpu")
    share = 0 if "standard" in wanted.name else 4
    records = [
        BoundRecord(index, *[number % _CLASSES] * 2, (bound.most or 0.0) if share and number % share == 0 else 0.0)
        for number, index in enumerate(manifest.data.indices())
    ]
    return analyze(Run(Path("runs") / wanted.name, manifest, tuple(records), ()))


def attacked(wanted: Attacking, kind: str, digest: str, certification: str | None) -> AttackRun:
    """An attack that finds an adversarial for the second half of each four examples."""
    attack, data = parse_attack(wanted.attack), promised(kind, wanted.every)
    budgets = parse_budgets(wanted.budget)
    manifest = AttackManifest(
        attack=attack.to_dict(),
        norm=attack.measure.value,
        budgets=budgets,
        wanted=wanted.target,
        restarts=wanted.restarts,
        repeats=wanted.repeats,
        confidence=wanted.confidence,
        noise=None,
        n=0,
        alpha=0.0,
        search_alpha=0.0,
        soft_samples=0,
        data=data,
        model={"sha256": digest},
        certification=certification,
        seed=1,
        precision="float32",
        device="cpu",
        versions={},
    )
    minimizes = attack.minimizes
    records = []
    for number, index in enumerate(data.indices()):
        held = minimizes or number % 4 >= 2
        radius = 0.5 if wanted.run else None
        within = tuple(budgets.of(radius)) or (1.0,)
        size = float(1 + number % 7) if minimizes else within[-1]
        records.append(
            AttackRecord(
                index=index,
                label=number % _CLASSES,
                reference=number % _CLASSES,
                radius=radius,
                budgets=within,
                magnitude=size if held else None,
                kind="misclassified" if held else None,
                answer=_CLASSES if held else None,
                claims=int(held),
                refused=0,
                repeats=1,
                failures=int(held),
                votes=None,
                restarts=1,
                queries={"decisions": 1},
                adversarial="ab" * 32 if held else None,
            )
        )
    return AttackRun(Path("attacks") / wanted.name, manifest, tuple(records), ())


def trained(model: Model) -> Trained:
    """A model as its file would describe it."""
    digest = f"{abs(hash(model.name)):x}"
    noise = "None" if model.noise is None else str(parse_noise(model.noise))
    if model.training is None:
        return Trained(model.architecture, noise, digest, {"recipe": "untrained", "seed": 0})
    figures = {"training_accuracy_under_noise": 0.9, "held_out_accuracy_under_noise": 0.7}
    data = {"size": 60_000 // model.part, "sha256": "ab" * 32}
    # What "auto" came to.
    precision = model.training.get("precision", "float32").replace("auto", "bfloat16")
    made = {"recipe": "noise", **model.training, **figures, "precision": precision, "data": data}
    return Trained(model.architecture, noise, digest, made)


def once(wanted: Certification, noise: str | None, kind: str) -> int:
    """The realizations of the noise of a run."""
    return parse_noise(wanted.noise or str(noise)).realizations(DATA[kind][1])


def run(wanted: Certification, noise: str | None, kind: str, digest: str, certainty: float = 9.0) -> CertifiedRun:
    """A run with random votes for up to so many of its examples."""
    classes = DATA[kind][-1]
    smoothing = parse_noise(wanted.noise or str(noise))
    rule = FixedSize(wanted.n, wanted.alpha, wanted.bounds) if wanted.n else Exact(once(wanted, noise, kind))
    manifest = RunManifest(
        kind="certify",
        noise=smoothing.to_dict(),
        guarantee=find_guarantee(smoothing).name,
        estimator=rule.to_dict(),
        n0=wanted.n0,
        data=promised(kind, wanted.every),
        model={"sha256": digest},
        seed=1,
        block=64,
        precision=wanted.precision.replace("auto", "float32"),
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
        votes = [Counts.of(random.multinomial(total, shares)) for total in (wanted.n0, rule.n)]
        records.append(VoteRecord(index, label, *votes))
    return analyze(Run(Path("runs") / wanted.name, manifest, tuple(records), ()))
