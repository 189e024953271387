"""The sentences for each kind of run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.runs import BoundRun, ImportedRun, VoteRun
from holdfast.analysis.wording.bounds import BoundWords
from holdfast.analysis.wording.imported import ImportedWords
from holdfast.analysis.wording.votes import VoteWords

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.wording.base import Words

_WORDS: dict[type[CertifiedRun], Callable[[Any], Words]] = {
    VoteRun: VoteWords,
    ImportedRun: ImportedWords,
    BoundRun: BoundWords,
}


def words_of(run: CertifiedRun) -> Words:
    """The sentences about a run, by its kind."""
    return _WORDS[type(run)](run)
