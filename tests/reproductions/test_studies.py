"""What every study must be, and that what its page says is so."""

import json
import re
from itertools import pairwise, product

import made
import pytest

from holdfast.analysis.accuracy import median_certified_radius
from holdfast.analysis.projections import compared
from holdfast.errors import UsageError
from holdfast.models.architectures import architecture_names
from holdfast.noises.base import noise_names
from holdfast.reproductions import find_study, measures, studies
from holdfast.reproductions.base import SCALES, Study, check_scale
from holdfast.reproductions.pages import Page, Row
from holdfast.reproductions.results import Finished
from holdfast.reproductions.writing import document, html, markdown, text
from holdfast.training.config import TrainConfig
from holdfast.workflows.specs import parse_attack, parse_bound, parse_budgets, parse_noise, parse_recipe

NAMES = (
    "athalye",
    "attack-dominance",
    "cohen-attack",
    "cohen-bounds",
    "cohen-cifar10",
    "cohen-crown",
    "cohen-heuristics",
    "cohen-high-prob",
    "cohen-imagenet",
    "cohen-lipschitz",
    "cohen-logs",
    "cohen-margin",
    "cohen-noise",
    "cohen-predict",
    "cohen-prior-bounds",
    "cohen-resolution",
    "cohen-tightness",
    "cohen-train-noise",
    "cohen-wong",
    "cw-targeted",
    "defences-that-fall",
    "goodfellow-panda",
    "levine-attack",
    "levine-cifar10",
    "levine-cw",
    "levine-delta",
    "levine-imagenet",
    "levine-l1",
    "levine-lee",
    "levine-mnist",
    "levine-null",
    "levine-patch",
    "levine-unprotected",
    "madry",
    "szegedy-transfer",
    "voracek-prototypes",
    "wong-kolter",
)
WITH_DATA = [(study.name, kind) for study in studies() for kind in study.data]
ALL = [(name, scale, kind) for (name, kind), scale in product(WITH_DATA, SCALES)]


def page_of(name: str, scale: str = "small", kind: str | None = None, certainty: float = 9.0) -> Page:
    study = find_study(name)
    if kind is None:
        return study.page(Finished(scale))
    return study.page(made.finished(study, scale, kind, certainty))


def rows(page: Page) -> dict[tuple[str, str, str], Row]:
    return {
        (table.title.partition(":")[0], group.title, row.quantity): row
        for table in page.tables
        for group in table.groups
        for row in group.rows
    }


def test_all_names_are_there() -> None:
    assert [study.name for study in studies()] == list(NAMES)


@pytest.mark.parametrize(("name", "scale", "kind"), ALL)
def test_what_a_study_asks_for_can_be_done(name: str, scale: str, kind: str) -> None:
    plan = find_study(name).plan(scale, kind)
    assert {run.model for run in plan.runs} <= {model.name for model in plan.models}
    assert len({model.name for model in plan.models}) == len(plan.models)
    assert len({run.name for run in plan.runs}) == len(plan.runs)
    shape = made.DATA[kind][1]
    for model in plan.models:
        assert model.architecture in architecture_names()
        if model.noise is not None:
            parse_noise(model.noise).fitted((0.5,) * shape[0], (0.25,) * shape[0]).check_inputs(shape, 0.0, 1.0)
        if model.training is not None:
            recipe = parse_recipe(model.training.get("recipe", "noise"))
            assert model.noise is not None or recipe.written == model.training["recipe"], "as the bundle spells it"
            TrainConfig(**{**model.training, "recipe": recipe})
            recipe.check(
                None if model.noise is None else parse_noise(model.noise),
                TrainConfig(**{**model.training, "recipe": recipe}),
            )
    names = [each.name for each in (*plan.runs, *plan.bounds)]
    assert len(set(names)) == len(names)
    assert len({each.name for each in plan.attacks}) == len(plan.attacks)
    assert {each.model for each in (*plan.bounds, *plan.attacks, *plan.answers)} <= {
        model.name for model in plan.models
    }
    for bound in plan.bounds:
        parse_bound(bound.bound)
    for each in plan.attacks:
        assert parse_attack(each.attack).minimizes or parse_budgets(each.budget).values
        assert each.run is None or each.run in names
    assert {each.model for each in plan.timings} <= {model.name for model in plan.models}
    for log in plan.logs:
        parse_noise(log.noise)
    assert set(plan.transfer) <= {each.name for each in plan.attacks}
    assert all(run.bounds == "cohen" for run in plan.runs), "promised are the papers' own bounds"


