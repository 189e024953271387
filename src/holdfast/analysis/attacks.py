"""Metrics of attacks, as pure functions of an attack's records. All of them are upper bounds on robustness.

Certificates bound robustness from below, attacks from above: an attack that finds nothing proves nothing. An input
that was not attacked, or not as far as a radius, counts as unbroken there. The bound stays true, and every figure comes
with the number of such inputs.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.analysis.choices import chosen_in
from holdfast.errors import RunError
from holdfast.stats.datasets import DEFAULT_CONFIDENCE, Mean, Proportion, mean, proportion
from holdfast.store.attack import ABSTAINS, MISCLASSIFIED
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.store.attack import AttackRecord, AttackRun
    from holdfast.store.attack_manifest import AttackManifest, Budgets

# Multiples of the certified radius at which success is reported for an attack without budgets.
FACTORS = (1.0, 1.5, 2.0)

# Why an input with an answer was not attacked.
UNCERTIFIED = "no certified radius"
BELOW_A_PIXEL = "budget below one pixel"
ALREADY_TARGET = "already of the target class"


def attack_magnitude(record: AttackRecord) -> float:
    """The empirical adversarial attack magnitude of one example: the size of the smallest adversarial change found.

    0 if the unchanged input is misclassified or gets no answer; infinity if nothing was found or nothing was tried (see
    `reach`). Source: Levine & Feizi 2020, "Experiments".
    """
    if record.reference != record.label:
        return 0.0
    return math.inf if record.magnitude is None else record.magnitude


def median_attack_magnitude(records: Sequence[AttackRecord]) -> float | None:
    """The lower median of the attack magnitude; None if the example in the middle was not broken.

    At least half of the examples are wrong within it. It is an upper bound if some examples were not attacked that far:
    they might have been broken nearer. Source: Levine & Feizi 2020, Table 2.
    """
    ranked = sorted(map(attack_magnitude, records))
    median = ranked[(len(ranked) - 1) // 2]
    return None if median == math.inf else median


def mean_attack_magnitude(records: Sequence[AttackRecord]) -> Mean | None:
    """The mean size of the smallest adversarial change, over the examples that were right unchanged and were broken.

    Examples that are wrong unchanged need no change, and are left out, unlike in the median; so are examples that were
    not broken, which have no size. None if there are none left. Where some were not broken, the mean of all is larger.
    Source: the mean distances of Carlini & Wagner 2017, which Levine & Feizi 2020 compare medians with.
    """
    sizes = [size for size in _broken_sizes(records) if size < math.inf]
    if not sizes:
        return None
    found = mean(sizes)
    # No size is negative, whatever the interval knows.
    return found if found.lower is None else replace(found, lower=max(0.0, found.lower))


def _broken_sizes(records: Sequence[AttackRecord]) -> list[float]:
    """The attack magnitudes of the examples that were right unchanged; infinity where nothing was found."""
    return [attack_magnitude(record) for record in records if record.reference == record.label]


def accuracy_under_attack(records: Sequence[AttackRecord], radius: float) -> Proportion:
    """The share of correct examples for which nothing was found within `radius`, whether or not it was tried."""
    return proportion(sum(attack_magnitude(record) > radius for record in records), len(records))


def robustness_score(records: Sequence[AttackRecord], epsilon: float) -> Proportion:
    """The epsilon-robustness score: the share of inputs whose own answer, right or wrong, was not changed within
    `epsilon`, whether or not it was tried. Inputs without an answer do not count. Source: Hajri 2021 (lecture), after
    Madry et al. 2018."""
    unchanged = sum(
        record.reference is not None and (record.magnitude is None or record.magnitude > epsilon) for record in records
    )
    return proportion(unchanged, len(records))


def reach(record: AttackRecord, budgets: Budgets) -> float:
    """How far an example was attacked: its largest budget; infinity without budgets, 0 if it was not attacked."""
    return budgets.of(record.radius)[-1] if _was_attacked(record) else 0.0


@dataclass(frozen=True)
class Success:
    """How often an attack succeeded within a budget.

    Attributes:
        budget: in the attack's norm, or a multiple of the certified radius.
        attacked: number of examples attacked with it.
        misclassified: how many of them were given another class.
        abstained: how many of them get no answer more often than not.
    """

    budget: float
    attacked: int
    misclassified: int
    abstained: int

    @property
    def found(self) -> int:
        """Adversarials of both kinds."""
        return self.misclassified + self.abstained

    def share(self, confidence: float = DEFAULT_CONFIDENCE) -> Proportion:
        """The success rate over both kinds, with its exact interval."""
        return proportion(self.found, self.attacked, confidence)


def success_at(records: Sequence[AttackRecord], budget: float) -> Success:
    """Success within a budget of the attack, among the attacked examples: those that had an answer other than the
    target class."""
    return _success(budget, [(record, budget) for record in records if _was_attacked(record)])


def success_at_factors(records: Sequence[AttackRecord], factors: Sequence[float] = FACTORS) -> list[Success]:
    """Success within tried multiples of the certified radius, among the attacked examples that have one."""
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
class AtBudget:
    """The result of an attack within one budget, in the attack's norm.

    Attributes:
        success: among the examples that were attacked.
        accuracy: accuracy under attack within the budget, of all examples.
        robustness_score: the epsilon-robustness score with the budget as epsilon, of all examples.
    """

    success: Success
    accuracy: Proportion
    robustness_score: Proportion


@dataclass(frozen=True)
class AttackSummary:
    """The metrics of one attack.

    Attributes:
        run: name of the attack's folder.
        attack: as on the command line.
        norm: of the attack.
        examples: how many have a record.
        subset: in plain words.
        caution: why the numbers may not stand for the whole split; None if nothing speaks against it.
        right: share of unchanged examples that are answered correctly.
        silent: unchanged examples without an answer.
        unattacked: reason why examples with an answer were not attacked -> how many.
        unattacked_right: how many of these are answered correctly, and so count as unbroken.
        withstood: correct examples that were attacked without success.
        found: examples with a confirmed adversarial.
        misclassified: how many of these were given another class.
        abstained: how many of these get no answer.
        claims: adversarials that the attack claimed.
        refused: how many of the claims did not hold under fresh noise.
        median_magnitude: see `median_attack_magnitude`.
        median_untried: examples that count as above the median but were not attacked that far.
        mean_magnitude: see `mean_attack_magnitude`; None where nothing was broken.
        mean_left_out: examples that were right unchanged and are not in the mean, since nothing was found.
        budgets: the result within each budget in the attack's own norm; empty if there are none.
        factors: success at the recorded multiples of the certified radius, or at `FACTORS` without budgets; empty
            without a certification, and for budgets in the attack's own norm.
        certified: attacked examples with a certified radius above 0.
        alarms: indices of the examples whose certificate the attack contradicts.
        queries: kind of query -> total number.
        restarts: total number.
        seed_origin: "chosen", "entropy" or "derived"; None if not recorded.
        chosen: what the author of the attack could have picked for its result; see `choices.chosen_in`.
    """

    run: str
    attack: str
    norm: str
    examples: int
    subset: str
    caution: str | None
    right: Proportion
    silent: int
    unattacked: dict[str, int]
    unattacked_right: int
    withstood: int
    found: int
    misclassified: int
    abstained: int
    claims: int
    refused: int
    median_magnitude: float | None
    median_untried: int
    mean_magnitude: Mean | None
    mean_left_out: int
    budgets: tuple[AtBudget, ...]
    factors: tuple[Success, ...]
    certified: int
    alarms: tuple[int, ...]
    queries: dict[str, int]
    restarts: int
    seed_origin: str | None
    chosen: tuple[str, ...]


def summarize_attack(run: AttackRun) -> AttackSummary:
    """Compute the metrics of one attack.

    Raises:
        RunError: the attack has no records.
    """
    records = run.records
    if not records:
        raise RunError(f"{run.folder} has no records yet: `holdfast attack` with the same settings adds them")
    attacked = [record for record in records if _was_attacked(record)]
    certified = sum(bool(record.radius) for record in attacked)
    unattacked = [record for record in records if record.reference is not None and not record.budgets]
    unbroken = [reach(record, run.manifest.budgets) for record in records if attack_magnitude(record) == math.inf]
    median = median_attack_magnitude(records)
    broken = [record for record in records if record.magnitude is not None and record.reference is not None]
    kinds = Counter(record.kind for record in broken)
    subset = run.manifest.data.there(records)
    queries: Counter[str] = Counter()
    for record in records:
        queries.update(record.queries)
    return AttackSummary(
        run=visible(run.folder.name),
        attack=spelt(run.manifest.attack),
        norm=run.manifest.norm,
        examples=len(records),
        subset=subset.words,
        caution=subset.caution,
        right=proportion(sum(record.reference == record.label for record in records), len(records)),
        silent=sum(record.reference is None for record in records),
        unattacked=dict(Counter(_why_unattacked(record, run.manifest) for record in unattacked)),
        unattacked_right=unbroken.count(0.0),
        withstood=len(unbroken) - unbroken.count(0.0),
        found=len(broken),
        misclassified=kinds[MISCLASSIFIED],
        abstained=kinds[ABSTAINS],
        claims=sum(record.claims for record in records),
        refused=sum(record.refused for record in records),
        median_magnitude=median,
        median_untried=0 if median is None else sum(far < median for far in unbroken),
        mean_magnitude=mean_attack_magnitude(records),
        mean_left_out=_broken_sizes(records).count(math.inf),
        budgets=_at_budgets(records, run.manifest.budgets) if attacked else (),
        factors=_at_factors(records, run.manifest.budgets) if certified else (),
        certified=certified,
        alarms=run.alarms,
        queries=dict(queries),
        restarts=sum(record.restarts for record in records),
        seed_origin=run.manifest.seed_origin,
        chosen=chosen_in(run.manifest),
    )


def _why_unattacked(record: AttackRecord, manifest: AttackManifest) -> str:
    if record.reference == manifest.wanted:
        return ALREADY_TARGET
    return UNCERTIFIED if manifest.budgets.relative and not record.radius else BELOW_A_PIXEL


def _at_budgets(records: Sequence[AttackRecord], budgets: Budgets) -> tuple[AtBudget, ...]:
    return tuple(
        AtBudget(success_at(records, budget), accuracy_under_attack(records, budget), robustness_score(records, budget))
        for budget in (() if budgets.relative else budgets.values)
    )


def _at_factors(records: Sequence[AttackRecord], budgets: Budgets) -> tuple[Success, ...]:
    """Only at recorded multiples: an attack within 0.5 says nothing about other radii."""
    if budgets.values and not budgets.relative:
        return ()
    return tuple(success_at_factors(records, budgets.values or FACTORS))


def spelt(attack: Mapping[str, object]) -> str:
    """The attack as it is written on the command line."""
    parameters = ",".join(f"{key}={value}" for key, value in attack.items() if key != "name" and value is not None)
    return f"{attack['name']}:{parameters}" if parameters else str(attack["name"])


def transfer_matrix(
    answers: Mapping[str, Mapping[str, Sequence[int | None]]], labels: Mapping[str, Sequence[int]]
) -> dict[str, dict[str, Proportion | None]]:
    """For the adversarials made against each model, the share that every model gets wrong.

    Args:
        answers: source model -> evaluated model -> its answers to the source model's adversarials, None for abstaining.
        labels: source model -> the true class of each of its adversarials.

    Returns:
        The same keys -> share, with its exact interval; None where there are no adversarials.
    """
    return {
        source: {target: _wrong(row, labels[source]) for target, row in rows.items()}
        for source, rows in answers.items()
    }


def _wrong(answers: Sequence[int | None], labels: Sequence[int]) -> Proportion | None:
    wrong = sum(answer != label for answer, label in zip(answers, labels, strict=True))
    return proportion(wrong, len(labels)) if labels else None
