"""Both halves of Figure 13 of Cohen et al. 2019: what the pages count, and what their statements depend on."""

from __future__ import annotations

from dataclasses import replace

import made
import pytest

from holdfast.analysis.runs import CertifiedRun, analyze
from holdfast.reproductions import find_study
from holdfast.reproductions.cohen_baselines import _on_the_same_images
from holdfast.reproductions.pages import Page
from holdfast.reproductions.results import Finished
from holdfast.store.attack import MISCLASSIFIED

HALVES = [
    ("cohen-lipschitz", "svhn", "lipschitz-svhn-bound", "svhn-resnet20-sigma0.25"),
    ("cohen-lipschitz", "mnist", "lipschitz-mnist-bound", "mnist-sigma0.5"),
    ("cohen-crown", "cifar10", "crown-cifar10-bound", "cifar10-sigma0.25"),
]


def page_of(name: str, done: Finished) -> Page:
    return find_study(name).page(done)


def with_radii(run: CertifiedRun, radius: float, label: int) -> CertifiedRun:
    """The run of a bound in which every image is certified for class 1 at one radius."""
    records = tuple(replace(each, label=label, answer=1, radius=radius) for each in run.run.records)
    return analyze(replace(run.run, records=records))


def holds(page: Page, part: str) -> list[bool | None]:
    return [each.holds for each in page.statements if part in each.text]


@pytest.mark.parametrize(("name", "kind", "bounded", "smoothed"), HALVES)
def test_certified_shares_are_those_of_both_runs(name: str, kind: str, bounded: str, smoothed: str) -> None:
    done = made.finished(find_study(name), "small", kind)
    groups = page_of(name, done).tables[0].groups
    for group, run in zip(groups, (bounded, smoothed), strict=False):
        for row in group.rows:
            radius = float(row.quantity.removeprefix("r = "))
            found = [each.certified_radius >= radius for each in done.runs[run].results]
            (cell,) = row.found
            assert cell is not None
            assert cell.value == pytest.approx(sum(found) / len(found))


@pytest.mark.parametrize(("name", "kind", "bounded", "smoothed"), HALVES)
def test_the_comparison_can_go_either_way(name: str, kind: str, bounded: str, smoothed: str) -> None:
    done = made.finished(find_study(name), "small", kind)
    run = done.runs[bounded]
    for radius, label, expected in ((100.0, 1, {False}), (100.0, 0, {True, None}), (0.0, 1, {True, None})):
        made_up = replace(done, runs={**done.runs, bounded: with_radii(run, radius, label)})
        assert set(holds(page_of(name, made_up), "smoothing certifies more")) <= expected


@pytest.mark.parametrize(("name", "kind", "bounded", "smoothed"), HALVES)
def test_an_adversarial_within_a_radius_is_seen(name: str, kind: str, bounded: str, smoothed: str) -> None:
    done = made.finished(find_study(name), "small", kind)
    attack = done.attacks[f"{bounded}-deepfool"]
    outcomes = {}
    for magnitude in (0.1, 0.3):
        first = replace(attack.records[0], label=1, reference=1, radius=0.2, magnitude=magnitude, kind=MISCLASSIFIED)
        others = tuple(replace(each, radius=0.2, magnitude=None, kind=None) for each in attack.records[1:])
        attacks = {each: replace(attack, records=(first, *others)) for each in done.attacks}
        (outcomes[magnitude],) = holds(page_of(name, replace(done, attacks=attacks)), "no attack finds")
    assert outcomes == {0.1: False, 0.3: True}


def test_only_images_that_both_runs_have_are_compared() -> None:
    done = made.finished(find_study("cohen-crown"), "small", "cifar10")
    smoothed, bounded = done.runs["cifar10-sigma0.25"], done.runs["crown-cifar10-bound"]
    own, theirs = _on_the_same_images(smoothed, bounded)
    common = {each.index for each in smoothed.results} & {each.index for each in bounded.results}
    assert len(own) == len(theirs) == len(common) > 0
    assert len(common) < len(smoothed.results) + len(bounded.results)


def test_stand_ins_are_called_so() -> None:
    said = {
        kind: " ".join(page_of("cohen-lipschitz", made.finished(find_study("cohen-lipschitz"), "small", kind)).intro)
        for kind in ("svhn", "cifar10")
    }
    assert "stands in" not in said["svhn"]
    assert "The paper has SVHN; CIFAR-10 stands in for it here." in said["cifar10"]
