"""The largest radius that n, alpha and the noise can certify, and how fast a model is here."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.estimators import Estimator
    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.workflows.setup import Setup


def attainable(noise: Noise, data: DataSet, estimator: Estimator) -> dict[str, Any]:
    """What unanimous votes certify, as a document.

    Args:
        noise: smoothing noise.
        data: data set, whose shape and classes decide.
        estimator: estimator with n and alpha.
    """
    from holdfast.estimators import FixedSize, best_radius

    classes = len(data.class_names)
    radius, norm = best_radius(noise, estimator, data.shape, classes)
    return {
        "noise": str(noise),
        "norm": norm.value,
        "unit": norm.unit,
        "n": estimator.most_draws,
        "alpha": estimator.alpha,
        "best_p_lower": estimator.best_bounds(classes).p_lower,
        "largest_radius": radius,
        "information_bits": noise.information(data.shape),
        "input_bits": 8 * math.prod(data.shape),
        "least_n": estimator.most_draws
        if not isinstance(estimator, FixedSize)
        else next(
            least
            for least in itertools.count(1)
            if best_radius(noise, replace(estimator, n=least), data.shape, classes)[0] is not None
        ),
    }


def measured_speed(
    setup: Setup, classifier: VotingClassifier, batch_size: int | None, device: str, threads: int
) -> dict[str, Any]:
    """Samples per second of the loop in a short burst on the first input, its batch size, and the backend."""
    from holdfast.execution.backends import description
    from holdfast.sampling.engines.local import LocalEngine

    size, speed = LocalEngine(device, batch_size, threads).fastest_batch(classifier, setup.noise, setup.data[0])
    return {"batch_size": size, "samples_per_second": speed, "backend": description(classifier)["name"]}
