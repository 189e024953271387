"""Work for the tests of engines: base classifiers that workers import, and a small real run."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from holdfast.data import open_data
from holdfast.estimators import Estimator, FixedSize
from holdfast.execution.certify import certify_run, describe_certification
from holdfast.execution.factories import BackendFactory
from holdfast.execution.versions import installed_versions
from holdfast.models.backends import Job, prepare
from holdfast.models.bundle import open_bundle
from holdfast.models.model import Model
from holdfast.noises.base import noise_from_dict
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Base, ClassifierFactory, Engine
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Certify, Votes
from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import Record, read_run
from holdfast.store.run_manifest import RunManifest
from holdfast.types import Example

CLASSES = 4
NOISE = Gaussian(0.5)
PROCEDURE = Certify(30, FixedSize(600, 0.01))
# Long enough for a busy machine; never reached if all is well.
PATIENCE = 90.0


def examples(indices: Sequence[int]) -> Iterator[Example]:
    """Examples that depend on their index only; the first value is the index."""
    for index in indices:
        x = np.random.default_rng(index).random((1, 6, 6), dtype=np.float32)
        yield Example(index, x, index % CLASSES)


def vote(z: torch.Tensor) -> torch.Tensor:
    """Logits from a few pixels."""
    return z.flatten(1)[:, :CLASSES]


def slow_vote(z: torch.Tensor) -> torch.Tensor:
    """The logits of `pixels`, after 10 ms."""
    time.sleep(0.01)
    return vote(z)


def nan_vote(z: torch.Tensor) -> torch.Tensor:
    """NaN logits."""
    return vote(z) * float("nan")


@dataclass(frozen=True)
class Seen(ClassifierFactory):
    """Slow votes; each worker creates a file in a folder, named by its process number."""

    folder: Path
    weights: bytes = b""

    def build(self, device: torch.device) -> VotingClassifier:
        (self.folder / str(os.getpid())).touch()
        return VotingClassifier(slow_vote, CLASSES)

    def workers(self) -> list[int]:
        """The process numbers so far."""
        return sorted(int(path.name) for path in self.folder.iterdir())


@dataclass(frozen=True)
class Deadly(ClassifierFactory):
    """Votes; the process is killed as soon as it sees an input near 100."""

    def build(self, device: torch.device) -> VotingClassifier:
        return VotingClassifier(self._vote, CLASSES)

    def _vote(self, z: torch.Tensor) -> torch.Tensor:
        if float(z.max()) > 50.0:
            os.kill(os.getpid(), signal.SIGKILL)
        return vote(z)


class Stillborn(ClassifierFactory):
    """A process that ends before it has a base classifier."""

    def build(self, device: torch.device) -> VotingClassifier:
        os._exit(3)


class Talking(ClassifierFactory):
    """Prints something that would clear a terminal."""

    def build(self, device: torch.device) -> VotingClassifier:
        print("making it \x1b[2J", flush=True)
        return VotingClassifier(vote, CLASSES)


class Alarmed(ClassifierFactory):
    """Warns of something."""

    def build(self, device: torch.device) -> VotingClassifier:
        warnings.warn("halved, say", RuntimeWarning, stacklevel=1)
        return VotingClassifier(vote, CLASSES)


def wait_until(reached: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def drawn(engine: Engine, classifier: Base, count: int = 30) -> Iterator[tuple[Example, Votes]]:
    """Run an engine on made-up examples."""
    return engine.run(classifier, NOISE, PROCEDURE, 9, examples(range(count)))


def expected(count: int = 30) -> dict[int, Votes]:
    """The result expected of every engine."""
    return collected(drawn(LocalEngine(batch_size=100), VotingClassifier(vote, CLASSES), count))


def collected(results: Iterator[tuple[Example, Votes]]) -> dict[int, Votes]:
    """Votes by index; each example once."""
    votes: dict[int, Votes] = {}
    for example, each in results:
        assert example.index not in votes
        votes[example.index] = each
    return votes


@dataclass(frozen=True)
class Real:
    """A small trained model, and runs of it on every 20th digit."""

    model: Path
    bundle: Model

    @classmethod
    def load(cls, model: Path) -> Real:
        return cls(model, open_bundle(model))

    def manifest(self, estimator: Estimator) -> RunManifest:
        data = open_data("digits", None, "test", {})
        return describe_certification(
            noise=noise_from_dict(self.bundle.noise),
            guarantee="cohen",
            estimator=estimator,
            n0=50,
            data=DataManifest(
                *("digits", "test", data.sha256, len(data), data.shape, data.low, data.high, data.class_names),
                every=20,
            ),
            model=self.bundle.describe(),
            seed=11,
            precision="float32",
            device="cpu",
        )

    def factory(self, **versions: str) -> BackendFactory:
        shape = self.bundle.noisy_shape
        made = prepare("torch", Job(self.bundle.module, shape))
        installed = {**installed_versions(), **versions}
        return BackendFactory("torch", made.job, len(self.bundle.classes), made.describe(), installed)

    def run(self, folder: Path, estimator: Estimator, engine: Engine) -> tuple[Record, ...]:
        """The records of a run by an engine."""
        data = open_data("digits", None, "test", {})
        certify_run(folder, self.manifest(estimator), self.factory(), data.examples, engine)
        return read_run(folder).records
