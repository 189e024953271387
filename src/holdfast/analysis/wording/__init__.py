"""What the numbers mean, in sentences for a reader who must show them to an auditor.

One file each for what is said of votes, of imported logs, of deterministic bounds and of attacks.
"""

from holdfast.analysis.wording.base import Words, adversary, spent
from holdfast.analysis.wording.kinds import words_of

__all__ = ["Words", "adversary", "spent", "words_of"]
