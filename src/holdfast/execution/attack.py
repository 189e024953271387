"""Do what an attack's manifest says, and raise an alarm if an adversarial contradicts a certificate."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.attacks import Check, DefendedTarget, Queries, SmoothedTarget, attack_from_dict
from holdfast.errors import AlarmError, UsageError
from holdfast.execution.adversary import Adversary, Certified
from holdfast.execution.code import CODE, code_version
from holdfast.execution.replay import check_block
from holdfast.execution.session import session
from holdfast.execution.versions import differing_versions, installed_versions
from holdfast.noises.base import is_picture, noise_from_dict
from holdfast.sampling.inputs import checked_example
from holdfast.sampling.rng import BLOCK
from holdfast.store.attack import EVIDENCE, AttackRecord, AttackStore
from holdfast.store.attack_manifest import AttackManifest, norm_of
from holdfast.store.seeds import Seed, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from holdfast.attacks import Attack, Target
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.folders import Folder, Where
    from holdfast.noises.base import Noise
    from holdfast.store.attack import AttackRun
    from holdfast.store.attack_manifest import Budgets
    from holdfast.store.data_manifest import DataManifest
    from holdfast.types import Example

# What attacks come from, besides Holdfast and torch.
_LIBRARIES = ("foolbox", "pyautoattack", "scipy")


def describe_attack(
    attack: Attack,
    target: Target,
    budgets: Budgets,
    check: Check,
    *,
    data: DataManifest,
    model: Mapping[str, Any],
    precision: str,
    seed: int | Seed,
    target_class: int | str | None = None,
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
        precision: precision of the votes.
        seed: seed of all randomness; a number was chosen by whoever gives it, and is noted as such.
        target_class: class that the attack aims at: a number, "next", or None for any other class.
        restarts: restarts of a randomized attack for each example and budget.
        certification: digest of the run whose certificates are attacked; None where there is none.
    """
    smoothed = target if isinstance(target, SmoothedTarget) else None
    return AttackManifest(
        attack=attack.to_dict(),
        norm=attack.measure.value,
        budgets=budgets,
        wanted=target_class,
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
        **seeded(seed).entries(),
        precision=precision,
        device=target.device.type,
        block=None if smoothed is None or smoothed.deterministic else BLOCK,
        versions={
            **installed_versions(),
            **_library_versions(),
            **_code_at_work(attack, smoothed.noise if smoothed else None),
        },
    )


def _code_at_work(attack: Attack, noise: Noise | None) -> dict[str, str]:
    """A digest of the code of the search, beside the versions."""
    kinds = (Adversary, Check, DefendedTarget, SmoothedTarget, type(attack))
    return code_version(*kinds, *([] if noise is None else [type(noise)]))


