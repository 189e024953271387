"""A two-class linear classifier has a known margin, which the certified radius must not exceed (Cohen et al. 2019).

Proposition 3: the smoothed classifier is the linear one. Proposition 4: Theorem 1 certifies exactly its margin.
Proposition 5: there is a class-changing perturbation just beyond.
"""

import pytest
import torch

import holdfast as hf

DIMENSIONS = (1, 8, 8)
# 32 certificates of failure probability 1e-6 each: this test fails by chance less often than 1 in 30,000 times.
ALPHA = 1e-6


def linear(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit normal w and inputs at distance m from the hyperplane w x = w c, for m in a few multiples of sigma."""
    source = torch.Generator().manual_seed(seed)
    w = torch.randn(64, generator=source)
    return w / w.norm(), torch.full((64,), 0.5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sigma", [0.25, 1.0])
def test_radius_never_exceeds_the_margin_and_comes_within_two_percent(seed: int, sigma: float) -> None:
    w, centre = linear(seed)
    margins = sigma * torch.tensor([1.25, 1.5, 1.75, 2.0])
    x = (centre + margins[:, None] * w).view(-1, *DIMENSIONS)

    def f(z: torch.Tensor) -> torch.Tensor:
        return ((z.flatten(1) - centre) @ w > 0).long()

    smoothed = hf.SmoothedClassifier(f, hf.Gaussian(sigma), 2, input_range=(-5.0, 5.0), batch_size=4096)
    certificates = smoothed.certify(x, n0=100, n=100_000, alpha=ALPHA, seed=seed)
    for certificate, margin in zip(certificates, margins.tolist(), strict=True):
        assert certificate.label == 1
        assert certificate.radius <= margin
    at_published_alpha = smoothed.certify(x, n0=100, n=100_000, alpha=0.001, seed=seed)
    shares = [c.radius / margin for c, margin in zip(at_published_alpha, margins.tolist(), strict=True)]
    assert sum(shares) / len(shares) >= 0.98


def test_a_change_just_beyond_the_radius_changes_the_class() -> None:
    w, centre = linear(0)
    sigma, margin = 0.5, 0.8

    def f(z: torch.Tensor) -> torch.Tensor:
        return ((z.flatten(1) - centre) @ w > 0).long()

    smoothed = hf.SmoothedClassifier(f, hf.Gaussian(sigma), 2, input_range=(-5.0, 5.0), batch_size=4096)
    x = (centre + margin * w).view(1, *DIMENSIONS)
    (certificate,) = smoothed.certify(x, n=100_000, alpha=0.001, seed=1)
    inside = x - 0.99 * certificate.radius * w.view(1, *DIMENSIONS)
    beyond = x - 1.04 * certificate.radius * w.view(1, *DIMENSIONS)
    labels = [p.label for p in smoothed.predict(torch.cat([x, inside, beyond]), n=100_000, alpha=0.001, seed=2)]
    assert labels == [1, 1, 0]
