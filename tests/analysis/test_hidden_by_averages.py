"""The distribution of p_A, tables of classes, and paired differences of runs."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from scipy.stats import beta
from synthetic_runs import ABLATION, CIFAR10, COLUMNS, GAUSSIAN, data, four, imported, manifest, votes, write_run

from holdfast.analysis.accuracy import quantile, quantile_interval
from holdfast.analysis.class_tables import class_table
from holdfast.analysis.difference_plots import write_comparison_plot
from holdfast.analysis.differences import differences
from holdfast.analysis.probabilities import probabilities_of
from holdfast.analysis.report import write_report
from holdfast.analysis.run_comparison import check_comparable, compare_runs
from holdfast.analysis.summaries import summarize
from holdfast.errors import RunError, UsageError
from holdfast.formats.shipped import schemas
from holdfast.stats.binomial import lower_bound
from holdfast.stats.classes import balanced_proportion, worst_proportion
from holdfast.stats.pairs import paired_difference

# Votes for the true class, or for the next one where they are negative; every one of ten classes six times.
FIRST = [1000, 990, 900, 700, 400, -800] * 10
SECOND = [1000, 800, 950, 600, 650, -900] * 10


def run_of(folder, hits, noise=GAUSSIAN, **changes):
    records = [
        votes(place, place % 10, place % 10 if hit > 0 else (place + 1) % 10, abs(hit))
        for place, hit in enumerate(hits)
    ]
    return write_run(folder, manifest(data(len(hits), **changes), noise), records)


@pytest.fixture
def pair(tmp_path):
    return run_of(tmp_path / "first", FIRST), run_of(tmp_path / "second", SECOND)


def test_percentiles_are_those_of_the_votes_and_their_bounds(pair):
    found = probabilities_of(pair[0].results, 0.001)
    # Ten examples each with 0, 400, 700, 900, 990 and 1000 of 1,000 votes for the true class; (0: another one leads.)
    assert [each.estimate for each in found.percentiles.values()] == [0.0, 0.4, 0.9, 0.99, 1.0]
    bounds = [0.0, lower_bound(400, 1000, 0.001), *(lower_bound(hits, 1000, 0.001) for hits in (900, 990, 1000))]
    assert [each.bound for each in found.percentiles.values()] == bounds
    for each in found.percentiles.values():
        assert each.lower <= each.bound <= each.upper
    assert sum(each.certified + each.others for each in found.bins) == 60
    assert (found.bins[0].others, found.bins[8].others, found.bins[-1].certified) == (10, 10, 20)


def test_what_averages_hide_is_seen_in_the_low_percentiles(tmp_path):
    """Giving up hard examples for easy ones raises the average radius and lowers the tenth percentile."""
    honest = run_of(tmp_path / "honest", [800] * 60)
    gamed = run_of(tmp_path / "gamed", [1000, 1000, 100] * 20)
    one, other = (summarize(run, [0.0]) for run in (honest, gamed))
    assert other.average_certified_radius > one.average_certified_radius
    assert other.probabilities.percentiles[10].bound < 0.2 < one.probabilities.percentiles[10].bound


def test_nothing_is_said_about_votes_that_are_not_there(tmp_path):
    run = imported(tmp_path / "log")
    assert probabilities_of(run.results, 0.001) is None
    assert summarize(run, [0.0]).probabilities is None
    assert "p_A" not in str(run.table([0.0]))
    assert run.table([0.0]).to_dict()[0]["p_A"] is None


def test_a_quantile_is_the_largest_value_that_enough_examples_reach():
    values = [float(number) for number in range(1, 11)]
    assert [quantile(values, share) for share in (1.0, 0.9, 0.5, 0.1)] == [1.0, 2.0, 6.0, 10.0]
    assert quantile([3.0, 1.0], 1.0 - 10 / 100) == 1.0


def test_percentiles_hold_in_simulation():
    random, below, above, trials = np.random.default_rng(11), 0, 0, 400
    table = np.array([lower_bound(hits, 200, 0.05) for hits in range(201)])
    alpha, share = 0.05, 0.9
    population = 1.0 - random.beta(0.6, 3.0, size=200_000)
    true = float(np.quantile(population, 1.0 - share))
    found = np.sort(table[random.binomial(200, population)])[::-1][int(share * len(population)) - 1]
    for _ in range(trials):
        bounds = table[random.binomial(200, random.choice(population, size=150))].tolist()
        lower, upper = quantile_interval(bounds, share, alpha)
        below += lower > true
        above += upper < found
    # A failure rate of 0.025 gives more than 21 of 400 with probability 1e-3.
    assert below <= 21
    assert above <= 21
    assert found < true, "the bounds are below p_A, so the upper end is for them alone"


def test_a_table_of_classes_is_that_of_its_examples(tmp_path):
    run = run_of(tmp_path / "run", [*FIRST, 900, 900, -900], class_names=CIFAR10)
    found = class_table(run, [0.0, 0.25])
    sizes, hits = [7, 7, 7, *[6] * 7], []
    for label, row in enumerate(found.classes):
        mine = [each for each in run.results if each.label == label]
        certified = sum(each.certified_radius >= 0.25 for each in mine)
        hits.append(certified)
        assert (row.name, row.examples) == (CIFAR10[label], len(mine))
        share = row.certified_accuracy[0.25]
        assert share.value == certified / len(mine)
        if certified:
            low = beta.ppf(0.025, certified, len(mine) - certified + 1)
            assert share.lower == pytest.approx(max(0.0, (low - 0.001) / 0.999), rel=1e-6)
    assert found.balanced[0.25] == balanced_proportion(hits, sizes, 0.001)
    assert found.worst[0.25] == worst_proportion(hits, sizes, 0.001)
    worst = min(hit / size for hit, size in zip(hits, sizes, strict=True))
    names = [CIFAR10[place] for place in range(10) if hits[place] / sizes[place] == worst]
    assert list(found.worst_classes[0.25]) == names
    jsonschema.validate(json.loads(json.dumps([found.to_dict()])), schemas()["table-by-class"])
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(rows) == 24
    assert {row["Class"] for row in rows} == {*CIFAR10, "balanced", "worst class"}
    for text in (str(found), found.to_markdown(), found.to_latex(), found._repr_html_()):
        assert "airplane" in text
        assert "balanced" in text
        assert "whichever class that is" in " ".join(text.split())
    assert found == run.by_class([0.0, 0.25])


def test_classes_without_examples_are_not_spoken_of(tmp_path):
    found = four(tmp_path / "four").by_class([0.0])
    assert [each.name for each in found.classes] == ["3", "4", "5", "7"]
    assert "6 other classes have no examples" in found.caption
    empty = write_run(tmp_path / "empty", manifest(data(4)), [])
    with pytest.raises(RunError, match="no records yet"):
        empty.by_class()


def test_differences_are_those_of_the_certified_images(pair):
    found = compare_runs(pair, [0.0, 0.2, 0.25])
    ((first, second),) = [(each.first, each.second) for each in found.pairs]
    assert (first, second) == ("first", "second")
    for each in found.pairs[0].at:
        sides = [[result.certified_radius >= each.radius for result in run.results] for run in pair]
        only = [sum(a and not b for a, b in zip(*order, strict=True)) for order in (sides, sides[::-1])]
        assert [each.found.first, each.found.second, each.found.inputs] == [*only, 60]
        assert each.difference == paired_difference(*only, 60)
        assert each.difference.value == pytest.approx(each.first.value - each.second.value)
    # 650 votes certify, 400 do not; 990 certify 0.25, 800 do not; 950 certify 0.25, and so do 900.
    assert [(each.found.first, each.found.second) for each in found.pairs[0].at] == [(0, 10), (10, 0), (10, 0)]
    assert [each.more for each in found.pairs[0].at] == ["second", "first", "first"]
    assert found.ordered == 6
    assert found.level == pytest.approx(0.05 / 6)
    mirrored = pair[1].compare(pair[0], radii=[0.0, 0.2, 0.25])
    for one, other in zip(found.pairs[0].at, mirrored.pairs[0].at, strict=True):
        assert (one.difference.lower, one.difference.upper) == (-other.difference.upper, -other.difference.lower)
        assert one.more == other.more


def test_a_comparison_is_shown_in_every_form(pair, tmp_path):
    third = run_of(tmp_path / "third", [950] * 60)
    found = compare_runs([*pair, third], [0.0, 0.25])
    assert len(found.tables) == len(found.pairs) == 3
    jsonschema.validate(json.loads(json.dumps(found.to_dict())), schemas()["table-compare"])
    assert len(list(csv.DictReader(io.StringIO(found.to_csv())))) == 6
    for text in (str(found), found.to_markdown(), found.to_latex(), found._repr_html_()):
        assert "A: first. B: second." in " ".join(text.split())
        assert "-16.6 [" in text or "16.6 [" in text or "16.7 [" in text
        assert "none of the 12 ordered pairs" in " ".join(text.split())
    assert "first, second, third" in repr(found)
    assert max(map(len, str(found).split("\n")[1:3])) <= 80


def test_runs_that_cannot_be_compared_say_why(pair, tmp_path):
    first = pair[0]
    for changes, noise, why in (
        ({"sha256": "cd" * 32}, GAUSSIAN, "different data"),
        ({"source": "mnist"}, GAUSSIAN, "different data"),
        ({"shape": (1, 28, 28)}, ABLATION, "different norms"),
    ):
        other = run_of(tmp_path / f"{why}{len(changes)}{next(iter(changes))}", FIRST, noise, **changes)
        with pytest.raises(RunError, match=why):
            compare_runs([first, other])
    fewer = write_run(
        tmp_path / "fewer", manifest(data(60, limit=30)), [votes(n, n % 10, n % 10, 990) for n in range(30)]
    )
    with pytest.raises(RunError, match=r"different images: L2 on all 60 test.* and L2 on 30 of 60"):
        compare_runs([first, fewer])
    swapped = replace(first, results=tuple(replace(each, label=0) for each in first.results))
    with pytest.raises(RunError, match="different labels"):
        check_comparable(first, swapped)
    with pytest.raises(UsageError, match="two or more, got 1"):
        first.compare()
    with pytest.raises(UsageError, match="given twice"):
        first.compare(first)
    with pytest.raises(UsageError, match="radii are finite numbers"):
        compare_runs(pair, [-1.0])


def test_unfinished_runs_are_compared_on_what_both_have_and_say_so(pair, tmp_path):
    records = [votes(place, place % 10, place % 10, 1000) for place in range(40)]
    unfinished = write_run(tmp_path / "unfinished", manifest(data(60)), records)
    found = compare_runs([pair[0], unfinished], [0.0])
    assert found.images == 40
    assert found.warnings == (
        "INCOMPLETE: unfinished has 40 of 60 promised examples; the numbers are about these alone.",
    )
    assert str(found).startswith("INCOMPLETE")


def test_an_imported_log_is_compared_by_its_indices_and_labels(tmp_path):
    log = imported(tmp_path / "log")
    records = [votes(each.index, each.label, each.label, 990, n=1000) for each in log.results]
    promise = data(100, source="cifar10", shape=(3, 32, 32), class_names=CIFAR10, every=20)
    found = compare_runs([log, write_run(tmp_path / "ours", manifest(promise), records)], [0.25])
    assert (found.pairs[0].at[0].found.first, found.pairs[0].at[0].found.second) == (0, 2)
    assert "claimed by the tool" in found.caption


@pytest.mark.parametrize("noise", [GAUSSIAN, ABLATION, COLUMNS])
@pytest.mark.parametrize("most", [None, 5])
def test_the_curve_of_differences_is_that_of_single_radii(tmp_path, noise, most):
    shape = (1, 8, 8) if noise is GAUSSIAN else (1, 28, 28)
    runs = [run_of(tmp_path / name, hits, noise, shape=shape) for name, hits in (("a", FIRST), ("b", SECOND))]
    (line,) = differences(runs, most)
    assert line.name == "a - b"
    assert line.steps[0].start == 0.0
    if most is not None and noise is GAUSSIAN:
        assert len(line.steps) <= most + 2
        return
    ends = [*(step.start for step in line.steps[1:]), line.end + 1.0]
    radii = ends if noise is GAUSSIAN else [step.start for step in line.steps]
    for step, radius in zip(line.steps, radii, strict=True):
        assert step.difference == compare_runs(runs, [radius]).pairs[0].at[0].difference
    assert line.steps[-1].difference.value == 0.0


def test_plots_of_differences(pair, tmp_path):
    found = compare_runs(pair)
    for suffix in (".png", ".svg", ".pdf"):
        write_comparison_plot(found, tmp_path / f"plot{suffix}")
        assert (tmp_path / f"plot{suffix}").stat().st_size > 5_000
    axes = found.plot()
    assert axes.get_ylabel() == "difference (points)"
    assert [text.get_text().strip() for text in axes.get_legend().get_texts()] == ["first - second"]
    sys.modules["matplotlib.pyplot"].close("all")
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        write_comparison_plot(found, tmp_path / "plot.gif")


def test_a_report_shows_what_the_average_hides(pair, tmp_path):
    write_report(list(pair), tmp_path / "r.html", [0.0, 0.25])
    text = (tmp_path / "r.html").read_text(encoding="utf-8").partition("<script>")[0]
    for words in ("Differences between the runs, image by image", "What the average hides", "A: first. B: second."):
        assert words in text
    assert text.count("Worst class</th>") == 2
    assert text.count("Lower bound of p_A") == 2
    other = run_of(tmp_path / "other", FIRST, sha256="cd" * 32)
    write_report([pair[0], other], tmp_path / "r2.html", [0.0])
    text = (tmp_path / "r2.html").read_text(encoding="utf-8").partition("<script>")[0]
    assert "No differences are told:" in text
    assert "have different data" in text
