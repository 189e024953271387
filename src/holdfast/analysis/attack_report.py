"""A self-contained HTML report on one attack by itself: numbers, a curve, and pictures of what it found.

An attack on certificates is better shown beside its run (`report`): then its page has both curves.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from holdfast.analysis.attacks import summarize_attack
from holdfast.analysis.changes import LEGEND
from holdfast.analysis.gap_pictures import gap_picture
from holdfast.analysis.gaps import gap
from holdfast.analysis.html import rendered
from holdfast.analysis.report import contradicted, shown_changes, unfinished
from holdfast.analysis.wording.attacks import attack_lines, upper_curve
from holdfast.outputs import whole_file

if TYPE_CHECKING:
    from holdfast.folders import Where
    from holdfast.store.attack import AttackRun

# Pictures of as many adversarials as an attack keeps the inputs of.
_MOST = 12


def write_attack_report(attack: AttackRun, out: Where, title: str | None = None) -> None:
    """Write the report on an attack as one self-contained HTML file, completely or not at all.

    Args:
        attack: with records.
        out: the file.
        title: of the page.

    Raises:
        RunError: the attack has no records, or the files of its pictures were changed.
        MissingExtraError: jinja2, altair, vl-convert-python or pillow is not installed.
        StorageError: the file cannot be written.
    """
    summary = summarize_attack(attack)
    drawn = gap(attack, None)
    page = rendered(
        "holdfast.analysis",
        "attack_report.html",
        title=title or f"Attack on {attack.manifest.data.source}",
        written=datetime.now(timezone.utc).strftime("%d %B %Y, %H:%M UTC"),
        warnings=[
            *([unfinished(attack)] if attack.missing else []),
            *([contradicted(attack)] if attack.alarms else []),
        ],
        name=attack.folder.name,
        headline=f"{summary.attack} on {summary.subset}",
        lines=attack_lines(summary, attack.manifest, None),
        norm=summary.norm,
        picture=gap_picture(drawn),
        curve=upper_curve(drawn).replace("The upper curve", "The curve"),
        changes=shown_changes(attack, _MOST),
        change_legend=LEGEND,
        raw=attack.manifest.to_json(),
    )
    with whole_file(out) as file:
        file.write(page.encode())
