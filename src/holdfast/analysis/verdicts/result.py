"""The outcome of a verification as an object."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from holdfast.analysis.shown import html_lines
from holdfast.analysis.verdicts import attacks, base, runs
from holdfast.errors import RunError
from holdfast.verification.attack import AttackVerification
from holdfast.verification.run import Verification
from holdfast.visible import visible

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.verification.findings import Findings

_REQUIRED = re.compile(r"@require (\w+)")
_NAMES = {"run": "certification"}
# Failures that a message names.
_SHOWN = 10


@final
@dataclass(frozen=True, eq=False, repr=False)
class VerificationResult:
    """What `verify` found. `print(result)` tells it in sentences, as `holdfast verify` does.

    Attributes:
        folder: of the run or the attack.
        found: everything that was checked, and what is wrong.
        required: how far the check has to go to be enough: "claims", "files", "data" or "replay".
    """

    folder: Path
    found: Findings
    required: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, nothing is missing, and as much was checked as is required."""
        return self.found.exit_code(self.required) == 0

    @property
    def failures(self) -> list[str]:
        """What is wrong, a line each."""
        return list(self.found.failures)

    @property
    def notes(self) -> list[str]:
        """What else a reader should know."""
        return list(self.found.notes)

    @property
    def level(self) -> str:
        """How far the check went: "claims", "files", "data" or "replay"."""
        return self.found.level

    @property
    def replayed(self) -> list[int]:
        """Indices of the examples that were computed again."""
        return sorted(self.found.replayed)

    @property
    def not_checked(self) -> list[str]:
        """What was not checked, each with the argument that would check it."""
        return [_in_python(text) for text in self._questions()]

    def raise_for_failures(self) -> None:
        """Do nothing if `ok`.

        Raises:
            RunError: something is wrong or missing, or less was checked than is required.
        """
        if self.ok:
            return
        more = len(self.found.failures) - _SHOWN
        raise RunError(
            f"{self.folder}: {' '.join(self._verdict())}",
            *self.found.failures[:_SHOWN],
            *([f"and {more} more"] if more > 0 else []),
        )

    def to_dict(self) -> dict[str, Any]:
        """The outcome as `holdfast verify --json` prints it."""
        found = self.found
        if isinstance(found, AttackVerification):
            return attacks.document(self.folder, found, self.required)
        assert isinstance(found, Verification)
        return runs.document(self.folder, found, self.required)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<VerificationResult '{visible(self.folder)}': {self._verdict()[0]}>"

    def _repr_html_(self) -> str:
        return html_lines(self._lines())

    def _lines(self) -> list[str]:
        found = self.found
        if isinstance(found, AttackVerification):
            checked = attacks.lines(self.folder, found)
        else:
            assert isinstance(found, Verification)
            checked = runs.lines(self.folder, found)
        # The path is a name of somebody's choice, the rest our own words.
        checked = base.beside(str(self.folder), checked, _in_python)
        left = [] if found.failures else base.open_lines(self.not_checked)
        notes, wrong = [f"Note: {note}." for note in found.notes], [f"Error: {each}" for each in found.failures]
        return [*checked, *notes, *wrong, *self._verdict(), *left]

    def _verdict(self) -> list[str]:
        found = self.found
        again = attacks.AGAIN
        if not isinstance(found, AttackVerification):
            assert isinstance(found, Verification)
            again = runs.again(found)
        return [_in_python(text) for text in base.verdict(found, self.required, again)]

    def _questions(self) -> list[str]:
        found = self.found
        if isinstance(found, AttackVerification):
            return attacks.questions(found)
        assert isinstance(found, Verification)
        return runs.questions(found)


def _in_python(text: str) -> str:
    """Our own words with arguments in the place of options."""
    text = _REQUIRED.sub(r'require="\1"', text)
    return base.OPTION.sub(lambda found: f"{_NAMES.get(found[1], found[1])}=", text)
