"""Shared by both halves of Figure 13 of Cohen et al. 2019: a deterministic bound beside a smoothed network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.analysis.gap_pictures import gap_picture
from holdfast.analysis.gaps import gap
from holdfast.reproductions import measures
from holdfast.reproductions.defences import accuracy_under, images, within_radius
from holdfast.reproductions.models import cohen_run, mnist_gaussian, resnet20_gaussian
from holdfast.reproductions.pages import Chart, Group, Page, Row, Statement, Table
from holdfast.reproductions.plans import Attacking, Bounding, Certification, Model, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.results import Finished, Trained

# The paper's noise levels for these two comparisons are not in our copy of the text. These are its smallest one of
# Table 2, and on MNIST the one of our other studies.
_SIGMA = {"mnist": 0.5, "cifar10": 0.25, "svhn": 0.25}
_NAMES = {"mnist": "MNIST", "cifar10": "CIFAR-10", "svhn": "SVHN"}
_STEPS = {"smoke": 10, "small": 40, "full": 100}
# The attack that looks for the smallest change.
_NEAREST = "deepfool"
# Most images that are attacked.
_LIMIT = {"smoke": 10, "small": 100, "full": 500}


@dataclass(frozen=True)
class Baseline:
    """What one half of the figure compares smoothing with.

    Attributes:
        study: name of the study.
        title: of the page, without the data and the scale.
        method: in the legend.
        own: the kind of data in the paper.
        model: scale and kind of data -> the network.
        bound: scale and kind of data -> as on the command line.
        every: scale and kind -> it is certified for every so many test images; None for those of the smoothed network.
        radii: of the table, by kind of data.
        intro: what it is.
        notes: on settings.
    """

    study: str
    title: str
    method: str
    own: str
    model: Callable[[str, str], Model]
    bound: Callable[[str, str], str]
    every: Callable[[str, str], int | None]
    radii: Mapping[str, tuple[float, ...]]
    intro: str
    notes: tuple[str, ...]

    def plan(self, scale: str, kind: str) -> Plan:
        """Both networks, their certificates, and attacks on the images of the bound."""
        network, (smoothed, run) = self.model(scale, kind), smoothed_by(scale, kind)
        own = self.every(scale, kind)
        every, limit = (run.every, run.limit) if own is None else (own, None)
        bounding = Bounding(self.bounded(scale, kind), network.name, self.bound(scale, kind), every, limit)
        attacks = tuple(
            Attacking(
                f"{bounding.name}-{name}",
                network.name,
                spec,
                bounding.every,
                limit=_LIMIT[scale] if limit is None else min(_LIMIT[scale], limit),
                budget=budget,
                run=bounding.name,
            )
            for name, (spec, budget) in _attacks(scale).items()
        )
        return Plan((network, smoothed), (run,), (bounding,), attacks)

    def bounded(self, scale: str, kind: str) -> str:
        """The name of the bound's run."""
        return f"{self.model(scale, kind).name}-bound"

    def page(self, done: Finished) -> Page:
        """The figure, as numbers and as a chart."""
        kind = done.kind or self.own
        network, (smoothed, wanted) = self.model(done.scale, kind), smoothed_by(done.scale, kind)
        bounded, certified = done.runs[self.bounded(done.scale, kind)], done.runs[wanted.name]
        radii = self.radii[kind]
        attacks = {name: done.attacks[f"{self.bounded(done.scale, kind)}-{name}"] for name in _attacks(done.scale)}
        nearest = attacks[_NEAREST]
        left = [accuracy_under(nearest, radius) for radius in radii]
        sigma = f"smoothing, sigma = {_SIGMA[kind]:g}"
        data = _NAMES[kind]
        legend = {self.method: bounded, sigma: certified}
        groups = (
            _group(self.method, _settings(bounded, done.models[network.name]), bounded, radii),
            _group(sigma, measures.settings(certified, done.models[smoothed.name]), certified, radii),
            Group(
                f"{self.method}: accuracy under DeepFool",
                f"{images(nearest.manifest.data)}; an upper bound of what could be certified",
                tuple(Row(f"r = {radius:g}", None, (found,)) for radius, found in zip(radii, left, strict=True)),
            ),
        )
        return Page(
            title=f"{self.title}, {data}, scale {done.scale}",
            intro=(
                f"{self.intro} The paper draws Figure 13 and prints no numbers of it.",
                *([] if kind == self.own else [f"The paper has {_NAMES[self.own]}; {data} stands in for it here."]),
                *([measures.SMOKE] if done.scale == "smoke" else []),
                *done.notes,
            ),
            tables=(
                Table(
                    f"Figure 13 in numbers, {data}",
                    ("here",),
                    groups,
                    (
                        f"Certified accuracy at L2 radii, in percent with 95% intervals. That of {self.method} is "
                        "deterministic, that of smoothing fails with a probability of at most alpha for each image.",
                    ),
                    published=False,
                ),
            ),
            charts=(
                Chart(
                    f"{self.study}-{kind}-figure-13.svg",
                    f"Figure 13: {self.method} and smoothing",
                    "Certified accuracy over the L2 radius. Bands: pointwise 95% intervals.",
                    lambda: measures.picture([measures.drawn(run, name) for name, run in legend.items()]),
                ),
                Chart(
                    f"{self.study}-{kind}-attack.svg",
                    f"{self.method}: certificate and attack on the same images",
                    "Certified accuracy below, accuracy under DeepFool above, with pointwise 95% bands. Grey: neither "
                    "certified nor broken.",
                    lambda: gap_picture(gap(nearest, bounded)),
                ),
            ),
            statements=self._statements(done, bounded, certified, radii),
            notes=(
                *self.notes,
                f"sigma = {_SIGMA[kind]:g} is our choice: the paper's noise level for this comparison is not in our "
                "copy of its text.",
            ),
        )

    def _statements(
        self, done: Finished, bounded: CertifiedRun, smoothed: CertifiedRun, radii: Sequence[float]
    ) -> tuple[Statement, ...]:
        kind = done.kind or self.own
        attacks = [done.attacks[f"{self.bounded(done.scale, kind)}-{name}"] for name in _attacks(done.scale)]
        tried = {each.index for attack in attacks for each in attack.records if each.radius}
        both = _on_the_same_images(smoothed, bounded)
        shares = {radius: [sum(each >= radius for each in found) for found in both] for radius in radii if radius}
        return (
            Statement.compared(
                f"no attack finds an adversarial within a radius that {self.method} certifies",
                not any(within_radius(attack) for attack in attacks),
                len(tried),
                "attacked images with a certified radius",
                regardless=True,
            ),
            *(
                Statement.compared(
                    f"smoothing certifies more of the same images than {self.method} at r = {radius:g}",
                    ours > theirs,
                    max(ours, theirs),
                    "certified images at this radius",
                )
                for radius, (ours, theirs) in shares.items()
            ),
        )


