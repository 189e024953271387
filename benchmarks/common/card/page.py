"""The page about a card, from the results: every row is there from the beginning, and says where it is not measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common.card.plan import SHARES, parts_of

Part = dict[str, Any]
Rows = list[Sequence[str]]

NOT_MEASURED = "not measured"
_PRECISIONS = ("float32", "bfloat16", "int8", "fp8")
_SMOKE = "**A smoke run: its sizes are so small that no figure here means anything.**\n\n"
_HEAD = """# A CUDA card

`python benchmarks/gpu.py --minutes 9 --out DIR` measures all of this on one card; `python benchmarks/gpu.py --page`
makes the page from its results, `docs/measurements/gpu.json`. What nobody has measured says so.
[Benchmarks](BENCHMARKS) describes the command; conditions of each part are in the last table.
"""
_TEXTS = {
    "tests": "## Tests\n\nTests with the marker `cuda`, which are skipped where there is no card.\n",
    "speed": (
        "## Speed\n\nThe engine and the loop of published code (batches of 1,000, float32, TF32 off; and with torch's "
        "own settings, which allow TF32) take turns; medians, with the range of the rounds. The ceiling is a large "
        "matrix product in the precision. Shares of the engine's time are those of a run that waits for the card "
        "between the parts, and takes so many times as long (waiting). Waits are operations of a batch for which the "
        "host waits for the card; gpu.json names their lines.\n"
    ),
    "votes": (
        "## The same votes on processor and card\n\nVotes for noise that the processor drew, and for all blocks of a "
        "partition. A near tie is a row whose two largest logits in float64 are closer than the rounding of the "
        "precision; the other votes that differ are the sure ones.\n"
    ),
    "kill": "## Kill -9\n\nWork is killed on the card, the same command goes on, and a whole run is the comparison.\n",
    "work": (
        "## Trainings and certifications\n\nEach call goes on where the last one ended. Consistency training on "
        "CIFAR-10 follows Jeong & Shin 2020.\n"
    ),
}


def page_of(path: Path) -> str:
    """The page for docs/ from a file of results, or without any if there is none."""
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return page(results, "../../benchmarks/README.md")


def page(results: dict[str, Any], benchmarks: str = "benchmarks/README.md") -> str:
    """The page in Markdown.

    Args:
        results: as `results.Results` writes them; {} for none.
        benchmarks: link to the page about benchmarks.
    """
    smoke, parts = bool(results.get("smoke")), results.get("parts", {})
    text = (_SMOKE if smoke else "") + _HEAD.replace("BENCHMARKS", benchmarks)
    found = {step: {part: parts.get(f"{step}/{part}", {}) for part in _known(step, parts, smoke)} for step in SHARES}
    tables = {"tests": _tests, "speed": _speed, "votes": _votes, "kill": _kill, "work": _work}
    for step, table in tables.items():
        text += f"\n{_TEXTS[step]}\n{table(found[step])}"
    return text + "\n## Conditions\n\n" + _conditions(found) + _errors(found)


def _known(step: str, parts: Part, smoke: bool) -> list[str]:
    """The parts that belong to a step, and any other that has results."""
    others = [key.partition("/")[2] for key in parts if key.startswith(f"{step}/")]
    return list(dict.fromkeys([*parts_of(step, smoke), *others]))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([*row, *[""] * (len(head) - len(row))] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _state(part: Part) -> str:
    """Why a part has no figures."""
    if not part:
        return NOT_MEASURED
    last = ((part.get("reason") or "").splitlines() or [""])[-1].replace("|", "/")
    return f"{NOT_MEASURED}: {part['status']}{f' ({last})' if last else ''}"


def _tests(parts: dict[str, Part]) -> str:
    rows: Rows = []
    for name, part in parts.items():
        found = part.get("found")
        if not found:
            rows.append([name, _state(part)])
            continue
        counts = [str(found[key]) for key in ("collected", "passed", "failed", "skipped")]
        rows.append([name, part["status"], *counts, f"{part['seconds']:.0f} s"])
    return _table(["", "outcome", "tests", "passed", "failed", "skipped", "time"], rows)


def _speed(parts: dict[str, Part]) -> str:
    rows: Rows = []
    limits: Rows = []
    for name, part in parts.items():
        found = part.get("found")
        if not found:
            rows += [[name, "", precision, _state(part)] for precision in _PRECISIONS]
            limits += [[name, precision, _state(part)] for precision in _PRECISIONS]
            continue
        loops = {kind: f"{each['samples_per_second']:,.0f}" for kind, each in found["loops"].items()}
        label = f"{name}, {found['noise']}; loop {loops['plain']}, with TF32 {loops['plain_tf32']} samples/s"
        for number, row in enumerate(sorted(found["rows"], key=lambda row: _PRECISIONS.index(row["precision"]))):
            rows.append([label if number == 0 else "", row.get("backend", ""), row["precision"], *_cells(row)])
        limits += [[name, kind, *_limit(limit)] for kind, limit in found["ceilings"].items()]
    head = [
        "network",
        "backend",
        "precision",
        "samples/s",
        "x loop",
        "x loop with TF32",
        "of ceiling",
        "noise",
        "forward",
    ]
    table = _table([*head, "counting", "near ties", "waiting", "waits", "batch"], rows)
    return f"{table}\nLarge matrix products, in the minutes of each network:\n\n" + _table(
        ["network", "precision", "TFLOP/s", "size"], limits
    )


def _cells(row: Part) -> list[str]:
    if "reason" in row:
        last = row["reason"].splitlines()[-1].replace("|", "/")
        return [f"{NOT_MEASURED}: {last}"]
    low, high = row["times_plain_range"]
    shares = row.get("shares", {})
    return [
        f"{row['samples_per_second']:,.0f}",
        f"{row['times_plain']:.2f} ({low:.2f} to {high:.2f})",
        f"{row['times_plain_tf32']:.2f}",
        f"{row['of_ceiling']:.0%}" if "of_ceiling" in row else NOT_MEASURED,
        *(f"{shares[stage]:.0%}" if shares else NOT_MEASURED for stage in ("noise", "forward", "count", "near ties")),
        f"{row['waiting_costs']:.2f}" if shares else NOT_MEASURED,
        f"{row['waits_a_batch']:.1f}" if shares else NOT_MEASURED,
        f"{row['batch']:,}",
    ]


def _limit(limit: Part) -> list[str]:
    if "reason" in limit:
        return [f"{NOT_MEASURED}: {limit['reason'].replace('|', '/')}"]
    return [f"{limit['flop_per_second'] / 1e12:,.2f}", f"{limit['size']:,}"]


def _votes(parts: dict[str, Part]) -> str:
    rows: Rows = []
    for name, part in parts.items():
        found = part.get("found")
        if not found:
            rows.append([name, _state(part)])
        elif "same_noise" in found:
            same = [noise for noise, equal in found["same_noise"].items() if equal]
            words = f"of {len(found['same_noise'])} noises, {', '.join(same) or 'none'} draw the same values on both"
            rows.append([name, words])
        elif "precisions" in found:
            for precision, count in found["precisions"].items():
                rows.append([f"{name}, {found['noise']}", precision, *_counted(count)])
        else:
            rows.append([f"{name}, {found['noise']}", "float32", f"{found['votes']:,}", f"{found['differing']:,}"])
    return _table(["", "precision", "votes", "differing", "of these sure", "near ties"], rows)


def _counted(count: dict[str, int]) -> list[str]:
    return [f"{count[key]:,}" for key in ("votes", "differing", "differing_sure", "near_ties")]


def _kill(parts: dict[str, Part]) -> str:
    rows: Rows = []
    for name, part in parts.items():
        found = part.get("found")
        if not found:
            rows.append([name, _state(part)])
        elif name == "certify":
            kills = ", ".join(map(str, found["records_when_killed"])) or "no"
            words = f"{found['records']} records; killed with {kills} of them"
            rows.append([name, f"the same votes: {_yes(found['same_votes'])}", words])
        else:
            words = f"{found['epochs']} epochs; killed: {_yes(found['was_killed'])}"
            difference = f"(largest difference {found['largest_difference']:.2g})"
            rows.append([name, f"the same weights: {_yes(found['same_weights'])} {difference}", words])
    return _table(["", "outcome", "work"], rows)


def _yes(value: bool) -> str:
    return "yes" if value else "**no**"


def _work(parts: dict[str, Part]) -> str:
    rows: Rows = []
    for name, part in parts.items():
        found = part.get("found")
        if not found:
            rows.append([name, _state(part)])
        elif "samples_per_second" in found:
            words = f"{found['samples_per_second']:,.0f} samples/s over {found['seconds']:.0f} s"
            rows.append([name, part["status"], words, f"{found['backend']}, {found['precision']}, {found['noise']}"])
        elif "certified_accuracy" in found:
            shares = ", ".join(f"{100 * share[0]:.1f}% at {at}" for at, share in found["certified_accuracy"].items())
            words = f"{found['images']:,} images: {shares} ({found['norm']})"
            rows.append([name, part["status"], words, _spent(found)])
        else:
            epochs = f"; {found['epochs']} epochs are done" if found["epochs"] is not None else ""
            words = f"{NOT_MEASURED}: {part['reason']}{epochs}; {found['records']:,} records"
            rows.append([name, part["status"], words, _spent(found)])
    return _table(["", "outcome", "", ""], rows)


def _spent(found: Part) -> str:
    return ", ".join(f"{command} {seconds:,.0f} s" for command, seconds in found["seconds_of"].items())


def _conditions(found: dict[str, dict[str, Part]]) -> str:
    rows: Rows = []
    for step, parts in found.items():
        for name, part in parts.items():
            known = part.get("conditions")
            if not known:
                rows.append([f"{step}/{name}", NOT_MEASURED])
                continue
            late = part.get("clocks_at_the_end") or {}
            clocks = f"{known.get('sm_clock_mhz', '?')} then {late.get('sm_clock_mhz', '?')} MHz"
            versions = (
                f"torch {known['torch']}, CUDA {known.get('cuda', 'none')}, driver {known.get('driver', 'unknown')}"
            )
            rows.append([f"{step}/{name}", known["card"], versions, clocks, known["date"], _commit(known["commit"])])
    return _table(["", "card", "versions", "clock", "date", "commit"], rows)


def _commit(known: str) -> str:
    """The beginning of a commit, and what else is said of it."""
    commit, _, further = known.partition(" ")
    return f"{commit[:12]} {further}".strip()


def _errors(found: dict[str, dict[str, Part]]) -> str:
    """Tracebacks of the parts that failed, and tests that did."""
    text = ""
    for step, parts in found.items():
        for name, part in parts.items():
            for each in (part, part.get("later", {})):
                if each.get("status") == "failed":
                    text += f"\n### {step}/{name} failed\n\n```\n{each['reason']}\n```\n"
            for test in part.get("found", {}).get("tests", []):
                if test["outcome"] == "failed":
                    text += f"\n`{test['test']}`:\n\n```\n{test['words']}\n```\n"
    return f"\n## Errors\n{text}" if text else ""
