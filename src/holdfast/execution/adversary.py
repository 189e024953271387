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
from holdfast.errors import AttackError, RunError, UsageError
from holdfast.store.adversarials import hashed
from holdfast.store.attack import ABSTAINS, AttackRecord
from holdfast.store.attack_manifest import AttackManifest

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
    """The certificate of an example.

    Attributes:
        reference: the certified class, or where nothing is certified its answer for the unchanged input; None for none.
        radius: certified for `reference`; None where nothing is.
    """

    reference: int | None
    radius: float | None


@dataclass(frozen=True)
class Adversary:
    """An attack with everything that it needs.

    Attributes:
        manifest: manifest of the attack.
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
        """The number of restarts for each budget: one if a repetition would find the same."""
        repeatable = not self.attack.randomized and self.target.deterministic
        return 1 if repeatable else self.manifest.restarts

    @property
    def retries(self) -> int:
        """The number of further runs while no claim has held, each after a refused claim."""
        return 0 if self.target.deterministic else MOST_LEVEL

    @property
    def claims(self) -> int:
        """The largest number of claims about an example."""
        budgets = 1 if self.attack.minimizes else max(1, len(self.manifest.budgets.values))
        return (self.restarts + self.retries) * budgets

    def on(self, example: Example, certified: Certified | None) -> tuple[AttackRecord, NDArray[np.float32] | None]:
        """Attack one example.

        Raises:
            AttackError: a library failed; the message names the example.
        """
        x = torch.from_numpy(example.x).to(self.target.device)
        tally = _Tally()
        if certified is None:
            found = self.target.answers(x, 1, self.seed_of(example, 0, _OWN))
            tally.queries.add(found.queries)
            certified = Certified(None if found.classes[0] == NO_ANSWER else found.classes[0], None)
        search = _Search(self, example, x, certified, self._target_class(certified.reference), tally)
        if certified.reference is not None and search.target_class != certified.reference:
            for budget in self._budgets(certified.radius):
                if search.ended or (search.held and not search.within_radius(budget)):
                    break
                tally.budgets.append(None if budget == math.inf else budget)
                search.run(budget, certified.reference)
        return self._record(example, certified, search.held, tally)

    def _budgets(self, radius: float | None) -> list[float]:
        """In increasing order; the largest alone for an attack that looks for small changes by itself."""
        budgets = [self._whole(budget) for budget in self.manifest.budgets.of(radius)]
        budgets = sorted({budget for budget in budgets if budget > 0})
        return budgets[-1:] if self.attack.minimizes else budgets

    def _whole(self, budget: float) -> float:
        """Without a part of a pixel: what is within 1.5 times 5 pixels is within 7."""
        return float(math.floor(budget)) if self.attack.measure.whole and budget != math.inf else budget

    def _target_class(self, reference: int | None) -> int | None:
        target_class = self.manifest.wanted
        if target_class == NEXT:
            return None if reference is None else (reference + 1) % self.target.num_classes
        if isinstance(target_class, str):
            raise UsageError(f"the target class is a number or {NEXT!r}, got {target_class!r}")
        return target_class

    def seed_of(self, example: Example, restart: int, purpose: int) -> int:
        """The seed for one purpose of one run.

        Raises:
            RunError: the attack has no seed yet.
        """
        if self.manifest.seed is None:
            raise RunError("the attack awaits the nonce that its seed is derived from; give the nonce first")
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
    """The cost of an example so far."""

    queries: Queries = field(default_factory=Queries)
    budgets: list[float | None] = field(default_factory=list)
    restarts: int = 0
    claims: int = 0
    refused: int = 0


@dataclass
class Claim:
    """An input that an attack claims to be adversarial."""

    distance: float
    restart: int
    x: Tensor
    verdict: Verdict | None = None


@dataclass
class _Search:
    """The search on one example, over restarts and budgets.

    Attributes:
        held: the adversarial that holds: one that contradicts the certificate, or the nearest.
        ended: there is nothing more to look for.
    """

    adversary: Adversary
    example: Example
    x: Tensor
    certified: Certified
    target_class: int | None
    tally: _Tally
    held: Claim | None = None
    ended: bool = False

    def within_radius(self, distance: float) -> bool:
        """Whether a claim at this distance could contradict the certificate."""
        return self.certified.radius is not None and distance <= self.certified.radius

    @property
    def hiding(self) -> bool:
        """Whether an abstention holds within the radius: no contradiction, but one may lie behind it."""
        return self.held is not None and not self.ended and self.within_radius(self.held.distance)

    def run(self, budget: float, reference: int) -> None:
        """Look within a budget for the adversarial that holds: the nearest of all restarts, or the first one.

        One that contradicts the certificate ends the search, and counts though an abstention may be nearer. Every claim
        within the radius is verified; outside, a claim that is no nearer than one that holds is not. After a claim that
        fresh noise refuses, the next run must succeed more clearly; after an abstention within the radius, it must find
        another class. Where either is the last, further runs follow.
        """
        retries, unclear, runs = self.adversary.retries, int(self.hiding), self.adversary.restarts
        while runs and not self.ended:
            runs -= 1
            claim = self._claim(budget, reference, min(unclear, retries))
            nearer = claim is not None and (self.held is None or claim.distance < self.held.distance)
            if claim is None or not (nearer or self.within_radius(claim.distance)):
                continue
            holds = self._holds(claim, reference)
            if holds and nearer:
                self.held = claim
            self.ended |= holds and not self.adversary.attack.minimizes and not self.hiding
            if not holds or self.hiding:
                unclear += 1
                runs += runs == 0 and (self.held is None or self.hiding) and unclear <= retries

    def _claim(self, budget: float, reference: int, level: int) -> Claim | None:
        """The claim of one run of the attack, under noise of its own."""
        adversary, restart = self.adversary, self.tally.restarts
        target = adversary.target.renewed(adversary.seed_of(self.example, restart, _NOISE), level)
        seed = adversary.seed_of(self.example, restart, _ATTACK)
        try:
            found = adversary.attack.run(target, self.x, reference, budget, target_class=self.target_class, seed=seed)
        except AttackError as error:
            raise AttackError(f"example {self.example.index}, run {restart}: {error}") from error
        self.tally.queries.add(target.queries)
        self.tally.restarts += 1
        return None if found is None else Claim(distance(self.x, found, adversary.attack.measure), restart, found)

    def _holds(self, claim: Claim, reference: int) -> bool:
        """Whether fresh noise confirms a claim, or shows another class within the radius."""
        adversary = self.adversary
        seed = adversary.seed_of(self.example, claim.restart, _CHECK)
        verdict, queries = verify(
            adversary.target, claim.x, reference, self.target_class, adversary.check, adversary.claims, seed
        )
        claim.verdict = verdict
        if self.within_radius(claim.distance) and verdict.answer not in (None, reference):
            # Whatever the adversary wanted, and whatever was nearer.
            self.held, self.ended = claim, True
        holds = verdict.holds or self.ended
        self.tally.queries.add(queries)
        self.tally.claims += 1
        self.tally.refused += not holds
        return holds
