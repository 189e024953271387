"""`holdfast verify` of a run: its files, its claims, and votes drawn or radii proved again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.cli import console
from holdfast.cli.specs import open_data_spec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.data.base import DataSet
    from holdfast.models.bundle import Bundle
    from holdfast.runs.store import Run
    from holdfast.runs.verification.check import Verification
    from holdfast.runs.verification.outcome import Outcome
    from holdfast.runs.verification.rules import Claim
    from holdfast.sampling.engines.base import Engine


def verify(
    folder: Path,
    digest: str | None,
    nonce: str | None,
    complete: bool,
    log: Path | None,
    replay: int,
    model: Path | None,
    data: str | None,
    engine: Engine | None,
    hidden: bool = False,
) -> Verification:
    """Check a run as far as what is given allows.

    Args:
        folder: of the run.
        digest: of its manifest, if it was published.
        nonce: that its seed must be derived from; None for any.
        complete: whether an example without a record is a failure.
        log: that was exported from it, to be checked as well.
        replay: so many random records are computed again.
        model: the run's; None to compute none again.
        data: the run's, as on the command line; None to compute none again.
        engine: that computes; None to compute none again.
        hidden: no progress.

    Raises:
        UsageError, RunError: model, data or place are others than those of the run.
    """
    from holdfast.runs.verification.check import Verification, check_claims, check_files
    from holdfast.runs.verification.exported import check_log
    from holdfast.runs.verification.seed import expect_nonce

    result = Verification()
    material = check_files(folder, result, complete)
    result.expect(digest)
    expect_nonce(result, nonce)
    if material is not None and not result.failures:
        claims = claims_of(folder)
        check_claims(material, claims, result)
        if log is not None:
            check_log(log, material, claims, result)
        if replay and model is not None and data is not None and engine is not None:
            _replay(folder, replay, model, data, engine, result, hidden)
        _say_limits(result, log is not None)
    elif material is not None:
        result.notes.append("the claims were not checked, since the files are wrong")
    return result


def claims_of(folder: Path) -> list[Claim]:
    """What this installation reports about a run: the labels, radii and bounds that tables and reports are made of."""
    from holdfast.analysis.accuracy import outcomes
    from holdfast.runs.store import read_run
    from holdfast.runs.verification.rules import Claim

    return [
        Claim(
            each.index,
            each.predicted,
            each.radius,
            each.certificate.bounds.p_lower if each.certificate else None,
            each.certificate.bounds.p_upper if each.certificate else None,
        )
        for each in outcomes(read_run(folder))
    ]


def _replay(
    folder: Path,
    count: int,
    model: Path,
    data: str,
    engine: Engine,
    result: Verification,
    hidden: bool,
) -> None:
    """Draw records again that nobody could foresee, and take what differs for failures."""
    from random import SystemRandom

    from holdfast.models.bundle import load_bundle
    from holdfast.noises.base import noise_from_dict
    from holdfast.runs.backends import Workplace, description
    from holdfast.runs.manifest import BOUND, backend_of
    from holdfast.runs.recipe import base_for
    from holdfast.runs.replay import check_backend, check_origin, check_place, draw_again, other_versions
    from holdfast.runs.store import read_run
    from holdfast.sampling.engines.local import torch_device

    run = read_run(folder)
    if run.manifest.kind != BOUND:
        check_place(run.manifest, engine.device)
    bundle = load_bundle(model, torch_device(engine.device))
    examples = open_data_spec(data, run.manifest.data.split)
    check_origin(run.manifest, bundle, examples)
    chosen = sorted(SystemRandom().sample([record.index for record in run.records], min(count, len(run.records))))
    if run.manifest.kind == BOUND:
        _prove_again(run, chosen, bundle, examples, engine, result, hidden)
        return
    noise, precision = noise_from_dict(run.manifest.noise), run.manifest.precision
    place = Workplace(bundle, noise, precision, engine.device, engine.threads, lambda: open_data_spec(data, "train"))
    classifier = place.classifier(backend_of(run.manifest))
    check_backend(run.manifest, description(classifier))
    differ = 0
    drawn = draw_again(run, chosen, base_for(engine, classifier, noise), examples, engine)
    for redrawn in console.counted(f"draw again {folder.name}", drawn, len(chosen), hidden):
        result.replayed.append(redrawn.record.index)
        if redrawn.difference:
            differ += 1
            result.failures.append(f"example {redrawn.record.index}, drawn again: {redrawn.difference}")
    versions = other_versions(run.manifest, description(classifier))
    if differ and versions:
        result.notes.append(f"another version may be why counts differ: {'; '.join(versions)}")


def _prove_again(
    run: Run,
    chosen: Sequence[int],
    bundle: Bundle,
    examples: DataSet,
    engine: Engine,
    result: Verification,
    hidden: bool,
) -> None:
    """Compute a deterministic bound again for some records."""
    from holdfast.bounds import Classifier, bound_from_dict
    from holdfast.runs.bound import proved_again
    from holdfast.runs.manifest import proved_of
    from holdfast.sampling.engines.local import torch_device

    space = bundle.info.input_space
    where = torch_device(engine.device)
    classifier = Classifier(bundle.module, space.shape, len(bundle.info.class_names), space.low, space.high, where)
    bounded = bound_from_dict(proved_of(run.manifest).bound).on(classifier)
    proved = proved_again(run, chosen, bounded, examples)
    for index, difference in console.counted("prove again", proved, len(chosen), hidden):
        result.replayed.append(index)
        if difference:
            result.failures.append(f"example {index}, proved again: {difference}")


def _say_limits(result: Verification, with_log: bool) -> None:
    """Note what these checks leave open."""
    others = result.records - len(result.replayed)
    if result.kind == "certify" and others:
        result.notes.append(
            f"whether the votes of {others:,} records come from the run's seed, model and data was not checked; "
            "--replay draws some again"
        )
    if result.kind == "bound" and others:
        result.notes.append(
            f"{others:,} radii were not computed again from the model and the data; --replay does that for some"
        )
    if with_log:
        result.notes.append("the column time of a log cannot be checked")


def document(run: Path, result: Verification) -> dict[str, Any]:
    """For machines."""
    return {
        "run": str(run),
        "ok": not result.failures,
        "digest": result.digest,
        "promise": result.promise,
        "nonce": result.nonce,
        "kind": result.kind,
        "examples": result.promised,
        "records": result.records,
        "missing": result.missing,
        "claims_checked": result.claims,
        "log_lines_checked": result.log_lines,
        "replayed": sorted(result.replayed),
        "failures": result.failures,
        "notes": result.notes,
    }


def lines(run: Path, result: Verification) -> list[str]:
    """What was checked, for people."""
    said = head(run, result)
    if result.claims:
        how = "compared with the records" if result.kind == "bound" else "recomputed from the votes"
        said.append(f"{result.claims:,} claims (class, radius, class bounds) {how}")
    if result.log_lines:
        said.append(f"{result.log_lines:,} lines of the log compared with the claims")
    if result.replayed:
        how = "proved again" if result.kind == "bound" else "drawn again from the seed"
        said.append(f"{how}: {', '.join(map(str, sorted(result.replayed)))}")
    return said


def head(folder: Path, outcome: Outcome) -> list[str]:
    """What was read, for people; nothing where the manifest itself is wrong."""
    if not outcome.digest:
        return []
    fit = "" if outcome.failures else "; their digests fit"
    return [
        f"{folder}: manifest and {outcome.records:,} records of {outcome.promised:,} examples read{fit}",
        "manifest SHA-256:",
        f"  {outcome.digest}",
    ]
