"""Which examples numbers are about: said from the indices that are there, and what an interval then covers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from helpers import manifest, run

from holdfast.estimators import FixedSize
from holdfast.noises.gaussian import Gaussian
from holdfast.store.folder import whole_lines
from holdfast.store.logs import imported_manifest, read_log
from holdfast.store.manifest import differences
from holdfast.store.run import RunStore, VoteRecord, read_run
from holdfast.store.run_manifest import RunManifest
from holdfast.store.subsets import Split, ordinal, regular_range, spread_step, subset_of
from holdfast.types import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIGITS = Split("digits", "test", 100, 10)
SORTED = replace(DIGITS, sorted_by_class=True)
HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n"


def said(have: Sequence[int], split: Split = DIGITS) -> str:
    return subset_of(have, [7 * index % 10 for index in have], split).words


@pytest.mark.parametrize(
    ("have", "words"),
    [
        (range(100), "all 100 test examples of digits"),
        (range(0, 100, 20), "5 of 100 test examples of digits, every 20th"),
        (range(0, 60, 20), "3 of 100 test examples of digits, every 20th, the first 3"),
        (range(10), "10 of 100 test examples of digits, the first 10"),
        (range(30, 40), "10 of 100 test examples of digits, 30 to 39"),
        (range(7, 100, 20), "5 of 100 test examples of digits, every 20th from 7 to 87"),
        ([42], "1 of 100 test examples of digits, example 42"),
        ([3, 5, 8], "3 test examples of digits, not a regular subset; the split has 100"),
        ([3, 50], "2 test examples of digits, not a regular subset; the split has 100"),
        ([*range(98), 99], "99 test examples of digits, not a regular subset; the split has 100"),
    ],
)
def test_the_words_follow_from_the_indices(have: Sequence[int], words: str) -> None:
    assert said(list(have)) == words


def test_a_split_of_unknown_size_is_never_called_whole() -> None:
    unknown = replace(DIGITS, size=None)
    assert said([0, 1, 2, 3], unknown) == "4 test examples of digits, 0 to 3; the size of the split is not known"
    assert said([0, 1, 5], unknown) == (
        "3 test examples of digits, not a regular subset; the size of the split is not known"
    )
    # An index beyond the split says that the size is not what was thought.
    assert said([98, 99, 100]) == "3 test examples of digits, 98 to 100; the size of the split is not known"


def test_what_is_not_regular_is_no_range() -> None:
    for have in (range(3, 30, 4), range(1), range(5, 7)):
        assert regular_range(list(have)) == have
    for have in ([1, 2, 4], [2, 9], [0, 5, 10, 14]):
        assert regular_range(have) is None


@pytest.mark.parametrize(
    ("have", "labels", "split", "sampled"),
    [
        # The whole of a sorted split, or a step through all of it.
        (range(100), [index // 10 for index in range(100)], SORTED, True),
        (range(0, 100, 10), range(10), SORTED, True),
        (range(3, 100, 10), range(10), SORTED, True),
        # Its beginning, a part from its middle, or a step that stops early.
        (range(10), [0] * 10, SORTED, False),
        (range(50, 60), [5] * 10, SORTED, False),
        (range(0, 50, 10), range(5), SORTED, False),
        # The beginning of a split in another order.
        (range(10), [3, 1, 4, 1, 5, 9, 2, 6, 5, 3], replace(DIGITS, sorted_by_class=False), True),
        (range(10), [0] * 10, replace(DIGITS, sorted_by_class=False), True),
        # Nobody noted the order: the labels tell, if there are enough of them.
        (range(10), [0] * 10, DIGITS, False),
        (range(10), [0, 0, 0, 0, 1, 1, 1, 1, 2, 2], DIGITS, False),
        (range(10), [3, 1, 4, 1, 5, 9, 2, 6, 5, 3], DIGITS, True),
        (range(2), [3, 4], DIGITS, True),
        (range(10), [0] * 10, replace(DIGITS, size=None), False),
        # No regular subset: whether it was drawn at random is not seen.
        ([3, 5, 8], [1, 5, 3], DIGITS, False),
    ],
)
def test_what_an_interval_covers(have: Sequence[int], labels: Sequence[int], split: Split, sampled: bool) -> None:
    subset = subset_of(list(have), list(labels), split)
    assert subset.sampled is sampled
    assert (subset.covers == "alpha and the sampling of the subset") is sampled
    assert ("only if these were chosen at random" in subset.assumed) is not sampled


def test_a_part_of_a_sorted_split_says_so_and_what_to_do() -> None:
    subset = subset_of(range(10), [0] * 9 + [1], SORTED)
    assert subset.words == "10 of 100 test examples of digits, the first 10 (in class order: 2 of 10 classes)"
    assert subset.covers.startswith("alpha alone, for these very examples")
    assert subset.caution is not None
    assert "do not cover the sampling" in subset.caution
    assert "and not the first ones" in subset.caution
    assert [spread_step(100, count) for count in (10, 9, 100, 1)] == [10, 12, 1, 100]
    assert all(len(range(0, size, spread_step(size, 7))) <= 7 for size in range(7, 200))


def test_many_labels_and_classes_cost_no_huge_numbers() -> None:
    sorted_labels = [index // 50 for index in range(40_000)]
    split = Split("imagenet", "test", 50_000, 1000)
    assert not subset_of(range(40_000), sorted_labels, split).sampled


def record(index: int, label: int) -> VoteRecord:
    return VoteRecord(index, label, Counts((30, 0, 0, 0)), Counts((300, 0, 0, 0)))


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        (range(12), "all 12 test examples of made-up"),
        (range(3), "3 so far of all 12 test examples of made-up (the first 3)"),
        ((0, 1, 7), "3 so far of all 12 test examples of made-up (not a regular part of them)"),
        ((), "none so far of all 12 test examples of made-up"),
    ],
)
def test_a_run_that_was_killed_is_not_called_whole(tmp_path: Path, indices: Sequence[int], words: str) -> None:
    with RunStore(tmp_path / "run", manifest()) as store:
        store.append(record(index, index % 4) for index in indices)
    found = read_run(tmp_path / "run")
    subset = found.manifest.data.there(found.records)
    assert subset.words == words
    # What was done first is no sample: where sampling stops early, these are the easy ones.
    assert subset.sampled is (len(indices) == 12)


def test_the_order_is_noted_but_older_runs_without_it_are_read_and_resumed(tmp_path: Path) -> None:
    older = manifest()
    noted = replace(older, data=replace(older.data, sorted_by_class=True))
    assert "sorted_by_class" not in json.loads(older.to_json())["data"]
    assert json.loads(noted.to_json())["data"]["sorted_by_class"] is True
    assert RunManifest.from_json(noted.to_json(), "here") == noted
    run(tmp_path / "run", older)
    assert differences(older, noted) == []
    run(tmp_path / "run", noted)
    assert len(whole_lines(tmp_path / "run")) == 12
    assert read_run(tmp_path / "run").manifest == older


@pytest.mark.parametrize(
    ("indices", "name", "promised", "there"),
    [
        (range(0, 10_000, 20), "cifar10", None, "500 of 10000 test examples of cifar10, every 20th"),
        (range(100), "mnist", None, "100 of 10000 test examples of mnist, the first 100"),
        (range(10, 13), "cifar10", "3 test examples", "3 of 10000 test examples of cifar10, 10 to 12"),
        ([3, 5, 8], "cifar10", None, "3 test examples of cifar10, not a regular subset; the split has 10,000"),
        ([3, 5, 8], "mine", None, "3 test examples of mine, not a regular subset; the size of the split is not known"),
        (range(4), "mine", None, "4 test examples of mine, 0 to 3; the size of the split is not known"),
    ],
)
def test_the_subset_of_an_imported_log(
    tmp_path: Path, indices: Sequence[int], name: str, promised: str | None, there: str
) -> None:
    lines = [f"{index}\t{7 * index % 10}\t0\t0.1\t0\t1\n" for index in indices]
    (tmp_path / "log.tsv").write_text(HEADER + "".join(lines))
    log = read_log(tmp_path / "log.tsv")
    made = imported_manifest(log, Gaussian(0.25), "cohen", FixedSize(100, 0.001), 100, name, "log.tsv")
    with RunStore(tmp_path / "run", made) as store:
        store.append(log.claims)
    found = read_run(tmp_path / "run")
    assert found.manifest.data.there(found.records).words == there
    assert found.manifest.data.subset().startswith(promised or there)
    # As an older version wrote it: no entry says that it is irregular, and the size is the number of lines.
    old = replace(found.manifest.data, regular=None, size=len(indices), limit=None, every=1)
    assert old.there(found.records).words == there


def test_ordinals() -> None:
    assert [ordinal(number) for number in (2, 3, 20, 101)] == ["2nd", "3rd", "20th", "101st"]
