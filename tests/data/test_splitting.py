import hashlib
import itertools

import numpy as np
import pytest

from holdfast.data import DataSet
from holdfast.data.splitting import class_coverage, is_sorted_by_class, rows_of_split
from holdfast.errors import DataError


def digest(number):
    return hashlib.sha256(str(number).encode()).digest()


def both(digests, labels):
    train, test = (rows_of_split(digests, labels, split, "here") for split in ("train", "test"))
    assert sorted([*train, *test]) == list(range(len(digests)))
    return train, test


@pytest.mark.parametrize("sizes", [(5, 5), (5, 6, 7, 8, 9), (100, 5, 23), (1,) * 10])
def test_one_in_five_and_large_classes_on_both_sides(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    train, test = both([digest(number) for number in range(len(labels))], labels)
    assert len(test) == -(-len(labels) // 5)
    for label, size in enumerate(sizes):
        if size >= 5:
            assert label in labels[train]
            assert label in labels[test]


def test_order_does_not_matter():
    digests = [digest(number) for number in range(60)]
    labels = np.arange(60) % 3
    _, test = both(digests, labels)
    order = np.random.default_rng(4).permutation(60)
    _, other = both([digests[row] for row in order], labels[order])
    assert {digests[row] for row in test} == {digests[order[row]] for row in other}


def test_copies_stay_together():
    digests = [digest(number % 20) for number in range(60)]
    train, test = both(digests, np.arange(60) % 3)
    assert not {digests[row] for row in train} & {digests[row] for row in test}


def test_a_split_that_would_be_empty():
    assert rows_of_split([digest(1)], [0], "test", "here").tolist() == [0]
    with pytest.raises(DataError, match="the train split of here would be empty: found 1 distinct images, expected at"):
        rows_of_split([digest(1)] * 3, [0, 0, 0], "train", "here")
    with pytest.raises(DataError, match="the test split of here would be empty: found 0 distinct images"):
        rows_of_split([], [], "test", "here")


SORTED = {
    "class by class": [0] * 5 + [1] * 5 + [2] * 5,
    "in falling order": [2, 2, 1, 0, 0],
    "in another order of classes": [1] * 4 + [0] * 4 + [2] * 4,
    "two sorted files, one after the other": [0] * 5 + [1] * 5 + [0] * 5 + [1] * 5,
    "one example a class": [0, 1, 2, 3],
}


@pytest.mark.parametrize("labels", SORTED.values(), ids=SORTED)
def test_examples_that_come_class_by_class_are_recognized(labels):
    assert is_sorted_by_class(labels)
    assert is_sorted_by_class(np.array(labels))


MIXED = {
    "one class": [3, 3, 3],
    "one example": [0],
    "alternating": [0, 1] * 10,
    "one example a class, mixed": [2, 0, 3, 1],
}


@pytest.mark.parametrize("labels", MIXED.values(), ids=MIXED)
def test_a_mixed_order_is_not_taken_for_a_sorted_one(labels):
    assert not is_sorted_by_class(labels)


def test_random_orders_are_not_taken_for_sorted_ones():
    generator = np.random.default_rng(0)
    # 1,000 labels of 10 classes change about 900 times; fewer than 450 is 50 standard deviations away.
    assert not any(is_sorted_by_class(generator.permutation(np.arange(1000) % 10)) for _ in range(100))


def test_a_data_set_says_whether_it_is_sorted_by_class():
    sorted_one, mixed = (
        DataSet.in_memory(
            source="toy",
            split="test",
            class_names=["a", "b"],
            labels=np.array(labels),
            values=np.zeros((len(labels), 1), dtype=np.uint8),
        )
        for labels in ([0, 0, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1])
    )

    assert sorted_one.is_sorted_by_class
    assert not mixed.is_sorted_by_class


def test_coverage_of_classes_is_compared_with_a_random_subset():
    labels = [0] * 3 + [1] * 2 + [2] * 1

    found, expected = class_coverage(labels, [0, 1, 2])

    subsets = list(itertools.combinations(labels, 3))
    assert found == 1
    assert expected == pytest.approx(sum(len(set(subset)) for subset in subsets) / len(subsets), abs=1e-12)


def test_all_examples_cover_all_classes():
    assert class_coverage([0, 0, 1, 2], range(4)) == (3, 3.0)
