"""The digest of all records, computed again and compared with `results.json`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.folders import entered
from holdfast.formats.checking import fitting
from holdfast.formats.records import ResultsFile
from holdfast.formats.strict import MOST_LINE, json_object
from holdfast.verification.manifest import RECORDS, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.folders import Where
    from holdfast.verification.findings import Findings

RESULTS = "results.json"


def check_results(folder: Where, records: Mapping[int, Mapping[str, Any]], result: Findings) -> None:
    """Compute the digest of the results if all records exist, and compare it with the folder's own.

    Args:
        folder: folder of a run or of an attack.
        records: entries by index, all of them right.
        result: has the digest of the manifest and the counts; takes the digest of the results, and failures.
    """
    content = hashlib.sha256(f"{result.digest}\n".encode())
    for index in sorted(records):
        content.update(f"{canonical(records[index])}\n".encode())
    found = {"manifest": result.digest, "records": len(records), "results": content.hexdigest()}
    result.results = "" if result.missing else content.hexdigest()
    try:
        with entered(folder) as place:
            text = place.read(RESULTS, MOST_LINE)
        if text is None:
            return
        published = json_object(text)
        fitting(published, ResultsFile)
    except (ValueError, RunError) as error:
        result.failures.append(f"{RESULTS} cannot be read: {error}")
        return
    for name, value in found.items():
        if published[name] != value:
            result.failures.append(f"{RESULTS} has {name} = {published[name]}, manifest and {RECORDS} have {value}")
