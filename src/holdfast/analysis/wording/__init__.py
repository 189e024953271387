"""Sentences that explain the numbers, for a reader who must show them to an auditor.

One module each for runs with votes, imported logs, deterministic bounds and attacks.
"""

from holdfast.analysis.wording.base import Words, adversary, spent
from holdfast.analysis.wording.kinds import words_of

__all__ = ["Words", "adversary", "spent", "words_of"]
