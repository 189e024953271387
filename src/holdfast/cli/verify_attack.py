"""`holdfast verify` of an attack: its files, its distances, and its classifier asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.cli import console
from holdfast.cli.verify_run import head
from holdfast.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.attacks import Target
    from holdfast.cli.adversaries import Computation
    from holdfast.data.base import DataSet
    from holdfast.runs.attack_store import AttackRun
    from holdfast.runs.verification.attacked import AttackMaterial, AttackVerification


def verify(
    folder: Path,
    digest: str | None,
    nonce: str | None,
    complete: bool,
    replay: int,
    model: Path | None,
    data: str | None,
    computation: Computation,
    hidden: bool = False,
) -> AttackVerification:
    """Check an attack as far as what is given allows.

    Args:
        folder: of the attack.
        digest: of its manifest, if it was published.
        nonce: that its seed must be derived from; None for any.
        complete: whether an example without a record is a failure.
        replay: so many random examples are attacked again.
        model: that was attacked; None to ask no classifier.
        data: that were attacked, as on the command line; None to measure no distance.
        computation: where the classifier computes.
        hidden: no progress.

    Raises:
        UsageError, RunError: model or data are others than those of the attack.
    """
    from holdfast.runs.verification.attacked import AttackVerification, check_attack
    from holdfast.runs.verification.seed import expect_nonce

    result = AttackVerification()
    material = check_attack(folder, result, complete)
    result.expect(digest)
    expect_nonce(result, nonce)
    if material is None:
        return result
    if result.failures:
        result.notes.append("distances and answers were not checked, since the files are wrong")
        return result
    if data is None:
        result.notes.append("distances and answers were not checked: that takes --data, and --model for answers")
    else:
        _with_data(material, model, data, replay, computation, result, hidden)
    return result


def _with_data(
    material: AttackMaterial,
    model: Path | None,
    data: str,
    replay: int,
    computation: Computation,
    result: AttackVerification,
    hidden: bool,
) -> None:
    """Measure distances; with the model ask it again, and attack some examples a second time."""
    from holdfast.cli.transfer import data_attacked, target_attacked
    from holdfast.models.bundle import load_bundle
    from holdfast.runs.attack_store import read_attack
    from holdfast.runs.verification.attacked import check_distances
    from holdfast.sampling.engines.local import torch_device

    found = read_attack(material.folder)
    examples = data_attacked(found, data)
    inputs = examples.examples(sorted(material.records))
    check_distances(material, ((each.index, each.label, each.x.ravel().tolist()) for each in inputs), result)
    if model is None:
        result.notes.append("that the classifier answers as recorded was not checked: that takes its --model")
        return
    target = target_attacked(found, [load_bundle(model, torch_device(computation.device))], data, computation)
    if target.deterministic:
        _ask(found, target, examples, result)
    elif not replay:
        result.notes.append("answers of a random classifier are other ones each time; --replay attacks some again")
    if replay:
        _attack_again(found, replay, target, examples, result, hidden)


def _ask(found: AttackRun, target: Target, examples: DataSet, result: AttackVerification) -> None:
    """Ask a classifier whose answers are always the same for those that are recorded."""
    import torch

    for record in found.records:
        asked = [("the adversarial", found.adversarial(record), record.answer)]
        if found.manifest.certification is None:
            asked.append(("the unchanged input", examples[record.index].x, record.reference))
        for what, x, recorded in asked:
            if x is None:
                continue
            (answer,) = target.answers(torch.from_numpy(x).to(target.device), 1, 0).classes
            result.answers += 1
            if answer != recorded:
                result.failures.append(f"example {record.index}: {what} is class {answer}, recorded is {recorded}")


def _attack_again(
    found: AttackRun, count: int, target: Target, examples: DataSet, result: AttackVerification, hidden: bool
) -> None:
    """Attack some examples again that nobody could foresee, and take what differs for failures."""
    from random import SystemRandom

    from holdfast.runs.attack import attacked_again, other_attack_versions

    if target.device.type != found.manifest.device:
        raise RunError(
            f"the attack was made on {found.manifest.device}, whose generator is another; use --device "
            f"{found.manifest.device}"
        )
    indices = [record.index for record in found.records]
    chosen = sorted(SystemRandom().sample(indices, min(count, len(indices))))
    differ = False
    again = attacked_again(found, chosen, target, examples)
    for index, difference in console.counted("attack again", again, len(chosen), hidden):
        result.replayed.append(index)
        if difference:
            differ = True
            result.failures.append(f"example {index}, attacked again: {difference}")
    versions = other_attack_versions(found.manifest)
    if differ and versions:
        result.notes.append(f"another version may be why records differ: {'; '.join(versions)}")


def document(folder: Path, result: AttackVerification) -> dict[str, Any]:
    """For machines."""
    return {
        "attack": str(folder),
        "ok": not result.failures,
        "digest": result.digest,
        "promise": result.promise,
        "nonce": result.nonce,
        "examples": result.promised,
        "records": result.records,
        "missing": result.missing,
        "adversarials_checked": result.adversarials,
        "distances_checked": result.distances,
        "answers_checked": result.answers,
        "replayed": sorted(result.replayed),
        "failures": result.failures,
        "notes": result.notes,
    }


def lines(folder: Path, result: AttackVerification) -> list[str]:
    """What was checked, for people."""
    said = head(folder, result)
    if said:
        said.append(
            f"{result.adversarials:,} adversarials have the hash of their record, and lie in the range of inputs"
        )
    if result.distances:
        said.append(f"{result.distances:,} of them lie as far from the unchanged inputs as recorded")
    if result.answers:
        said.append(f"{result.answers:,} answers of the classifier asked for again")
    if result.replayed:
        said.append(f"attacked again from the seed: {', '.join(map(str, sorted(result.replayed)))}")
    return said
