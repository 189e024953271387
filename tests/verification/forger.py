"""A forger of finished runs: changes manifest and records, and makes all digests fit again, `results.json` included."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Entries = dict[str, Any]


class Forger:
    """The entries of a run or of an attack in `folder`, to be changed and then sealed."""

    def __init__(self, folder: Path, manifest: str = "manifest.json") -> None:
        self.folder, self.place = folder, folder / manifest
        self.manifest: Entries = json.loads(self.place.read_text())
        self.records: list[Entries] = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]

    @property
    def data(self) -> Entries:
        """What the manifest says of its data."""
        found: Entries = self.manifest["data"]
        return found

    @property
    def model(self) -> Entries:
        """What the manifest says of its model."""
        found: Entries = self.manifest["model"]
        return found

    @property
    def estimator(self) -> Entries:
        """What the manifest says of its estimator."""
        found: Entries = self.manifest["estimator"]
        return found

    def seal(self, write: Callable[[Entries], str] = json.dumps) -> None:
        """Write everything with fresh digests; `write` spells a record."""
        promised = self.manifest["digest"] = _sha256(_canonical(self.manifest))
        self.place.write_text(json.dumps(self.manifest, indent=2) + "\n")
        for record in self.records:
            record["digest"] = _sha256(f"{promised}\n{_canonical(record)}")[:16]
        (self.folder / "records.jsonl").write_text("".join(f"{write(record)}\n" for record in self.records))
        ordered = sorted(self.records, key=lambda record: record["index"])
        whole = "".join(f"{_canonical(record)}\n" for record in ordered)
        told = {"manifest": promised, "records": len(ordered), "results": _sha256(f"{promised}\n{whole}")}
        (self.folder / "results.json").write_text(json.dumps(told))


def _canonical(entries: Entries) -> str:
    rest = {key: value for key, value in entries.items() if key != "digest"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
