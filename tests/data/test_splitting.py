import hashlib

import numpy as np
import pytest

from holdfast.data.splitting import rows_of_split
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
