"""torch's global settings are restored after each call, and results do not depend on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import holdfast as hf
from holdfast.noises.laplace import Laplace
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.sampling.settings import computing

X = torch.full((1, 1, 4, 4), 0.6)
NOISES = [
    hf.Gaussian(sigma=0.25),
    hf.LatticeGaussian(sigma=0.25),
    Laplace(b=0.2),
    Uniform(half_width=0.5),
    hf.Ablation(5),
    UniformFlip(kappa=0.8),
]


def honest(z: Tensor) -> Tensor:
    score = z.flatten(1).float().mean(1) - 0.3
    return torch.stack([-score, score], 1)


def certify(f: Any = honest, noise: Any = NOISES[0], threads: int = 1) -> list[hf.Certificate]:
    x = torch.round(X * 255) / 255
    return hf.SmoothedClassifier(f, noise, 2, threads=threads, batch_size=64).certify(
        x, n0=64, n=300, alpha=0.01, seed=1
    )


def state() -> dict[str, Any]:
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "gradients": torch.is_grad_enabled()}
    backends: Any = torch.backends
    for name, read in {
        "matmul": torch.get_float32_matmul_precision,
        "cudnn": lambda: backends.cudnn.allow_tf32,
        "cuda": lambda: backends.cuda.matmul.allow_tf32,
        "new": lambda: [
            each.fp32_precision
            for each in (backends, backends.cudnn.conv, backends.mkldnn.matmul, backends.cuda.matmul)
        ],
    }.items():
        with suppress(RuntimeError, AttributeError):
            found[name] = read()
    return found


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_as_they_were(threads: int) -> None:
    torch.set_num_threads(3 - threads)
    seen = []

    def f(z: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return honest(z)

    certify(f, threads=threads)
    assert torch.get_num_threads() == 3 - threads
    # Rows alone are computed on one thread.
    assert set(seen) <= {1, threads}
    assert threads in seen


def test_threads_are_the_callers_own_between_results() -> None:
    from holdfast.estimators import FixedSize
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.sampling.procedure import Certify
    from holdfast.types import Example

    torch.set_num_threads(2)
    examples = [Example(index, X[0].numpy(), 0) for index in range(3)]
    run = LocalEngine(batch_size=64).run(
        VotingClassifier(honest, 2), NOISES[0], Certify(64, FixedSize(64, 0.1)), 1, examples
    )
    assert [torch.get_num_threads() for _ in run] == [2, 2, 2]


def test_what_the_classifier_sets_is_set_back() -> None:
    torch.set_num_threads(1)

    def f(z: Tensor) -> Tensor:
        torch.set_num_threads(2)
        return honest(z)

    certify(f)
    assert torch.get_num_threads() == 1


def test_settings_come_back_after_an_error() -> None:
    torch.set_num_threads(2)
    before = state()

    def f(z: Tensor) -> Tensor:
        raise KeyError("no such layer")

    with pytest.raises(KeyError):
        certify(f)
    assert state() == before


def test_the_classifier_may_take_gradients_of_its_own() -> None:
    """Takes gradients, like a classifier that purifies its input or adapts to it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval()

    def f(z: Tensor) -> Tensor:
        with torch.enable_grad():
            z = z.requires_grad_()
            (slope,) = torch.autograd.grad(network(z).logsumexp(1).sum(), z)
        return network(z + 0.1 * slope)

    found = certify(f)
    with torch.inference_mode():
        assert certify(f) == found


@pytest.mark.parametrize("noise", NOISES, ids=str)
@pytest.mark.parametrize(
    ("change", "value"), [(torch.set_default_device, "meta"), (torch.set_default_dtype, torch.float64)]
)
def test_defaults_of_torch_change_no_vote(noise: Any, change: Callable[[Any], None], value: Any) -> None:
    """Not even on a default device without memory."""
    plain = certify(noise=noise)
    try:
        change(value)
        assert certify(noise=noise) == plain
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "change",
    [
        "pass",
        "torch.set_float32_matmul_precision('medium')",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.backends.cudnn.allow_tf32 = False",
        "torch.backends.fp32_precision = 'tf32'",
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
        "torch.backends.cudnn.fp32_precision = 'ieee'",
    ],
)
def test_float32_is_float32_and_its_settings_come_back(change: str) -> None:
    """In a separate process: some of these settings cannot be undone."""
    program = f"""
import sys
sys.path.insert(0, {str(__file__).rsplit("/", 1)[0]!r})
import torch
from holdfast.sampling.settings import computing
from test_settings import certify, honest, state
if not hasattr(torch.backends, "fp32_precision") and "fp32_precision" in {change!r}:
    sys.exit()
{change}
before = state()
with computing(1):
    inside = state()
assert state() == before, (before, state())
assert set(inside.get("new", ["none"])[1:]) <= {{"none", "ieee"}}, inside
assert inside.get("matmul", "highest") == "highest", inside
certify(honest)
assert state() == before, (before, state())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_threads_that_compute_at_the_same_time_share_the_settings() -> None:
    """The first thread to leave does not restore what another one still needs."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        first, second = computing(1), computing(1)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_float32_matmul_precision() == "highest"
        second.__exit__(None, None, None)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_autocast_of_the_caller_changes_no_vote() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 2)).eval()
    seen = []

    def f(z: Tensor) -> Tensor:
        seen.append(network(z).dtype)
        return network(z)

    plain = certify(f)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert certify(f) == plain
    assert set(seen) == {torch.float32}
