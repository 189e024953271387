"""Every study that the given data allow, one after the other, and one index page."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from holdfast.errors import HoldfastError, UsageError, first_line
from holdfast.outputs import alone_at, check_place, whole_file
from holdfast.reproductions.index import FILES, Entry, Index, html, markdown
from holdfast.reproductions.records import (
    FAILED,
    INTERRUPTED,
    STARTED,
    Job,
    Record,
    check_scale_of,
    read_record,
    write_record,
)
from holdfast.reproductions.thumbnails import thumbnail
from holdfast.workflows.observer import Observer
from holdfast.workflows.study_jobs import jobs_for, kinds_of
from holdfast.workflows.study_pages import page_of_job, write_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from holdfast.execution.session import Progress
    from holdfast.training.trainer import TrainProgress
    from holdfast.workflows.study_models import Workspace

Show = TypeVar("Show")


def reproduce_all(
    specs: Sequence[str],
    scale: str,
    place: Workspace,
    command: Callable[[Job | None], str],
    on_failure: Callable[[Job, Exception], None],
) -> Index:
    """Run every study that the data allow; a study that fails does not keep the others from running.

    Args:
        specs: data specs, at most one of each kind.
        scale: of all studies.
        place: where to work.
        command: the command that makes the page of a job, or with None the whole; the pages show it.
        on_failure: hears of a job that failed.

    Raises:
        UsageError: two specs are of one kind, or one is of none; or a model was given that no study has.
        RunError: the folder has studies of another scale.
        RunLockedError: another process reproduces all studies in this folder.
        DataError: a data set is missing or corrupt.
    """
    given = kinds_of(specs)
    jobs = jobs_for(given)
    unknown = sorted(set(place.given).difference(*(job.given(place.given, scale) for job in jobs if _runs(job))))
    if unknown:
        raise UsageError(f"no study with these data has a base classifier {unknown[0]!r} to give a model for")
    # Fail now, not after hours of work.
    for name in FILES:
        check_place(place.folder / name)
    for job in jobs:
        check_scale_of(place.folder, job.stem, scale)
        for kind in ("md", "html"):
            check_place(place.folder / f"{job.stem}.{kind}")
    index = Index(scale, command(None), (), given)
    runnable = [job for job in jobs if _runs(job)]
    with alone_at(place.folder / FILES[0], "reproducing all studies"):
        for number, job in enumerate(runnable, start=1):
            place.observer.note(f"[{number}/{len(runnable)}] {job.stem}: {job.study.title}")
            _run(job, scale, place, command(job), on_failure, lambda: _write(_filled(index, jobs, place), place))
        index = _filled(index, jobs, place)
        _write(index, place)
    return index


def _runs(job: Job) -> bool:
    return job.spec is not None or not job.study.data or not job.study.needs_data


def _run(
    job: Job,
    scale: str,
    place: Workspace,
    command: str,
    on_failure: Callable[[Job, Exception], None],
    refresh: Callable[[], None],
) -> None:
    """Run one study and record how it ended; only an interruption ends the call."""
    clock = _Clock(read_record(place.folder, job.stem), Record(job.stem, scale, job.spec))

    def save(status: str = STARTED, error: str = "") -> None:
        write_record(place.folder, replace(clock.record(), status=status, error=error))

    save()
    refresh()
    ours = replace(place, given=job.given(place.given, scale), observer=_Saving(place.observer, save))
    try:
        page = page_of_job(job, scale, ours)
        files = write_page(job.stem, page, place.folder, command)
    except KeyboardInterrupt:
        save(status=INTERRUPTED)
        refresh()
        raise
    except Exception as error:
        save(status=FAILED, error=" ".join(lines_of(error)))
        on_failure(job, error)
    else:
        write_record(place.folder, clock.record().of_page(page, thumbnail(page) or ""))
        place.observer.note(f"{job.stem}: {place.folder / files[0]}")
    refresh()


def lines_of(error: Exception) -> tuple[str, ...]:
    """What an error says; of one that is a fault of the program, its kind and first line."""
    return error.lines if isinstance(error, HoldfastError) else (f"{type(error).__name__}: {first_line(error)}",)


class _Clock:
    """The time of a job: that of earlier calls, and of this one so far."""

    def __init__(self, before: Record | None, record: Record) -> None:
        self._record = record
        self._seconds, self._core_seconds = (0.0, 0.0) if before is None else (before.seconds, before.core_seconds)
        self._start, self._core_start = time.perf_counter(), _core_seconds()

    def record(self) -> Record:
        """The record with the time until now."""
        return replace(
            self._record,
            status=STARTED,
            seconds=self._seconds + time.perf_counter() - self._start,
            core_seconds=self._core_seconds + _core_seconds() - self._core_start,
        )


def _core_seconds() -> float:
    """Processor time of this process and of the processes that it has waited for."""
    found = os.times()
    return found.user + found.system + found.children_user + found.children_system


class _Saving(Observer):
    """Saves the time of a job whenever one of its trainings, runs or attacks is finished.

    Args:
        inner: hears everything.
        save: saves the time.
    """

    def __init__(self, inner: Observer, save: Callable[[], None]) -> None:
        self.inner = inner
        self.save = save

    def run(self, title: str) -> AbstractContextManager[Callable[[Progress], None] | None]:
        """Pass on a run."""
        return self._saving(self.inner.run(title))

    def training(self, title: str) -> AbstractContextManager[Callable[[TrainProgress], None] | None]:
        """Pass on a training."""
        return self._saving(self.inner.training(title))

    def trainings(self) -> AbstractContextManager[Callable[[str, TrainProgress], None] | None]:
        """Pass on several trainings."""
        return self._saving(self.inner.trainings())

    def note(self, text: str) -> None:
        """Pass on a line."""
        self.inner.note(text)

    @contextmanager
    def _saving(self, block: AbstractContextManager[Show]) -> Iterator[Show]:
        with block as show:
            yield show
        self.save()


def _filled(index: Index, jobs: Sequence[Job], place: Workspace) -> Index:
    entries = [Entry(job.study, job.kind, read_record(place.folder, job.stem), job.stem) for job in jobs]
    return replace(index, entries=tuple(entries))


def _write(index: Index, place: Workspace) -> None:
    for name, content in zip(FILES, (html(index), markdown(index)), strict=True):
        with whole_file(place.folder / name) as file:
            file.write(content.encode())