@pytest.mark.parametrize("scale", SCALES)
def test_models_and_runs_of_one_name_are_the_same_in_all_studies(scale: str) -> None:
    for part in ("models", "runs", "bounds", "attacks", "answers"):
        seen: dict[str, object] = {}
        for name, kind in WITH_DATA:
            for each in getattr(find_study(name).plan(scale, kind), part):
                assert seen.setdefault(each.name, each) == each


def test_full_scale_has_the_settings_of_the_papers() -> None:
    mnist = find_study("levine-mnist").plan("full", "mnist")
    assert {(run.n0, run.n, run.alpha, run.every, run.limit) for run in mnist.runs} == {(1000, 10000, 0.05, 1, None)}
    assert {(m.training or {})["epochs"] for m in mnist.models} == {400}
    assert [m.noise for m in mnist.models[:-1]] == [f"ablation:k={k}" for k in range(5, 101, 5)]
    cifar = find_study("cohen-cifar10").plan("full", "cifar10")
    assert {(run.n0, run.n, run.alpha, run.every) for run in cifar.runs} == {(100, 100_000, 0.001, 1)}
    assert {(m.architecture, (m.training or {})["epochs"]) for m in cifar.models} == {("resnet110", 90)}
    imagenet = find_study("cohen-imagenet").plan("full", "imagenet")
    assert {len(range(0, 50_000, run.every)[: run.limit]) for run in imagenet.runs} == {500}
    ablated = find_study("levine-imagenet").plan("full", "imagenet")
    assert {(run.sample, run.every, run.limit) for run in ablated.runs} == {("400", 1, None)}


@pytest.mark.parametrize(("name", "scale", "kind"), ALL)
def test_a_page_fits_a_terminal_and_says_the_settings_beside_the_numbers(name: str, scale: str, kind: str) -> None:
    page = page_of(name, scale, kind)
    shown = text(page)
    assert max(map(len, shown.splitlines())) <= 80
    flat = " ".join(shown.split())
    plan = find_study(name).plan(scale, kind)
    for run in plan.runs:
        n = run.n or made.once(run, next(model.noise for model in plan.models if model.name == run.model), kind)
        assert f"n = {n:,}, alpha = {run.alpha:g}" in flat
    written = markdown(page)
    for model in plan.models:
        if model.training is not None:
            assert f"{model.training['epochs']} epoch" in written
        else:
            assert f"{model.architecture}, untrained" in written
    assert bool(page.warning) == any(model.training is None for model in plan.models)
    assert json.loads(json.dumps(document(page), allow_nan=False))["title"] == page.title


@pytest.mark.parametrize(("name", "scale", "kind"), ALL)
def test_every_reproduced_share_and_median_has_its_interval(name: str, scale: str, kind: str) -> None:
    for (table, _, quantity), row in rows(page_of(name, scale, kind)).items():
        for place, found in enumerate(row.found):
            # Lower bounds of Figure 14 are one end of an interval themselves.
            if found is None or "Figure 14" in table or found.unit not in ("share", "pixels"):
                continue
            assert found.interval, f"{table}, {quantity}, column {place}"
            if found.value is not None and found.lower is not None:
                assert found.lower <= found.value
            if found.value is not None:
                assert found.upper is not None
                assert found.value <= found.upper


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("levine-delta", None),
        ("cohen-bounds", None),
        ("cohen-prior-bounds", None),
        ("cohen-resolution", None),
        *((n, k) for n, k in WITH_DATA),
    ],
)
def test_the_html_page_is_whole_and_loads_nothing(name: str, kind: str | None) -> None:
    page = page_of(name, "small", kind)
    made_page = html(page, f"holdfast reproduce {name}")
    assert made_page.count("<svg") == len(page.charts)
    assert not re.search(r"(src|href)=\"https?:", made_page)
    for table in page.tables:
        assert table.title.replace("&", "&amp;") in made_page
    assert "holdfast reproduce" in made_page


