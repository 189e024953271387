"""That a seed or a subset was chosen stands wherever numbers do, in few words."""

import csv
import io

import pytest
from synthetic_runs import data as promised_data
from synthetic_runs import four, imported, votes, write_run
from synthetic_runs import manifest as made

from holdfast.analysis import choices, settings, tables, wording
from holdfast.analysis.choices import SEED, SUBSET
from holdfast.analysis.plots import write_plot
from holdfast.analysis.report import write_report
from holdfast.analysis.summaries import summarize
from holdfast.store.seeds import CHOSEN, DERIVED, ENTROPY

BEST = "the best of many looks better than it is"
BOTH = f"Seed and subset were chosen by whoever made the run: {BEST}."


def run(folder, origin=None, size=4, **changes):
    """Four examples of a split, with a seed of that origin; all of it, or the first ones."""
    promise = promised_data(size, limit=4 if size > 4 else None)
    promised = made(promise, seed=None if origin == DERIVED else 7, seed_origin=origin, **changes)
    if origin == DERIVED:
        promised = promised.with_nonce("ab" * 16)
    return write_run(folder, promised, [votes(index, index, index, 900 + index) for index in range(4)])


@pytest.mark.parametrize(
    ("origin", "size", "chosen"),
    [
        (CHOSEN, 4, (SEED,)),
        (CHOSEN, 8, (SEED, SUBSET)),
        (ENTROPY, 8, (SUBSET,)),
        (DERIVED, 8, (SUBSET,)),
        (ENTROPY, 4, ()),
        (DERIVED, 4, ()),
        (None, 4, ()),
    ],
)
def test_what_was_chosen_is_in_table_json_report_and_nowhere_else(tmp_path, origin, size, chosen):
    """A derived seed says nothing of the subset: which examples are easy can be seen under any other seed."""
    found = run(tmp_path / "run", origin, size)
    summary = summarize(found, [0.25])
    (row,) = tables.as_json([summary])
    assert (row["seed_origin"], row["chosen"]) == (origin, list(chosen))
    expected = choices.caution(chosen)
    texts = [tables.caption([summary]), " ".join(tables.markdown([summary]).split()), tables.latex([summary])]
    write_report([found], tmp_path / "r.html")
    texts.append((tmp_path / "r.html").read_text())
    for text in texts:
        assert (BEST in text) == bool(chosen)
        assert expected is None or expected in text
    (line,) = csv.DictReader(io.StringIO(tables.csv_text([summary])))
    assert line["Chosen"] == " and ".join(chosen)
    assert bool(chosen) == any(BEST in each for each in wording.words_of(found).warnings())


def test_the_sentence_is_short_and_said_once(tmp_path):
    first, second, third = (
        summarize(run(tmp_path / name, origin, size), [0.25])
        for name, origin, size in (("a", CHOSEN, 8), ("b", CHOSEN, 8), ("c", ENTROPY, 8))
    )
    assert tables.caption([first, second]).count(BEST) == 1
    assert BOTH in tables.caption([first, second])
    assert len(BOTH) < 2 * 80
    mixed = tables.caption([first, third])
    assert f"Chosen by whoever made the runs: seed and subset of a; subset of c; {BEST}." in mixed


def test_the_page_says_where_the_seed_comes_from(tmp_path):
    for origin, words in ((CHOSEN, "may have tried others"), (ENTROPY, "as whoever made the run says"), (None, None)):
        entries = {each.name: each for each in settings.entries(run(tmp_path / str(origin), origin))}
        assert ("Origin of the seed" in entries) == bool(words)
        assert words is None or words in entries["Origin of the seed"].meaning
    found = run(tmp_path / "derived", DERIVED)
    entries = {each.name: each.value for each in settings.entries(found)}
    assert (entries["Nonce"], entries["Digest of the promise"]) == ("ab" * 16, found.manifest.promise)
    assert any("was not known before the auditor's nonce" in each for each in wording.words_of(found).not_proved())


def test_nothing_is_said_where_there_is_no_choice_or_no_promise(tmp_path):
    assert imported(tmp_path / "log").chosen == ()
    assert four(tmp_path / "four").chosen == ()
    exact = {"name": "exact", "n": 16}
    noise = {"name": "partition", "k": 4, "pattern": "strided", "null": "multichannel", "fill": None}
    certain = made(promised_data(4), noise, estimator=exact, guarantee="partition", n0=0, seed=7, seed_origin=CHOSEN)
    assert write_run(tmp_path / "exact", certain, []).chosen == (), "no seed changes what every realization says"


def test_plots_say_it_too(tmp_path):
    write_plot([run(tmp_path / "run", CHOSEN, 8)], tmp_path / "p.svg")
    text = (tmp_path / "p.svg").read_text()
    assert "chosen" in text or "<text" not in text
