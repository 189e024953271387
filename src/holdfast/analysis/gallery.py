"""The pictures that were kept at certification time, each with what was found out about it."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.analysis import extras, formats
from holdfast.store.gallery import read_gallery

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.analysis.accuracy import Result
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.types import Norm

# In the report: as many examples, as wide at most, and as many classes of the votes.
_MOST = 24
_WIDEST = 160
_CLASSES = 3


@dataclass(frozen=True)
class Bar:
    """The votes for one class, or for all the others together.

    Attributes:
        name: of the class.
        votes: the number of estimation samples.
        share: of all estimation samples, in percent.
        kind: "top" for the class that the certificate is about, "other" for another one, "rest" for several.
    """

    name: str
    votes: int
    share: str
    kind: str


@dataclass(frozen=True)
class Card:
    """One example of the gallery.

    Attributes:
        index: of the example in its split.
        pictures: PNG files as data addresses: the input, then noisy versions of it.
        state: "correct", "wrong" or "uncertified".
        answer: name of the class that the smoothed classifier answers, None when abstaining.
        label: name of the true class.
        radius: certified radius with its unit, rounded down; None when not certified.
        bars: the votes, most first.
        votes: the number of estimation samples.
    """

    index: int
    pictures: tuple[str, ...]
    state: str
    label: str
    answer: str | None
    radius: str | None
    bars: tuple[Bar, ...]
    votes: int


def cards(run: CertifiedRun) -> list[Card]:
    """The cards of a run, without examples that have no record yet; empty where no pictures were kept.

    Raises:
        RunError: the file of pictures is corrupt.
        MissingExtraError: pillow is not installed.
    """
    gallery = read_gallery(run.folder)
    if gallery is None:
        return []
    found = {result.index: result for result in run.results}
    pairs = zip(gallery.index.tolist(), gallery.pictures, strict=True)
    known = [(index, pictures) for index, pictures in pairs if index in found]
    return [_card(run, found[index], pictures) for index, pictures in known[:_MOST]]


def _card(run: CertifiedRun, result: Result, pictures: NDArray[np.uint8]) -> Card:
    names = run.data.class_names
    certain = result.predicted is not None
    return Card(
        index=result.index,
        pictures=tuple(_data_address(picture) for picture in pictures),
        state="uncertified" if not certain else "correct" if result.correct else "wrong",
        label=names[result.label],
        answer=None if result.answer is None else names[result.answer],
        radius=_radius(run.norm, result.radius) if certain else None,
        bars=_bars(result, names),
        votes=result.certificate.estimation.total if result.certificate else 0,
    )


def _radius(norm: Norm, value: float) -> str:
    return formats.with_unit(norm, formats.radius(norm, value))


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


def _data_address(picture: NDArray[np.uint8]) -> str:
    image: Any = extras.load("PIL.Image", "Showing pictures in a report").fromarray(np.ascontiguousarray(picture))
    if max(image.size) > _WIDEST:
        image.thumbnail((_WIDEST, _WIDEST))
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
