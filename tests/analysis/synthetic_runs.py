"""Runs with chosen votes, written through the run store as a certification writes them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.analysis.runs import analyze
from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import ClaimRecord, RunStore, Session, VoteRecord, read_run
from holdfast.store.run_manifest import RunManifest
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.run import Record

GAUSSIAN = {"name": "gaussian", "sigma": 0.25}
ABLATION = {"name": "ablation", "k": 45, "null": "multichannel", "fill": None}
COLUMNS = {"name": "columns", "width": 2, "null": "multichannel", "fill": None}
# The theorem of a run, by its noise.
THEOREMS = {"gaussian": "cohen", "columns": "columns"}
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DIGITS = tuple(str(digit) for digit in range(10))


def data(size: int, **changes: Any) -> DataManifest:
    """A test split of 8 x 8 digits."""
    promise = DataManifest(
        source="digits",
        split="test",
        sha256="ab" * 32,
        size=size,
        shape=(1, 8, 8),
        low=0.0,
        high=1.0,
        class_names=DIGITS,
    )
    return replace(promise, **changes)


def manifest(promise: DataManifest, noise: dict[str, Any] = GAUSSIAN, n: int = 1000, **changes: Any) -> RunManifest:
    whole = RunManifest(
        kind="certify",
        noise=noise,
        guarantee=THEOREMS.get(noise["name"], "levine"),
        estimator={"name": "fixed", "n": n, "alpha": 0.001, "method": "cohen"},
        n0=100,
        data=promise,
        model={"architecture": "small-cnn", "arguments": {"width": 32}, "sha256": "cd" * 32},
        seed=271828182845904523536028747135266249775,
        block=128,
        precision="float32",
        device="cpu",
        versions={"holdfast": "0.1.0", "torch": "2.13.0"},
    )
    return replace(whole, **changes)


def votes(index: int, label: int, top: int, hits: int, classes: int = 10, n: int = 1000) -> VoteRecord:
    """`hits` votes for `top`; the others go to the next two classes."""
    selection, estimation = [0] * classes, [0] * classes
    selection[top] = 100
    estimation[top] = hits
    estimation[(top + 1) % classes] += (n - hits) - (n - hits) // 3
    estimation[(top + 2) % classes] += (n - hits) // 3
    return VoteRecord(index, label, Counts(tuple(selection)), Counts(tuple(estimation)))


def write_run(
    folder: Path, promise: RunManifest, records: Sequence[Record], sessions: Sequence[Session] = ()
) -> CertifiedRun:
    with RunStore(folder, promise) as store:
        store.append(records)
        for session in sessions:
            store.log_session(session)
    return analyze(read_run(folder))


def four(folder: Path, noise: dict[str, Any] = GAUSSIAN, **changes: Any) -> CertifiedRun:
    """Four examples: all votes right, 900 votes right, all votes wrong, and an abstention."""
    records = [votes(0, 3, 3, 1000), votes(1, 4, 4, 900), votes(2, 5, 6, 1000), votes(3, 7, 7, 500)]
    session = Session(examples=4, samples=4400, seconds=2.0, settings={})
    return write_run(folder, manifest(data(4, **changes), noise), records, [session])


def imported(folder: Path, **changes: Any) -> CertifiedRun:
    """A log of another tool about every 20th image of CIFAR-10."""
    promise = replace(
        manifest(data(100, source="cifar10", shape=(3, 32, 32), class_names=CIFAR10, every=20), n=100000),
        kind="imported",
        model={},
        seed=None,
        n0=100,
        versions={},
        **changes,
    )
    claims = [
        ClaimRecord(0, 3, 3, 0.9, 14.0),
        ClaimRecord(20, 8, 8, 0.25, 15.0),
        ClaimRecord(40, 8, 0, 0.5, 16.0),
        ClaimRecord(60, 0, None, 0.0, 15.0),
        ClaimRecord(80, 6, 6, 0.3, 15.0),
    ]
    return write_run(folder, promise, claims)


def many(folder: Path, noise: dict[str, Any], count: int = 360, n: int = 10000, **changes: Any) -> CertifiedRun:
    """A run that looks like a real one."""
    random = np.random.default_rng(len(str(noise)))
    records = []
    for number in range(count):
        label = int(random.integers(10))
        top = label if random.random() < 0.97 else (label + 1) % 10
        records.append(votes(number, label, top, int(n * random.beta(12, 0.7)), n=n))
    promise = manifest(data(**{"size": 899, "limit": count, **changes}), noise, n=n)
    session = Session(examples=count, samples=count * (n + 100), seconds=57.3, settings={})
    return write_run(folder, promise, records, [session])


def add_gallery(run: CertifiedRun, indices: Sequence[int], side: int = 8, noisy: int = 3) -> None:
    """Pictures as a certification keeps them."""
    random = np.random.default_rng(1)
    pictures = random.integers(0, 256, (len(indices), 1 + noisy, side, side, 3)).astype(np.uint8)
    np.savez(run.folder / "gallery.npz", index=np.array(indices, dtype=np.int64), pictures=pictures)
