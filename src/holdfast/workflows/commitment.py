"""A manifest published before the first sample, as a promise: written first, named by its digest, with a nonce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import RunError, UsageError

if TYPE_CHECKING:
    from holdfast.folders import Where
    from holdfast.store.manifest import Manifest
    from holdfast.store.seeds import Seed

# In the place of a nonce that an auditor will name once the promise is known.
LATER = "later"
_DIGITS = 64


@dataclass(frozen=True)
class Commitment:
    """Conditions on the manifest (the promise) before anything is computed.

    Attributes:
        only: write the manifest and do nothing else.
        digest: digest that the manifest in the folder must have; None for any.
        nonce: nonce that its seed is derived from; "later" for one that is still to come, None for no such seed.

    Raises:
        UsageError: not a digest or not a nonce, or a nonce that comes later when sampling would begin now.
    """

    only: bool = False
    digest: str | None = None
    nonce: str | None = None

    def __post_init__(self) -> None:
        from holdfast.store.seeds import checked_nonce

        if self.digest is not None and not is_digest(self.digest):
            raise UsageError(
                f"the digest of a promise has {_DIGITS} hexadecimal digits, as it was printed; got {self.digest!r}"
            )
        if self.nonce == LATER and not self.only:
            raise UsageError(
                f"the nonce {LATER!r} only fits a promise without samples; to sample, give the nonce that the auditor "
                "named"
            )
        if self.nonce not in (None, LATER):
            object.__setattr__(self, "nonce", checked_nonce(self.nonce))

    def check(self, out: Where, kind: type[Manifest]) -> None:
        """Refuse a folder whose manifest has another digest than expected, before anything is computed.

        Raises:
            UsageError: the folder has no manifest.
            RunError: it has another one.
        """
        if self.digest is None:
            return
        stored = _stored(out, kind)
        if stored is None:
            raise UsageError(
                f"a digest is given, but {out} has no promise: one made now would have another time, and so another "
                "digest. First only write the promise, then publish the digest that is printed, and give that one"
            )
        if self.digest.lower() not in (stored.digest, stored.promise):
            raise RunError(
                f"{out} has the promise {stored.digest}, expected {self.digest}: nothing was computed. Name "
                "the folder with the promise of that digest"
            )

    def seed(self, out: Where, kind: type[Manifest], chosen: int | None) -> Seed:
        """The seed: that of the manifest in the folder, the given one, one from a nonce, or a fresh one.

        Raises:
            UsageError: a nonce without a promise that awaits it, or the reverse; a seed beside a nonce.
        """
        from holdfast.sampling.rng import check_seed, fresh_seed
        from holdfast.store.seeds import ENTROPY, Seed

        stored = _stored(out, kind)
        awaits = stored is not None and stored.awaits_nonce
        if chosen is not None and (self.nonce is not None or awaits):
            raise UsageError("a seed is given, but with a nonce nobody may choose the seed: leave out the seed")
        if self.nonce == LATER:
            if stored is None or awaits:
                return Seed.awaited()
            raise UsageError(
                f"{out} has a promise with a seed already; choose another folder for one that awaits a nonce"
            )
        if self.nonce is not None:
            return self._from_nonce(out, stored)
        if awaits:
            if self.only:
                return Seed.awaited()
            raise UsageError(
                f"the promise in {out} awaits the nonce of an auditor, from which its seed is derived: give the nonce"
            )
        if chosen is not None:
            return Seed(check_seed(chosen))
        if stored is not None:
            return stored.origin
        return Seed(fresh_seed(), ENTROPY)

    def _from_nonce(self, out: Where, stored: Manifest | None) -> Seed:
        from holdfast.store.seeds import Seed

        nonce = str(self.nonce)
        if stored is None:
            raise UsageError(
                f"a nonce completes a promise, and {out} has none: whoever knows the nonce first could choose among "
                f"promises. Write only the promise, with the nonce {LATER!r}, publish its digest, then have a nonce "
                "named"
            )
        if stored.awaits_nonce:
            return Seed.derived(stored.digest, nonce)
        if stored.nonce != nonce:
            found = (
                "has a seed that is derived from no nonce" if stored.nonce is None else f"has the nonce {stored.nonce}"
            )
            raise UsageError(f"the promise in {out} {found}; leave out the nonce to go on, or name another folder")
        return stored.origin


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 as manifests and results have it, in small or capital letters."""
    return len(text) == _DIGITS and set(text.lower()) <= set("0123456789abcdef")


def _stored(out: Where, kind: type[Manifest]) -> Manifest | None:
    from holdfast.store.manifest import stored_manifest

    return stored_manifest(out, kind)
