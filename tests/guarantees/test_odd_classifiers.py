"""A hunt for false certificates: odd base classifiers are certified right, or refused with the reason."""

from __future__ import annotations

import pytest
from odd_classifiers import FORMS, FUNCTIONS, NOT_WITH_OFFSET, ODD, Case, cases, engines, outcome

CASES = cases()


@pytest.mark.parametrize("noise", CASES)
@pytest.mark.parametrize(
    ("name", "form"),
    [(name, form) for name in ODD for form in FORMS if form != "offset" or name not in NOT_WITH_OFFSET],
)
def test_no_odd_classifier_gets_a_false_certificate(name: str, form: str, noise: str) -> None:
    found = outcome(name, CASES[noise], engines()["python"], form)
    assert not found.startswith("FALSE"), found
    if noise == "runoff" and form == "votes":
        # Odd ones may be refused for what they are, before.
        assert found.startswith("refused: ")
        assert name not in FUNCTIONS or "a run-off ranks classes by logits" in found
    elif name in FUNCTIONS:
        assert found == "certified right"


@pytest.mark.parametrize("place", range(len(ODD)))
def test_no_odd_classifier_gets_one_from_other_processes(place: int) -> None:
    """One noise for each, in turn; the table in docs/guarantees.md has all."""
    name, noise = list(ODD)[place], list(CASES)[place % len(CASES)]
    found = outcome(name, CASES[noise], engines()["processes:2"])
    assert not found.startswith("FALSE"), found
    if name in FUNCTIONS:
        assert found == "certified right"


@pytest.mark.parametrize("noise", CASES)
def test_the_hunt_would_find_a_false_certificate(noise: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An overconfident classifier that is a function gets a radius beyond the honest one's."""
    from odd_classifiers import Honest, sure

    class Sure(Honest):
        def __call__(self, z):
            return sure(z)

    monkeypatch.setitem(ODD, "sure", Sure)
    case: Case = CASES[noise]
    assert outcome("sure", case, engines()["python"]).startswith("FALSE")
