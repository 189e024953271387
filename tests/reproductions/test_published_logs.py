"""The study of the authors' logs: counted again, and votes recovered from radii."""

from __future__ import annotations

from pathlib import Path

import made
import pytest

from holdfast.analysis.recovered import recovered
from holdfast.errors import DataError, RunError, UsageError
from holdfast.folders import Below
from holdfast.reproductions import find_study, measures
from holdfast.store.logs import read_answers
from holdfast.workflows.reproduce import finished
from holdfast.workflows.study_jobs import jobs_for, kinds_of
from holdfast.workflows.study_models import Workspace

STUDY = find_study("cohen-logs")


def place(folder: Path) -> Workspace:
    return Workspace(Below(folder), "cpu", 1, 1)


def write(file: Path, radii: list[float]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{100 * i}\t{i % 7}\t{i % 7 if r else -1}\t{r}\t{int(r > 0)}\t0:02:31.238689" for i, r in enumerate(radii)
    ]
    file.write_text("\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *lines]) + "\n")


def test_the_tables_are_counted_in_the_published_logs(data_folder: Path, tmp_path: Path) -> None:
    done = finished(STUDY, f"logs:{data_folder / 'cohen-logs'}", "smoke", place(tmp_path))
    assert set(done.runs) == {"log-cifar10-sigma0.25", "log-cifar10-sigma0.5"}
    assert "log-imagenet-sigma0.5" in done.notes[0]
    page = STUDY.page(done)
    table = next(table for table in page.tables if table.title.startswith("Table 3"))
    found = {(group.title, row.quantity): row for group in table.groups for row in group.rows}
    # Counted with awk: correct lines with a radius of 0.5 or more, of 500.
    assert found["sigma = 0.25", "r = 0.5"].found[0].value == 214 / 500
    assert found["sigma = 0.25", "r = 0.5"].printed == "42%"
    assert found["sigma = 0.5", "r = 1.5"].found[0].value == 47 / 500
    assert any(each.text.startswith("the tables lie in the 95% intervals") and each.holds for each in page.statements)


def test_a_second_time_the_runs_are_reused_and_other_logs_refused(tmp_path: Path) -> None:
    logs, out = tmp_path / "logs", tmp_path / "out"
    file = logs / "data/certify/imagenet/resnet50/noise_0.50/test/sigma_0.50"
    write(file, [0.5, 1.2, 0.0, 1.6])
    first = finished(STUDY, f"logs:{logs}", "smoke", place(out))
    again = finished(STUDY, f"logs:{logs}", "smoke", place(out))
    assert first.runs["log-imagenet-sigma0.5"].results == again.runs["log-imagenet-sigma0.5"].results
    assert first.runs["log-imagenet-sigma0.5"].results[0].seconds == pytest.approx(151.238689)
    write(file, [0.5, 1.3, 0.0, 1.6])
    with pytest.raises(RunError, match="other claims"):
        finished(STUDY, f"logs:{logs}", "smoke", place(out))


def test_table_1_and_figure_15_need_their_logs(tmp_path: Path) -> None:
    for trained, sigma in ((0.25, 0.25), (0.5, 0.5), (1.0, 1.0), (0.25, 0.5)):
        name = f"certify/imagenet/resnet50/noise_{trained:.2f}/test/sigma_{sigma:.2f}"
        write(tmp_path / "logs" / name, [2.4 * sigma, sigma, 0.0])
    page = STUDY.page(finished(STUDY, f"logs:{tmp_path / 'logs'}", "smoke", place(tmp_path / "out")))
    titles = [table.title.partition(":")[0] for table in page.tables]
    assert titles[:3] == ["Table 1", "Table 2", "Figure 15"]
    assert page.tables[0].groups[0].rows[0].published.value == 0.25
    best = {group.title: group.rows[0].found[0].value for group in page.tables[0].groups}
    assert best == {"r = 0.5": 0.5, "r = 1": 1.0, "r = 2": 1.0, "r = 3": None, "r = 0.5, in the survey": 0.5}
    assert len(page.charts) == 4
    said = {each.text: each.verdict for each in page.statements}
    assert said["Table 3 is what the logs say, to two decimals: 0 of 0 figures"].startswith("not judged")
    times = next(table for table in page.tables if table.title == "Time of Certify")
    assert (times.groups[0].rows[0].printed, times.groups[0].rows[0].found[0].value) == (
        "110",
        pytest.approx(151.238689),
    )


def test_a_folder_without_logs_is_refused_and_so_are_other_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 16 logs"):
        finished(STUDY, f"logs:{tmp_path}", "smoke", place(tmp_path / "out"))
    with pytest.raises(UsageError, match="cohen-logs needs cohen-logs, given as logs:DIR"):
        finished(STUDY, "digits", "smoke", place(tmp_path / "out"))


def test_recovered_votes_certify_what_the_log_says(data_folder: Path, tmp_path: Path) -> None:
    done = finished(STUDY, f"logs:{data_folder / 'cohen-logs'}", "smoke", place(tmp_path))
    log = done.runs["log-cifar10-sigma0.25"]
    votes = recovered(log)
    assert votes.alpha == 0.01
    radii = [0.0, 0.1, 0.25, 0.5, 0.75]
    for said, again in zip(measures.certified(log, radii), measures.certified(votes, radii), strict=True):
        assert said.value == pytest.approx(again.value, abs=1 / 500), "a radius printed as 0.250 may be 0.2498"
    for before, after in zip(log.results, votes.results, strict=True):
        assert before.predicted == after.predicted
        assert after.radius == pytest.approx(before.radius, abs=5.1e-4)
        assert after.certificate is not None
        assert after.certificate.estimation.total == 100_000


def test_only_logs_have_votes_to_recover() -> None:
    run = next(iter(made.finished(find_study("cohen-imagenet"), "smoke", "imagenet").runs.values()))
    with pytest.raises(UsageError, match="imported log"):
        recovered(run)


def answered(file: Path, lines: list[tuple[int, int, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{100 * i}\t{label}\t{answer}\t{int(label == answer)}\t{time}" for i, (label, answer, time) in enumerate(lines)
    ]
    file.write_text("\n".join(["idx\tlabel\tpredict\tcorrect\ttime", *rows]) + "\n")


def test_table_4_compares_answers_with_those_of_many_samples(tmp_path: Path) -> None:
    folder = tmp_path / "logs/data/predict/imagenet/resnet50/noise_0.25/test"
    many = [(0, 0, "0:02:30.1"), (1, 1, "0:02:30.1"), (2, 5, "0:02:30.1"), (3, -1, "0:02:30.1"), (4, 4, "0:02:30.1")]
    few = [(0, 0, "0:00:01.7"), (1, -1, "0:00:00.15"), (2, 5, "0:00:00.15"), (3, 3, "0:00:00.14"), (4, 6, "0:00:00.16")]
    answered(folder / "N_100000", many)
    answered(folder / "N_100", few)
    page = STUDY.page(finished(STUDY, f"logs:{tmp_path / 'logs'}", "smoke", place(tmp_path / "out")))
    table, times = (
        next(each for each in page.tables if each.title.startswith(t)) for t in ("Table 4", "Time of Predict")
    )
    found = {row.quantity: row.found[0].value for row in table.groups[0].rows}
    assert found == {
        "correct, accurate": 0.2,
        "correct, inaccurate": 0.2,
        "incorrect, accurate": 0.2,
        "incorrect, inaccurate": 0.2,
        "abstain": 0.2,
    }
    assert (times.groups[0].rows[0].printed, times.groups[0].rows[0].found[0].value) == ("0.15", 0.15)
    assert page.statements[0].holds is None


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("0\t1\tx\t0\t1", "cannot be read"),
        ("0\t-2\t1\t0\t1", "labels are 0 or more"),
        ("0\t1\t-3\t0\t1", "a class or -1"),
        ("0\t1\t1\t1\t1\n0\t1\t1\t1\t1", "index 0 twice"),
        ("0\t1", "2 fields"),
    ],
)
def test_a_log_of_answers_that_cannot_be_right_is_refused(tmp_path: Path, line: str, match: str) -> None:
    (tmp_path / "N").write_text(f"idx\tlabel\tpredict\tcorrect\ttime\n{line}\n")
    with pytest.raises(DataError, match=match):
        read_answers(tmp_path / "N")
    (tmp_path / "N").write_text("idx\tlabel\n0\t1\n")
    with pytest.raises(DataError, match="a log has idx, label, predict, correct, time"):
        read_answers(tmp_path / "N")


def test_all_studies_together_take_logs_beside_data(tmp_path: Path) -> None:
    specs = [f"logs:{tmp_path}"]
    assert kinds_of(specs) == {"cohen-logs": specs[0]}
    assert [job.study.name for job in jobs_for({"cohen-logs": specs[0]}) if job.spec] == ["cohen-logs"]
    with pytest.raises(UsageError, match="both cohen-logs"):
        kinds_of([*specs, "logs:elsewhere"])
