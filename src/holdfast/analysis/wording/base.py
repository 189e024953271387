"""Sentences about a run of any kind, and the interface for those of each kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from holdfast.analysis import choices, formats
from holdfast.analysis.choices import SEED, SUBSET
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.summaries import Summary
    from holdfast.stats.datasets import Proportion

_SEED_REMEDY = "a seed that is derived from an auditor's nonce cannot be chosen"
_SUBSET_REMEDY = "a subset named by a reader, or the whole split, was not chosen for its result"
_REMEDIES = {
    (SEED,): f"Nothing here shows that no others were tried; {_SEED_REMEDY}.",
    (SUBSET,): f"Nothing here shows that no others were tried; {_SUBSET_REMEDY}.",
    (SEED, SUBSET): f"Nothing here shows that no others were tried; {_SEED_REMEDY}, and {_SUBSET_REMEDY}.",
}


@dataclass(frozen=True)
class Words(ABC):
    """The sentences about a run.

    Attributes:
        run: the run.
        opening: start of the headline.
        based_on: the kind of its method, for "no figure for this data set with this noise".
        manifest_title: title of the table of manifest settings.
        manifest_note: a note below that title; empty for none.
    """

    opening: ClassVar[str] = "Of "
    based_on: ClassVar[str] = "noise"
    manifest_title: ClassVar[str] = "Settings promised before the first sample"
    manifest_note: ClassVar[str] = ""
    run: CertifiedRun

    @abstractmethod
    def limits(self) -> str:
        """How large radii can be at best."""

    @abstractmethod
    def speed(self) -> str | None:
        """How long it took; None if it was not recorded."""

    @abstractmethod
    def proved(self, summary: Summary) -> list[str]:
        """What follows from the numbers, and with what probability."""

    @abstractmethod
    def not_proved(self) -> list[str]:
        """What is assumed, and what the numbers do not show."""

    def provenance(self) -> list[str]:
        """Warnings about the origin of the radii."""
        return []

    def stopping(self) -> list[str]:
        """Warnings about numbers that are smaller than they could be because sampling stopped early."""
        return []

    @final
    def headline(self, summary: Summary) -> str:
        """The main result in one sentence, at the largest radius certified for at least half of the examples."""
        radius, share = telling(summary)
        confidence = formats.percent(summary.confidence, 0)
        answered = "answered correctly when unchanged" if radius == 0.0 else "certified correct against"
        condition = "" if summary.condition is None else f", as long as {summary.condition}"
        against = "" if radius == 0.0 else f" {_every_change(Norm(summary.norm), radius)}{condition}"
        return (
            f"{self.opening}{summary.subset}, {formats.percent(share.value)}% [{confidence}% interval: "
            f"{' to '.join(formats.ends(share))}] are {answered}{against}."
        )

    @final
    def second_line(self, summary: Summary) -> str:
        """Accuracy without an adversary, and abstentions."""
        return (
            f"Unchanged inputs: {formats.with_interval(summary.accuracy)} are answered correctly, and "
            f"{formats.with_interval(summary.abstention_rate)} get no answer (abstention). "
            f"{_median(summary)}"
        )

    @final
    def warnings(self) -> list[str]:
        """What a reader must know before using the numbers."""
        run, warnings = self.run, [*self.stopping(), *self.provenance()]
        have, missing = len(run.results), run.run.missing
        if missing > 0:
            warnings.append(
                f"This run is not finished: it has {have} of {have + missing} examples so far. The numbers describe "
                f"only these {have}; if they were taken in order, the others may differ from them."
            )
        if run.subset.caution is not None:
            warnings.append(run.subset.caution)
        if run.chosen:
            warnings.append(f"{choices.caution(run.chosen)} {_REMEDIES[run.chosen]}")
        if run.data.split == "train":
            warnings.append(
                "These are training examples: the numbers say little about inputs that the classifier never saw."
            )
        return warnings


def adversary(norm: Norm, space: tuple[float, float] | None) -> str:
    """What an adversary may do in this norm, and what a radius measures.

    Args:
        norm: of the radii.
        space: smallest and largest value of an input; None if not known, or not the same for all runs.
    """
    if norm is Norm.L0:
        return (
            "The adversary may change some pixels of the input to any values; the radius is the number of changed "
            "pixels. All colour channels of a pixel count as one; for tabular data, a pixel is a feature."
        )
    if norm is Norm.PATCH:
        return (
            "The adversary may change all pixels within one square patch, anywhere in the image and to any values; the "
            "radius is the side of the square in pixels. The square may go on at the opposite edge."
        )
    span = "" if space is None else f", where every value lies between {space[0]:g} and {space[1]:g}"
    return (
        f"The adversary may change every value of the input a little; the radius is the {norm.value} norm of the "
        f"whole change, in input units{span}."
    )


def spent(summary: Summary) -> str:
    """What early stopping saved; empty if every input used all its samples."""
    if summary.mean_draws is None or summary.mean_draws == summary.n:
        return ""
    return (
        f"Sampling stopped as soon as each input was decided: {short(summary.mean_draws)} of at most "
        f"{summary.n:,} estimation samples on average, {short(summary.n / summary.mean_draws)} times fewer."
    )


def telling(summary: Summary) -> tuple[float, Proportion]:
    """The largest radius above 0 at which at least half of the examples are certified correct; else radius 0."""
    candidates = [radius for radius, share in summary.certified_accuracy.items() if radius > 0 and share.value >= 0.5]
    radius = max(candidates, default=0.0)
    return radius, summary.certified_accuracy[radius] if radius else summary.accuracy


def duration(seconds: float) -> str:
    """In seconds, minutes or hours."""
    if seconds < 120:
        return f"{short(seconds)} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def short(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _every_change(norm: Norm, radius: float) -> str:
    size = formats.with_unit(norm, formats.threshold(radius))
    if norm is Norm.L0:
        return f"every change of {'' if radius == 1 else 'up to '}{size}, whatever the new values"
    if norm is Norm.PATCH:
        side = formats.threshold(radius)
        return f"every change within a square patch of {side} x {side} pixels, anywhere and whatever the new values"
    return f"every change of {norm.value} norm up to {size}"


def _median(summary: Summary) -> str:
    norm = Norm(summary.norm)
    if summary.median_certified_radius is None:
        return "Fewer than half are certified correct, so there is no median certified radius."
    size = formats.with_unit(norm, formats.radius(norm, summary.median_certified_radius))
    return f"At least half of these examples are certified correct at {size} (median certified radius)."
