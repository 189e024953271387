"""Votes as if there had been more or fewer of them, or another alpha."""

import numpy as np
import pytest
from scipy.stats import hypergeom
from synthetic_runs import GAUSSIAN, data, four, imported, manifest, votes, write_run

from holdfast.analysis.projections import parted, rescaled, thinned, with_alpha
from holdfast.analysis.summaries import summarize
from holdfast.errors import RunError, UsageError
from holdfast.stats.binomial import lower_bound
from holdfast.types import Counts


def test_the_same_n_and_alpha_change_nothing(tmp_path):
    run = four(tmp_path / "run")
    assert rescaled(run, 1000).run.records == run.run.records
    assert with_alpha(run, 0.001).results == run.results
    assert thinned(run, 1000).results == run.results


def test_rescaled_votes_keep_shares_and_round_against_the_top_class(tmp_path):
    run = write_run(tmp_path / "run", manifest(data(1)), [votes(0, 3, 3, 995)])
    (record,) = rescaled(run, 100_000).run.records
    assert record.estimation.total == 100_000
    assert record.estimation.votes[3] == 99_500
    (record,) = rescaled(run, 130).run.records
    assert record.estimation.total == 130
    assert record.estimation.votes[3] == 129, "995 * 130 / 1000 = 129.35"
    (certified,) = rescaled(run, 100_000).results
    assert certified.certificate.bounds.p_lower == lower_bound(99_500, 100_000, 0.001)


def test_more_samples_and_larger_alpha_never_certify_less(tmp_path):
    run = four(tmp_path / "run")
    for made in (lambda n: rescaled(run, n), lambda n: with_alpha(run, 1e-6 * n)):
        shares = [summarize(made(n), [0.25]).certified_accuracy[0.25].value for n in (100, 1000, 100_000)]
        assert shares == sorted(shares)


def test_thinned_votes_are_drawn_without_replacement():
    counts, generator = Counts((60, 30, 10)), np.random.default_rng(0)
    hits = []
    for _ in range(4000):
        drawn, rest = parted(counts, 20, generator)
        assert drawn.total == 20
        assert tuple(a + b for a, b in zip(drawn.votes, rest.votes, strict=True)) == counts.votes
        hits.append(drawn.votes[0])
    law = hypergeom(100, 60, 20)
    # A chance below 1e-6 of failing for the mean; the variance is 24 times smaller than the margin allows.
    assert np.mean(hits) == pytest.approx(law.mean(), abs=5 * law.std() / np.sqrt(4000))
    assert np.var(hits) == pytest.approx(law.var(), rel=0.15)


def test_what_cannot_be_projected(tmp_path):
    with pytest.raises(RunError, match="imported log: it has radii and no votes, so nothing can be projected"):
        rescaled(imported(tmp_path / "log"), 100)
    run = four(tmp_path / "run")
    with pytest.raises(UsageError, match="1001 votes cannot be drawn from 1000"):
        thinned(run, 1001)
    with pytest.raises(UsageError, match="alpha"):
        with_alpha(run, 1.0)
    looks = {"name": "looks", "n": 1000, "alpha": 0.001, "method": "split", "radii": [0.25], "precision": None}
    early = write_run(tmp_path / "early", manifest(data(1), GAUSSIAN), [])
    early.manifest.estimator.update(looks)
    with pytest.raises(UsageError, match=r"estimator of .* is 'looks': only a fixed number of votes"):
        rescaled(early, 100)
