"""Cohen et al. 2019, Appendix G: images of higher resolution tolerate more noise, and have larger certified radii."""

from __future__ import annotations

import math

from scipy.special import chdtri

from holdfast.noises.base import find_guarantee
from holdfast.noises.gaussian import Gaussian
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Gallery, Group, Measured, Page, Picture, Row, Statement, Strip, Table
from holdfast.reproductions.plans import Noising, Plan
from holdfast.reproductions.results import Finished, Noised
from holdfast.stats.rounding import complement_upper
from holdfast.types import ClassBounds

# Figure 4's noise for ImageNet; half of it shows the same on the small images of CIFAR-10.
_SIGMA = {"imagenet": 0.5, "cifar10": 0.25}
# Squares of so many pixels a side become one.
_SIDES = (4, 2, 1)
_LIMIT = {"smoke": 1, "small": 3, "full": 4}
_EVERY = {"imagenet": 20, "cifar10": 100}
_PROBABILITIES = (0.6, 0.8, 0.9, 0.99, 0.999)
_SHAPE = (3, 224, 224)
# Of each interval of a deviation.
_CONFIDENCE = 0.95
# Of the statement about all of them together, which chance alone then fails once in a million pages.
_SURE = 1 - 1e-6
# What rounding towards safety can make of a product: a few units in the last place.
_ROUNDING = 1e-12


def plan(scale: str, kind: str) -> Plan:
    """Images at three resolutions without noise, with the same noise, and averaged after the noise."""
    noise, every, limit = f"gaussian:sigma={_SIGMA[kind]:g}", _EVERY[kind], _LIMIT[scale]
    jobs = [Noising(_name(kind, "clean", side), None, every, limit, before=side) for side in _SIDES]
    jobs += [Noising(_name(kind, "noisy", side), noise, every, limit, before=side) for side in _SIDES]
    jobs += [Noising(_name(kind, "after", side), noise, every, limit, after=side) for side in _SIDES if side > 1]
    return Plan(noisy=tuple(jobs))


def _name(kind: str, what: str, side: int) -> str:
    return f"cohen-resolution-{kind}-{what}-{side}"


def page(done: Finished) -> Page:
    """The radii of Proposition 7; with data also Figures 4 and 12, and the deviation of averaged noise."""
    pictured = bool(done.noisy)
    return Page(
        title="Cohen et al. 2019, Appendix G: resolution and noise"
        + (f", {done.kind}, scale {done.scale}" if pictured else ""),
        intro=(
            "Noise is independent from pixel to pixel, and neighbouring pixels of an image are alike. So the mean of "
            "s x s pixels keeps the image and divides the deviation of the noise by s. A classifier of small images "
            "with noise sigma therefore becomes one of images with s times the side, that tolerates s sigma, by "
            "averaging first. It gives the same answers with the same probabilities, and its certified radii are s "
            "times as large (Proposition 7 for s = 2; docs/guarantees.md has the proof).",
            *done.notes,
        ),
        tables=(_radii(), *((_deviations(done),) if pictured else ())),
        statements=(
            Statement(
                "at the same probability, the radius with s times the noise is s times as large",
                all(
                    math.isclose(_radius(p, side), side * _radius(p, 1), rel_tol=_ROUNDING)
                    for p in _PROBABILITIES
                    for side in _SIDES
                ),
                regardless=True,
            ),
            *((_as_derived(done),) if pictured else ()),
        ),
        notes=(
            "The paper shows one photograph of a hummingbird at two resolutions; which one is not in its text. In the "
            "norm of the inputs, an image of twice the side is also twice as far from another: radii are larger, and "
            "so is everything else.",
        ),
        pictures=(_gallery(done),) if pictured else (),
    )


def _radius(p: float, side: int) -> float:
    noise = Gaussian(float(side))
    found = find_guarantee(noise, "cohen").radius(noise, ClassBounds(0, p, complement_upper(p)), _SHAPE)
    return found or 0.0


