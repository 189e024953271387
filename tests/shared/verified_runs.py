"""Runs with random votes for the tests of `verify`, written as a certification writes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.analysis.runs import analyze
from holdfast.estimators import estimator_from_dict, scale_of
from holdfast.noises.base import noise_from_dict
from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import RECORDS, RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import RunManifest, read_run_manifest
from holdfast.types import Counts, RankedCounts
from holdfast.verification.rules import Claim
from holdfast.verification.run import RunFiles, Verification, check_claims, check_files
from holdfast.workflows.verify import claims_of

SHAPE = (1, 8, 8)
# Every theorem with a noise that has it.
THEOREMS = {
    "cohen": {"name": "gaussian", "sigma": 0.3},
    "cohen_lattice": {"name": "lattice-gaussian", "sigma": 0.3, "levels": 256},
    "cohen_linf": {"name": "gaussian", "sigma": 0.3},
    "lecuyer": {"name": "gaussian", "sigma": 0.3},
    "li": {"name": "gaussian", "sigma": 0.3},
    "levine": {"name": "ablation", "k": 12, "null": "multichannel", "fill": None},
    "partition": {"name": "partition", "k": 3, "pattern": "strided", "null": "multichannel", "fill": None},
    "columns": {"name": "columns", "width": 1, "null": "multichannel", "fill": None},
    "blocks": {"name": "blocks", "size": 2, "null": "multichannel", "fill": None},
    "splitting": {"name": "splitting", "half_width": 2.0, "levels": 17, "shift": 2},
    "dwork": {"name": "laplace", "b": 0.3},
    "quantiles": {"name": "laplace", "b": 0.3},
    "overlap_l1": {"name": "uniform", "half_width": 0.7},
    "overlap_linf": {"name": "uniform", "half_width": 0.7},
    "lee": {"name": "uniform-flip", "kappa": 0.6, "levels": 17},
    "lee_channels": {"name": "channel-flip", "kappa": 0.6, "levels": 17},
}
# The estimator of a bound.
PROVED: dict[str, Any] = {
    "name": "proved",
    "bound": {"name": "lipschitz", "norm": "l2"},
    "norm": "L2",
    "source": "a paper",
    "assumption": "none",
    "most": None,
}
COUNTS_PIXELS = ("levine", "partition", "columns", "blocks", "lee", "lee_channels")
# A radius of each theorem that many votes certify and few do not.
ASKED = dict.fromkeys(COUNTS_PIXELS, 1.0) | {
    "cohen": 0.3,
    "cohen_lattice": 0.3,
    "cohen_linf": 0.03,
    "lecuyer": 0.05,
    "li": 0.1,
    "splitting": 0.5,
    "dwork": 0.2,
    "quantiles": 0.2,
    "overlap_l1": 0.4,
    "overlap_linf": 0.007,
}


def rule(name: str, theorem: str, method: str = "split", n: int = 1000, alpha: float = 0.001) -> dict[str, Any]:
    """An estimator as a manifest describes it."""
    if name == "looks":
        return {"name": name, "n": n, "alpha": alpha, "radii": [ASKED[theorem]], "precision": None} | {
            "ratio": 1.5,
            "method": method,
        }
    if name == "bets":
        return {"name": name, "n": n, "alpha": alpha, "radii": [ASKED[theorem]], "precision": None} | {
            "method": method,
            "selection_share": 0.8,
        }
    if name == "eprocess":
        return {"name": name, "n": n, "alpha": alpha, "radius": ASKED[theorem]}
    return {"name": "fixed", "n": n, "alpha": alpha, "method": method}


def promised(theorem: str, estimator: dict[str, Any], size: int, classes: int = 5, **changes: Any) -> RunManifest:
    """The manifest of a run with made-up votes."""
    names = tuple(f"class {label}" for label in range(classes))
    made = RunManifest(
        kind="certify",
        noise=THEOREMS[theorem],
        guarantee=theorem,
        estimator=estimator,
        n0=50,
        data=DataManifest("made-up", "test", "0" * 64, size, SHAPE, 0.0, 1.0, names),
        model={"sha256": "1" * 64},
        seed=7,
        block=64,
        precision="float32",
        device="cpu",
        versions={"holdfast": "0"},
        created="2026-01-01T00:00:00+00:00",
    )
    return replace(made, **changes)


def drawn_votes(manifest: RunManifest, shares: NDArray[np.float64], rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Selection and estimation votes from class probabilities, drawn until the estimator asks for no more."""
    scale = scale_of(noise_from_dict(manifest.noise), manifest.guarantee, manifest.data.shape)
    selection = Counts.of(rng.multinomial(manifest.n0, shares))
    estimator = estimator_from_dict(manifest.estimator, scale).informed(selection)
    if estimator.ranked:
        return selection, drawn_rankings(estimator.most_draws, shares, rng)
    votes = np.zeros(len(shares), dtype=np.int64)
    while draws := estimator.draws_wanted(selection.top, Counts.of(votes)):
        votes += rng.multinomial(draws, shares)
    return selection, Counts.of(votes)


