"""The largest radius that n, alpha and the noise can certify, how many samples a question takes, and how fast a model
is here.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError
from holdfast.workflows.question import SAMPLING, Question

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.data.base import DataSet
    from holdfast.estimators import Assumed, Estimator
    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.types import Counts
    from holdfast.workflows.setup import Setup

# Votes of each example of a pilot, and the seed of its noise, which has a stream of its own.
PILOT_SAMPLES, _PILOT_SEED = 200, 0
# Seed of the simulation: the same plan is printed again.
_SIMULATION_SEED = 0


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


def pilot(
    setup: Setup,
    classifier: VotingClassifier,
    indices: Sequence[int],
    size: int,
    device: str,
    batch_size: int,
    threads: int,
) -> list[Counts]:
    """The votes of a few examples, spread evenly over those of the plan.

    Their noise has a stream of its own, from which no certificate draws, whatever its seed: what a plan learns from
    these votes costs a run nothing of alpha.

    Args:
        setup: model, data and noise.
        classifier: the base classifier.
        indices: the examples of the plan.
        size: number of examples of the pilot; all where there are fewer.
        device, batch_size, threads: of the engine.
    """
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.sampling.procedure import Pilot
    from holdfast.sampling.rng import Stream

    size = min(size, len(indices))
    examples = [setup.data[indices[place * len(indices) // size]] for place in range(size)]
    engine = LocalEngine(device, batch_size, threads)
    found = engine.run(classifier, setup.noise, Pilot(PILOT_SAMPLES), _PILOT_SEED, examples)
    votes = {example.index: each[Stream.PILOT] for example, each in found}
    return [votes[example.index] for example in examples]


def assumption(
    top: Sequence[float] | None, votes: Sequence[Counts] | None, classes: int, simulated: int
) -> tuple[Assumed, dict[str, Any]]:
    """What is assumed of the inputs, and the same as a document: probabilities that are given, or a pilot's votes."""
    from holdfast.estimators import Assumed

    if top is not None:
        return Assumed.of_top(top, classes, simulated), {"by": "probabilities", "probabilities": list(top)}
    assert votes is not None
    shares = [max(each.votes) / each.total for each in votes]
    described = {"by": "pilot", "examples": len(votes), "samples": sum(each.total for each in votes)}
    return Assumed.of_votes(votes, simulated, _SIMULATION_SEED), {**described, "probabilities": shares}


@dataclass(frozen=True)
class Asked:
    """A question of a plan, and the estimators that are compared for it.

    Attributes:
        question: what is asked of each example.
        names: of the estimators.
        noise: smoothing noise.
        shape: of the inputs.
        theorem: name of the guarantee; None for the noise's first one.
    """

    question: Question
    names: Sequence[str]
    noise: Noise
    shape: tuple[int, ...]
    theorem: str | None = None

    @classmethod
    def of(cls, question: Question, estimator: str, noise: Noise, shape: tuple[int, ...]) -> Asked:
        """All estimators that sample, or the one that is named.

        Raises:
            UsageError: the estimator does not fit, or nothing is random.
        """
        if noise.realizations(shape) is not None and estimator in ("auto", "exact"):
            rule = question.estimator(estimator, noise, shape)
            if rule.exhaustive:
                raise UsageError(
                    f"{noise} has {rule.most_draws:,} realizations, which are each taken once whatever is asked: leave "
                    "the question out"
                )
        if estimator == "auto":
            return cls(question, SAMPLING, noise, shape)
        question.estimator(estimator, noise, shape)
        return cls(question, (estimator,), noise, shape)

    def parts(self) -> list[Question]:
        """Each radius alone and the precision alone, where there are several, then the whole question."""
        whole = self.question
        alone = [replace(whole, radii=(radius,), precision=None) for radius in whole.radii]
        if whole.precision is not None:
            alone.append(replace(whole, radii=()))
        return [*alone, whole] if len(alone) > 1 else [whole]

    def answered(self, plan: Mapping[str, Any], assumed: tuple[Assumed, dict[str, Any]]) -> dict[str, Any]:
        """For each question what each estimator that fits is expected to take and to find, as entries of a document.

        Args:
            plan: the document so far: the number of examples, and the speed if it was measured.
            assumed: of the inputs, and the same as a document.
        """
        inputs, described = assumed
        speed = plan.get("samples_per_second")
        questions = []
        for seed, part in enumerate(self.parts()):
            found = [self._expected(part, rule, inputs, plan["examples"], speed, seed) for rule in self._rules(part)]
            questions.append({"radii": list(part.radii), "precision": part.precision, "estimators": found})
        return {"assumed": described, "simulated": inputs.simulated, "questions": questions}

    def _rules(self, part: Question) -> list[Estimator]:
        rules = []
        for name in self.names:
            asked = replace(part, radii=(), precision=None) if name == "fixed" else part
            try:
                rules.append(asked.estimator(name, self.noise, self.shape, self.theorem))
            except UsageError:
                # Not for this part of the question: an e-process is for one radius.
                continue
        return rules

    def _expected(
        self, part: Question, rule: Estimator, assumed: Assumed, examples: int, speed: float | None, seed: int
    ) -> dict[str, Any]:
        from holdfast.estimators import expected, scale_of

        scale = scale_of(self.noise, self.theorem, self.shape)
        # The same inputs for all estimators, and others for each question: bounds that are known take no time.
        found = expected(rule, part.n0, part.radii, scale, assumed, seed)
        in_all = examples * (part.n0 + found.samples)
        return {
            "estimator": rule.name,
            "samples": found.samples,
            "error": found.error,
            "samples_in_all": in_all,
            "seconds": None if speed is None else in_all / speed + examples * found.seconds,
            "seconds_of_bounds": examples * found.seconds,
            "certified": {f"{radius:g}": share for radius, share in zip(part.radii, found.certified, strict=True)},
            "mean_radius": found.mean_radius,
        }
