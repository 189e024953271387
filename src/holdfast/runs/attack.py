"""Doing what an attack's manifest promises: restarts, verification by fresh noise, and an alarm where a certificate is
contradicted."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holdfast.attacks import Check, Queries, SmoothedTarget, attack_from_dict, verify
from holdfast.attacks.distances import distance
from holdfast.attacks.randomness import derived
from holdfast.attacks.target import ABSTAINS as NO_ANSWER
from holdfast.attacks.target import MOST_LEVEL
from holdfast.errors import AlarmError, UsageError
from holdfast.files import whole_file
from holdfast.runs.attack_store import ABSTAINS, AttackManifest, AttackRecord, AttackStore, hashed, norm_of
from holdfast.runs.execute import Progress, installed_versions
from holdfast.runs.ledger import Session
from holdfast.sampling.smoothed import checked_example
from holdfast.types import Norm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.attacks import Attack, Target, Verdict
    from holdfast.runs.attack_store import Budgets
    from holdfast.runs.manifest import DataPromise
    from holdfast.types import Example

EVIDENCE = "evidence"
NEXT = "next"

# What attacks come from, besides Holdfast and torch.
_LIBRARIES = ("foolbox", "pyautoattack", "scipy")
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


def attack_promise(
    attack: Attack,
    target: Target,
    budgets: Budgets,
    check: Check,
    *,
    data: DataPromise,
    model: Mapping[str, Any],
    precision: str,
    seed: int,
    wanted: int | str | None = None,
    restarts: int = 1,
    certification: str | None = None,
) -> AttackManifest:
    """The manifest of an attack with this installation.

    Args:
        attack: what searches.
        target: the classifier, whose noise and procedure are promised with it.
        budgets: how far the adversary may go.
        check: how claims are verified.
        data: which examples.
        model: what the bundle says of itself, and its backend.
        precision: in which the votes are computed.
        seed: of all randomness.
        wanted: the class to lead to: a number, "next", or None for any other.
        restarts: of a randomized attack, for each example and budget.
        certification: digest of the run whose certificates are attacked; None where there is none.
    """
    smoothed = target if isinstance(target, SmoothedTarget) else None
    return AttackManifest(
        attack=attack.to_dict(),
        norm=attack.measure.value,
        budgets=budgets,
        wanted=wanted,
        restarts=restarts,
        repeats=check.repeats,
        confidence=check.confidence,
        noise=smoothed.noise.to_dict() if smoothed else None,
        n=smoothed.n if smoothed else 0,
        alpha=smoothed.alpha if smoothed else 0.0,
        search_alpha=smoothed.search_alpha if smoothed else 0.0,
        soft_samples=smoothed.soft_samples if smoothed else 0,
        data=data,
        model=dict(model),
        certification=certification,
        seed=seed,
        precision=precision,
        device=target.device.type,
        versions={**installed_versions(), **_library_versions()},
    )


def _library_versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


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
        certified: what is known of each example of the subset; None to ask the classifier.
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
    if manifest.budgets.relative and certified is None:
        raise UsageError("budgets in certified radii need a certification; give them in the attack's own units")
    if certified is not None:
        for index in data.indices():
            work.check_budgets(certified[index].radius)
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
                samples += Queries(**record.queries).passes
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
        held: _Claim | None = None
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
    ) -> _Claim | None:
        """The adversarial within a budget that holds: the nearest of all restarts, or the first one.

        One that contradicts the certificate ends the search: a nearer one on which the classifier abstains would hide
        it. A claim that is no nearer than one that holds is not verified. After each claim that fresh noise refuses,
        the next run must succeed more clearly; where nothing has held yet, refused claims are followed by further runs.
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

    @staticmethod
    def _contradicts(claim: _Claim, reference: int, radius: float | None) -> bool:
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
        self, example: Example, certified: Certified, held: _Claim | None, tally: _Tally
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
        "alpha at most, and the check errs with 1 - confidence at most; more alarms than that mean a fault in the "
        f"model's backend, the noise, or Holdfast. The two inputs, votes and settings are in {folder / EVIDENCE}. The "
        "same command goes on with the other examples"
    )
