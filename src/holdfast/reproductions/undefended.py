"""Cohen et al. 2019, the dashed line of Figure 6: a network trained on clean images under DeepFool.

What DeepFool leaves right bounds the robust accuracy of that network from above; certified accuracy bounds that of the
smoothed ones from below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.analysis.lines import Line, picture
from holdfast.reproductions import measures
from holdfast.reproductions.defences import accuracy_under, images
from holdfast.reproductions.pages import Chart, Group, Row, Statement, Table
from holdfast.reproductions.plans import Attacking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.pages import Measured
    from holdfast.reproductions.plans import Certification, Model
    from holdfast.reproductions.results import Finished
    from holdfast.store.attack import AttackRun

_STEPS = {"smoke": 10, "small": 50, "full": 50}


def attacking(scale: str, model: Model, run: Certification) -> Attacking:
    """DeepFool in L2 on the images that a run certifies."""
    # Ten classes and their gradients in each step: on images of ImageNet's size a smoke run has time for few.
    steps = 2 if scale == "smoke" and model.name.startswith("imagenet") else _STEPS[scale]
    attack = f"deepfool:norm=l2,steps={steps}"
    return Attacking(f"{model.name}-deepfool", model.name, attack, run.every, limit=run.limit)


@dataclass(frozen=True)
class Dashed:
    """The line and what it is compared with.

    Attributes:
        radii: in L2.
        left: accuracy under DeepFool within each radius.
        best: the sigma that certifies most at each radius, and how much.
        curves: by sigma.
        settings: of the clean network and the attack.
        sample: number of images attacked.
    """

    radii: tuple[float, ...]
    left: tuple[Measured, ...]
    best: tuple[tuple[float, Measured], ...]
    curves: Mapping[float, CertifiedRun]
    settings: str
    attack: AttackRun

    @classmethod
    def of(cls, done: Finished, model: str, runs: Mapping[float, CertifiedRun], radii: tuple[float, ...]) -> Dashed:
        """From the attack on the clean network and the runs by sigma."""
        attack = done.attacks[f"{model}-deepfool"]
        shares = {sigma: measures.certified(run, radii) for sigma, run in runs.items()}
        best = tuple(
            max(((sigma, each[place]) for sigma, each in shares.items()), key=lambda pair: pair[1].value or 0.0)
            for place in range(len(radii))
        )
        about = (
            f"{measures.training(done.models[model])}, without noise; DeepFool with at most "
            f"{attack.manifest.attack['steps']} steps; {images(attack.manifest.data)}"
        )
        left = tuple(accuracy_under(attack, radius) for radius in radii)
        return cls(radii, left, best, runs, about, attack)

    def table(self) -> Table:
        """Both bounds at each radius."""
        rows = tuple(
            Row(f"r = {radius:g}", None, (left, certified))
            for radius, left, (_, certified) in zip(self.radii, self.left, self.best, strict=True)
        )
        return Table(
            "Figure 6, dashed line: an undefended network under DeepFool",
            ("undefended, at most", "smoothed, certified"),
            (Group("", self.settings, rows),),
            (
                "First column: images that the network trained on clean images gets right, and DeepFool does not make "
                "wrong within r: an empirical upper bound. Second: certified accuracy with the best sigma at r, as "
                "above. The paper prints no numbers for the line.",
            ),
            published=False,
        )

    def chart(self, study: str) -> Chart:
        """The line beside the certified accuracies."""
        return Chart(
            f"{study}-figure-6-deepfool.svg",
            "Figure 6, dashed line: an undefended network under DeepFool",
            "What DeepFool leaves right of a network trained on clean images, an upper bound, and certified accuracy.",
            self._draw,
        )

    def statement(self) -> Statement:
        """What the paper says about the line, at the radii at which some sigma certifies images."""
        pairs = [
            (left.value or 0.0, certified.value or 0.0)
            for radius, left, (_, certified) in zip(self.radii, self.left, self.best, strict=True)
            if radius >= self._least and certified.value
        ]
        return Statement.compared(
            f"smoothing certifies more images than DeepFool leaves of the undefended network, from r = {self._least:g}",
            all(certified > left for left, certified in pairs),
            len(pairs),
            "radii at which images are certified",
        )

    @property
    def _least(self) -> float:
        """The smallest radius of the table above 0."""
        return min(radius for radius in self.radii if radius > 0.0)

    def _draw(self) -> str:
        most = max(self.radii)
        grid = [most * step / 60 for step in range(61)]
        lines = [Line("undefended, DeepFool", tuple((r, accuracy_under(self.attack, r).value or 0.0) for r in grid))]
        for sigma, run in self.curves.items():
            found = measures.certified(run, grid)
            points = tuple((r, each.value or 0.0) for r, each in zip(grid, found, strict=True))
            lines.append(Line(f"smoothed, sigma = {sigma:g}", points))
        return picture(lines, "L2 radius", "accuracy", share=True)
