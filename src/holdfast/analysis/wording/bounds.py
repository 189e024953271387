"""Sentences about runs of deterministic bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis import formats
from holdfast.analysis.wording.base import Words, duration
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.analysis.runs import BoundRun
    from holdfast.analysis.summaries import Summary


@dataclass(frozen=True)
class BoundWords(Words):
    """The sentences about a run of a deterministic bound."""

    based_on: ClassVar[str] = "bound"
    manifest_title: ClassVar[str] = "Settings promised before the first example"
    run: BoundRun

    def limits(self) -> str:
        """The largest radius of the bound."""
        most, norm = self.run.attainable, self.run.norm
        if most is None:
            return "The bound gives each input its own radius, without a limit known beforehand. Nothing is sampled."
        size = formats.with_unit(norm, formats.radius(norm, most))
        return f"The bound was computed for {size} and certifies nothing beyond. Nothing is sampled."

    def speed(self) -> str | None:
        """From the session log."""
        sessions = self.run.run.sessions
        seconds, examples = sum(each.seconds for each in sessions), sum(each.examples for each in sessions)
        return f"{examples:,} examples in {duration(seconds)}." if seconds > 0 else None

    def proved(self, summary: Summary) -> list[str]:
        """What follows from the records."""
        norm = Norm(summary.norm)
        condition = "" if summary.condition is None else f", as long as {summary.condition}"
        return [
            f"For each certified input: whatever the adversary does within the certified radius ({norm.value}, "
            f"{norm.unit}){condition}, the classifier's answer stays the certified class. This rests on "
            f"{summary.guarantee}.",
            "Nothing was sampled: no certificate is false (alpha = 0).",
            _intervals(summary),
            "An input counts as not answered if rounding hides which of its two largest logits is larger. Radii "
            "are rounded down.",
        ]

    def not_proved(self) -> list[str]:
        """What is assumed, and what the numbers do not show."""
        condition, assumption = self.run.condition, self.run.assumption
        return [
            "The guarantee is for the classifier as it is, without noise, with its stored weights. In float32 or "
            "another low precision the same weights give other logits near ties; the bound's margin is not measured "
            "against that.",
            assumption,
            # The assumption of an older run may not name it.
            *([] if condition is None or condition in assumption else [f"All of this holds as long as {condition}."]),
            "Changes larger than the certified radius, or measured in another norm, are not covered. An input that is "
            "not certified need not have an adversarial: a bound can be loose.",
            self.run.subset.assumed,
            "The records hold radii, not votes: to check them, compute the bound again from the model.",
        ]


def _intervals(summary: Summary) -> str:
    if not summary.sampled:
        return (
            f"Each share is exactly that of these {summary.examples} examples. The intervals cover {summary.covers}; "
            "alpha is 0, so they say nothing more about these."
        )
    return (
        f"Each interval holds with {formats.percent(summary.confidence, 0)}% probability, for one radius at a time, "
        "and covers the choice of the subset: the lower end bounds the share of all such inputs that this bound "
        "certifies correctly."
    )
