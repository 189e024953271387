"""What a run of a deterministic bound means, in sentences: the counterparts of those about votes in `wording`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.store.run_manifest import BOUND, proved_of
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.analysis.accuracy import Summary
    from holdfast.store.run import Run
    from holdfast.store.run_manifest import RunManifest


def condition(manifest: RunManifest) -> str | None:
    """What a changed input must be, besides near, for a certificate to be about it; None for nothing."""
    if manifest.kind != BOUND or not proved_of(manifest).in_range:
        return None
    return f"every value of the changed input lies between {manifest.data.low:g} and {manifest.data.high:g}"


def limits(manifest: RunManifest) -> str:
    """How far the bound reaches."""
    bound = proved_of(manifest)
    if bound.most is None:
        return "The bound gives each input its own radius; nothing limits it beforehand, and nothing is sampled."
    size = formats.with_unit(Norm(bound.norm), formats.radius(Norm(bound.norm), bound.most))
    return f"The bound was asked about {size} and certifies nothing beyond; nothing is sampled."


def proved(run: Run, summary: Summary) -> list[str]:
    """What follows from the records."""
    norm = Norm(summary.norm)
    kept = "" if summary.condition is None else f", as long as {summary.condition}"
    return [
        f"For each single input that is certified: whatever the adversary does within the certified "
        f"radius ({norm.value}, {norm.unit}){kept}, the classifier's answer stays the certified class. This rests "
        f"on {summary.guarantee}.",
        "Nothing was sampled: no certificate is false (alpha = 0).",
        _intervals(summary),
        "An input whose two largest logits rounding cannot tell apart counts as not answered. Radii are rounded down.",
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


def not_proved(run: Run) -> list[str]:
    """What is assumed, and what no number here says."""
    bound, kept = proved_of(run.manifest), condition(run.manifest)
    return [
        "The guarantee is for the classifier as it is, without noise, with its stored weights. In float32 or another "
        "low precision the same weights give other logits near ties; the bound's margin is not measured against that.",
        bound.assumption,
        # Runs of older versions do not say it there.
        *([] if kept is None or kept in bound.assumption else [f"All of this holds as long as {kept}."]),
        "A larger change than the certified radius, or a change measured in another norm, is not covered. That an "
        "input is not certified does not mean that an attack on it exists: a bound can be loose.",
        run.manifest.data.there(run.records).assumed,
        "The records hold radii, not votes: they are checked by computing the bound again from the model.",
    ]
