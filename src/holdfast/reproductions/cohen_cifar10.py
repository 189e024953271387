"""Cohen et al. 2019 on CIFAR-10: Table 3, Figure 6, and Figure 8's comparisons from the stored votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.lines import Line
from holdfast.analysis.lines import picture as line_picture
from holdfast.analysis.projections import compared, rescaled, thinned, with_alpha
from holdfast.analysis.published import curve
from holdfast.reproductions import measures
from holdfast.reproductions.base import Finished, Plan, Study, register
from holdfast.reproductions.cohen import group_of, never_smaller
from holdfast.reproductions.defences import images
from holdfast.reproductions.models import TRAINED_AS_COHEN, cifar_consistency, cifar_gaussian, cohen_run
from holdfast.reproductions.pages import Chart, Group, Page, Row, Statement, Table

if TYPE_CHECKING:
    from holdfast.analysis.runs import CertifiedRun

_SIGMAS = {"smoke": (0.25,), "small": (0.25, 0.5), "full": (0.12, 0.25, 0.5, 1.0)}
# Sigmas also trained with consistency regularization, which costs twice as much.
_CONSISTENT = {"smoke": (0.25,), "small": (), "full": (0.25, 0.5)}
_RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
# Figure 8 needs one classifier; every scale has this one.
_FIGURE_8 = "cifar10-sigma0.25"
_FEW_RADII = (0.25, 0.5, 0.75)
_SAMPLES = (100, 1_000, 10_000, 100_000, 1_000_000)
_ALPHAS = (0.1, 0.01, 0.001, 0.0001)
_N = 100_000


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each sigma, with and without consistency regularization."""
    models = (
        *(cifar_gaussian(scale, sigma) for sigma in _SIGMAS[scale]),
        *(cifar_consistency(scale, sigma) for sigma in _CONSISTENT[scale]),
    )
    return Plan(models, tuple(cohen_run(scale, model) for model in models))


def page(done: Finished) -> Page:
    """The table, the curves, and the same votes under other bounds, n and alpha."""
    runs = {f"cifar10-sigma{sigma:g}": sigma for sigma in _SIGMAS[done.scale]}
    # Below full scale, the network is smaller.
    same = done.scale == "full"
    run = done.runs[_FIGURE_8]
    bounds, counts, alphas = _other_bounds(run), _other_counts(run), _other_alphas(run)
    made = measures.settings(run, done.model_of(_FIGURE_8))
    intro = (
        "Gaussian noise and Theorem 1. The paper has ResNet-110 and certifies with n0 = 100, n = 100,000 and "
        "alpha = 0.001; the settings used here are beside the numbers. First column: the paper's own "
        "bound on the top class. Second: bounds on all classes from the same votes, for comparison. 95% intervals in "
        "brackets."
    )
    return Page(
        title=f"Cohen et al. 2019 on CIFAR-10, scale {done.scale}",
        intro=(intro, *([measures.SMOKE] if done.scale == "smoke" else []), *done.notes),
        tables=(
            Table(
                "Table 3: certified accuracy",
                measures.COLUMNS,
                tuple(group_of(done, name, "Table 3", "CIFAR-10", sigma, _RADII) for name, sigma in runs.items()),
                () if same else (measures.OTHER_NETWORK,),
                differences=same,
            ),
            *_consistency(done),
            _beside_logs(done, runs),
            _comparison("Figure 8, left: theorems", bounds, made, "The paper prints no numbers."),
            _comparison(
                "Figure 8, middle: other n",
                counts,
                made,
                f"Projected as in the paper (Appendix J.2): n votes with the shares of the "
                f"{run.manifest.estimator['n']:,} votes cast. 'n drawn' is a random part of the votes instead, "
                "distributed like n samples. Neither is the run's guarantee.",
            ),
            _comparison(
                "Figure 8, right: other alpha",
                alphas,
                made,
                "The same votes at other failure probabilities, for comparison: the run's alpha was fixed beforehand.",
            ),
        ),
        charts=(
            _chart(
                "6",
                "Certified accuracy for each sigma",
                [measures.drawn(done.runs[name], name, "cifar10") for name in runs],
            ),
            Chart(
                "cohen-cifar10-logs.svg",
                "Figure 6: beside the published logs",
                "Certified accuracy over the radius, in the authors' published logs and here.",
                lambda: _draw_logs(done, runs),
            ),
            _chart("8-left", "Three theorems on the same votes", list(bounds.values())),
            _chart("8-middle", "Projection to other n", [each for name, each in counts.items() if "drawn" not in name]),
            _chart("8-right", "Other alpha on the same votes", list(alphas.values())),
        ),
        statements=_statements(done, bounds, alphas),
        notes=_gap(done),
    )


