"""The pictures saved during certification, each with its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.analysis.pictures import data_uri, png
from holdfast.errors import RunError
from holdfast.store.gallery import read_gallery
from holdfast.store.run import GALLERY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.store.gallery import Gallery

# Limits of the gallery in a report: cards, pixels of a picture's longer side, and classes with a bar of their own.
_MOST = 24
_WIDEST = 160
_CLASSES = 3


@dataclass(frozen=True)
class Bar:
    """The votes for one class, or for all remaining classes together.

    Attributes:
        name: of the class or classes.
        votes: the number of estimation samples.
        share: of all estimation samples, in percent.
        kind: "top" for the class of the certificate, "other" for another class, "rest" for the remaining classes.
    """

    name: str
    votes: int
    share: str
    kind: str


@dataclass(frozen=True)
class Card:
    """One example of the gallery.

    Attributes:
        index: position of the example in its split.
        pictures: PNG files as data URLs: the input, then noisy copies of it.
        copies: for each noisy copy, the name of the class that the base classifier gives it, None where it gives none;
            empty where that was not recorded.
        state: "correct", "wrong" or "uncertified".
        answer: name of the class that the smoothed classifier answers; None when it abstains.
        label: name of the true class.
        radius: certified radius with its unit, rounded down; None when not certified.
        bars: the votes, most first.
        votes: the number of estimation samples.
    """

    index: int
    pictures: tuple[str, ...]
    copies: tuple[str | None, ...]
    state: str
    label: str
    answer: str | None
    radius: str | None
    bars: tuple[Bar, ...]
    votes: int


def cards(run: CertifiedRun) -> list[Card]:
    """The cards of the examples that have a record; empty if the run has no pictures.

    Raises:
        RunError: the picture file is corrupt.
        MissingExtraError: pillow is not installed.
    """
    gallery = read_gallery(run.folder)
    if gallery is None:
        return []
    results = {result.index: result for result in run.results}
    copies = copy_names(gallery, run.data.class_names) or [()] * len(gallery.index)
    rows = zip(gallery.index.tolist(), gallery.pictures, copies, strict=True)
    recorded = [(results[index], pictures, names) for index, pictures, names in rows if index in results]
    return [_card(run, *row) for row in recorded[:_MOST]]


def copy_names(gallery: Gallery, classes: Sequence[str]) -> list[tuple[str | None, ...]]:
    """For each example of a gallery, the names of the base classifier's classes for its noisy copies, None for none.

    Empty if they were not recorded.

    Raises:
        RunError: the gallery has a class that is none of `classes`.
    """
    if gallery.labels is None:
        return []
    if gallery.labels.size and not -1 <= gallery.labels.min() <= gallery.labels.max() < len(classes):
        raise RunError(
            f"{GALLERY} has labels from {gallery.labels.min()} to {gallery.labels.max()}; expected -1 to "
            f"{len(classes) - 1}, the classes of the run. Delete it to have the report without pictures"
        )
    return [tuple(None if label < 0 else classes[label] for label in row) for row in gallery.labels.tolist()]


def _card(run: CertifiedRun, result: Result, pictures: NDArray[np.uint8], copies: tuple[str | None, ...]) -> Card:
    names = run.data.class_names
    certified = result.predicted is not None
    return Card(
        index=result.index,
        pictures=tuple(_data_url(picture) for picture in pictures),
        copies=copies,
        state="uncertified" if not certified else "correct" if result.correct else "wrong",
        label=names[result.label],
        answer=None if result.answer is None else names[result.answer],
        radius=formats.with_unit(run.norm, formats.radius(run.norm, result.radius)) if certified else None,
        bars=_bars(result, names),
        votes=result.certificate.estimation.total if result.certificate else 0,
    )


def _bars(result: Result, names: tuple[str, ...]) -> tuple[Bar, ...]:
    if result.certificate is None:
        return ()
    votes, top = result.certificate.estimation.votes, result.certificate.bounds.top
    total = sum(votes)

    def bar(name: str, count: int, kind: str) -> Bar:
        return Bar(name, count, formats.percent(count / total), kind)

    ranked = sorted((label for label in range(len(votes)) if votes[label]), key=lambda label: (-votes[label], label))
    shown = [bar(names[label], votes[label], "top" if label == top else "other") for label in ranked[:_CLASSES]]
    rest = sum(votes[label] for label in ranked[_CLASSES:])
    if rest:
        count = len(ranked) - _CLASSES
        shown.append(bar(f"{count} other class{'es' if count > 1 else ''}", rest, "rest"))
    return tuple(shown)


def _data_url(picture: NDArray[np.uint8]) -> str:
    return data_uri(png(picture, most=_WIDEST))
