"""The manifest of an attack, written before it begins: everything that its results depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.errors import UsageError
from holdfast.formats.manifests import AttackManifest as Document
from holdfast.plain import Plain
from holdfast.store.data_manifest import DataManifest
from holdfast.store.manifest import Manifest, read_manifest, stored_manifest
from holdfast.types import Norm

if TYPE_CHECKING:
    from holdfast.folders import Folder, Where

FORMAT = 1
FILE_NAME = "attack.json"


@dataclass(frozen=True)
class Budgets(Plain):
    """How far the adversary may go.

    Attributes:
        values: in increasing order; none where the attack looks for changes as small as it can find.
        relative: whether they are multiples of each example's certified radius; otherwise input units or pixels.
    """

    values: tuple[float, ...] = ()
    relative: bool = False

    def __post_init__(self) -> None:
        if any(not (value > 0 and math.isfinite(value)) for value in self.values):
            raise UsageError(
                f"budgets are finite numbers above 0, got {', '.join(f'{value:g}' for value in self.values)}: within 0 "
                "there is nothing to attack, and `holdfast predict` shows the answers for unchanged inputs. Without a "
                "budget, some attacks look for small changes by themselves"
            )
        if list(self.values) != sorted(set(self.values)):
            raise UsageError(f"budgets are given once each and in increasing order, got {self.values}")
        if self.relative and not self.values:
            raise UsageError("budgets relative to the certified radius need factors, as in 1x,1.5x,2x")

    def of(self, radius: float | None) -> tuple[float, ...]:
        """The budgets for an example: infinity where there are none, nothing where they have no radius to refer to."""
        if not self.values:
            return (math.inf,)
        if not self.relative:
            return self.values
        return () if not radius else tuple(value * radius for value in self.values)


@dataclass(frozen=True)
class AttackManifest(Manifest):
    """Everything that the results of an attack depend on.

    Attributes:
        attack: name and parameters.
        norm: norm of its distances.
        budgets: how far the adversary may go.
        wanted: class that the attack aims at: a number, "next", or None for any other class.
        restarts: restarts of a randomized attack for each example and budget.
        repeats: runs of Predict that verify a claim.
        confidence: confidence that an adversarial needs to count.
        noise: noise of a smoothed classifier; None for a classifier without noise.
        n: votes of each answer; 0 without noise.
        alpha: failure probability of each answer; 0 without noise.
        search_alpha: failure probability of its answers while an attack searches.
        soft_samples: noisy copies of a soft vote.
        data: which examples.
        model: as in the manifest of a certification; the backend is that of the votes.
        certification: digest of the run whose certificates are attacked; None where there is none.
        seed: seed of all randomness; None while it awaits an auditor's nonce.
        precision: precision of the base classifier its votes; gradients are those of float32.
        device: kind of device, "cpu" or "cuda".
        versions: versions of Holdfast, and of the libraries that noise, votes and attacks come from.
        created: when the manifest was made, UTC; not compared on resuming.
        format: format of this file and of the records.
        seed_origin: as in the manifest of a certification.
        nonce: likewise.
        promise: likewise.
        block: draws of noise that share a counter; None without randomness, and in older manifests.
    """

    document: ClassVar[Any] = Document
    file_name: ClassVar[str] = FILE_NAME
    what: ClassVar[str] = "an attack"
    made_by: ClassVar[str] = "holdfast attack"
    current: ClassVar[int] = FORMAT
    attack: dict[str, Any]
    norm: str
    budgets: Budgets
    wanted: int | str | None
    restarts: int
    repeats: int
    confidence: float
    noise: dict[str, Any] | None
    n: int
    alpha: float
    search_alpha: float
    soft_samples: int
    data: DataManifest
    model: dict[str, Any]
    certification: str | None
    seed: int | None
    precision: str
    device: str
    versions: dict[str, str]
    created: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    format: int = FORMAT
    seed_origin: str | None = None
    nonce: str | None = None
    promise: str | None = None
    block: int | None = None

    @classmethod
    def _parsed(cls, raw: dict[str, Any]) -> dict[str, Any]:
        budgets = raw["budgets"]
        return {**super()._parsed(raw), "budgets": Budgets(tuple(budgets["values"]), budgets["relative"])}


def norm_of(manifest: AttackManifest) -> Norm:
    """The norm in which an attack is measured."""
    return Norm(manifest.norm)


def read_attack_manifest(folder: Where | Folder) -> AttackManifest:
    """The manifest of an attack; see `read_manifest`."""
    return read_manifest(folder, AttackManifest)


def stored_attack_manifest(folder: Where) -> AttackManifest | None:
    """The manifest of an attack that was begun in a folder; see `stored_manifest`."""
    return stored_manifest(folder, AttackManifest)