def test_levine_mnist_prints_table_1_beside_the_votes() -> None:
    done = made.finished(find_study("levine-mnist"), "small", "mnist")
    found = rows(find_study("levine-mnist").page(done))
    printed = {k: found["Table 1", f"k = {k}", "accuracy"].printed for k in (15, 25, 45, 75)}
    assert printed == {15: "86.09%", 25: "93.05%", 45: "96.72%", 75: "98.28%"}
    medians = {k: found["Table 1", f"k = {k}", "median"].printed for k in (15, 25, 45, 75)}
    assert medians == {15: "0", 25: "5", 45: "8", 75: "6"}
    assert found["Table 8", "mean, k = 45", "median"].printed == "7"
    run = done.runs["mnist-k45"]
    row = found["Table 1", "k = 45", "median"]
    for place, bounds in enumerate(("cohen", "split")):
        expected = median_certified_radius(compared(run, bounds=bounds).results)
        assert row.found[place] is not None
        assert row.found[place].value == expected
    votes = run.run.records
    right = sum(record.estimation.top == record.label for record in votes) / len(votes)
    accuracy = found["Table 1", "k = 45", "accuracy"].found[0]
    assert accuracy is not None
    assert accuracy.value == pytest.approx(right, abs=0.1), "but for abstentions"
    assert accuracy.lower < accuracy.value < accuracy.upper or accuracy.value in (0.0, 1.0)


