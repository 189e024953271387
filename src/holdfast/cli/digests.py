"""Print the two digests of a finished run, which can be published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.terminal import console

if TYPE_CHECKING:
    from pathlib import Path


def say(folder: Path) -> None:
    """Print both digests of a finished run or attack."""
    from holdfast.analysis.verdicts.base import digest_lines
    from holdfast.store.results import read_results

    found = read_results(folder)
    if found is not None:
        for text in digest_lines(found.manifest, found.results, found.records):
            console.say(text)
