"""Check a run: its files, its procedure, and every claim against the votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.verification.files import RunFiles, Verification
from holdfast.verification.imported import ImportedKind
from holdfast.verification.manifest import read_lines, read_manifest, read_record
from holdfast.verification.proved import BoundKind
from holdfast.verification.results import check_results
from holdfast.verification.votes import VoteKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.folders import Where
    from holdfast.verification.files import Kind
    from holdfast.verification.manifest import Manifest
    from holdfast.verification.rules import Claim

__all__ = ["RunFiles", "Verification", "check_claims", "check_files"]

# By the kind that a manifest names.
_KINDS: dict[str, Kind] = {"certify": VoteKind(), "imported": ImportedKind(), "bound": BoundKind()}


def check_files(folder: Where, result: Verification) -> RunFiles | None:
    """Check the digests and the procedure of a run; None where the manifest itself is wrong.

    Args:
        folder: folder of the run.
        result: takes the counts, digests, failures and notes.
    """
    try:
        manifest = read_manifest(folder)
        kind = _KINDS[manifest.kind]
        rule, totals = kind.rule(manifest, result), kind.totals(manifest)
        lines = read_lines(folder)
    except RunError as error:
        result.failures.append(str(error))
        return None
    result.digest, result.examples = manifest.digest, len(manifest.indices)
    result.kind, result.from_votes = manifest.kind, kind.from_votes
    result.seeded = kind.from_votes if rule is None else rule.sampled
    manifest.story.tell(result)
    kind.check_manifest(manifest, result)
    records: dict[int, Mapping[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        try:
            record = read_record(line, manifest.digest, kind.line)
            _check_record(record, manifest, kind, records)
            kind.check_record(record, manifest, totals)
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
    _KINDS[files.manifest.kind].check_claims(files, claims, result)


def _check_record(record: Mapping[str, Any], manifest: Manifest, kind: Kind, before: Mapping[int, Any]) -> None:
    """Raise ValueError unless the record is about an example of the run, the first one, and names classes alone."""
    index = record["index"]
    if index in before:
        raise ValueError(f"example {index} has a second record")
    if index not in kind.indices(manifest):
        raise ValueError(f"example {index} is not in the subset")
    for name in ("label", "predicted", "answer"):
        found = record.get(name)
        if found is not None and found >= manifest.classes:
            raise ValueError(f"example {index}: {name} {found} is not one of {manifest.classes} classes")
