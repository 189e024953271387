"""Cohen et al. 2019 on CIFAR-10: Table 3, Figure 6, and Figure 8's comparisons from the stored votes."""

from __future__ import annotations

from holdfast.analysis.lines import Line
from holdfast.analysis.lines import picture as line_picture
from holdfast.analysis.projections import rescaled
from holdfast.analysis.published import curve
from holdfast.reproductions import measures, undefended
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.cohen import group_of
from holdfast.reproductions.cohen_figure_8 import FigureEight
from holdfast.reproductions.defences import images
from holdfast.reproductions.models import (
    TRAINED_AS_COHEN,
    cifar_consistency,
    cifar_gaussian,
    cifar_undefended,
    cohen_run,
)
from holdfast.reproductions.pages import Chart, Group, Page, Row, Statement, Table
from holdfast.reproductions.plans import Plan
from holdfast.reproductions.results import Finished

_SIGMAS = {"smoke": (0.25,), "small": (0.25, 0.5), "full": (0.12, 0.25, 0.5, 1.0)}
# Sigmas also trained with consistency regularization, which costs twice as much.
_CONSISTENT = {"smoke": (0.25,), "small": (), "full": (0.25, 0.5)}
_RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
# Figure 8 needs one classifier; every scale has this one.
_FIGURE_8 = "cifar10-sigma0.25"
_N = 100_000


def plan(scale: str, kind: str) -> Plan:
    """A model and a run for each sigma, with and without consistency regularization."""
    models = (
        *(cifar_gaussian(scale, sigma) for sigma in _SIGMAS[scale]),
        *(cifar_consistency(scale, sigma) for sigma in _CONSISTENT[scale]),
    )
    runs = tuple(cohen_run(scale, model) for model in models)
    clean = cifar_undefended(scale)
    return Plan((*models, clean), runs, attacks=(undefended.attacking(scale, clean, runs[0]),))


def page(done: Finished) -> Page:
    """The table, the curves, and the same votes under other bounds, n and alpha."""
    runs = {f"cifar10-sigma{sigma:g}": sigma for sigma in _SIGMAS[done.scale]}
    # Below full scale, the network is smaller.
    same = done.scale == "full"
    run = done.runs[_FIGURE_8]
    eight = FigureEight.of(run, "sigma = 0.25", measures.settings(run, done.model_of(_FIGURE_8)))
    dashed = undefended.Dashed.of(done, "cifar10-undefended", {s: done.runs[name] for name, s in runs.items()}, _RADII)
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
            dashed.table(),
            _beside_logs(done, runs),
            *eight.tables(),
        ),
        charts=(
            Chart(
                "cohen-cifar10-figure-6.svg",
                "Figure 6: Certified accuracy for each sigma",
                "Bands: pointwise 95% intervals. Dashed vertical lines: the largest radius that n and alpha allow. "
                "Diamonds: published figures.",
                lambda: measures.picture([measures.drawn(done.runs[name], name, "cifar10") for name in runs]),
            ),
            Chart(
                "cohen-cifar10-logs.svg",
                "Figure 6: beside the published logs",
                "Certified accuracy over the radius, in the authors' published logs and here.",
                lambda: _draw_logs(done, runs),
            ),
            dashed.chart("cohen-cifar10"),
            *eight.charts("cohen-cifar10"),
        ),
        statements=(*eight.statements(), *_trade(done), dashed.statement()),
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


def _trade(done: Finished) -> tuple[Statement, ...]:
    """What the paper says about Figure 6: sigma trades accuracy for radius."""
    if "cifar10-sigma0.5" not in done.runs:
        return ()
    low, high = (measures.certified(done.runs[f"cifar10-sigma{s}"], [0.25, 1.0]) for s in ("0.25", "0.5"))
    trade = (low[0].value or 0.0) >= (high[0].value or 0.0) and (high[1].value or 0.0) > (low[1].value or 0.0)
    return (Statement("sigma trades accuracy for radius: 0.25 wins at r = 0.25, 0.5 at r = 1", trade),)


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
        items=("C46", "C47", "C49", "C50", "C51", "C56", "C67"),
    )
)
