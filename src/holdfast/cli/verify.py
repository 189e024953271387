"""`holdfast verify`: check every number that a run or an attack claims, by independent code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options
from holdfast.errors import UsageError
from holdfast.folders import Below, lies
from holdfast.terminal import console
from holdfast.workflows.commitment import is_digest
from holdfast.workflows.specs import open_data_spec, parse_batch_size, parse_engine, parse_replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from holdfast.attacks import Target
    from holdfast.models.model import Model
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.attack import AttackRun
    from holdfast.verification.findings import Findings
    from holdfast.workflows.verify import Given

# The number of failures that are printed.
_SHOWN = 10
# Data that come with Holdfast and need no path.
_PACKAGED = "digits"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify_command)


def verify_command(
    run: Annotated[Path, typer.Argument(help="Folder of a run or of an attack.", metavar="RUN")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Compare labels and manifest with this data set; for an attack, also the distances.",
            metavar="SPEC",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Compare the manifest with this model; for an attack, also the answers.",
            metavar="SPEC",
        ),
    ] = None,
    denoiser: options.Denoiser = None,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            help="Compute records again, with --model and --data: all, or this many at random.",
            metavar="all|K%|K",
        ),
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", help="Published digest of the manifest, with or without the nonce.", metavar="HEX"),
    ] = None,
    nonce: Annotated[
        str | None,
        typer.Option("--nonce", help="Nonce that the seed must come from, if you named one.", metavar="HEX"),
    ] = None,
    results: Annotated[
        str | None, typer.Option("--results", help="Published digest of the results.", metavar="HEX")
    ] = None,
    log: Annotated[
        Path | None, typer.Option("--log", help="Log exported from the run, to be checked too.", metavar="FILE")
    ] = None,
    attacked: Annotated[
        Path | None,
        typer.Option("--run", help="For an attack: the run whose certificates were attacked.", metavar="RUN"),
    ] = None,
    require: Annotated[
        str,
        typer.Option(
            "--require",
            help="Exit with 4 unless this much agrees: claims, files, data (with labels) or replay (all records).",
            metavar="LEVEL",
        ),
    ] = "files",
    batch_size: Annotated[
        str | None, typer.Option("--batch-size", help="With --replay: noisy copies in a batch, or auto.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device that computes again: cpu, cuda or cuda:N. Default: cpu.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", help="Processor threads that compute again. Default: 1.", min=1, metavar="N"),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", help="With --replay, where to compute: local, processes:N, ray or ray:N.", metavar="SPEC"
        ),
    ] = None,
    ray_address: options.RayAddress = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Check every number that a run or an attack claims, by code that is independent of what computed it.

    Exit codes: 0: everything that you asked for agrees. 1: something is wrong. 2: the call is wrong. 3: records are
    missing. 4: nothing is wrong, but less was checked than --require asks, as where radii are claims of the file; or
    verify does not know the theorem, so that no radius was checked.
    """
    from holdfast.analysis.verdicts import attacks as attack_words
    from holdfast.analysis.verdicts import base
    from holdfast.analysis.verdicts import runs as run_words
    from holdfast.verification.attack import MANIFEST as OF_ATTACK
    from holdfast.verification.findings import LEVELS
    from holdfast.workflows.verify import verify_run as check_run
    from holdfast.workflows.verify_attack import verify_attack as check_attack

    if require not in LEVELS:
        raise UsageError(f"--require is one of {', '.join(LEVELS)}; got {require!r}")
    is_attack = lies(Below(run) / OF_ATTACK)
    manifest = _manifest(run, is_attack)
    place = _Replayer(batch_size, device, threads, engine, ray_address)
    if is_attack:
        _refuse({"--log": log, "--engine": engine, "--ray-address": ray_address}, "an attack has no log and no engine")
    else:
        _refuse({"--run": attacked}, f"{run} is not an attack")
    place.check(manifest, is_attack, model is not None, replay is not None)
    if model is None:
        _refuse({"--denoiser": denoiser}, "there is no --model")
    opened = None if model is None else _opened(model, denoiser, place.device or "cpu")
    given = _given(manifest, data, opened, replay, digest, results, nonce)
    show = _Show(json or quiet)
    outcome: Findings
    if is_attack:
        target = _Attacked(given.model, data, place)
        outcome = found = check_attack(run, given, target, attacked, show)
        document, lines = attack_words.document(run, found, require), attack_words.lines(run, found)
        again, left = attack_words.AGAIN, attack_words.questions(found)
    else:
        outcome = done = check_run(run, given, place.engine() if replay is not None else None, log, show)
        document, lines = run_words.document(run, done, require), run_words.lines(run, done)
        again, left = run_words.again(done), run_words.questions(done)
    if json:
        console.print_json(document)
    else:
        lines = base.beside(str(run), lines, base.as_options)
        verdict = [base.as_options(text) for text in base.verdict(outcome, require, again)]
        _say(lines, outcome, verdict, [base.as_options(text) for text in base.open_lines(left)])
    sys.exit(outcome.exit_code(require))


