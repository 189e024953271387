"""The study of splitting noise from published votes: every radius computed anew, and files that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import DataError
from holdfast.folders import Below
from holdfast.reproductions import find_study
from holdfast.workflows.reproduce import finished
from holdfast.workflows.study_models import Workspace

STUDY = find_study("levine-l1")


def place(folder: Path) -> Workspace:
    return Workspace(Below(folder), "cpu", 1, 1)


def arrays() -> dict[str, Any]:
    """Three images for each sigma: sure, torn between two classes, and wrong."""
    made: dict[str, Any] = {}
    for key, total in (("s0_5", 441), ("s3_0", 2650)):
        votes = np.zeros((3, 10), np.int16)
        votes[0, 3] = total
        votes[1, 2], votes[1, 5] = total - total // 2, total // 2
        votes[2, 0] = total
        made |= {
            f"{key}_counts": votes,
            f"{key}_labels": np.array([3, 2, 9], np.int8),
            # The lead of class 2 is one vote for an odd number, and none for an even one, where it wins the tie.
            f"{key}_radius_255ths": np.array([total // 2, 0, (total) // 2], np.int16),
            f"{key}_realizations": np.array(total),
        }
    return made


def write(file: Path, **changes: Any) -> str:
    np.savez(file, **{key: value for key, value in {**arrays(), **changes}.items() if value is not None})
    return f"votes:{file}"


def test_radii_follow_from_votes(tmp_path: Path) -> None:
    done = finished(STUDY, write(tmp_path / "votes.npz"), "smoke", place(tmp_path / "out"))
    run = done.runs["votes-splitting0.5"]
    # 441 votes of 441: floor(441 / 2) steps. For a class after the first, a tie is lost, so one vote is not counted.
    assert [round(each.radius * 255) for each in run.results] == [220, 0, 220]
    assert [each.correct for each in run.results] == [True, True, False]
    assert run.alpha == 0.0
    # Class 3 loses ties against classes before it: floor((2650 - 1) / 2), while class 0 wins them.
    assert [round(each.radius * 255) for each in done.runs["votes-splitting3"].results] == [1324, 0, 1325]
    assert (done.recounts["votes-splitting0.5"].images, done.recounts["votes-splitting0.5"].same) == (3, 3)
    assert done.recounts["votes-splitting3"].same == 2
    page = STUDY.page(done)
    verdicts = {each.text: each.holds for each in page.statements}
    assert verdicts["sigma = 3: 2 of 3 published radii follow from the votes"] is False
    assert verdicts["sigma = 0.5: 3 of 3 published radii follow from the votes"] is True
    assert verdicts["sigma = 3 has the published share at radius 2, to two decimals"] is False


def test_all_published_radii_and_shares_are_recounted(data_folder: Path, tmp_path: Path) -> None:
    file = data_folder.parent / "published" / "dssn_cifar10.npz"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    page = STUDY.page(finished(STUDY, f"votes:{file}", "smoke", place(tmp_path)))
    assert all(each.holds for each in page.statements)
    assert page.statements[1].text == "sigma = 3: 10,000 of 10,000 published radii follow from the votes"
    best = {row.quantity: row for row in page.tables[1].groups[0].rows}
    found = [best[f"r = {radius}, sigma = 3"].found[0] for radius in (1, 2, 4)]
    assert [each.value for each in found if each is not None] == [0.6004, 0.5133, 0.2893]
    assert [row.printed for row in best.values()] == ["63.07%", "51.33%", "36.46%"]


@pytest.mark.parametrize(
    "changes",
    [
        {"s0_5_counts": np.zeros((3, 10), np.int16)},
        {"s0_5_counts": np.full((3, 10), 44.1)},
        {"s0_5_labels": np.array([3, 2, 10])},
        {"s0_5_labels": np.array([3, 2])},
        {"s3_0_realizations": np.array(2651)},
        {"s3_0_counts": arrays()["s3_0_counts"] - arrays()["s3_0_counts"].min() - 1},
    ],
)
def test_votes_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="votes for each image, a label and a radius"):
        finished(STUDY, write(tmp_path / "votes.npz", **changes), "smoke", place(tmp_path / "out"))


def test_files_that_are_no_votes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no s3_0_labels"):
        finished(STUDY, write(tmp_path / "votes.npz", s3_0_labels=None), "smoke", place(tmp_path / "out"))
    (tmp_path / "text.npz").write_text("no archive")
    write(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-300])
    for file in ("text.npz", "nothing.npz", "cut.npz"):
        with pytest.raises(DataError, match=r"is no \.npz file of votes"):
            finished(STUDY, f"votes:{tmp_path / file}", "smoke", place(tmp_path / "out"))
