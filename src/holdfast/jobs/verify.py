"""Check a run or an attack by independent code, from Python."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.jobs.given import engine_of, folder_of, model_of, split_of, threads_kept, training_set
from holdfast.jobs.progress import check, of_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import Any

    from holdfast.analysis.attack_results import AttackResult
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.analysis.verdicts.result import VerificationResult
    from holdfast.attacks import Target
    from holdfast.data.base import DataSet
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.attack import AttackRun
    from holdfast.verification.sample import Sample
    from holdfast.workflows.verify import Given


def verify(
    run: CertifiedRun | AttackResult | str | Path,
    *,
    model: object = None,
    data: DataSet | str | Path | None = None,
    replay: int | str | None = None,
    digest: str | None = None,
    results: str | None = None,
    nonce: str | None = None,
    certification: CertifiedRun | str | Path | None = None,
    require: str = "files",
    engine: Engine | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> VerificationResult:
    """Check every number that a run or an attack claims, by code that is independent of what computed it.

    Nothing is raised for what is found to be wrong: ask the result (`ok`, `failures`), or have it raise
    (`raise_for_failures`).

    Args:
        run: the run or the attack, or its folder.
        model: to compare the manifest with, and to compute again; what `load_model` gives or takes.
        data: to compare labels and manifest with: the split that the run is about, or a spec.
        replay: how many random records are computed again, which needs model and data: a number, "10%" or "all".
        digest: published digest of the manifest, 64 hexadecimal digits.
        results: published digest of the results, likewise.
        nonce: that the seed must be derived from, if you named one.
        certification: for an attack: the run whose certificates were attacked, or its folder.
        require: how far the check has to go for `ok`: "claims", "files", "data" or "replay".
        engine: where records are computed again; None for one thread of this process.
        progress: as for `certify`; a function is called with how many records were computed again, and of how many.

    Raises:
        UsageError: arguments that do not fit together, or are of another form.
        HoldfastError: what is given cannot be used: data that are not there, a device that is missing.
    """
    from holdfast.analysis.verdicts.result import VerificationResult
    from holdfast.folders import Below, lies
    from holdfast.verification.attack import MANIFEST
    from holdfast.verification.findings import LEVELS
    from holdfast.workflows.verify import verify_run
    from holdfast.workflows.verify_attack import verify_attack

    if require not in LEVELS:
        raise UsageError(f"require is one of {', '.join(LEVELS)}; got {require!r}")
    check(progress)
    folder, where = folder_of(run), engine_of(engine)
    given = _given(model, data, _sample(replay), digest, results, nonce, where)
    show = _Show(progress)
    is_attack = lies(Below(folder) / MANIFEST)
    if certification is not None and not is_attack:
        raise UsageError(f"certification would be ignored, since {folder} is not an attack; leave it out")
    with nullcontext() if model is None else threads_kept():
        if is_attack:
            attacked = None if certification is None else folder_of(certification)
            target = _Attacked(given, data, where)
            return VerificationResult(folder, verify_attack(folder, given, target, attacked, show), require)
        return VerificationResult(folder, verify_run(folder, given, where, None, show), require)


class _Attacked:
    """Makes the classifier that was attacked."""

    def __init__(self, given: Given, data: DataSet | str | Path | None, engine: Engine) -> None:
        self.given, self.data, self.engine = given, data, engine

    def __call__(self, found: AttackRun) -> Target:
        from holdfast.workflows.attack import ComputeOptions
        from holdfast.workflows.transfer import target_attacked

        if self.data is None and found.manifest.precision == "int8":
            raise UsageError("an int8 model is calibrated on training inputs: give data, too")
        where = ComputeOptions(self.engine.device, self.engine.threads, self.engine.batch_size, "float32", "auto")
        models = [] if self.given.model is None else [self.given.model]
        return target_attacked(found, models, training_set(self.data or "digits"), where)


class _Show:
    """Shows the progress of a loop."""

    def __init__(self, progress: bool | Callable[[int, int], None]) -> None:
        self.progress = progress

    def __call__(self, title: str, items: Iterable[Any], total: int) -> Iterator[Any]:
        with of_count(title, self.progress) as show:
            for done, item in enumerate(items, start=1):
                if show is not None:
                    show(done, total)
                yield item


def _given(
    model: object,
    data: DataSet | str | Path | None,
    replay: Sample | None,
    digest: str | None,
    results: str | None,
    nonce: str | None,
    engine: Engine,
) -> Given:
    from holdfast.workflows.commitment import is_digest
    from holdfast.workflows.verify import Given

    for name, text in (("digest", digest), ("results", results)):
        if text is not None and not (isinstance(text, str) and is_digest(text)):
            raise UsageError(f"{name} is a SHA-256, 64 hexadecimal digits; got {text!r}")
    return Given(
        digest=digest,
        results=results,
        nonce=nonce,
        data=None if data is None else lambda split: split_of(data, split),
        model=None if model is None else model_of(model, engine.device),
        replay=replay,
    )


def _sample(replay: int | str | None) -> Sample | None:
    from holdfast.plain import plain
    from holdfast.workflows.specs import parse_replay

    number = plain(replay)
    if number is None:
        return None
    if type(number) is int or isinstance(number, str):
        return parse_replay(str(number))
    raise UsageError(f"replay is a number of records, as in 20, a share, as in '10%', or 'all'; got {replay!r}")
