"""Logs of other tools: import one as a run whose radii stay claims, and export a run as one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastWarning, RunError
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.estimators import FixedSize
    from holdfast.noises.base import Noise
    from holdfast.store.logs import Log, LogLine
    from holdfast.store.run import Record, Run
    from holdfast.store.run_manifest import RunManifest


def import_log(file: Path, noise: Noise, estimator: FixedSize, n0: int, data_name: str, out: Path) -> Run:
    """Import a log of another tool as a run, so that tables and reports read it. Its radii stay claims.

    Args:
        file: log with the columns idx label predict radius correct time, separated by tabs.
        noise: noise of the tool that wrote it.
        estimator: n and alpha of its tool.
        n0: selection samples of its tool.
        data_name: cifar10, mnist, imagenet, or another name.
        out: folder of the run; what was imported there before must be the same.

    Warns:
        HoldfastWarning: lines contradict themselves, the last one may be cut off, or radii are larger than n and alpha
            allow.

    Raises:
        RunError: the folder holds other claims.
        DataError: not such a log.
    """
    from holdfast.noises.base import find_guarantee
    from holdfast.store.logs import imported_manifest, read_log
    from holdfast.store.run import RunStore, read_run

    theorem = find_guarantee(noise)
    log = read_log(file, theorem.norm)
    manifest = imported_manifest(log, noise, theorem.name, estimator, n0, data_name, visible(file.name))
    with RunStore(out, manifest) as store:
        _check_same(out, store.records(), log)
        store.append(claim for claim in log.claims if claim.index not in store.done)
        store.conclude()
    if log.disagreements:
        _warn(
            f"{log.disagreements} lines have a `correct` that is not label = predict (cumulative in some tools); "
            "it was recomputed"
        )
    if log.open_end is not None:
        _warn(
            f"the last line of {file.name} has no newline at its end: its {log.open_end} may be cut off and was not "
            "taken, and lines after it may be missing. Compare the number of lines with what its tool wrote"
        )
    _warn_if_too_large(log, noise, estimator, manifest)
    return read_run(out)


def log_lines(run: CertifiedRun) -> list[LogLine]:
    """A run as the lines of a log that other tools read; radii are rounded down to 6 decimals.

    Warns:
        HoldfastWarning: such a log cannot record what the radii rest on, or whose claims they are.
    """
    if run.condition is not None:
        _warn(f"a log cannot record what its radii rest on: they hold as long as {run.condition}")
    if run.claimed is not None:
        _warn(f"a log cannot record whose claims its radii are: {run.claimed}")
    return _lines(run)


def _warn(text: str) -> None:
    warnings.warn(text, HoldfastWarning, stacklevel=3)


def _check_same(out: Path, records: Sequence[Record], log: Log) -> None:
    """Raise RunError if the run holds other claims than the log: an earlier import is never changed."""
    imported = {record.index: record for record in records}
    claims = {claim.index: claim for claim in log.claims}
    # An example that the log does not have would be counted among its own.
    others = sorted(index for index, claim in imported.items() if claims.get(index) != claim)
    if others:
        raise RunError(
            f"{out} holds other claims than the log for {len(others)} examples, the first of index {others[0]}: "
            "another log with the same settings was imported there. Choose another folder, or delete this one"
        )


def _warn_if_too_large(log: Log, noise: Noise, estimator: FixedSize, manifest: RunManifest) -> None:
    from holdfast.analysis.runs import limit_known
    from holdfast.estimators import best_radius, fitting_alpha
    from holdfast.noises.base import find_guarantee

    if not limit_known(manifest.data, find_guarantee(noise).norm):
        _warn(
            "whether n and alpha allow the radii of the log depends on the number of pixels of an input, which is not "
            "known: it was not checked. Name the data set, if it is a published one"
        )
        return
    shape = manifest.data.shape
    best, norm = best_radius(noise, estimator, shape, num_classes=2)
    if log.largest <= (best or 0.0):
        return
    fitting = fitting_alpha(noise, estimator.n, log.largest, shape)
    advice = "no alpha below 1/2 would fit" if fitting is None else f"alpha = {fitting:g} would fit"
    _warn(
        f"the largest radius in the log is {log.largest:g} or more; n = {estimator.n} and alpha = {estimator.alpha:g} "
        f"allow {best or 0.0:.4g} {norm.unit} at most: {advice}"
    )


def _lines(run: CertifiedRun) -> list[LogLine]:
    from holdfast.stats.rounding import show_down
    from holdfast.store.logs import LogLine

    # Examples share batches, so a run of ours knows the mean time only.
    sessions = run.run.sessions
    examples = sum(session.examples for session in sessions)
    mean = sum(session.seconds for session in sessions) / examples if examples else None

    def time(seconds: float | None) -> str:
        known = mean if seconds is None else seconds
        return "" if known is None else f"{known:.4g}"

    return [
        LogLine(
            idx=each.index,
            label=each.label,
            predict=-1 if each.predicted is None else each.predicted,
            radius=show_down(each.radius, 6),
            correct=int(each.correct),
            time=time(each.seconds),
            selection=each.certificate.selection.votes if each.certificate else None,
            estimation=each.certificate.estimation.votes if each.certificate else None,
        )
        for each in run.results
    ]
