"""Runs of deterministic bounds: what can be checked without the model, and what cannot."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.formats.records import BoundLine
from holdfast.verification import masks, threshold_votes
from holdfast.verification.files import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.verification.files import RunFiles, Verification
    from holdfast.verification.manifest import Manifest
    from holdfast.verification.rules import Claim

_NOTE = (
    "a deterministic bound has no votes: its radii cannot be computed from the files. Checked were the digests, and "
    "that answers and radii are what the records say and what the promised epsilon allows"
)
_IN_RANGE = (
    "the radii are about changed inputs all of whose values lie in the range of the data set (inputs=in-range), and "
    "say nothing of others"
)
# In input units; no bound gives more.
_MOST = Fraction(10**9)


class BoundKind(Kind):
    """A run of a deterministic bound."""

    line = BoundLine

    def check_record(self, record: Mapping[str, Any], manifest: Manifest, totals: frozenset[int] | None) -> None:
        """The radius is one that the promised bound can give."""
        index, answer, radius = record["index"], record["answer"], Fraction(str(record["radius"]))
        most = _MOST if manifest.estimator["most"] is None else min(_MOST, Fraction(str(manifest.estimator["most"])))
        if not 0 <= radius <= most:
            raise ValueError(f"example {index}: the radius {record['radius']} is not between 0 and {float(most):g}")
        if manifest.theorem == masks.NAME and radius not in (0, masks.certified_side(manifest)):
            raise ValueError(
                f"example {index}: the radius {record['radius']} is neither 0 nor the side of the patch, "
                f"{masks.certified_side(manifest)}"
            )
        if manifest.theorem == threshold_votes.NAME and not threshold_votes.can_be(radius, manifest):
            raise ValueError(
                f"example {index}: no lead in the votes of all windows certifies the radius {record['radius']}"
            )
        if answer is None and radius:
            raise ValueError(f"example {index}: there is no answer, and a radius of {record['radius']}")

    def check_claims(self, files: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
        """What is reported is what the records say."""
        result.notes.append(_NOTE)
        if files.manifest.estimator["bound"].get("inputs") == "in-range":
            result.notes.append(_IN_RANGE)
        claimed: set[int] = set()
        for claim in claims:
            claimed.add(claim.index)
            result.claims += 1
            record = files.records.get(claim.index)
            if record is None:
                result.failures.append(f"example {claim.index}: there is a claim but no readable record")
            elif claim.label != record["answer"] or Fraction(claim.radius) != Fraction(float(str(record["radius"]))):
                result.failures.append(
                    f"example {claim.index}: class {claim.label} within {claim.radius!r} is claimed, the record says "
                    f"{record['answer']} within {record['radius']}"
                )
        unclaimed = len(set(files.records) - claimed)
        if unclaimed:
            result.failures.append(f"{unclaimed} records have no claim")
