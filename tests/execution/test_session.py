"""A session: what it finished is on the disk and in its log however it ends, and only a complete run is concluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attack_cases import attack_manifest, target
from helpers import CLASSES, examples, manifest, run, vote

from holdfast.execution.attack import attack_run
from holdfast.execution.certify import certify_run
from holdfast.execution.session import Progress, session
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.store.attack import read_attack
from holdfast.store.results import FILE_NAME as RESULTS
from holdfast.store.run import RunStore, read_run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from holdfast.sampling.procedure import Votes
    from holdfast.types import Example

SIZE, LOST = 12, 7


class PowerCut(Exception):
    pass


def until_the_power_cut(indices: Sequence[int]) -> Iterator[Example]:
    for example in examples(indices):
        if example.index == LOST:
            raise PowerCut
        yield example


class FailingEngine(LocalEngine):
    """Loses its work after some examples, which `certify_run` has had."""

    def run(self, *given: Any) -> Generator[tuple[Example, Votes], None, None]:
        for number, finished in enumerate(super().run(*given)):
            if number == LOST:
                raise PowerCut
            yield finished


def test_a_certification_that_fails_logs_what_it_recorded(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(PowerCut):
        certify_run(folder, manifest(SIZE), VotingClassifier(vote, CLASSES), examples, FailingEngine(batch_size=100))
    found = read_run(folder)
    (first,) = found.sessions
    assert first.examples == len(found.records) == LOST
    assert first.samples >= 330 * LOST
    assert not (folder / RESULTS).exists()
    run(folder, manifest(SIZE))
    found = read_run(folder)
    assert [each.examples for each in found.sessions] == [LOST, SIZE - LOST]
    assert found.results is not None


def test_an_attack_that_fails_has_each_finished_example(tmp_path: Path) -> None:
    folder = tmp_path / "attack"
    with pytest.raises(PowerCut):
        attack_run(folder, attack_manifest(SIZE), target(), until_the_power_cut)
    found = read_attack(folder)
    assert [record.index for record in found.records] == list(range(LOST))
    assert [each.examples for each in found.sessions] == [LOST]
    assert not (folder / RESULTS).exists()


def test_records_wait_as_long_as_they_may(tmp_path: Path) -> None:
    run(tmp_path / "whole", manifest(SIZE))
    records = read_run(tmp_path / "whole").records
    seen: list[Progress] = []
    for name, seconds, waiting in (("at once", 0.0, 0), ("together", 3600.0, 5)):
        with RunStore(tmp_path / name, manifest(SIZE)) as store:
            with session(store, seen.append, flush_seconds=seconds) as work:
                assert work.todo == list(range(SIZE))
                for record in records[:5]:
                    work.record(record)
                assert len(store.done) == 5 - waiting
                work.count(100)
            assert len(store.done) == 5
        assert seen[-1].examples_done == 5
        assert (seen[-1].examples_total, seen[-1].samples) == (SIZE, 100)


def test_a_session_without_an_example_leaves_no_line(tmp_path: Path) -> None:
    run(tmp_path / "run", manifest(SIZE))
    run(tmp_path / "run", manifest(SIZE))
    assert len(read_run(tmp_path / "run").sessions) == 1
