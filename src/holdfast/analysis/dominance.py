"""Which of two attacks is stronger, on the same inputs of one classifier. Pure functions of their records.

Attack 1 is stronger than attack 2 within epsilon if it finds adversarials within epsilon on more inputs (Hajri 2021,
lecture). The inputs are the same for both, so the comparison is paired: it rests on the inputs on which they differ.
Derivation: docs/guarantees.md, "Which attack is stronger".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from holdfast.analysis.attacks import attack_magnitude
from holdfast.errors import RunError
from holdfast.stats.datasets import proportion
from holdfast.stats.pairs import sign_test

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRecord, AttackRun
    from holdfast.store.attack_manifest import AttackManifest


@dataclass(frozen=True)
class Comparison:
    """Two attacks on the same inputs, of which only those count that the classifier gets right unchanged.

    Attributes:
        inputs: how many there are, right unchanged in both attacks.
        first: inputs on which only the first attack succeeds, or does with a smaller change.
        second: likewise for the second attack.
    """

    inputs: int
    first: int
    second: int

    @property
    def differ(self) -> int:
        """Inputs on which the two attacks differ."""
        return self.first + self.second

    @property
    def first_share(self) -> Proportion | None:
        """The share of inputs on which the first attack is ahead, with its 95% interval; None without inputs."""
        return proportion(self.first, self.inputs) if self.inputs else None

    @property
    def second_share(self) -> Proportion | None:
        """The share of inputs on which the second attack is ahead, likewise."""
        return proportion(self.second, self.inputs) if self.inputs else None

    @property
    def p_value(self) -> float:
        """One-sided exact sign test of "the first attack is not stronger": the probability of at least this many inputs
        on which it is ahead, of those on which they differ, if each attack is ahead with probability 1/2."""
        return sign_test(self.first, self.second)

    def stronger(self, level: float) -> bool:
        """Whether the first attack is shown to be stronger, at this level of the sign test."""
        return self.p_value <= level


def within(first: AttackRun, second: AttackRun, epsilon: float) -> Comparison:
    """Compare the success of two attacks within `epsilon`, in their norm.

    Raises:
        RunError: they are not of the same classifier, inputs, aim and norm.
    """
    pairs = _pairs(first, second)
    found = [tuple(attack_magnitude(record) <= epsilon for record in pair) for pair in pairs]
    return Comparison(len(pairs), sum(a and not b for a, b in found), sum(b and not a for a, b in found))


def smaller(first: AttackRun, second: AttackRun) -> Comparison:
    """Compare the changes that two attacks need; finding nothing is the largest change.

    Raises:
        RunError: they are not of the same classifier, inputs, aim and norm.
    """
    pairs = _pairs(first, second)
    sizes = [tuple(map(attack_magnitude, pair)) for pair in pairs]
    return Comparison(len(pairs), sum(a < b for a, b in sizes), sum(b < a for a, b in sizes))


@dataclass(frozen=True)
class Pair:
    """Two attacks by name, with the one that is ahead on more inputs first.

    Attributes:
        ahead: the attack that is ahead; the first of the two if neither is.
        behind: the other one.
        found: their comparison, in this order.
        stronger: whether the one that is ahead is shown to be stronger.
    """

    ahead: str
    behind: str
    found: Comparison
    stronger: bool


def pairs(
    runs: Mapping[str, AttackRun], compare: Callable[[AttackRun, AttackRun], Comparison], level: float
) -> tuple[Pair, ...]:
    """All pairs of attacks, in the order of their names.

    Args:
        runs: name -> attack.
        compare: `smaller`, or `within` at some epsilon.
        level: of the sign test of each ordered pair; see `level_of`.

    Raises:
        RunError: two of them are not of the same classifier, inputs, aim and norm.
    """
    made = []
    for one, other in combinations(runs, 2):
        found = compare(runs[one], runs[other])
        ahead, behind = one, other
        if found.second > found.first:
            # The attack that is ahead stands first, and p is its own.
            ahead, behind, found = other, one, Comparison(found.inputs, found.second, found.first)
        made.append(Pair(ahead, behind, found, found.stronger(level)))
    return tuple(made)


def found_within(run: AttackRun, epsilon: float) -> Proportion | None:
    """The share of inputs that are right unchanged on which the attack succeeds within `epsilon`; None without any."""
    sizes = [attack_magnitude(record) for record in run.records if record.reference == record.label]
    return proportion(sum(size <= epsilon for size in sizes), len(sizes)) if sizes else None


def level_of(pairs: int, confidence: float = 0.95) -> float:
    """The level for each of so many ordered pairs at which, with this confidence, no conclusion at all is wrong
    (Bonferroni)."""
    return (1.0 - confidence) / max(1, pairs)


def _pairs(first: AttackRun, second: AttackRun) -> list[tuple[AttackRecord, AttackRecord]]:
    """The records of both on the inputs that are right unchanged in both: answers of a smoothed classifier vary."""
    check_comparable(first, second)
    others: Mapping[int, AttackRecord] = {record.index: record for record in second.records}
    both = [(record, others[record.index]) for record in first.records if record.index in others]
    return [pair for pair in both if all(record.reference == record.label for record in pair)]


def check_comparable(first: AttackRun, second: AttackRun) -> None:
    """Raise RunError unless two attacks are on the same inputs of one classifier, with one aim, in one norm."""
    ours, theirs = first.manifest, second.manifest
    different = [
        name
        for name, a, b in (
            ("classifiers", _classifier(ours), _classifier(theirs)),
            ("data", (ours.data.sha256, ours.data.split), (theirs.data.sha256, theirs.data.split)),
            ("images", list(ours.data.indices()), list(theirs.data.indices())),
            ("target classes", ours.wanted, theirs.wanted),
            ("norms", ours.norm, theirs.norm),
        )
        if a != b
    ]
    if different:
        raise RunError(
            f"{first.folder} and {second.folder} have different {' and '.join(different)}; only attacks on the same "
            "inputs of one classifier, in one norm, can be compared"
        )


def _classifier(manifest: AttackManifest) -> tuple[Any, ...]:
    """What answers the inputs: a model, the noise around it, and how many votes make an answer.

    What computes the model, and the digests of its code where its weights have one, may differ.
    """
    left_out = {"backend", "code"} if manifest.model.get("sha256") else {"backend"}
    model = {key: value for key, value in manifest.model.items() if key not in left_out}
    return model, manifest.noise, manifest.n, manifest.alpha
