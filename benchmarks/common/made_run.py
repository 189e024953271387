"""A run with made-up votes, in the form that a certification writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import RunStore, VoteRecord
from holdfast.store.run_manifest import RunManifest
from holdfast.types import Counts

if TYPE_CHECKING:
    from pathlib import Path

N, CLASSES = 100_000, 10


def write_run(folder: Path, examples: int) -> None:
    """Write a complete run with votes like those of a trained network: many near unanimous, some near a tie."""
    rng = np.random.default_rng(0)
    manifest = RunManifest(
        kind="certify",
        noise={"name": "gaussian", "sigma": 0.5},
        guarantee="cohen",
        estimator={"name": "fixed", "n": N, "alpha": 0.001, "method": "split"},
        n0=100,
        data=DataManifest("synthetic", "test", "0" * 64, examples, (3, 32, 32), 0.0, 1.0, tuple("abcdefghij")),
        model={},
        seed=1,
        block=64,
        precision="float32",
        device="cpu",
        versions={},
    )
    selection = Counts((100,) + (0,) * (CLASSES - 1))
    records = []
    for index in range(examples):
        shares = np.concatenate([[share := rng.beta(3, 0.8)], (1 - share) * rng.dirichlet([0.4] * (CLASSES - 1))])
        records.append(VoteRecord(index, 0, selection, Counts.of(rng.multinomial(N, shares))))
    with RunStore(folder, manifest) as store:
        store.append(records)
        store.conclude()
