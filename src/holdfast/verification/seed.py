"""The origin of a manifest's seed, and its derivation from promise and nonce, computed again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.verification.findings import Findings

CHOSEN, ENTROPY, DERIVED = "chosen", "entropy", "derived"

_NAME = "holdfast seed 1"


@dataclass(frozen=True)
class SeedStory:
    """The entries of a manifest about its seed.

    Attributes:
        seed: seed of all noise; None for none.
        origin: where it comes from; None where that was not noted.
        nonce: nonce that it is derived from; None for none.
        promise: digest that the manifest names for the promise before the nonce; None for none.
        before: the digest that the promise had then, computed here from the other entries.
    """

    seed: int | None
    origin: str | None
    nonce: str | None
    promise: str | None
    before: str

    @property
    def awaits_nonce(self) -> bool:
        """Whether the manifest still lacks its seed."""
        return self.origin == DERIVED and self.seed is None and self.nonce is None

    def complaints(self) -> list[str]:
        """Why the seed is wrong; the schema ensures that there is a nonce where one is needed, and nowhere else."""
        if self.nonce is None:
            return []
        found = []
        if self.promise != self.before:
            found.append(
                f"the promise had the digest {self.before} before its nonce, the manifest names {self.promise}"
            )
        derived = seed_from(self.before, self.nonce)
        if self.seed != derived:
            found.append(f"the seed that follows from promise and nonce is {derived}, the manifest has {self.seed}")
        return found

    def tell(self, result: Findings) -> None:
        """Add what is wrong, and what the files cannot show."""
        complaints = self.complaints()
        result.failures.extend(complaints)
        if self.seed is not None and self.origin == DERIVED and not complaints:
            result.promise, result.nonce = self.before, self.nonce
        if self.awaits_nonce:
            result.notes.append("the promise awaits the nonce that its seed is derived from")
        elif self.origin == CHOSEN:
            result.notes.append("the seed was chosen by whoever made this: the best of many looks better than it is")
        elif self.origin == ENTROPY:
            result.notes.append(
                "that nobody chose the seed is the word of whoever made this; only one derived from an auditor's nonce "
                "can be checked"
            )


# Nothing is said of it.
UNTOLD = SeedStory(None, None, None, None, "")


def read_seed(entries: Mapping[str, Any], canonical: Callable[[Mapping[str, Any]], str]) -> SeedStory:
    """The entries of a manifest about its seed; `canonical` is the text that digests are taken of."""
    before = {key: value for key, value in entries.items() if key not in ("nonce", "promise", "digest")}
    digest = hashlib.sha256(canonical({**before, "seed": None}).encode()).hexdigest()
    seed, origin, nonce, promise = (entries.get(key) for key in ("seed", "seed_origin", "nonce", "promise"))
    return SeedStory(seed, origin, nonce, promise, digest)


def seed_from(promise: str, nonce: str) -> int:
    """The first 63 bits of a SHA-256: of three lines, which are a name, the digest of the promise and the nonce."""
    digest = hashlib.sha256("".join(f"{line}\n" for line in (_NAME, promise, nonce)).encode()).hexdigest()
    return int(digest[:16], 16) // 2


def expect_nonce(result: Findings, given: str | None) -> None:
    """Add a failure unless the seed is derived from the nonce that an auditor gave; None if none was given."""
    if not result.digest:
        return
    if given is None:
        if result.nonce is not None:
            result.notes.append(
                f"the seed is derived from the promise {result.promise} and the nonce {result.nonce}: whether an "
                "auditor named that one, and only after that digest was published, the files do not show"
            )
        return
    if result.nonce is None:
        result.failures.append(f"the seed is derived from no nonce, expected {given}")
    elif result.nonce != given.lower():
        result.failures.append(f"the seed is derived from the nonce {result.nonce}, expected {given}")
