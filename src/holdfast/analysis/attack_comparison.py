"""Attacks of the user's own, compared with each other: the numbers, and the tables in which they are shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, final

from holdfast.analysis import choices, formats, markup, tables
from holdfast.analysis.attacks import spelt
from holdfast.analysis.dominance import check_comparable, found_within, level_of, pairs, smaller, within
from holdfast.analysis.shown import drawn, html_table
from holdfast.errors import RunError, UsageError
from holdfast.plain import is_real, plain
from holdfast.types import Norm
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.analysis.dominance import Pair
    from holdfast.analysis.tables import Table
    from holdfast.stats.datasets import Proportion
    from holdfast.store.attack import AttackRun

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Standing:
    """One of the attacks by itself.

    Attributes:
        name: of its folder.
        attack: as on the command line.
        records: how many inputs it has attacked.
        missing: how many are still to be attacked.
        success: epsilon -> share of inputs that are right unchanged on which it succeeds, with its 95% interval; None
            without such inputs.
        chosen: what its author could have picked for its result.
    """

    name: str
    attack: str
    records: int
    missing: int
    success: dict[float, Proportion | None]
    chosen: tuple[str, ...]


@dataclass(frozen=True)
class Ranking:
    """All pairs of attacks, compared in one way.

    Attributes:
        epsilon: the budget within which they succeed or not; None where the sizes of the smallest changes count.
        pairs: the pairs.
    """

    epsilon: float | None
    pairs: tuple[Pair, ...]


@final
@dataclass(frozen=True)
class AttackComparison:
    """Which of several attacks is stronger, pair by pair; `print` shows it as `holdfast table` does.

    Attributes:
        norm: of all attacks.
        subset: which inputs they are about, in plain words.
        standings: each attack by itself.
        rankings: the pairs within each epsilon, and by the sizes of changes.
        ordered: the number of ordered pairs in all of them.
        level: of the sign test of each ordered pair, so that with 95% confidence none is called stronger wrongly.
    """

    norm: str
    subset: str
    standings: tuple[Standing, ...]
    rankings: tuple[Ranking, ...]
    ordered: int
    level: float

    @property
    def tables(self) -> tuple[Table, Table]:
        """Header and rows for people: of each attack, and of each pair."""
        epsilons = [each.epsilon for each in self.rankings if each.epsilon is not None]
        header = ["Attack", "Made by", *(f"Success within {formats.threshold(each)}" for each in epsilons)]
        rows = [
            [each.name, each.attack, *(_shown(each.success[epsilon]) for epsilon in epsilons)]
            for each in self.standings
        ]
        return (header, rows), self._pairs(False)

    @property
    def warnings(self) -> list[str]:
        """The warnings that must come first: a sentence for each attack without all its records."""
        return [
            f"INCOMPLETE: {each.name} has {each.records:,} of {each.records + each.missing:,} promised inputs; the "
            "numbers are about these alone."
            for each in self.standings
            if each.missing
        ]

    @property
    def captions(self) -> tuple[str, str]:
        """What the numbers of both tables mean."""
        norm = Norm(self.norm)
        first = [
            f"Subset: {self.subset}.",
            *choices.cautions([(each.name, each.chosen) for each in self.standings]),
            f"{norm.value}, in {norm.unit}. Success: share of the inputs that are right unchanged on which the attack "
            "finds an adversarial. Intervals: 95%.",
        ]
        second = (
            "Within an epsilon, an attack is ahead on an input if it succeeds and the other one does not; in size, if "
            "it needs a smaller change. Shares are of the inputs that are right unchanged, with 95% intervals. p: "
            "exact sign test, one-sided, of the inputs on which the two differ. An attack is called stronger if p is "
            f"at most {self.level:.2g}: with 95% confidence none of the {self.ordered} ordered pairs is called so "
            "wrongly. How strong an attack is depends on its parameters."
        )
        return " ".join(first), second

    def to_dict(self) -> dict[str, Any]:
        """The numbers unrounded, as `holdfast table --json` prints them."""
        entries = asdict(self)
        for each in entries["standings"]:
            each["success"] = {str(epsilon): share for epsilon, share in each["success"].items()}
        for ranking, found in zip(entries["rankings"], self.rankings, strict=True):
            for entry, pair in zip(ranking["pairs"], found.pairs, strict=True):
                entry["p_value"] = pair.found.p_value
        return entries

    def to_markdown(self) -> str:
        """Both tables with their captions in Markdown."""
        first, second = map(tables.markdown_of, self.tables, self.captions, (self.warnings, ()))
        return f"{first}\n{second}"

    def to_latex(self) -> str:
        """Both tables with their captions in LaTeX, for the package booktabs."""
        first, second = map(tables.latex_of, self.tables, self.captions, (self.warnings, ()))
        return f"{first}\n{second}"

    def to_csv(self) -> str:
        """The pairs as CSV, with numbers of inputs in the place of shares."""
        header, rows = self._pairs(True)
        return "".join(map(markup.csv_line, [header, *rows]))

    def _pairs(self, exact: bool) -> Table:
        header = ["Pair", "Compared", "Inputs", "First ahead", "Second ahead", "p", "Stronger"]
        if exact:
            header[:1] = ["First", "Second"]
        return header, [_cells(pair, ranking.epsilon, exact) for ranking in self.rankings for pair in ranking.pairs]

    def __str__(self) -> str:
        parts = [(drawn(*table), caption) for table, caption in zip(self.tables, self.captions, strict=True)]
        return "\n".join([*self.warnings, *(text for part in parts for text in part)])

    def __repr__(self) -> str:
        return f"<AttackComparison of {', '.join(each.name for each in self.standings)}; print() shows it>"

    def _repr_html_(self) -> str:
        below = ([self.captions[0]], [self.captions[1]])
        return "".join(
            html_table(*table, [*above, *caption])
            for table, above, caption in zip(self.tables, (self.warnings, []), below, strict=True)
        )


def compare_attacks(runs: Sequence[AttackRun], epsilons: Iterable[float] | None = None) -> AttackComparison:
    """Compare attacks on the same inputs of one classifier, each pair of them.

    An attack with budgets counts within these alone, since it does not look elsewhere; one without any looks for the
    smallest change, and counts within every epsilon. Sizes are compared between attacks without budgets.

    Args:
        runs: two attacks or more.
        epsilons: budgets within which success is compared, in the norm of the attacks; without them all that the
            attacks with budgets have in common.

    Raises:
        UsageError: fewer than two attacks, or an epsilon that is no finite number above 0.
        RunError: they are on different classifiers, images or classes, in different norms, or their budgets do not
            allow the comparison.
    """
    if len(runs) < 2:
        raise UsageError("one attack alone cannot be compared; give two or more, or see it by `holdfast report`")
    for other in runs[1:]:
        check_comparable(runs[0], other)
    for run in runs:
        if not run.records:
            raise RunError(f"{run.folder} has no records yet: `holdfast attack` with the same settings adds them")
    within_each = _epsilons(runs, epsilons)
    named = _named(runs)
    free = {name: run for name, run in named.items() if not run.manifest.budgets.values}
    sizes = len(free) > 1
    if not within_each and not sizes:
        raise RunError(
            f"there is no budget within which these attacks can be compared: {_budgets(named)}; attack again "
            "within one budget for all"
        )
    ordered = len(within_each) * len(runs) * (len(runs) - 1) + sizes * len(free) * (len(free) - 1)
    level = level_of(ordered, _CONFIDENCE)
    rankings = [Ranking(each, pairs(named, partial(within, epsilon=each), level)) for each in within_each]
    if sizes:
        rankings.append(Ranking(None, pairs(free, smaller, level)))
    records = min((run.records for run in runs), key=len)
    return AttackComparison(
        norm=runs[0].manifest.norm,
        subset=runs[0].manifest.data.there(records).words,
        standings=tuple(_standing(name, run, within_each) for name, run in named.items()),
        rankings=tuple(rankings),
        ordered=ordered,
        level=level,
    )


def _epsilons(runs: Sequence[AttackRun], given: Iterable[float] | None) -> list[float]:
    """The budgets within which all attacks can be compared, in increasing order."""
    limited = [run for run in runs if run.manifest.budgets.values]
    for run in limited:
        if run.manifest.budgets.relative:
            raise RunError(
                f"{run.folder} was attacked within multiples of certified radii, which differ from input to input; "
                f"attack again within a budget in {run.manifest.norm}"
            )
    if given is None:
        common = [set(run.manifest.budgets.values) for run in limited]
        return sorted(set.intersection(*common)) if common else []
    wanted = sorted({plain(each) for each in given})
    for epsilon in wanted:
        if not (is_real(epsilon) and epsilon > 0):
            raise UsageError(f"an epsilon is a finite number above 0, got {epsilon!r}")
        for run in limited:
            if epsilon not in run.manifest.budgets.values:
                raise RunError(
                    f"{run.folder} was attacked within {_written(run)}, not within {formats.threshold(epsilon)}; "
                    "attack again within that budget, too"
                )
    return wanted


def _named(runs: Sequence[AttackRun]) -> dict[str, AttackRun]:
    """The attacks by the names of their folders, or by whole paths where names are the same."""
    names = [visible(run.folder.name) for run in runs]
    if len(set(names)) < len(names):
        names = [visible(run.folder) for run in runs]
    found = dict(zip(names, runs, strict=True))
    if len(found) < len(runs):
        raise UsageError("an attack is given twice; give each one once")
    return found


def _standing(name: str, run: AttackRun, epsilons: Sequence[float]) -> Standing:
    success = {epsilon: found_within(run, epsilon) for epsilon in epsilons}
    attack = spelt(run.manifest.attack)
    return Standing(name, attack, len(run.records), run.missing, success, choices.chosen_in(run.manifest))


def _budgets(named: Mapping[str, AttackRun]) -> str:
    return "; ".join(f"{name} has {_written(run) or 'none'}" for name, run in named.items())


def _written(run: AttackRun) -> str:
    return ", ".join(map(formats.threshold, run.manifest.budgets.values))


def _shown(share: Proportion | None) -> str:
    return formats.NOT_AVAILABLE if share is None else formats.with_interval(share)


def _cells(pair: Pair, epsilon: float | None, exact: bool) -> list[str]:
    found = pair.found
    compared = "size" if epsilon is None else f"within {formats.threshold(epsilon)}"
    names = [pair.ahead, pair.behind] if exact else [f"{pair.ahead}, {pair.behind}"]
    ahead = [found.first, found.second] if exact else [_shown(found.first_share), _shown(found.second_share)]
    p = f"{found.p_value:.6g}" if exact else f"{found.p_value:.2g}"
    return [*names, compared, str(found.inputs), *map(str, ahead), p, pair.ahead if pair.stronger else "not shown"]
