"""Studies: a plan, and a page made from its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.reproductions.kinds import KINDS, logs_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.data.base import DataSet
    from holdfast.reproductions.pages import Page
    from holdfast.reproductions.plans import Plan
    from holdfast.reproductions.results import Finished

SCALES = ("smoke", "small", "full")


@dataclass(frozen=True)
class Study:
    """A published table or figure, and how to reproduce it.

    Attributes:
        name: on the command line.
        title: the paper and its tables, in one line.
        data: the kinds of data it accepts; empty if it needs none.
        cost: for each scale, in a few words.
        plan: scale and kind of data -> what to train and certify.
        page: what was made -> the page.
        needs_data: whether there is nothing to show without data.
        items: which of the things that the seed documents describe it shows, as in "L11" (docs/seeds.md).
    """

    name: str
    title: str
    data: tuple[str, ...]
    cost: Mapping[str, str]
    plan: Callable[[str, str], Plan]
    page: Callable[[Finished], Page]
    needs_data: bool = True
    items: tuple[str, ...] = ()

    def spelling(self) -> str:
        """How to give its data on the command line."""
        return ", or ".join(KINDS[kind].spelling for kind in self.data)

    def logs_in(self, spec: str) -> tuple[str, str] | None:
        """The kind of logs and the folder of a spec like logs:DIR; None for the spec of a data set."""
        kind = logs_kind(spec)
        return (kind, spec.partition(":")[2]) if kind in self.data else None

    def kind_of(self, data: DataSet) -> str:
        """Which of the study's kinds of data `data` is.

        Raises:
            UsageError: it is none of them.
        """
        for kind in self.data:
            if KINDS[kind].fits(data):
                return kind
        raise UsageError(
            f"{self.name} needs {' or '.join(self.data)}, given as {self.spelling()}; the data given are from the "
            f"source {data.source!r}, with inputs of shape {data.shape} in [{data.low:g}, {data.high:g}] and "
            f"{len(data.class_names)} classes"
        )


_STUDIES: dict[str, Study] = {}


def register(study: Study) -> Study:
    """Register a study by its name."""
    if study.name in _STUDIES:
        raise TypeError(f"two studies are named {study.name!r}")
    _STUDIES[study.name] = study
    return study


def studies() -> list[Study]:
    """All studies, by name."""
    return [_STUDIES[name] for name in sorted(_STUDIES)]


def find_study(name: str) -> Study:
    """The study with this name.

    Raises:
        UsageError: there is no such study.
    """
    if name not in _STUDIES:
        raise UsageError(
            f"there is no study named {name!r}; the studies are {', '.join(sorted(_STUDIES))}. `holdfast reproduce` "
            "lists them"
        )
    return _STUDIES[name]


def check_scale(scale: str) -> None:
    """Raise UsageError unless `scale` is one."""
    if scale not in SCALES:
        raise UsageError(f"the scale must be one of {', '.join(SCALES)}, got {scale!r}")
