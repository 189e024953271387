"""Honest base classifiers of many kinds, and how often one is refused.

`python tests/guarantees/honest_classifiers.py [RUNS]` prints the table of docs/guarantees.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
from torch import Tensor, nn

import holdfast as hf
from holdfast.errors import ClassifierError

CLASSES = 4


def network() -> nn.Module:
    """Random weights: many near ties."""
    torch.manual_seed(0)
    return (
        nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES)).eval().requires_grad_(False)
    )


def jitter(logits: Tensor, size: float) -> Tensor:
    """What sums in another order each time do: every call rounds otherwise."""
    return logits * (1 + size * torch.randn(logits.shape))


def kinds() -> dict[str, Callable[[Tensor], Tensor]]:
    """By name; what depends on the batch, or on the call, does so as rounding does."""
    single, half, weights = network(), network().bfloat16(), network()[1].weight
    rounds = {1: 0.0, 16: 1e-6}

    def bfloat16(z: Tensor) -> Tensor:
        return half(z.bfloat16())

    def eight_bits(z: Tensor) -> Tensor:
        """Activations on a fixed grid of 8 bits."""
        step = 0.05
        return single[3](torch.relu(((z.flatten(1) @ weights.T) / step).round().clamp(-128, 127) * step))

    def tree(z: Tensor) -> Tensor:
        """Shares of leaves, as a small forest has them: many ties."""
        leaves = (z.flatten(1)[:, :12] > 0.5).view(-1, 4, 3).sum(1).float()
        return torch.cat([leaves / 4, torch.full((len(z), 1), 0.5)], 1)

    return {
        "float32": single,
        "float32, votes": lambda z: single(z).argmax(1),
        "bfloat16": bfloat16,
        "bfloat16, votes": lambda z: bfloat16(z).argmax(1),
        "8 bits": eight_bits,
        "8 bits, votes": lambda z: eight_bits(z).argmax(1),
        "trees": tree,
        "trees, votes": lambda z: tree(z).argmax(1),
        "mask of -1e9": lambda z: torch.cat([single(z)[:, :3], torch.full((len(z), 1), -1e9)], 1),
        "offset of 1e4": lambda z: single(z) + 1e4,
        "rounds by call": lambda z: jitter(single(z), 1e-6),
        "rounds by call, votes": lambda z: jitter(single(z), 1e-6).argmax(1),
        "rounds by size": lambda z: single(z) * (1 + rounds.get(len(z), 3e-7)),
        "bfloat16 of what rounds by call": lambda z: jitter(single(z), 1e-6).bfloat16(),
        "the same, votes": lambda z: jitter(single(z), 1e-6).bfloat16().argmax(1),
    }


def refused(function: Callable[[Tensor], Tensor], runs: int, n: int) -> tuple[int, str]:
    """How many of so many runs were refused, each with noise and looks of its own; and the last reason."""
    found, why = 0, ""
    for seed in range(runs):
        smoothed = hf.SmoothedClassifier(function, hf.Gaussian(sigma=0.5), CLASSES, batch_size=(64, 100, 256)[seed % 3])
        x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
        try:
            for _ in range(2):
                smoothed.certify(x, n0=50, n=n, alpha=0.01)
        except ClassifierError as error:
            found, why = found + 1, str(error)
    return found, why


def main() -> None:
    """One line for each kind."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    torch.set_num_threads(1)
    print(f"| classifier | refused of {runs} |\n|---|---|")
    for name, function in kinds().items():
        found, why = refused(function, runs, 2000)
        print(f"| {name} | {found} |", flush=True)
        if why:
            print(name, why, file=sys.stderr)


if __name__ == "__main__":
    main()
