"""The attacks and bounds of a study: existing ones are checked and reused, the others are made."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError
from holdfast.workflows.attack import AttackOptions, ComputeOptions, attack_into, target_of
from holdfast.workflows.bound import bound_into
from holdfast.workflows.specs import parse_attack, parse_bound, parse_budgets
from holdfast.workflows.study_models import check_entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.plans import Attacking, Bounding, Model
    from holdfast.reproductions.results import Trained
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRun
    from holdfast.store.data_manifest import DataManifest
    from holdfast.store.run import Run
    from holdfast.workflows.study_models import Splits, Workspace


def bounded(job: Bounding, model: Model, trained: Trained, splits: Splits, place: Workspace) -> Run:
    """The finished run of a deterministic bound: reused if it is complete, else resumed or started.

    Raises:
        RunError: the folder has a run of another kind, or with other settings.
    """
    from holdfast.store.run import read_run
    from holdfast.store.run_manifest import stored_run_manifest

    folder, data = place.run(job.name), splits.open("test", model.options)
    bound = parse_bound(job.bound)
    if stored_run_manifest(folder) is not None:
        run = read_run(folder)
        manifest = run.manifest
        entries: dict[str, tuple[Any, Any]] = {
            "bound": (manifest.estimator.get("bound"), bound.to_dict()),
            **_of_data(manifest.data, manifest.model, trained, data.sha256, job.every, job.limit),
        }
        check_entries(f"{folder} is a run with other settings", entries)
        if not run.missing:
            return run
    opened = place.opened(job.model, data)
    with place.observer.run(f"bound {folder.name}") as show:
        bound_into(folder, bound, opened, data, job.every, job.limit, place.device, place.threads, on_progress=show)
    return read_run(folder)


def attacked(
    job: Attacking,
    model: Model,
    trained: Trained,
    certification: CertifiedRun | None,
    splits: Splits,
    place: Workspace,
) -> AttackRun:
    """The finished attack: reused if it is complete, else resumed or started.

    Raises:
        RunError: the folder has an attack with other settings.
        AlarmError: an adversarial contradicts a certificate.
    """
    from holdfast.store.attack import read_attack
    from holdfast.store.attack_manifest import stored_attack_manifest
    from holdfast.store.data_manifest import DataManifest

    folder, data = place.attack(job.name), splits.open("test", model.options)
    if stored_attack_manifest(folder) is not None:
        found = read_attack(folder)
        _check_attack(found, job, trained, certification, data.sha256)
        if not found.missing:
            return found
    opened = place.opened(job.model, data)
    subset = DataManifest.of(data, job.every, job.limit)
    computation = _computation(place)
    with place.observer.run(f"attack {folder.name}") as show:
        attack_into(
            folder,
            _options(job),
            opened,
            partial(splits.open, "train", model.options),
            data,
            subset,
            computation,
            None,
            certification,
            show,
        )
    return read_attack(folder)


def transferred(
    names: Sequence[str],
    attacks: Mapping[str, AttackRun],
    jobs: Mapping[str, Attacking],
    models: Mapping[str, Model],
    splits: Splits,
    place: Workspace,
) -> dict[str, dict[str, Proportion | None]]:
    """The transfer matrix of some attacks on classifiers without noise.

    Raises:
        UsageError: an attack is on a certification, whose noise is unknown here.
    """
    from holdfast.analysis.attacks import transfer_matrix
    from holdfast.execution.transfer import transfer

    targets = {}
    for name in names:
        if jobs[name].run is not None:
            raise UsageError(
                f"{name} attacks the certification {jobs[name].run}: a study transfers attacks without noise"
            )
        model = models[jobs[name].model]
        opened = place.opened(model.name, splits.open("test", model.options))
        targets[name], _ = target_of(
            opened, partial(splits.open, "train", model.options), None, _options(jobs[name]), _computation(place)
        )
    found = transfer({name: attacks[name] for name in names}, targets, seed=0)
    return transfer_matrix(found.answers, found.labels)


def _computation(place: Workspace) -> ComputeOptions:
    return ComputeOptions(place.device, place.threads, None, "float32", "auto")


def _options(job: Attacking) -> AttackOptions:
    """The options of `holdfast attack` for this job."""
    return AttackOptions(
        attack=job.attack,
        budget=job.budget,
        target=job.target,
        restarts=job.restarts,
        n=job.n,
        alpha=job.alpha,
        soft_samples=job.soft_samples,
        repeats=job.repeats,
        confidence=job.confidence,
        seed=job.seed,
    )


def _check_attack(
    found: AttackRun, job: Attacking, trained: Trained, certification: CertifiedRun | None, sha256: str
) -> None:
    """Refuse an attack that was made with other settings.

    Raises:
        RunError: its settings are others.
    """
    manifest = found.manifest
    entries: dict[str, tuple[Any, Any]] = {
        "attack": (manifest.attack, parse_attack(job.attack).to_dict()),
        "budget": (manifest.budgets, parse_budgets(job.budget)),
        "restarts": (manifest.restarts, job.restarts),
        "target": (None if manifest.wanted is None else str(manifest.wanted), job.target),
        "repeats": (manifest.repeats, job.repeats),
        "confidence": (manifest.confidence, job.confidence),
        "certification": (manifest.certification, None if certification is None else certification.manifest.digest),
        **_of_data(manifest.data, manifest.model, trained, sha256, job.every, job.limit),
    }
    if job.seed is not None:
        entries["seed"] = (manifest.seed, job.seed)
    # Nothing is sampled where the run is that of a deterministic bound.
    if certification is not None and certification.manifest.kind != "bound":
        entries |= {
            "n": (manifest.n, job.n),
            "alpha": (manifest.alpha, job.alpha),
            "search_alpha": (manifest.search_alpha, _options(job).search_alpha),
            "soft_samples": (manifest.soft_samples, job.soft_samples),
        }
    check_entries(f"{found.folder} is an attack with other settings", entries)


def _of_data(
    data: DataManifest, model: Mapping[str, Any], trained: Trained, sha256: str, every: int, limit: int | None
) -> dict[str, tuple[Any, Any]]:
    return {
        "model": (model.get("sha256"), trained.sha256),
        "images": (data.sha256, sha256),
        "every": (data.every, every),
        "limit": (data.limit, limit),
    }
