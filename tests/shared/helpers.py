"""A small run for the tests of the store: a cheap base classifier on examples made from their index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from holdfast.estimators import FixedSize
from holdfast.execution.certify import certify_run, describe_certification
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.store.data_manifest import DataManifest
from holdfast.store.run_manifest import RunManifest
from holdfast.store.seeds import Seed
from holdfast.types import Example

CLASSES = 4
SHAPE = (1, 6, 6)
# Where this module lies, for tests that start a process of their own.
SHARED = str(Path(__file__).parent)


def made_up_data(size: int = 12, **changes: object) -> DataManifest:
    """Which examples a run on made-up ones is about."""
    return replace(DataManifest("made-up", "test", "0" * 64, size, SHAPE, 0.0, 1.0, tuple("abcd")), **changes)


def manifest(size: int = 12, n: int = 300, every: int = 1, seed: int | Seed = 9, **changes: object) -> RunManifest:
    """What a run on `size` made-up examples promises."""
    made = describe_certification(
        noise=Gaussian(0.5),
        guarantee="cohen",
        estimator=FixedSize(n, 0.01),
        n0=30,
        data=made_up_data(size, every=every),
        model={"sha256": "1" * 64},
        seed=seed,
        precision="float32",
        device="cpu",
    )
    return replace(made, **changes)


def examples(indices: Sequence[int]) -> Iterator[Example]:
    """Examples that depend on their index alone."""
    for index in indices:
        rng = np.random.default_rng(index)
        yield Example(index, rng.random(SHAPE, dtype=np.float32), index % CLASSES)


def vote(z: torch.Tensor) -> torch.Tensor:
    """Logits from a few pixels."""
    return z.flatten(1)[:, :CLASSES]


def run(folder: Path, promised: RunManifest, batch_size: int = 100, backwards: bool = False) -> None:
    """Start or resume the run."""

    def ordered(indices: Sequence[int]) -> Iterator[Example]:
        return examples(list(indices)[::-1] if backwards else indices)

    certify_run(folder, promised, VotingClassifier(vote, CLASSES), ordered, LocalEngine(batch_size=batch_size))
