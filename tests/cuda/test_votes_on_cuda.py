"""Votes on a card: those of the processor for the same noise, whatever the batches; in full float32."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from on_cuda import CUDA, ON_CUDA
from scipy.stats import chi2_contingency
from torch import nn

import holdfast as hf
from holdfast.estimators import Exact
from holdfast.models.architectures.base import build
from holdfast.models.backends import Job, prepare, usable
from holdfast.models.normalization import Normalization
from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Burst, Certify
from holdfast.sampling.rng import Stream
from holdfast.sampling.settings import computing
from holdfast.types import Counts, Example

pytestmark = ON_CUDA

SHAPE, CLASSES = (1, 8, 8), 10
TEST_FAILS = 1e-6
PRECISIONS = ("float32", "bfloat16")
BACKENDS = ("torch", "torch-optimized")


def network(noise: Noise) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        Normalization(None, None, 3), build("digits-cnn", noise.noisy_shape(SHAPE), CLASSES, {})
    ).eval()
    with torch.no_grad():
        # Random weights answer one class for all inputs: larger ones tell inputs apart.
        for weights in made.parameters():
            weights.mul_(3.0)
    return made


def examples(count: int) -> list[Example]:
    rng = np.random.default_rng(0)
    return [Example(index, rng.random(SHAPE, dtype=np.float32), 0) for index in range(count)]


def votes(
    noise: Noise,
    device: str,
    batch: int | None,
    *,
    backend: str = "torch",
    precision: str = "float32",
    n: int = 320,
    seed: int = 3,
) -> dict[int, Counts]:
    job = Job(network(noise), noise.noisy_shape(SHAPE), precision, torch.device(device))
    classifier = VotingClassifier(prepare(backend, job), CLASSES)
    found = LocalEngine(device, batch).run(classifier, noise, Burst(n), seed, examples(6))
    return {example.index: each for example, streams in found for each in streams.values()}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_votes_do_not_depend_on_the_batch_size(backend: str, precision: str) -> None:
    noise = hf.Gaussian(0.5)
    whole = votes(noise, CUDA, 4096, backend=backend, precision=precision)
    assert len({each.top for each in whole.values()} | {max(each.votes) for each in whole.values()}) > 1
    for batch in (50, 333, None):
        assert votes(noise, CUDA, batch, backend=backend, precision=precision) == whole


@pytest.mark.parametrize(
    "noise", [hf.Ablation(16), hf.LatticeGaussian(0.5), hf.Splitting(0.5), hf.UniformFlip(0.8)], ids=str
)
def test_votes_under_other_noises_do_not_depend_on_the_batch_size(noise: Noise) -> None:
    grid = noise.grid or 256
    cases = [
        Example(each.index, np.rint(each.x * (grid - 1)).astype(np.float32) / (grid - 1), 0) for each in examples(4)
    ]
    job = Job(network(noise), noise.noisy_shape(SHAPE), "float32", torch.device(CUDA))
    classifier = VotingClassifier(prepare("torch", job), CLASSES)
    found = [
        {example.index: each for example, each in LocalEngine(CUDA, size).run(classifier, noise, Burst(200), 1, cases)}
        for size in (37, 4096)
    ]
    assert found[0] == found[1]


def test_certificates_do_not_depend_on_the_batch_size() -> None:
    weights = torch.randn(16, generator=torch.Generator().manual_seed(1)).to(CUDA)

    def linear(z: torch.Tensor) -> torch.Tensor:
        score = z.flatten(1) @ weights
        return torch.stack([score, -score], 1)

    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    results = [
        hf.SmoothedClassifier(linear, hf.Gaussian(0.5), 2, device=CUDA, batch_size=size).certify(
            x, n=1000, alpha=0.01, seed=3
        )
        for size in (50, 1000)
    ]
    assert results[0] == results[1]


def test_the_same_blocks_have_the_votes_of_the_processor() -> None:
    """A partition draws nothing. The network has whole weights, whose sums are exact on both."""
    noise = hf.Partition(4)
    shape = noise.noisy_shape(SHAPE)
    generator = torch.Generator().manual_seed(1)
    whole = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * 64, CLASSES))
    with torch.no_grad():
        for weights in whole.parameters():
            weights.copy_(torch.randint(-8, 9, weights.shape, generator=generator))
    rng = np.random.default_rng(0)
    steps = [Example(index, rng.integers(0, 257, SHAPE).astype(np.float32) / 256, 0) for index in range(20)]
    procedure = Certify(0, Exact(noise.realizations(SHAPE)))
    found = []
    for device in ("cpu", CUDA):
        classifier = VotingClassifier(prepare("torch", Job(whole, shape, device=torch.device(device))), CLASSES)
        runs = LocalEngine(device, 100).run(classifier, noise, procedure, 0, steps)
        found.append({example.index: each[Stream.ESTIMATION] for example, each in runs})
    assert found[0] == found[1]
    assert len({each.top for each in found[0].values()}) > 1


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_noise_has_the_votes_of_the_processor_but_for_near_ties(backend: str, precision: str) -> None:
    noise, x = hf.Gaussian(0.5), torch.from_numpy(examples(1)[0].x)
    noisy = noise.sample(x, Draws(0, 0, 0, 512))
    module = network(noise)
    found = {}
    with computing(1):
        logits = network(noise).requires_grad_(False).double()(noisy.double())
        for device in ("cpu", CUDA):
            job = Job(module, SHAPE, precision, torch.device(device))
            classifier = VotingClassifier(prepare(backend, job), CLASSES)
            found[device], void = (each.cpu() for each in classifier.votes(noisy.to(device)))
            assert not void.any()
    leaders = logits.topk(2, dim=1).values
    # Rounding adds up over the layers, so more than one unit of the precision.
    share = {"float32": 2.0**-12, "bfloat16": 2.0**-4}[precision]
    sure = leaders[:, 0] - leaders[:, 1] > share * logits.abs().amax(dim=1)
    assert sure.float().mean() > 0.5
    assert torch.equal(found["cpu"][sure], found[CUDA][sure])
    assert torch.equal(found[CUDA][sure], logits.argmax(1)[sure])


def test_votes_for_other_noise_agree_in_distribution() -> None:
    """Two samples of the same class probabilities, for each input."""
    noise, n = hf.Gaussian(0.5), 3_200
    one, other = votes(noise, "cpu", 512, n=n, seed=1), votes(noise, CUDA, 512, n=n, seed=2)
    for index in one:
        table = np.array([one[index].votes, other[index].votes])
        table = table[:, table.sum(axis=0) >= 20]
        if table.shape[1] > 1:
            assert chi2_contingency(table).pvalue > TEST_FAILS


def test_float32_is_not_tensor_float_32() -> None:
    """Whatever the process has set: TF32 has 10 bits of mantissa, and errors of 1e-3."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(16, 64, 3, padding=1), nn.Flatten(), nn.Linear(64 * 64, CLASSES)).eval()
    noisy = torch.rand(32, 16, 8, 8)
    exact = layers.requires_grad_(False).double()(noisy.double())
    layers = layers.float()
    backend = prepare("torch", Job(layers, (16, 8, 8), device=torch.device(CUDA)))
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        with warnings.catch_warnings():
            # Newer releases of torch have another name for it.
            warnings.simplefilter("ignore")
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        with computing(1):
            found = backend(noisy.to(CUDA)).cpu().double()
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    assert float((found - exact).abs().max() / exact.abs().max()) < 2e-5


def test_void_and_masked_logits_are_as_on_the_processor() -> None:
    def logits(z: torch.Tensor) -> torch.Tensor:
        rows = torch.zeros(len(z), 3, device=z.device)
        rows[:, 0], rows[:, 1] = z[:, 0, 0, 0], -torch.inf
        rows[z[:, 0, 0, 1] > 0.9] = torch.nan
        rows[z[:, 0, 0, 1] < 0.1] = -torch.inf
        return rows

    noisy = torch.rand(200, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    found = [VotingClassifier(logits, 3).votes(noisy.to(device)) for device in ("cpu", CUDA)]
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other.cpu())
    assert 0 < int(found[0][1].sum()) < 200


def test_the_backends_of_a_card() -> None:
    assert usable("float32", torch.device("cuda")) == list(BACKENDS)
