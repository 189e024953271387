"""Deterministic bounds in the run store: records, resuming, and what reports make of them beside smoothing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from holdfast.analysis import settings, tables, wording
from holdfast.analysis.accuracy import certified_accuracy
from holdfast.analysis.curves import curves
from holdfast.analysis.projections import compared, with_alpha
from holdfast.analysis.published import comparable
from holdfast.analysis.radii import radii_for
from holdfast.analysis.report import write_report
from holdfast.analysis.runs import BoundRun, analyze
from holdfast.analysis.summaries import summarize
from holdfast.bounds import Classifier
from holdfast.bounds.methods.convex import Convex
from holdfast.bounds.methods.lipschitz import Lipschitz
from holdfast.data import open_data
from holdfast.errors import HoldfastWarning, RunError
from holdfast.estimators.proved import MOST_RADIUS
from holdfast.execution.bound import bound_run, describe_bound, proved_again
from holdfast.store.data_manifest import DataManifest
from holdfast.store.logs import write_tsv
from holdfast.store.manifest import write_manifest
from holdfast.store.run import BoundRecord, RunStore, read_run
from holdfast.store.run_manifest import proved_of
from holdfast.verification.exported import check_log
from holdfast.verification.run import Verification, check_claims, check_files
from holdfast.workflows.logs import log_lines
from holdfast.workflows.verify import claims_of

DATA = open_data("digits", None, "test", {})


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).eval()


BOUND = Convex(epsilon=0.05, search=3)
BOUNDED = BOUND.on(Classifier(network(), (1, 8, 8), 10))


def promised(bound=BOUND, every=20):
    return describe_bound(bound, DataManifest.of(DATA, every), {"sha256": "1" * 64}, "cpu")


def taken(indices):
    return (DATA[index] for index in indices)


@pytest.fixture
def run(tmp_path):
    bound_run(tmp_path / "bound", promised(), BOUNDED, taken)
    return analyze(read_run(tmp_path / "bound"))


def test_records_are_certificates_with_alpha_zero(run):
    assert isinstance(run, BoundRun)
    assert run.run.missing == 0
    assert len(run.run.records) == 18
    for each in run.results:
        certificate = each.certificate
        assert (certificate.alpha, certificate.estimation.total) == (0.0, 0)
        assert certificate.radius == each.radius <= 0.05
        assert certificate.label == each.answer == each.predicted
    assert run.method == "convex:epsilon=0.05,norm=linf,inputs=all,search=3"


def test_a_killed_run_goes_on_to_the_same_records(tmp_path, run):
    folder = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        bound_run(folder, promised(), _slow(), taken, on_progress=_stop_at(5))
    assert 0 < len(read_run(folder).records) < 18
    bound_run(folder, promised(), BOUNDED, taken)
    assert read_run(folder).records == run.run.records
    with pytest.raises(RunError, match="other settings"):
        bound_run(folder, promised(Convex(epsilon=0.06, search=3)), BOUNDED, taken)


def _slow():
    made = replace(BOUNDED)
    made.method.batch = 1
    return made


def _stop_at(count):
    def stop(progress):
        if progress.examples_done >= count:
            raise KeyboardInterrupt

    return stop


def test_figures_and_tables(run):
    summary = summarize(run, (0.0, 0.05))
    assert summary.certified_accuracy[0.0].value == summary.accuracy.value
    assert summary.certified_accuracy[0.05] == certified_accuracy(run.results, 0.05, 0.0)
    assert (summary.alpha, summary.n, summary.norm) == (0.0, 0, "Linf")
    assert run.attainable == 0.05
    assert 0.05 in radii_for([run], None)[0]
    assert "convex:epsilon=0.05" in tables.markdown([summary])
    assert json.dumps(tables.as_json([summary]))
    assert curves([run])[0].attainable is None
    assert comparable(run) == []
    with pytest.raises(RunError, match="no votes"):
        compared(run, bounds="cohen")
    with pytest.raises(RunError, match="no votes, so nothing can be projected"):
        with_alpha(run, 0.01)


def test_words_say_that_nothing_was_sampled(run):
    summary = summarize(run, (0.0, 0.05))
    words = wording.words_of(run)
    assert "alpha = 0" in " ".join(words.proved(summary))
    said = " ".join(words.not_proved())
    assert "without noise" in said
    assert "votes" in said
    assert "Nothing is sampled" in words.limits()
    names = [entry.name for entry in settings.entries(run)]
    assert "Bound" in names
    assert "Noise" not in names


def test_radii_without_an_end(tmp_path):
    bound = Lipschitz()
    bound_run(tmp_path / "run", promised(bound), bound.on(Classifier(network(), (1, 8, 8), 10)), taken)
    run = analyze(read_run(tmp_path / "run"))
    assert run.attainable is None
    assert max(radii_for([run], None)[0]) <= max(each.radius for each in run.results)
    assert "its own radius" in wording.words_of(run).limits()


def test_verify_reads_it_and_says_what_it_cannot_check(run):
    result = Verification()
    material = check_files(run.folder, result)
    check_claims(material, claims_of(run), result)
    assert result.failures == []
    assert result.claims == 18
    assert "cannot be computed" in result.notes[0]
    assert all(difference is None for _, difference in proved_again(run.run, [0, 20], BOUNDED, DATA))


def test_verify_finds_other_claims_and_forged_records(run):
    claims = claims_of(run)
    result = Verification()
    check_claims(check_files(run.folder, result), [replace(claims[0], radius=0.04999), *claims[1:-1]], result)
    assert len(result.failures) == 2
    forged = [replace(run.run.records[0], radius=0.0)]
    other = replace(run.run, records=(*forged, *run.run.records[1:]))
    ((_, difference),) = proved_again(other, [0], BOUNDED, DATA)
    assert "the radius 0.0 is recorded" in difference


@pytest.fixture
def in_range(tmp_path):
    bound = Convex(epsilon=0.05, inputs="in-range")
    bound_run(tmp_path / "run", promised(bound), bound.on(Classifier(network(), (1, 8, 8), 10)), taken)
    return analyze(read_run(tmp_path / "run"))


def test_a_bound_for_inputs_in_range_says_so_everywhere(in_range):
    assert "between 0 and 1" in in_range.assumption
    assert {each.certificate.space for each in in_range.results} == {(0.0, 1.0)}
    summary = summarize(in_range, (0.0, 0.05))
    words, kept = wording.words_of(in_range), "every value of the changed input lies between 0 and 1"
    for said in (
        words.proved(summary)[0],
        " ".join(words.not_proved()),
        tables.caption([summary]),
    ):
        assert kept in " ".join(said.split())
    assert tables.as_json([summary])[0]["condition"] == kept
    older = replace(in_range.manifest, estimator={**in_range.manifest.estimator, "assumption": "None."})
    earlier = analyze(replace(in_range.run, manifest=older))
    assert f"All of this holds as long as {kept}." in wording.words_of(earlier).not_proved()
    sure = replace(summary, certified_accuracy={0.05: replace(summary.accuracy, value=0.9)})
    assert f"every change of Linf norm up to 0.05 input units, as long as {kept}" in words.headline(sure)
    result = Verification()
    check_claims(check_files(in_range.folder, result), claims_of(in_range), result)
    assert (result.failures, "say nothing of others" in result.notes[1]) == ([], True)
    with pytest.warns(HoldfastWarning, match=f"as long as {kept}"):
        log_lines(in_range)


def test_a_bound_for_all_inputs_has_no_condition(run):
    summary = summarize(run, (0.0, 0.05))
    assert {each.certificate.space for each in run.results} == {None}
    assert summary.condition is None
    words = wording.words_of(run)
    said = [*words.proved(summary), *words.not_proved(), tables.caption([summary])]
    assert "between" not in " ".join(said)


def test_a_classifier_that_answers_one_class_is_read_by_all(tmp_path):
    """Its radii are the largest there is; sums of them and their decimals are finite."""
    module = network()
    with torch.no_grad():
        module[-1].weight.zero_()
    bound = Lipschitz()
    bounded = bound.on(Classifier(module, (1, 8, 8), 10))
    bound_run(tmp_path / "run", promised(bound), bounded, taken)
    run = analyze(read_run(tmp_path / "run"))
    assert {each.radius for each in run.results} == {MOST_RADIUS}
    summary = summarize(run, radii_for([run], None)[0])
    right = summary.accuracy.value
    assert summary.average_certified_radius == pytest.approx(right * MOST_RADIUS)
    assert tables.markdown([summary])
    assert tables.csv_text([summary])
    assert curves([run])
    write_report([run], tmp_path / "report.html")
    with (tmp_path / "log.tsv").open("w") as file:
        write_tsv(log_lines(run), file)
    result = Verification()
    material = check_files(run.folder, result)
    check_claims(material, claims_of(run), result)
    check_log(tmp_path / "log.tsv", material, claims_of(run), result)
    assert result.failures == []
    assert all(difference is None for _, difference in proved_again(run.run, [0, 20], bounded, DATA))


@pytest.mark.parametrize("radius", [1.0000001e9, 1.797e308])
def test_radii_beyond_the_largest_are_refused(tmp_path, radius):
    with RunStore(tmp_path / "run", promised(Lipschitz())) as store:
        store.append([BoundRecord(0, 0, 0, radius)])
    with pytest.raises(RunError, match="gives 1e\\+09"):
        read_run(tmp_path / "run")
    result = Verification()
    check_files(tmp_path / "run", result)
    assert "is not between 0 and 1e+09" in result.failures[0]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (BoundRecord(0, 0, 0, 0.06), "gives .* at most"),
        (BoundRecord(0, 0, 11, 0.05), "answer 11"),
        (BoundRecord(0, 0, None, 0.05), "no answer"),
        (BoundRecord(0, 0, None, 1e-300), "no answer"),
        (BoundRecord(0, 0, 10, 0.05), "answer 10"),
        (BoundRecord(1, 0, 0, 0.05), "not in the run's subset"),
    ],
)
def test_records_that_cannot_be_are_refused(tmp_path, record, message):
    with RunStore(tmp_path / "run", promised()) as store:
        store.append([record])
    with pytest.raises(RunError, match=message):
        read_run(tmp_path / "run")
    result = Verification()
    check_files(tmp_path / "run", result)
    assert result.failures


@pytest.mark.parametrize(
    "record", [BoundRecord(0, 0, None, 0.0), BoundRecord(0, 9, 9, 0.05), BoundRecord(0, 0, 0, 0.0)]
)
def test_records_at_the_ends_of_what_can_be_are_read(tmp_path, record):
    with RunStore(tmp_path / "run", promised()) as store:
        store.append([record])
    assert read_run(tmp_path / "run").records == (record,)


def test_a_kind_that_is_not_known(tmp_path):
    other = replace(promised(), kind="other")
    with pytest.raises(RunError, match='the entry kind is "other", which is not one of its allowed values'):
        write_manifest(tmp_path / "run", other)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text(other.to_json())
    with pytest.raises(RunError, match='the entry kind is "other", which is not one of its allowed values'):
        read_run(tmp_path / "run")


def test_only_bounds_have_one(run):
    with pytest.raises(RunError, match="no deterministic bound"):
        proved_of(replace(run.manifest, estimator={"name": "fixed", "n": 10, "alpha": 0.01, "method": "cohen"}))
