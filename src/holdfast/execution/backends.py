"""The base classifier of a run on a backend: the one that is named, or the fastest one for the work at hand."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from holdfast.errors import ClassifierError, UsageError
from holdfast.models.architectures.rejecting import check_answers
from holdfast.models.backends import Backend, Calibration, Job, check_precision, having, kind_of, prepare, usable
from holdfast.models.precision import BFLOAT16, FLOAT32, HOPELESS, Speeds
from holdfast.noises.draws import Draws
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.devices import torch_device
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.rng import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.data.base import DataSet
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.types import Example

AUTO = "auto"

# Noisy training inputs that int8 is calibrated on, and the seed of their noise. Part of what f is.
_CALIBRATION_INPUTS, _CALIBRATION_SEED = 512, 0
# A job that the reference does in so many seconds is not worth a choice; one that takes longer than this on the best
# backend so far is worth a compilation by torch.
_SHORT_SECONDS, _LONG_SECONDS = 30.0, 600.0
_SLOW_TO_PREPARE = ("torch-compiled",)
# Samples of the first bursts of a measurement and of all others; seconds after which there is no other; and seconds
# that a batch may take by the speed so far, since a precision that the processor lacks can take a second a sample.
_FIRST_BURSTS, _BURST, _BURST_SECONDS, _BATCH_SECONDS = (4, 64), 256, 0.3, 2.0
# Noisy copies for which the logits of two backends are compared, and by how much of the largest they may differ.
_COMPARED, _AGREEMENT = 5, {"float32": 2.0**-8, "bfloat16": 2.0**-3}
# Samples of the burst that says whether there is anything to measure.
_ROUGH = 64
# What speeds are about.
_COPY = "a noisy copy"


@dataclass(frozen=True, eq=False)
class ClassifierBuilder:
    """Makes the base classifier of a model, a noise and a precision, on any backend.

    Attributes:
        model: in float32.
        noise: noise on its inputs.
        precision: precision that it computes in.
        device: "cpu", "cuda" or "cuda:N".
        threads: processor threads.
        training_set: opens the training split, for the calibration of int8.
    """

    model: Model
    noise: Noise
    precision: str
    device: str
    threads: int
    training_set: Callable[[], DataSet]

    def classifier(self, backend: str) -> VotingClassifier:
        """The base classifier on the backend of that name.

        Raises:
            UsageError, MissingExtraError: see `prepare`.
            DataError: there is no training split to calibrate int8 on.
        """
        check_precision(self.precision)
        check_answers(self.model.module, self.model.name)
        calibration = calibration_on(self.training_set(), self.noise) if self.precision == "int8" else None
        shape = self.noise.noisy_shape(self.model.input_space.shape)
        job = Job(self.model.module, shape, self.precision, torch_device(self.device), self.threads, calibration)
        return VotingClassifier(prepare(backend, job), len(self.model.classes))

    @property
    def reference(self) -> str:
        """The backend that the others are compared with."""
        return having(self.precision, kind_of(self.model.module))[0]

    def _usable(self) -> list[str]:
        return usable(self.precision, torch_device(self.device), kind_of(self.model.module))

    def chosen(self, backend: str, example: Example, samples: int) -> VotingClassifier:
        """The base classifier on the backend named, or where that is `auto` on the fastest one.

        Where the reference takes half a minute at most, it is the one. Otherwise each backend that has the precision
        classifies short bursts of noisy copies of `example`.

        Args:
            backend: a name or `auto`.
            example: some input.
            samples: largest number of samples that will be drawn.
        """
        if backend != AUTO:
            return self.classifier(backend)
        # Where there is none, `prepare` says why.
        first, *others = self._usable() or [self.reference]
        best = reference = self.classifier(first)
        # A measurement takes thousands of samples: not for a job of hundreds.
        if not others or samples / self._speed_at_least(best, example, samples) <= _SHORT_SECONDS:
            return best
        speed = self._speed(best, example)
        if samples / speed <= _SHORT_SECONDS:
            return best
        for name in sorted(others, key=lambda name: name in _SLOW_TO_PREPARE):
            if name in _SLOW_TO_PREPARE and samples / speed <= _LONG_SECONDS:
                continue
            try:
                candidate = self.classifier(name)
                if not self._agree(reference, candidate, example):
                    continue
                found = self._speed(candidate, example)
            except (UsageError, ClassifierError):
                # A converter that does not know a layer or takes a size for a constant; or a processor without the
                # precision.
                continue
            if found > speed:
                best, speed = candidate, found
        return best

    def speeds(self, backend: str, example: Example, samples: int) -> Speeds | None:
        """Seconds of a noisy copy in float32 and in bfloat16; None where float32 takes half a minute at most.

        Args:
            backend: a name, or `auto` for the fastest one in each precision.
            example: some input.
            samples: largest number of samples that will be drawn.

        Raises:
            UsageError: the backend has neither precision; see `prepare`.
        """
        places = {name: replace(self, precision=name) for name in (FLOAT32, BFLOAT16)}
        first = {name: each.reference if backend == AUTO else backend for name, each in places.items()}
        reference = places[FLOAT32].classifier(first[FLOAT32])
        if samples / self._speed(reference, example) <= _SHORT_SECONDS:
            return None
        # One copy at a time first, so that a hopeless precision is cut off at once.
        single = LocalEngine(self.device, 1, self.threads)
        alone = {FLOAT32: 1.0 / single.fastest_batch(reference, self.noise, example)[1]}
        try:
            other = places[BFLOAT16].classifier(first[BFLOAT16])
        except UsageError:
            # A processor without the precision.
            return Speeds(alone[FLOAT32], math.inf, _COPY)
        alone[BFLOAT16] = 1.0 / single.fastest_batch(other, self.noise, example)[1]
        if alone[BFLOAT16] >= HOPELESS * alone[FLOAT32]:
            return Speeds(alone[FLOAT32], alone[BFLOAT16], _COPY)
        first_best, other_best = (
            1.0 / self._speed(each.chosen(backend, example, samples), example) for each in places.values()
        )
        return Speeds(first_best, other_best, _COPY)

    def _agree(self, reference: VotingClassifier, other: VotingClassifier, example: Example) -> bool:
        """Whether two backends give nearly the same logits for a few noisy copies: exporters may lose what they trace.

        In 8 bits the difference says little.
        """
        if self.precision not in _AGREEMENT:
            return True
        noisy = self.noise.sample(torch.from_numpy(example.x), Draws(0, 0, Stream.CALIBRATION, _COMPARED))
        noisy = noisy.to(torch_device(self.device))
        with torch.no_grad():
            expected, found = (each.outputs(noisy).float() for each in (reference, other))
        if expected.ndim == 1:
            return bool((expected == found).all())
        finite = expected.isfinite() & found.isfinite()
        size = float(expected[finite].abs().max()) if bool(finite.any()) else 1.0
        return float((expected - found)[finite].abs().max()) <= _AGREEMENT[self.precision] * size

    def _speed_at_least(self, classifier: VotingClassifier, example: Example, samples: int) -> float:
        """Samples per second of one short burst, which warms up: it has no more samples than will be drawn."""
        size = max(1, min(_ROUGH, samples))
        return LocalEngine(self.device, size, self.threads).speed_of_burst(classifier, self.noise, example)

    def _speed(self, classifier: VotingClassifier, example: Example) -> float:
        """Samples per second of the best of the bursts that fit into the time; of one burst if the network is slow."""
        end, best = time.perf_counter() + _BURST_SECONDS, 0.0
        for size in chain(_FIRST_BURSTS, repeat(_BURST)):
            if best and (time.perf_counter() >= end or size > _BATCH_SECONDS * best):
                break
            engine = LocalEngine(self.device, size, self.threads)
            best = max(best, engine.fastest_batch(classifier, self.noise, example)[1])
        return best


def description(classifier: VotingClassifier) -> dict[str, Any]:
    """The manifest's description of the backend of a base classifier."""
    return cast("Backend", classifier.function).describe()


def calibration_on(training_set: DataSet, noise: Noise) -> Calibration:
    """Training inputs spread evenly over the split, each with its own noise; they are always the same."""
    count = min(_CALIBRATION_INPUTS, len(training_set))
    indices = np.arange(count) * len(training_set) // count
    inputs = [
        noise.sample(torch.from_numpy(x), Draws(_CALIBRATION_SEED, int(index), Stream.CALIBRATION, 1))
        for index, x in zip(indices, training_set.batch(indices), strict=True)
    ]
    return Calibration(
        torch.cat(inputs).numpy(),
        {
            "source": training_set.source,
            "split": training_set.split,
            "sha256": training_set.sha256,
            "inputs": count,
            "seed": _CALIBRATION_SEED,
        },
    )
