"""Where a seed comes from: somebody chose it, it was drawn, or it follows from an auditor's nonce.

A derived seed is a function of the digest of the promise without a seed, and of a nonce that was named when that digest
was known already (docs/guarantees.md, "A promise, and a seed that nobody chose").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import UsageError
from holdfast.plain import Plain
from holdfast.store.digests import manifest_digest

CHOSEN, ENTROPY, DERIVED = "chosen", "entropy", "derived"

# Entries of a promise that has a seed; what earlier versions did not note is left out.
SEED_ORIGIN, NONCE, PROMISE = "seed_origin", "nonce", "promise"
NOTED_LATER = (SEED_ORIGIN, NONCE, PROMISE)

_DOMAIN = "holdfast seed 1"
_SEED_BITS, _HASH_BITS = 63, 256
_FEWEST_DIGITS, _MOST_DIGITS = 32, 128
_HEXADECIMAL = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Seed(Plain):
    """A seed, and where it comes from.

    Attributes:
        value: number of 63 bits; None where there is none yet, since the nonce is still to come.
        origin: "chosen", "entropy" or "derived"; None where an earlier version did not note it.
        nonce: nonce that it is derived from, in hexadecimal; None for none.
        promise: digest of the promise that it is derived from; None for none.
    """

    value: int | None
    origin: str | None = CHOSEN
    nonce: str | None = None
    promise: str | None = None

    @classmethod
    def awaited(cls) -> Seed:
        """One that will be derived from a nonce."""
        return cls(None, DERIVED)

    @classmethod
    def derived(cls, promise: str, nonce: str) -> Seed:
        """The one that follows from the digest of a promise and a nonce.

        Raises:
            UsageError: no nonce.
        """
        checked = checked_nonce(nonce)
        return cls(derived_seed(promise, checked), DERIVED, checked, promise)

    def entries(self) -> dict[str, Any]:
        """The fields of a manifest for this seed."""
        return {"seed": self.value, SEED_ORIGIN: self.origin, NONCE: self.nonce, PROMISE: self.promise}


def seeded(seed: int | Seed) -> Seed:
    """A seed with its origin: a number by itself was chosen."""
    return seed if isinstance(seed, Seed) else Seed(seed)


def derived_seed(promise: str, nonce: str) -> int:
    """The upper 63 bits of the SHA-256 of a name, the digest of a promise and a nonce, each on a line of its own."""
    text = f"{_DOMAIN}\n{promise}\n{nonce}\n"
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") >> (_HASH_BITS - _SEED_BITS)


def promise_digest(entries: Mapping[str, Any]) -> str:
    """The digest of a promise before its nonce was known: without nonce, and with null for the seed."""
    before = {key: value for key, value in entries.items() if key not in (NONCE, PROMISE)}
    return manifest_digest({**before, "seed": None})


def checked_nonce(text: str) -> str:
    """A nonce as manifests have it: whole bytes in small hexadecimal digits, 16 to 64 of them.

    Raises:
        UsageError: it is something else.
    """
    nonce = text.lower()
    if not (_is_hexadecimal(nonce) and _FEWEST_DIGITS <= len(nonce) <= _MOST_DIGITS and len(nonce) % 2 == 0):
        raise UsageError(
            f"a nonce is {_FEWEST_DIGITS} to {_MOST_DIGITS} hexadecimal digits, an even number of them, got {text!r}; "
            "`openssl rand -hex 16` makes one that nobody can guess"
        )
    return nonce


def check_derivation(entries: Mapping[str, Any]) -> None:
    """Raise ValueError unless a seed that is derived follows from its promise and its nonce.

    Args:
        entries: entries of a promise, as its schema has them.
    """
    nonce = entries.get(NONCE)
    if nonce is None:
        return
    expected = promise_digest(entries)
    if entries[PROMISE] != expected:
        raise ValueError(f"the entry promise is not the digest of the other entries before the nonce, {expected}")
    if entries["seed"] != derived_seed(expected, nonce):
        raise ValueError("the entry seed is not the one that follows from the promise and the nonce")


def _is_hexadecimal(text: str) -> bool:
    return _HEXADECIMAL.issuperset(text)
