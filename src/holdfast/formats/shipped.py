"""JSON schemas of the documents, for docs/formats, as exact as JSON schemas can be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.formats import manifests, models, outputs, records

if TYPE_CHECKING:
    from pathlib import Path

# The draft that msgspec follows.
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_KINDS: dict[str, tuple[str, Any]] = {
    "run-manifest": ("manifest.json of a run", manifests.RunDocument),
    "attack-manifest": ("attack.json of an attack", manifests.AttackManifest),
    "certify-record": ("a line of records.jsonl of a run of kind certify", records.VoteLine),
    "imported-record": ("a line of records.jsonl of a run of kind imported", records.ClaimLine),
    "bound-record": ("a line of records.jsonl of a run of kind bound", records.BoundLine),
    "attack-record": ("a line of records.jsonl of an attack", records.AttackLine),
    "results": ("results.json of a run or of an attack", records.ResultsFile),
    "session": ("a line of sessions.jsonl", records.SessionLine),
    "log-line": ("a line of a log that was exported as JSON lines", records.LogLine),
    "bundle-header": ("the entry holdfast in the header of a bundle", models.BundleHeader),
    "table-by-class": ("what holdfast table prints of the classes of runs", list[outputs.ClassTableDocument]),
    "table-compare": ("what holdfast table prints of runs compared with each other", outputs.RunComparisonDocument),
    "checkpoint-position": ("the entry holdfast-checkpoint in the header of a checkpoint", models.Position),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Name of a document -> its JSON schema."""
    return {name: {"$schema": _DRAFT, "title": title, **_schema(kind)} for name, (title, kind) in _KINDS.items()}


def write_schemas(folder: Path) -> None:
    """Write each schema to a file NAME.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_text(written(schema), encoding="utf-8")


def written(schema: dict[str, Any]) -> str:
    """The text of a schema's file."""
    return json.dumps(schema, indent=2) + "\n"


def _schema(kind: Any) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.schema(kind)
    # A keyword of OpenAPI, not of JSON Schema.
    made.pop("discriminator", None)
    return made
