"""Run-offs: the winner, and whether so many ballots can bring another one, by asking each rival and each two rivals."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Pairs = Sequence[Sequence[int]]


def fault(votes: Sequence[int], pairs: Pairs) -> str | None:
    """What no rankings of all classes can have given, in words; None for nothing."""
    total, classes = sum(votes), len(votes)
    if len(pairs) != classes or any(len(row) != classes for row in pairs):
        return f"pairs are {classes} x {classes} numbers"
    if any(pairs[label][label] for label in range(classes)):
        return "a class is ranked above itself"
    for one, other in combinations(range(classes), 2):
        if pairs[one][other] + pairs[other][one] != total:
            return f"classes {one} and {other} are in {pairs[one][other] + pairs[other][one]} rankings of {total}"
        if pairs[one][other] < votes[one] or pairs[other][one] < votes[other]:
            return f"class {one} or {other} is first more often than above the other one"
    return None


def final(votes: Sequence[int], pairs: Pairs) -> int:
    """The winner: of the two classes with the most votes, the one that more ballots rank above the other."""
    first = votes.index(max(votes))
    second = max((label for label in range(len(votes)) if label != first), key=lambda label: (votes[label], -label))
    lead = pairs[first][second] - pairs[second][first]
    return first if lead > 0 or (lead == 0 and first < second) else second


def upset(votes: Sequence[int], pairs: Pairs, ballots: int) -> bool:
    """Whether so many ballots, replaced by any others, may bring another winner, for all that the numbers say."""
    winner = final(votes, pairs)
    rivals = [label for label in range(len(votes)) if label != winner]
    if any(_beats(pairs, winner, rival, ballots) and _comes_in(votes, winner, rival, ballots) for rival in rivals):
        return True
    return any(_pass(votes, winner, two, ballots) for two in combinations(rivals, 2))


def _beats(pairs: Pairs, winner: int, rival: int, ballots: int) -> bool:
    """Whether a rival wins the second round where each replaced ballot now ranks it above the winner."""
    turned = min(ballots, pairs[winner][rival])
    for_rival, for_winner = pairs[rival][winner] + turned, pairs[winner][rival] - turned
    return for_rival > for_winner or (for_rival == for_winner and rival < winner)


def _comes_in(votes: Sequence[int], winner: int, rival: int, ballots: int) -> bool:
    """Whether a rival that gets all of the ballots can be ahead of every class but the winner."""
    reached, taken = votes[rival] + ballots, 0
    for label, count in enumerate(votes):
        if label not in (winner, rival):
            # What a class may keep: as many votes as the rival where the tie goes to the rival.
            kept = reached if rival < label else reached - 1
            taken += max(0, count - kept)
    return taken <= ballots


def _pass(votes: Sequence[int], winner: int, two: Sequence[int], ballots: int) -> bool:
    """Whether two rivals can both be ahead of the winner, which loses every ballot to one of them."""
    needed = [votes[winner] - votes[label] + (1 if winner < label else 0) for label in two]
    # So many to the first of them, which it needs at least; the others to the second.
    given = min(ballots, max(0, needed[0] - ballots))
    return ballots + given >= needed[0] and 2 * ballots - given >= needed[1]
