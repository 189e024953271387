"""What a study's page is made from: the results of its plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRun
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.logs import AnswerLine


@dataclass(frozen=True)
class Timed:
    """How long answers took.

    Attributes:
        seconds: of each image.
        n: samples of each answer.
        machine: device, processor and threads.
    """

    seconds: tuple[float, ...]
    n: int
    machine: str


@dataclass(frozen=True)
class Answered:
    """What a classifier answers without noise.

    Attributes:
        sha256: of the classifier's file.
        right: images that it answers correctly.
        examples: images that it was asked for.
        most: images of the most frequent class among them.
        data: which images.
    """

    sha256: str
    right: int
    examples: int
    most: int
    data: DataManifest


@dataclass(frozen=True, eq=False)
class Looked:
    """Images as they are.

    Attributes:
        index: position of each in the test split.
        labels: name of the class of each.
        images: `(images, channels, height, width)`, in [0, 1].
        mean: of each channel of the training set.
        counts: how many values of the training set are 0, 1, ..., 255 (255ths, rounded).
    """

    index: tuple[int, ...]
    labels: tuple[str, ...]
    images: NDArray[np.float32]
    mean: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Trained:
    """A base classifier as described in its file.

    Attributes:
        architecture: its name.
        noise: that it was trained for, as on the command line.
        sha256: of the file.
        training: settings and final metrics.
    """

    architecture: str
    noise: str
    sha256: str
    training: Mapping[str, Any]

    @property
    def meaningful(self) -> bool:
        """Whether it was trained."""
        return self.training.get("recipe") != "untrained"


@dataclass(frozen=True, eq=False)
class Noised:
    """A noisy copy of an image.

    Attributes:
        index: position of the image in its split.
        label: name of its class.
        picture: `(height, width, 3)`, values outside of the range of inputs clipped.
        distance: L2 distance to the same image without noise, in input units.
        values: how many values the copy has.
        outside: how many of them lie outside of the range of inputs.
    """

    index: int
    label: str
    picture: NDArray[np.uint8]
    distance: float
    values: int
    outside: int


@dataclass(frozen=True)
class Asked:
    """What a classifier says of an image, of the change of it alone, and of the changed image.

    Each is the name of the most probable class, with its probability. The change is shown to it as it is drawn: grey
    where nothing changed, and scaled so that the largest change is white or black.
    """

    unchanged: tuple[str, float]
    change: tuple[str, float]
    adversarial: tuple[str, float]


@dataclass(frozen=True)
class Recount:
    """Published radii beside those that follow from the votes published with them.

    Attributes:
        images: how many there are.
        same: for how many of them both are the same.
    """

    images: int
    same: int


@dataclass(frozen=True)
class Finished:
    """What a page is made from.

    Attributes:
        scale: of the study.
        kind: of the data; None without data.
        runs: by name, including those of deterministic bounds.
        models: by name.
        notes: sentences about the data.
        attacks: by name.
        transfer: first attack -> second attack -> share of the first one's adversarials that the second one's
            classifier gets wrong, among inputs that the first one's classifier gets right unchanged; None if there are
            no such inputs.
        answers: without noise, by name.
        looks: images to show, by name.
        timed: by name.
        answer_logs: the lines of published logs of answers, by name.
        recounts: of published votes, by the name of their run.
        noisy: noisy copies of images, by the name of their job.
        asked: what classifiers say of the first adversarials, by the name of the attack and the index of the image.
    """

    scale: str
    kind: str | None = None
    runs: Mapping[str, CertifiedRun] = field(default_factory=dict)
    models: Mapping[str, Trained] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    attacks: Mapping[str, AttackRun] = field(default_factory=dict)
    transfer: Mapping[str, Mapping[str, Proportion | None]] = field(default_factory=dict)
    answers: Mapping[str, Answered] = field(default_factory=dict)
    looks: Mapping[str, Looked] = field(default_factory=dict)
    timed: Mapping[str, Timed] = field(default_factory=dict)
    answer_logs: Mapping[str, tuple[AnswerLine, ...]] = field(default_factory=dict)
    recounts: Mapping[str, Recount] = field(default_factory=dict)
    noisy: Mapping[str, tuple[Noised, ...]] = field(default_factory=dict)
    asked: Mapping[str, Mapping[int, Asked]] = field(default_factory=dict)

    def model_of(self, run: str) -> Trained:
        """The base classifier of a run."""
        digest = self.runs[run].manifest.model["sha256"]
        return next(model for model in self.models.values() if model.sha256 == digest)

    @property
    def pipeline_check(self) -> bool:
        """Whether some base classifier is untrained, so that no number is a result."""
        return not all(model.meaningful for model in self.models.values())
