"""What a study is: base classifiers, runs on them, and a page made of both. Plain data, without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.reproductions.pages import Page
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRun

SCALES = ("smoke", "small", "full")

# Images of ImageNet are at least so high and wide, and so told from those of CIFAR-10.
_LEAST_SIDE = 64


@dataclass(frozen=True)
class Kind:
    """A data set that the papers use: how it is given on the command line, and what its images are.

    Attributes:
        spelling: on the command line.
        sources: names of the data sources that may give it. Shapes do not tell shirts from digits.
        channels: of its images; features, where there is no side.
        side: of its images; None for any from 64 on.
        classes: how many; None for any number.
        features: whether its inputs are feature vectors and not images.
    """

    spelling: str
    sources: tuple[str, ...]
    channels: int
    side: int | None
    classes: int | None
    features: bool = False

    def fits(self, data: DataSet) -> bool:
        """Whether this is such a data set, as far as its source, its shape and its classes tell."""
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
}


@dataclass(frozen=True)
class Model:
    """A base classifier that a study needs.

    Attributes:
        name: of its file; studies that name the same settings alike share it.
        noise: that it is trained for, as on the command line; None for none.
        architecture: by its name.
        training: settings of the training, by the names of `TrainConfig`; None for fresh weights, untrained.
        arguments: of the architecture.
        part: each so-and-so-many-th training image is trained on.
        options: of the data source besides those that the caller gives, as in "levels=2".
        checked: each so-and-so-many-th test image is classified under noise when the training is done.
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
    """A run of a study; its settings are those of `holdfast certify`.

    Attributes:
        name: of its folder; studies that name the same settings alike share it.
        model: the name of its base classifier.
        every: each so-and-so-many-th test image.
        n0: selection samples.
        n: estimation samples.
        alpha: failure probability of each certificate.
        limit: images at most.
        bounds: the class bounds that are promised: those of the papers.
        noise: that it is smoothed with; None for the one that the model was trained for.
        precision: in which the base classifier computes; "auto" for the faster one of float32 and bfloat16.
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


@dataclass(frozen=True)
class Bounding:
    """A run of a deterministic bound; its settings are those of `holdfast bound`.

    Attributes:
        name: of its folder, among the runs.
        model: the name of its classifier, trained without noise.
        bound: as on the command line.
        every: each so-and-so-many-th test image.
        limit: images at most.
    """

    name: str
    model: str
    bound: str
    every: int
    limit: int | None = None


@dataclass(frozen=True)
class Attacking:
    """An attack of a study; its settings are those of `holdfast attack`.

    Attributes:
        name: of its folder.
        model: the name of its classifier.
        attack: as on the command line.
        every: each so-and-so-many-th test image.
        limit: images at most.
        budget: in input units or pixels, or in certified radii (1x,2x); None for as small as the attack finds.
        restarts: of a randomized attack.
        target: class to lead to: None for any other, or "next".
        run: name of the certification whose inputs and radii are attacked; None for the model without noise.
        n: votes of each answer of a smoothed classifier.
        alpha: at which it answers.
        soft_samples: noisy copies of a soft vote, for gradients.
        repeats: fresh answers that verify a claim.
        confidence: of an adversarial that counts.
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


@dataclass(frozen=True)
class Plan:
    """What a study does at a scale, in this order.

    Attributes:
        models: that it trains.
        runs: certifications.
        bounds: deterministic bounds.
        attacks: on models, and on certifications.
        transfer: names of attacks whose adversarials are shown to the classifiers of all of them.
    """

    models: tuple[Model, ...] = ()
    runs: tuple[Certification, ...] = ()
    bounds: tuple[Bounding, ...] = ()
    attacks: tuple[Attacking, ...] = ()
    transfer: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A base classifier as its file describes it.

    Attributes:
        architecture: its name.
        noise: that it was trained for, as on the command line.
        sha256: of the file.
        training: settings and final figures.
    """

    architecture: str
    noise: str
    sha256: str
    training: Mapping[str, Any]

    @property
    def meaningful(self) -> bool:
        """Whether it was trained at all."""
        return self.training.get("recipe") != "untrained"


@dataclass(frozen=True)
class Finished:
    """What a page is made of.

    Attributes:
        scale: at which everything was done.
        kind: of the data; None where there are none.
        runs: by name, those of deterministic bounds among them.
        models: by name.
        notes: what is to be known of the data, in sentences.
        attacks: by name.
        transfer: attack -> attack -> share of the adversarials of the first that the classifier of the second gets
            wrong, among those of inputs that the classifier of the first gets right unchanged; None where there are
            none.
    """

    scale: str
    kind: str | None = None
    runs: Mapping[str, CertifiedRun] = field(default_factory=dict)
    models: Mapping[str, Trained] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    attacks: Mapping[str, AttackRun] = field(default_factory=dict)
    transfer: Mapping[str, Mapping[str, Proportion | None]] = field(default_factory=dict)

    def model_of(self, run: str) -> Trained:
        """The base classifier of a run."""
        digest = self.runs[run].manifest.model["sha256"]
        return next(model for model in self.models.values() if model.sha256 == digest)

    @property
    def pipeline_check(self) -> bool:
        """Whether a base classifier was not trained, so that no number is a result."""
        return not all(model.meaningful for model in self.models.values())


@dataclass(frozen=True)
class Study:
    """A published table or figure, and how it is made anew.

    Attributes:
        name: on the command line.
        title: in one line: the paper and its tables.
        data: kinds of data sets it can be made from; empty where it needs none.
        cost: for each scale, in a few words.
        plan: scale and kind of data -> what is trained and certified.
        page: what was made -> the page.
        needs_data: whether there is nothing to show without data.
    """

    name: str
    title: str
    data: tuple[str, ...]
    cost: Mapping[str, str]
    plan: Callable[[str, str], Plan]
    page: Callable[[Finished], Page]
    needs_data: bool = True

    def spelling(self) -> str:
        """How its data are given on the command line."""
        return ", or ".join(KINDS[kind].spelling for kind in self.data)

    def kind_of(self, data: DataSet) -> str:
        """Which of the study's kinds of data this is.

        Raises:
            UsageError: none of them.
        """
        for kind in self.data:
            if KINDS[kind].fits(data):
                return kind
        raise UsageError(
            f"{self.name} is about {' or '.join(self.data)}, given as {self.spelling()}; the data given are of the "
            f"source {data.source!r}, with inputs of shape {data.shape} in [{data.low:g}, {data.high:g}] and "
            f"{len(data.class_names)} classes"
        )


def no_plan(scale: str, kind: str) -> Plan:
    """The plan of a study that needs no data."""
    return Plan()


_STUDIES: dict[str, Study] = {}


def register(study: Study) -> Study:
    """Add a study to the table."""
    if study.name in _STUDIES:
        raise TypeError(f"two studies are named {study.name!r}")
    _STUDIES[study.name] = study
    return study


def studies() -> list[Study]:
    """All studies, by name."""
    return [_STUDIES[name] for name in sorted(_STUDIES)]


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in _STUDIES:
        raise UsageError(
            f"nothing is known to reproduce under the name {name!r}; known are {', '.join(sorted(_STUDIES))}. "
            "`holdfast reproduce` alone lists them"
        )
    return _STUDIES[name]


def check_scale(scale: str) -> None:
    """Raise UsageError unless it is a scale."""
    if scale not in SCALES:
        raise UsageError(f"a scale is one of {', '.join(SCALES)}, got {scale!r}")