def _library_versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def attack_run(
    folder: Where,
    manifest: AttackManifest,
    target: Target,
    examples: Callable[[Sequence[int]], Iterator[Example]],
    certified: Mapping[int, Certified] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Start or resume an attack and return when every example of its subset has a record on the disk.

    Args:
        folder: folder of the attack.
        manifest: manifest of the attack; an existing attack must have the same settings.
        target: the classifier.
        examples: gives the examples of the indices it is called with.
        certified: what the run says about each example of the subset; None to ask the classifier.
        on_progress: called after each example.
        settings: settings of this session, for the log.

    Raises:
        AlarmError: an adversarial lies inside a certified radius; the evidence is on the disk, and repeating the call
            continues with the other examples.
        UsageError, RunError, InputError, ClassifierError: see `Attack.run`, `AttackStore`, `checked_example`.
    """
    adversary, data = checked_adversary(manifest, target, certified), manifest.data
    with AttackStore(folder, manifest) as store, session(store, on_progress, settings) as work:
        for example in examples(work.todo):
            checked_example(example, data.shape, data.low, data.high)
            known = None if certified is None else certified[example.index]
            record, adversarial = adversary.on(example, known)
            if record.alarm and adversarial is not None:
                with store.guarded():
                    _save_evidence(store.folder, store.manifest, record, example, adversarial)
            if adversarial is not None and record.magnitude and is_picture(data.shape):
                store.keep(example.index, example.x)
            work.record((record, adversarial))
            work.count(Queries(**record.queries).passes)
            if record.alarm:
                # It may be the last one.
                store.conclude()
                raise AlarmError(_alarm(folder, manifest, record))


def checked_adversary(manifest: AttackManifest, target: Target, certified: Mapping[int, Certified] | None) -> Adversary:
    """The adversary of a manifest, if it can attack all examples.

    Raises:
        UsageError: attack, target, budgets and check do not fit together; see `attack_run`.
    """
    attack = attack_from_dict(manifest.attack)
    adversary = Adversary(manifest, attack, target, Check(manifest.repeats, manifest.confidence))
    if manifest.budgets.relative and certified is None:
        raise UsageError("budgets in certified radii need a certification; give them in the attack's own units")
    if certified is not None:
        for index in manifest.data.indices():
            adversary.check_budgets(certified[index].radius)
    return adversary


def attacked_again(
    found: AttackRun, indices: Sequence[int], target: Target, data: DataSet
) -> Iterator[tuple[int, str]]:
    """Attack some examples a second time, with the same seeds.

    Args:
        found: the attack.
        indices: indices of records of it.
        target: its classifier.
        data: its data set.

    Returns:
        For each index what differs from the record, in words; empty if nothing does.

    Raises:
        RunError: an older version drew the noise in another way.
    """
    manifest = found.manifest
    if isinstance(target, SmoothedTarget) and not target.deterministic:
        check_block(manifest.block)
    check = Check(manifest.repeats, manifest.confidence)
    adversary = Adversary(manifest, attack_from_dict(manifest.attack), target, check)
    recorded = {record.index: record for record in found.records}
    for index in indices:
        old = recorded[index]
        known = None if manifest.certification is None else Certified(old.reference, old.radius)
        example = checked_example(data[index], manifest.data.shape, manifest.data.low, manifest.data.high)
        new, _ = adversary.on(example, known)
        names = (item.name for item in fields(AttackRecord))
        differing = ((name, getattr(new, name), getattr(old, name)) for name in names)
        yield index, "; ".join(f"{name} is {now}, recorded {then}" for name, now, then in differing if now != then)


def other_attack_versions(manifest: AttackManifest) -> list[str]:
    """Versions that differ between this installation and the attack: likely reasons for different records."""
    here = {**installed_versions(), **_library_versions()}
    if CODE in manifest.versions:
        noise = None if manifest.noise is None else noise_from_dict(manifest.noise)
        here |= _code_at_work(attack_from_dict(manifest.attack), noise)
    return differing_versions(manifest.versions, here, "attack")


def _save_evidence(
    folder: Folder,
    manifest: AttackManifest,
    record: AttackRecord,
    example: Example,
    adversarial: NDArray[np.float32],
) -> None:
    """The two inputs and everything known about them, to find out what is wrong."""
    evidence = {"record": json.loads(record.to_line(manifest.digest)), "attack": json.loads(manifest.to_json())}
    with folder.folder(EVIDENCE, make=True) as place:
        with place.replacing(f"{record.index}.npz") as file:
            np.savez_compressed(file, x=example.x, adversarial=adversarial)
        with place.replacing(f"{record.index}.json") as file:
            file.write((json.dumps(evidence, indent=2, allow_nan=False) + "\n").encode())


def _alarm(folder: Where, manifest: AttackManifest, record: AttackRecord) -> str:
    names = manifest.data.class_names
    norm = norm_of(manifest)
    votes = "" if record.votes is None else f"the votes of {record.repeats} answers with fresh noise say so; "
    # A record raises an alarm only with both.
    reference, answer = (names[number] for number in (record.reference, record.answer) if number is not None)
    chance = (
        f"is class {answer}. Nothing is random here, so no alarm is to be expected: this one means a fault in the "
        "bound, the model's arithmetic, or Holdfast"
        if manifest.noise is None
        else f"is class {answer} ({votes}confidence {manifest.confidence:g}). A certificate is false with probability "
        "alpha at most, and the check errs with 1 - confidence at most; more alarms than that mean a fault in the "
        "model's backend, the noise, or Holdfast"
    )
    return (
        f"ALARM: example {record.index} is certified as class {reference} within {norm.value} radius {record.radius}, "
        f"and an adversarial at distance {record.magnitude} {chance}. The two inputs, votes and settings are in "
        f"{folder / EVIDENCE}. Run the same command again to continue with the other examples"
    )
