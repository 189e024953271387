"""Which attack is stronger: the sign test against its definition and by simulation, and the page that uses it."""

from __future__ import annotations

import math
from dataclasses import replace
from math import comb
from typing import Any

import made
import numpy as np
import pytest

from holdfast.analysis.dominance import Comparison, found_within, level_of, pairs, smaller, within
from holdfast.errors import RunError
from holdfast.reproductions import attack_dominance, find_study
from holdfast.reproductions.pages import Page
from holdfast.reproductions.plans import Attacking
from holdfast.reproductions.results import Finished
from holdfast.store.attack import AttackRun


def attack(sizes: list[float | None], name: str = "a", label: int = 0, sha256: str = "m") -> AttackRun:
    """An attack that finds changes of these sizes, nothing where None; below 0: the input is wrong unchanged."""
    run = made.attacked(Attacking(name, "m", "cw-l0", 100), "mnist", sha256, None)
    few = zip(run.records, sizes, strict=False)
    records = tuple(
        replace(
            record,
            label=label,
            reference=label if size is None or size >= 0 else label + 1,
            magnitude=size if size is None or size >= 0 else None,
        )
        for record, size in few
    )
    return replace(run, records=records)


def test_pairs_are_compared_on_inputs_that_are_right_unchanged() -> None:
    first, second = attack([1, 5, None, 3, -1, 2]), attack([2, 9, 4, None, -1, 2])
    assert within(first, second, 5) == Comparison(5, 2, 1)
    assert smaller(first, second) == Comparison(5, 3, 1)
    assert within(second, first, 5) == Comparison(5, 1, 2)
    share = found_within(first, 5)
    assert share is not None
    assert share.value == pytest.approx(4 / 5)
    assert found_within(attack([-1]), 5) is None
    nothing = within(attack([-1]), attack([-1]), 5)
    assert (nothing.inputs, nothing.first_share, nothing.p_value) == (0, None, 1.0)


def test_the_sign_test_is_the_tail_of_a_binomial() -> None:
    for first in range(8):
        for second in range(8):
            total = first + second
            tail = sum(comb(total, k) for k in range(first, total + 1)) / 2**total
            assert Comparison(20, first, second).p_value == pytest.approx(tail, rel=1e-12)
    assert Comparison(20, 7, 0).stronger(0.05)
    assert not Comparison(20, 3, 0).stronger(0.05)


def test_attacks_of_equal_strength_are_rarely_told_apart() -> None:
    """At level 5% of 5,000 comparisons of equals at most 5% are wrong: 250, and 330 with probability below 1e-6."""
    random = np.random.default_rng(1)
    wrong = 0
    for _ in range(5_000):
        differ = random.binomial(60, 0.4)
        first = int(random.binomial(differ, 0.5))
        wrong += Comparison(60, first, int(differ) - first).stronger(0.05)
    assert 50 < wrong < 330


def test_the_level_is_shared_by_all_pairs() -> None:
    assert level_of(50) == pytest.approx(0.001)
    assert level_of(0) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (attack([1.0], "b", sha256="n"), "different classifiers"),
        (made.attacked(Attacking("c", "m", "cw-l2", 100), "mnist", "m", None), "different norms"),
        (made.attacked(Attacking("c", "m", "cw-l2", 100), "mnist", "n", None), "different classifiers and norms"),
    ],
)
def test_other_inputs_classifiers_and_norms_are_refused(other: AttackRun, message: str) -> None:
    with pytest.raises(RunError, match=message):
        within(attack([1.0]), other, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": {"name": "gaussian", "sigma": 0.5}}, "different classifiers"),
        ({"n": 1000, "alpha": 0.001}, "different classifiers"),
        ({"model": {"sha256": "m", "normalization": {"mean": [0.5], "std": [0.5]}}}, "different classifiers"),
        ({"wanted": 3}, "different target classes"),
        ({"data": replace(attack([1.0]).manifest.data, every=50)}, "different images"),
        ({"data": replace(attack([1.0]).manifest.data, split="train")}, "different data"),
    ],
)
def test_one_model_is_several_classifiers_and_one_data_set_has_many_images(
    changes: dict[str, Any], message: str
) -> None:
    one, other = attack([1.0]), attack([1.0], "b")
    assert within(one, other, 1.0).inputs == 1
    with pytest.raises(RunError, match=message):
        within(one, replace(other, manifest=replace(other.manifest, **changes)), 1.0)


