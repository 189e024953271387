"""What a folder of studies remembers of each one: how it ended, how long it took, and what its page says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from holdfast.errors import RunError
from holdfast.folders import read_file
from holdfast.formats.strict import MOST_DOCUMENT, json_object
from holdfast.outputs import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.folders import Below
    from holdfast.reproductions.base import Study
    from holdfast.reproductions.pages import Page

# How a study ended. STARTED stays if the program was killed, or still works.
STARTED, DONE, FAILED, INTERRUPTED = "started", "done", "failed", "interrupted"
_ENDS = (STARTED, DONE, FAILED, INTERRUPTED)
# Beside the pages, so that no name of a page can be in the way.
_FOLDER = "studies"


@dataclass(frozen=True)
class Job:
    """One study on one kind of data.

    Attributes:
        study: the study.
        kind: of the data; None without data.
        spec: of the data, as on the command line; None without data.
    """

    study: Study
    kind: str | None
    spec: str | None

    @property
    def stem(self) -> str:
        """How the names of its files begin: the study's name, and the kind of data if it takes several."""
        several = self.kind is not None and len(self.study.data) > 1
        return f"{self.study.name}-{self.kind}" if several else self.study.name

    def given(self, models: Mapping[str, str], scale: str) -> dict[str, str]:
        """Those models from elsewhere, by the name of the base classifier, that this job has a place for."""
        if self.kind is None:
            return {}
        names = {model.name for model in self.study.plan(scale, self.kind).models}
        return {name: spec for name, spec in models.items() if name in names}


@dataclass(frozen=True)
class Record:
    """How one job ended.

    Attributes:
        stem: of its files.
        scale: of the study.
        data: spec of the data; None without data.
        status: "started", "done", "failed" or "interrupted".
        seconds: that all calls for it took, by the clock.
        core_seconds: processor time of these calls, their processes included.
        title: of its page; empty without a page.
        warning: what a reader of the page must know first.
        statements: what was checked: a text, and true, false, or null where it was not judged.
        error: why it failed; empty if it did not.
        thumbnail: a small picture of the page as a PNG in a `data:` address; empty without one.
    """

    stem: str
    scale: str
    data: str | None = None
    status: str = STARTED
    seconds: float = 0.0
    core_seconds: float = 0.0
    title: str = ""
    warning: str = ""
    statements: tuple[tuple[str, bool | None], ...] = ()
    error: str = ""
    thumbnail: str = ""

    def counted(self, holds: bool | None) -> int:
        """How many statements hold (true), do not hold (false) or were not judged (None)."""
        return sum(each is holds for _, each in self.statements)

    def of_page(self, page: Page, thumbnail: str) -> Record:
        """The record of a study that is done."""
        return replace(
            self,
            status=DONE,
            title=page.title,
            warning=page.warning,
            statements=tuple((each.text, each.holds) for each in page.statements),
            error="",
            thumbnail=thumbnail,
        )


def write_record(folder: Below, record: Record) -> None:
    """Write the record of a job, whole or not at all."""
    with whole_file(_file(folder, record.stem)) as file:
        file.write((json.dumps(asdict(record), indent=1, allow_nan=False) + "\n").encode())


def read_record(folder: Below, stem: str) -> Record | None:
    """The record of a job; None if there is none.

    Raises:
        RunError: the file is not such a record.
    """
    where = _file(folder, stem)
    content = read_file(where, MOST_DOCUMENT, RunError)
    if content is None:
        return None
    try:
        return _parsed(json_object(content), stem)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{where} is not a record of a study ({error}); expected one that `holdfast reproduce --all` wrote. Delete "
            "it: the same command makes it again"
        ) from error


def check_scale_of(folder: Below, stem: str, scale: str) -> None:
    """Refuse a folder in which a study was made at another scale.

    Raises:
        RunError: it was.
    """
    found = read_record(folder, stem)
    if found is not None and found.scale != scale:
        raise RunError(
            f"{folder} holds {stem} at scale {found.scale}, this call asks for {scale}. Choose another folder, one for "
            "each scale"
        )


def _file(folder: Below, stem: str) -> Below:
    return folder / _FOLDER / f"{stem}.json"


def _parsed(document: dict[str, Any], stem: str) -> Record:
    texts = ("stem", "scale", "status", "title", "warning", "error", "thumbnail")
    for name in texts:
        if not isinstance(document[name], str):
            raise TypeError(f"{name} is not a text")
    if document["stem"] != stem or document["status"] not in _ENDS:
        raise ValueError("it is of another study, or ended in an unknown way")
    if document["thumbnail"] and not document["thumbnail"].startswith("data:image/png;base64,"):
        raise ValueError("its thumbnail is not a PNG file")
    for name in ("seconds", "core_seconds"):
        if isinstance(document[name], bool) or not isinstance(document[name], (int, float)) or document[name] < 0:
            raise ValueError(f"{name} is not a number from 0 on")
    if document["data"] is not None and not isinstance(document["data"], str):
        raise TypeError("data is not a text")
    statements = tuple((text, holds) for text, holds in document["statements"])
    if not all(isinstance(text, str) and (holds is None or isinstance(holds, bool)) for text, holds in statements):
        raise TypeError("a statement is not a text with true, false or null")
    return Record(**{**document, "statements": statements})
