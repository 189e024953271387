"""Which examples the numbers of a run are about, as its indices show, and what an interval then covers.

Everything that speaks of a subset asks here: tables, reports, plots, attacks, `info`, the pages of reproductions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import lgamma, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.store.samples import Sample

# How unlikely labels must be, in random order, to be taken for sorted where nothing else says so.
_BY_CHANCE = 0.01

_SIZE_UNKNOWN = "the size of the split is not known"

_SAMPLED = "alpha and the sampling of the subset"
# Those are there that were done first: the easy ones, where sampling stops early.
_UNFINISHED = "alpha alone, until all examples are done: those that are there are the ones that were done first"
_IRREGULAR = "alpha, and the sampling of the subset only if its examples were drawn at random: it is not a regular one"
_CLASS_ORDER = (
    "alpha alone, for these very examples: they are a part of a split that is in the order of its classes, and need "
    "not be like the rest"
)
_UNKNOWN = (
    "alpha, and the sampling of the subset only if it is spread over the whole split: the examples come in the order "
    "of their classes, and the size of the split is not known"
)


@dataclass(frozen=True)
class Published:
    """The test split of a published data set, which a log does not describe.

    Attributes:
        size: number of examples.
        shape: shape of one input.
        classes: number of classes.
    """

    size: int
    shape: tuple[int, ...]
    classes: int


TEST_SPLITS = {
    "mnist": Published(10_000, (1, 28, 28), 10),
    "fashion-mnist": Published(10_000, (1, 28, 28), 10),
    "cifar10": Published(10_000, (3, 32, 32), 10),
    "cifar100": Published(10_000, (3, 32, 32), 100),
    "svhn": Published(26_032, (3, 32, 32), 10),
    "imagenet": Published(50_000, (3, 224, 224), 1000),
}


@dataclass(frozen=True)
class Split:
    """Where examples come from.

    Attributes:
        source: short name of the data set.
        name: `train`, `test`, or `all` for both.
        size: number of its examples; None where it is not known.
        classes: number of its classes.
        sorted_by_class: whether its examples come class by class; None where nobody noted it: then the labels tell.
    """

    source: str
    name: str
    size: int | None
    classes: int
    sorted_by_class: bool | None = None

    @property
    def examples(self) -> str:
        """The examples in words, as in `test examples of mnist`."""
        return f"examples of {self.source}" if self.name == "all" else f"{self.name} examples of {self.source}"


@dataclass(frozen=True)
class Subset:
    """Some examples of a split.

    Attributes:
        words: the examples in words: how many, and which.
        covers: what an interval around a share of them covers, as in "covering ...".
        sampled: whether it covers their sampling, as far as can be seen from the indices and labels.
        caution: what a reader must know before taking their numbers for those of the split; None for nothing.
    """

    words: str
    covers: str
    sampled: bool
    caution: str | None = None

    @property
    def assumed(self) -> str:
        """What must be true besides for an interval to be about other inputs."""
        if self.sampled:
            return (
                "The interval assumes that the subset was chosen without a look at the results and that future inputs "
                "are like this data set."
            )
        return (
            "Beyond these examples the intervals say something only if these were chosen at random, without a look at "
            "the results, and if future inputs are like this data set."
        )


def subset_of(
    have: Sequence[int],
    labels: Sequence[int],
    split: Split,
    expected: Sequence[int] | None = None,
    sample: Sample | None = None,
) -> Subset:
    """The examples that have records, in words, and what follows from them.

    Args:
        have: indices of the examples in the split, increasing.
        labels: the class of each.
        split: split that they belong to.
        expected: indices that there are to be; None where these are all.
        sample: the random sample that those are that there are to be, or these; None where they are none.
    """
    unfinished = expected is not None and len(have) < len(expected)
    if not have:
        text = "no examples" if expected is None else f"none so far of {stated(expected, split, sample)}"
        return Subset(text, _SAMPLED, False)
    if split.size is not None and have[-1] >= split.size:
        split = replace(split, size=None)
    if not unfinished and sample is not None:
        return Subset(stated(have, split, sample), _SAMPLED, True)
    text = stated(have, split)
    if expected is not None and unfinished:
        text = f"{len(have)} so far of {stated(expected, split, sample)} ({_among(have, expected)})"
    regular = regular_range(have)
    if regular is not None and not unfinished and _is_spread(regular, split.size):
        return Subset(text, _SAMPLED, True)
    in_order = _seems_sorted(labels, split.classes) if split.sorted_by_class is None else split.sorted_by_class
    if in_order and (regular is not None or unfinished):
        touched = len(set(labels))
        text = f"{text} (in class order: {touched} of {split.classes} classes)"
        return Subset(text, *_in_class_order(split, len(have), touched))
    if unfinished:
        return Subset(text, _UNFINISHED, False)
    if regular is None:
        return Subset(text, _IRREGULAR, False)
    return Subset(text, _SAMPLED, True)


def stated(have: Sequence[int], split: Split, sample: Sample | None = None) -> str:
    """How many of what, and which, in words: decided from the indices alone, and from the sample that they are."""
    if sample is not None and split.size is not None and len(have) < split.size:
        return f"{len(have)} of {split.size} {split.examples}, drawn at random (seed {sample.seed})"
    count, regular = len(have), regular_range(have)
    if regular is None:
        return irregular(count, split)
    if split.size is None:
        return f"{count} {split.examples}, {_from_to(regular)}; {_SIZE_UNKNOWN}"
    if count == split.size:
        return f"all {count} {split.examples}"
    return f"{count} of {split.size} {split.examples}, {which(have, split.size)}"


def irregular(count: int, split: Split) -> str:
    """How many examples of what, if they are not a regular subset."""
    size = _SIZE_UNKNOWN if split.size is None else f"the split has {split.size:,}"
    return f"{count:,} {split.examples}, not a regular subset; {size}"


def which(have: Sequence[int], size: int) -> str:
    """Which examples of a split of known size, in a few words: `every 20th, the first 26`; empty for all of them."""
    regular = regular_range(have)
    if regular is None:
        return "not a regular subset"
    if regular.start:
        return _from_to(regular)
    step = [] if regular.step == 1 else [f"every {ordinal(regular.step)}"]
    cut = [f"the first {len(regular)}"] if len(regular) < len(range(0, size, regular.step)) else []
    return ", ".join(step + cut)


def regular_range(have: Sequence[int]) -> range | None:
    """The range that increasing indices are; None if they are none. Two far apart make one only from index 0 on."""
    if isinstance(have, range):
        return have
    step = have[1] - have[0] if len(have) > 1 else 1
    found = range(have[0], have[-1] + 1, step)
    if len(found) != len(have) or any(index != regular for index, regular in zip(have, found, strict=True)):
        return None
    return None if len(have) == 2 and step > 1 and have[0] else found


def ordinal(number: int) -> str:
    """2nd, 3rd, 20th."""
    tens, ones = divmod(number % 100, 10)
    suffix = "th" if tens == 1 else {1: "st", 2: "nd", 3: "rd"}.get(ones, "th")
    return f"{number}{suffix}"


def spread_step(size: int, count: int) -> int:
    """The smallest step that takes `count` examples at most from all of a split."""
    return -(-size // count)


def _in_class_order(split: Split, count: int, touched: int) -> tuple[str, bool, str]:
    """What an interval covers if the examples are not a sample, and the caution."""
    if split.size is None:
        return (
            _UNKNOWN,
            False,
            f"These {count} examples come in the order of their classes, and the size of the split is not known: if "
            "they are the first ones of it, the numbers are about them alone.",
        )
    return (
        _CLASS_ORDER,
        False,
        f"The split is in the order of its classes, and these {count} examples are a part of that order: "
        f"{touched} of {split.classes} classes. The numbers are about them alone, and the intervals do not cover the "
        "sampling of the subset. To speak of the split, take examples from all of it (each tenth one, say), "
        "and not the first ones.",
    )


def _is_spread(regular: range, size: int | None) -> bool:
    """Whether a regular range goes through all of a split."""
    return size is not None and regular.start < regular.step and regular[-1] + regular.step >= size


def _from_to(regular: range) -> str:
    """`5000 to 5099`, `every 20th from 7 to 9987`, `example 3`."""
    if len(regular) == 1:
        return f"example {regular.start}"
    step = "" if regular.step == 1 else f"every {ordinal(regular.step)} from "
    return f"{step}{regular.start} to {regular[-1]}"


def _among(have: Sequence[int], expected: Sequence[int]) -> str:
    """Which of the promised examples are there."""
    if list(have) == list(expected[: len(have)]):
        return f"the first {len(have)}" if len(have) > 1 else "the first one"
    return "not a regular part of them"


def _seems_sorted(labels: Sequence[int], classes: int) -> bool:
    """Whether labels never decrease, and so few that do would hardly come by chance."""
    if any(after < before for before, after in pairwise(labels)):
        return False
    num = len(labels)
    # Of classes^num sequences, C(num + classes - 1, num) never decrease; their share, as a logarithm.
    share = lgamma(num + classes) - lgamma(num + 1) - lgamma(classes) - num * log(classes)
    return share < log(_BY_CHANCE)
