"""Doing what an attack's manifest promises: restarts, verification by fresh noise, and an alarm where a certificate is
contradicted."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holdfast.attacks import Check, Queries, attack_from_dict, verify
from holdfast.attacks.check import own_answer
from holdfast.attacks.distances import check_budget, distance
from holdfast.attacks.randomness import derived
from holdfast.attacks.smoothed import MOST_LEVEL
from holdfast.errors import AlarmError, UsageError
from holdfast.files import whole_file
from holdfast.runs.attack_store import ABSTAINS, AttackRecord, AttackStore, hashed, norm_of
from holdfast.runs.execute import Progress
from holdfast.runs.ledger import Session
from holdfast.sampling.smoothed import checked_example
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.attacks import Attack, Target, Verdict
    from holdfast.runs.attack_store import AttackManifest
    from holdfast.types import Example

EVIDENCE = "evidence"
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


def attack_run(
    folder: Path,
    manifest: AttackManifest,
    target: Target,
    examples: Callable[[Sequence[int]], Iterator[Example]],
    certified: Mapping[int, Certified] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Start or resume an attack and return when every example of its subset has a record on the disk.

    Args:
        folder: of the attack.
        manifest: what is promised; an existing attack must have promised the same.
        target: the classifier.
        examples: gives the examples of the indices it is called with.
        certified: what is known of each example; None to ask the classifier.
        on_progress: called after each example.
        settings: of this session, for the log.

    Raises:
        AlarmError: an adversarial lies inside a certified radius; the evidence is on the disk, and repeating the call
            goes on with the other examples.
        UsageError, RunError, InputError, ClassifierError: see `Attack.run`, `AttackStore`, `checked_example`.
    """
    attack = attack_from_dict(manifest.attack)
    work = _Work(manifest, attack, target, Check(manifest.repeats, manifest.confidence))
    data = manifest.data
    with AttackStore(folder, manifest) as store:
        todo = [index for index in data.indices() if index not in store.done]
        before, total, start, samples = len(store.done), len(data.indices()), time.perf_counter(), 0
        try:
            for example in examples(todo):
                checked_example(example, data.shape, data.low, data.high)
                known = None if certified is None else certified[example.index]
                record, adversarial = work.on(example, known)
                if record.alarm and adversarial is not None:
                    _save_evidence(folder, store.manifest, record, example, adversarial)
                store.append([(record, adversarial)])
                samples += sum(record.queries.values())
                if on_progress:
                    on_progress(Progress(len(store.done), total, samples, time.perf_counter() - start))
                if record.alarm:
                    raise AlarmError(_alarm(folder, manifest, record))
        finally:
            finished = len(store.done) - before
            if finished:
                store.log_session(Session(finished, samples, time.perf_counter() - start, dict(settings or {})))


