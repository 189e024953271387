"""The digest of all records together, computed again and compared with what `results.json` says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from holdfast.formats.checking import fitting
from holdfast.formats.records import ResultsFile
from holdfast.formats.strict import json_object
from holdfast.runs.verification.promise import RECORDS, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from holdfast.runs.verification.outcome import Outcome

RESULTS = "results.json"


def check_results(folder: Path, records: Mapping[int, Mapping[str, Any]], result: Outcome) -> None:
    """Note the digest of the results where there are all records, and compare it with the folder's own.

    Args:
        folder: of a run or of an attack.
        records: entries by index, all of them right.
        result: has the digest of the manifest and the counts; takes the digest of the results, and failures.
    """
    content = hashlib.sha256(f"{result.digest}\n".encode())
    for index in sorted(records):
        content.update(f"{canonical(records[index])}\n".encode())
    found = {"manifest": result.digest, "records": len(records), "results": content.hexdigest()}
    result.results = "" if result.missing else content.hexdigest()
    path = folder / RESULTS
    if not path.is_file():
        return
    try:
        said = json_object(path.read_bytes())
        fitting(said, ResultsFile)
    except ValueError as error:
        result.failures.append(f"{RESULTS} cannot be read: {error}")
        return
    for name, value in found.items():
        if said[name] != value:
            result.failures.append(f"{RESULTS} has {name} = {said[name]}, manifest and {RECORDS} have {value}")
