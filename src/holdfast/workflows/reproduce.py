"""Reproduce a study: its classifiers, runs, bounds and attacks. What exists is reused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.models.precision import AUTO, FLOAT32
from holdfast.workflows.certify import Settings, certify_into, in_precision
from holdfast.workflows.setup import Setup
from holdfast.workflows.specs import parse_drawn, parse_engine, parse_noise
from holdfast.workflows.study_asked import asked
from holdfast.workflows.study_attacks import attacked, bounded, transferred
from holdfast.workflows.study_clean import answered
from holdfast.workflows.study_copies import noised
from holdfast.workflows.study_logs import imported
from holdfast.workflows.study_looks import looked
from holdfast.workflows.study_models import Splits, check_entries, train_all
from holdfast.workflows.study_times import timed

if TYPE_CHECKING:
    from holdfast.data.base import DataSet
    from holdfast.estimators import Estimator
    from holdfast.folders import Where
    from holdfast.noises.base import Noise
    from holdfast.reproductions.base import Study
    from holdfast.reproductions.plans import Certification, Model
    from holdfast.reproductions.results import Finished, Trained
    from holdfast.store.run import Run
    from holdfast.workflows.study_models import Workspace

# So much work is worth the start of other processes.
_SAMPLES_FOR_PROCESSES = 200_000
# At smoke scale no time is spent on finding the fastest batch and backend.
_SMOKE_BATCH = 64


def finished(study: Study, spec: str, scale: str, place: Workspace) -> Finished:
    """Train, certify, bound and attack everything that a study asks for; what exists is checked and reused.

    Args:
        study: study to reproduce.
        spec: spec of its data, as in `mnist:DIR`, or of a folder of logs, `logs:DIR`.
        scale: smoke, small or full.
        place: where to work.

    Raises:
        RunError: something in the folder was made with other settings.
        AlarmError: an adversarial contradicts a certificate.
    """
    from holdfast.analysis.runs import analyze
    from holdfast.reproductions.results import Finished

    logs = study.logs_in(spec)
    if logs is not None:
        return imported(study, *logs, scale, place)
    splits = Splits(spec)
    test = splits.open("test")
    kind = study.kind_of(test)
    plan = study.plan(scale, kind)
    trained = train_all(plan.models, splits, place)
    models = {model.name: model for model in plan.models}
    runs = {
        each.name: analyze(_certified(each, models[each.model], trained[each.model], splits, place, scale))
        for each in plan.runs
    }
    for bound in plan.bounds:
        runs[bound.name] = analyze(bounded(bound, models[bound.model], trained[bound.model], splits, place))
    jobs = {each.name: each for each in plan.attacks}
    attacks = {
        each.name: attacked(
            each,
            models[each.model],
            trained[each.model],
            None if each.run is None else runs[each.run],
            splits,
            place,
        )
        for each in plan.attacks
    }
    matrix = transferred(plan.transfer, attacks, jobs, models, splits, place)
    clean = {each.name: answered(each, models[each.model], trained[each.model], splits, place) for each in plan.answers}
    looks = {each.name: looked(each, splits) for each in plan.looks}
    noisy = {each.name: noised(each, test) for each in plan.noisy}
    said = {name: asked(attacks[name], jobs[name], models, splits, place) for name in plan.asked}
    took = {each.name: timed(each, models[each.model], splits, place) for each in plan.timings}
    return Finished(
        scale, kind, runs, trained, _notes(test), attacks, matrix, clean, looks, noisy=noisy, asked=said, timed=took
    )


def _certified(job: Certification, model: Model, trained: Trained, splits: Splits, place: Workspace, scale: str) -> Run:
    """The finished run: reused if it is complete, else resumed or started."""
    from holdfast.store.run import read_run

    folder = place.run(job.name)
    data = splits.open("test", model.options)
    found = _reusable(folder, job, trained, data)
    if found is not None:
        return found
    setup = Setup.load(
        place.model(job.model),
        splits.spec_for(model.options),
        job.noise,
        "test",
        place.device,
        FLOAT32 if job.precision == AUTO else job.precision,
    )
    sample = parse_drawn(job.sample)
    samples = (job.n0 + job.n) * len(setup.indices(job.every, job.limit, sample))
    aside = place.workers > 1 and samples >= _SAMPLES_FOR_PROCESSES
    settings = Settings(
        every=job.every,
        limit=job.limit,
        sample=sample,
        n0=job.n0,
        estimator=_rule(job, setup.noise),
        engine=parse_engine(
            f"processes:{place.workers}" if aside else "local",
            None,
            place.device,
            _SMOKE_BATCH if scale == "smoke" else None,
            place.threads,
        ),
        backend="torch" if scale == "smoke" else "auto",
    )
    with place.observer.run(f"certify {folder.name}") as show:
        setup = in_precision(
            job.precision, folder, setup, settings, lambda text: place.observer.note(f"{job.name}: {text}")
        )
        certify_into(folder, setup, settings, show)
    return read_run(folder)


def _rule(job: Certification, noise: Noise) -> Estimator:
    """When to stop sampling."""
    from holdfast.estimators import FixedSize, exhaustive

    return exhaustive(noise, job.n) if job.exact else FixedSize(job.n, job.alpha, job.bounds)


def _reusable(folder: Where, job: Certification, trained: Trained, data: DataSet) -> Run | None:
    """The run in a folder if it is complete; None if there is none or some of it is missing.

    Raises:
        RunError: its manifest has other settings.
    """
    from holdfast.noises.base import noise_from_dict
    from holdfast.store.run import read_run
    from holdfast.store.run_manifest import stored_run_manifest

    if stored_run_manifest(folder) is None:
        return None
    run = read_run(folder, to_go_on=True)
    manifest, estimator, sample = run.manifest, run.manifest.estimator, parse_drawn(job.sample)
    rule = _rule(job, noise_from_dict(manifest.noise)).to_dict()
    entries: dict[str, tuple[Any, Any]] = {
        "model": (manifest.model.get("sha256"), trained.sha256),
        "images": (manifest.data.sha256, data.sha256),
        "every": (manifest.data.every, job.every),
        "limit": (manifest.data.limit, job.limit),
        "sample": (manifest.data.drawn, None if sample is None or sample.size >= len(data) else sample),
        "n0": (manifest.n0, job.n0),
        **{key: (estimator.get(key), value) for key, value in rule.items() if key != "method"},
        "bounds": (estimator.get("method", job.bounds), job.bounds),
    }
    if job.precision != AUTO:
        entries["precision"] = (manifest.precision, job.precision)
    if job.noise is not None:
        entries["noise"] = (manifest.noise, parse_noise(job.noise).to_dict())
    check_entries(f"{folder} is a run with other settings", entries)
    return None if run.missing else run


def _notes(data: DataSet) -> tuple[str, ...]:
    """Notes about the data, for the page."""
    encoded = f"The images are decoded from files by {data.decoder}, not the published pixels." if data.decoder else ""
    return (*((encoded,) if encoded else ()), *(f"About the data: {note}." for note in data.notes))
