"""Cohen et al. 2019 from the authors' own logs: Tables 1 to 4, Figures 6, 8 and 15, counted again."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from holdfast.analysis.published import at_radius, figure
from holdfast.analysis.recovered import recovered
from holdfast.reproductions import answers, measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.cohen import summary
from holdfast.reproductions.cohen_figure_8 import FigureEight
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Importing, Plan, Reading
from holdfast.reproductions.results import Finished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.runs import CertifiedRun

_SIGMAS = {"cifar10": (0.12, 0.25, 0.5, 1.0), "imagenet": (0.25, 0.5, 1.0)}
_NETWORKS = {"cifar10": "resnet110", "imagenet": "resnet50"}
_NAMES = {"cifar10": "CIFAR-10", "imagenet": "ImageNet"}
_TABLES = {"cifar10": "Table 3", "imagenet": "Table 2"}
_RADII = {"cifar10": (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5), "imagenet": (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)}
# Figure 15 smooths with one sigma networks that were trained for another one.
_SMOOTHED = 0.5
_FIGURE_15_RADII = {"cifar10": (0.25, 0.5, 1.0), "imagenet": (0.5, 1.0, 1.5)}
_FIGURE_8 = 0.25
_N, _N0, _ALPHA = 100_000, 100, 0.001
# A table prints two decimals; an interval of 95% covers what other images may give.
_HALF_A_POINT = 0.005


def plan(scale: str, kind: str) -> Plan:
    """A log for each data set, network and sigma."""
    pairs = [(data, sigma, sigma) for data, sigmas in _SIGMAS.items() for sigma in sigmas]
    pairs += [(data, s, _SMOOTHED) for data, sigmas in _SIGMAS.items() for s in sigmas if s != _SMOOTHED]
    return Plan(logs=tuple(_log(*each) for each in pairs), answer_logs=tuple(map(_answers, (*answers.SAMPLES, _N))))


def _answers(n: int) -> Reading:
    inside = f"predict/imagenet/resnet50/noise_0.25/test/N_{n}"
    return Reading(f"answers-n{n}", (f"data/{inside}", inside))


def _log(data: str, trained: float, sigma: float) -> Importing:
    inside = f"certify/{data}/{_NETWORKS[data]}/noise_{trained:.2f}/test/sigma_{sigma:.2f}"
    own = trained == sigma
    alone = (f"{data}_{_NETWORKS[data]}_sigma_{sigma:.2f}.tsv",) if own else ()
    files = (f"data/{inside}", inside, *alone)
    return Importing(_name(data, trained, sigma), files, f"gaussian:sigma={sigma:g}", data, _N0, _N, _ALPHA)


def _name(data: str, trained: float, sigma: float) -> str:
    other = "" if trained == sigma else f"-trained{trained:g}"
    return f"log-{data}-sigma{sigma:g}{other}"


def page(done: Finished) -> Page:
    """All tables and figures whose logs are there."""
    own = {data: _runs(done, data) for data in _SIGMAS}
    base, eight = _eighth(own)
    return Page(
        title="Cohen et al. 2019, counted in the authors' logs",
        intro=(
            "The authors published a line for each image that they certified: its class, the certified class and the "
            "radius. Here their tables are counted again from these lines. Radii are the authors' claims: the logs "
            "have no votes to check them by. 95% intervals in brackets.",
            *done.notes,
        ),
        tables=(
            *([_summary(own["imagenet"])] if own["imagenet"] else []),
            *(_table(data, runs) for data, runs in own.items() if runs),
            *_other_noise(done),
            *answers.tables(done.answer_logs, _N),
            *_times(own),
            *(eight.tables() if eight else ()),
        ),
        charts=(
            *(_curves(data, runs) for data, runs in own.items() if runs),
            *(eight.charts("cohen-logs") if eight else ()),
        ),
        statements=(*_statements(own), *(eight.statements() if eight else ())),
        notes=(
            "A log that covers fewer images than the paper certified gives other shares than its tables: the number "
            "of images stands above each group. Published logs print radii with three digits.",
            "The largest radii, 3.91 sigma, are those of n = 100,000 and alpha = 0.01; alpha = 0.001, as the paper "
            "states, allows 3.81 sigma. " + base,
        ),
    )


def _runs(done: Finished, data: str) -> dict[float, CertifiedRun]:
    """The logs of networks smoothed with the sigma that they were trained for, by sigma."""
    names = {sigma: _name(data, sigma, sigma) for sigma in _SIGMAS[data]}
    return {sigma: done.runs[name] for sigma, name in names.items() if name in done.runs}


def _about(run: CertifiedRun) -> str:
    """Which images, and what the paper says about the run."""
    count, most = len(run.results), run.data.size
    radii = max((each.radius for each in run.results), default=0.0)
    return (
        f"published log of {count:,} images (of {most:,}; every {run.data.every:,}th); n0 = {_N0}, n = {_N:,}, "
        f"alpha = {_ALPHA:g} as documented; largest radius {radii:g}"
    )


def _summary(runs: dict[float, CertifiedRun]) -> Table:
    counts = "; ".join(f"sigma = {sigma:g}: {len(run.results)} images" for sigma, run in runs.items())
    return summary(runs, f"published logs; {counts}", differences=True)


def _table(data: str, runs: dict[float, CertifiedRun]) -> Table:
    """Table 2 or 3."""
    groups = []
    for sigma, run in runs.items():
        rows = tuple(
            Row(
                f"r = {radius:g}",
                figure("Cohen", _TABLES[data], at_radius(radius), _NAMES[data], sigma=sigma),
                (here,),
            )
            for radius, here in zip(_RADII[data], _certified(run, data), strict=True)
        )
        groups.append(Group(f"sigma = {sigma:g}", _about(run), rows))
    return Table(f"{_TABLES[data]}: certified accuracy on {_NAMES[data]}", ("counted here",), tuple(groups))


def _certified(run: CertifiedRun, data: str) -> Sequence[Measured]:
    return measures.certified(run, _RADII[data])


def _other_noise(done: Finished) -> list[Table]:
    """Figure 15: networks trained for other noise than they are smoothed with."""
    groups = []
    for data, sigmas in _SIGMAS.items():
        names = {trained: _name(data, trained, _SMOOTHED) for trained in sigmas}
        here = {trained: done.runs[name] for trained, name in names.items() if name in done.runs}
        if len(here) > 1:
            rows = tuple(
                Row(f"trained for {trained:g}", None, tuple(measures.certified(run, _FIGURE_15_RADII[data])))
                for trained, run in here.items()
            )
            counts = ", ".join(f"{len(run.results)}" for run in here.values())
            groups.append((data, Group(_NAMES[data], f"smoothed with sigma = {_SMOOTHED:g}; {counts} images", rows)))
    return [
        Table(
            f"Figure 15: other noise in training, {_NAMES[data]}",
            tuple(f"r = {radius:g}" for radius in _FIGURE_15_RADII[data]),
            (group,),
            ("The paper prints no numbers.",),
            published=False,
        )
        for data, group in groups
    ]


def _eighth(own: dict[str, dict[float, CertifiedRun]]) -> tuple[str, FigureEight | None]:
    """Figure 8 from the log of ImageNet, as in the paper, or else of CIFAR-10; and how its votes are known."""
    for data, runs in own.items() if not own["imagenet"] else [("imagenet", own["imagenet"])]:
        if _FIGURE_8 in runs:
            votes = recovered(runs[_FIGURE_8])
            how = (
                f"For Figure 8 the votes of the top class are recovered from the printed radii at alpha = "
                f"{votes.alpha:g}; all others are taken to be for one rival."
            )
            title = f"{_NAMES[data]}, sigma = {_FIGURE_8:g}"
            settings = f"{_about(runs[_FIGURE_8])}; votes recovered at alpha = {votes.alpha:g}"
            return how, FigureEight.of(votes, title, settings)
    return "", None


def _curves(data: str, runs: dict[float, CertifiedRun]) -> Chart:
    return Chart(
        f"cohen-logs-figure-6-{data}.svg",
        f"Figure 6: certified accuracy on {_NAMES[data]}",
        "Counted in the published logs. Bands: pointwise 95% intervals. Diamonds: published figures.",
        lambda: measures.picture([measures.drawn(run, f"sigma = {s:g}", data) for s, run in runs.items()]),
    )


def _times(own: dict[str, dict[float, CertifiedRun]]) -> list[Table]:
    """Seconds of Certify for an image: as the text states them, and as the logs do."""
    groups = []
    for data, runs in own.items():
        took = sorted(each.seconds for run in runs.values() for each in run.results if each.seconds is not None)
        if took:
            printed = figure("Cohen", "Sec. 4", "seconds per image", _NAMES[data], method="Certify")
            found = Measured(median(took), "seconds", took[0], took[-1], True, 1)
            settings = f"{len(took):,} lines of the logs; {printed.note}"
            groups.append(Group(_NAMES[data], settings, (Row("seconds per image", printed, (found,)),)))
    note = "Median, with the smallest and the largest time in brackets. The logs do not name the machine."
    return [Table("Time of Certify", ("in the logs",), tuple(groups), (note,), differences=False)] if groups else []


def _statements(own: dict[str, dict[float, CertifiedRun]]) -> tuple[Statement, ...]:
    """Whether the tables are what the logs say: to their last digit, and within the interval of the images."""
    exact, covered = [], []
    for data, runs in own.items():
        pairs = [pair for sigma, run in runs.items() for pair in _beside(data, sigma, run)]
        same = sum(abs((here.value or 0.0) - share) <= _HALF_A_POINT + 1e-9 for here, share in pairs)
        exact.append(
            Statement.compared(
                f"{_TABLES[data]} is what the logs say, to two decimals: {same} of {len(pairs)} figures",
                same == len(pairs),
                len(pairs),
                f"logs of {_NAMES[data]}",
            )
        )
        covered += [
            (here.lower or 0.0) - _HALF_A_POINT <= share <= (here.upper or 0.0) + _HALF_A_POINT for here, share in pairs
        ]
    text = f"the tables lie in the 95% intervals of the logs: {sum(covered)} of {len(covered)} figures"
    return (*exact, Statement.compared(text, all(covered), len(covered), "published figures whose log is there"))


def _beside(data: str, sigma: float, run: CertifiedRun) -> list[tuple[Measured, float]]:
    """Each share counted in a log, and the published one."""
    return [
        (here, figure("Cohen", _TABLES[data], at_radius(radius), _NAMES[data], sigma=sigma).share or 0.0)
        for radius, here in zip(_RADII[data], _certified(run, data), strict=True)
    ]


STUDY = register(
    Study(
        name="cohen-logs",
        title="Cohen et al. 2019, Tables 1 to 4, Figures 6, 8 and 15, from the authors' logs",
        data=("cohen-logs",),
        cost={"any scale": "a minute"},
        plan=plan,
        page=page,
        items=("C48", "C49", "C50", "C56", "C57", "C58", "C63", "H93"),
    )
)
