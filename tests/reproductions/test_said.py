"""What pages say is taken from what was run, and figures of another kind are not subtracted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import made
import pytest

from holdfast.analysis.published import at_radius, curve, figure
from holdfast.reproductions import find_study, studies
from holdfast.reproductions.pages import Page, Row
from holdfast.reproductions.results import Finished
from holdfast.reproductions.writing import text
from holdfast.store.attack import ABSTAINS, MISCLASSIFIED


def done_of(name: str, scale: str, kind: str) -> Finished:
    return made.finished(find_study(name), scale, kind)


def page_of(name: str, scale: str, kind: str) -> Page:
    return find_study(name).page(done_of(name, scale, kind))


def flat(page: Page) -> str:
    return " ".join(text(page).split())


@pytest.mark.parametrize(
    ("scale", "said"), [("smoke", "n0 = 100, n = 500 and"), ("small", "n0 = 1,000, n = 10,000 and")]
)
def test_levine_lee_says_the_samples_that_were_drawn(scale: str, said: str) -> None:
    assert f"here with {said} alpha = 0.05" in flat(page_of("levine-lee", scale, "mnist"))


def test_levine_mnist_says_how_many_masks_there_were() -> None:
    assert "1 mask of its own for each image in a step" in flat(page_of("levine-mnist", "smoke", "mnist"))
    assert "3 masks of its own for each image in a step" in flat(page_of("levine-mnist", "small", "mnist"))


def test_a_page_says_in_which_precision_a_network_was_trained_and_certified() -> None:
    assert "x 3 noisy copies, in bfloat16; 40 of 10,000" in flat(page_of("levine-mnist", "small", "mnist"))
    assert "alpha = 0.05; float32" in flat(page_of("levine-mnist", "small", "mnist"))
    assert "400 epochs on 60,000 images; 40 of 10,000" in flat(page_of("levine-mnist", "full", "mnist"))


def test_levine_cifar10_says_how_many_images_overfitting_is_measured_on() -> None:
    for scale, count in (("smoke", "600"), ("small", "3,000")):
        # A hundredth and a twentieth of the 60,000 images that made data have.
        assert f"without differences: {count} training images" in flat(page_of("levine-cifar10", scale, "cifar10"))
    done = done_of("levine-cifar10", "small", "cifar10")
    model = done.models["cifar10-k75-fitted"]
    few = replace(model, training={**model.training, "held_out_images": 100})
    page = find_study("levine-cifar10").page(replace(done, models={**done.models, "cifar10-k75-fitted": few}))
    (row,) = (
        row
        for table in page.tables
        if "Table 4" in table.title
        for group in table.groups
        if group.title == "k = 75"
        for row in group.rows
        if row.quantity == "test"
    )
    assert row.found[0] is not None
    assert row.found[0].upper is not None
    assert row.found[0].lower is not None
    assert row.found[0].upper - row.found[0].lower > 0.15, "of 100 images, not of 10,000"


def test_one_number_of_samples_is_no_comparison() -> None:
    (said,) = (each for each in page_of("cohen-predict", "smoke", "cifar10").statements if "abstain less" in each.text)
    assert said.holds is None
    assert said.verdict == "not judged, since there are no two numbers of samples to compare"
    (said,) = (each for each in page_of("cohen-predict", "small", "cifar10").statements if "abstain less" in each.text)
    assert said.holds is not None


def test_no_page_says_epochs_that_the_paper_does_not() -> None:
    for name, kind in (("cohen-cifar10", "cifar10"), ("cohen-imagenet", "imagenet")):
        for scale in ("small", "full"):
            page = page_of(name, scale, kind)
            assert "for 90 epochs" not in flat(page)
            assert "and 90 epochs" not in flat(page)
    whole = flat(page_of("cohen-cifar10", "full", "cifar10"))
    assert "The paper does not say how long its networks are trained" in whole
    assert "its steps, momentum and weight decay are those of its public training program" in whole


def test_no_page_at_full_scale_says_that_its_training_is_not_the_papers() -> None:
    for name, kind in [(study.name, kind) for study in studies() for kind in study.data]:
        said = flat(page_of(name, "full", kind))
        assert "except for" not in said, name
        assert "cosine" not in said, name


def test_the_published_logs_are_of_every_20th_image() -> None:
    said = flat(page_of("cohen-cifar10", "small", "cifar10"))
    assert "about every 20th" not in said
    assert "cover every 20th test image in the original order (500 in all)" in said


def test_the_largest_radii_of_the_logs_do_not_fit_the_alpha_of_the_paper() -> None:
    from statistics import NormalDist

    for sigma in (0.25, 0.5):
        points = curve(sigma)
        largest = max(point.radius or 0.0 for point in points if point.value)
        assert largest <= sigma * NormalDist().inv_cdf(0.01 ** (1 / 100_000))
        assert not any("alpha=0.001" in point.param for point in points)
        assert all("alpha = 0.01" in point.note for point in points)


def test_the_marks_of_the_survey_are_kept_and_a_note_stands_at_its_own_row() -> None:
    marked = {
        name: figure("Hajri", "Athalye et al. 2018", "accuracy", method=name).note
        for name in ("Buckman et al. 2018", "Ma et al. 2018", "Song et al. 2018", "Samangouei et al. 2018")
    }
    assert marked["Buckman et al. 2018"].startswith("printed as 0%*;")
    assert marked["Song et al. 2018"].startswith("printed as 9%*;")
    assert marked["Samangouei et al. 2018"].startswith("printed as 55%**;")
    assert marked["Ma et al. 2018"] == ""
    lee = {
        data: figure("Levine", "Table 7", "median certified robustness", data, method="Lee et al. 2019").note
        for data in ("MNIST", "ImageNet")
    }
    assert lee == {"MNIST": "", "ImageNet": "ImageNet: one channel of one pixel"}


@pytest.mark.parametrize(
    ("wanted", "settings", "others"),
    [
        (("Table 1", "best sigma"), {"radius": 0.5}, {"radius": 1}),
        (("Table 2", at_radius(0.0)), {"sigma": 0.25}, {"sigma": 0.5}),
        (("Table 3", at_radius(0.0)), {"sigma": 0.12}, {"sigma": 0.25}),
        (("Table 4", "correct, accurate"), {"n": 100}, {"n": 1000}),
        (("Sec. 4", "attack success"), {"param": "radius 1.5R"}, {"param": "radius 2R"}),
    ],
)
def test_the_first_row_of_a_table_says_which_formulas_were_not_read(
    wanted: tuple[str, str], settings: dict[str, object], others: dict[str, object]
) -> None:
    assert "the text read here has lost" in figure("Cohen", *wanted, **settings).note
    assert "lost" not in figure("Cohen", *wanted, **others).note


def test_a_card_is_named_for_the_one_time_that_the_paper_states_it_for() -> None:
    notes = {
        each: figure("Cohen", *each[:2], each[2], method=each[3]).note
        for each in (
            ("Sec. 4", "seconds per image", "CIFAR-10", "Certify"),
            ("Sec. 4", "seconds per image", "ImageNet", "Certify"),
            ("Sec. 4", "seconds per image", "ImageNet", "Predict"),
            ("Appendix E.2", "seconds per image", "ImageNet", "Predict"),
        )
    }
    first, *others = notes.values()
    assert first == "110-layer residual network on an NVIDIA RTX 2080 Ti"
    assert all("no card is named" in note for note in others)
    assert "the text of Appendix E.2 says 4%" in figure("Cohen", "Table 4", "abstain", n=10_000).note
    assert figure("Cohen", "Table 4", "abstain", n=1000).value == 0.04


def test_the_names_and_the_metrics_are_those_of_the_documents() -> None:
    schott = ("Levine", "Table 2", "median adversarial attack magnitude", "MNIST")
    assert figure(*schott, method="(Schott et al. 2019)").value == 16.5
    assert figure(*schott, method="Binarized (Schott et al. 2019)").value == 22.0
    transfer = ("Hajri", "Szegedy et al. 2013 transfer", "success rate")
    assert figure(*transfer, **{"crafted on": "FC10(1)", "tested on": "AE400-10"}).value == 34.4
    assert figure(*transfer, **{"stddev": 0.3, "tested on": "AE400-10"}).value == 3.1


def test_empty_columns_are_left_out() -> None:
    (table,) = page_of("madry", "small", "mnist").tables
    assert table.header == ["", "here"]
    (table,) = page_of("madry", "small", "cifar10").tables
    assert table.header == ["", "published", "here"]
    assert "The published ones" not in flat(page_of("madry", "small", "mnist"))


@pytest.mark.parametrize(
    ("name", "scale", "kind", "shown"),
    [
        ("cohen-attack", "small", "mnist", False),
        ("cohen-attack", "small", "cifar10", False),
        ("cohen-attack", "full", "cifar10", False),
        ("cohen-attack", "small", "imagenet", False),
        ("cohen-attack", "full", "imagenet", True),
        ("cohen-cifar10", "small", "cifar10", False),
        ("cohen-cifar10", "full", "cifar10", True),
        ("cohen-predict", "small", "cifar10", False),
        ("levine-mnist", "small", "mnist", True),
        ("levine-cifar10", "small", "cifar10", False),
        ("levine-cifar10", "full", "cifar10", True),
        ("levine-attack", "full", "mnist", False),
        ("madry", "full", "cifar10", False),
        ("szegedy-transfer", "full", "mnist", False),
        ("wong-kolter", "small", "mnist", True),
    ],
)
def test_differences_are_between_things_of_one_kind(name: str, scale: str, kind: str, shown: bool) -> None:
    first, *_ = page_of(name, scale, kind).tables
    assert ("diff" in first.header) is shown


def test_other_training_and_other_logs_are_not_subtracted() -> None:
    tables = {table.title: table for table in page_of("cohen-cifar10", "full", "cifar10").tables}
    assert "diff" not in tables["With consistency regularization, beside Table 3"].header
    assert "diff" not in tables["Figure 6: the published logs"].header


# cohen-attack: what is counted, of what.


def attacked(kind: str) -> Finished:
    """Ten images: two without a radius, two certified with a wrong class, six certified and right. Within 1.5 R one of
    these has another class and two an abstention; within 2 R three another class and one an abstention."""
    done = done_of("cohen-attack", "full" if kind == "imagenet" else "small", kind)
    found = {"1R": {}, "1.5R": {4: MISCLASSIFIED, 5: ABSTAINS, 6: ABSTAINS}, "2R": {}}
    found["2R"] = {4: MISCLASSIFIED, 5: MISCLASSIFIED, 6: ABSTAINS, 7: MISCLASSIFIED}
    attacks = {}
    for name, attack in done.attacks.items():
        factor = name.rpartition("-")[2]
        records = []
        for number, record in enumerate(attack.records[:10]):
            radius = 0.0 if number < 2 else 0.5
            held = found[factor].get(number)
            if number in (2, 3):
                held = MISCLASSIFIED if factor != "1R" else None
            size = float(factor.removesuffix("R")) * radius
            records.append(
                replace(
                    record,
                    label=9 if number in (2, 3) else 1,
                    reference=1,
                    radius=radius,
                    budgets=(size,) if radius else (),
                    magnitude=size if held else None,
                    kind=held,
                    answer=2 if held == MISCLASSIFIED else None,
                )
            )
        attacks[name] = replace(attack, records=tuple(records))
    return replace(done, attacks=attacks)


def rows_of(kind: str) -> dict[str, Row]:
    page = find_study("cohen-attack").page(attacked(kind))
    return {row.quantity: row for table in page.tables for group in table.groups for row in group.rows}


@pytest.mark.parametrize("kind", ["mnist", "imagenet"])
def test_cohen_attack_counts_what_the_paper_counts(kind: str) -> None:
    """Certified and right inputs, and another class; abstentions apart."""
    found = {name: round(6 * (row.found[0].value or 0.0)) for name, row in rows_of(kind).items() if row.found[0]}
    assert found == {
        "1 R: another class": 0,
        "1 R: abstains": 0,
        "1.5 R: another class": 1,
        "1.5 R: abstains": 2,
        "2 R: another class": 3,
        "2 R: abstains": 1,
    }
    page = find_study("cohen-attack").page(attacked(kind))
    assert "6 are certified and right; 2 certified with a wrong class and 2 without a radius are left out" in flat(page)


def test_cohen_attack_prints_the_papers_figures_beside_those_for_its_data_alone() -> None:
    beside = rows_of("imagenet")
    assert [beside[f"{f} R: another class"].printed for f in ("1", "1.5", "2")] == ["-", "17%", "53%"]
    assert beside["1.5 R: abstains"].printed == "-"
    page = find_study("cohen-attack").page(attacked("mnist"))
    (table,) = page.tables
    assert table.header == ["", "here"]
    assert "The paper has 17% within 1.5 R, 53% within 2 R on ImageNet: another data set" in flat(page)


def test_cohen_attack_climbs_the_papers_objective() -> None:
    for scale in ("smoke", "small", "full"):
        plan = find_study("cohen-attack").plan(scale, "imagenet")
        assert [each.budget for each in plan.attacks] == ["1x", "1.5x", "2x"]
        assert all("objective=expected" in each.attack for each in plan.attacks)


def test_cohen_attack_judges_nothing_where_nothing_is_certified(tmp_path: Path) -> None:
    done = attacked("mnist")
    none = {
        name: replace(attack, records=tuple(replace(each, radius=0.0, budgets=()) for each in attack.records))
        for name, attack in done.attacks.items()
    }
    page = find_study("cohen-attack").page(replace(done, attacks=none))
    assert [each.holds for each in page.statements] == [None, None, None]


def test_made_runs_have_the_samples_of_their_plan() -> None:
    """What these tests stand on."""
    done = done_of("levine-lee", "small", "mnist")
    assert done.runs["mnist-lee"].estimator.most_draws == 10_000
