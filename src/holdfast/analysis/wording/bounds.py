"""What is said of runs of deterministic bounds."""

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
    """What is said of a run of a deterministic bound."""

    based_on: ClassVar[str] = "bound"
    manifest_title: ClassVar[str] = "What was promised before the first example"
    run: BoundRun

    def limits(self) -> str:
        """How far the bound reaches."""
        most, norm = self.run.attainable, self.run.norm
        if most is None:
            return "The bound gives each input its own radius; nothing limits it beforehand, and nothing is sampled."
        size = formats.with_unit(norm, formats.radius(norm, most))
        return f"The bound was asked about {size} and certifies nothing beyond; nothing is sampled."

    def speed(self) -> str | None:
        """From the session log."""
        sessions = self.run.run.sessions
        seconds, examples = sum(each.seconds for each in sessions), sum(each.examples for each in sessions)
        return f"{examples:,} examples in {duration(seconds)}." if seconds > 0 else None

    def proved(self, summary: Summary) -> list[str]:
        """What follows from the records."""
        norm = Norm(summary.norm)
        kept = "" if summary.condition is None else f", as long as {summary.condition}"
        return [
            f"For each single input that is certified: whatever the adversary does within the certified "
            f"radius ({norm.value}, {norm.unit}){kept}, the classifier's answer stays the certified class. This rests "
            f"on {summary.guarantee}.",
            "Nothing was sampled: no certificate is false (alpha = 0).",
            _intervals(summary),
            "An input whose two largest logits rounding cannot tell apart counts as not answered. Radii are rounded "
            "down.",
        ]

    def not_proved(self) -> list[str]:
        """What is assumed, and what no number here says."""
        kept, assumption = self.run.condition, self.run.assumption
        return [
            "The guarantee is for the classifier as it is, without noise, with its stored weights. In float32 or "
            "another low precision the same weights give other logits near ties; the bound's margin is not measured "
            "against that.",
            assumption,
            # Runs of older versions do not say it there.
            *([] if kept is None or kept in assumption else [f"All of this holds as long as {kept}."]),
            "A larger change than the certified radius, or a change measured in another norm, is not covered. That an "
            "input is not certified does not mean that an attack on it exists: a bound can be loose.",
            self.run.subset.assumed,
            "The records hold radii, not votes: they are checked by computing the bound again from the model.",
        ]


def _intervals(summary: Summary) -> str:
    if not summary.sampled:
        return (
            f"Each share is that of these {summary.examples} examples, exactly. The intervals cover {summary.covers}; "
            "alpha is 0, so they say nothing more of these."
        )
    return (
        f"Each interval holds with {formats.percent(summary.confidence, 0)}% probability, for one radius at a time, "
        "and covers the choice of the subset: the lower end bounds the share of all such inputs that this bound "
        "certifies and that are right."
    )
