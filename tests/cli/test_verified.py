"""What `holdfast verify` says of findings that few runs have."""

from __future__ import annotations

import pytest

from holdfast.analysis.verdicts.base import verdict
from holdfast.verification.findings import LEVELS
from holdfast.verification.run import Verification


@pytest.mark.parametrize("required", LEVELS)
def test_a_theorem_that_verify_does_not_know_is_said_whatever_is_required(required: str) -> None:
    found = Verification(
        kind="certify", examples=2, records=2, unknown="the theorem 'of tomorrow' has no second version"
    )
    first, second = verdict(found, required, "drawn again")
    assert first.startswith("UNKNOWN: no radius was checked; the files agree with themselves")
    assert second == "The theorem 'of tomorrow' has no second version."
