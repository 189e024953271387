"""Figures of attacks by hand, certificate and attack on one plot, and what the report says of both."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from synthetic_runs import ABLATION, data, four, manifest, many, votes, write_run

from holdfast.analysis.attacks import (
    ALREADY_TARGET,
    BELOW_A_PIXEL,
    UNCERTIFIED,
    accuracy_under_attack,
    attack_magnitude,
    mean_attack_magnitude,
    median_attack_magnitude,
    robustness_score,
    success_at,
    success_at_factors,
    summarize_attack,
    transfer_matrix,
)
from holdfast.analysis.gap_pictures import gap_chart, gap_picture, write_gap_plot
from holdfast.analysis.gaps import attack_steps, gap, same_inputs
from holdfast.analysis.report import write_report
from holdfast.analysis.wording.attacks import attack_lines, upper_curve
from holdfast.errors import RunError, UsageError
from holdfast.stats.datasets import proportion
from holdfast.store.adversarials import hashed
from holdfast.store.attack import AttackRecord, AttackRun, AttackStore, read_attack
from holdfast.store.attack_manifest import AttackManifest, Budgets
from holdfast.types import Counts, Norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.analysis.attacks import AttackSummary
    from holdfast.analysis.runs import CertifiedRun

QUERIES = {"decisions": 10, "scores": 0, "gradients": 40, "samples": 1000}


def record(index: int, magnitude: float | None, **changes: Any) -> AttackRecord:
    """An example of class 3 that is answered right, with an adversarial of class 4 at this distance."""
    made = AttackRecord(
        index=index,
        label=3,
        reference=3,
        radius=1.0,
        budgets=(None,),
        magnitude=magnitude,
        kind=None if magnitude is None else "misclassified",
        answer=None if magnitude is None else 4,
        claims=0 if magnitude is None else 2,
        refused=0 if magnitude is None else 1,
        repeats=50,
        failures=50,
        votes=None,
        restarts=3,
        queries=QUERIES,
        adversarial=None,
    )
    return replace(made, **changes)


def unattacked(index: int, **changes: Any) -> AttackRecord:
    """A right one without a certificate, to which no multiple of a radius refers."""
    return record(
        index, None, **{"radius": None, "budgets": (), "restarts": 0, "queries": dict.fromkeys(QUERIES, 0), **changes}
    )


def attack_of(run: CertifiedRun | None, size: int, **changes: Any) -> AttackManifest:
    made = AttackManifest(
        attack={"name": "smooth-pgd", "norm": "l2", "steps": 20},
        norm="L2" if run is None or run.manifest.noise["name"] == "gaussian" else "L0",
        budgets=Budgets((1.0, 1.5, 2.0), relative=True),
        wanted=None,
        restarts=3,
        repeats=50,
        confidence=0.999,
        noise={"name": "gaussian", "sigma": 0.25},
        n=1000,
        alpha=0.001,
        search_alpha=0.5,
        soft_samples=64,
        data=data(size) if run is None else run.manifest.data,
        model={},
        certification=None if run is None else run.manifest.digest,
        seed=1,
        precision="float32",
        device="cpu",
        versions={},
    )
    return replace(made, **changes)


def write_attack(folder: Path, promise: AttackManifest, records: Sequence[AttackRecord]) -> AttackRun:
    with AttackStore(folder, promise) as store:
        store.append([with_adversarial(each, promise) for each in records])
    return read_attack(folder)


def with_adversarial(made: AttackRecord, promise: AttackManifest) -> tuple[AttackRecord, Any]:
    """A record as it is written: with the input that was found, and the votes of its check."""
    if made.reference is None or made.kind is None:
        return made, None
    values = np.zeros(promise.data.shape, np.float32)
    others = [0] * (len(promise.data.class_names) - 1)
    votes = Counts((made.repeats * max(1, promise.n), *others))
    return replace(made, votes=votes, adversarial=hashed(values)), values


# Right and broken at .5 and 1.2; right and never broken; wrong unchanged; without an answer.
FIVE = [
    record(0, 0.5),
    record(1, 1.2, kind="abstains", answer=None),
    record(2, None),
    record(3, 0.7, label=5),
    record(4, 0.0, reference=None, radius=None, kind="abstains", answer=None, claims=0, refused=0, restarts=0),
]


def test_the_magnitude_is_zero_for_what_is_wrong_unchanged_and_infinite_where_nothing_was_found() -> None:
    assert [attack_magnitude(each) for each in FIVE] == [0.5, 1.2, math.inf, 0.0, 0.0]
    assert median_attack_magnitude(FIVE) == 0.5
    assert median_attack_magnitude(FIVE[:2]) == 0.5
    assert median_attack_magnitude([FIVE[0], FIVE[2], FIVE[2]]) is None


def test_the_mean_is_of_those_that_were_right_and_broken() -> None:
    found = mean_attack_magnitude(FIVE)
    assert found is not None
    assert found.value == pytest.approx(0.85)
    assert (found.lower, found.upper) == (0.0, pytest.approx(0.85 + 12.7062 * 0.35, rel=1e-4)), "no size is negative"
    assert mean_attack_magnitude(FIVE[2:]) is None


def test_the_mean_stands_beside_the_median_with_what_is_left_out(tmp_path: Path) -> None:
    found, text = told(tmp_path / "a", Budgets(), FIVE)
    assert (found.mean_magnitude, found.mean_left_out) == (mean_attack_magnitude(FIVE), 1)
    assert (
        "Mean attack magnitude (L2) of the inputs that were right unchanged and were broken: 0.85 input units (95% t "
        "interval 0 to 5.297); left out, since nothing was found for them: 1, so that the mean of all is larger."
    ) in text
    one, text = told(tmp_path / "b", Budgets(), FIVE[:1])
    assert one.mean_left_out == 0
    assert "were broken: 0.5 input units." in text
    none, text = told(tmp_path / "c", Budgets(), [record(0, None)])
    assert none.mean_magnitude is None
    assert "Mean" not in text


def test_accuracy_under_attack_counts_the_right_ones_that_were_not_broken() -> None:
    assert [accuracy_under_attack(FIVE, radius).value for radius in (0.0, 0.49, 0.5, 1.2)] == [0.6, 0.6, 0.4, 0.2]


def test_the_robustness_score_counts_answers_that_were_kept_right_or_wrong() -> None:
    assert [robustness_score(FIVE, epsilon).value for epsilon in (0.0, 0.5, 0.7, 1.2)] == [0.8, 0.6, 0.4, 0.2]


def test_success_within_budgets_and_within_multiples_of_the_radius() -> None:
    # The last one has the target class already, and is not attacked.
    at = success_at([*FIVE, record(9, None, budgets=(), restarts=0)], 0.7)
    assert (at.attacked, at.misclassified, at.abstained) == (4, 2, 0)
    once, half, twice = success_at_factors(FIVE)
    assert (once.budget, once.attacked, once.misclassified, once.abstained) == (1.0, 4, 2, 0)
    assert (half.misclassified, half.abstained) == (2, 1)
    assert twice.share().value == 0.75
    assert success_at_factors([FIVE[4]])[0].attacked == 0


def test_a_summary_counts_everything_once(tmp_path: Path) -> None:
    found = summarize_attack(write_attack(tmp_path / "a", attack_of(None, 5), FIVE))
    assert (found.examples, found.silent, found.found, found.misclassified, found.abstained) == (5, 1, 3, 2, 1)
    assert (found.claims, found.refused, found.restarts) == (6, 3, 12)
    assert found.queries == {name: 5 * count for name, count in QUERIES.items()}
    assert found.attack == "smooth-pgd:norm=l2,steps=20"
    assert (found.right.value, found.median_magnitude, found.certified) == (0.6, 0.5, 4)
    assert found.alarms == (0, 3)
    certification = four(tmp_path / "run")
    text = " ".join(attack_lines(found, attack_of(None, 5, certification="ab" * 32), certification))
    assert "fresh noise refuted 3 of 6 claims" in text
    assert "Certificates contradicted: 2 of 4 attacked (examples 0, 3); at most 0.008 are expected by chance" in text
    assert "Within 1.5 x the certified radius: 75.0%" in text
    json.dumps(found.queries)


def test_an_attack_that_failed_has_no_median(tmp_path: Path) -> None:
    found = summarize_attack(write_attack(tmp_path / "a", attack_of(None, 2), [record(0, None), record(1, None)]))
    (line,) = (line for line in attack_lines(found, attack_of(None, 2), None) if "median" in line)
    assert line == (
        "There is no median attack magnitude: 0 of 2 are wrong or were made wrong, fewer than half. Attacked "
        "without success within 2 x the certified radius: 2."
    )


def told(folder: Path, budgets: Budgets, records: Sequence[AttackRecord], **changes: Any) -> tuple[AttackSummary, str]:
    promise = attack_of(None, len(records), budgets=budgets, **changes)
    summary = summarize_attack(write_attack(folder, promise, records))
    return summary, "\n".join(attack_lines(summary, promise, None))


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_success_is_told_at_the_multiples_that_were_tried(tmp_path: Path, factor: float) -> None:
    records = [record(index, 0.9 * factor, budgets=(factor,)) for index in range(5)]
    found, text = told(tmp_path / "a", Budgets((factor,), relative=True), records)
    assert [(each.budget, each.attacked, each.misclassified) for each in found.factors] == [(factor, 5, 5)]
    assert re.findall(r"Within (\S+) x the certified radius: (\S+)%", text) == [(f"{factor:g}", "100.0")]
    free, _ = told(tmp_path / "b", Budgets(), records)
    assert [each.budget for each in free.factors] == [1.0, 1.5, 2.0], "an attack without budgets tries all of them"
    own, text = told(tmp_path / "c", Budgets((factor,)), records)
    assert own.factors == ()
    assert "x the certified radius" not in text


def test_inputs_that_were_not_attacked_are_not_said_to_have_withstood(tmp_path: Path) -> None:
    records = [*map(unattacked, range(3)), record(3, 1.2), record(4, None), unattacked(5, label=5)]
    found, text = told(tmp_path / "a", Budgets((1.0, 1.5), relative=True), records)
    assert (found.unattacked, found.unattacked_right, found.withstood) == ({UNCERTIFIED: 4}, 3, 1)
    assert (found.certified, found.median_magnitude) == (2, None)
    assert "Not attacked: 4 of 6 (no certified radius: 4); of these, 3 are answered correctly" in text
    assert "no median attack magnitude: 2 of 6 are wrong or were made wrong, fewer than half. Attacked without" in text
    assert "without success within 1.5 x the certified radius: 1; not attacked: 3." in text


def test_other_reasons_for_not_attacking(tmp_path: Path) -> None:
    # A quarter of two pixels is none; and class 3 need not be led to class 3.
    records = [unattacked(0, radius=2.0), record(1, None, radius=8.0)]
    found, _ = told(tmp_path / "a", Budgets((0.25,), relative=True), records)
    assert found.unattacked == {BELOW_A_PIXEL: 1}
    found, _ = told(tmp_path / "d", Budgets((0.25,)), [unattacked(0)], norm="L0")
    assert found.unattacked == {BELOW_A_PIXEL: 1}
    found, text = told(tmp_path / "b", Budgets((0.25,)), [unattacked(0), record(1, None)], wanted=3)
    assert found.unattacked == {ALREADY_TARGET: 1}
    assert "already of the target class: 1" in text
    found, text = told(tmp_path / "c", Budgets((0.25,)), [unattacked(0)], wanted=3)
    assert found.budgets == (), "nothing was attacked, so nothing has a share"


def test_a_median_is_a_bound_where_larger_ones_were_not_tried_so_far(tmp_path: Path) -> None:
    broken = [record(0, 1.9), record(1, 1.8)]
    bound = "at most 1.9 input units (counted as larger, but not attacked that far: 1)"
    for name, last, size in (
        ("far", record(2, None), "1.9 input units"),
        ("near", record(2, None, radius=0.5), bound),
        ("not", unattacked(2), bound),
    ):
        found, text = told(tmp_path / name, Budgets((1.0, 2.0), relative=True), [*broken, last])
        assert found.median_magnitude == 1.9
        assert f"Median attack magnitude (L2): {size}; inputs" in text


def test_budgets_of_its_own_have_success_accuracy_and_the_robustness_score(tmp_path: Path) -> None:
    found, text = told(tmp_path / "a", Budgets((0.7, 1.5)), FIVE)
    near, far = found.budgets
    assert near.success == success_at(FIVE, 0.7)
    assert (near.accuracy.value, near.robustness_score.value) == (0.4, 0.4)
    assert (far.success.abstained, far.accuracy.value, far.robustness_score.value) == (1, 0.2, 0.2)
    assert re.findall(r"Within (\S+) input units: success on (\S+)%", text) == [("0.7", "50.0"), ("1.5", "75.0")]
    assert "of 4 attacked (2 misclassified, 1 abstention); accuracy under attack 20.0% [0.5, 71.7]; epsilon-rob" in text
    assert "epsilon-robustness score 20.0%" in text
    json.dumps(asdict(found), allow_nan=False)
    assert told(tmp_path / "b", Budgets((1.0,), relative=True), FIVE)[0].budgets == ()


def test_accuracy_under_attack_ends_where_nothing_was_tried(tmp_path: Path) -> None:
    records = [record(0, 0.5), record(1, None), record(2, None, radius=0.25), unattacked(3), record(4, 3.0, label=5)]
    relative = Budgets((1.0, 2.0), relative=True)
    drawn = gap(write_attack(tmp_path / "a", attack_of(None, 5, budgets=relative), records), None)
    assert (drawn.tried, drawn.end, drawn.reaches) == (2.0, 2.0, (2.0, 0.5, 0.0))
    assert [drawn.untried(radius) for radius in (0.0, 0.5, 0.6, 2.0)] == [0, 1, 2, 2]
    assert upper_curve(drawn) == (
        "The upper curve ends at the dot, at 2 input units: no larger change was tried. Not attacked, and counted as "
        "unbroken: 1 of 5 inputs. Attacked only within smaller budgets of their own, and counted as unbroken beyond: 1."
    )
    drawn = gap(write_attack(tmp_path / "b", attack_of(None, 5, budgets=Budgets((0.3, 0.75))), records[:3]), None)
    assert (drawn.tried, drawn.end, drawn.dots) == (0.75, 0.75, [0.3, 0.75])
    assert "The upper curve has dots at the budgets and ends at the last one" in upper_curve(drawn)
    assert {0.3, 0.75} <= {radius for radius, *_ in drawn.rows()}
    drawn = gap(write_attack(tmp_path / "c", attack_of(None, 5, budgets=Budgets()), records[:3]), None)
    assert (drawn.tried, upper_curve(drawn)) == (math.inf, "")
    assert all(under is not None for _, _, under, _ in drawn.rows())
    drawn = gap(write_attack(tmp_path / "d", attack_of(None, 5, budgets=relative), records[3:]), None)
    assert (drawn.tried, drawn.end, drawn.dots) == (0.0, 1.0, [0.0])
    assert "no input that is answered correctly was attacked" in upper_curve(drawn)
    assert [under is None for _, _, under, _ in drawn.rows()] == [False, True, True, True]
    pixels = attack_of(None, 2, norm="L0", budgets=Budgets((1.5, 2.5)))
    drawn = gap(write_attack(tmp_path / "e", pixels, [record(0, 2.0), record(1, None)]), None)
    assert (drawn.tried, drawn.dots) == (2.0, [1.0, 2.0])


def test_both_pictures_end_the_curve_with_a_dot(tmp_path: Path) -> None:
    run, found = attacked(tmp_path)
    records = tuple(
        each if (each.magnitude or 0.0) <= 0.3 else replace(each, magnitude=None, kind=None) for each in found.records
    )
    manifest = replace(found.manifest, budgets=Budgets((0.3,)))
    near = replace(found, manifest=manifest, records=records)
    drawn = gap(near, run)
    assert drawn.tried < drawn.end, "the certificate reaches further"
    spec = gap_chart(drawn)
    *_, dot = spec["layer"]
    (point,) = spec["datasets"][dot["data"]["name"]]
    assert (dot["mark"]["type"], point["start"]) == ("point", 0.3)
    rows = [row for values in spec["datasets"].values() for row in values]
    assert max(row["start"] for row in rows if row.get("run", "").startswith("accuracy under")) == 0.3
    write_gap_plot(drawn, tmp_path / "gap.svg", "40 examples")
    # The text of a figure is in its comments.
    text = " ".join(re.findall("<!-- (.*?) -->", (tmp_path / "gap.svg").read_text()))
    assert "The upper curve ends at the dot, at 0.3 input units" in text
    write_report([run], tmp_path / "report.html", attacks=[near])
    assert "<td>not tried</td>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_an_attack_without_records_has_no_numbers(tmp_path: Path) -> None:
    empty = write_attack(tmp_path / "a", attack_of(None, 5), [])
    for call in (lambda: summarize_attack(empty), lambda: gap(empty, None)):
        with pytest.raises(RunError, match="no records yet"):
            call()


def test_the_transfer_matrix_counts_wrong_answers() -> None:
    answers = {"a": {"a": [1, 2, None], "b": [0, 2, 0]}, "b": {"a": [], "b": []}}
    matrix = transfer_matrix(answers, {"a": [0, 0, 0], "b": []})
    assert matrix == {"a": {"a": proportion(3, 3), "b": proportion(1, 3)}, "b": {"a": None, "b": None}}


def test_accuracy_under_attack_is_a_step_function_that_falls_at_each_adversarial() -> None:
    steps = attack_steps(FIVE, Norm.L2)
    assert [(step.start, step.accuracy.value) for step in steps] == [(0.0, 0.6), (0.5, 0.4), (1.2, 0.2)]
    whole = attack_steps([record(0, 2.0), record(1, None)], Norm.L0)
    assert [(step.start, step.accuracy.value) for step in whole] == [(0.0, 1.0), (1.0, 1.0), (2.0, 0.5)]


def attacked(tmp_path: Path, noise: dict[str, Any] | None = None) -> tuple[CertifiedRun, AttackRun]:
    """A run of many, of which the first 40 were attacked: each is broken at 1.3 times its radius, if it has one."""
    run = many(tmp_path / "run", ABLATION, shape=(1, 28, 28)) if noise else many(tmp_path / "run", {**GAUSSIAN})
    records = [
        unattacked(each.index, label=each.label, reference=each.predicted)
        if each.predicted is None or each.radius < 1e-3
        else record(
            each.index,
            math.ceil(1.3 * each.radius + 0.1) if noise else 1.3 * each.radius + 1e-3,
            label=each.label,
            reference=each.predicted,
            radius=each.radius,
        )
        for each in run.results[:40]
    ]
    promise = attack_of(run, 40)
    narrowed = replace(promise, data=replace(promise.data, limit=40))
    return run, write_attack(tmp_path / "attack", narrowed, records)


GAUSSIAN = {"name": "gaussian", "sigma": 0.25}


@pytest.mark.parametrize("noise", [None, ABLATION], ids=["L2", "L0"])
def test_the_attack_lies_above_the_certificate_on_the_same_inputs(tmp_path: Path, noise: dict[str, Any] | None) -> None:
    run, found = attacked(tmp_path, noise)
    drawn = gap(found, run)
    assert drawn.examples == 40
    assert drawn.certified is not None
    assert len(same_inputs(found, run).results) == 40
    for radius, certified, under, _ in drawn.rows():
        assert certified is not None
        assert under is not None
        truth = sum(each.certified_radius >= radius for each in run.results[:40]) / 40
        assert certified.value == pytest.approx(truth)
        assert under == accuracy_under_attack(found.records, radius)
        assert certified.value <= under.value


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_gap_is_drawn(tmp_path: Path, suffix: str) -> None:
    run, found = attacked(tmp_path)
    for name, drawn in (("both", gap(found, run)), ("alone", gap(found, None))):
        out = tmp_path / f"{name}{suffix}"
        write_gap_plot(drawn, out, "40 examples")
        assert out.stat().st_size > 4000
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        write_gap_plot(gap(found, run), tmp_path / "x.jpg", "")


def test_the_chart_holds_both_curves_and_loads_nothing(tmp_path: Path) -> None:
    run, found = attacked(tmp_path)
    spec = json.dumps(gap_chart(gap(found, run)))
    assert "certified accuracy (lower bound)" in spec
    assert "accuracy under attack (upper bound)" in spec
    assert "http" not in spec
    assert "<svg" in gap_picture(gap(found, None))


def test_another_runs_certificates_are_not_shown_beside_an_attack(tmp_path: Path) -> None:
    _, found = attacked(tmp_path)
    other = four(tmp_path / "other")
    with pytest.raises(RunError, match="did not attack the certificates of"):
        gap(found, other)
    with pytest.raises(UsageError, match="attacked none of these runs"):
        write_report([other], tmp_path / "report.html", attacks=[found])


def test_inputs_that_the_run_does_not_have_are_named(tmp_path: Path) -> None:
    run, found = attacked(tmp_path)
    with pytest.raises(RunError, match="no records of 30 inputs"):
        same_inputs(found, run.among(range(10)))


def test_the_report_shows_the_attack_beside_the_certificate(tmp_path: Path) -> None:
    run, found = attacked(tmp_path)
    out = tmp_path / "report.html"
    write_report([run], out, attacks=[found])
    page = out.read_text(encoding="utf-8")
    assert 'data-chart="chart-run-1-attack-1"' in page
    assert "Attacked: <bdi>attack</bdi>" in page
    (anchor,) = re.findall(r'<h3 id="(\S+)">Attacked: <bdi>attack</bdi>', page)
    assert f'<li><a href="#{anchor}">' in page
    assert "An attack that finds nothing proves nothing" in page
    assert "The upper curve ends at the dot" in page
    assert "Not attacked that far" in page
    assert "smooth-pgd:norm=l2,steps=20" in page
    assert "Certificates contradicted: 0 of" in page
    assert "not finished" not in page
    write_report([run], out, attacks=[replace(found, records=found.records[:7])])
    page = out.read_text(encoding="utf-8")
    assert "read this first</strong>The attack attack is not finished: it has 7 of 40 examples so far." in page
    assert "contradicts" not in page
    broken = next(each for each in found.records if each.radius)
    forged = replace(broken, kind="misclassified", answer=1 - int(broken.reference or 0), magnitude=broken.radius / 2)
    write_report([run], out, attacks=[replace(found, records=(forged, *found.records[1:]))])
    page = out.read_text(encoding="utf-8")
    assert f"read this first</strong>The attack attack contradicts 1 certificate (example {forged.index})" in page
    write_report([run], out)
    assert "Attacked:" not in out.read_text(encoding="utf-8")


def test_figures_of_attacks_do_without_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, holdfast.analysis.gap_pictures, holdfast.analysis.attacks, holdfast.store.attack; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_run_that_was_attacked_is_untouched(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", manifest(data(1)), [votes(0, 3, 3, 1000)])
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    gap(write_attack(tmp_path / "attack", attack_of(run, 1), [record(0, 2.0, radius=0.5)]), run)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    assert np.isfinite(run.results[0].radius)