def drawn_rankings(number: int, shares: NDArray[np.float64], rng: np.random.Generator) -> RankedCounts:
    """Rankings in which each class is first with its probability, and then first among the others (Plackett-Luce)."""
    scores = np.log(shares + 1e-9) + rng.gumbel(size=(number, len(shares)))
    above = (scores[:, :, None] > scores[:, None, :]).sum(axis=0)
    votes = np.bincount(scores.argmax(axis=1), minlength=len(shares))
    return RankedCounts.ranked(votes.tolist(), above.tolist())


def random_records(manifest: RunManifest, seed: int = 0) -> list[VoteRecord]:
    """Records with votes from random class probabilities."""
    rng = np.random.default_rng(seed)
    classes = len(manifest.data.class_names)
    records = []
    for index in manifest.data.indices():
        share = rng.choice([rng.beta(8, 1), rng.uniform(), 1.0, 1 - 10 ** rng.uniform(-5, -1)])
        shares = np.concatenate([[share], (1 - share) * rng.dirichlet([0.5] * (classes - 1))])
        rng.shuffle(shares)
        selection, estimation = drawn_votes(manifest, shares, rng)
        records.append(VoteRecord(index, int(rng.integers(classes)), selection, estimation))
    return records


def made(folder: Path, manifest: RunManifest, seed: int = 0) -> tuple[RunFiles, list[Claim]]:
    """A run on the disk, as verify reads it, and what this installation claims about it."""
    with RunStore(folder, manifest) as store:
        store.append(random_records(manifest, seed))
    result = Verification()
    material = check_files(folder, result)
    assert material is not None
    assert result.failures == []
    return material, claims_of(analyze(read_run(folder)))


def failures(material: RunFiles, claims: list[Claim]) -> list[str]:
    """What verify says of claims."""
    result = Verification()
    check_claims(material, claims, result)
    return result.failures


def forged_line(manifest_digest: str, entries: dict[str, Any]) -> str:
    """A record with the digest that a forger would compute."""
    rest = {key: value for key, value in entries.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{manifest_digest}\n{text}".encode()).hexdigest()[:16]
    return json.dumps({**rest, "digest": digest}, separators=(",", ":")) + "\n"


def seal(folder: Path, entries: dict[str, Any]) -> str:
    """A record of the run in `folder`; see `forged_line`."""
    return forged_line(read_run_manifest(folder).digest, entries)


def forge(folder: Path, change: Any) -> None:
    """Change every record by a function of its entries, and make the digests fit."""
    lines = [seal(folder, change(json.loads(line))) for line in (folder / RECORDS).read_text().splitlines()]
    (folder / RECORDS).write_text("".join(lines))
