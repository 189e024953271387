"""The manifests of runs, each kind with its own entries, and of attacks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from holdfast.formats.fields import (
    MOST_SAMPLED_FROM,
    Above,
    ClassNames,
    Count,
    DataHash,
    Document,
    Free,
    Index,
    Label,
    Moment,
    Name,
    Nonce,
    Notes,
    OpenShare,
    Positive,
    Sampled,
    Seed,
    Sha256,
    Shape,
    Share,
    Size,
    Text,
    Words,
    check_seed,
    check_shape,
)
from holdfast.formats.parameters import (
    EstimatorEntry,
    NamedEntry,
    NoiseEntry,
    check_ablation,
    check_estimator,
    check_named,
    check_noise,
)


class Data(Document):
    """Which examples. Entries that older versions did not record are left out, never null."""

    source: Name
    split: Name
    sha256: DataHash
    size: Size
    shape: Shape
    low: float
    high: float
    class_names: ClassNames
    decoder: Text
    every: Size
    limit: Index | None
    sorted_by_class: bool | UnsetType = UNSET
    regular: Annotated[bool, Meta(extra_json_schema={"enum": [False]})] | UnsetType = UNSET
    # A random sample of so many, in the place of every and limit.
    sample: Sampled | UnsetType = UNSET
    sample_seed: Seed | UnsetType = UNSET
    # What the source decided by itself.
    notes: Notes | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low!r} is not below high = {self.high!r}")
        check_shape(self.shape)
        if self.regular is True:
            raise ValueError("regular is false or left out, found true")
        _check_sample(self)


def _check_sample(data: Data) -> None:
    """Raise ValueError unless a sample can be drawn again, and has nothing beside it."""
    if data.sample is UNSET or data.sample_seed is UNSET:
        if data.sample is not data.sample_seed:
            raise ValueError("sample and sample_seed are there together or not at all")
        return
    check_seed(data.sample_seed)
    if not (data.sample < data.size <= MOST_SAMPLED_FROM and data.every == 1 and data.limit is None):
        raise ValueError(
            f"a sample of {data.sample} is a part of {data.size} examples, of {MOST_SAMPLED_FROM:,} at most, with "
            "every "
            f"1 and no limit, found every {data.every} and limit {data.limit}"
        )


class Normalization(Document):
    """The normalization layer of a network; null for none."""

    mean: list[float] | None
    std: list[Above] | None


class Weights(Document):
    """The file of weights that code of the user's own got."""

    file: Text
    sha256: Sha256


class DoubleMasking(Document):
    """The two rounds of masks in front of a classifier."""

    patch: Positive
    masks: Positive
    value: float


class ThresholdVotes(Document):
    """The windows whose votes by a threshold are counted."""

    noise: NoiseEntry
    threshold: Above

    def __post_init__(self) -> None:
        check_noise(self.noise, "model.threshold_votes.noise")
        if self.threshold > 1.0:
            raise ValueError(f"the threshold of votes is at most 1, found {self.threshold}")


class Model(Document):
    """The base classifier, as far as it was described."""

    # Where it comes from; left out for a bundle.
    source: Name | UnsetType = UNSET
    architecture: Name | UnsetType = UNSET
    arguments: Free | UnsetType = UNSET
    sha256: Sha256 | UnsetType = UNSET
    trained_for: NoiseEntry | UnsetType | None = UNSET
    normalization: Normalization | UnsetType = UNSET
    weights: Weights | UnsetType = UNSET
    layout: Literal["channels-last"] | UnsetType = UNSET
    output: Literal["probability"] | UnsetType = UNSET
    code: Words | UnsetType = UNSET
    # A model in front of it, without a backend of its own.
    denoiser: Model | UnsetType = UNSET
    double_masking: DoubleMasking | UnsetType = UNSET
    threshold_votes: ThresholdVotes | UnsetType = UNSET
    backend: NamedEntry | UnsetType = UNSET

    def __post_init__(self) -> None:
        if isinstance(self.trained_for, dict):
            check_noise(self.trained_for, "model.trained_for")
        if isinstance(self.backend, dict):
            check_named(self.backend, "model.backend")


