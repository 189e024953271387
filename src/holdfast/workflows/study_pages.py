"""The page of a study: made from what its plan gives, and written with its charts and pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.outputs import whole_file
from holdfast.reproductions.chance import judged
from holdfast.reproductions.results import Finished
from holdfast.reproductions.writing import html, markdown, picture_files
from holdfast.workflows.reproduce import finished

if TYPE_CHECKING:
    from holdfast.folders import Below
    from holdfast.reproductions.base import Study
    from holdfast.reproductions.pages import Page
    from holdfast.reproductions.records import Job
    from holdfast.workflows.study_models import Workspace


def page_of(study: Study, spec: str | None, scale: str, place: Workspace) -> Page:
    """Do what a study asks for, and make its page.

    Args:
        study: study to reproduce.
        spec: spec of its data; None without data.
        scale: smoke, small or full.
        place: where to work.

    Raises:
        UsageError: it needs data.
    """
    if not study.data or spec is None:
        if study.data and study.needs_data:
            raise UsageError(f"{study.name} needs data, as in {study.spelling()}; Holdfast downloads nothing")
        return study.page(Finished(scale))
    done = finished(study, spec, scale, place)
    return judged(study.page(done), done)


def page_of_job(job: Job, scale: str, place: Workspace) -> Page:
    """The page of one job of many: its files have names that no other kind of data of the same study has."""
    page = page_of(job.study, job.spec, scale, place)

    def named(file: str) -> str:
        ours = job.kind is None or job.kind in file or job.stem == job.study.name
        return file if ours else job.stem + file.removeprefix(job.study.name)

    charts = tuple(replace(chart, file=named(chart.file)) for chart in page.charts)
    return replace(page, charts=charts, pictures=tuple(replace(each, file=named(each.file)) for each in page.pictures))


def write_page(stem: str, page: Page, folder: Below, command: str) -> list[str]:
    """Write Markdown, HTML, charts and pictures into the folder; their names.

    Args:
        stem: how the names of the page's own files begin.
        page: the page.
        folder: to write to.
        command: that makes the page, which it shows.
    """
    files = {f"{stem}.html": html(page, command), f"{stem}.md": markdown(page)}
    files |= {chart.file: chart.draw() for chart in page.charts}
    contents = {**{name: content.encode() for name, content in files.items()}, **picture_files(page)}
    for name, content in contents.items():
        with whole_file(folder / name) as file:
            file.write(content)
    return list(contents)
