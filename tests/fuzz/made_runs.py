"""A small run of each kind, and an attack, as documents: what the fuzz tests of text formats begin with."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from attack_cases import attack_manifest
from helpers import CLASSES, made_up_data
from verified_runs import PROVED, drawn_votes

from holdfast.store.adversarials import hashed
from holdfast.store.attack import AttackRecord, AttackStore
from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import BoundRecord, ClaimRecord, RunStore, Session, VoteRecord
from holdfast.store.run_manifest import RunManifest
from holdfast.types import Counts

SIZE, SHAPE = 3, (1, 4, 4)
_MASK = {"null": "multichannel", "fill": None}
_ALPHA = {"n": 200, "alpha": 0.001}
# Noise, theorem and estimator of runs with votes.
_VOTES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "fixed": ({"name": "gaussian", "sigma": 0.3}, "cohen", {"name": "fixed", **_ALPHA, "method": "split"}),
    "looks": (
        {"name": "ablation", "k": 5, **_MASK},
        "levine",
        {"name": "looks", **_ALPHA, "radii": [1.0], "precision": None, "ratio": 1.5, "method": "cohen"},
    ),
    "bet": ({"name": "laplace", "b": 0.3}, "dwork", {"name": "eprocess", **_ALPHA, "radius": 0.1}),
    "exact": ({"name": "partition", "k": 4, "pattern": "strided", **_MASK}, "partition", {"name": "exact", "n": 4}),
    "runoff": (
        {"name": "partition", "k": 4, "pattern": "strided", **_MASK, "decision": "runoff"},
        "partition",
        {"name": "runoff", "n": 4},
    ),
    "columns": ({"name": "columns", "width": 1, **_MASK}, "columns", {"name": "exact", "n": 4}),
    "blocks": ({"name": "blocks", "size": 2, **_MASK}, "blocks", {"name": "exact", "n": 16}),
    "splitting": (
        {"name": "splitting", "half_width": 0.5, "levels": 17, "shift": 3},
        "splitting",
        {"name": "exact", "n": 16},
    ),
    "flip": (
        {"name": "uniform-flip", "kappa": 0.6, "levels": 17},
        "lee",
        {"name": "fixed", **_ALPHA, "method": "cohen"},
    ),
    "lattice": (
        {"name": "lattice-gaussian", "sigma": 0.3, "levels": 256},
        "cohen_lattice",
        {"name": "fixed", **_ALPHA, "method": "split"},
    ),
}


class Made(NamedTuple):
    """A folder as documents.

    Attributes:
        manifest: of it.
        records: one document a line.
        sessions: one document a line.
        files: others, by their paths.
    """

    manifest: dict[str, Any]
    records: list[dict[str, Any]]
    sessions: list[dict[str, Any]]
    files: dict[str, bytes]


def data(**changes: Any) -> DataManifest:
    return made_up_data(SIZE, **{"shape": SHAPE, **changes})


def _manifest(kind: str, noise: dict[str, Any], theorem: str, estimator: dict[str, Any], **changes: Any) -> RunManifest:
    entries: dict[str, Any] = {
        "n0": 20,
        "data": data(),
        "model": {
            "architecture": "digits-mlp",
            "arguments": {"widths": [8]},
            "sha256": "1" * 64,
            "trained_for": noise or None,
        },
        "seed": 7,
        "block": 64,
        "precision": "float32",
        "device": "cpu",
        "versions": {"holdfast": "0.1.0"},
    }
    return RunManifest(kind, noise, theorem, estimator, **{**entries, **changes})


def _votes(manifest: RunManifest) -> list[VoteRecord]:
    rng = np.random.default_rng(3)
    records = []
    for index in manifest.data.indices():
        votes = drawn_votes(manifest, rng.dirichlet([5.0, 0.2, 0.2, 0.2]), rng)
        records.append(VoteRecord(index, index % CLASSES, *votes))
    return records


def _documents(folder: Path, name: str) -> Made:
    lines = {
        part: [json.loads(line) for line in (folder / f"{part}.jsonl").read_bytes().splitlines()]
        for part in ("records", "sessions")
    }
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.npy")}
    return Made(json.loads((folder / name).read_text()), lines["records"], lines["sessions"], files)


@cache
def runs() -> dict[str, Made]:
    """Runs by a name for what is particular about them."""
    promised = {
        name: _manifest("certify", noise, theorem, estimator, n0=0 if name in ("exact", "runoff") else 20)
        for name, (noise, theorem, estimator) in _VOTES.items()
    }
    promised["joint"] = _manifest("certify", *_VOTES["fixed"], joint_alpha=0.003)
    found: dict[str, tuple[RunManifest, list[Any]]] = {name: (each, _votes(each)) for name, each in promised.items()}
    imported = _manifest(
        "imported",
        {"name": "gaussian", "sigma": 0.3},
        "cohen",
        {"name": "fixed", **_ALPHA, "method": "cohen"},
        seed=None,
        block=0,
        model={"imported_from": "log.tsv"},
        data=data(sha256="unknown"),
    )
    found["imported"] = (
        imported,
        [ClaimRecord(0, 1, 1, 0.25, 1.5), ClaimRecord(1, 1, None, 0.0, None), ClaimRecord(2, 3, 3, 0.5, 0.0)],
    )
    bound = _manifest("bound", {}, "lipschitz", PROVED, seed=None, block=0, n0=0)
    found["bound"] = bound, [BoundRecord(0, 1, 1, 0.25), BoundRecord(1, 1, None, 0.0), BoundRecord(2, 3, 2, 1e-05)]
    made = {}
    for name, (manifest, records) in found.items():
        with TemporaryDirectory() as place:
            folder = Path(place) / "run"
            with RunStore(folder, manifest) as store:
                store.append(records)
                store.log_session(Session(3, 660, 1.5, {"engine": "local", "threads": 1}))
            made[name] = _documents(folder, "manifest.json")
    return made


@cache
def attack() -> Made:
    """An attack with an adversarial, a failure to find one, and an input without an answer."""
    values = np.full(SHAPE, 0.5, np.float32)
    smoothed = {"noise": {"name": "gaussian", "sigma": 0.3}, "n": 10, "alpha": 0.001, "search_alpha": 0.5}
    manifest = attack_manifest(SIZE, budgets=(0.1, 0.2), data=data(), soft_samples=8, **smoothed)
    manifest = replace(manifest, attack={"name": "pgd", "norm": "linf"})
    asked = {"decisions": 3, "scores": 0, "gradients": 40, "samples": 500}
    hit = AttackRecord(
        0, 1, 1, None, (0.1,), 0.1, "misclassified", 2, 1, 0, 2, 2, Counts((0, 5, 15, 0)), 1, asked, hashed(values)
    )  # fmt: skip
    miss = AttackRecord(1, 1, 1, 0.05, (0.1, 0.2), None, None, None, 0, 0, 0, 0, None, 2, asked, None)
    none = AttackRecord(2, 3, None, None, (), 0.0, "abstains", None, 0, 0, 0, 0, None, 0, asked, None)
    with TemporaryDirectory() as place:
        folder = Path(place) / "attack"
        with AttackStore(folder, manifest) as store:
            store.append([(hit, values), (miss, None), (none, None)])
            store.log_session(Session(3, 500, 1.5, {}))
        return _documents(folder, "attack.json")
