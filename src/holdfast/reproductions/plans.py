"""What a study does: its trainings, certifications, bounds, attacks and measurements. Plain data, without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        n: estimation samples; 0 for every realization of the noise once, with n0 and alpha 0.
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


def no_plan(scale: str, kind: str) -> Plan:
    """The plan of a study that needs no data."""
    return Plan()
