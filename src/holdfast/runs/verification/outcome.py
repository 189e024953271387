"""What every verification tells, be it of a run or of an attack."""

from __future__ import annotations

from dataclasses import dataclass, field

# How far a check went, from least to most: radii are claims that nothing here supports; the files agree with
# themselves; labels and data agree with them; all was computed again.
CLAIMS, FILES, DATA, REPLAY = LEVELS = ("claims", "files", "data", "replay")


@dataclass
class Outcome:
    """What was checked, and what is wrong.

    Attributes:
        digest: of the manifest.
        results: digest of the manifest's digest and all records; empty while records are missing.
        promised: examples of the subset.
        records: whole records whose digest fits.
        labels: that were compared with the data.
        data: whether the data were compared, with all that the manifest says of them.
        model: whether the model was.
        pinned: the digests that were compared with published ones: "manifest", "results".
        replayed: examples that were computed again.
        failures: one line each; empty if all is well.
        notes: what a reader should know besides.
    """

    digest: str = ""
    results: str = ""
    promised: int = 0
    records: int = 0
    labels: int = 0
    data: bool = False
    model: bool = False
    pinned: list[str] = field(default_factory=list)
    replayed: list[int] = field(default_factory=list)
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
        if self.records and len(self.replayed) == self.records:
            return REPLAY
        if not self.supported and not self.replayed:
            return CLAIMS
        return DATA if self.data else FILES

    def expect(self, manifest: str | None, results: str | None = None) -> None:
        """Other digests than those that were published are failures; None for none, or nothing was read."""
        for name, published, found in (("manifest", manifest, self.digest), ("results", results, self.results)):
            if published is None or not self.digest:
                continue
            self.pinned.append(name)
            if not found:
                self.failures.append(f"the results have no digest while records are missing, expected was {published}")
            elif published.lower() != found:
                self.failures.append(f"the {name}'s digest is {found}, expected was {published}")
