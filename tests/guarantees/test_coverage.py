"""How often certificates are false, by simulation through the whole path: noise, votes, counts, bound.

The base classifiers vote from the noise with a known probability p of class 1. A certificate for class c is false if it
claims more than the probability of c. Each test allows as many failures as a Binomial(certificates, alpha) exceeds with
probability 1e-6 only: that is the failure rate of the test itself.
"""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

import holdfast as hf
from holdfast.noises.ablation import delta
from holdfast.noises.lattice_gaussian import BITS, thresholds
from holdfast.stats.binomial import lower_bound

CERTIFICATES = 20_000
TEST_FAILS = 1e-6


def allowed(alpha: float, trials: int = CERTIFICATES) -> int:
    return int(binom.isf(TEST_FAILS, trials, alpha))


def probability_below_a_jump(n: int, alpha: float, share: float) -> float:
    """The hardest p near `share`: just below the bound of some number of hits, so that these hits are a failure."""
    return math.nextafter(lower_bound(math.ceil(share * n), n, alpha), 0.0)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("share", [0.55, 0.75, 0.99])
def test_gaussian_certificates_are_false_at_most_alpha_of_the_time(share: float, alpha: float) -> None:
    n0, n, sigma = 16, 128, 0.5
    p = probability_below_a_jump(n, alpha, share)
    threshold = sigma * norm.isf(p)
    smoothed = hf.SmoothedClassifier(
        lambda z: (z[:, 0] > threshold).long(), hf.Gaussian(sigma), 2, input_range=(-1.0, 1.0), batch_size=8192
    )
    inputs = np.zeros((CERTIFICATES, 1), dtype=np.float32)
    certificates = smoothed.certify(inputs, n0=n0, n=n, alpha=alpha, seed=int(1000 * share))
    truth = {1: p, 0: 1.0 - p}
    false = sum(c.label is not None and c.bounds.p_lower > truth[c.label] for c in certificates)
    radius = {label: sigma * norm.ppf(truth[label]) for label in truth}
    too_far = sum(c.label is not None and c.radius > radius[c.label] for c in certificates)
    assert false <= allowed(alpha)
    assert too_far <= allowed(alpha)
    if alpha == 0.05 and share < 0.9:
        # The bound is exact at these p: a test in which nothing ever failed would prove nothing.
        assert false >= int(binom.ppf(TEST_FAILS, CERTIFICATES, alpha / 3))


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("share", [0.55, 0.99])
def test_lattice_certificates_are_false_at_most_alpha_of_the_time(share: float, alpha: float) -> None:
    """f says 1 above an integer: p is a threshold over 2^60, exactly; the one next below the hardest probability."""
    n0, n, sigma, trials = 16, 128, 1.0, 8_000
    hardest = probability_below_a_jump(n, alpha, share)
    exact = thresholds(sigma, 256)
    reached = int(exact.searchsorted(int(hardest * 2.0**BITS))) - 1
    # P(-N <= i) is P(N >= -i), by symmetry.
    p, least = int(exact[reached]) / 2.0**BITS, len(exact) // 2 - reached
    smoothed = hf.SmoothedClassifier(
        lambda z: ((z[:, 0] * 255).round() >= least).long(), hf.LatticeGaussian(sigma), 2, batch_size=8192
    )
    inputs = np.zeros((trials, 1), dtype=np.float32)
    certificates = smoothed.certify(inputs, n0=n0, n=n, alpha=alpha, seed=int(1000 * share))
    truth = {1: p, 0: 1.0 - p}
    false = sum(c.label is not None and c.bounds.p_lower > truth[c.label] for c in certificates)
    too_far = sum(c.label is not None and c.radius > sigma * norm.ppf(truth[c.label]) for c in certificates)
    assert false <= allowed(alpha, trials)
    assert too_far <= allowed(alpha, trials)
    if alpha == 0.05 and share < 0.9:
        # As in the test of Gaussian certificates: failures that never happen would prove nothing.
        assert false >= int(binom.ppf(TEST_FAILS, trials, alpha / 3))


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("touched", [1, 3])
def test_ablation_certificates_are_false_at_most_alpha_of_the_time(touched: int, alpha: float) -> None:
    """f says 1 where none of a few given pixels is kept: p is 1 - Delta, exactly."""
    d, k, n = 12, 2, 128
    p = float(1 - delta(d, k, touched))
    smoothed = hf.SmoothedClassifier(
        lambda z: (z[:, :, :touched].sum((1, 2)) == 0).long(), hf.Ablation(k), 2, batch_size=8192
    )
    inputs = np.zeros((CERTIFICATES, d), dtype=np.float32)
    certificates = smoothed.certify(inputs, n0=16, n=n, alpha=alpha, seed=touched)
    truth = {1: p, 0: 1.0 - p}
    assert sum(c.label is not None and c.bounds.p_lower > truth[c.label] for c in certificates) <= allowed(alpha)


