"""The adversary of one example: restarts and budgets, and claims that fresh noise must confirm."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from holdfast.attacks import Check, Queries, verify
from holdfast.attacks.distances import distance
from holdfast.attacks.randomness import derived
from holdfast.attacks.target import ABSTAINS as NO_ANSWER
from holdfast.attacks.target import MOST_LEVEL
from holdfast.errors import UsageError
from holdfast.runs.attack_store import ABSTAINS, AttackManifest, AttackRecord, hashed
from holdfast.types import Norm

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.attacks import Attack, Target, Verdict
    from holdfast.types import Example

NEXT = "next"

# What the seeds of an example are for; with its index and the number of the restart they give the seed.
_OWN, _NOISE, _ATTACK, _CHECK = range(4)


@dataclass(frozen=True)
class Certified:
    """What a certification says of an example.

    Attributes:
        reference: the certified class, or where nothing is certified its answer for the unchanged input; None for none.
        radius: certified for `reference`; None where nothing is.
    """

    reference: int | None
    radius: float | None


@dataclass(frozen=True)
class Adversary:
    """An attack and all that it needs to know.

    Attributes:
        manifest: what is promised of the attack.
        attack: what searches.
        target: the classifier.
        check: how claims are verified.

    Raises:
        UsageError: attack, target, budgets and check do not fit together.
    """

    manifest: AttackManifest
    attack: Attack
    target: Target
    check: Check

    def __post_init__(self) -> None:
        self.attack.check(self.target)
        if self.manifest.wanted is not None:
            self.attack.check_targeted()
        if not self.manifest.budgets.relative:
            self.check_budgets(None)
        if not self.target.deterministic:
            # Before anything is attacked: whether a claim could hold at all.
            self.check.alpha(self.claims)

    def check_budgets(self, radius: float | None) -> None:
        """Raise UsageError if the attack cannot have the budgets of an example with this certified radius."""
        budgets = self.manifest.budgets
        for budget in self._budgets(radius) if budgets.relative else budgets.of(radius):
            self.attack.check_budget(budget)

    @property
    def restarts(self) -> int:
        """Of each budget: one where a repetition would find the same."""
        repeatable = not self.attack.randomized and self.target.deterministic
        return 1 if repeatable else self.manifest.restarts

    @property
    def retries(self) -> int:
        """Further runs where no claim has held so far, each after one that was refused."""
        return 0 if self.target.deterministic else MOST_LEVEL

    @property
    def claims(self) -> int:
        """That are made about an example at most."""
        budgets = 1 if self.attack.minimizes else max(1, len(self.manifest.budgets.values))
        return (self.restarts + self.retries) * budgets

    def on(self, example: Example, certified: Certified | None) -> tuple[AttackRecord, NDArray[np.float32] | None]:
        """Attack one example."""
        x = torch.from_numpy(example.x).to(self.target.device)
        tally = _Tally()
        if certified is None:
            found = self.target.answers(x, 1, self._seed(example, 0, _OWN))
            tally.queries.add(found.queries)
            certified = Certified(None if found.classes[0] == NO_ANSWER else found.classes[0], None)
        held: Claim | None = None
        wanted = self._wanted(certified.reference)
        if certified.reference is not None and wanted != certified.reference:
            for budget in self._budgets(certified.radius):
                tally.budgets.append(None if budget == math.inf else budget)
                held = self._within(budget, x, example, certified.reference, certified.radius, wanted, tally)
                if held is not None:
                    break
        return self._record(example, certified, held, tally)

    def _within(
        self,
        budget: float,
        x: Tensor,
        example: Example,
        reference: int,
        radius: float | None,
        wanted: int | None,
        tally: _Tally,
    ) -> Claim | None:
        """The adversarial within a budget that holds: the nearest of all restarts, or the first one.

        One that contradicts the certificate ends the search: a nearer one on which the classifier abstains would hide
        it. A claim that is no nearer than one that holds is not verified. After each claim that fresh noise refuses,
        the next run must succeed more clearly; where nothing has held yet, refused claims are followed by further runs.
        """
        held: Claim | None = None
        refused, runs = 0, self.restarts
        while runs:
            runs -= 1
            claim = self._claim(budget, x, example, reference, wanted, tally, min(refused, self.retries))
            if claim is None or (held is not None and claim.distance >= held.distance):
                continue
            if self._holds(claim, example, reference, wanted, tally):
                held = claim
                if not self.attack.minimizes or self._contradicts(claim, reference, radius):
                    break
            else:
                refused += 1
                # What held under the noise of the search alone is sought again, more clearly.
                runs += runs == 0 and held is None and refused <= self.retries
        return held

    def _claim(
        self,
        budget: float,
        x: Tensor,
        example: Example,
        reference: int,
        wanted: int | None,
        tally: _Tally,
        level: int,
    ) -> Claim | None:
        """What one run of the attack finds, under noise of its own."""
        restart = tally.restarts
        target = self.target.renewed(self._seed(example, restart, _NOISE), level)
        seed = self._seed(example, restart, _ATTACK)
        found = self.attack.run(target, x, reference, budget, wanted=wanted, seed=seed)
        tally.queries.add(target.queries)
        tally.restarts += 1
        return None if found is None else Claim(distance(x, found, self.attack.measure), restart, found)

    def _holds(self, claim: Claim, example: Example, reference: int, wanted: int | None, tally: _Tally) -> bool:
        """Whether fresh noise confirms a claim."""
        seed = self._seed(example, claim.restart, _CHECK)
        verdict, asked = verify(self.target, claim.x, reference, wanted, self.check, self.claims, seed)
        tally.queries.add(asked)
        tally.claims += 1
        tally.refused += not verdict.holds
        claim.verdict = verdict
        return verdict.holds

    @staticmethod
    def _contradicts(claim: Claim, reference: int, radius: float | None) -> bool:
        """Whether another class is established within the certified radius; see `AttackRecord.alarm`."""
        answer = None if claim.verdict is None else claim.verdict.answer
        return radius is not None and claim.distance <= radius and answer not in (None, reference)

    def _budgets(self, radius: float | None) -> list[float]:
        """In increasing order; the largest alone for an attack that looks for small changes by itself."""
        budgets = [self._whole(budget) for budget in self.manifest.budgets.of(radius)]
        budgets = sorted({budget for budget in budgets if budget > 0})
        return budgets[-1:] if self.attack.minimizes else budgets

    def _whole(self, budget: float) -> float:
        """Without a part of a pixel: what is within 1.5 times 5 pixels is within 7."""
        return float(math.floor(budget)) if self.attack.measure is Norm.L0 and budget != math.inf else budget

    def _wanted(self, reference: int | None) -> int | None:
        wanted = self.manifest.wanted
        if wanted == NEXT:
            return None if reference is None else (reference + 1) % self.target.num_classes
        if isinstance(wanted, str):
            raise UsageError(f"the class to lead to is a number or {NEXT!r}, got {wanted!r}")
        return wanted

    def _seed(self, example: Example, restart: int, purpose: int) -> int:
        return derived(self.manifest.seed, example.index, restart, purpose)

    def _record(
        self, example: Example, certified: Certified, held: Claim | None, tally: _Tally
    ) -> tuple[AttackRecord, NDArray[np.float32] | None]:
        reference = certified.reference
        verdict = None if held is None else held.verdict
        kind = None if verdict is None or reference is None else verdict.kind(reference)
        values = None if held is None else held.x.cpu().numpy().astype(np.float32)
        record = AttackRecord(
            index=example.index,
            label=example.label,
            reference=reference,
            radius=certified.radius,
            budgets=tuple(tally.budgets),
            magnitude=0.0 if reference is None else None if held is None else held.distance,
            kind=ABSTAINS if reference is None else kind,
            answer=None if verdict is None else verdict.answer,
            claims=tally.claims,
            refused=tally.refused,
            repeats=0 if verdict is None else verdict.repeats,
            failures=0 if verdict is None else verdict.failures,
            votes=None if verdict is None else verdict.votes,
            restarts=tally.restarts,
            queries=asdict(tally.queries),
            adversarial=None if values is None else hashed(values),
        )
        return record, values


@dataclass
class _Tally:
    """What an example has cost so far."""

    queries: Queries = field(default_factory=Queries)
    budgets: list[float | None] = field(default_factory=list)
    restarts: int = 0
    claims: int = 0
    refused: int = 0


@dataclass
class Claim:
    """What an attack says is adversarial."""

    distance: float
    restart: int
    x: Tensor
    verdict: Verdict | None = None
