"""Runs whose noise, theorem or estimator has no second version in verification: unknown, neither right nor wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from forger import Forger
from verified_runs import made, promised, rule

from holdfast.verification.findings import CLAIMS, LEVELS
from holdfast.workflows.verify import Given, verify_run

CASES: dict[str, tuple[Callable[[Forger], object], str]] = {
    "noise": (
        lambda run: run.manifest.update(noise={"name": "toy", "size": 3}),
        "verify does not know theorem 'cohen' of noise 'toy'; it knows cohen of gaussian",
    ),
    "theorem": (
        lambda run: run.manifest.update(guarantee="fermat"),
        "verify does not know theorem 'fermat' of noise 'gaussian'; it knows cohen of gaussian",
    ),
    "estimator": (
        lambda run: run.manifest.update(estimator={"name": "guess", "n": 1000}),
        "verify does not know the estimator 'guess'; it knows fixed",
    ),
}


def forged(folder: Path, forge: Callable[[Forger], object]) -> Forger:
    """A run of a known noise that was changed and sealed."""
    made(folder, promised("cohen", rule("fixed", "cohen"), 6))
    run = Forger(folder)
    forge(run)
    run.seal()
    return run


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("required", LEVELS)
def test_what_is_unknown_is_neither_right_nor_wrong(tmp_path: Path, case: str, required: str) -> None:
    forge, said = CASES[case]
    run = forged(tmp_path, forge)
    found = verify_run(run.folder, Given())
    assert (found.failures, found.claims, found.level) == ([], 0, CLAIMS)
    assert found.unknown.startswith(said)
    assert found.exit_code(required) == 4, "whatever is required: radii cannot be checked"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"selection": [40, 0, 0, 0, 0]}, "40 selection votes, the manifest has 50"),
        ({"estimation": [999, 0, 0, 0, 0]}, "the estimator does not stop at 999 votes"),
        ({"estimation": [1000, 0, 0, 0]}, "estimation votes are 5 numbers, found 4"),
        ({"label": 5}, "label 5 is not one of 5 classes"),
        ({"index": 6}, "example 6 is not in the subset"),
        ({"index": 1}, "example 1 has a second record"),
    ],
)
@pytest.mark.parametrize("case", ["noise", "theorem"])
def test_all_else_is_checked_as_always(tmp_path: Path, case: str, change: dict[str, object], complaint: str) -> None:
    """An unknown theorem does not let wrong votes through: records are those of the promise, or the check fails."""

    def forge(run: Forger) -> None:
        CASES[case][0](run)
        run.records[2].update(change)

    found = verify_run(forged(tmp_path, forge).folder, Given())
    assert any(complaint in failure for failure in found.failures), found.failures
    assert found.exit_code("claims") == 1


def test_missing_records_and_other_digests_are_told_first(tmp_path: Path) -> None:
    def forge(run: Forger) -> None:
        CASES["theorem"][0](run)
        run.records.pop()

    run = forged(tmp_path, forge)
    (run.folder / "results.json").unlink()
    assert verify_run(run.folder, Given()).exit_code("claims") == 3
    assert verify_run(run.folder, Given(digest="0" * 64)).exit_code("claims") == 1


def test_a_log_of_unknown_radii_is_not_called_wrong(tmp_path: Path) -> None:
    run = forged(tmp_path / "run", CASES["theorem"][0])
    log = tmp_path / "log.tsv"
    log.write_text("idx\tlabel\tpredict\tradius\tcorrect\n")
    found = verify_run(run.folder, Given(), log=log)
    assert (found.failures, found.log_lines) == ([], 0)
    assert any("log.tsv was not compared" in note for note in found.notes)
