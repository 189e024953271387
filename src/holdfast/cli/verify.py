"""`holdfast verify`: every number that a run or an attack claims, checked by a second path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import console, options
from holdfast.cli.adversaries import Computation
from holdfast.cli.specs import open_data_spec, parse_batch_size, parse_engine
from holdfast.cli.verify_attack import document, lines, verify_attack
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.data.base import DataSet
    from holdfast.models.bundle import Bundle
    from holdfast.runs.store import Run
    from holdfast.runs.verification.check import Material, Verification
    from holdfast.runs.verification.rules import Claim
    from holdfast.sampling.engines.base import Engine

# So many failures are shown in full.
_SHOWN = 10


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_command)


def verify_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run or of an attack.", metavar="RUN")],
    log: Annotated[
        Path | None, typer.Option("--log", help="A log that was exported from the run: check it too.", metavar="FILE")
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="The manifest's digest, if it was published.", metavar="HEX")
    ] = None,
    complete: Annotated[bool, typer.Option("--complete", help="An example without a record is a failure.")] = False,
    replay: Annotated[
        int,
        typer.Option(
            "--replay", help="Draw so many random records again from the seed, or prove them again.", min=0, metavar="K"
        ),
    ] = 0,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model", help="With --replay: the run's model bundle. Of an attack, also to ask it again.", metavar="FILE"
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="With --replay: the run's data. Of an attack, also to measure distances. With --model: digits.",
            metavar="SPEC",
        ),
    ] = None,
    batch_size: options.BatchSize = "auto",
    device: options.Device = "cpu",
    threads: options.Threads = 1,
    engine: options.EngineSpec = "local",
    ray_address: options.RayAddress = None,
    json: options.Json = False,
) -> None:
    """Check every number that a run claims, from its files, by code that shares nothing with what computed it.

    Of an attack: its files, and with --data and --model distances and answers.
    """
    from holdfast.runs.verification.attacked import MANIFEST as OF_ATTACK
    from holdfast.runs.verification.check import Verification, check_claims, check_files
    from holdfast.runs.verification.exported import check_log

    if replay and model is None:
        raise UsageError(
            "--replay draws votes again, or proves radii again: it needs the run's --model, and its --data"
        )
    if model is not None and data is None:
        data = "digits"
    if (run / OF_ATTACK).is_file():
        if log is not None or engine != "local":
            raise UsageError(f"{run} is an attack, which has no log and no engine; leave out --log and --engine")
        computation = Computation(device, threads, parse_batch_size(batch_size), "float32", "auto")
        attack = verify_attack(run, digest, complete, replay, model, data, computation)
        if json:
            console.print_json(document(run, attack))
        else:
            _say(lines(run, attack), attack.notes, attack.failures)
        _leave(attack.failures)
        return
    result = Verification()
    material = check_files(run, result, complete)
    if digest is not None and material is not None and digest.lower() != result.digest:
        result.failures.append(f"the manifest's digest is {result.digest}, expected was {digest}")
    if material is not None and not result.failures:
        claims = claims_of(run)
        check_claims(material, claims, result)
        if log is not None:
            check_log(log, material, claims, result)
        if replay and model is not None and data is not None:
            chosen = parse_engine(engine, ray_address, device, parse_batch_size(batch_size), threads)
            _replay(run, replay, model, data, chosen, result)
        _say_limits(result, log is not None)
    elif material is not None:
        result.notes.append("the claims were not checked, since the files are wrong")
    if json:
        console.print_json(_document(run, result))
    else:
        _say(_lines(run, result, material), result.notes, result.failures)
    _leave(result.failures)


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
        _prove_again(run, chosen, bundle, examples, engine, result)
        return
    noise, precision = noise_from_dict(run.manifest.noise), run.manifest.precision
    place = Workplace(bundle, noise, precision, engine.device, engine.threads, lambda: open_data_spec(data, "train"))
    classifier = place.classifier(backend_of(run.manifest))
    check_backend(run.manifest, description(classifier))
    differ = 0
    with console.resumable():
        for redrawn in draw_again(run, chosen, base_for(engine, classifier), examples, engine):
            result.replayed.append(redrawn.record.index)
            if redrawn.difference:
                differ += 1
                result.failures.append(f"example {redrawn.record.index}, drawn again: {redrawn.difference}")
    versions = other_versions(run.manifest, description(classifier))
    if differ and versions:
        result.notes.append(f"another version may be why counts differ: {'; '.join(versions)}")


def _prove_again(
    run: Run, chosen: Sequence[int], bundle: Bundle, examples: DataSet, engine: Engine, result: Verification
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
    for index, difference in proved_again(run, chosen, bounded, examples):
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


def _document(run: Path, result: Verification) -> dict[str, Any]:
    return {
        "run": str(run),
        "ok": not result.failures,
        "digest": result.digest,
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


def _lines(run: Path, result: Verification, material: Material | None) -> list[str]:
    """What was checked, for people."""
    said = []
    if material is not None:
        fit = "" if result.failures else "; their digests fit"
        said += [
            f"{run}: manifest and {result.records:,} records of {result.promised:,} examples read{fit}",
            "manifest SHA-256:",
            f"  {result.digest}",
        ]
    if result.claims:
        how = "compared with the records" if result.kind == "bound" else "recomputed from the votes"
        said.append(f"{result.claims:,} claims (class, radius, class bounds) {how}")
    if result.log_lines:
        said.append(f"{result.log_lines:,} lines of the log compared with the claims")
    if result.replayed:
        how = "proved again" if result.kind == "bound" else "drawn again from the seed"
        said.append(f"{how}: {', '.join(map(str, sorted(result.replayed)))}")
    return said


def _say(checked: Sequence[str], notes: Sequence[str], failures: Sequence[str]) -> None:
    """Plain lines: what was checked, what was not, and the verdict."""
    say = console.say
    for text in checked:
        say(text)
    for note in notes:
        say(f"Note: {note}.")
    if not failures:
        say("OK")
        return
    for failure in failures[:_SHOWN]:
        console.fail(failure)
    if len(failures) > _SHOWN:
        console.fail(f"and {len(failures) - _SHOWN} more")
    say(f"FAILED: {len(failures)} {'check' if len(failures) == 1 else 'checks'}")


def _leave(failures: Sequence[str]) -> None:
    """End the program where there are failures."""
    if failures:
        sys.exit(1)
