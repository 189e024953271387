"""Random samples of a split: drawn again from two numbers, by two programs that share no code."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest

import holdfast as hf
from holdfast.errors import UsageError
from holdfast.store.data_manifest import DataManifest
from holdfast.store.samples import Drawn, Sample, chosen
from holdfast.store.subsets import Split, subset_of
from holdfast.verification.subset import indices_of

SORTED = Split("toy", "test", 1000, 10, sorted_by_class=True)


def written(**entries: Any) -> dict[str, Any]:
    return {"size": 1000, "every": 1, "limit": None, "sample": 50, "sample_seed": 0, **entries}


def test_a_known_sample() -> None:
    """As sha256sum and sort find it."""
    assert list(Sample(5).indices(100)) == [4, 21, 31, 39, 78]


@pytest.mark.parametrize(("size", "seed", "length"), [(50, 0, 1000), (1, 3, 2), (999, 2**100, 1000), (7, 5, 360)])
def test_both_paths_draw_the_same(size: int, seed: int, length: int) -> None:
    ours = Sample(size, seed).indices(length)
    theirs = indices_of(written(size=length, sample=size, sample_seed=seed))
    assert list(ours) == list(theirs) == sorted(set(ours))
    assert len(ours) == size
    for index in range(-2, length + 2):
        assert (index in ours) == (index in theirs) == (index in list(ours))


def test_without_a_sample_both_take_each_so_and_so_many_th() -> None:
    entries = {"size": 1000, "every": 30, "limit": 7}
    assert list(indices_of(entries)) == list(chosen(1000, 30, 7, None)) == list(range(0, 210, 30))


def test_a_smaller_sample_is_a_part_of_a_larger_one() -> None:
    parts = [set(Sample(size, 4).indices(300)) for size in (3, 10, 100, 299)]
    assert all(first < second for first, second in pairwise(parts))
    assert Sample(300).indices(300) == range(300)
    assert Sample(10, 4).indices(300) != Sample(10, 5).indices(300)
    assert list(Sample(10, 4).indices(300)) != list(Sample(10, 4).indices(301))


def test_every_set_is_equally_likely() -> None:
    """Of 2 of 5 there are 10 sets. A false alarm has the probability 1e-6: chi-square with 9 degrees, above 47."""
    draws = 4000
    found = Counter(tuple(Sample(2, seed).indices(5)) for seed in range(draws))
    assert set(found) <= set(combinations(range(5), 2))
    expected = draws / 10
    assert sum((found[each] - expected) ** 2 / expected for each in combinations(range(5), 2)) < 47


def test_what_is_drawn_is_a_sequence() -> None:
    drawn = Drawn([5, 1, 3])
    assert (list(drawn), drawn[0], drawn[:2], len(drawn), 3 in drawn, 4 in drawn) == (
        [1, 3, 5],
        1,
        (1, 3),
        3,
        True,
        False,
    )


@pytest.mark.parametrize("text", ["0", "", "-5", "5:", "5:x", "1e3", ":5", "5:-1"])
def test_how_a_sample_is_written(text: str) -> None:
    assert (Sample.parse("500"), Sample.parse("500:7")) == (Sample(500, 0), Sample(500, 7))
    with pytest.raises(UsageError, match=r"written as its size, from 1 on, or SIZE:SEED"):
        Sample.parse(text)


def test_a_sample_takes_the_place_of_other_choices() -> None:
    for every, limit in ((2, None), (1, 10)):
        with pytest.raises(UsageError, match=r"takes the place of (every = 2|limit = 10)"):
            chosen(100, every, limit, Sample(5))
    with pytest.raises(UsageError, match="from 10,000,000 examples at most"):
        chosen(10_000_001, 1, None, Sample(5))


def test_words_and_interval_of_a_sample() -> None:
    sample = Sample(50, 7)
    have = list(sample.indices(1000))
    labels = [index // 100 for index in have]
    whole = subset_of(have, labels, SORTED, have, sample)
    assert whole.words == "50 of 1000 test examples of toy, drawn at random (seed 7)"
    assert (whole.sampled, whole.covers, whole.caution) == (True, "alpha and the sampling of the subset", None)
    part = subset_of(have[:20], labels[:20], SORTED, have, sample)
    assert not part.sampled
    assert part.words.startswith(
        "20 so far of 50 of 1000 test examples of toy, drawn at random (seed 7) (the first 20)"
    )
    # The very same indices, of which nobody says how they were chosen.
    assert not subset_of(have, labels, SORTED, have).sampled


def test_the_first_of_a_sorted_split_are_no_sample() -> None:
    assert not subset_of(range(10), [0] * 10, SORTED, range(10)).sampled


def test_manifests_say_the_sample_and_the_notes() -> None:
    data = hf.load_data("digits").noted("something was decided")
    found = DataManifest.of(data, sample=Sample(20, 3))
    assert (found.sample, found.sample_seed, found.every, found.limit) == (20, 3, 1, None)
    assert found.notes == ("something was decided",)
    assert list(found.indices()) == list(Sample(20, 3).indices(360))
    assert found.subset() == "20 of 360 test examples of digits, drawn at random (seed 3)"
    assert list(found.first(5).indices()) == list(Sample(5, 3).indices(360))
    assert found.first(20) is found
    assert replace(found, sample=None, sample_seed=None).first(4).limit == 4
    everything = DataManifest.of(data, sample=Sample(1000))
    assert (everything.sample, everything.indices()) == (None, range(360))
    with pytest.raises(UsageError, match="takes the place of limit = 3"):
        DataManifest.of(data, limit=3, sample=Sample(20))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample": None, "sample_seed": 0}, "sample and sample_seed are there together"),
        ({"sample_seed": None}, "sample and sample_seed are there together"),
        ({"sample": 360}, "a sample of 360 is a part of 360 examples"),
        ({"limit": 10}, "with every 1 and no limit, found every 1 and limit 10"),
        ({"every": 2}, "with every 1 and no limit, found every 2"),
        ({"size": 20_000_000}, "of 10,000,000 at most"),
        ({"sample_seed": 2**129}, "larger than any seed"),
        ({"notes": ()}, "notes"),
    ],
)
def test_manifests_with_a_sample_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    from holdfast.formats.checking import fitting
    from holdfast.formats.manifests import Data

    entries = {
        "source": "digits", "split": "test", "sha256": "0" * 64, "size": 360, "shape": [1, 8, 8], "low": 0.0,
        "high": 1.0, "class_names": ["a", "b"], "decoder": "", "every": 1, "limit": None, "sample": 20,
        "sample_seed": 0, "notes": ["a note"],
    }  # fmt: skip
    fitting(entries, Data)
    changed = {key: value for key, value in {**entries, **changes}.items() if value is not None or key == "limit"}
    with pytest.raises(ValueError, match=message):
        fitting(json.loads(json.dumps(changed)), Data)


def test_notes_do_not_name_the_folders_that_lead_to_the_data(tmp_path: Any) -> None:
    (tmp_path / "a.csv").write_text("x,label\n1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n")
    data = hf.load_data(tmp_path / "a.csv", label="label")
    assert all(str(tmp_path) in note for note in data.notes)
    kept = DataManifest.of(data).notes or ()
    assert len(kept) == len(data.notes)
    assert not any(str(tmp_path) in note for note in kept)
    assert any("of a.csv is taken to be [1, 6]" in note for note in kept)
