"""The attacks and bounds of a study: what is there is checked and reused, the others are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.cli import console
from holdfast.cli.attack import Asked, target_of
from holdfast.cli.attack import Place as AttackPlace
from holdfast.cli.specs import parse_attack, parse_bound, parse_budgets
from holdfast.cli.trainings import check_entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.attacks import Target
    from holdfast.cli.trainings import Place, Splits
    from holdfast.models.bundle import Bundle
    from holdfast.reproductions.base import Attacking, Bounding, Model, Trained
    from holdfast.runs.attack import Certified
    from holdfast.runs.attack_store import AttackManifest, AttackRun
    from holdfast.runs.manifest import DataPromise
    from holdfast.runs.store import Run


def bounded(wanted: Bounding, model: Model, trained: Trained, splits: Splits, place: Place) -> Run:
    """The finished run of a deterministic bound: as it is there, or gone on with, or made.

    Raises:
        RunError: the folder has a run of another kind, or with other settings.
    """
    from holdfast.cli.bound import bound_into
    from holdfast.models.bundle import load_bundle
    from holdfast.runs.manifest import FILE_NAME
    from holdfast.runs.store import read_run
    from holdfast.sampling.engines.local import torch_device

    folder, data = place.run(wanted.name), splits.open("test", model.options)
    bound = parse_bound(wanted.bound)
    if (folder / FILE_NAME).is_file():
        run = read_run(folder)
        manifest = run.manifest
        entries: dict[str, tuple[Any, Any]] = {
            "bound": (manifest.estimator.get("bound"), bound.to_dict()),
            **_of_data(manifest.data, manifest.model, trained, data.sha256, wanted.every, wanted.limit),
        }
        check_entries(f"{folder} is a run with other settings", entries)
        if not run.missing:
            return run
    bundle = load_bundle(place.bundle(wanted.model), torch_device(place.device))
    bound_into(
        folder, bound, bundle, data, wanted.every, wanted.limit, place.device, place.threads, hidden=place.hidden
    )
    return read_run(folder)


def attacked(
    wanted: Attacking,
    model: Model,
    trained: Trained,
    certification: Run | None,
    splits: Splits,
    place: Place,
) -> AttackRun:
    """The finished attack: as it is there, or gone on with, or made.

    Raises:
        RunError: the folder has an attack with other settings.
        AlarmError: an adversarial contradicts a certificate.
    """
    from holdfast.models.bundle import load_bundle
    from holdfast.runs.attack import attack_run
    from holdfast.runs.attack_store import FILE_NAME, read_attack
    from holdfast.runs.manifest import DataPromise
    from holdfast.sampling.engines.local import torch_device

    folder, data = place.attack(wanted.name), splits.open("test", model.options)
    subset = DataPromise.of(data, wanted.every, wanted.limit)
    if (folder / FILE_NAME).is_file():
        found = read_attack(folder)
        _check_attack(found, wanted, trained, data.sha256)
        if not found.missing:
            return found
    bundle = load_bundle(place.bundle(wanted.model), torch_device(place.device))
    target, described = target_for(bundle, splits.spec_for(model.options), wanted, certification, place)
    manifest = _manifest(wanted, bundle, subset, described, certification, place)
    if (folder / FILE_NAME).is_file():
        # What it is gone on with.
        manifest = _like(manifest, read_attack(folder).manifest)
    known = None if certification is None else _certified(certification)
    with console.run_progress(f"attack {folder.name}", place.hidden) as show:
        attack_run(
            folder,
            manifest,
            target,
            lambda indices: (data[index] for index in indices),
            known,
            show,
            {"device": place.device, "threads": place.threads},
        )
    return read_attack(folder)


def transferred(
    names: Sequence[str],
    attacks: Mapping[str, AttackRun],
    wanted: Mapping[str, Attacking],
    models: Mapping[str, Model],
    splits: Splits,
    place: Place,
) -> dict[str, dict[str, float | None]]:
    """The transfer matrix of some attacks, whose classifiers have no randomness."""
    from holdfast.analysis.attacked import transfer_matrix
    from holdfast.models.bundle import load_bundle
    from holdfast.runs.transfer import transfer
    from holdfast.sampling.engines.local import torch_device

    targets = {}
    for name in names:
        model = models[wanted[name].model]
        bundle = load_bundle(place.bundle(model.name), torch_device(place.device))
        targets[name], _ = target_for(bundle, splits.spec_for(model.options), wanted[name], None, place)
    found = transfer({name: attacks[name] for name in names}, targets, seed=0)
    return transfer_matrix(found.answers, found.references)


def target_for(
    bundle: Bundle, spec: str, wanted: Attacking, certification: Run | None, place: Place
) -> tuple[Target, dict[str, Any]]:
    """What is attacked: a smoothed classifier, one behind a defence, or the classifier alone."""
    import torch

    from holdfast.attacks.defended import DefendedTarget
    from holdfast.models.architectures.defended import Defended
    from holdfast.noises.base import noise_from_dict
    from holdfast.runs.manifest import backend_of
    from holdfast.sampling.engines.local import torch_device

    asked = Asked(n=wanted.n, alpha=wanted.alpha, soft_samples=wanted.soft_samples)
    if certification is not None:
        manifest = certification.manifest
        where = AttackPlace(place.device, place.threads, None, manifest.precision, backend_of(manifest))
        return target_of(bundle, spec, noise_from_dict(manifest.noise), asked, where)
    if any(isinstance(part, Defended) for part in bundle.module.modules()):
        torch.set_num_threads(place.threads)
        space, classes = bundle.info.input_space, len(bundle.info.class_names)
        target = DefendedTarget(bundle.module, classes, space.shape, space.low, space.high, torch_device(place.device))
        return target, {"name": "torch", "version": torch.__version__}
    return target_of(bundle, spec, None, asked, AttackPlace(place.device, place.threads, None, "float32", "auto"))


def _manifest(
    wanted: Attacking,
    bundle: Bundle,
    subset: DataPromise,
    backend: dict[str, Any],
    certification: Run | None,
    place: Place,
) -> AttackManifest:
    from holdfast.runs.attack_store import AttackManifest
    from holdfast.runs.execute import installed_versions
    from holdfast.sampling.rng import fresh_seed

    attack, smoothed = parse_attack(wanted.attack), certification is not None
    return AttackManifest(
        attack=attack.to_dict(),
        norm=attack.measure.value,
        budgets=parse_budgets(wanted.budget),
        wanted=wanted.target,
        restarts=wanted.restarts,
        repeats=wanted.repeats,
        confidence=wanted.confidence,
        noise=certification.manifest.noise if certification else None,
        n=wanted.n if smoothed else 0,
        alpha=wanted.alpha if smoothed else 0.0,
        search_alpha=Asked().search_alpha if smoothed else 0.0,
        soft_samples=wanted.soft_samples if smoothed else 0,
        data=subset,
        model={**bundle.promise(), "backend": backend},
        certification=certification.manifest.digest if certification else None,
        seed=fresh_seed(),
        precision=certification.manifest.precision if certification else "float32",
        device=place.device.partition(":")[0],
        versions=installed_versions(),
    )


def _like(manifest: AttackManifest, started: AttackManifest) -> AttackManifest:
    """The promise with the seed of the one that was started."""
    from dataclasses import replace

    return replace(manifest, seed=started.seed)


def _certified(certification: Run) -> dict[int, Certified]:
    from holdfast.analysis.accuracy import outcomes
    from holdfast.runs.attack import Certified

    return {
        each.index: Certified(each.answer, None) if each.predicted is None else Certified(each.predicted, each.radius)
        for each in outcomes(certification)
    }


def _check_attack(found: AttackRun, wanted: Attacking, trained: Trained, sha256: str) -> None:
    """Refuse an attack that was made with other settings.

    Raises:
        RunError: it was.
    """
    manifest = found.manifest
    entries: dict[str, tuple[Any, Any]] = {
        "attack": (manifest.attack, parse_attack(wanted.attack).to_dict()),
        "budget": (manifest.budgets, parse_budgets(wanted.budget)),
        "restarts": (manifest.restarts, wanted.restarts),
        "target": (manifest.wanted, wanted.target),
        **_of_data(manifest.data, manifest.model, trained, sha256, wanted.every, wanted.limit),
    }
    if wanted.run is not None:
        entries |= {"n": (manifest.n, wanted.n), "alpha": (manifest.alpha, wanted.alpha)}
    check_entries(f"{found.folder} is an attack with other settings", entries)


def _of_data(
    promised: DataPromise, model: Mapping[str, Any], trained: Trained, sha256: str, every: int, limit: int | None
) -> dict[str, tuple[Any, Any]]:
    return {
        "model": (model.get("sha256"), trained.sha256),
        "images": (promised.sha256, sha256),
        "every": (promised.every, every),
        "limit": (promised.limit, limit),
    }
