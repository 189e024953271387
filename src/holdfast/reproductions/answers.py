"""Cohen et al. 2019, Table 4, counted in the authors' logs of Predict."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from holdfast.analysis.published import figure
from holdfast.reproductions.pages import Group, Measured, Row, Table
from holdfast.stats.datasets import proportion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.store.logs import AnswerLine

SAMPLES = (100, 1_000, 10_000)
_OUTCOMES = ("correct, accurate", "correct, inaccurate", "incorrect, accurate", "incorrect, inaccurate", "abstain")
# The authors' program counts these lines of each log.
_LINES = 450


def tables(logs: Mapping[str, Sequence[AnswerLine]], reference: int) -> list[Table]:
    """Outcomes and times of the answers with few samples; nothing without the log that tells what is accurate.

    Args:
        logs: by name, as in "answers-n100".
        reference: samples of the answers that count as accurate.
    """
    right = {line.index: line.answer for line in logs.get(f"answers-n{reference}", ())}
    groups, times = [], []
    for n in SAMPLES:
        lines = [line for line in logs.get(f"answers-n{n}", ()) if line.index in right][:_LINES]
        if not lines:
            continue
        found = Counter(_outcome(line, right[line.index]) for line in lines)
        rows = tuple(
            Row(each, figure("Cohen", "Table 4", each, n=n), (Measured.share(proportion(found[each], len(lines))),))
            for each in _OUTCOMES
        )
        groups.append(Group(f"n = {n:,}", f"the first {len(lines)} lines of the log, as the authors count", rows))
        times += _time(n, lines)
    note = (
        f"An answer is accurate if it is that of {reference:,} samples. The logs are of sigma = 0.25 and alpha = "
        "0.001, as documented."
    )
    slow = "Median, with the smallest and the largest time in brackets: the first image waits for the machine to start."
    return [
        *([Table("Table 4: answers with n samples", ("counted here",), tuple(groups), (note,))] if groups else []),
        *([Table("Time of Predict", ("in the logs",), tuple(times), (slow,), differences=False)] if times else []),
    ]


def _outcome(line: AnswerLine, accurate: int | None) -> str:
    if line.answer is None:
        return "abstain"
    correct = "correct" if line.answer == line.label else "incorrect"
    return f"{correct}, {'accurate' if line.answer == accurate else 'inaccurate'}"


def _time(n: int, lines: Sequence[AnswerLine]) -> list[Group]:
    """Seconds of an image beside what the text states, where it does."""
    took = [line.seconds for line in lines if line.seconds is not None]
    stated = {100: "Sec. 4", 10_000: "Appendix E.2"}
    if not took:
        return []
    printed = (
        figure("Cohen", stated[n], "seconds per image", "ImageNet", method="Predict", n=n) if n in stated else None
    )
    found = Measured(median(took), "seconds", min(took), max(took), True, 3)
    return [Group(f"n = {n:,}", f"{len(took)} images", (Row("seconds per image", printed, (found,)),))]