def test_what_computes_a_model_may_differ_but_not_the_code_of_one_without_weights() -> None:
    def run(model: dict[str, Any]) -> AttackRun:
        made = attack([1.0])
        return replace(made, manifest=replace(made.manifest, model=model))

    def code(digest: str) -> dict[str, Any]:
        return {"code": {"net": digest}}

    assert within(run({"sha256": "m", "backend": {"name": "torch"}}), run({"sha256": "m", **code("a")}), 1.0).inputs
    assert within(run(code("a")), run({**code("a"), "backend": {"name": "torch"}}), 1.0).inputs
    with pytest.raises(RunError, match="different classifiers"):
        within(run(code("a")), run(code("b")), 1.0)


def test_inputs_count_that_are_right_unchanged_in_both_attacks() -> None:
    """A smoothed classifier may answer one attack right and the other one wrong."""
    assert within(attack([1, 1]), attack([-1, None]), 1.0) == Comparison(1, 1, 0)
    assert within(attack([-1, None]), attack([1, 1]), 1.0) == Comparison(1, 0, 1)


def test_pairs_have_the_attack_that_is_ahead_first() -> None:
    runs = {"a": attack([None] * 8), "b": attack([1] * 8, "b"), "c": attack([1] * 8, "c")}
    first, second, third = pairs(runs, smaller, 0.05)
    assert (first.ahead, first.behind, first.found, first.stronger) == ("b", "a", Comparison(8, 8, 0), True)
    assert (second.ahead, second.behind, second.stronger) == ("c", "a", True)
    assert (third.ahead, third.behind, third.found, third.stronger) == ("b", "c", Comparison(8, 0, 0), False)
    assert not any(each.stronger for each in pairs(runs, smaller, 2.0**-9))


def done_with(changes: dict[str, float | None]) -> Finished:
    """What the study would have made, with attacks that find changes of one size on every input."""
    found = made.finished(find_study("attack-dominance"), "small", "mnist")
    attacks = dict(found.attacks)
    for name, size in changes.items():
        records = tuple(
            replace(each, reference=each.label, magnitude=size, kind=None if size is None else "misclassified")
            for each in attacks[name].records
        )
        attacks[name] = replace(attacks[name], records=records)
    return replace(found, attacks=attacks)


def page(changes: dict[str, float | None]) -> Page:
    return find_study("attack-dominance").page(done_with(changes))


def said(found: Page) -> dict[str, str]:
    return {each.text: each.verdict for each in found.statements}


def test_the_page_calls_an_attack_stronger_only_if_it_is() -> None:
    strong, weak = "dominance-linf-pgd", "dominance-linf-fgsm"
    text = "PGD is stronger than FGSM within Linf epsilon = 0.1"
    assert said(page({strong: 0.1, weak: None}))[text] == "yes"
    assert said(page({strong: None, weak: 0.1}))[text] == "no"
    assert said(page({strong: 0.1, weak: 0.1}))[text].startswith("not judged, since there are no images on which")
    strongest = "no attack is shown to be stronger than PGD within Linf epsilon = 0.1"
    assert said(page({strong: 0.1}))[strongest] == "yes"
    assert said(page({strong: None, "dominance-linf-autoattack": 0.1}))[strongest] == "no"
    # Beyond epsilon nothing counts.
    beyond = said(page({weak: 0.1, "dominance-linf-cw": 0.11}))
    assert beyond["CW is stronger than FGSM within Linf epsilon = 0.1"] == "no"
    tables = {table.title: table for table in page({strong: None, weak: 0.1}).tables}
    rows = {row.quantity: row for row in tables["Linf epsilon = 0.1: only one of the two succeeds"].groups[0].rows}
    assert rows["FGSM, PGD"].found[0].value == 1.0
    assert rows["FGSM, PGD"].found[2].value < 1e-9


def test_every_attack_of_the_study_has_the_norm_of_its_table() -> None:
    from holdfast.workflows.specs import parse_attack

    for scale in ("smoke", "small", "full"):
        for norm in attack_dominance._ATTACKS:
            for name, spec in attack_dominance._attacks(scale, norm).items():
                found = parse_attack(spec)
                assert found.measure is norm, name
                assert found.minimizes == (name in attack_dominance._MINIMIZE), name
    assert not math.isinf(attack_dominance._EPSILON[norm])
