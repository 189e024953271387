"""Digests of manifests, records and results. They find damage and careless edits, and are not a signature.

docs/formats.md, "Digests", says what each is taken of.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DIGEST = "digest"
# Hexadecimal digits of a record's digest: 64 bits, which no accident meets.
_RECORD_DIGITS = 16
# Made once: `json.dumps` would make one for each call.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def manifest_digest(entries: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal, of all entries of a manifest but the digest itself."""
    return hashlib.sha256(_canonical(entries)).hexdigest()


def record_digest(manifest: str, entries: Mapping[str, Any]) -> str:
    """The digest of a record: of the digest of its run's manifest and of all its entries but the digest itself.

    The manifest's part binds a record to its run: one that was moved from another run does not fit.
    """
    return hashlib.sha256(manifest.encode() + b"\n" + _canonical(entries)).hexdigest()[:_RECORD_DIGITS]


def results_digest(manifest: str, records: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256, in hexadecimal, of a manifest's digest and of all records: one number for everything a run says.

    The manifest's part makes it pin the promise, too: the same votes under another promise have another digest.

    Args:
        manifest: digest of the manifest.
        records: entries of each record, in any order; what counts is the order of their indices.
    """
    content = hashlib.sha256(manifest.encode() + b"\n")
    for entries in sorted(records, key=lambda each: each["index"]):
        content.update(_canonical(entries) + b"\n")
    return content.hexdigest()


def _canonical(entries: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, no spaces and ASCII only: one text for one content."""
    rest = {key: value for key, value in entries.items() if key != DIGEST}
    try:
        return _ENCODER.encode(rest).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
