"""What attacks found, in the field's figures: pure functions of the records of an attack. Upper bounds, all of them.

An attack that finds nothing proves nothing: these figures bound robustness from above, certificates from below.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import RunError
from holdfast.runs.attack_store import ABSTAINS, MISCLASSIFIED
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Proportion, proportion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.runs.attack_store import AttackRecord, AttackRun

# Multiples of the certified radius at which success is told.
FACTORS = (1.0, 1.5, 2.0)


def attack_magnitude(record: AttackRecord) -> float:
    """The empirical adversarial attack magnitude of one example: the size of the smallest change found to be wrong.

    0 where the unchanged input is misclassified or gets no answer; infinity where nothing was found. Source: Levine &
    Feizi 2020, "Experiments".
    """
    if record.reference != record.label:
        return 0.0
    return math.inf if record.magnitude is None else record.magnitude


def median_attack_magnitude(records: Sequence[AttackRecord]) -> float | None:
    """The lower median of the attack magnitude; None where the attack failed on the example in the middle.

    At least half of the examples are wrong within it. Source: Levine & Feizi 2020, Table 2.
    """
    ranked = sorted(map(attack_magnitude, records))
    median = ranked[(len(ranked) - 1) // 2]
    return None if median == math.inf else median


def accuracy_under_attack(records: Sequence[AttackRecord], radius: float) -> Proportion:
    """The share of examples that are right and for which nothing was found within `radius`, with its exact interval."""
    return proportion(sum(attack_magnitude(record) > radius for record in records), len(records))


def robustness_score(records: Sequence[AttackRecord], epsilon: float) -> float:
    """The epsilon-robustness score: the share of inputs whose own answer, right or wrong, was not changed within
    `epsilon`. An input without an answer has none to keep. Source: Hajri 2021 (lecture), after Madry et al. 2018."""
    kept = sum(
        record.reference is not None and (record.magnitude is None or record.magnitude > epsilon) for record in records
    )
    return kept / len(records)


@dataclass(frozen=True)
class Success:
    """How often a budget was enough.

    Attributes:
        budget: in the attack's norm, or a multiple of the certified radius.
        attacked: examples that were attacked with it.
        misclassified: of them on which another class was established.
        abstained: on which the classifier gives no answer more often than not.
    """

    budget: float
    attacked: int
    misclassified: int
    abstained: int

    @property
    def found(self) -> int:
        """Adversarials of both kinds together."""
        return self.misclassified + self.abstained

    def share(self, confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
        """Of both kinds together, with its exact interval."""
        return proportion(self.found, self.attacked, confidence)


def success_at(records: Sequence[AttackRecord], budget: float) -> Success:
    """Success within a budget, among the examples that were attacked: those that had an answer, and not the wanted one
    already."""
    return _success(budget, [(record, budget) for record in records if _was_attacked(record)])


def success_at_factors(records: Sequence[AttackRecord], factors: Sequence[float] = FACTORS) -> list[Success]:
    """Success within multiples of the certified radius, among the attacked examples that have one above 0."""
    certified = [(record, record.radius) for record in records if record.radius and _was_attacked(record)]
    return [_success(factor, [(record, factor * radius) for record, radius in certified]) for factor in factors]


def _was_attacked(record: AttackRecord) -> bool:
    return record.reference is not None and bool(record.budgets)


def _success(budget: float, limits: Sequence[tuple[AttackRecord, float]]) -> Success:
    kinds = Counter(
        record.kind for record, limit in limits if record.magnitude is not None and record.magnitude <= limit
    )
    return Success(budget, len(limits), kinds[MISCLASSIFIED], kinds[ABSTAINS])


@dataclass(frozen=True)
class AttackSummary:
    """One attack in numbers.

    Attributes:
        run: name of the attack's folder.
        attack: as on the command line.
        norm: in which it is measured.
        examples: how many have a record.
        subset: in plain words.
        right: share of unchanged examples that are answered right.
        silent: unchanged examples without an answer.
        found: examples with an adversarial that held.
        misclassified: of them with another class established.
        abstained: of them without an answer.
        claims: adversarials that the attack claimed.
        refused: of them that did not hold under fresh noise.
        median_magnitude: see `median_attack_magnitude`.
        factors: success at multiples of the certified radius; empty without a certification.
        certified: examples with a certified radius above 0.
        alarms: indices of the examples whose certificate is contradicted.
        queries: in all.
        restarts: in all.
    """

    run: str
    attack: str
    norm: str
    examples: int
    subset: str
    right: Proportion
    silent: int
    found: int
    misclassified: int
    abstained: int
    claims: int
    refused: int
    median_magnitude: float | None
    factors: tuple[Success, ...]
    certified: int
    alarms: tuple[int, ...]
    queries: dict[str, int]
    restarts: int


def summarize_attack(run: AttackRun, factors: Sequence[float] = FACTORS) -> AttackSummary:
    """The numbers of one attack.

    Raises:
        RunError: it has no records.
    """
    records = run.records
    if not records:
        raise RunError(f"{run.folder} has no records yet: `holdfast attack` with its own settings adds them")
    claims = sum(record.claims for record in records)
    held = [record for record in records if record.magnitude is not None and record.reference is not None]
    kinds = Counter(record.kind for record in held)
    certified = sum(bool(record.radius) for record in records)
    promised = run.manifest.data.subset()
    queries: Counter[str] = Counter()
    for record in records:
        queries.update(record.queries)
    return AttackSummary(
        run=run.folder.name,
        attack=spelt(run.manifest.attack),
        norm=run.manifest.norm,
        examples=len(records),
        subset=promised if run.missing <= 0 else f"{len(records)} so far of {promised}",
        right=proportion(sum(record.reference == record.label for record in records), len(records)),
        silent=sum(record.reference is None for record in records),
        found=len(held),
        misclassified=kinds[MISCLASSIFIED],
        abstained=kinds[ABSTAINS],
        claims=claims,
        refused=sum(record.refused for record in records),
        median_magnitude=median_attack_magnitude(records),
        factors=tuple(success_at_factors(records, factors)) if certified else (),
        certified=certified,
        alarms=tuple(record.index for record in records if record.alarm),
        queries=dict(queries),
        restarts=sum(record.restarts for record in records),
    )


def spelt(attack: Mapping[str, object]) -> str:
    """An attack as on the command line."""
    parameters = ",".join(f"{key}={value}" for key, value in attack.items() if key != "name" and value is not None)
    return f"{attack['name']}:{parameters}" if parameters else str(attack["name"])


def transfer_matrix(
    answers: Mapping[str, Mapping[str, Sequence[int | None]]], labels: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Proportion | None]]:
    """For adversarials made against each model, the share that each model gets wrong.

    Args:
        answers: model that they were made against -> model that was asked -> its answers, None for none.
        labels: model that they were made against -> the true class of each of them.

    Returns:
        The same keys -> share, with its exact interval; None where there are no adversarials.
    """
    return {made: {asked: _wrong(row, labels[made]) for asked, row in rows.items()} for made, rows in answers.items()}


def _wrong(answers: Sequence[int | None], labels: Sequence[int]) -> Proportion | None:
    wrong = sum(answer != label for answer, label in zip(answers, labels, strict=True))
    return proportion(wrong, len(labels)) if labels else None
