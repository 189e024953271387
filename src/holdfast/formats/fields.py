"""The kinds of entries that several documents have, with their limits."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any

from msgspec import Meta, Struct

from holdfast.limits import LEAST_ALPHA, MOST_SAMPLES

# More than any data set has.
MOST_EXAMPLES = 10**12
# Of which a random sample is drawn again in a moment.
MOST_SAMPLED_FROM = 10_000_000
# More than any data set has: a number beyond is no label, and a list as long as that is never made.
MOST_CLASSES = 100_000
# Of one input.
MOST_VALUES = 10**9
# No seed that any version drew is larger.
MOST_SEED = 2**128 - 1


class Document(Struct, forbid_unknown_fields=True, kw_only=True):
    """All entries are named: one that is not is an error."""


Index = Annotated[int, Meta(ge=0, lt=MOST_EXAMPLES)]
Size = Annotated[int, Meta(ge=1, lt=MOST_EXAMPLES)]
# A class by its number.
Label = Annotated[int, Meta(ge=0, lt=MOST_CLASSES)]
# Of votes, queries.
Count = Annotated[int, Meta(ge=0, le=10**18)]
Samples = Annotated[int, Meta(ge=1, le=MOST_SAMPLES)]
Positive = Annotated[int, Meta(ge=1, le=10**12)]
Votes = Annotated[list[Count], Meta(min_length=1, max_length=MOST_CLASSES)]
# msgspec knows no bounds above 2^63; what is checked is in `check_seed`.
Seed = Annotated[int, Meta(ge=0, extra_json_schema={"maximum": MOST_SEED})]

# No NaN and no infinity: JSON has no word for them.
NotNegative = Annotated[float, Meta(ge=0.0)]
Above = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
Alpha = Annotated[float, Meta(ge=LEAST_ALPHA, lt=1.0)]
OpenShare = Annotated[float, Meta(gt=0.0, lt=1.0)]

# Of a source, an architecture, a precision: a word or two.
Name = Annotated[str, Meta(min_length=1, max_length=1_000)]
Text = Annotated[str, Meta(max_length=100_000)]
Notes = Annotated[list[Annotated[str, Meta(max_length=2_000)]], Meta(min_length=1, max_length=100)]
Sampled = Annotated[int, Meta(ge=1, lt=MOST_SAMPLED_FROM)]
ClassName = Annotated[str, Meta(max_length=10_000)]
ClassNames = Annotated[list[ClassName], Meta(min_length=1, max_length=MOST_CLASSES)]
# (features,), (channels, time), (channels, height, width) or (channels, depth, height, width).
Shape = Annotated[list[Size], Meta(min_length=1, max_length=4)]
# Lengths besides the pattern: in Python's patterns, $ would let a newline follow.
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", min_length=64, max_length=64)]
# That of data that nobody has seen, in imported logs, is not known.
DataHash = Annotated[str, Meta(pattern="^([0-9a-f]{64}|unknown)(?!\\n)$", max_length=64)]
# Of an auditor, whole bytes.
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
# What its owner alone understands: arguments of an architecture, settings of a session.
Free = dict[str, Any]
Words = dict[Name, Text]


def check_shape(shape: list[int]) -> None:
    """Raise ValueError unless inputs of a shape can be: what depends on their size is then computed in a moment."""
    if prod(shape) > MOST_VALUES:
        raise ValueError(f"inputs of shape {shape} have more values than the {MOST_VALUES:,} that are read")


def check_seed(seed: int | None) -> None:
    """Raise ValueError unless a seed, if there is one, is as small as seeds are."""
    if seed is not None and seed > MOST_SEED:
        raise ValueError("the entry seed is larger than any seed that Holdfast draws")