def _consistency(done: Finished) -> list[Table]:
    """The results with consistency regularization, if trained, beside the paper's figures without it."""
    runs = {f"cifar10-sigma{sigma:g}-consistency": sigma for sigma in _CONSISTENT[done.scale]}
    groups = tuple(group_of(done, name, "Table 3", "CIFAR-10", sigma, _RADII) for name, sigma in runs.items())
    title = "With consistency regularization, beside Table 3"
    note = "The published figures are those of Table 3, without consistency regularization, for orientation."
    return [Table(title, measures.COLUMNS, groups, (note,), differences=False)] if groups else []


def _beside_logs(done: Finished, runs: dict[str, float]) -> Table:
    """Certified accuracy here and in the two published logs."""
    groups = []
    for name, sigma in runs.items():
        printed = {each.radius: each for each in curve(sigma)}
        radii = [radius for radius in _RADII if radius in printed]
        found = measures.certified(done.runs[name], radii)
        rows = [Row(f"r = {r:g}", printed[r], (here,)) for r, here in zip(radii, found, strict=True)]
        if rows:
            made = measures.settings(done.runs[name], done.model_of(name))
            groups.append(Group(f"sigma = {sigma:g}", made, tuple(rows)))
    note = (
        "Published: counted in the authors' logs of ResNet-110, which cover every 20th test image in the original "
        "order (500 in all). Copies of the data set need not have that order, and here "
        f"{images(done.runs[next(iter(runs))].manifest.data)} were certified, so no differences are shown. The logs do "
        "not state alpha; their largest radii, 3.91 sigma, are those of n = 100,000 and alpha = 0.01."
    )
    return Table("Figure 6: the published logs", ("here",), tuple(groups), (note,), differences=False)


def _draw_logs(done: Finished, runs: dict[str, float]) -> str:
    """Two lines for each sigma with a log."""
    drawn = []
    for name, sigma in runs.items():
        printed = [(each.radius or 0.0, each.share or 0.0) for each in curve(sigma)]
        if printed:
            found = measures.certified(done.runs[name], [radius for radius, _ in printed])
            own = ((radius, each.value or 0.0) for (radius, _), each in zip(printed, found, strict=True))
            drawn.append(Line(f"published log, sigma = {sigma:g}", tuple(printed)))
            drawn.append(Line(f"here, sigma = {sigma:g}", tuple(own)))
    return line_picture(drawn, "L2 radius", "certified accuracy", share=True)


def _other_bounds(run: CertifiedRun) -> dict[str, CertifiedRun]:
    return {name: measures.drawn(compared(run, guarantee=name), name) for name in ("cohen", "li", "lecuyer")}


def _other_counts(run: CertifiedRun) -> dict[str, CertifiedRun]:
    cast = run.manifest.estimator["n"]
    projected = {f"n = {n:,}": rescaled(run, n) for n in _SAMPLES}
    drawn = {f"{n:,} drawn": thinned(run, n) for n in _SAMPLES if n < cast}
    return {name: measures.drawn(each, name) for name, each in {**projected, **drawn}.items()}


def _other_alphas(run: CertifiedRun) -> dict[str, CertifiedRun]:
    return {f"alpha = {a:g}": measures.drawn(with_alpha(run, a), f"alpha = {a:g}") for a in _ALPHAS}


