"""Sentences about runs of a smoothed classifier, with or without votes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from holdfast.analysis import formats
from holdfast.analysis.wording.base import Words, duration, short, telling
from holdfast.stats.datasets import robust_share_cohen, robust_share_exact
from holdfast.stats.rounding import show_down
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.analysis.runs.base import SmoothedRun
    from holdfast.analysis.summaries import Summary

# Failure probability of statements about the examples of the run themselves.
_RHO = 0.001


@dataclass(frozen=True)
class SmoothedWords(Words):
    """The sentences about a run of a smoothed classifier.

    Attributes:
        derived: how its radii were obtained, as the end of a sentence.
    """

    derived: ClassVar[str]
    run: SmoothedRun

    @abstractmethod
    def seconds(self) -> str | None:
        """How long it took, if no session is recorded."""

    def provided(self) -> list[str]:
        """What everything else depends on."""
        return []

    def seed(self) -> list[str]:
        """What is assumed about the seed."""
        return []

    def limits(self) -> str:
        """What n and alpha allow at best."""
        run, most = self.run, self.run.attainable
        best = None if most is None else formats.with_unit(run.norm, formats.radius(run.norm, most))
        if run.estimator.exhaustive and best is not None:
            return f"{best} is the largest radius that all {run.estimator.most_draws:,} votes together can certify."
        setting = f"With n = {run.estimator.most_draws:,} samples and alpha = {run.alpha:g}"
        if best is None:
            return f"{setting}, nothing can be certified even if every vote agrees: n is too small for this alpha."
        return f"{setting}, {best} is the largest radius that {run.noise} can certify, even if every vote agrees."

    @final
    def speed(self) -> str | None:
        """How long it took, from the session log if there is one."""
        sessions = self.run.run.sessions
        samples, seconds = sum(each.samples for each in sessions), sum(each.seconds for each in sessions)
        examples = sum(each.examples for each in sessions)
        if seconds > 0 and examples > 0:
            times = "one session" if len(sessions) == 1 else f"{len(sessions)} sessions"
            return (
                f"{samples:,} noisy samples for {examples:,} examples in {duration(seconds)} ({times}): "
                f"{short(samples / seconds)} samples per second, {short(seconds / examples)} seconds per example."
            )
        return self.seconds()

    def stopping(self) -> list[str]:
        """When sampling stopped, and which numbers that makes smaller."""
        sentences = []
        estimator = self.run.manifest.estimator
        radii, precision = estimator.get("radii") or estimator.get("radius"), estimator.get("precision")
        if precision is not None:
            sentences.append(
                f"Sampling stopped once each input's radius was within {formats.percent(precision, 1)}% of the largest "
                "that all samples could be expected to give. The average and median radius are valid, but smaller by "
                "up to that much."
            )
        if radii:
            listed = ", ".join(map(formats.threshold, radii if isinstance(radii, list | tuple) else [radii]))
            sentences.append(
                f"Sampling stopped once each input was decided at radius {listed}. Read certified accuracy at these "
                "radii: at others, it is valid but smaller than it could be, and so are the average and median radius. "
                "An input that was given up at a radius is undecided there, which says nothing against it."
            )
        return sentences

    @final
    def proved(self, summary: Summary) -> list[str]:
        """What follows from the numbers, and with what probability."""
        alpha, norm = summary.alpha, Norm(summary.norm)
        false = short(alpha * summary.examples)
        return [
            *self.provided(),
            f"For each certified input: whatever the adversary does within the certified radius ({norm.value}, "
            f"{norm.unit}), the smoothed classifier's answer stays the certified class. This rests on "
            f"{summary.guarantee}, {self.derived}.",
            "Every realization of the noise was used once, so nothing was estimated: no certificate is false "
            "(alpha = 0)."
            if alpha == 0.0
            else f"Each certificate is false with probability at most alpha = {alpha:g}, over the random noise. Among "
            f"{summary.examples} examples that is at most {false} false ones on average.",
            *self._together(),
            *_on_these(summary),
            _intervals(summary),
            f"{_answers(alpha)} An abstention is never counted as correct, and radii are shown rounded down.",
        ]

    @final
    def not_proved(self) -> list[str]:
        """What is assumed, and what the numbers do not show."""
        return [
            "The guarantee is for the smoothed classifier, which adds this noise and takes the vote. The base "
            "classifier alone has no guarantee. In use, the noise must be added in the same input space.",
            "Changes larger than the certified radius, or measured in another norm, are not covered. An input that is "
            "not certified need not have an adversarial.",
            f"{self.run.subset.assumed} Neither can be seen from the votes.",
            self.run.assumption,
            *self.seed(),
            "The base classifier is the model as computed by the backend and at the precision named above. Another "
            "backend rounds differently and makes another base classifier, for which nothing is certified here. The "
            "base classifier must treat each input separately (no batch statistics).",
        ]

    def _together(self) -> list[str]:
        alpha = self.run.manifest.joint_alpha
        if alpha is None:
            return []
        examples = len(self.run.data.indices())
        return [
            f"All certificates of this run hold together with probability at least 1 - {alpha:g}, whatever the "
            f"dependence between them: alpha for each is {alpha:g} divided by the {examples} examples."
        ]


def _intervals(summary: Summary) -> str:
    """What both ends of an interval bound; without a random sample, the share of the examples themselves."""
    about = "all such inputs" if summary.sampled else f"these {summary.examples} examples"
    certifies = "this procedure certifies" if summary.sampled else "this procedure certifies on average"
    return (
        f"Each interval holds with {formats.percent(summary.confidence, 0)}% probability, for one radius at a time, "
        f"and covers {summary.covers}. The lower end bounds the share of {about} on which the smoothed classifier "
        f"truly is right and robust, the upper end the share that {certifies}."
    )


def _answers(alpha: float) -> str:
    if alpha == 0.0:
        return "Accuracy on unchanged inputs counts the smoothed classifier's own answers."
    return (
        "Accuracy on unchanged inputs counts answers of the procedure Predict on the estimation votes. Each answer "
        f"differs from the smoothed classifier's with probability at most {alpha:g}."
    )


def _on_these(summary: Summary) -> list[str]:
    """Two bounds on how many of these examples are robust at the headline's radius; none if alpha is 0."""
    if summary.alpha == 0.0:
        return []
    radius, share = telling(summary)
    certified = round(share.value * summary.examples)
    exact, formula = (
        100.0 * bound(certified, summary.examples, summary.alpha, _RHO)
        for bound in (robust_share_exact, robust_share_cohen)
    )
    at = "when unchanged" if radius == 0.0 else f"up to {formats.threshold(radius)}"
    return [
        f"On these {summary.examples} examples themselves, with probability {100 * (1 - _RHO):g}% over the noise: the "
        f"smoothed classifier is right and robust {at} on at least {show_down(exact, 1)}% by the exact binomial "
        f"quantile of false certificates, and on at least {show_down(formula, 1)}% by the formula of Cohen et al. "
        "2019, Appendix D."
    ]
