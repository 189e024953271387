"""Show the adversarials of several attacks to the models that the others attacked."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastWarning, RunError, UsageError
from holdfast.workflows.attack import AttackOptions, target_of
from holdfast.workflows.specs import open_data_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from holdfast.attacks import Target
    from holdfast.data.base import DataSet
    from holdfast.models.model import Model
    from holdfast.store.attack import AttackRun
    from holdfast.workflows.attack import ComputeOptions


def read_attacks(folders: Sequence[Path]) -> dict[str, AttackRun]:
    """The attacks by the names of their folders.

    Warns:
        HoldfastWarning: one is not finished.

    Raises:
        UsageError: two have the same name.
        RunError: a folder holds no attack, a corrupt one, or one without records.
    """
    from holdfast.store.attack import read_attack

    found: dict[str, AttackRun] = {}
    for folder in folders:
        # A folder may be named ".", and has a name all the same.
        name, run = folder.resolve().name, read_attack(folder)
        if name in found:
            raise UsageError(
                f"two of these attacks lie in folders named {name!r}, and the matrix has these names: give each attack "
                "once, and folders different names"
            )
        if not run.records:
            raise RunError(
                f"{folder} has no records yet, so there is nothing to transfer: `holdfast attack` with its own "
                "settings adds them"
            )
        if run.missing:
            warnings.warn(
                f"the attack {folder} is not finished: {len(run.records)} so far of "
                f"{len(run.records) + run.missing} examples. The shares only count adversarials of these",
                HoldfastWarning,
                stacklevel=2,
            )
        found[name] = run
    return found


def data_attacked(run: AttackRun, spec: str) -> DataSet:
    """The data set that an attack was made on, opened from `spec`.

    Raises:
        UsageError: `spec` is another data set.
    """
    attacked_data = run.manifest.data
    examples = open_data_spec(spec, attacked_data.split)
    if examples.sha256 != attacked_data.sha256:
        raise UsageError(f"the data have the SHA-256 {examples.sha256}, {run.folder} attacked {attacked_data.sha256}")
    return examples


def target_attacked(
    run: AttackRun, models: Sequence[Model], training_set: Callable[[], DataSet], computation: ComputeOptions
) -> Target:
    """The classifier that an attack was made against, in its precision and on its backend.

    Args:
        run: the attack.
        models: models, one of which was attacked.
        training_set: opens the training split of the data that were attacked.
        computation: where to compute.

    Raises:
        UsageError: its model is not among those given.
        RunError: the code of its model has changed.
    """
    from holdfast.attacks.base import ATTACKS
    from holdfast.execution.replay import check_model
    from holdfast.noises.base import noise_from_dict

    manifest = run.manifest
    sha256 = manifest.model.get("sha256")
    opened = next((each for each in models if each.sha256 == sha256), None)
    if opened is None:
        raise UsageError(f"none of the models is the one that {run.folder} attacked ({sha256})")
    model = opened.fitted(manifest.data, str(run.folder))
    check_model(manifest.model, model, manifest.versions, str(run.folder))
    where = replace(computation, precision=manifest.precision, backend=manifest.model["backend"]["name"])
    options = AttackOptions(
        attack=ATTACKS.from_dict(manifest.attack).written,
        n=manifest.n,
        alpha=manifest.alpha or None,
        search_alpha=manifest.search_alpha or AttackOptions.search_alpha,
        soft_samples=manifest.soft_samples or AttackOptions.soft_samples,
    )
    smoothing = None if manifest.noise is None else noise_from_dict(manifest.noise)
    return target_of(model, training_set, smoothing, options, where)[0]
