"""`holdfast verify`: every number that a run or an attack claims, checked by a second path."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli import console, options, verify_attack, verify_run
from holdfast.cli.adversaries import Computation
from holdfast.cli.specs import parse_batch_size, parse_engine
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runs.verification.outcome import Outcome

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
        str | None,
        typer.Option(
            "--digest",
            help="Of the manifest, if it was published; also that from before the nonce.",
            metavar="HEX",
        ),
    ] = None,
    nonce: Annotated[
        str | None,
        typer.Option("--nonce", help="The nonce that the seed must be derived from, if you named one.", metavar="HEX"),
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
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Check every number that a run claims, from its files, by code that shares nothing with what computed it.

    Of an attack: its files, and with --data and --model distances and answers.
    """
    from holdfast.runs.verification.attacked import MANIFEST as OF_ATTACK

    if replay and model is None:
        raise UsageError(
            "--replay draws votes again, or proves radii again: it needs the run's --model, and its --data"
        )
    if model is not None and data is None:
        data = "digits"
    outcome: Outcome
    if (run / OF_ATTACK).is_file():
        if log is not None or engine != "local":
            raise UsageError(f"{run} is an attack, which has no log and no engine; leave out --log and --engine")
        computation = Computation(device, threads, parse_batch_size(batch_size), "float32", "auto")
        outcome = attack = verify_attack.verify(
            run, digest, nonce, complete, replay, model, data, computation, json or quiet
        )
        told, said = verify_attack.document(run, attack), verify_attack.lines(run, attack)
    else:
        size = parse_batch_size(batch_size)
        place = parse_engine(engine, ray_address, device, size, threads) if replay else None
        outcome = found = verify_run.verify(
            run, digest, nonce, complete, log, replay, model, data, place, json or quiet
        )
        told, said = verify_run.document(run, found), verify_run.lines(run, found)
    if json:
        console.print_json(told)
    else:
        _say(said, outcome)
    if outcome.failures:
        sys.exit(1)


def _say(checked: Sequence[str], outcome: Outcome) -> None:
    """Plain lines: what was checked, what was not, and the verdict."""
    say, failures = console.say, outcome.failures
    for text in checked:
        say(text)
    for note in outcome.notes:
        say(f"Note: {note}.")
    if not failures:
        say("OK")
        return
    for failure in failures[:_SHOWN]:
        console.fail(failure)
    if len(failures) > _SHOWN:
        console.fail(f"and {len(failures) - _SHOWN} more")
    say(f"FAILED: {len(failures)} {'check' if len(failures) == 1 else 'checks'}")
