"""Print the two digests of a finished run, which can be published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli import console

if TYPE_CHECKING:
    from pathlib import Path


def lines(manifest: str, results: str | None, records: int) -> list[str]:
    """Both digests, for people; that of the results only if all records exist."""
    printed = ["manifest SHA-256:", f"  {manifest}"]
    return printed + ([f"results SHA-256 ({records:,} records):", f"  {results}"] if results else [])


def say(folder: Path) -> None:
    """Print both digests of a finished run or attack."""
    from holdfast.store.results import read_results

    found = read_results(folder)
    if found is not None:
        for text in lines(found.manifest, found.results, found.records):
            console.say(text)
