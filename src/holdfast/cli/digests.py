"""What a command that finishes a run prints at its end: the two digests that can be published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli import console

if TYPE_CHECKING:
    from pathlib import Path


def lines(manifest: str, results: str | None, records: int) -> list[str]:
    """Both digests, for people; that of the results where all records are there."""
    said = ["manifest SHA-256:", f"  {manifest}"]
    return said + ([f"results SHA-256 ({records:,} records):", f"  {results}"] if results else [])


def say(folder: Path) -> None:
    """Print those of a finished run or attack."""
    from holdfast.store.results import read_results

    found = read_results(folder)
    if found is not None:
        for text in lines(found.manifest, found.results, found.records):
            console.say(text)
