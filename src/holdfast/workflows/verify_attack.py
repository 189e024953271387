"""Check an attack with whatever is given: files, labels and data, model, distances, answers, the search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.verification.attack import (
    AttackVerification,
    check_attack,
    check_certification,
    check_distances,
)
from holdfast.workflows.verify import against_data, against_model, drawn_from, stops_at_files, unseen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.attacks import Target
    from holdfast.data.base import DataSet
    from holdfast.store.attack import AttackRun
    from holdfast.verification.attack import AttackFiles
    from holdfast.workflows.verify import Given, Show


def verify_attack(
    folder: Path,
    given: Given,
    target_of: Callable[[AttackRun], Target],
    certification: Path | None = None,
    show: Show = unseen,
) -> AttackVerification:
    """Check an attack with whatever is given.

    Args:
        folder: folder of the attack.
        given: what it is checked against.
        target_of: makes the classifier that was attacked from the model that is given; called where there is one.
        certification: folder of the run whose certificates were attacked; None to compare with none.
        show: shows progress.

    Raises:
        HoldfastError: what is given cannot be used: data that are not there, a device that is missing.
    """
    result = AttackVerification()
    material = check_attack(folder, result)
    if stops_at_files(given, result) or material is None:
        return result
    try:
        found = _read(folder)
    except HoldfastError as error:
        result.failures.append(str(error))
        return result
    if certification is not None:
        _against_certification(material, certification, result)
    data = against_data(material.entries, material.records, given, result)
    against_model(material.entries, given, result)
    if data is not None and result.data:
        inputs = data.examples(sorted(material.records))
        check_distances(material, ((each.index, each.x.ravel().tolist()) for each in inputs), result)
    if given.model is not None:
        _check_classifier(found, given, data, target_of, result, show)
    return result


def _read(folder: Path) -> AttackRun:
    from holdfast.store.attack import read_attack

    return read_attack(folder)


def _against_certification(material: AttackFiles, folder: Path, result: AttackVerification) -> None:
    """Compare with the run whose certificates were attacked."""
    from holdfast.analysis.runs import analyze
    from holdfast.store.run import read_run

    run = analyze(read_run(folder))
    certified = {
        each.index: (each.answer, None) if each.predicted is None else (each.predicted, each.radius)
        for each in run.results
    }
    check_certification(material, run.manifest.digest, run.norm.value, certified, result)


def _check_classifier(
    found: AttackRun,
    given: Given,
    data: DataSet | None,
    target_of: Callable[[AttackRun], Target],
    result: AttackVerification,
    show: Show,
) -> None:
    """Ask the classifier again, and attack some examples again, unless something is already wrong."""
    if result.failures:
        result.notes.append("the classifier was not asked, since the checks above failed")
        return
    target = target_of(found)
    if target.deterministic:
        _check_answers(found, target, data, result)
    elif given.replay is None:
        result.notes.append(
            "a random classifier answers differently each time, so answers were not compared: an attack that is "
            "repeated gives the same ones"
        )
    if given.replay is None or data is None:
        return
    from holdfast.execution.replay import OlderNoiseError

    try:
        _attack_again(found, given, target, data, result, show)
    except OlderNoiseError as error:
        result.undecided = str(error)
    except HoldfastError as error:
        result.failures.append(f"nothing could be computed again: {error}")


def _check_answers(found: AttackRun, target: Target, data: DataSet | None, result: AttackVerification) -> None:
    """Ask a deterministic classifier again, and compare with the recorded answers."""
    import torch

    for record in found.records:
        questions = [("the adversarial", found.adversarial(record), record.answer)]
        if found.manifest.certification is None and data is not None:
            questions.append(("the unchanged input", data[record.index].x, record.reference))
        for what, x, recorded in questions:
            if x is None:
                continue
            (answer,) = target.answers(torch.from_numpy(x).to(target.device), 1, 0).classes
            result.answers += 1
            if answer != recorded:
                result.failures.append(f"example {record.index}: {what} is class {answer}, recorded is {recorded}")


def _attack_again(
    found: AttackRun, given: Given, target: Target, data: DataSet, result: AttackVerification, show: Show
) -> None:
    """Attack random examples again, and add differences to the failures."""
    from holdfast.errors import RunError
    from holdfast.execution.attack import attacked_again, other_attack_versions

    if target.device.type != found.manifest.device:
        raise RunError(
            f"the attack was made on {found.manifest.device}, where networks round otherwise; use such a device"
        )
    assert given.replay is not None
    chosen = drawn_from([record.index for record in found.records], given.replay)
    differ = False
    for index, difference in show("attack again", attacked_again(found, chosen, target, data), len(chosen)):
        result.replayed.append(index)
        if difference:
            differ = True
            result.failures.append(f"example {index}, attacked again: {difference}")
    versions = other_attack_versions(found.manifest)
    if differ and versions:
        result.notes.append(f"records may differ because versions do: {'; '.join(versions)}")
