"""Sentences about runs with votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis.wording.smoothed import SmoothedWords
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY

if TYPE_CHECKING:
    from holdfast.analysis.runs import VoteRun

_NOT_RECORDED = "Holdfast draws a fresh seed by default; if this one was given by hand, say who knew it."
_ORIGINS = {
    CHOSEN: "This one was given by hand: say who knew it.",
    ENTROPY: "This one was freshly drawn, as whoever made the run says.",
    DERIVED: "This one was not known before the auditor's nonce, after data and subset had been promised.",
}


@dataclass(frozen=True)
class VoteWords(SmoothedWords):
    """The sentences about a run with votes."""

    derived: ClassVar[str] = "and every radius in this report was recomputed from the stored vote counts"
    run: VoteRun

    def seconds(self) -> None:
        """None: only sessions record it."""

    def seed(self) -> list[str]:
        """That nobody who chose the inputs knew the seed, and what is recorded about that."""
        return [
            "Whoever chose the inputs must not have known the seed beforehand. "
            f"{_ORIGINS.get(self.run.manifest.seed_origin or '', _NOT_RECORDED)} Now that it is printed here, it "
            "serves to repeat this run, not to support another one."
        ]
