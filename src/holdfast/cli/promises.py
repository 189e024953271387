"""Print a manifest that is published before the first sample, as a promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.terminal import console
from holdfast.workflows.commitment import LATER

if TYPE_CHECKING:
    from holdfast.folders import Where
    from holdfast.store.manifest import Manifest


def tell(out: Where, kind: type[Manifest], as_json: bool) -> None:
    """Print the digest of the manifest in a folder, and what to do next."""
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
    console.say(f"{out}: {'the manifest is written, nothing was computed' if not records else 'manifest'}")
    console.say("manifest SHA-256:")
    console.say(f"  {stored.digest}")
    if stored.awaits_nonce:
        console.note(
            "Publish this digest, then have an auditor name a nonce. To continue, run the same command with --nonce "
            f"HEX instead of --promise-only --nonce {LATER}"
        )
    else:
        console.note(
            "Publish this digest. To continue from this manifest only, run the same command with --promise DIGEST"
        )
    if records:
        console.warn(
            f"{out} has {records:,} records already: the digest does not show that it came before the first one"
        )
