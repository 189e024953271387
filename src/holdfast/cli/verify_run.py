"""`holdfast verify` of a run, in words and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.cli import verified

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.verification.run import Verification

_WHAT = {
    "certify": "a run of certificates from votes",
    "imported": "an imported log, which is not a certificate from votes: its radii are claims of another tool",
    "bound": "a deterministic bound, which is not a certificate from votes: its radii are claims of the file until "
    "proved again (--replay)",
}
_AGAIN = {"bound": "proved again"}


def again(result: Verification) -> str:
    """How records of this kind are computed again, in words."""
    return _AGAIN.get(result.kind, "drawn again")


def lines(run: Path, result: Verification) -> list[str]:
    """What was checked, for people."""
    printed = verified.head(run, _WHAT.get(result.kind, f"of the unknown kind {result.kind!a}"), result)
    if result.claims:
        how = "compared with the records" if result.kind == "bound" else "recomputed from the votes"
        printed.append(f"{result.claims:,} claims (class, radius, class bounds) {how}")
    if result.log_lines:
        printed.append(f"{result.log_lines:,} lines of the log compared with the claims")
    if result.labels:
        printed.append(f"{result.labels:,} labels compared with the data")
    if result.replayed:
        where = " from the seed" if result.kind == "certify" else ""
        printed.append(f"{again(result)}{where}: {verified.listed(result.replayed)}")
    return printed


def questions(result: Verification) -> list[str]:
    """What was not checked."""
    others = result.records - len(result.replayed)
    votes = {
        "certify": f"that the votes of {others:,} records are those of the seed (--replay)",
        "bound": f"that {others:,} radii can be proved (--replay)",
    }
    more = [] if result.model or result.kind == "imported" else ["the model (--model)"]
    return verified.questions(result, more + ([votes[result.kind]] if others and result.kind in votes else []))


def document(run: Path, result: Verification, required: str) -> dict[str, Any]:
    """The outcome for machines."""
    return {
        "run": str(run),
        "kind": result.kind,
        **verified.document(result, required, questions(result)),
        "claims_checked": result.claims,
        "log_lines_checked": result.log_lines,
    }
