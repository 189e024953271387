"""`holdfast verify` of a run, in words and for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.analysis.verdicts import base

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.verification.run import Verification


@dataclass(frozen=True)
class _Words:
    """What is said of a kind of run.

    Attributes:
        what: it is.
        checked: how its claims were checked.
        again: how its records are computed again.
        model: whether there is a model to compare.
        open: what is left open of records that were not computed again, with `{}` for their number and `{source}` for
            what votes come from; empty for nothing.
    """

    what: str
    checked: str = "recomputed from the votes"
    again: str = "drawn again"
    model: bool = True
    open: str = ""


_KINDS = {
    "certify": _Words(
        "a run of certificates from votes",
        open="that the votes of {:,} records are those of the {source} (@replay)",
    ),
    "imported": _Words(
        "an imported log, which is not a certificate from votes: its radii are claims of another tool", model=False
    ),
    "bound": _Words(
        "a deterministic bound, which is not a certificate from votes: its radii are claims of the file until proved "
        "again (@replay)",
        checked="compared with the records",
        again="proved again",
        open="that {:,} radii can be proved (@replay)",
    ),
}


def _words(result: Verification) -> _Words:
    """By its kind, which is empty where the manifest itself is wrong."""
    return _KINDS.get(result.kind, _Words(f"of the unknown kind {result.kind!a}"))


def again(result: Verification) -> str:
    """How records of this kind are computed again."""
    return _words(result).again


def lines(run: Path, result: Verification) -> list[str]:
    """What was checked, for people."""
    words = _words(result)
    printed = base.head(run, words.what, result)
    if result.claims:
        printed.append(f"{result.claims:,} claims (class, radius, class bounds) {words.checked}")
    if result.log_lines:
        printed.append(f"{result.log_lines:,} lines of the log compared with the claims")
    if result.labels:
        printed.append(f"{result.labels:,} labels compared with the data")
    if result.replayed:
        source = " from the seed" if result.seeded else ""
        printed.append(f"{words.again}{source}: {base.listed(result.replayed)}")
    return printed


def questions(result: Verification) -> list[str]:
    """What was left open."""
    words, others = _words(result), result.records - len(result.replayed)
    model = ["the model (@model)"] if words.model and not result.model else []
    records = [words.open.format(others, source="seed" if result.seeded else "model")] if words.open and others else []
    return base.questions(result, model + records)


def document(run: Path, result: Verification, required: str) -> dict[str, Any]:
    """The outcome for machines."""
    return {
        "run": str(run),
        "kind": result.kind,
        **base.document(result, required, questions(result)),
        "claims_checked": result.claims,
        "log_lines_checked": result.log_lines,
    }
