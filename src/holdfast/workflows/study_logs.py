"""The published logs of a study: those that lie in the given folder, imported as runs whose radii stay claims."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import DataError
from holdfast.workflows.ballots import counted
from holdfast.workflows.logs import import_log
from holdfast.workflows.specs import parse_noise

if TYPE_CHECKING:
    from holdfast.reproductions.base import Study
    from holdfast.reproductions.plans import Importing, Reading
    from holdfast.reproductions.results import Finished
    from holdfast.workflows.study_models import Workspace


def imported(study: Study, kind: str, folder: str, scale: str, place: Workspace) -> Finished:
    """What a study makes its page from, out of the logs in a folder.

    Args:
        study: reads logs.
        kind: of the logs, as the study names it.
        folder: where they lie.
        scale: smoke, small or full.
        place: where to work.

    Raises:
        DataError: none of the logs is there, or one is none; or a file has not the votes of the plan.
        RunError: the place holds other claims.
    """
    from holdfast.analysis.runs import analyze
    from holdfast.estimators import FixedSize
    from holdfast.reproductions.results import Finished
    from holdfast.store.logs import read_answers

    plan = study.plan(scale, kind)
    if plan.ballots:
        return counted(plan.ballots, kind, folder, scale)
    jobs: list[Importing | Reading] = [*plan.logs, *plan.answer_logs]
    found = {job.name: file for job in jobs if (file := _file(Path(folder), job)) is not None}
    if not found:
        raise DataError(
            f"{folder} has none of the {len(jobs)} logs of {study.name}; looked for "
            f"{' and '.join(jobs[0].files)}, and so on. Give the folder of the published repository"
        )
    runs = {
        job.name: analyze(
            import_log(
                found[job.name],
                parse_noise(job.noise),
                FixedSize(job.n, job.alpha, "cohen"),
                job.n0,
                job.dataset,
                Path(str(place.run(job.name))),
            )
        )
        for job in plan.logs
        if job.name in found
    }
    answers = {job.name: read_answers(found[job.name]) for job in plan.answer_logs if job.name in found}
    missing = [job.name for job in jobs if job.name not in found]
    return Finished(scale, kind, runs, notes=_missing(missing), answer_logs=answers)


def _file(folder: Path, job: Importing | Reading) -> Path | None:
    """The first place where the log lies."""
    return next((folder / name for name in job.files if (folder / name).is_file()), None)


def _missing(names: list[str]) -> tuple[str, ...]:
    return (f"Not in the folder, and left out: {', '.join(names)}.",) if names else ()
