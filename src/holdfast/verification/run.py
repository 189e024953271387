"""Check a run: its files, its procedure, and every claim against the votes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.formats.records import BoundLine, ClaimLine, VoteLine
from holdfast.verification.findings import Findings, Unknown
from holdfast.verification.manifest import read_lines, read_manifest, read_record
from holdfast.verification.proved import check_proved, check_radius
from holdfast.verification.results import check_results
from holdfast.verification.rules import ByBounds, Claim, Rule, Votes, rule_of, totals_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.folders import Where
    from holdfast.verification.manifest import Manifest

# alpha times the number of examples meets joint_alpha up to the rounding of float64.
_JOINT_SLACK = Fraction(1, 2**40)
# What a line holds, by the kind of the run.
_LINES = {"certify": VoteLine, "imported": ClaimLine, "bound": BoundLine}
# Of an input, in an imported log about a data set that is not known.
_SHAPE_UNKNOWN = (1,)


@dataclass
class Verification(Findings):
    """The outcome of checking a run.

    Attributes:
        kind: "certify", "imported" or "bound".
        claims: number of claims that were recomputed from votes.
        log_lines: number of lines of an exported log that were checked.
    """

    kind: str = ""
    claims: int = 0
    log_lines: int = 0

    @property
    def supported(self) -> bool:
        """Whether radii follow from votes; a bound and an imported log have none."""
        return self.kind == "certify"


@dataclass(frozen=True)
class RunFiles:
    """A run as verify read it.

    Attributes:
        manifest: what the manifest says.
        rule: rule of its estimator; None without votes, as in an imported log and a deterministic bound, and where
            verify does not know what radii follow from them.
        records: entries by index, those whose digest and content are right.
    """

    manifest: Manifest
    rule: Rule | None
    records: Mapping[int, Mapping[str, Any]]

    def votes(self, index: int) -> Votes:
        """The votes of a record."""
        record = self.records[index]
        return Votes(tuple(record["selection"]), tuple(record["estimation"]))


def check_files(folder: Where, result: Verification) -> RunFiles | None:
    """Check the digests and the procedure of a run; None where the manifest itself is wrong.

    Args:
        folder: folder of the run.
        result: takes the counts, digests, failures and notes.
    """
    try:
        manifest = read_manifest(folder)
        rule, totals = _rule(manifest, result)
        lines = read_lines(folder)
    except RunError as error:
        result.failures.append(str(error))
        return None
    result.digest, result.kind, result.examples = manifest.digest, manifest.kind, len(manifest.indices)
    _check_manifest(manifest, result)
    records: dict[int, Mapping[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        try:
            record = read_record(line, manifest.digest, _LINES[manifest.kind])
            _check_record(record, manifest, totals, records)
        except ValueError as error:
            result.failures.append(f"records.jsonl, line {number}: {error}")
        else:
            records[record["index"]] = record
    result.records = len(records)
    if not result.failures:
        check_results(folder, records, result)
    return RunFiles(manifest, rule, records)


def check_claims(files: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
    """Check every claim against the votes; for an imported log, against what its n and alpha can give at most."""
    if files.manifest.kind == "bound":
        check_proved(files, claims, result)
        return
    if files.manifest.kind == "imported":
        _check_imported(files, claims, result)
        return
    claimed: set[int] = set()
    for claim in claims:
        claimed.add(claim.index)
        result.failures.extend(f"example {claim.index}: {text}" for text in complaints(files, claim))
        result.claims += 1
    unclaimed = len(set(files.records) - claimed)
    if unclaimed:
        result.failures.append(f"{unclaimed} records have no claim")


def complaints(files: RunFiles, claim: Claim) -> list[str]:
    """Why a claim disagrees with the votes of its example."""
    if claim.index not in files.records:
        return ["there is a claim but no readable record"]
    if not 0.0 <= claim.radius < math.inf:
        return [f"the claimed radius is {claim.radius!r}, expected a finite number from 0 on"]
    if claim.label is None and claim.radius != 0.0:
        return [f"an abstention has no radius, but {claim.radius!r} is claimed"]
    assert files.rule is not None
    return files.rule.complaints(files.votes(claim.index), claim)


def _rule(manifest: Manifest, result: Verification) -> tuple[Rule | None, frozenset[int] | None]:
    """The rule that votes are judged by, and how many there may be; None for none, or for any number.

    Raises:
        RunError: an entry of the procedure is wrong.
    """
    if manifest.kind == "bound":
        return None, None
    try:
        rule = rule_of(manifest)
    except Unknown as error:
        result.unknown = str(error)
        rule = None
    except RunError:
        if manifest.kind == "certify":
            raise
        # Told where its radii are looked at.
        rule = None
    return (rule, totals_of(manifest)) if manifest.kind == "certify" else (None, None)


def _check_manifest(manifest: Manifest, result: Verification) -> None:
    manifest.story.tell(result)
    if manifest.kind == "certify" and manifest.joint_alpha is not None:
        spent = Fraction(manifest.estimator.get("alpha", 0)) * len(manifest.indices)
        if abs(spent - manifest.joint_alpha) > manifest.joint_alpha * _JOINT_SLACK:
            result.failures.append(
                f"the manifest has joint_alpha = {float(manifest.joint_alpha):g}; alpha times the number of examples "
                f"is {float(spent):g}"
            )


def _check_record(
    record: Mapping[str, Any], manifest: Manifest, totals: frozenset[int] | None, before: Mapping[int, Any]
) -> None:
    """Raise ValueError unless the manifest's procedure can have written the record."""
    index = record["index"]
    if index in before:
        raise ValueError(f"example {index} has a second record")
    if index not in (range(manifest.size) if manifest.kind == "imported" else manifest.indices):
        raise ValueError(f"example {index} is not in the subset")
    for name in ("label", "predicted", "answer"):
        found = record.get(name)
        if found is not None and found >= manifest.classes:
            raise ValueError(f"example {index}: {name} {found} is not one of {manifest.classes} classes")
    if manifest.kind == "imported":
        return
    if manifest.kind == "bound":
        check_radius(record, manifest)
        return
    for stream in ("selection", "estimation"):
        votes = record[stream]
        if len(votes) != manifest.classes:
            raise ValueError(f"example {index}: {stream} votes are {manifest.classes} numbers, found {len(votes)}")
    if sum(record["selection"]) != manifest.n0:
        raise ValueError(f"example {index}: {sum(record['selection'])} selection votes, the manifest has {manifest.n0}")
    if totals is not None and sum(record["estimation"]) not in totals:
        raise ValueError(f"example {index}: the estimator does not stop at {sum(record['estimation'])} votes")


def _check_imported(files: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
    """Check an imported log, which has no votes: only whether its radii are possible at all."""
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
                f"{note}. Whether n and alpha allow radii as large depends on the number of pixels of an input, which "
                "is not known: `holdfast import-log --data-name` takes it from the name of a published data set"
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
