"""Promises that come before the first sample, on the command line: written alone, expected by digest, with a nonce."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.cli import console
from holdfast.errors import RunError, UsageError

if TYPE_CHECKING:
    from holdfast.folders import Where
    from holdfast.store.manifest import Manifest
    from holdfast.store.seeds import Seed

# In the place of a nonce that an auditor will name once the promise is known.
LATER = "later"
_DIGITS = 64


@dataclass(frozen=True)
class Beforehand:
    """What the options say of the promise.

    Attributes:
        only: it is written, and nothing else is done.
        digest: that the promise in the folder must have; None for any.
        nonce: that its seed is derived from; "later" for one that is still to come, None for no such seed.

    Raises:
        UsageError: no digest or no nonce, or one that is to come later when sampling is to begin now.
    """

    only: bool = False
    digest: str | None = None
    nonce: str | None = None

    def __post_init__(self) -> None:
        from holdfast.store.seeds import checked_nonce

        if self.digest is not None and not is_digest(self.digest):
            raise UsageError(
                f"--promise is a digest of {_DIGITS} hexadecimal digits, as it was printed; got {self.digest!r}"
            )
        if self.nonce == LATER and not self.only:
            raise UsageError(f"--nonce {LATER} goes with --promise-only; to sample, give the nonce that was named")
        if self.nonce not in (None, LATER):
            object.__setattr__(self, "nonce", checked_nonce(self.nonce))

    def check(self, out: Where, kind: type[Manifest]) -> None:
        """Refuse a folder with another promise than the one whose digest is expected, before anything is computed.

        Raises:
            UsageError: the folder has no promise at all.
            RunError: it has another one.
        """
        if self.digest is None:
            return
        stored = _stored(out, kind)
        if stored is None:
            raise UsageError(
                f"--promise is the digest of the promise in {out}, and there is none: one that was made now would have "
                "another time, and so another digest. Write it with --promise-only, publish the digest that is "
                "printed, then give that"
            )
        if self.digest.lower() not in (stored.digest, stored.promise):
            raise RunError(
                f"{out} has the promise {stored.digest}, --promise expects {self.digest}: nothing was computed. Name "
                "the folder in which the promise of that digest was written"
            )

    def seed(self, out: Where, kind: type[Manifest], asked: int | None) -> Seed:
        """The seed: that of the promise in the folder, the one that is asked for, one from a nonce, or a fresh one.

        Raises:
            UsageError: a nonce without a promise that awaits it, or the reverse; a seed beside a nonce.
        """
        from holdfast.sampling.rng import check_seed, fresh_seed
        from holdfast.store.seeds import ENTROPY, Seed

        stored = _stored(out, kind)
        awaits = stored is not None and stored.awaits_nonce
        if asked is not None and (self.nonce is not None or awaits):
            raise UsageError("--seed chooses a seed, and a nonce is there so that nobody can: leave out --seed")
        if self.nonce == LATER:
            if stored is None or awaits:
                return Seed.awaited()
            raise UsageError(
                f"{out} has a promise with a seed already; choose another --out for one that awaits a nonce"
            )
        if self.nonce is not None:
            return self._from_nonce(out, stored)
        if awaits:
            if self.only:
                return Seed.awaited()
            raise UsageError(
                f"the promise in {out} awaits the nonce of an auditor, from which its seed is derived: give --nonce HEX"
            )
        if asked is not None:
            return Seed(check_seed(asked))
        if stored is not None:
            return stored.origin
        return Seed(fresh_seed(), ENTROPY)

    def _from_nonce(self, out: Where, stored: Manifest | None) -> Seed:
        from holdfast.store.seeds import Seed

        nonce = str(self.nonce)
        if stored is None:
            raise UsageError(
                f"--nonce completes a promise, and {out} has none: whoever knows the nonce first could choose among "
                f"promises. Write one with --promise-only --nonce {LATER}, publish its digest, then have a nonce named"
            )
        if stored.awaits_nonce:
            return Seed.derived(stored.digest, nonce)
        if stored.nonce != nonce:
            found = (
                "has a seed that is derived from no nonce" if stored.nonce is None else f"has the nonce {stored.nonce}"
            )
            raise UsageError(f"the promise in {out} {found}; leave out --nonce to go on, or name another folder")
        return stored.origin


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 as those of manifests and results are printed, or in capitals."""
    return len(text) == _DIGITS and set(text.lower()) <= set("0123456789abcdef")


def tell(out: Where, kind: type[Manifest], as_json: bool) -> None:
    """Print the digest of the promise that lies in a folder, and what is to be done with it."""
    from holdfast.store.folder import whole_lines
    from holdfast.store.manifest import read_manifest

    stored, records = read_manifest(out, kind), len(whole_lines(out))
    if as_json:
        console.print_json(
            {
                "folder": str(out),
                "digest": stored.digest,
                "awaits_nonce": stored.awaits_nonce,
                "seed_origin": stored.seed_origin,
                "records": records,
            }
        )
        return
    console.say(f"{out}: {'the promise is written, nothing was computed' if not records else 'promise'}")
    console.say("manifest SHA-256:")
    console.say(f"  {stored.digest}")
    if stored.awaits_nonce:
        console.note(
            "Publish this digest, then have an auditor name a nonce; the same command with --nonce HEX in the place of "
            f"--promise-only --nonce {LATER} goes on from here"
        )
    else:
        console.note("Publish this digest; the same command with --promise DIGEST goes on from here, and from no other")
    if records:
        console.warn(f"{out} has {records:,} records: this is no promise before the first one")


def _stored(out: Where, kind: type[Manifest]) -> Manifest | None:
    from holdfast.store.manifest import stored_manifest

    return stored_manifest(out, kind)
