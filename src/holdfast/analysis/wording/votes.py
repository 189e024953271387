"""What is said of runs with votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from holdfast.analysis.wording.smoothed import SmoothedWords
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY

if TYPE_CHECKING:
    from holdfast.analysis.runs import VoteRun

_NOT_NOTED = "Holdfast draws a fresh one by default; if this one was given by hand, say who knew it."
_ORIGINS = {
    CHOSEN: "This one was given by hand: say who knew it.",
    ENTROPY: "This one was drawn afresh, as whoever made the run says.",
    DERIVED: "This one was not known before the auditor's nonce, when data and subset were promised already.",
}


@dataclass(frozen=True)
class VoteWords(SmoothedWords):
    """What is said of a run with votes."""

    derived: ClassVar[str] = "and every radius in this report was computed anew from the stored vote counts"
    run: VoteRun

    def seconds(self) -> None:
        """Sessions alone say it."""

    def seed(self) -> list[str]:
        """That nobody who chose the inputs knew it, as far as that is known."""
        return [
            "Whoever chose the inputs must not have known the seed beforehand. "
            f"{_ORIGINS.get(self.run.manifest.seed_origin or '', _NOT_NOTED)} Now that it is printed here, it serves "
            "to repeat the run, not to defend another one."
        ]
