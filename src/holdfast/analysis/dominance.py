"""Which of two attacks is stronger, on the same inputs of one classifier. Pure functions of their records.

Attack 1 is stronger than attack 2 within epsilon if it finds adversarials within epsilon on more inputs (Hajri 2021,
lecture). The inputs are the same for both, so the comparison is paired: it rests on the inputs on which they differ.
Derivation: docs/guarantees.md, "Which attack is stronger".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import betainc

from holdfast.analysis.attacks import attack_magnitude
from holdfast.errors import RunError
from holdfast.stats.datasets import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRecord, AttackRun


@dataclass(frozen=True)
class Comparison:
    """Two attacks on the same inputs, of which only those count that the classifier gets right unchanged.

    Attributes:
        inputs: how many there are.
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
        if self.first == 0:
            return 1.0
        return float(betainc(self.first, self.second + 1, 0.5))

    def stronger(self, level: float) -> bool:
        """Whether the first attack is shown to be stronger, at this level of the sign test."""
        return self.p_value <= level


def within(first: AttackRun, second: AttackRun, epsilon: float) -> Comparison:
    """Compare the success of two attacks within `epsilon`, in their norm.

    Raises:
        RunError: they are not of the same classifier, inputs and norm.
    """
    pairs = _pairs(first, second)
    found = [tuple(attack_magnitude(record) <= epsilon for record in pair) for pair in pairs]
    return Comparison(len(pairs), sum(a and not b for a, b in found), sum(b and not a for a, b in found))


def smaller(first: AttackRun, second: AttackRun) -> Comparison:
    """Compare the changes that two attacks need; finding nothing is the largest change.

    Raises:
        RunError: they are not of the same classifier, inputs and norm.
    """
    pairs = _pairs(first, second)
    sizes = [tuple(map(attack_magnitude, pair)) for pair in pairs]
    return Comparison(len(pairs), sum(a < b for a, b in sizes), sum(b < a for a, b in sizes))


def found_within(run: AttackRun, epsilon: float) -> Proportion | None:
    """The share of inputs that are right unchanged on which the attack succeeds within `epsilon`; None without any."""
    sizes = [attack_magnitude(record) for record in run.records if record.reference == record.label]
    return proportion(sum(size <= epsilon for size in sizes), len(sizes)) if sizes else None


def level_of(pairs: int, confidence: float = 0.95) -> float:
    """The level for each of so many ordered pairs at which, with this confidence, no conclusion at all is wrong
    (Bonferroni)."""
    return (1.0 - confidence) / max(1, pairs)


def _pairs(first: AttackRun, second: AttackRun) -> list[tuple[AttackRecord, AttackRecord]]:
    """The records of both on the inputs that are right unchanged."""
    ours, theirs = first.manifest, second.manifest
    different = [
        name
        for name, a, b in (
            ("classifiers", ours.model.get("sha256"), theirs.model.get("sha256")),
            ("data", ours.data.sha256, theirs.data.sha256),
            ("norms", ours.norm, theirs.norm),
        )
        if a != b
    ]
    if different:
        raise RunError(
            f"{first.folder} and {second.folder} have different {' and '.join(different)}; only attacks on the same "
            "inputs of one classifier, in one norm, can be compared"
        )
    others: Mapping[int, AttackRecord] = {record.index: record for record in second.records}
    return [
        (record, others[record.index])
        for record in first.records
        if record.index in others and record.reference == record.label
    ]
