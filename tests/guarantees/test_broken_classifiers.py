"""Classifiers that break while they are asked are refused before they get a false certificate; functions are not."""

from __future__ import annotations

import pytest
from broken_classifiers import BROKEN, FORMS, FUNCTIONS, cases, outcome
from honest_classifiers import kinds, refused

CASES = cases()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_is_refused(name: str, form: str) -> None:
    """One noise for each, in turn; the table in docs/guarantees.md has all."""
    place = list(BROKEN).index(name) + FORMS.index(form)
    # Of votes under these, a tenth and a third at most can be wrong.
    noises = [noise for noise in CASES if noise != "uniform-flip" or form == "logits"]
    if name == "rows cached by a part":
        # A part that is dark in nearly all rows is the same for a copy by chance.
        noises.remove("ablation")
    found = outcome(BROKEN[name], CASES[noises[place % len(noises)]], form, 1.0, seed=place)
    if name == "previous for partial":
        # What is wrong is a part of one batch.
        assert found != "FALSE"
    else:
        assert found.startswith("refused"), found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("noise", CASES)
def test_functions_are_certified(name: str, form: str, noise: str) -> None:
    assert outcome(FUNCTIONS[name], CASES[noise], form, 1.0, seed=3) == "right"


@pytest.mark.parametrize("name", kinds())
def test_no_honest_classifier_is_refused(name: str) -> None:
    """Table of many more in docs/guarantees.md."""
    assert refused(kinds()[name], 2, 1000) == (0, "")
