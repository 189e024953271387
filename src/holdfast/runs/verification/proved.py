"""Runs of deterministic bounds: what can be checked without the model, and that the rest cannot."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.runs.verification.check import Material, Verification
    from holdfast.runs.verification.promise import Promise
    from holdfast.runs.verification.rules import Claim

_NOTE = (
    "a deterministic bound has no votes: its radii cannot be computed from the files. Checked were the digests, and "
    "that answers and radii are what the records say and what the promised epsilon allows; `holdfast bound` with the "
    "model computes them anew"
)


def check_radius(record: Mapping[str, Any], promise: Promise) -> None:
    """Raise ValueError unless a record is one that the promised bound can have written."""
    index, answer, radius = record["index"], record["answer"], Fraction(str(record["radius"]))
    if answer is not None and not (type(answer) is int and 0 <= answer < promise.classes):
        raise ValueError(f"example {index}: answer {answer!r} is not one of {promise.classes} classes")
    most = promise.estimator["most"]
    if radius < 0 or (most is not None and radius > Fraction(str(most))):
        raise ValueError(f"example {index}: the radius {record['radius']} is not between 0 and {most}")
    if answer is None and radius:
        raise ValueError(f"example {index}: there is no answer, and a radius of {record['radius']}")


def check_proved(material: Material, claims: Iterable[Claim], result: Verification) -> None:
    """Check that what is reported is what the records say."""
    result.notes.append(_NOTE)
    claimed: set[int] = set()
    for claim in claims:
        claimed.add(claim.index)
        result.claims += 1
        record = material.records.get(claim.index)
        if record is None:
            result.failures.append(f"example {claim.index}: there is a claim and no record that could be read")
        elif claim.label != record["answer"] or Fraction(claim.radius) != Fraction(float(str(record["radius"]))):
            result.failures.append(
                f"example {claim.index}: class {claim.label} within {claim.radius!r} is claimed, the record says "
                f"{record['answer']} within {record['radius']}"
            )
    unclaimed = len(set(material.records) - claimed)
    if unclaimed:
        result.failures.append(f"{unclaimed} records have no claim")
