"""Runs of certificates: every claim follows from the votes of its example."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.formats.records import VoteLine
from holdfast.verification.files import Kind
from holdfast.verification.findings import Unknown
from holdfast.verification.rules import rule_of, totals_of
from holdfast.verification.runoff import fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.verification.files import RunFiles, Verification
    from holdfast.verification.manifest import Manifest
    from holdfast.verification.rules import Claim, Rule

# alpha times the number of examples meets joint_alpha up to the rounding of float64.
_JOINT_SLACK = Fraction(1, 2**40)


class VoteKind(Kind):
    """A run with votes."""

    line = VoteLine
    from_votes = True

    def rule(self, manifest: Manifest, result: Verification) -> Rule | None:
        """That of the estimator."""
        try:
            return rule_of(manifest)
        except Unknown as error:
            result.unknown = str(error)
            return None

    def totals(self, manifest: Manifest) -> frozenset[int] | None:
        """Those at which the estimator may stop."""
        return totals_of(manifest)

    def check_manifest(self, manifest: Manifest, result: Verification) -> None:
        """alpha and joint_alpha fit together."""
        if manifest.joint_alpha is None:
            return
        spent = Fraction(manifest.estimator.get("alpha", 0)) * len(manifest.indices)
        if abs(spent - manifest.joint_alpha) > manifest.joint_alpha * _JOINT_SLACK:
            result.failures.append(
                f"the manifest has joint_alpha = {float(manifest.joint_alpha):g}; alpha times the number of examples "
                f"is {float(spent):g}"
            )

    def check_record(self, record: Mapping[str, Any], manifest: Manifest, totals: frozenset[int] | None) -> None:
        """As many votes as the manifest promises."""
        index = record["index"]
        for stream in ("selection", "estimation"):
            votes = record[stream]
            if len(votes) != manifest.classes:
                raise ValueError(f"example {index}: {stream} votes are {manifest.classes} numbers, found {len(votes)}")
        if sum(record["selection"]) != manifest.n0:
            raise ValueError(
                f"example {index}: {sum(record['selection'])} selection votes, the manifest has {manifest.n0}"
            )
        if (record.get("pairs") is not None) != (manifest.estimator.get("name") == "runoff"):
            raise ValueError(f"example {index}: pairs are of run-offs, and the estimator is no other")
        if record.get("pairs") is not None and (found := fault(record["estimation"], record["pairs"])):
            raise ValueError(f"example {index}: {found}")
        if totals is not None and sum(record["estimation"]) not in totals:
            raise ValueError(f"example {index}: the estimator does not stop at {sum(record['estimation'])} votes")

    def check_claims(self, files: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
        """Every claim is what the votes say."""
        claimed: set[int] = set()
        for claim in claims:
            claimed.add(claim.index)
            result.failures.extend(f"example {claim.index}: {text}" for text in _complaints(files, claim))
            result.claims += 1
        unclaimed = len(set(files.records) - claimed)
        if unclaimed:
            result.failures.append(f"{unclaimed} records have no claim")


def _complaints(files: RunFiles, claim: Claim) -> list[str]:
    """Why a claim disagrees with the votes of its example."""
    if claim.index not in files.records:
        return ["there is a claim but no readable record"]
    if not 0.0 <= claim.radius < math.inf:
        return [f"the claimed radius is {claim.radius!r}, expected a finite number from 0 on"]
    if claim.label is None and claim.radius != 0.0:
        return [f"an abstention has no radius, but {claim.radius!r} is claimed"]
    assert files.rule is not None
    return files.rule.complaints(files.votes(claim.index), claim)
