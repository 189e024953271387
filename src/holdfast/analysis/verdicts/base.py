"""What `holdfast verify` prints of any outcome: the verdict, how far the check went, what it leaves open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from holdfast.analysis import formats
from holdfast.verification.findings import CLAIMS, DATA, FILES, INCOMPLETE, NOT_ENOUGH, REPLAY
from holdfast.verification.sample import CONFIDENCE, most_false

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holdfast.verification.findings import Findings

# What does something, in our own words: an option on the command line, an argument in Python.
OPTION = re.compile(r"@(data|model|replay|digest|results|run|require)\b")
_NOT_DECIDED = "No file can prove when, with which versions and on which device it was made."
_PHRASES = {
    CLAIMS: "the files agree with themselves, and nothing supports the radii",
    FILES: "the files agree with themselves",
    DATA: "labels and data agree with the files",
}


def digest_lines(manifest: str, results: str | None, records: int) -> list[str]:
    """Both digests, for people; that of the results only if all records exist."""
    printed = ["manifest SHA-256:", f"  {manifest}"]
    return printed + ([f"results SHA-256 ({records:,} records):", f"  {results}"] if results else [])


def head(folder: Path, what: str, outcome: Findings) -> list[str]:
    """Lines about what was read; none if the manifest itself is wrong.

    Args:
        folder: the run or attack.
        what: what the folder holds, in words.
        outcome: outcome of the check.
    """
    if not outcome.digest:
        return []
    counts = f"{outcome.records:,} records of {outcome.examples:,} examples"
    first = f"{folder} is INCOMPLETE: {counts}. It is {what}" if outcome.missing else f"{folder} is {what}: {counts}"
    return [first, *digest_lines(outcome.digest, outcome.results, outcome.records)]


def verdict(outcome: Findings, required: str, again: str) -> list[str]:
    """The verdict, and what it rests on.

    Args:
        outcome: outcome of the check.
        required: the level of --require.
        again: how records are computed again, as in "drawn again".
    """
    count = len(outcome.failures)
    if count:
        return [f"FAILED: {count} {'check' if count == 1 else 'checks'}"]
    agreed, sample = _agreed(outcome, again), sampled(outcome)
    code = outcome.exit_code(required)
    if code == INCOMPLETE:
        words = f"INCOMPLETE: {outcome.missing:,} of {outcome.examples:,} examples have no record; otherwise {agreed}."
    elif outcome.unknown:
        words = f"UNKNOWN: no radius was checked; {agreed}."
    elif outcome.undecided:
        what = f"not every record that was {again} agrees" if outcome.replayed else f"nothing was {again}"
        words = f"UNDECIDED: {what}; {agreed}."
    elif code == NOT_ENOUGH and outcome.level == CLAIMS:
        words = f"CLAIMS ONLY: {agreed}."
    elif code == NOT_ENOUGH:
        words = f"NOT ENOUGH for @require {required}: {agreed}."
    else:
        words = f"OK: {agreed}."
    also = _also(outcome, again)
    return [
        words,
        *([f"{outcome.unknown[0].upper()}{outcome.unknown[1:]}."] if outcome.unknown else []),
        *([f"{outcome.undecided[0].upper()}{outcome.undecided[1:]}."] if outcome.undecided else []),
        *([f"Also agree: {', '.join(also)}."] if also else []),
        *([f"With {formats.percent(float(CONFIDENCE), 0)}% confidence {sample}."] if sample else []),
    ]


def sampled(outcome: Findings) -> str | None:
    """What the records that were computed again say about all; None if none or all were, or some are undecided."""
    drawn = len(outcome.replayed)
    if outcome.undecided or not 0 < drawn < outcome.records:
        return None
    most = most_false(outcome.records, drawn)
    # Rounded up.
    share = -(-1000 * most // outcome.records) / 10
    return f"at most {most:,} of the {outcome.records:,} records ({share:g}%) are false"


def open_lines(questions: list[str]) -> list[str]:
    """Lines about what was not checked, and what nothing can prove."""
    return [*(["Not checked:"] if questions else []), *(f"- {each}" for each in questions), _NOT_DECIDED]


def questions(outcome: Findings, more: list[str]) -> list[str]:
    """What was not checked, each with the option that would check it.

    Args:
        outcome: outcome of the check.
        more: questions that only this kind of outcome has.
    """
    return [
        *([] if outcome.data else ["labels and data (@data)"]),
        *more,
        *(
            []
            if "manifest" in outcome.pinned
            else ["that the manifest was fixed before the first sample (@digest, if published)"]
        ),
        *([] if "results" in outcome.pinned else ["that these are the published results (@results)"]),
    ]


def document(outcome: Findings, required: str, left: list[str]) -> dict[str, Any]:
    """The part of the JSON document that all outcomes share."""
    checked = {"data": outcome.data, "model": outcome.model, "replay": bool(outcome.replayed)}
    partial = 0 < len(outcome.replayed) < outcome.records
    return {
        "ok": outcome.exit_code(required) == 0,
        "exit_code": outcome.exit_code(required),
        "level": outcome.level,
        "checked": ["files", *(name for name, done in checked.items() if done)],
        "published": outcome.pinned,
        "digest": outcome.digest,
        "promise": outcome.promise,
        "nonce": outcome.nonce,
        "results": outcome.results or None,
        "examples": outcome.examples,
        "records": outcome.records,
        "missing": outcome.missing,
        "labels_checked": outcome.labels,
        "replayed": sorted(outcome.replayed),
        "false_at_most": most_false(outcome.records, len(outcome.replayed)) if partial else None,
        "unknown": outcome.unknown or None,
        "undecided": outcome.undecided or None,
        "failures": outcome.failures,
        "notes": outcome.notes,
        "not_checked": [as_options(each) for each in left],
    }


def as_options(text: str) -> str:
    """Our own words as the command line has them: what does something is an option."""
    return OPTION.sub(r"--\1", text)


def beside(place: str, lines: list[str], spell: Callable[[str], str]) -> list[str]:
    """Lines of our own words, spelled, of which some begin with a path that somebody chose."""
    return [place + spell(text[len(place) :]) if text.startswith(place) else text for text in lines]


def listed(indices: list[int], most: int = 12) -> str:
    """Indices in order; of many, the first ones and the number of the others."""
    shown = ", ".join(map(str, sorted(indices)[:most]))
    return shown if len(indices) <= most else f"{shown} and {len(indices) - most:,} more"


def _agreed(outcome: Findings, again: str) -> str:
    """How far the check went, in words."""
    if outcome.level == REPLAY:
        sources = "seed, model and data" if outcome.seeded else "model and data"
        return f"all {outcome.records:,} records {again} from {sources}"
    return _PHRASES[outcome.level]


def _also(outcome: Findings, again: str) -> list[str]:
    """What else agrees."""
    whole = outcome.level == REPLAY
    return [
        *(["the model"] if outcome.model and not whole else []),
        *(
            [f"{len(outcome.replayed):,} of {outcome.records:,} records {again}"]
            if outcome.replayed and not whole
            else []
        ),
        *(f"the published digest of the {name}" for name in outcome.pinned),
    ]
