"""The names of splits in the names of files and folders."""

from __future__ import annotations

import re

_WORDS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "validation": ("validation", "valid", "val", "dev"),
}
_SPLITS = {word: split for split, words in _WORDS.items() for word in words}
SPLIT_KINDS = tuple(_WORDS)


def split_called(name: str) -> str | None:
    """The split that a name is a word for: "train", "test", "validation", or None; capitals do not matter."""
    return _SPLITS.get(name.lower())


def splits_in(name: str) -> set[str]:
    """The splits that a name has words for, set off by anything but letters: `cifar10-test` has "test"."""
    return {_SPLITS[word] for word in re.split(r"[\W\d_]+", name.lower()) if word in _SPLITS}
