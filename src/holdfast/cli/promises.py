"""What is printed of a promise that is written before the first sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli import console
from holdfast.workflows.commitment import LATER

if TYPE_CHECKING:
    from holdfast.folders import Where
    from holdfast.store.manifest import Manifest


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
