"""Cohen et al. 2019, Figure 2 and Appendix K: images of CIFAR-10 and ImageNet with more and more noise."""

from __future__ import annotations

import math

from holdfast.reproductions.base import Study, register
from holdfast.reproductions.pages import Gallery, Group, Measured, Page, Picture, Row, Statement, Strip, Table
from holdfast.reproductions.plans import Noising, Plan
from holdfast.reproductions.results import Finished, Noised
from holdfast.stats.datasets import proportion

# The noise of the paper's experiments on each data set.
_SIGMAS = {"cifar10": (0.12, 0.25, 0.5, 1.0), "imagenet": (0.25, 0.5, 1.0)}
_LIMIT = {"smoke": 2, "small": 6, "full": 8}
# Small enough for a part of a test set, large enough to meet several classes.
_EVERY = {"cifar10": 100, "imagenet": 20}
# A copy counts as near its image within this share of sigma sqrt(d), which is at least 20 deviations away from it.
_NEAR = 0.5


def plan(scale: str, kind: str) -> Plan:
    """The same images without noise, and with each noise of the experiments."""
    every, limit = _EVERY[kind], _LIMIT[scale]
    unchanged = Noising(_name(kind, 0.0), None, every, limit)
    noisy = (Noising(_name(kind, sigma), f"gaussian:sigma={sigma:g}", every, limit) for sigma in _SIGMAS[kind])
    return Plan(noisy=(unchanged, *noisy))


def _name(kind: str, sigma: float) -> str:
    return f"cohen-noise-{kind}-sigma{sigma:g}"


def page(done: Finished) -> Page:
    """The pictures, and how far from its image a noisy copy lies."""
    kind = done.kind or "cifar10"
    copies = {sigma: done.noisy[_name(kind, sigma)] for sigma in (0.0, *_SIGMAS[kind])}
    noisy = {sigma: found for sigma, found in copies.items() if sigma}
    near = sum(
        each.distance < _NEAR * sigma * math.sqrt(each.values) for sigma, found in noisy.items() for each in found
    )
    return Page(
        title=f"Cohen et al. 2019, Figure 2 and Appendix K: noisy images of {kind}, scale {done.scale}",
        intro=(
            "Gaussian noise of deviation sigma moves an image of d values by about sigma sqrt(d), and almost never by "
            "much less: noisy images lie where virtually no natural image does. This is why a base classifier is "
            "trained with noise (Section 3.3).",
            *done.notes,
        ),
        tables=(
            Table(
                "How far noise moves an image (L2, in input units)",
                ("here", "sigma sqrt(d)"),
                tuple(Group(f"sigma = {sigma:g}", "", _rows(sigma, found)) for sigma, found in noisy.items()),
                ("The noise is added as it is: values outside of [0, 1] are clipped in the pictures only.",),
                published=False,
            ),
        ),
        statements=(
            Statement.compared(
                "no noisy copy lies nearer to its image than half of sigma sqrt(d)",
                not near,
                sum(map(len, noisy.values())),
                "images",
                regardless=True,
            ),
        ),
        notes=(
            "Which images the paper shows is not in its text; these are test images at equal distances, one draw of "
            "noise each, scaled by sigma.",
        ),
        pictures=(_gallery(kind, copies),),
    )


def _rows(sigma: float, found: tuple[Noised, ...]) -> tuple[Row, ...]:
    mean = sum(each.distance for each in found) / len(found)
    expected = sigma * math.sqrt(found[0].values)
    outside = proportion(sum(each.outside for each in found), sum(each.values for each in found))
    return (
        Row("mean distance", None, (Measured(mean, "", digits=2), Measured(expected, "", digits=2))),
        Row("values outside of [0, 1]", None, (Measured.share(outside), None)),
    )


def _gallery(kind: str, copies: dict[float, tuple[Noised, ...]]) -> Gallery:
    rows = zip(*copies.values(), strict=True)
    return Gallery(
        f"cohen-noise-{kind}",
        "Test images with Gaussian noise",
        "Values outside of [0, 1] are clipped here, as in the paper's figures; the classifier sees them unclipped.",
        tuple(f"sigma = {sigma:g}" for sigma in copies),
        tuple(
            Strip(f"test image {row[0].index}, class {row[0].label}", tuple(Picture.of(each.picture) for each in row))
            for row in rows
        ),
    )


STUDY = register(
    Study(
        name="cohen-noise",
        title="Cohen et al. 2019, Figure 2 and Appendix K: images with more and more noise",
        data=("cifar10", "imagenet"),
        cost={"any scale": "seconds"},
        plan=plan,
        page=page,
        items=("C66",),
    )
)