class Log(Document):
    """The imported log, in place of a model."""

    imported_from: Text | UnsetType = UNSET


class _Manifest(Document):
    data: Data
    precision: Name
    device: Name
    versions: Words
    created: Moment
    digest: Sha256


class _Run(_Manifest, tag_field="kind"):
    format: Literal[2]
    guarantee: Name
    estimator: EstimatorEntry
    joint_alpha: OpenShare | None

    def __post_init__(self) -> None:
        check_estimator(self.estimator)


Origin = Literal["chosen", "entropy", "derived"]


class Certify(_Run, tag="certify", kw_only=True):
    """The manifest of a run with votes."""

    noise: NoiseEntry
    n0: Count
    model: Model
    block: Count
    # null until the nonce is known that it will be derived from.
    seed: Seed | None
    # Older versions did not record it.
    seed_origin: Origin | UnsetType = UNSET
    nonce: Nonce | UnsetType = UNSET
    promise: Sha256 | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise(self.noise)
        check_ablation(self.noise, self.data.shape)
        _check_origin(self)
        if len(self.data.class_names) < 2:
            raise ValueError("votes need at least 2 classes, found one name")
        if self.estimator["name"] == "proved":
            raise ValueError("a run with votes needs an estimator for votes, found 'proved'")


class Imported(_Run, tag="imported"):
    """The manifest of a log imported from another tool."""

    noise: NoiseEntry
    n0: Count
    model: Log
    seed: None
    block: Count

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise(self.noise)
        check_ablation(self.noise, self.data.shape)
        if self.estimator["name"] != "fixed":
            raise ValueError(f"an imported log needs the estimator 'fixed', found {self.estimator['name']!r}")


class Bound(_Run, tag="bound"):
    """The manifest of a run of deterministic bounds: there is no noise, and nothing is drawn."""

    noise: Annotated[dict[str, Any], Meta(max_length=0)]
    n0: Annotated[int, Meta(ge=0, le=0)]
    model: Model
    seed: None
    block: Annotated[int, Meta(ge=0, le=0)]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.estimator["name"] != "proved":
            raise ValueError(f"a deterministic bound needs the estimator 'proved', found {self.estimator['name']!r}")


RunDocument = Certify | Imported | Bound


class Budgets(Document):
    """The attack budgets."""

    values: Annotated[list[Above], Meta(max_length=10_000)]
    relative: bool

    def __post_init__(self) -> None:
        if any(not first < second for first, second in zip(self.values, self.values[1:], strict=False)):
            raise ValueError("budgets must be in increasing order without repetition")
        if self.relative and not self.values:
            raise ValueError("budgets relative to the certified radius need factors")


class AttackManifest(_Manifest, kw_only=True):
    """The manifest of an attack."""

    format: Literal[1]
    attack: NamedEntry
    norm: Literal["L0", "L1", "L2", "Linf", "patch"]
    budgets: Budgets
    wanted: Label | Literal["next"] | None
    restarts: Positive
    repeats: Positive
    confidence: OpenShare
    noise: NoiseEntry | None
    n: Count
    alpha: Share
    search_alpha: Share
    soft_samples: Count
    model: Model
    certification: Sha256 | None
    # null until the nonce is known that it will be derived from.
    seed: Seed | None
    # Older versions did not record it.
    seed_origin: Origin | UnsetType = UNSET
    nonce: Nonce | UnsetType = UNSET
    promise: Sha256 | UnsetType = UNSET
    block: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        check_named(self.attack, "attack")
        _check_origin(self)
        if self.noise is not None:
            check_noise(self.noise)


def _check_origin(document: Certify | AttackManifest) -> None:
    """Raise ValueError unless the seed and its origin fit together."""
    check_seed(document.seed)
    derived = document.seed_origin == "derived"
    if document.seed is None and not derived:
        raise ValueError("there is no seed, and none will be derived from a nonce")
    complete = derived and document.seed is not None
    if (document.nonce is not UNSET, document.promise is not UNSET) != (complete, complete):
        raise ValueError("nonce and promise must be there with a seed derived from them, and with no other seed")
