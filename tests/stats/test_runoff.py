"""Run-offs against every election that a change of few ballots can reach, and against the second version in verify."""

from collections import Counter
from itertools import combinations, combinations_with_replacement, permutations

import numpy as np
import pytest

from holdfast.errors import UsageError
from holdfast.estimators import RunOff
from holdfast.stats.runoff import finalists, most_replaced, winner
from holdfast.types import Counts, RankedCounts, unranked
from holdfast.verification.runoff import fault, final, upset

Ballots = tuple[int, ...]


def counted(rankings: list[tuple[int, ...]]) -> tuple[list[int], list[list[int]]]:
    """First places and pairs, counted ballot by ballot."""
    classes = len(rankings[0])
    votes, pairs = [0] * classes, [[0] * classes for _ in range(classes)]
    for ranking in rankings:
        votes[ranking[0]] += 1
        for better, worse in combinations(ranking, 2):
            pairs[better][worse] += 1
    return votes, pairs


def elected(rankings: list[tuple[int, ...]]) -> int:
    """The winner by the words of its definition, from the ballots alone."""
    first = Counter(ranking[0] for ranking in rankings)
    one, other = sorted(sorted(range(len(rankings[0])), key=lambda label: (-first[label], label))[:2])
    above = sum(ranking.index(one) < ranking.index(other) for ranking in rankings)
    return one if 2 * above >= len(rankings) else other


@pytest.mark.parametrize(
    ("ballots", "classes", "loose"),
    # How many elections survive one more ballot than is said; none survives two more.
    [(1, 2, 0), (4, 2, 0), (7, 2, 0), (1, 3, 0), (2, 3, 0), (3, 3, 0), (4, 3, 0), (5, 3, 0), (6, 3, 9), (2, 4, 0),
     (3, 4, 0)],
)  # fmt: skip
def test_no_change_of_so_many_ballots_changes_the_winner_and_one_more_does(
    ballots: int, classes: int, loose: int
) -> None:
    """All elections, and for each all others that differ in r ballots, whichever rankings these become."""
    rankings = list(permutations(range(classes)))
    elections = list(combinations_with_replacement(range(len(rankings)), ballots))
    winners = {each: elected([rankings[ballot] for ballot in each]) for each in elections}

    def survives(election: Ballots, changed: int) -> bool:
        return all(
            winners[tuple(sorted(kept + new))] == winners[election]
            for kept in set(combinations(election, ballots - changed))
            for new in combinations_with_replacement(range(len(rankings)), changed)
        )

    gaps = Counter[int]()
    for election in elections:
        votes, pairs = counted([rankings[ballot] for ballot in election])
        assert winner(votes, pairs) == final(votes, pairs) == winners[election]
        said = most_replaced(votes, pairs)
        exact = next(changed for changed in range(ballots) if not survives(election, changed + 1))
        assert 0 <= said <= exact
        gaps[exact - said] += 1
    assert set(gaps) <= {0, 1}
    assert gaps[1] == loose


def test_both_versions_agree_on_larger_elections() -> None:
    """Up to 40 ballots and 12 classes, with few and with many ties; the second version asks about each number."""
    rng = np.random.default_rng(0)
    seen = Counter[int]()
    for _ in range(600):
        ballots, classes = int(rng.integers(1, 41)), int(rng.integers(2, 13))
        merits = rng.normal(scale=rng.choice([0.0, 0.5, 2.0]), size=classes)
        rankings = [tuple(np.argsort(merits + rng.gumbel(size=classes)).tolist()) for _ in range(ballots)]
        votes, pairs = counted(rankings)
        assert fault(votes, pairs) is None
        assert unranked(votes, pairs) == ""
        assert winner(votes, pairs) == final(votes, pairs) == elected(rankings)
        said = most_replaced(votes, pairs)
        assert [upset(votes, pairs, changed) for changed in range(ballots + 1)] == [
            changed > said for changed in range(ballots + 1)
        ]
        assert said <= ballots // 2
        seen[said] += 1
    assert len(seen) > 8


