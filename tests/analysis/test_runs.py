"""A run is resolved once, and its kinds are classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic_runs import GAUSSIAN, add_gallery, data, four, imported, manifest, many, votes, write_run
from verified_runs import PROVED

from holdfast.analysis.projections import compared
from holdfast.analysis.report import write_report
from holdfast.analysis.runs import BoundRun, CertifiedRun, ImportedRun, VoteRun, analyze
from holdfast.analysis.runs import votes as vote_runs
from holdfast.analysis.wording import words_of
from holdfast.errors import RunError
from holdfast.estimators import FixedSize, conclude
from holdfast.estimators import base as estimators
from holdfast.noises.gaussian import Gaussian
from holdfast.store import run_manifest
from holdfast.store.run import BoundRecord, ClaimRecord, Run, read_run


def bound(folder: Path) -> CertifiedRun:
    promise = replace(
        manifest(data(3), {"name": "gaussian"}), kind="bound", noise={}, guarantee="lipschitz", estimator=PROVED, n0=0,
        seed=None, block=0,
    )  # fmt: skip
    return write_run(folder, promise, [BoundRecord(0, 1, 1, 0.25), BoundRecord(1, 1, None, 0.0)])


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many noises, estimators and certificates were made, and how often a theorem was looked up."""
    counted: Counter[str] = Counter()

    def count(owner: object, name: str, what: str) -> None:
        real = getattr(owner, name)

        def counting(*args: object, **kwargs: object) -> object:
            counted[what] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(Gaussian, "__post_init__", "noises")
    count(FixedSize, "__post_init__", "estimators")
    count(vote_runs, "concluded", "certificates")
    for module in (run_manifest, estimators, conclude):
        count(module, "find_guarantee", "theorems")
    return counted


@pytest.mark.parametrize("count", [20, 200])
def test_a_report_resolves_a_run_once_however_many_records_there_are(
    tmp_path: Path, made: Counter[str], count: int
) -> None:
    folder = many(tmp_path / "run", GAUSSIAN, count=count, source="cifar10", shape=(3, 32, 32)).folder
    add_gallery(analyze(read_run(folder)), [0, 1])
    made.clear()
    write_report([analyze(read_run(folder))], tmp_path / "report.html")
    assert made == {"noises": 2, "estimators": 2, "theorems": 5, "certificates": count}


def test_a_part_of_a_run_is_not_computed_again(tmp_path: Path, made: Counter[str]) -> None:
    run = four(tmp_path / "run")
    made.clear()
    part = run.among({1, 3})
    assert made == {}
    assert part.results == (run.results[1], run.results[3])
    assert [record.index for record in part.run.records] == [1, 3]
    assert part.subset.words != run.subset.words


def test_the_kind_of_a_run_is_its_class(tmp_path: Path) -> None:
    kinds = {
        VoteRun: four(tmp_path / "votes"),
        ImportedRun: imported(tmp_path / "log"),
        BoundRun: bound(tmp_path / "b"),
    }
    for kind, run in kinds.items():
        assert type(run) is kind
    assert [run.claimed is None for run in kinds.values()] == [True, False, True]
    assert [run.noise is None for run in kinds.values()] == [False, False, True]
    assert [run.space for run in kinds.values()] == [(0.0, 1.0), None, (0.0, 1.0)]
    assert len({words_of(run).manifest_title for run in kinds.values()}) == 3


def test_how_far_radii_reach_where_nothing_limits_them(tmp_path: Path) -> None:
    run = bound(tmp_path / "bound")
    assert (run.attainable, run.sampling_limit, run.furthest, run.asked) == (None, None, 0.25, ())
    log = imported(tmp_path / "log")
    assert log.attainable == log.sampling_limit == log.furthest


def test_without_votes_nothing_is_compared(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="deterministic bound and no votes, so no other bound can be computed"):
        compared(bound(tmp_path / "bound"), bounds="split")
    with pytest.raises(RunError, match="imported log: it has radii and no votes, so no other bound"):
        compared(imported(tmp_path / "log"), bounds="split")


def test_other_bounds_are_of_the_same_votes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", manifest(data(1)), [votes(0, 3, 3, 700)])
    split = compared(run, bounds="split")
    assert (run.estimator.method, split.estimator.method) == ("cohen", "split")
    assert split.results[0].radius > run.results[0].radius
    assert compared(run, guarantee="lecuyer").theorem.name == "lecuyer"


def test_records_of_another_kind_are_a_mistake_of_the_caller() -> None:
    run = Run(Path("run"), manifest(data(1)), (ClaimRecord(0, 1, 1, 0.5, None),), ())
    with pytest.raises(TypeError, match="records that are not VoteRecord"):
        analyze(run)
