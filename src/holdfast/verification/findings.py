"""The findings of every verification, of a run or of an attack."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import RunError

# How far a check went, from least to most: radii are claims that nothing here supports; the files agree with
# themselves; labels and data agree with them; all was computed again.
CLAIMS, FILES, DATA, REPLAY = LEVELS = ("claims", "files", "data", "replay")
# Exit codes of the command beside 0: something is wrong; records are missing; less was checked than is required.
FAILED, INCOMPLETE, NOT_ENOUGH = 1, 3, 4


class Unknown(RunError):
    """A noise, a theorem or an estimator that verify does not know, so that it cannot compute radii."""


@dataclass
class Findings:
    """What was checked, and what is wrong.

    Attributes:
        digest: digest of the manifest.
        results: digest of the manifest's digest and all records; empty while records are missing.
        promise: digest of the manifest before the nonce of its seed was known; None if there is none.
        nonce: nonce that the seed is derived from; None for none.
        examples: examples of the subset.
        records: whole records whose digest fits.
        labels: number of labels that were compared with the data.
        data: whether the data were compared, with all that the manifest says of them.
        model: whether the model was.
        pinned: the digests that were compared with published ones: "manifest", "results".
        seeded: whether what is computed again depends on a seed.
        replayed: examples that were computed again.
        unknown: what verify has no version of, so that no radius was checked; empty if there is nothing.
        undecided: why records that were to be computed again could not be, or nothing follows from how they differ;
            empty if there is no such reason.
        failures: one line each; empty if all is well.
        notes: what else a reader should know.
    """

    digest: str = ""
    results: str = ""
    promise: str | None = None
    nonce: str | None = None
    examples: int = 0
    records: int = 0
    labels: int = 0
    data: bool = False
    model: bool = False
    pinned: list[str] = field(default_factory=list)
    seeded: bool = True
    replayed: list[int] = field(default_factory=list)
    unknown: str = ""
    undecided: str = ""
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Examples of the subset without a record."""
        return self.examples - self.records

    @property
    def supported(self) -> bool:
        """Whether the claims follow from the files: not so for radii of a bound, and of an imported log."""
        return True

    @property
    def level(self) -> str:
        """How far the check went: one of `LEVELS`."""
        if self.unknown:
            return CLAIMS
        if self.records and len(self.replayed) == self.records:
            return REPLAY
        if not self.supported and not self.replayed:
            return CLAIMS
        return DATA if self.data else FILES

    def exit_code(self, required: str) -> int:
        """0; 1 if something is wrong; 3 if records are missing; 4 if less was checked than is required.

        It is always 4 if verify does not know what radii follow from the votes, or cannot do what it was asked for.

        Args:
            required: one of `LEVELS`.
        """
        if self.failures:
            return FAILED
        if self.missing:
            return INCOMPLETE
        undecided = self.unknown or self.undecided
        return NOT_ENOUGH if undecided or LEVELS.index(self.level) < LEVELS.index(required) else 0

    def expect(self, manifest: str | None, results: str | None = None) -> None:
        """Add a failure for a digest that is not the published one; None if none was published.

        For a seed that is derived, the published digest may be that before its nonce was known.
        """
        if not self.digest:
            return
        if manifest is not None:
            self._compare("manifest", manifest, (self.digest, self.promise))
        if results is not None and self.results:
            self._compare("results", results, (self.results,))
        elif results is not None:
            self.failures.append(f"the results have no digest while records are missing, expected {results}")

    def _compare(self, name: str, published: str, found: tuple[str | None, ...]) -> None:
        self.pinned.append(name)
        if published.lower() not in found:
            self.failures.append(f"the digest of the {name} is {found[0]}, expected {published}")
