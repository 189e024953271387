"""Levine & Feizi 2020, Figure 4: four ways to show an ablated image, and what each says about which pixels are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from holdfast.noises.masking import NULL_COLOUR
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Gallery, Group, Measured, Page, Picture, Row, Statement, Strip, Table
from holdfast.reproductions.plans import Looking, Plan
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from holdfast.reproductions.results import Looked

_KEPT = 85
_SHOWN = 4
_NAME = "figure-4"
ORIGINAL, UNIQUE, MEAN, RANDOM = "image", "unique NULL", "mean as NULL", "random noise as NULL"
_LEVELS = 256
# Of the kept pixels, for the paper's "still possible to distinguish" and "no longer easily".
_FEW, _MOST = 1.0, 50.0


def plan(scale: str, kind: str) -> Plan:
    """A few images; nothing is trained."""
    return Plan(looks=(Looking(_NAME, 1, _SHOWN),))


def null_encodings(
    x: NDArray[np.float32], kept: NDArray[np.int64], mean: Sequence[float], random: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """One ablated image in each encoding of Figure 4, as pictures `(height, width, 3)` in [0, 1].

    Args:
        x: `(1 or 3, height, width)`, in [0, 1].
        kept: positions of the pixels that are kept, from 0 to height x width - 1.
        mean: of each channel, for NULL as the mean.
        random: `(height, width)`, or of the shape of `x`, in [0, 1], for NULL as random noise.
    """
    image = np.broadcast_to(x, (3, *x.shape[1:])).transpose(1, 2, 0)
    mask = np.zeros(x.shape[1] * x.shape[2], dtype=bool)
    mask[kept] = True
    mask = mask.reshape(*x.shape[1:], 1)
    noise = np.broadcast_to(random, (3, *x.shape[1:])).transpose(1, 2, 0)
    fills = {
        UNIQUE: np.asarray(NULL_COLOUR, dtype=np.float32) / 255.0,
        MEAN: np.broadcast_to(np.asarray(mean, dtype=np.float32), 3),
        RANDOM: noise,
    }
    return {ORIGINAL: image, **{name: np.where(mask, image, fill) for name, fill in fills.items()}}


def page(done: Finished) -> Page:
    """The pictures, and how well a pixel's value tells whether it was kept."""
    looked = done.looks[_NAME]
    pixels = looked.images.shape[2] * looked.images.shape[3]
    mistaken = _mistaken(looked, _KEPT / pixels)
    rows = tuple(
        Row(name, None, tuple(Measured(100.0 * share, "percent", digits=2) for share in shares))
        for name, shares in mistaken.items()
    )
    few = 100.0 * mistaken[MEAN][0]
    most = 100.0 * mistaken[RANDOM][1]
    return Page(
        title=f"Levine & Feizi 2020, Figure 4: encodings of NULL, k = {_KEPT}",
        intro=(
            f"Ablation keeps {_KEPT} of {pixels} pixels. How are the others shown to the base classifier? With a value "
            "of their own, as the mean of the training set, or, as the noise of Lee et al. does, as random values. "
            "Nothing is trained or sampled for a certificate here.",
            *done.notes,
        ),
        tables=(
            Table(
                "Pixels mistaken, in percent",
                ("kept", "kept, not 0", "NULL"),
                (Group("", "", rows),),
                (
                    "Whoever sees one pixel guesses whether it was kept, as well as its value allows: by how often the "
                    "training set has each of 256 values. First: kept pixels taken for NULL. Second: of the kept "
                    "pixels that are not 0, the digit itself. Third: NULL taken for kept. Counted over the whole "
                    "training set, so there are no intervals. The paper prints no numbers with the figure.",
                ),
                published=False,
            ),
        ),
        statements=(
            Statement(
                f"with the mean, at most {_FEW:g}% of the kept pixels are taken for NULL: it is no common value",
                few <= _FEW,
                regardless=True,
            ),
            Statement(
                f"with random noise, at least {_MOST:g}% of the kept pixels that are not 0 are taken for NULL",
                most >= _MOST,
                regardless=True,
            ),
        ),
        pictures=(_pictures(looked),),
        notes=(
            f"The caption of the figure speaks of an image with k = {_KEPT} pixels ablated. k is the number of kept "
            "pixels everywhere else in the paper, and here. The random noise is uniform in [0, 1].",
        ),
    )


def _mistaken(looked: Looked, kept: float) -> Mapping[str, tuple[float, float, float]]:
    """For each encoding: kept pixels taken for NULL, the same among those that are not 0, and NULL taken for kept."""
    shares = np.asarray(looked.counts, dtype=np.float64) / sum(looked.counts)
    middle = np.zeros(_LEVELS)
    middle[round(looked.mean[0] * (_LEVELS - 1))] = 1.0
    nulls = {MEAN: middle, RANDOM: np.full(_LEVELS, 1.0 / _LEVELS)}
    found: dict[str, tuple[float, float, float]] = {UNIQUE: (0.0, 0.0, 0.0)}
    for name, null in nulls.items():
        taken = (1.0 - kept) * null > kept * shares
        bright = taken.copy()
        bright[0] = False
        lost = float(shares[taken].sum())
        lost_of_digit = float(shares[bright].sum()) / max(1.0 - float(shares[0]), 1e-12)
        found[name] = (lost, lost_of_digit, float(null[~taken].sum()))
    return found


def _pictures(looked: Looked) -> Gallery:
    strips = []
    for number, (index, label) in enumerate(zip(looked.index, looked.labels, strict=True)):
        x, random = looked.images[number], np.random.default_rng(index)
        kept = random.choice(x.shape[1] * x.shape[2], _KEPT, replace=False)
        shown = null_encodings(x, kept, looked.mean, random.random(x.shape[1:], dtype=np.float32))
        pictures = tuple(Picture.of(np.rint(255.0 * each).astype(np.uint8)) for each in shown.values())
        strips.append(Strip(f"test image {index}, class {label}", pictures))
    return Gallery(
        file="levine-null-figure-4",
        title="Figure 4: one set of kept pixels in each encoding",
        caption="Teal is the colour of NULL where it has a value of its own; the base classifier sees (0, 0) there.",
        columns=(ORIGINAL, UNIQUE, MEAN, RANDOM),
        strips=tuple(strips),
    )


STUDY = register(
    Study(
        name="levine-null",
        title="Levine & Feizi 2020, Figure 4: encodings of NULL",
        data=("mnist",),
        cost={"any scale": "seconds"},
        plan=plan,
        page=page,
        items=("L27",),
    )
)