def test_random_changes_of_larger_elections_find_no_false_certificate() -> None:
    """Greedy adversaries that know all ballots: they raise one class, or two, on the ballots where that helps most."""
    rng, tight = np.random.default_rng(1), 0
    for _ in range(150):
        ballots, classes = int(rng.integers(5, 30)), int(rng.integers(3, 6))
        merits = rng.normal(size=classes)
        rankings = [tuple(np.argsort(merits + rng.gumbel(size=classes)).tolist()) for _ in range(ballots)]
        won, said = elected(rankings), most_replaced(*counted(rankings))
        for changed in (said, said + 1):
            found = any(
                elected(attacked(rankings, won, one, other, changed, share)) != won
                for one in range(classes)
                for other in range(classes)
                if won not in (one, other)
                for share in range(changed + 1)
            )
            if changed == said:
                assert not found
            tight += found
    # Nearly all certificates can be broken by one ballot more, even by so simple an adversary.
    assert tight > 120


def attacked(
    rankings: list[tuple[int, ...]], won: int, one: int, other: int, changed: int, share: int
) -> list[tuple[int, ...]]:
    """The first `changed` ballots that hurt most begin with `one`, but for `share` of them with `other`."""

    def harm(ranking: tuple[int, ...]) -> tuple[bool, bool, bool]:
        return ranking[0] not in (one, other), ranking.index(won) < ranking.index(one), ranking[0] == won

    order = sorted(range(len(rankings)), key=lambda ballot: harm(rankings[ballot]), reverse=True)
    found = list(rankings)
    for number, ballot in enumerate(order[:changed]):
        first = [other, one] if number < share and one != other else [one, *([other] if one != other else [])]
        rest = [label for label in range(len(rankings[0])) if label not in (*first, won)]
        found[ballot] = (*first, *rest, won)
    return found


def test_known_elections() -> None:
    # Class 1 has the most votes, and loses the second round against class 0 by 5 to 4.
    rankings = [(0, 2, 1)] * 3 + [(1, 0, 2)] * 4 + [(2, 0, 1)] * 2
    votes, pairs = counted(rankings)
    assert (votes, finalists(votes), winner(votes, pairs)) == ([3, 4, 2], (0, 1), 0)
    assert most_replaced(votes, pairs) == 0
    # Unanimous: the rival has to win the second round, where class 0 wins ties.
    assert most_replaced(*counted([(0, 1, 2)] * 9)) == 4
    assert most_replaced(*counted([(0, 1, 2)] * 10)) == 5
    assert most_replaced(*counted([(2, 1, 0)] * 10)) == 4
    # The majority's certificate is (8 - 1 - 1) // 2 = 3; in the second round 8 to 7 leaves nothing.
    crowded = [(0, 1, 2, 3)] * 8 + [(1, 2, 3, 0)] + [(2, 1, 3, 0)] * 3 + [(3, 1, 2, 0)] * 3
    assert most_replaced(*counted(crowded)) == 0


@pytest.mark.parametrize(
    ("votes", "pairs", "why"),
    [
        ((2, 1), ((0, 2),), "pairs are"),
        ((2, 1), ((0, 2), (1,)), "pairs are"),
        ((2, 1), ((1, 2), (1, 0)), "above itself"),
        ((2, 1), ((0, 2), (2, 0)), "ranking"),
        ((2, 1), ((0, 4), (-1, 0)), "ranking"),
        ((2, 1), ((0, 1), (2, 0)), "first"),
    ],
)
def test_numbers_that_are_not_those_of_rankings_are_refused(
    votes: tuple[int, ...], pairs: tuple[tuple[int, ...], ...], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        RankedCounts(votes, pairs)
    assert fault(votes, pairs)


def test_the_estimator_wants_all_rankings_and_speaks_of_the_winner_alone() -> None:
    rule = RunOff(9)
    found = RankedCounts.ranked(*counted([(0, 2, 1)] * 3 + [(1, 0, 2)] * 4 + [(2, 0, 1)] * 2))
    bounds = rule.bounds(0, found)
    assert (bounds.top, bounds.replaced, rule.answer(0, found)) == (0, 0, 0)
    assert bounds.p_lower <= 3 / 9 < 4 / 9 <= bounds.p_upper
    with pytest.raises(UsageError, match="class 1 is not the winner"):
        rule.bounds(1, found)
    with pytest.raises(UsageError, match="all n = 10 rankings, got 9"):
        RunOff(10).bounds(0, found)
    with pytest.raises(UsageError, match="got votes alone"):
        rule.bounds(0, Counts((3, 4, 2)))
    assert RunOff(9).best_bounds(3).replaced == 4
