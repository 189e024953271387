"""Pages whose networks are no better than guessing say so and conclude nothing from them."""

from __future__ import annotations

from dataclasses import replace

import made
import pytest

from holdfast.analysis.runs import analyze
from holdfast.reproductions import find_study
from holdfast.reproductions.chance import at_chance, judged
from holdfast.reproductions.pages import Page, Statement
from holdfast.reproductions.results import Finished, Trained
from holdfast.reproductions.writing import document, html, markdown, text
from holdfast.store.run import VoteRecord
from holdfast.types import Counts

# Made runs and attacks of all kinds are there; two of them have no networks.
WITH_RUNS = (
    *(("levine-mnist", "mnist"), ("levine-cifar10", "cifar10"), ("levine-lee", "mnist"), ("cohen-cifar10", "cifar10")),
    *(("cohen-predict", "cifar10"), ("cohen-train-noise", "cifar10"), ("cohen-high-prob", "cifar10")),
)
OF_NETWORKS = (
    *WITH_RUNS,
    ("wong-kolter", "mnist"),
    ("madry", "mnist"),
    ("athalye", "mnist"),
    ("levine-attack", "mnist"),
)


def guessing(done: Finished) -> Finished:
    """The same, but that every network answers the class 1, of which a tenth of the images are."""
    runs = {}
    for name, run in done.runs.items():
        records = []
        for number, record in enumerate(run.run.records):
            label = number % 10
            if isinstance(record, VoteRecord):
                classes = len(run.manifest.data.class_names)
                votes = [
                    Counts.of([0, counts.total] + [0] * (classes - 2))
                    for counts in (record.selection, record.estimation)
                ]
                records.append(VoteRecord(record.index, label, *votes))
            else:
                records.append(replace(record, label=label, answer=1))
        runs[name] = analyze(replace(run.run, records=tuple(records)))
    attacks = {
        name: replace(
            attack,
            records=tuple(
                replace(record, label=number % 10, reference=1) for number, record in enumerate(attack.records)
            ),
        )
        for name, attack in done.attacks.items()
    }
    models = {
        name: replace(model, training={**model.training, "held_out_accuracy_under_noise": 0.1})
        for name, model in done.models.items()
    }
    answers = {name: replace(each, right=each.examples // 10) for name, each in done.answers.items()}
    return replace(done, runs=runs, attacks=attacks, models=models, answers=answers)


def page_of(name: str, done: Finished) -> Page:
    return judged(find_study(name).page(done), done)


@pytest.mark.parametrize(("name", "kind"), OF_NETWORKS)
def test_nothing_is_concluded_from_networks_at_chance(name: str, kind: str) -> None:
    done = guessing(made.finished(find_study(name), "small", kind))
    assert {guess.name for guess in at_chance(done)} == set(done.models)
    page = page_of(name, done)
    assert page.warning.startswith("Nothing is concluded from these networks, not shown to be better than chance: ")
    assert next(iter(done.models)) in page.warning
    judgements = [each for each in page.statements if not each.regardless]
    assert judgements
    assert all(each.holds is None for each in judgements)
    assert not any(table.shows_differences for table in page.tables)
    for written in (text(page), markdown(page), html(page, "holdfast")):
        flat = " ".join(written.split())
        assert "Nothing is concluded from these networks" in flat
        assert "not judged, since " in flat
    assert "at 95% confidence: yes" not in text(page)
    assert None in [each["holds"] for each in document(page)["statements"]]


@pytest.mark.parametrize(("name", "kind"), OF_NETWORKS)
def test_networks_above_chance_are_judged_as_ever(name: str, kind: str) -> None:
    done = made.finished(find_study(name), "small", kind)
    assert at_chance(done) == []
    whole = find_study(name).page(done)
    assert judged(whole, done) is whole
    assert whole.warning == ""


def test_one_network_at_chance_is_named_alone() -> None:
    whole = made.finished(find_study("levine-mnist"), "small", "mnist")
    poor = guessing(whole)
    done = replace(whole, runs={**whole.runs, "mnist-k15": poor.runs["mnist-k15"]})
    (guess,) = at_chance(done)
    assert guess.name == "mnist-k15"
    assert "mnist-k15 (accuracy 10.0% [" in page_of("levine-mnist", done).warning
    assert "guessing gets 10.0%)" in page_of("levine-mnist", done).warning


def test_the_most_frequent_class_is_a_guess_too() -> None:
    """A constant network on a set of which a third is one class."""
    whole = made.finished(find_study("levine-mnist"), "small", "mnist")
    run = whole.runs["mnist-k15"]
    records = []
    for number, record in enumerate(run.run.records):
        assert isinstance(record, VoteRecord)
        votes = [Counts.of([0, counts.total] + [0] * 8) for counts in (record.selection, record.estimation)]
        records.append(VoteRecord(record.index, 1 if number % 3 == 0 else 2 + number % 7, *votes))
    done = replace(whole, runs={**whole.runs, "mnist-k15": analyze(replace(run.run, records=tuple(records)))})
    (guess,) = at_chance(done)
    assert guess.chance == pytest.approx(14 / 40)


def test_a_network_without_a_run_is_judged_by_what_its_training_noted() -> None:
    figures = {"recipe": "noise", "held_out_accuracy_under_noise": 0.118, "held_out_images": 500}
    model = Trained("resnet20", "ablation:k=75", "ab", figures)
    done = Finished("smoke", "cifar10", {}, {"k75-fitted": model})
    (guess,) = at_chance(done)
    assert guess.accuracy is not None
    assert guess.accuracy.lower == pytest.approx(0.091, abs=0.001)
    better = replace(model, training={**figures, "held_out_accuracy_under_noise": 0.2})
    assert at_chance(replace(done, models={"k75-fitted": better})) == []
    # A constant network on the test images of MNIST, of which 11.35% are of one class.
    constant = {**figures, "held_out_accuracy_under_noise": 0.1135, "held_out_images": 10_000}
    assert at_chance(replace(done, models={"k75-fitted": replace(model, training=constant)})) == []
    constant["held_out_majority"] = 0.1135
    assert len(at_chance(replace(done, models={"k75-fitted": replace(model, training=constant)}))) == 1


def test_untrained_networks_are_named_and_their_pipeline_check_stays() -> None:
    done = made.finished(find_study("cohen-predict"), "small", "imagenet")
    page = page_of("cohen-predict", done)
    assert page.warning.startswith("Pipeline check, not a result")
    assert "imagenet-sigma0.25 (untrained)" in page.warning
    assert all(each.holds is None for each in page.statements)


def test_what_holds_of_any_network_stays() -> None:
    done = guessing(made.finished(find_study("levine-lee"), "small", "mnist"))
    said = {each.text: each.holds for each in page_of("levine-lee", done).statements}
    assert said["ablation keeps over twice the information of uniform flips at this size"] is True
    assert said["ablation has the larger median on MNIST"] is None


def test_a_statement_about_nothing_is_not_judged() -> None:
    empty = Statement.compared("all are so", True, 0, "images with a radius")
    assert (empty.holds, empty.verdict) == (None, "not judged, since there are no images with a radius")
    assert Statement.compared("all are so", True, 2, "images").verdict == "yes"
    assert Statement("it is so", False).verdict == "no"