def _comparison(title: str, runs: dict[str, CertifiedRun], settings: str, note: str) -> Table:
    """A table with one row for each variant and one column for each radius."""
    rows = tuple(Row(name, None, tuple(measures.certified(run, _FEW_RADII))) for name, run in runs.items())
    columns = tuple(f"r = {radius:g}" for radius in _FEW_RADII)
    return Table(title, columns, (Group("sigma = 0.25", settings, rows),), (note,), published=False)


def _chart(number: str, title: str, runs: list[CertifiedRun]) -> Chart:
    return Chart(
        f"cohen-cifar10-figure-{number}.svg",
        f"Figure {number.replace('-', ', ')}: {title}",
        "Bands: pointwise 95% intervals. Dashed vertical lines: the largest radius that n and alpha allow."
        + (" Diamonds: published figures." if number == "6" else ""),
        lambda: measures.picture(runs),
    )


def _statements(
    done: Finished, bounds: dict[str, CertifiedRun], alphas: dict[str, CertifiedRun]
) -> tuple[Statement, ...]:
    """What the paper says about its figures."""
    statements = [
        never_smaller(bounds["cohen"], bounds["li"], _FEW_RADII, "Theorem 1 certifies at least what Li et al. do"),
        never_smaller(bounds["li"], bounds["lecuyer"], _FEW_RADII, "Li et al. certify at least what Lecuyer et al. do"),
    ]
    first, last = (measures.certified(alphas[f"alpha = {a:g}"], [0.25])[0] for a in (_ALPHAS[0], _ALPHAS[-1]))
    little = 100.0 * ((first.value or 0.0) - (last.value or 0.0))
    statements.append(
        Statement(f"alpha matters little: 0.1 against 0.0001 is {little:.1f} points at r = 0.25", little <= 10.0)
    )
    if "cifar10-sigma0.5" in done.runs:
        low, high = (measures.certified(done.runs[f"cifar10-sigma{s}"], [0.25, 1.0]) for s in ("0.25", "0.5"))
        trade = (low[0].value or 0.0) >= (high[0].value or 0.0) and (high[1].value or 0.0) > (low[1].value or 0.0)
        statements.append(Statement("sigma trades accuracy for radius: 0.25 wins at r = 0.25, 0.5 at r = 1", trade))
    return tuple(statements)


def _gap(done: Finished) -> tuple[str, ...]:
    """How much of the difference comes from fewer samples, and where the remainder comes from."""
    notes = []
    for sigma in _SIGMAS[done.scale]:
        run = done.runs[f"cifar10-sigma{sigma:g}"]
        cast = run.manifest.estimator["n"]
        if cast >= _N:
            continue
        own, more = (measures.certified(each, [0.25, 0.5]) for each in (run, rescaled(run, _N)))
        gains = [f"{100 * ((m.value or 0.0) - (o.value or 0.0)):+.1f}" for o, m in zip(own, more, strict=True)]
        notes.append(
            f"sigma = {sigma:g}: by projection, n = {_N:,} in place of {cast:,} changes certified accuracy by "
            f"{gains[0]} points at r = 0.25 and {gains[1]} at r = 0.5. The remaining difference comes from the base "
            f"classifier ({measures.training(done.model_of(f'cifar10-sigma{sigma:g}'))}; the paper has ResNet-110) and "
            "from the images, if they are not the published pixels."
        )
    return tuple(notes) or (TRAINED_AS_COHEN,)


STUDY = register(
    Study(
        name="cohen-cifar10",
        title="Cohen et al. 2019, Table 3, Figures 6 and 8: Gaussian noise on CIFAR-10",
        data=("cifar10",),
        cost={"smoke": "2 minutes", "small": "1 hour for each sigma on a core", "full": "days on a GPU"},
        plan=plan,
        page=page,
        items=("C46", "C47", "C67"),
    )
)
