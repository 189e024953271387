"""Cohen et al. 2019, Figure 8: one run's votes under other theorems, other n and other alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.analysis.projections import compared, rescaled, thinned, with_alpha
from holdfast.reproductions import measures
from holdfast.reproductions.cohen import never_smaller
from holdfast.reproductions.pages import Chart, Group, Row, Statement, Table

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun

RADII = (0.25, 0.5, 0.75)
_SAMPLES = (100, 1_000, 10_000, 100_000, 1_000_000)
ALPHAS = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True)
class FigureEight:
    """The three parts of the figure, each with a run for every line.

    Attributes:
        bounds: left, by theorem.
        counts: middle, by n.
        alphas: right, by alpha.
        title: of the groups, as in "sigma = 0.25".
        settings: of the run.
        cast: votes of each image.
    """

    bounds: dict[str, CertifiedRun]
    counts: dict[str, CertifiedRun]
    alphas: dict[str, CertifiedRun]
    title: str
    settings: str
    cast: int

    @classmethod
    def of(cls, run: CertifiedRun, title: str, settings: str) -> FigureEight:
        """From a run with a fixed number of votes, at its own theorem, n and alpha."""
        cast = int(run.manifest.estimator["n"])
        bounds = {name: compared(run, guarantee=name) for name in ("cohen", "li", "lecuyer")}
        projected = {f"n = {n:,}": rescaled(run, n) for n in _SAMPLES}
        drawn = {f"{n:,} drawn": thinned(run, n) for n in _SAMPLES if n < cast}
        alphas = {f"alpha = {a:g}": with_alpha(run, a) for a in ALPHAS}
        return cls(_named(bounds), _named({**projected, **drawn}), _named(alphas), title, settings, cast)

    def tables(self) -> tuple[Table, ...]:
        """Certified accuracy at a few radii for each line."""
        return (
            self._table("Figure 8, left: theorems", self.bounds, "The paper prints no numbers."),
            self._table(
                "Figure 8, middle: other n",
                self.counts,
                f"Projected as in the paper (Appendix J.2): n votes with the shares of the {self.cast:,} votes cast. "
                "'n drawn' is a random part of the votes instead, distributed like n samples. Neither is the run's "
                "guarantee.",
            ),
            self._table(
                "Figure 8, right: other alpha",
                self.alphas,
                "The same votes at other failure probabilities, for comparison: the run's alpha was fixed beforehand.",
            ),
        )

    def charts(self, study: str) -> tuple[Chart, ...]:
        """The three parts of the figure, in files that begin with the name of the study."""
        projected = [each for name, each in self.counts.items() if "drawn" not in name]
        return (
            _chart(study, "left", "Three theorems on the same votes", list(self.bounds.values())),
            _chart(study, "middle", "Projection to other n", projected),
            _chart(study, "right", "Other alpha on the same votes", list(self.alphas.values())),
        )

    def statements(self) -> tuple[Statement, ...]:
        """What the paper says about the figure."""
        first, last = (measures.certified(self.alphas[f"alpha = {a:g}"], [0.25])[0] for a in (ALPHAS[0], ALPHAS[-1]))
        little = 100.0 * ((first.value or 0.0) - (last.value or 0.0))
        bounds = self.bounds
        return (
            never_smaller(bounds["cohen"], bounds["li"], RADII, "Theorem 1 certifies at least what Li et al. do"),
            never_smaller(bounds["li"], bounds["lecuyer"], RADII, "Li et al. certify at least what Lecuyer et al. do"),
            Statement(f"alpha matters little: 0.1 against 0.0001 is {little:.1f} points at r = 0.25", little <= 10.0),
        )

    def _table(self, title: str, runs: dict[str, CertifiedRun], note: str) -> Table:
        """A table with one row for each variant and one column for each radius."""
        rows = tuple(Row(name, None, tuple(measures.certified(run, RADII))) for name, run in runs.items())
        columns = tuple(f"r = {radius:g}" for radius in RADII)
        return Table(title, columns, (Group(self.title, self.settings, rows),), (note,), published=False)


def _named(runs: dict[str, CertifiedRun]) -> dict[str, CertifiedRun]:
    """The runs as the legend of a chart names them."""
    return {name: measures.drawn(each, name) for name, each in runs.items()}


def _chart(study: str, part: str, title: str, runs: list[CertifiedRun]) -> Chart:
    return Chart(
        f"{study}-figure-8-{part}.svg",
        f"Figure 8, {part}: {title}",
        "Bands: pointwise 95% intervals. Dashed vertical lines: the largest radius that n and alpha allow.",
        lambda: measures.picture(runs),
    )