def smoothed_by(scale: str, kind: str) -> tuple[Model, Certification]:
    """The smoothed network beside which the bound stands, and its run: n0 = 100, n = 100,000, alpha = 0.001."""
    sigma = _SIGMA[kind]
    model = mnist_gaussian(scale, sigma) if kind == "mnist" else resnet20_gaussian(scale, kind, sigma)
    run = cohen_run(scale, model)
    # The whole test set of SVHN has more images.
    return model, replace(run, limit=None) if (scale, kind) == ("full", "svhn") else run


def _on_the_same_images(first: CertifiedRun, second: CertifiedRun) -> tuple[list[float], list[float]]:
    """The radii with the right class of the images that both runs have."""
    radii = [{each.index: each.certified_radius for each in run.results} for run in (first, second)]
    common = sorted(radii[0].keys() & radii[1].keys())
    return [radii[0][index] for index in common], [radii[1][index] for index in common]


def _attacks(scale: str) -> dict[str, tuple[str, str | None]]:
    """Attacks on the network by name: the smallest change that is found, and the ball of the certified radius."""
    return {_NEAREST: ("deepfool:norm=l2", None), "pgd": (f"pgd:norm=l2,steps={_STEPS[scale]}", "1x")}


def _group(title: str, settings: str, run: CertifiedRun, radii: Sequence[float]) -> Group:
    found = measures.certified(run, radii)
    return Group(
        title, settings, tuple(Row(f"r = {radius:g}", None, (each,)) for radius, each in zip(radii, found, strict=True))
    )


def _settings(run: CertifiedRun, model: Trained) -> str:
    return f"{measures.training(model)}; {images(run.manifest.data)}; bound {run.method}"
