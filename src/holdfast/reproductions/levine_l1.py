"""Levine & Feizi 2021 in L1: splitting noise without sampling, trained here, or recounted from published votes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holdfast.analysis.published import figure
from holdfast.noises.splitting import Splitting
from holdfast.reproductions import measures
from holdfast.reproductions.base import Study, register
from holdfast.reproductions.models import cifar_splitting, mnist, splitting_run
from holdfast.reproductions.pages import Chart, Group, Measured, Page, Row, Statement, Table
from holdfast.reproductions.plans import Balloting, Plan

if TYPE_CHECKING:
    from holdfast.analysis.published import PublishedFigure
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.results import Finished

# The paper's: .15, and .25 to 3.5 in steps of .25.
_PAPERS = (0.15, *(number / 4 for number in range(1, 15)))
_SIGMAS = {"smoke": (0.5,), "small": (0.5, 3.0), "full": _PAPERS}
_COUNTED = (0.5, 3.0)
_RADII = (0.5, 1.0, 2.0, 4.0)
_PUBLISHED = (1.0, 2.0, 4.0)
_VOTES = "dssn-votes"
_SOURCE = "Levine & Feizi 2021"
# A table prints two decimals.
_HALF_A_POINT = 0.00005


def plan(scale: str, kind: str) -> Plan:
    """A network and a run for each sigma; or the published votes."""
    if kind == _VOTES:
        return Plan(ballots=tuple(Balloting(_name(kind, sigma), sigma, _noise(sigma)) for sigma in _COUNTED))
    make = {"cifar10": cifar_splitting, "mnist": mnist}[kind]
    models = [make(scale, _noise(sigma), f"splitting{sigma:g}") for sigma in _SIGMAS[scale]]
    runs = [
        splitting_run(scale, model, Splitting(_half_width(sigma)).offsets)
        for model, sigma in zip(models, _SIGMAS[scale], strict=True)
    ]
    return Plan(tuple(models), tuple(runs))


def _half_width(sigma: float) -> float:
    """The paper measures noise by the standard deviation of a uniform one of the same width."""
    return math.sqrt(3.0) * sigma


def _noise(sigma: float) -> str:
    return f"splitting:half_width={_half_width(sigma)!r}"


def _name(kind: str, sigma: float) -> str:
    return f"{'votes' if kind == _VOTES else kind}-splitting{sigma:g}"


def page(done: Finished) -> Page:
    """Certified accuracy for each sigma, and the best one at each radius beside the published figures."""
    kind = done.kind or "cifar10"
    sigmas = _COUNTED if kind == _VOTES else _SIGMAS[done.scale]
    runs = {sigma: done.runs[_name(kind, sigma)] for sigma in sigmas}
    groups = tuple(Group(f"sigma = {sigma:g}", _about(done, run), _rows(run)) for sigma, run in runs.items())
    here = "recounted" if kind == _VOTES else "here"
    best = _best(runs, kind)
    return Page(
        title=f"Levine & Feizi 2021 in L1, {_WHERE[kind]}{'' if kind == _VOTES else f', scale {done.scale}'}",
        intro=(
            "Splitting noise cuts the range of every value into cells of width 2 sqrt(3) sigma and shows the middle of "
            "the cell. All ways to place the cuts are classified, one vote each: nothing is sampled, and no "
            "certificate can be false by chance (alpha = 0). Radii are in L1, in input units: 1 is one value from one "
            "end of its range to the other. 95% intervals of the sampling of the images in brackets.",
            *([measures.SMOKE] if done.scale == "smoke" and kind != _VOTES else []),
            *done.notes,
        ),
        tables=(
            Table("Certified accuracy for each sigma", (here,), groups, differences=False),
            Table(
                "Best sigma at each radius",
                (here,),
                (Group("each radius", _compared_with(kind), best),),
                _notes_on_best(done, kind),
                differences=kind == "cifar10" and done.scale == "full",
            ),
        ),
        charts=(
            Chart(
                f"levine-l1-{kind}.svg",
                "Certified accuracy over the L1 radius",
                "With pointwise 95% bands.",
                lambda: measures.picture([measures.drawn(run, f"sigma = {sigma:g}") for sigma, run in _few(runs)]),
            ),
        ),
        statements=_statements(done, kind, runs),
        notes=_notes(done, kind),
    )


_WHERE = {"cifar10": "on CIFAR-10", "mnist": "on MNIST", _VOTES: "counted in published votes"}


def _few(runs: dict[float, CertifiedRun]) -> list[tuple[float, CertifiedRun]]:
    """The curves drawn, since fifteen could not be told apart."""
    every = -(-len(runs) // 5)
    return [each for number, each in enumerate(runs.items()) if number % every == every - 1]


def _about(done: Finished, run: CertifiedRun) -> str:
    if done.kind == _VOTES:
        count = len(run.results)
        return f"published votes of {count:,} images; {run.estimator.most_draws:,} offsets, alpha = 0"
    return measures.settings(run, done.model_of(run.name))


def _rows(run: CertifiedRun) -> tuple[Row, ...]:
    shares = measures.certified(run, _RADII)
    return (
        Row("accuracy", None, (measures.accuracy(run),)),
        *(Row(f"r = {radius:g}", None, (share,)) for radius, share in zip(_RADII, shares, strict=True)),
    )


def _best(runs: dict[float, CertifiedRun], kind: str) -> tuple[Row, ...]:
    """At each published radius the largest share of all sigmas, chosen by these very images, as in the paper."""
    rows = []
    for radius in _PUBLISHED:
        shares = {sigma: measures.certified(run, [radius])[0] for sigma, run in runs.items()}
        sigma = max(shares, key=lambda each: shares[each].value or 0.0)
        published = None if kind == "mnist" else _published(radius)
        rows.append(Row(f"r = {radius:g}, sigma = {sigma:g}", published, (shares[sigma],)))
    return tuple(rows)


def _published(radius: float) -> PublishedFigure:
    return figure(_SOURCE, "Table 1", f"certified accuracy at L1 radius {radius:.2f}", "CIFAR-10")


def _compared_with(kind: str) -> str:
    if kind == "mnist":
        return "our own figures: the paper has none for MNIST"
    return "published: WideResNet-40, the best of 15 sigmas for each radius, all 10,000 test images"


def _notes_on_best(done: Finished, kind: str) -> tuple[str, ...]:
    chosen = "The best sigma is chosen by the images that it is shown for, as in the paper: its interval ignores that."
    if kind == _VOTES:
        return (
            chosen,
            "The file has two of the paper's 15 sigmas: a figure whose best sigma is another one is larger.",
        )
    if kind == "cifar10" and done.scale != "full":
        return (chosen, measures.OTHER_NETWORK)
    return (chosen,)


def _statements(done: Finished, kind: str, runs: dict[float, CertifiedRun]) -> tuple[Statement, ...]:
    statements = []
    if kind == _VOTES:
        for sigma in runs:
            recount = done.recounts[_name(kind, sigma)]
            text = f"sigma = {sigma:g}: {recount.same:,} of {recount.images:,} published radii follow from the votes"
            statements.append(Statement(text, recount.same == recount.images))
        found = measures.certified(runs[3.0], [2.0])[0].value or 0.0
        share = _published(2.0).share or 0.0
        near = abs(found - share) <= _HALF_A_POINT + 1e-9
        statements.append(Statement("sigma = 3 has the published share at radius 2, to two decimals", near))
    within = all(each.radius <= _half_width(sigma) for sigma, run in runs.items() for each in run.results)
    text = "no radius exceeds sqrt(3) sigma, half of the width of a cell"
    statements.append(Statement(text, within, regardless=True))
    statements.append(_trade(runs))
    return tuple(statements)


def _trade(runs: dict[float, CertifiedRun]) -> Statement:
    """A larger sigma costs accuracy and certifies more at large radii."""
    few, many = min(runs), max(runs)
    far = _PUBLISHED[0]
    accuracies = [_value(measures.accuracy(runs[sigma])) for sigma in (few, many)]
    shares = [_value(measures.certified(runs[sigma], [far])[0]) for sigma in (few, many)]
    holds = accuracies[0] >= accuracies[1] and shares[0] <= shares[1]
    text = f"the largest sigma has less accuracy than the smallest, and certifies more at radius {far:g}"
    return Statement.compared(text, holds, len(runs) - 1, "two sigmas")


def _value(found: Measured) -> float:
    return found.value or 0.0


def _notes(done: Finished, kind: str) -> tuple[str, ...]:
    if kind == _VOTES:
        return ("The votes were cast by the authors' networks: here they are counted, and the radii computed anew.",)
    if done.scale == "full" and kind == "cifar10":
        return (
            "Network and training are those of the authors' program, a fork of that of Yang et al. 2020, which the "
            "paper follows; the rate falls with each step, in theirs with each epoch.",
        )
    if kind == "cifar10":
        return ("The network is ResNet-20 instead of WideResNet-40, after few epochs.",)
    return ("The network is that of Levine & Feizi 2020 for MNIST (Table 9).",)


STUDY = register(
    Study(
        name="levine-l1",
        title="Levine & Feizi 2021: certificates in L1 by splitting noise, without sampling",
        data=("cifar10", "mnist", _VOTES),
        cost={"smoke": "1 minute", "small": "1 to 1.5 hours on 2 cores", "full": "days on a GPU"},
        plan=plan,
        page=page,
    )
)