@dataclass(frozen=True)
class _Replayer:
    """Where to compute records again; None for an option that was not given."""

    batch_size: str | None
    device: str | None
    threads: int | None
    spec: str | None
    ray_address: str | None

    def check(self, manifest: dict[str, Any], is_attack: bool, with_model: bool, replayed: bool) -> None:
        """Raise UsageError for an option that would have no effect."""
        computing: dict[str, object] = {"--device": self.device, "--threads": self.threads}
        sampling: dict[str, object] = {
            "--batch-size": self.batch_size,
            "--engine": self.spec,
            "--ray-address": self.ray_address,
        }
        answers = is_attack and with_model and not manifest.get("noise")
        if not (replayed or answers):
            _refuse(computing | sampling, "nothing is computed again without --replay")
        if not replayed or not manifest.get("noise"):
            _refuse(sampling, "nothing is sampled here")

    def engine(self) -> Engine:
        """The engine that the options name."""
        size = parse_batch_size(self.batch_size or "auto")
        return parse_engine(self.spec or "local", self.ray_address, self.device or "cpu", size, self.threads or 1)


@dataclass(frozen=True)
class _Attacked:
    """Makes the classifier that was attacked."""

    model: Model | None
    data: str | None
    place: _Replayer

    def __call__(self, found: AttackRun) -> Target:
        from holdfast.workflows.attack import ComputeOptions
        from holdfast.workflows.transfer import target_attacked

        if self.data is None and found.manifest.precision == "int8":
            raise UsageError("an int8 model is calibrated on training inputs: give --data, too")
        size = parse_batch_size(self.place.batch_size or "auto")
        where = ComputeOptions(self.place.device or "cpu", self.place.threads or 1, size, "float32", "auto")
        named = self.data or _PACKAGED
        return target_attacked(found, [self.model] if self.model else [], lambda: open_data_spec(named, "train"), where)


@dataclass(frozen=True)
class _Show:
    """Shows the progress of a loop."""

    hidden: bool

    def __call__(self, title: str, items: Iterable[Any], total: int) -> Iterator[Any]:
        return iter(console.counted(title, items, total, self.hidden))


def _given(
    manifest: dict[str, Any],
    data: str | None,
    model: Model | None,
    replay: str | None,
    digest: str | None,
    results: str | None,
    nonce: str | None,
) -> Given:
    """What to check the run against, as the options name it."""
    from holdfast.workflows.verify import Given

    for option, text in (("--digest", digest), ("--results", results)):
        if text is not None and not is_digest(text):
            raise UsageError(f"{option} takes a SHA-256, 64 hexadecimal digits; got {text!r}")
    sample = None if replay is None else parse_replay(replay)
    source = manifest.get("data", {}).get("source") if isinstance(manifest.get("data"), dict) else None
    if replay is not None and data is None and source == _PACKAGED:
        data = _PACKAGED
    if replay is not None and (model is None or data is None):
        raise UsageError("--replay draws votes again, or proves radii again: it needs --model and --data of the run")
    return Given(
        digest=digest,
        results=results,
        nonce=nonce,
        data=None if data is None else lambda split: open_data_spec(data, split),
        model=model,
        replay=sample,
    )


def _opened(model: str, denoiser: str | None, device: str) -> Model:
    from holdfast.models.source import open_model
    from holdfast.sampling.devices import torch_device

    return open_model(model, torch_device(device), denoiser=denoiser)


def _manifest(folder: Path, is_attack: bool) -> dict[str, Any]:
    """The entries of a manifest, which decide what options apply; none if it is unreadable, as the check then says."""
    from holdfast.errors import RunError
    from holdfast.verification.attack import attack_entries
    from holdfast.verification.manifest import run_entries

    try:
        if is_attack:
            return attack_entries(folder)
        return run_entries(folder)
    except RunError:
        return {}


def _refuse(given: dict[str, object], why: str) -> None:
    """Raise UsageError for the first option that is given."""
    for option, value in given.items():
        if value is not None:
            raise UsageError(f"{option} would be ignored, since {why}; leave it out")


def _say(checked: Sequence[str], outcome: Findings, verdict: Sequence[str], left: Sequence[str]) -> None:
    """Plain lines: what was checked, the verdict, and what was not."""
    say, failures = console.say, outcome.failures
    for text in checked:
        say(text)
    for note in outcome.notes:
        say(f"Note: {note}.")
    for failure in failures[:_SHOWN]:
        console.fail(failure)
    if len(failures) > _SHOWN:
        console.fail(f"and {len(failures) - _SHOWN} more")
    for text in (*verdict, *([] if failures else left)):
        say(text)
