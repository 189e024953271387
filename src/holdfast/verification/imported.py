"""Imported logs: their radii are claims of another tool, which n and alpha must allow."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.formats.records import ClaimLine
from holdfast.verification.files import Kind
from holdfast.verification.findings import Unknown
from holdfast.verification.rules import ByBounds, Votes, rule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.verification.files import RunFiles, Verification
    from holdfast.verification.manifest import Manifest
    from holdfast.verification.rules import Claim

# Of an input, in an imported log about a data set that is not known.
_SHAPE_UNKNOWN = (1,)


class ImportedKind(Kind):
    """An imported log."""

    line = ClaimLine

    def indices(self, manifest: Manifest) -> range:
        """Of the whole split: which examples a log is about is in its records alone."""
        return range(manifest.size)

    def rule(self, manifest: Manifest, result: Verification) -> None:
        """None: there are no votes. What else is wrong with it is told where the radii are looked at."""
        try:
            rule_of(manifest)
        except Unknown as error:
            result.unknown = str(error)
        except RunError:
            return

    def check_record(self, record: Mapping[str, Any], manifest: Manifest, totals: frozenset[int] | None) -> None:
        """There is nothing to compare it with."""
        return

    def check_claims(self, files: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
        """There are no votes: only that the radii can be reached at all can be checked."""
        manifest = files.manifest
        note = "an imported log holds no votes: its radii stay claims of another tool. The digests were checked"
        rule = rule_of(manifest)
        if not isinstance(rule, ByBounds):
            result.notes.append(note)
            result.failures.append(f"an imported log has the estimator fixed, found {manifest.estimator.get('name')!r}")
            return
        certain = [claim for claim in claims if claim.label is not None]
        if rule.theorem.whole:
            _check_whole(certain, result)
            note += ", and that radii are whole numbers of pixels"
            if manifest.shape == _SHAPE_UNKNOWN:
                result.notes.append(
                    f"{note}. Whether n and alpha allow radii as large depends on the number of pixels of an input, "
                    "which is not known: `holdfast import-log --data-name` takes it from the name of a published data "
                    "set"
                )
                return
        result.notes.append(f"{note}, and that n and alpha allow radii as large")
        unanimous = Votes((1, *[0] * (manifest.classes - 1)), (rule.n, *[0] * (manifest.classes - 1)))
        too_large = []
        for claim in certain:
            text = str(files.records[claim.index]["radius"])
            # A count of pixels is not rounded; a part of a pixel is complained of above.
            least = Fraction(math.floor(Fraction(text))) if rule.theorem.whole else least_meant(text)
            if least > 0 and not rule.sound(unanimous, least):
                too_large.append(claim.radius)
        if too_large:
            result.failures.append(
                f"{len(too_large)} claims are larger than n = {rule.n} and alpha = {float(rule.alpha):g} allow "
                f"({rule.most(unanimous)}); the largest is {max(too_large):g}"
            )


def _check_whole(claims: Iterable[Claim], result: Verification) -> None:
    """A radius that counts pixels has no fraction."""
    parts = [claim for claim in claims if not claim.radius.is_integer()]
    if parts:
        result.failures.append(
            f"{len(parts)} claims are not whole numbers of pixels, as radii in L0 are; the first is "
            f"{parts[0].radius!r}, of example {parts[0].index}. The log is of another noise, or was changed"
        )


def least_meant(text: str) -> Fraction:
    """The smallest number that the decimal `text` can stand for, were it rounded to nearest."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = len(mantissa.partition(".")[2]) - int(exponent or 0)
    return Fraction(text) - Fraction(1, 2) / Fraction(10) ** digits
