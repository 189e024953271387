"""What every verification tells, be it of a run or of an attack."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Outcome:
    """What was checked, and what is wrong.

    Attributes:
        digest: of the manifest.
        promise: digest that the manifest had before the nonce of its seed was known; None where there is none.
        nonce: that the seed is derived from; None for none.
        promised: examples of the subset.
        records: whole records whose digest fits.
        replayed: examples that were computed again.
        failures: one line each; empty if all is well.
        notes: what could not be checked, and what a reader should know.
    """

    digest: str = ""
    promise: str | None = None
    nonce: str | None = None
    promised: int = 0
    records: int = 0
    replayed: list[int] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Examples of the subset without a record."""
        return self.promised - self.records

    def expect(self, published: str | None) -> None:
        """Another manifest than the one whose digest was published is a failure; None for none, or none was read.

        What was published of a seed that is derived may be the digest before its nonce was known.
        """
        if published is not None and self.digest and published.lower() not in (self.digest, self.promise):
            self.failures.append(f"the manifest's digest is {self.digest}, expected was {published}")