@dataclass(frozen=True)
class _Work:
    """An attack and all that it needs to know."""

    manifest: AttackManifest
    attack: Attack
    target: Target
    check: Check

    def __post_init__(self) -> None:
        self.attack.check(self.target)
        budgets = self.manifest.budgets
        if not budgets.values and not self.attack.minimizes:
            raise UsageError(
                f"the attack {self.attack.name!r} searches within a budget; give one, in {self.attack.measure.unit} "
                "or, with a certification, in certified radii (--budget)"
            )
        if not budgets.relative:
            for budget in budgets.values:
                check_budget(self.attack.measure, budget)
        # Before anything is attacked: whether a claim could hold at all.
        self.check.alpha(self.claims)

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
            reference, asked = own_answer(self.target, x, self._seed(example, 0, _OWN))
            tally.queries.add(asked)
            certified = Certified(reference, None)
        held: _Claim | None = None
        wanted = self._wanted(certified.reference)
        if certified.reference is not None and wanted != certified.reference:
            for budget in self._budgets(certified.radius):
                tally.budgets.append(None if budget == math.inf else budget)
                held = self._within(budget, x, example, certified.reference, wanted, tally)
                if held is not None:
                    break
        return self._record(example, certified, held, tally)

    def _within(
        self, budget: float, x: Tensor, example: Example, reference: int, wanted: int | None, tally: _Tally
    ) -> _Claim | None:
        """The adversarial within a budget that holds: the nearest of all restarts, or the first one.

        A claim that is no nearer than one that holds is not verified. After each claim that fresh noise refuses, the
        next run must succeed more clearly; where nothing has held yet, refused claims are followed by further runs.
        """
        held: _Claim | None = None
        refused, runs = 0, self.restarts
        while runs:
            runs -= 1
            claim = self._claim(budget, x, example, reference, wanted, tally, min(refused, self.retries))
            if claim is None or (held is not None and claim.distance >= held.distance):
                continue
            if self._holds(claim, example, reference, wanted, tally):
                held = claim
                if not self.attack.minimizes:
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
    ) -> _Claim | None:
        """What one run of the attack finds, under noise of its own."""
        restart = tally.restarts
        target = self.target.renewed(self._seed(example, restart, _NOISE), level)
        seed = self._seed(example, restart, _ATTACK)
        found = self.attack.run(target, x, reference, budget, wanted=wanted, seed=seed)
        tally.queries.add(target.queries)
        tally.restarts += 1
        return None if found is None else _Claim(distance(x, found, self.attack.measure), restart, found)

    def _holds(self, claim: _Claim, example: Example, reference: int, wanted: int | None, tally: _Tally) -> bool:
        """Whether fresh noise confirms a claim."""
        seed = self._seed(example, claim.restart, _CHECK)
        verdict, asked = verify(self.target, claim.x, reference, wanted, self.check, self.claims, seed)
        tally.queries.add(asked)
        tally.claims += 1
        tally.refused += not verdict.holds
        claim.verdict = verdict
        return verdict.holds

    def _budgets(self, radius: float | None) -> list[float]:
        """In increasing order; the largest alone for an attack that looks for small changes by itself."""
        budgets = list(self.manifest.budgets.of(radius))
        if self.attack.measure is Norm.L0:
            budgets = [budget if budget == math.inf else float(math.floor(budget)) for budget in budgets]
        budgets = sorted({budget for budget in budgets if budget > 0})
        return budgets[-1:] if self.attack.minimizes else budgets

    def _wanted(self, reference: int | None) -> int | None:
        wanted = self.manifest.wanted
        if wanted == NEXT:
            return None if reference is None else (reference + 1) % self.target.num_classes
        if isinstance(wanted, str):
            raise UsageError(f"the class to lead to is a number or {NEXT!r}, got {wanted!r}")
        return wanted

    def _seed(self, example: Example, restart: int, purpose: int) -> int:
        return derived(self.manifest.seed, example.index, restart, purpose)

    @staticmethod
    def _kind(verdict: Verdict | None, reference: int | None) -> str | None:
        return None if verdict is None or reference is None else verdict.kind(reference)

    def _record(
        self, example: Example, certified: Certified, held: _Claim | None, tally: _Tally
    ) -> tuple[AttackRecord, NDArray[np.float32] | None]:
        silent = certified.reference is None
        verdict = None if held is None else held.verdict
        values = None if held is None else held.x.cpu().numpy().astype(np.float32)
        record = AttackRecord(
            index=example.index,
            label=example.label,
            reference=certified.reference,
            radius=certified.radius,
            budgets=tuple(tally.budgets),
            magnitude=held.distance if held is not None else (0.0 if silent else None),
            kind=ABSTAINS if silent else self._kind(verdict, certified.reference),
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
class _Claim:
    """What an attack says is adversarial."""

    distance: float
    restart: int
    x: Tensor
    verdict: Verdict | None = None


def _save_evidence(
    folder: Path,
    manifest: AttackManifest,
    record: AttackRecord,
    example: Example,
    adversarial: NDArray[np.float32],
) -> None:
    """The two inputs and all that is known of them, for whoever has to find out what is wrong."""
    place = folder / EVIDENCE
    with whole_file(place / f"{record.index}.npz") as path, path.open("wb") as file:
        np.savez_compressed(file, x=example.x, adversarial=adversarial)
    told = {"record": json.loads(record.to_line(manifest.digest)), "attack": json.loads(manifest.to_json())}
    with whole_file(place / f"{record.index}.json") as path:
        path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def _alarm(folder: Path, manifest: AttackManifest, record: AttackRecord) -> str:
    names = manifest.data.class_names
    norm = norm_of(manifest)
    # A record raises an alarm only with both.
    reference, answer = (names[number] for number in (record.reference, record.answer) if number is not None)
    return (
        f"ALARM: example {record.index} is certified as class {reference} within {norm.value} radius {record.radius}, "
        f"and an adversarial at distance {record.magnitude} is class {answer} (confidence {manifest.confidence:g}, "
        f"{record.failures} of {record.repeats} answers by fresh noise fail). A certificate is false with probability "
        "alpha at most; more of them than that mean a fault in the model's backend, the noise, or Holdfast. The two "
        f"inputs, votes and settings are in {folder / EVIDENCE}. The same command goes on with the other examples"
    )