def test_the_median_among_the_certified_leaves_out_the_others() -> None:
    done = made.finished(find_study("levine-imagenet"), "full", "imagenet", certainty=3.0)
    found = rows(find_study("levine-imagenet").page(done))
    printed = [found["Table 6", f"k = {k}", "of the certified"].printed for k in (500, 1000, 2000)]
    assert printed == ["63", "33", "16"]
    run = done.runs["imagenet-k1000"]
    radii = sorted(result.radius for result in run.results if result.predicted == result.label)
    assert 0 < len(radii) < len(run.results), "some are left out, and not all"
    cell = found["Table 6", "k = 1000", "of the certified"].found[0]
    assert cell is not None
    assert cell.value == radii[len(radii) // 2]
    whole = found["Table 6", "k = 1000", "median"].found[0]
    assert whole is not None
    assert whole.value is None or whole.value <= cell.value
    # MNIST and CIFAR-10 have none in the paper.
    assert rows(page_of("levine-mnist", "small", "mnist"))["Table 1", "k = 45", "of the certified"].printed == "-"


def test_levine_mnist_checks_what_was_asked_of_it() -> None:
    said = {each.text: each.holds for each in page_of("levine-mnist", "small", "mnist", certainty=0.3).statements}
    assert said["k = 45: accuracy within 2.5 points of the paper's"] is False
    assert said["k = 45: median within 1 pixel of the paper's"] is False
    done = made.finished(find_study("levine-mnist"), "small", "mnist", certainty=1e6)
    said = {each.text: each.holds for each in find_study("levine-mnist").page(done).statements}
    # All votes agree: 100% is within 2.5 points of 98.28% alone, and the radius is the largest that there is.
    assert said["k = 75: accuracy within 2.5 points of the paper's"] is True
    assert said["k = 15: accuracy within 2.5 points of the paper's"] is False
    assert said["k = 75: median within 1 pixel of the paper's"] is True
    assert said["k = 15: median within 1 pixel of the paper's"] is False


def test_charts_mark_published_figures_where_they_are_about_the_same_thing() -> None:
    charts = {chart.file: chart.draw() for chart in page_of("cohen-cifar10", "small", "cifar10").charts}
    assert "Table 3" in charts["cohen-cifar10-figure-6.svg"]
    assert not any("Table 3" in charts[f"cohen-cifar10-figure-8-{part}.svg"] for part in ("left", "middle", "right"))


def test_cohen_cifar10_prints_table_3_and_orders_theorems_and_samples() -> None:
    page = page_of("cohen-cifar10", "small", "cifar10")
    found = rows(page)
    printed = [found["Table 3", "sigma = 0.25", f"r = {r}"].printed for r in ("0", "0.25", "0.5", "0.75", "1")]
    assert printed == ["77%", "61%", "42%", "25%", "0%"]
    printed = [found["Table 3", "sigma = 0.5", f"r = {r}"].printed for r in ("0", "0.25", "0.5", "1.5")]
    assert printed == ["66%", "55%", "43%", "8%"]

    def never_falls(few: list[float], many: list[float]) -> bool:
        return all(less <= more for less, more in zip(few, many, strict=True))

    def shares(table: str, quantity: str) -> list[float]:
        return [each.value for each in found[table, "sigma = 0.25", quantity].found]

    middle = [shares("Figure 8, middle", f"n = {n}") for n in ("100", "1,000", "10,000", "100,000", "1,000,000")]
    assert all(never_falls(few, many) for few, many in pairwise(middle))
    own = [found["Table 3", "sigma = 0.25", f"r = {r}"].found[0].value for r in ("0.25", "0.5", "0.75")]
    assert shares("Figure 8, middle", "n = 10,000") == own
    assert shares("Figure 8, right", "alpha = 0.001") == own
    assert shares("Figure 8, left", "cohen") == own
    left = [shares("Figure 8, left", name) for name in ("lecuyer", "li", "cohen")]
    assert all(never_falls(few, many) for few, many in pairwise(left))
    assert any("n = 100,000 in place of 10,000" in note for note in page.notes)
    # The table that the authors made of their logs: .60, .43, .27 at sigma = .25 (analysis/latex/vary_noise_cifar10).
    logs = [found["Figure 6", "sigma = 0.25", f"r = {r}"].published for r in ("0.25", "0.5", "0.75")]
    assert [round(each.share, 2) for each in logs if each and each.share] == [0.60, 0.43, 0.27]


def test_levine_cifar10_measures_overfitting() -> None:
    page = page_of("levine-cifar10", "small", "cifar10")
    found = rows(page)
    assert found["Table 4", "k = 75", "training"].printed == "99.33%"
    assert found["Table 4", "k = 75", "test"].printed == "74.08%"
    assert found["Table 5", "k = 75", "test"].printed == "75.22%"
    assert found["Table 4", "k = 75", "apart (points)"].found[0].value == pytest.approx(20.0, abs=0.1)
    said = {each.text: each.holds for each in page.statements}
    assert said["k = 75: training accuracy exceeds test accuracy, at 95% confidence"]


def test_levine_lee_computes_its_equations_without_data() -> None:
    page = page_of("levine-lee")
    found = {row.quantity: row for group in page.tables[0].groups for row in group.rows}
    assert [(row.printed, row.found[0].text) for row in found.values()] == [
        ("0.596", "0.596"),
        ("14,521", "14,521"),
        ("116,168", "116,168.0"),
        ("50,590.4", "50,590.4"),
    ]
    assert [row.found[0].text for group in page.tables[1].groups for row in group.rows] == [
        "0.5965",
        "0.7606",
        "0.6000",
    ]
    assert len(page.tables) == 2
    assert all(each.holds for each in page.statements)
    medians = {
        key: row.printed for key, row in rows(page_of("levine-lee", "small", "mnist")).items() if key[2] == "median"
    }
    assert {key[1]: printed for key, printed in medians.items() if key[0] == "Table 7"} == {
        "Lee et al., kappa = 0.8, black and white": "4",
        "ablation, k = 45": "8",
    }


def test_delta_and_bounds_hold_what_they_state() -> None:
    for name in ("levine-delta", "cohen-bounds"):
        assert all(each.holds for each in page_of(name).statements)
    delta = rows(page_of("levine-delta"))
    # The smallest p for 8 of 784 pixels at k = 45 is .8782 (METHODS): Delta is .3782.
    assert delta["Figure 2 in numbers", "", "k = 45"].found[2].text == "0.3782"
    bounds = rows(page_of("cohen-bounds"))
    assert bounds["Figure 5, left", "", "p = 0.99"].found[0].text == "2.3263"
    assert bounds["Figure 5, right", "", "n = 100,000"].found[0].text == "3.8114"
    assert "218,105 samples" in text(page_of("cohen-bounds"))


def test_predict_sorts_every_image_into_one_outcome() -> None:
    for kind, sizes in (("imagenet", ("100",)), ("cifar10", ("100", "1,000"))):
        found = rows(page_of("cohen-predict", "small", kind))
        for n in sizes:
            shares = [row.found[0].value for key, row in found.items() if key[:2] == ("Table 4", f"n = {n}")]
            assert sum(shares) == pytest.approx(1.0)
            assert len(shares) == 5
    assert found["Table 4", "n = 1,000", "incorrect, accurate"].printed == "28%"


def test_the_high_probability_bound_is_below_what_was_counted() -> None:
    for row in rows(page_of("cohen-high-prob", "small", "cifar10")).values():
        counted, formula, exact = (each.value for each in row.found)
        assert formula <= exact <= counted


def test_unknown_names_and_scales() -> None:
    with pytest.raises(UsageError, match="no study named 'levine'; the studies are athalye, "):
        find_study("levine")
    with pytest.raises(UsageError, match="the scale must be one of smoke, small, full, got 'tiny'"):
        check_scale("tiny")


def test_two_studies_of_one_name() -> None:
    from holdfast.reproductions.base import register

    study = find_study("cohen-bounds")
    with pytest.raises(TypeError, match="two studies are named 'cohen-bounds'"):
        register(Study(**vars(study)))


def test_consistency_is_trained_like_the_model_it_stands_beside() -> None:
    plan = find_study("cohen-cifar10").plan("full", "cifar10")
    models = {model.name: model for model in plan.models}
    for sigma, weight in ((0.25, 20.0), (0.5, 10.0)):
        plain, other = (models[f"cifar10-sigma{sigma:g}{end}"] for end in ("", "-consistency"))
        assert plain.training is not None
        more = {"recipe": f"consistency:weight={weight},entropy=0.5", "noise_copies": 2}
        assert other.training == {**plain.training, **more}
        assert (other.noise, other.architecture, other.arguments) == (plain.noise, plain.architecture, plain.arguments)
    assert {run.model for run in plan.runs} == set(models) - {"cifar10-undefended"}


def test_table_1_names_the_best_sigma_beside_both_documents() -> None:
    done = made.finished(find_study("cohen-imagenet"), "full", "imagenet", certainty=1e5)
    found = rows(find_study("cohen-imagenet").page(done))
    printed = {
        radius: [found["Table 1", f"r = {radius}", each].printed for each in ("best sigma", "certified accuracy")]
        for radius in ("0.5", "1", "2", "3")
    }
    assert printed == {"0.5": ["0.25", "49%"], "1": ["0.5", "37%"], "2": ["0.5", "19%"], "3": ["1", "12%"]}
    survey = [found["Table 1", "r = 0.5, in the survey", each] for each in ("certified accuracy", "standard accuracy")]
    assert [row.printed for row in survey] == ["49%", "67%"]
    for radius in (0.5, 1.0, 2.0, 3.0):
        shares = {s: measures.certified(done.runs[f"imagenet-sigma{s:g}"], [radius])[0].value for s in (0.25, 0.5, 1.0)}
        best = found["Table 1", f"r = {radius:g}", "best sigma"].found[0]
        assert best is not None
        assert best.value is not None
        assert shares[best.value] == max(shares.values())
        certified = found["Table 1", f"r = {radius:g}", "certified accuracy"].found[0]
        assert certified is not None
        assert certified.value == max(shares.values())


def test_the_line_of_the_undefended_network_is_what_deepfool_leaves() -> None:
    done = made.finished(find_study("cohen-cifar10"), "small", "cifar10")
    found = rows(find_study("cohen-cifar10").page(done))
    attack = done.attacks["cifar10-undefended-deepfool"]
    for radius in (0.0, 0.25, 1.0):
        left, smoothed = found["Figure 6, dashed line", "", f"r = {radius:g}"].found
        held = sum(each.magnitude is None or each.magnitude > radius for each in attack.records)
        assert left is not None
        assert smoothed is not None
        assert left.value == held / len(attack.records)
        assert smoothed.value == max(
            measures.certified(done.runs[f"cifar10-sigma{sigma}"], [radius])[0].value or 0.0
            for sigma in ("0.25", "0.5")
        )


def test_the_margin_takes_radius_and_never_adds_any() -> None:
    page = page_of("cohen-margin", "small", "cifar10")
    found = rows(page)
    lines = [
        [share.value for share in found["Certified accuracy on the same votes", "sigma = 0.25", name].found if share]
        for name in ("margin, n = 100", "margin, n = 1,000", "margin, n = 10,000", "Theorem 1")
    ]
    for fewer, more in pairwise(lines):
        assert all(less <= much for less, much in zip(fewer, more, strict=True))
    assert lines[0] != lines[-1]
    assert all(each.holds for each in page.statements)
    assert all(each.holds for each in page_of("cohen-margin").statements)


def test_the_page_on_tightness_holds_for_all_noises() -> None:
    page = page_of("cohen-tightness")
    assert all(each.holds for each in page.statements)
    groups = {group.title.split(":")[0] for group in page.tables[0].groups}
    assert groups == set(noise_names())


def test_the_time_of_predict_is_shown_and_not_judged() -> None:
    page = page_of("cohen-predict", "full", "imagenet")
    found = rows(page)
    row = found["Time of Predict", "n = 100", "seconds per image"]
    assert (row.printed, found["Time of Predict", "n = 10,000", "seconds per image"].printed) == ("0.15", "15")
    assert row.found[0] is not None
    assert (row.found[0].lower, row.found[0].value, row.found[0].upper) == (0.1, 0.2, 0.3)
    assert not any("time" in each.text for each in page.statements)
