"""The kinds of entries that documents share, with their limits."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

from msgspec import Meta, Struct

from holdfast.limits import LEAST_ALPHA, MOST_RANKED, MOST_SAMPLES

# More than any data set has.
MOST_EXAMPLES = 10**12
# Of which a random sample is drawn again in a moment.
MOST_SAMPLED_FROM = 10_000_000
# More than any data set has; larger labels and longer lists are refused.
MOST_CLASSES = 100_000
# Values of one input.
MOST_VALUES = 10**9
# The largest seed that any version draws.
MOST_SEED = 2**128 - 1


class Document(Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of all documents: an unknown entry is an error."""


Index = Annotated[int, Meta(ge=0, lt=MOST_EXAMPLES)]
Size = Annotated[int, Meta(ge=1, lt=MOST_EXAMPLES)]
# A class index.
Label = Annotated[int, Meta(ge=0, lt=MOST_CLASSES)]
# Number of votes or queries.
Count = Annotated[int, Meta(ge=0, le=10**18)]
Samples = Annotated[int, Meta(ge=1, le=MOST_SAMPLES)]
Positive = Annotated[int, Meta(ge=1, le=10**12)]
Votes = Annotated[list[Count], Meta(min_length=1, max_length=MOST_CLASSES)]
# Of a run-off: how often each class was ranked above each other one.
Pairs = Annotated[
    list[Annotated[list[Count], Meta(min_length=2, max_length=MOST_RANKED)]], Meta(min_length=2, max_length=MOST_RANKED)
]
# msgspec has no bounds above 2^63; `check_seed` checks the maximum.
Seed = Annotated[int, Meta(ge=0, extra_json_schema={"maximum": MOST_SEED})]

# JSON has no NaN and no infinity.
NotNegative = Annotated[float, Meta(ge=0.0)]
Above = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
Alpha = Annotated[float, Meta(ge=LEAST_ALPHA, lt=1.0)]
OpenShare = Annotated[float, Meta(gt=0.0, lt=1.0)]

# A short name, as of a source, an architecture or a precision.
Name = Annotated[str, Meta(min_length=1, max_length=1_000)]
Text = Annotated[str, Meta(max_length=100_000)]
Notes = Annotated[list[Annotated[str, Meta(max_length=2_000)]], Meta(min_length=1, max_length=100)]
Sampled = Annotated[int, Meta(ge=1, lt=MOST_SAMPLED_FROM)]
ClassName = Annotated[str, Meta(max_length=10_000)]
ClassNames = Annotated[list[ClassName], Meta(min_length=1, max_length=MOST_CLASSES)]
# (features,), (channels, time), (channels, height, width) or (channels, depth, height, width).
Shape = Annotated[list[Size], Meta(min_length=1, max_length=4)]
# With lengths, since in Python's patterns `$` also matches before a final newline.
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
# "unknown" for the data of an imported log.
DataHash = Annotated[str, Meta(pattern="^([0-9a-f]{64}|unknown)(?!\\n)$", max_length=64)]
# An auditor's nonce: whole bytes in hexadecimal.
Nonce = Annotated[str, Meta(pattern="^([0-9a-f]{2}){16,64}$", min_length=32, max_length=128)]
RecordDigest = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", min_length=16, max_length=16)]
# In UTC.
Moment = Annotated[
    str,
    Meta(
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+]00:00$",
        min_length=25,
        max_length=25,
    ),
]
# Entries checked elsewhere: arguments of an architecture, settings of a session.
Free = dict[str, Any]
Words = dict[Name, Text]


def check_shape(shape: list[int]) -> None:
    """Raise ValueError if inputs of this shape are too large to be read."""
    if prod(shape) > MOST_VALUES:
        raise ValueError(f"inputs of shape {shape} have more than {MOST_VALUES:,} values, the most that are read")


def check_seed(seed: int | None) -> None:
    """Raise ValueError if there is a seed and it is too large."""
    if seed is not None and seed > MOST_SEED:
        raise ValueError("the entry seed is larger than any seed that Holdfast draws")
