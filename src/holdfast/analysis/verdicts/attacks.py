"""`holdfast verify` of an attack, in words and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.analysis.verdicts import base

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.verification.attack import AttackVerification

AGAIN = "attacked again"


def lines(folder: Path, result: AttackVerification) -> list[str]:
    """What was checked, for people."""
    printed = base.head(folder, "an attack", result)
    if printed:
        printed.append(
            f"{result.adversarials:,} adversarials have the hash of their record, and lie in the range of inputs"
        )
    if result.labels:
        printed.append(f"{result.labels:,} labels compared with the data")
    if result.distances:
        printed.append(f"{result.distances:,} adversarials lie as far from the unchanged inputs as recorded")
    if result.certified:
        printed.append(f"{result.certified:,} records compared with the certificates that were attacked")
    if result.answers:
        printed.append(f"{result.answers:,} answers of the classifier asked for again")
    if result.replayed:
        printed.append(f"{AGAIN} from the seed: {base.listed(result.replayed)}")
    return printed


def questions(result: AttackVerification) -> list[str]:
    """What was not checked."""
    others = result.records - len(result.replayed)
    more = [] if result.model else ["the model and its answers (@model)"]
    if others:
        more.append(f"that the attack found no more on {others:,} examples (@replay)")
    if result.certification is not None and not result.certified:
        more.append("that the certificates are those of the run that was attacked (@run)")
    return base.questions(result, more)


def document(folder: Path, result: AttackVerification, required: str) -> dict[str, Any]:
    """The outcome for machines."""
    return {
        "attack": str(folder),
        **base.document(result, required, questions(result)),
        "adversarials_checked": result.adversarials,
        "distances_checked": result.distances,
        "answers_checked": result.answers,
        "certificates_checked": result.certified,
    }
