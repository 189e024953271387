"""A run as verify read it, and what a kind of run has to be checked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from holdfast.verification.findings import Findings
from holdfast.verification.rules import Votes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdfast.verification.manifest import Manifest
    from holdfast.verification.rules import Claim, Rule


@dataclass
class Verification(Findings):
    """Of a run.

    Attributes:
        kind: "certify", "imported" or "bound"; empty where the manifest itself is wrong.
        from_votes: whether its radii follow from votes.
        claims: that were recomputed from votes.
        log_lines: of an exported log that were checked.
    """

    kind: str = ""
    from_votes: bool = False
    claims: int = 0
    log_lines: int = 0

    @property
    def supported(self) -> bool:
        """Radii follow from votes; a bound and an imported log have none."""
        return self.from_votes


@dataclass(frozen=True)
class RunFiles:
    """A run as verify read it.

    Attributes:
        manifest: what the manifest says.
        rule: of its estimator; None where there are no votes, as in an imported log and of a deterministic bound, and
            where verify does not know what radii follow from them.
        records: entries by index, those whose digest and content are right.
    """

    manifest: Manifest
    rule: Rule | None
    records: Mapping[int, Mapping[str, Any]]

    def votes(self, index: int) -> Votes:
        """The votes of a record."""
        record = self.records[index]
        pairs = tuple(tuple(row) for row in record.get("pairs") or ())
        return Votes(tuple(record["selection"]), tuple(record["estimation"]), pairs)


class Kind(ABC):
    """What differs between the kinds of runs.

    Attributes:
        line: what a line holds; a class of `holdfast.formats.records`.
        from_votes: whether its radii follow from votes.
    """

    line: ClassVar[type[Any]]
    from_votes: ClassVar[bool] = False

    def rule(self, manifest: Manifest, result: Verification) -> Rule | None:
        """That of the estimator; None where there are no votes, or verify does not know what follows from them.

        What it does not know is noted as `unknown` in the result.

        Raises:
            RunError: an entry of the procedure is wrong.
        """
        return None

    def totals(self, manifest: Manifest) -> frozenset[int] | None:
        """How many estimation votes there may be; None for any number."""
        return None

    def indices(self, manifest: Manifest) -> Sequence[int]:
        """Of the examples that may have a record."""
        return manifest.indices

    def check_manifest(self, manifest: Manifest, result: Verification) -> None:
        """Take for failures what the manifest promises and cannot be."""
        return

    @abstractmethod
    def check_record(self, record: Mapping[str, Any], manifest: Manifest, totals: frozenset[int] | None) -> None:
        """Raise ValueError unless the record is one that the procedure of the manifest can have written."""

    @abstractmethod
    def check_claims(self, files: RunFiles, claims: Iterable[Claim], result: Verification) -> None:
        """Take for failures the claims that do not follow from the files."""
