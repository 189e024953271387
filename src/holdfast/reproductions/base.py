"""Studies: base classifiers, runs on them, and a page made from both. Plain data, without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.reproductions.pages import Page
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRun
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.logs import AnswerLine

SCALES = ("smoke", "small", "full")

# Least height and width of ImageNet images, which tells them from those of CIFAR-10.
_LEAST_SIDE = 64


@dataclass(frozen=True)
class Kind:
    """A data set that the papers use: how to give it on the command line, and what its inputs are.

    Attributes:
        spelling: on the command line.
        sources: names of the data sources that may load it, since shapes do not tell shirts from digits.
        channels: number of channels of its images, or of features.
        side: height and width of its images; None for any from 64 on.
        classes: number of classes; None for any.
        features: whether its inputs are feature vectors instead of images.
        logs: whether it is no data set but a folder of logs that other people published.
    """

    spelling: str
    sources: tuple[str, ...]
    channels: int
    side: int | None
    classes: int | None
    features: bool = False
    logs: bool = False

    def fits(self, data: DataSet) -> bool:
        """Whether `data` is of this kind, judged by its source, shape, range and classes."""
        if data.source not in self.sources:
            return False
        if self.features:
            return data.shape == (self.channels,) and self.classes in (None, len(data.class_names))
        if len(data.shape) != 3 or data.shape[0] != self.channels or (data.low, data.high) != (0.0, 1.0):
            return False
        sides = data.shape[1:]
        fitting = min(sides) >= _LEAST_SIDE if self.side is None else sides == (self.side, self.side)
        return fitting and self.classes in (None, len(data.class_names))


KINDS = {
    "mnist": Kind("mnist:DIR", ("mnist", "mnist-binary"), 1, 28, 10),
    "cifar10": Kind("cifar10:DIR or parquet:FILE", ("cifar10", "parquet"), 3, 32, 10),
    "imagenet": Kind("imagenet:DIR or parquet:FILE,size=224", ("imagenet", "images", "parquet"), 3, None, None),
    "fashion-mnist": Kind("fashion-mnist:DIR", ("fashion-mnist",), 1, 28, 10),
    "svhn": Kind("svhn:DIR", ("svhn",), 3, 32, 10),
    "har": Kind("har:DIR", ("har",), 561, None, 6, features=True),
    "cohen-logs": Kind("logs:DIR", (), 0, None, None, logs=True),
}


def logs_kind(spec: str) -> str | None:
    """The kind of logs that a spec like logs:DIR names; None for the spec of a data set."""
    name = spec.partition(":")[0]
    return next((kind for kind, each in KINDS.items() if each.logs and each.spelling.partition(":")[0] == name), None)


@dataclass(frozen=True)
class Model:
    """A base classifier that a study needs.

    Attributes:
        name: of its file; studies with the same settings use the same name and share the file.
        noise: to train for, as on the command line; None for none.
        architecture: its name.
        training: training settings, by the names of `TrainConfig`; None for untrained, random weights. Where the recipe
            takes the file of another model, name one of the same plan, as in "NAME.safetensors": it is trained first.
        arguments: of the architecture.
        part: train on every `part`-th training image.
        options: of the data source, added to the caller's, as in "levels=2".
        checked: after training, classify every `checked`-th test image under noise.
    """

    name: str
    noise: str | None
    architecture: str
    training: Mapping[str, Any] | None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    part: int = 1
    options: str = ""
    checked: int = 1


@dataclass(frozen=True)
class Certification:
    """A run of a study, with the settings of `holdfast certify`.

    Attributes:
        name: of its folder; studies with the same settings use the same name and share the folder.
        model: the name of its base classifier.
        every: certify every `every`-th test image.
        n0: selection samples.
        n: estimation samples.
        alpha: failure probability of each certificate.
        limit: most images.
        bounds: the class bounds; by default the papers'.
        noise: to smooth with; None for the noise that the model was trained for.
        precision: of the base classifier; "auto" for the faster one of float32 and bfloat16.
        sample: a random sample of so many test images in the place of `every` and `limit`, as on the command line.
    """

    name: str
    model: str
    every: int
    n0: int
    n: int
    alpha: float
    limit: int | None = None
    bounds: str = "cohen"
    noise: str | None = None
    precision: str = "auto"
    sample: str | None = None


@dataclass(frozen=True)
class Bounding:
    """A run of a deterministic bound, with the settings of `holdfast bound`.

    Attributes:
        name: of its folder, among the runs.
        model: the name of its classifier, trained without noise.
        bound: as on the command line.
        every: bound every `every`-th test image.
        limit: most images.
    """

    name: str
    model: str
    bound: str
    every: int
    limit: int | None = None


@dataclass(frozen=True)
class Attacking:
    """An attack of a study, with the settings of `holdfast attack`.

    Attributes:
        name: of its folder.
        model: the name of its classifier.
        attack: as on the command line.
        every: attack every `every`-th test image.
        limit: most images.
        budget: in input units or pixels, or in certified radii (1x,2x); None for the smallest change found.
        restarts: of a randomized attack.
        target: the class to reach: "next", or None for any other class.
        run: name of the certification whose inputs and radii are attacked; None for the model without noise.
        n: votes per answer of a smoothed classifier.
        alpha: failure probability of its answers.
        soft_samples: noisy copies per gradient.
        repeats: fresh answers that verify a claimed adversarial.
        confidence: required of an adversarial.
        seed: of all its randomness, to give several attacks the same random starts; None for a fresh one.
    """

    name: str
    model: str
    attack: str
    every: int
    limit: int | None = None
    budget: str | None = None
    restarts: int = 1
    target: str | None = None
    run: str | None = None
    n: int = 1_000
    alpha: float = 0.05
    soft_samples: int = 64
    repeats: int = 20
    confidence: float = 0.95
    seed: int | None = None


@dataclass(frozen=True)
class Answering:
    """The answers of a classifier by itself, without noise: its clean accuracy.

    Attributes:
        name: of these answers.
        model: the name of its classifier, trained without noise.
        every: ask for every `every`-th test image.
        limit: most images.
    """

    name: str
    model: str
    every: int
    limit: int | None = None


@dataclass(frozen=True)
class Looking:
    """Test images that a page shows as they are, with the values of the training set; in [0, 1].

    Attributes:
        name: of them.
        every: take every `every`-th test image.
        limit: most images.
    """

    name: str
    every: int
    limit: int


@dataclass(frozen=True)
class Timing:
    """Answers of `holdfast predict --fixed`, one image after the other, to see how long one takes.

    Attributes:
        name: of the measurement.
        model: the name of its base classifier.
        n: samples of each answer.
        alpha: failure probability of each answer.
        limit: number of test images, after one that is not timed.
    """

    name: str
    model: str
    n: int
    alpha: float
    limit: int


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
class Importing:
    """A published log that a study reads, with the settings of `holdfast import-log`.

    Attributes:
        name: of its folder, among the runs.
        files: where it may lie below the folder of logs; the first one that is there is taken.
        noise: of the tool that wrote it.
        dataset: the data set that it is about, by name.
        n0: selection samples.
        n: estimation samples.
        alpha: failure probability, as documented.
    """

    name: str
    files: tuple[str, ...]
    noise: str
    dataset: str
    n0: int
    n: int
    alpha: float


@dataclass(frozen=True)
class Reading:
    """A published log of answers, without radii, that a study reads.

    Attributes:
        name: by which the page finds it.
        files: where it may lie below the folder of logs; the first one that is there is taken.
    """

    name: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Noising:
    """Noisy copies of a few test images, one of each, for pictures. They are made anew each time, always the same.

    The draw of an image is the same for all of these jobs, so that with Gaussian noise only sigma makes a difference.

    Attributes:
        name: of them.
        noise: as on the command line; None for none.
        every: copy every `every`-th test image.
        limit: most images.
        before: squares of so many pixels a side are averaged before the noise is added.
        after: and so many a side of the noisy image afterwards.
    """

    name: str
    noise: str | None
    every: int
    limit: int
    before: int = 1
    after: int = 1


@dataclass(frozen=True)
class Plan:
    """What a study does at a scale, in this order.

    Attributes:
        models: base classifiers to train.
        runs: certifications.
        bounds: deterministic bounds.
        attacks: on models, and on certifications.
        transfer: names of attacks whose adversarials are given to the classifiers of all these attacks.
        answers: of models without noise.
        looks: images to show.
        logs: published logs to read; those that are not in the folder are left out.
        answer_logs: published logs of answers to read, likewise.
        timings: of single answers; measured anew each time.
        noisy: noisy copies of images.
        asked: names of attacks whose classifiers, without noise, are asked how sure they are of the first adversarials.
    """

    models: tuple[Model, ...] = ()
    runs: tuple[Certification, ...] = ()
    bounds: tuple[Bounding, ...] = ()
    attacks: tuple[Attacking, ...] = ()
    transfer: tuple[str, ...] = ()
    answers: tuple[Answering, ...] = ()
    looks: tuple[Looking, ...] = ()
    logs: tuple[Importing, ...] = ()
    answer_logs: tuple[Reading, ...] = ()
    timings: tuple[Timing, ...] = ()
    noisy: tuple[Noising, ...] = ()
    asked: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class Study:
    """A published table or figure, and how to reproduce it.

    Attributes:
        name: on the command line.
        title: the paper and its tables, in one line.
        data: the kinds of data it accepts; empty if it needs none.
        cost: for each scale, in a few words.
        plan: scale and kind of data -> what to train and certify.
        page: what was made -> the page.
        needs_data: whether there is nothing to show without data.
        items: which of the things that the seed documents describe it shows, as in "L11" (docs/seeds.md).
    """

    name: str
    title: str
    data: tuple[str, ...]
    cost: Mapping[str, str]
    plan: Callable[[str, str], Plan]
    page: Callable[[Finished], Page]
    needs_data: bool = True
    items: tuple[str, ...] = ()

    def spelling(self) -> str:
        """How to give its data on the command line."""
        return ", or ".join(KINDS[kind].spelling for kind in self.data)

    def logs_in(self, spec: str) -> tuple[str, str] | None:
        """The kind of logs and the folder of a spec like logs:DIR; None for the spec of a data set."""
        kind = logs_kind(spec)
        return (kind, spec.partition(":")[2]) if kind in self.data else None

    def kind_of(self, data: DataSet) -> str:
        """Which of the study's kinds of data `data` is.

        Raises:
            UsageError: it is none of them.
        """
        for kind in self.data:
            if KINDS[kind].fits(data):
                return kind
        raise UsageError(
            f"{self.name} needs {' or '.join(self.data)}, given as {self.spelling()}; the data given are from the "
            f"source {data.source!r}, with inputs of shape {data.shape} in [{data.low:g}, {data.high:g}] and "
            f"{len(data.class_names)} classes"
        )


def no_plan(scale: str, kind: str) -> Plan:
    """The plan of a study that needs no data."""
    return Plan()


_STUDIES: dict[str, Study] = {}


def register(study: Study) -> Study:
    """Register a study by its name."""
    if study.name in _STUDIES:
        raise TypeError(f"two studies are named {study.name!r}")
    _STUDIES[study.name] = study
    return study


def studies() -> list[Study]:
    """All studies, by name."""
    return [_STUDIES[name] for name in sorted(_STUDIES)]


def find_study(name: str) -> Study:
    """The study with this name.

    Raises:
        UsageError: there is no such study.
    """
    if name not in _STUDIES:
        raise UsageError(
            f"there is no study named {name!r}; the studies are {', '.join(sorted(_STUDIES))}. `holdfast reproduce` "
            "lists them"
        )
    return _STUDIES[name]


def check_scale(scale: str) -> None:
    """Raise UsageError unless `scale` is one."""
    if scale not in SCALES:
        raise UsageError(f"the scale must be one of {', '.join(SCALES)}, got {scale!r}")
