"""Documents that commands print: tables of classes and comparisons of runs. Nothing reads them but other programs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from holdfast.formats.fields import Count, Document, NotNegative

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Signed = Annotated[float, Meta(ge=-1.0, le=1.0)]


class ShareEntry(Document):
    """A share of examples as a fraction of 1, with both ends of its 95% interval."""

    value: Share
    lower: Share
    upper: Share


class DifferenceEntry(Document):
    """A difference of two shares, with both ends of its paired 95% interval."""

    value: Signed
    lower: Signed
    upper: Signed


class ClassEntry(Document):
    """A class; keys are radii."""

    name: str
    examples: Count
    certified_accuracy: dict[str, ShareEntry]


class ClassTableDocument(Document):
    """The table of the classes of one run; keys are radii."""

    run: str
    norm: str
    alpha: Share
    subset: str
    covers: str
    classes: list[ClassEntry]
    absent: Count
    balanced: dict[str, ShareEntry]
    worst: dict[str, ShareEntry]
    worst_classes: dict[str, list[str]]
    warnings: list[str]
    notes: list[str]


class RadiusEntry(Document):
    """Two runs at one radius; `more` is the run that is shown to certify more, or null."""

    radius: NotNegative
    first: ShareEntry
    second: ShareEntry
    images: Count
    only_first: Count
    only_second: Count
    difference: DifferenceEntry
    p_value: Share
    more: str | None


class PairEntry(Document):
    """Two runs by name at each radius; the difference is the first minus the second."""

    first: str
    second: str
    radii: list[RadiusEntry]


class RunComparisonDocument(Document):
    """The comparison of runs on the same images."""

    norm: str
    images: Count
    subset: str
    runs: list[str]
    ordered: Count
    level: Share
    warnings: list[str]
    notes: list[str]
    pairs: list[PairEntry]
