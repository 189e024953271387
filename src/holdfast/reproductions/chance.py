"""Find networks no better than guessing: every page names them and concludes nothing from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.analysis import formats
from holdfast.analysis.summaries import summarize
from holdfast.reproductions import measures
from holdfast.reproductions.defences import clean_accuracy
from holdfast.reproductions.kinds import KINDS
from holdfast.reproductions.pages import Measured
from holdfast.shortened import some

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdfast.reproductions.pages import Page, Statement
    from holdfast.reproductions.results import Finished, Trained

_WHY = "not judged, since networks are at chance"


@dataclass(frozen=True)
class Guess:
    """A network not shown to be better than guessing.

    Attributes:
        name: of the network.
        accuracy: its best known accuracy, with interval; None for an untrained network.
        chance: the accuracy of guessing: at random, or always the most frequent class.
    """

    name: str
    accuracy: Measured | None
    chance: float

    def __str__(self) -> str:
        if self.accuracy is None:
            return f"{self.name} (untrained)"
        return f"{self.name} (accuracy {self.accuracy.text}, guessing gets {formats.percent(self.chance)}%)"


def judged(page: Page, done: Finished) -> Page:
    """The page with a warning that names networks at chance, and without conclusions or differences based on them.

    Statements that hold whatever the networks are stay, such as an order of theorems or that no certificate was
    contradicted.
    """
    guesses = at_chance(done)
    if not guesses:
        return page
    sentence = f"Nothing is concluded from these networks, not shown to be better than chance: {some(guesses)}."
    warning = f"{page.warning} {sentence}" if page.warning else sentence
    return replace(
        page,
        warning=warning,
        tables=tuple(replace(table, differences=False) for table in page.tables),
        statements=tuple(map(_open, page.statements)),
    )


def _open(statement: Statement) -> Statement:
    return statement if statement.regardless or statement.holds is None else replace(statement, holds=None, why=_WHY)


def at_chance(done: Finished) -> list[Guess]:
    """The networks without an accuracy on the page whose whole interval lies above chance.

    Accuracies are those of runs, of attacks on unchanged images and of answers without noise or, without any, the one
    recorded in training. Chance is one divided by the number of classes, or the share of the most frequent class if
    that is larger.
    """
    guesses = []
    for name, model in done.models.items():
        known = list(_accuracies(model, done))
        if not model.meaningful:
            guesses.append(Guess(name, None, 0.0))
        elif known and not any((accuracy.lower or 0.0) > chance for accuracy, chance in known):
            best = max(known, key=lambda each: (each[0].value or 0.0) - each[1])
            guesses.append(Guess(name, *best))
    return guesses


def _accuracies(model: Trained, done: Finished) -> Iterable[tuple[Measured, float]]:
    """The accuracies of a network, each with that of guessing on the same images."""
    seen = False
    for run in done.runs.values():
        if run.manifest.model["sha256"] == model.sha256:
            seen = True
            labels = [result.label for result in run.results]
            yield Measured.share(summarize(run, ()).accuracy), _chance(run.data.class_names, labels)
    for attack in done.attacks.values():
        if attack.manifest.model["sha256"] == model.sha256:
            seen = True
            labels = [record.label for record in attack.records]
            yield clean_accuracy(attack), _chance(attack.manifest.data.class_names, labels)
    for answers in done.answers.values():
        if answers.sha256 == model.sha256:
            seen = True
            classes = len(answers.data.class_names)
            yield measures.clean(answers), max(1.0 / classes, answers.most / answers.examples)
    if not seen and model.training.get("held_out_accuracy_under_noise") is not None:
        known = None if done.kind is None else KINDS[done.kind].classes
        majority = model.training.get("held_out_majority") or 0.0
        yield measures.under_noise(model, "held_out"), max(majority, 1.0 / known if known else 0.0)


def _chance(classes: Sequence[str], labels: Sequence[int]) -> float:
    return max(1.0 / len(classes), max(Counter(labels).values()) / len(labels))
