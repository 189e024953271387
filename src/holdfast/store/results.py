"""The digest of a complete run's results, in its own file: it can be published beside the manifest's digest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from holdfast.errors import RunError
from holdfast.folders import entered
from holdfast.formats.checking import fitting
from holdfast.formats.records import ResultsFile
from holdfast.formats.strict import MOST_LINE, json_object
from holdfast.store.digests import results_digest
from holdfast.store.folder import RECORDS, whole_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.folders import Folder, Where

FILE_NAME = "results.json"


@dataclass(frozen=True)
class Results:
    """The content of `results.json`.

    Attributes:
        manifest: digest of the run's manifest.
        records: how many there are.
        results: digest of the manifest's digest and of all records.
    """

    manifest: str
    records: int
    results: str


def results_of(manifest_digest: str, lines: Iterable[bytes]) -> Results:
    """The digest of the records in `lines`, in whatever order these are.

    Args:
        manifest_digest: digest of the manifest.
        lines: lines of the records' file, each of which has been read as a record.
    """
    records = [json_object(line, MOST_LINE) for line in lines]
    return Results(manifest_digest, len(records), results_digest(manifest_digest, records))


def read_results(folder: Where | Folder) -> Results | None:
    """The `results.json` of a folder; None if there is no such file, as in incomplete runs.

    Raises:
        RunError: the file is not such a document.
    """
    with entered(folder) as place:
        text, path = place.read(FILE_NAME, MOST_LINE), place / FILE_NAME
    if text is None:
        return None
    try:
        stated = fitting(json_object(text), ResultsFile)
    except ValueError as error:
        raise RunError(
            f"{path} is not what Holdfast writes ({error}); expected the digest of the manifest, the number of records "
            "and the digest of the results. Restore it from a copy, or delete it: it is computed again from the records"
        ) from error
    return Results(stated.manifest, stated.records, stated.results)


def check_results(folder: Where | Folder, manifest_digest: str, lines: Iterable[bytes]) -> Results | None:
    """The digest of the results of a folder, if it has one.

    Raises:
        RunError: it does not fit its records.
    """
    stated = read_results(folder)
    found = None if stated is None else results_of(manifest_digest, lines)
    if stated is not None and found is not None and found != stated:
        raise RunError(
            f"{folder / FILE_NAME} does not fit the records: it speaks of {stated.records} records with the digest "
            f"{stated.results} under the manifest {stated.manifest}; {RECORDS} has {found.records} with "
            f"{found.results} under {found.manifest}. Records were changed, added or lost since it was complete, or "
            "the file is of another run; restore both from a copy. Records that are missing are computed again by the "
            "command that made the run"
        )
    return stated


def conclude(folder: Folder, manifest_digest: str, examples: int) -> None:
    """Write `results.json` if the run is complete. Only for whoever holds the folder's lock.

    Args:
        folder: folder of the run or of the attack, whose records have been read.
        manifest_digest: digest of its manifest.
        examples: number of examples that must have a record.

    Raises:
        RunError: there is one already, for other records.
        OSError: the operating system refuses to write it.
    """
    lines = whole_lines(folder)
    if len(lines) != examples:
        return
    if read_results(folder) is not None:
        check_results(folder, manifest_digest, lines)
        return
    with folder.replacing(FILE_NAME) as file:
        file.write((json.dumps(asdict(results_of(manifest_digest, lines)), indent=2) + "\n").encode())
