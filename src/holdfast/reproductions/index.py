"""One page about all studies in a folder: how each ended, what it found, how long it took, and where its page is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis import markup
from holdfast.analysis.html import rendered
from holdfast.reproductions.kinds import KINDS
from holdfast.reproductions.records import DONE, FAILED, INTERRUPTED

if TYPE_CHECKING:
    from holdfast.reproductions.base import Study
    from holdfast.reproductions.records import Record

FILES = ("index.html", "index.md")
# A number of a table that does not apply.
NOTHING = "-"


@dataclass(frozen=True)
class Entry:
    """One line of the index.

    Attributes:
        study: the study.
        kind: of its data; None without data.
        record: how it ended; None if it was not run.
        stem: of its files.
    """

    study: Study
    kind: str | None
    record: Record | None
    stem: str

    @property
    def status(self) -> str:
        """How it ended, or what it needs, in a few words."""
        if self.record is None:
            return f"not run: needs {' or '.join(self.study.data)}" if self._lacks_data else "not run yet"
        if self.record.status == DONE:
            return "done"
        if self.record.status == FAILED:
            return f"failed: {self.record.error}"
        if self.record.status == INTERRUPTED:
            return "interrupted; repeat the command to go on"
        return "running, or killed; repeat the command to go on"

    @property
    def _lacks_data(self) -> bool:
        return self.study.needs_data and self.kind is None and bool(self.study.data)

    @property
    def data(self) -> str:
        """Its kind of data, and the kinds that it takes as well."""
        others = " or ".join(name for name in self.study.data if name != self.kind)
        if self.kind is None:
            return f"none, takes {others}" if others else "none"
        return f"{self.kind}, also takes {others}" if others else self.kind

    @property
    def has_page(self) -> bool:
        """Whether it has a page that is up to date."""
        return self.record is not None and self.record.status == DONE

    @property
    def pages(self) -> tuple[tuple[str, str], ...]:
        """Its pages beside the index: what each is called, and its file."""
        return (("page", f"{self.stem}.html"), ("Markdown", f"{self.stem}.md")) if self.has_page else ()

    def counts(self) -> tuple[str, str, str]:
        """How many statements hold, do not hold, and were not judged."""
        if not self.has_page or self.record is None:
            return NOTHING, NOTHING, NOTHING
        held, failed, unjudged = (str(self.record.counted(each)) for each in (True, False, None))
        return held, failed, unjudged

    @property
    def not_held(self) -> list[str]:
        """The statements that do not hold."""
        return [] if self.record is None else [text for text, holds in self.record.statements if holds is False]

    @property
    def minutes(self) -> str:
        """How long all calls took by the clock, in minutes."""
        return NOTHING if self.record is None else _minutes(self.record.seconds)

    @property
    def core_minutes(self) -> str:
        """Their processor time, in minutes."""
        return NOTHING if self.record is None else _minutes(self.record.core_seconds)

    def document(self) -> dict[str, Any]:
        """The line for JSON."""
        record = self.record
        return {
            "name": self.study.name,
            "kind": self.kind,
            "title": self.study.title,
            "items": list(self.study.items),
            "status": "not run" if record is None else record.status,
            "why": "" if self.has_page else self.status,
            "statements": None
            if record is None or not self.has_page
            else {"held": record.counted(True), "not_held": record.counted(False), "not_judged": record.counted(None)},
            "not_held": self.not_held if self.has_page else [],
            "warning": "" if record is None else record.warning,
            "seconds": None if record is None else record.seconds,
            "core_seconds": None if record is None else record.core_seconds,
            "pages": [file for _, file in self.pages],
        }


@dataclass(frozen=True)
class Index:
    """The page about all studies.

    Attributes:
        scale: of all of them.
        command: that makes them.
        entries: one for each study and kind of data.
        given: kinds of data that were given -> spec.
    """

    scale: str
    command: str
    entries: tuple[Entry, ...]
    given: dict[str, str]

    @property
    def title(self) -> str:
        """Of the page."""
        return f"Published tables and figures, reproduced at scale {self.scale}"

    @property
    def failed(self) -> int:
        """How many studies failed."""
        return sum(entry.record is not None and entry.record.status == FAILED for entry in self.entries)

    @property
    def summary(self) -> str:
        """All studies in one sentence or two."""
        done = [entry for entry in self.entries if entry.has_page]
        records = [entry.record for entry in done if entry.record is not None]
        held, wrong, unjudged = (sum(record.counted(each) for record in records) for each in (True, False, None))
        seconds = sum(entry.record.seconds for entry in self.entries if entry.record is not None)
        return (
            f"{len(done)} of {len(self.entries)} are done, {self.failed} failed, "
            f"{len(self.entries) - len(done) - self.failed} "
            f"were not run or not finished. Of {held + wrong + unjudged} statements {held} hold, {wrong} do not hold, "
            f"and {unjudged} were not judged. All calls took {_minutes(seconds)} minutes."
        )

    @property
    def about(self) -> tuple[str, ...]:
        """What a reader must know to read the table."""
        given = ", ".join(f"{kind} ({spec})" for kind, spec in sorted(self.given.items())) or "none"
        smoke = (
            ("This is a smoke run: it shows that everything works, and its numbers mean nothing.",)
            if self.scale == "smoke"
            else ()
        )
        return (
            *smoke,
            "A statement is a claim of a paper, or a goal, that a page checks against its numbers. It is not judged "
            "where networks are no better than guessing or where there is nothing to compare; the page says why.",
            "Minutes are those of all calls, by the clock and of one processor core. Studies share networks and runs; "
            "the first study that needs them pays for them. The time of a call that was killed counts up to the last "
            "training, run or attack that it finished.",
            f"Data given: {given}. Data are given as {kinds_wanted()}.",
        )


def markdown(index: Index) -> str:
    """The index as Markdown."""
    plain = markup.markdown
    lines = [f"# {plain(index.title)}", "", plain(index.summary), ""]
    for paragraph in index.about:
        lines += [markup.markdown_line(plain(paragraph)), ""]
    lines += [
        "| study | data | status | hold | do not hold | not judged | minutes | core minutes | items | pages |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for entry in index.entries:
        pages = ", ".join(f"[{name}]({file})" for name, file in entry.pages) or NOTHING
        items = ", ".join(entry.study.items) or NOTHING
        cells = [f"{entry.study.name}: {entry.study.title}", entry.data, entry.status, *entry.counts()]
        cells += [entry.minutes, entry.core_minutes, items]
        lines.append("| " + " | ".join([*map(plain, cells), pages]) + " |")
    wrong = [(entry, text) for entry in index.entries if entry.has_page for text in entry.not_held]
    if wrong:
        lines += ["", "## Statements that do not hold", ""]
        lines += [f"* {plain(entry.stem)}: {plain(text)}" for entry, text in wrong]
    return "\n".join([*lines, ""])


def html(index: Index) -> str:
    """The index as one self-contained HTML file.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    return rendered("holdfast.reproductions", "index.html", index=index)


def document(index: Index) -> dict[str, Any]:
    """The index as a JSON document."""
    return {
        "title": index.title,
        "scale": index.scale,
        "command": index.command,
        "data": dict(index.given),
        "studies": [entry.document() for entry in index.entries],
    }


def kinds_wanted() -> str:
    """The spec of each kind of data."""
    return ", ".join(kind.spelling for kind in KINDS.values())


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:,.1f}"
