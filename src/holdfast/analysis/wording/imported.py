"""What is said of logs that another tool wrote: their radii are its claims."""

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
    """What is said of an imported log."""

    opening: ClassVar[str] = "Another tool claims: of "
    manifest_title: ClassVar[str] = "What the log says about itself"
    manifest_note: ClassVar[str] = (
        "The log was written by another tool, and these entries were given or guessed when it was imported; nothing "
        "was promised beforehand."
    )
    derived: ClassVar[str] = "as the other tool's log claims; Holdfast has no votes to check it by"
    run: ImportedRun

    def limits(self) -> str:
        """What n and alpha allow at best, if that is known."""
        if self.run.limit_known:
            return super().limits()
        return (
            "What n and alpha allow at most depends on the number of pixels of an input, which the log does not tell. "
            "`holdfast import-log --data-name` takes it from the name of a published data set."
        )

    def seconds(self) -> str | None:
        """As the log says."""
        claimed = [result.seconds for result in self.run.results if result.seconds is not None]
        if not claimed:
            return None
        return f"{short(sum(claimed) / len(claimed))} seconds an example on average, as the imported log says."

    def provenance(self) -> list[str]:
        """That they are claims."""
        return [
            "These radii are claims of another tool. Its log holds no vote counts, so Holdfast could not recompute or "
            "check a single radius; only the accuracies and intervals below are computed here, from the claims."
        ]

    def provided(self) -> list[str]:
        """That the other tool did what it says."""
        return [
            "All of this holds only if the other tool kept to the procedure, the n and the alpha that its log names."
        ]


def claims(named: Iterable[tuple[str, str | None]]) -> list[str]:
    """What is claimed in several runs, as sentences, each with the name of its run where there are several runs."""
    runs = list(named)
    notes = [(name, note) for name, note in runs if note is not None]
    return [f"{note[0].upper()}{note[1:]}." if len(runs) == 1 else f"{name}: {note}." for name, note in notes]
