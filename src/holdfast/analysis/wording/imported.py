"""Sentences about logs that another tool wrote: their radii are its claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis.wording.base import short
from holdfast.analysis.wording.smoothed import SmoothedWords

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.analysis.runs import ImportedRun


@dataclass(frozen=True)
class ImportedWords(SmoothedWords):
    """The sentences about an imported log."""

    opening: ClassVar[str] = "Another tool claims: of "
    manifest_title: ClassVar[str] = "Settings stated for the log"
    manifest_note: ClassVar[str] = (
        "Another tool wrote the log. These settings were given or guessed at the import; nothing was promised "
        "beforehand."
    )
    derived: ClassVar[str] = "as the other tool's log claims; Holdfast has no votes to check it by"
    run: ImportedRun

    def limits(self) -> str:
        """What n and alpha allow at best, if known."""
        if self.run.limit_known:
            return super().limits()
        return (
            "The largest radius that n and alpha allow depends on the number of pixels of an input, which the log does "
            "not state. `holdfast import-log --data-name` takes it from the name of a published data set."
        )

    def seconds(self) -> str | None:
        """As the log states."""
        claimed = [result.seconds for result in self.run.results if result.seconds is not None]
        if not claimed:
            return None
        return f"{short(sum(claimed) / len(claimed))} seconds per example on average, as the imported log states."

    def provenance(self) -> list[str]:
        """That the radii are claims."""
        return [
            "These radii are claims of another tool. Its log holds no vote counts, so Holdfast could not recompute or "
            "check any radius; it computed only the accuracies and intervals below, from the claims."
        ]

    def provided(self) -> list[str]:
        """That the other tool did what its log states."""
        return [
            "All of this holds only if the other tool followed the procedure, the n and the alpha stated for its log."
        ]


def claims(named: Iterable[tuple[str, str | None]]) -> list[str]:
    """Turn the claims of runs into sentences, with the name of the run if there are several runs."""
    runs = list(named)
    notes = [(name, note) for name, note in runs if note is not None]
    return [f"{note[0].upper()}{note[1:]}." if len(runs) == 1 else f"{name}: {note}." for name, note in notes]
