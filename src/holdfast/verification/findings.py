"""What every verification tells, be it of a run or of an attack."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.errors import RunError

# How far a check went, from least to most: radii are claims that nothing here supports; the files agree with
# themselves; labels and data agree with them; all was computed again.
CLAIMS, FILES, DATA, REPLAY = LEVELS = ("claims", "files", "data", "replay")
# Exit codes of the command beside 0: something is wrong; records are missing; less was checked than is required.
FAILED, INCOMPLETE, NOT_ENOUGH = 1, 3, 4


class Unknown(RunError):
    """A noise, a theorem or an estimator that the second path has no version of: nothing says what radii follow."""


@dataclass
class Findings:
    """What was checked, and what is wrong.

    Attributes:
        digest: digest of the manifest.
        results: digest of the manifest's digest and all records; empty while records are missing.
        promise: digest that the manifest had before the nonce of its seed was known; None where there is none.
        nonce: nonce that the seed is derived from; None for none.
        promised: examples of the subset.
        records: whole records whose digest fits.
        labels: number of labels that were compared with the data.
        data: whether the data were compared, with all that the manifest says of them.
        model: whether the model was.
        pinned: the digests that were compared with published ones: "manifest", "results".
        replayed: examples that were computed again.
        unknown: what verify has no version of, so that no radius was checked; empty if there is nothing.
        failures: one line each; empty if all is well.
        notes: what else a reader should know.
    """

    digest: str = ""
    results: str = ""
    promise: str | None = None
    nonce: str | None = None
    promised: int = 0
    records: int = 0
    labels: int = 0
    data: bool = False
    model: bool = False
    pinned: list[str] = field(default_factory=list)
    replayed: list[int] = field(default_factory=list)
    unknown: str = ""
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Examples of the subset without a record."""
        return self.promised - self.records

    @property
    def supported(self) -> bool:
        """Whether what is claimed follows from the files: not so for radii of a bound, and of an imported log."""
        return True

    @property
    def level(self) -> str:
        """How far the check went, one of `LEVELS`."""
        if self.unknown:
            return CLAIMS
        if self.records and len(self.replayed) == self.records:
            return REPLAY
        if not self.supported and not self.replayed:
            return CLAIMS
        return DATA if self.data else FILES

    def exit_code(self, required: str) -> int:
        """0; 1 where something is wrong; 3 where records are missing; 4 where less was checked than is required.

        It is 4, whatever is required, where verify does not know what radii follow from the votes.

        Args:
            required: one of `LEVELS`.
        """
        if self.failures:
            return FAILED
        if self.missing:
            return INCOMPLETE
        return NOT_ENOUGH if self.unknown or LEVELS.index(self.level) < LEVELS.index(required) else 0

    def expect(self, manifest: str | None, results: str | None = None) -> None:
        """Other digests than those that were published are failures; None for none, or nothing was read.

        What was published of a seed that is derived may be the digest before its nonce was known.
        """
        if not self.digest:
            return
        if manifest is not None:
            self._compare("manifest", manifest, (self.digest, self.promise))
        if results is not None and self.results:
            self._compare("results", results, (self.results,))
        elif results is not None:
            self.failures.append(f"the results have no digest while records are missing, expected was {results}")

    def _compare(self, name: str, published: str, found: tuple[str | None, ...]) -> None:
        self.pinned.append(name)
        if published.lower() not in found:
            self.failures.append(f"the digest of the {name} is {found[0]}, expected was {published}")