def _radii() -> Table:
    sides = sorted(_SIDES)
    rows = tuple(
        Row(f"p = {p:g}", None, tuple(Measured(_radius(p, side), "radius") for side in sides)) for p in _PROBABILITIES
    )
    return Table(
        "Proposition 7: certified radius, in units of the noise at the lowest resolution",
        tuple(f"side x {side}" for side in sides),
        (Group("", "", rows),),
        ("p is the probability of the top class. Exact, so there are no intervals; radii are rounded down.",),
        published=False,
    )


def _spread(found: tuple[Noised, ...], confidence: float) -> tuple[float, float, float]:
    """The deviation of the noise in some copies, with its exact interval: the sum of squares is chi-squared."""
    count = sum(each.values for each in found)
    squares = sum(each.distance**2 for each in found)
    tail = (1 - confidence) / 2
    lower, upper = (math.sqrt(squares / float(chdtri(count, above))) for above in (tail, 1 - tail))
    return math.sqrt(squares / count), lower, upper


def _averaged(done: Finished) -> dict[int, tuple[Noised, ...]]:
    """Copies that were averaged after the noise, by the side of the squares; 1 for those that were not."""
    kind = done.kind or "imagenet"
    return {side: done.noisy[_name(kind, "after" if side > 1 else "noisy", side)] for side in sorted(_SIDES)}


def _deviations(done: Finished) -> Table:
    sigma = _SIGMA[done.kind or "imagenet"]
    rows = []
    for side, found in _averaged(done).items():
        value, lower, upper = _spread(found, _CONFIDENCE)
        rows.append(
            Row(
                f"means of {side} x {side}" if side > 1 else "as it is",
                None,
                (Measured(value, "", lower, upper, True), Measured(sigma / side, "")),
            )
        )
    return Table(
        f"Deviation of noise with sigma = {sigma:g} after averaging",
        ("measured", "sigma / s"),
        (Group("", "", tuple(rows)),),
        ("Measured on the noise of the pictures, with exact 95% intervals for a normal distribution.",),
        published=False,
    )


def _as_derived(done: Finished) -> Statement:
    sigma, each = _SIGMA[done.kind or "imagenet"], 1 - (1 - _SURE) / len(_SIDES)
    inside = []
    for side, found in _averaged(done).items():
        _, lower, upper = _spread(found, each)
        inside.append(lower <= sigma / side <= upper)
    return Statement(
        "the mean of s x s noisy pixels has noise of deviation sigma / s, as far as it can be told from these pictures",
        all(inside),
        regardless=True,
    )


def _gallery(done: Finished) -> Gallery:
    kind = done.kind or "imagenet"
    clean, noisy = ([done.noisy[_name(kind, what, side)] for side in _SIDES] for what in ("clean", "noisy"))
    after = [_averaged(done)[side] for side in _SIDES]
    rows = (("unchanged", clean), (f"noise sigma = {_SIGMA[kind]:g}", noisy), ("the same noise, then averaged", after))
    strips = []
    for number, first in enumerate(clean[0]):
        for what, found in rows:
            pictures = tuple(Picture.of(copies[number].picture) for copies in found)
            strips.append(Strip(f"test image {first.index}, class {first.label}: {what}", pictures))
    sides = [round(math.sqrt(copies[0].values / 3)) for copies in clean]
    return Gallery(
        f"cohen-resolution-{kind}",
        "Figures 4 and 12: the same noise at several resolutions",
        "From left to right the same image has more pixels. The noise of the second row has the same deviation in each "
        "pixel, and hides less and less. The last row averages the noisy image of full size to each resolution.",
        tuple(f"{side} x {side}" for side in sides),
        tuple(strips),
    )


STUDY = register(
    Study(
        name="cohen-resolution",
        title="Cohen et al. 2019, Appendix G, Figures 4 and 12: noise and resolution",
        data=("imagenet", "cifar10"),
        cost={"any scale": "seconds"},
        plan=plan,
        page=page,
        needs_data=False,
        items=("C62",),
    )
)
