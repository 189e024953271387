"""Run-off elections: the winner, and how many ballots may be replaced by any others without another one.

A ballot ranks all classes. Derivation of everything here: docs/guarantees.md, "A run-off between two classes".
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Pairs = Sequence[Sequence[int]]


def finalists(votes: Sequence[int]) -> tuple[int, int]:
    """The two classes that most ballots rank first, ties to the lower index; the lower index first."""
    first, second = sorted(range(len(votes)), key=lambda label: (-votes[label], label))[:2]
    return min(first, second), max(first, second)


def winner(votes: Sequence[int], pairs: Pairs) -> int:
    """The finalist that more ballots rank above the other one, a tie to the lower index.

    Args:
        votes: ballots that rank each class first, `(classes,)`, two classes at least.
        pairs: `pairs[i][j]` ballots rank class i above class j, `(classes, classes)`.
    """
    low, high = finalists(votes)
    return low if pairs[low][high] >= pairs[high][low] else high


def most_replaced(votes: Sequence[int], pairs: Pairs) -> int:
    """So many ballots may be replaced by any others, whichever they are, and the winner stays the same.

    Args:
        votes: as for `winner`.
        pairs: as for `winner`.
    """
    won, classes = winner(votes, pairs), range(len(votes))
    rivals = [label for label in classes if label != won]
    needed = [max(_to_final(votes, won, rival), _to_win(pairs, won, rival)) for rival in rivals]
    if len(rivals) > 1:
        needed.append(_to_fall(votes, won, rivals))
    return min(needed) - 1


def _to_fall(votes: Sequence[int], won: int, rivals: Sequence[int]) -> int:
    """Least number of ballots after which two rivals can be ahead of the winner in the first round.

    A ballot takes two off one of its two leads, and one off the other, at most.
    """
    nearest, next_one = sorted(votes[won] - votes[rival] + (won < rival) for rival in rivals)[:2]
    return max(0, -(-nearest // 2), -(-next_one // 2), -(-(nearest + next_one) // 3))


def _to_final(votes: Sequence[int], won: int, rival: int) -> int:
    """Least number of ballots after which a rival can be ahead of all classes but the winner in the first round."""
    leads = [votes[label] - votes[rival] + (label < rival) for label in range(len(votes)) if label not in (won, rival)]

    def enough(replaced: int) -> bool:
        return sum(lead - replaced for lead in leads if lead > replaced) <= replaced

    return bisect_left(range(max([0, *leads])), True, key=enough)


def _to_win(pairs: Pairs, won: int, rival: int) -> int:
    """Least number of ballots after which a rival can win the second round."""
    return max(0, -(-(pairs[won][rival] - pairs[rival][won] + (won < rival)) // 2))