@pytest.mark.parametrize("alpha", [0.05, 0.001])
@pytest.mark.parametrize("p", [0.5, 0.52, 0.6])
def test_predictions_are_wrong_at_most_alpha_of_the_time(p: float, alpha: float) -> None:
    """Cohen et al. 2019, Proposition 1; at p = 1/2 either class is wrong with probability alpha/2."""
    smoothed = hf.SmoothedClassifier(
        lambda z: (z[:, 0] > norm.isf(p)).long(), hf.Gaussian(1.0), 2, input_range=(-1.0, 1.0), batch_size=8192
    )
    trials = 5_000
    predictions = smoothed.predict(np.zeros((trials, 1), dtype=np.float32), n=128, alpha=alpha, seed=3)
    assert sum(prediction.label == 0 for prediction in predictions) <= allowed(alpha, trials)
    if p == 0.5:
        assert sum(prediction.label is not None for prediction in predictions) <= allowed(alpha, trials)


def test_reusing_selection_votes_would_fail_more_often_than_alpha() -> None:
    """The fault that separate streams prevent, shown to be one: the best of c classes is bounded by its own votes."""
    rng = np.random.default_rng(0)
    classes, n, alpha = 10, 200, 0.05
    votes = rng.multinomial(n, [1 / classes] * classes, size=20_000).max(axis=1)
    bounds = {hits: lower_bound(hits, n, alpha) for hits in set(votes.tolist())}
    reused = sum(bounds[hits] > 1 / classes for hits in votes.tolist())
    assert reused > allowed(alpha) * 1.5


def test_the_bound_covers_every_other_class_and_not_only_the_runner_up() -> None:
    """Three classes with (0.4, 0.3, 0.3): no vote count of the top class alone may separate it from all the others."""
    shares = np.array([0.4, 0.3, 0.3])

    def f(z: torch.Tensor) -> torch.Tensor:
        uniform = torch.special.ndtr(z[:, 0].double())
        return torch.bucketize(uniform, torch.tensor(shares.cumsum()[:2]))

    smoothed = hf.SmoothedClassifier(f, hf.Gaussian(1.0), 3, input_range=(-1.0, 1.0), batch_size=8192)
    inputs = np.zeros((50, 1), dtype=np.float32)
    top_only = smoothed.certify(inputs, n=5000, alpha=0.001, method="cohen", seed=0)
    assert all(certificate.label is None for certificate in top_only)
    assert all(c.bounds.p_upper >= 1 - c.bounds.p_lower for c in top_only)
    # Both rivals are bounded, whichever of them is ahead in the sample: at least 45 of 50 with probability 1 - 1e-9.
    every_class = smoothed.certify(inputs, n=5000, alpha=0.001, method="split", seed=0)
    assert sum(c.bounds.p_upper >= 0.3 for c in every_class) >= 45
