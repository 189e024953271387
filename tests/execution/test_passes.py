"""How many inputs a base classifier is shown: what was asked for, and a probe of a few hundred at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import holdfast as hf

MODEL = Path(__file__).parents[1] / "stored" / "models" / "gaussian.safetensors"
X = np.random.default_rng(1).random((1, 1, 8, 8), dtype=np.float32)
# Rows that are asked more than once, so that a classifier that is no function is found out.
PROBE = 300


class Counting(torch.nn.Module):
    """Counts rows, in all copies together."""

    rows = 0

    def __init__(self, votes: bool) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(64, 10)
        self.votes = votes

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        Counting.rows += len(z)
        found = self.linear(z.flatten(1))
        return found.argmax(1) if self.votes else found


@pytest.fixture
def rows():
    """Starts to count, and says how many rows there were since."""
    Counting.rows = 0
    return lambda: Counting.rows


@pytest.mark.parametrize("votes", [False, True])
@pytest.mark.parametrize("job", ["certify", "predict", "several"])
def test_a_call_for_250_samples_is_no_call_for_thousands(votes: bool, job: str, rows) -> None:
    torch.manual_seed(0)
    f = hf.SmoothedClassifier(Counting(votes).eval(), hf.Gaussian(0.25), 10)
    calls = {
        "certify": lambda: f.certify(X, n0=50, n=200, alpha=0.01),
        "predict": lambda: f.predict(X, n=250, alpha=0.01, ratio=None),
        "several": lambda: f.certify(np.repeat(X, 5, 0), n0=10, n=40, alpha=0.01, indices=range(5)),
    }
    for _ in range(3):
        before = rows()
        calls[job]()
        assert 250 <= rows() - before <= 250 + PROBE


@pytest.mark.parametrize("votes", [False, True])
def test_a_probe_is_a_small_share_of_much_work(votes: bool, rows) -> None:
    torch.manual_seed(0)
    f = hf.SmoothedClassifier(Counting(votes).eval(), hf.Gaussian(0.25), 10)
    f.certify(X, n0=50, n=19_950, alpha=0.01)
    assert 20_000 <= rows() <= 1.2 * 20_000 + PROBE


@pytest.mark.parametrize("job", ["certify", "predict"])
def test_a_job_of_250_samples_is_not_measured_by_thousands(job: str) -> None:
    model, seen = hf.load_model(MODEL), []
    model.module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    if job == "certify":
        hf.certify(model, "digits", n0=50, n=200, limit=1, alpha=0.01, progress=False)
    else:
        hf.predict(model, "digits", n=250, limit=1, alpha=0.01, fixed=True, progress=False)
    assert 250 <= sum(seen) <= 250 + PROBE


def test_the_batch_size_is_searched_for_once_for_each_shape() -> None:
    from holdfast.sampling.batches import found_for

    f = hf.SmoothedClassifier(lambda z: z.flatten(1)[:, :2], hf.Gaussian(0.25), 2)
    for _ in range(2):
        f.certify(X, n0=50, n=200, alpha=0.01)
        f.certify(X[:, :, :4], n0=50, n=200, alpha=0.01)
    assert len(found_for(f._base((1, 8, 8)))) == 2


def test_a_backend_is_prepared_once_for_each_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    from holdfast.execution import backends

    made, prepare = [], backends.prepare
    monkeypatch.setattr(backends, "prepare", lambda name, job: made.append(job.shape) or prepare(name, job))
    f = hf.SmoothedClassifier(hf.load_model(lambda z: z.flatten(1)[:, :2]), hf.Gaussian(0.25), 2)
    for _ in range(2):
        f.predict(X, n=100, alpha=0.01)
        f.predict(X[:, :, :4], n=100, alpha=0.01)
    assert made == [(1, 8, 8), (1, 4, 8)]
