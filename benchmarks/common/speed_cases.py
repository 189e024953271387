"""Networks, noises and images on which `speed.py` measures, with the target ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from holdfast.models.architectures.base import build
from holdfast.models.normalization import Normalization
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise
from holdfast.noises.draws import Draws
from holdfast.noises.gaussian import Gaussian
from holdfast.types import Example

IMAGES = 10


@dataclass(frozen=True)
class Case:
    """A network under a noise.

    Attributes:
        shape: of an input without noise.
        classes: of the network.
        loop_batch: batch size of the plain loop.
        batch: batch size of the engine.
        targets: target ratios to the plain loop, by precision.
        steps: of training; 0 if only the last layer is fitted.
    """

    shape: tuple[int, int, int]
    noise: Noise
    classes: int
    loop_batch: int
    batch: int
    targets: tuple[float, float, float]
    steps: int = 0


CASES = {
    "mnist-cnn": Case((1, 28, 28), Ablation(45), 10, 1000, 512, (1.1, 4.0, 6.5), steps=150),
    "resnet20": Case((3, 32, 32), Gaussian(0.25), 10, 400, 256, (1.5, 7.5, 9.5)),
    "resnet110": Case((3, 32, 32), Gaussian(0.25), 10, 400, 256, (1.3, 7.5, 9.0)),
    "resnet18": Case((3, 32, 32), Ablation(75), 10, 400, 256, (1.15, 5.0, 10.0)),
    "resnet50": Case((3, 224, 224), Gaussian(0.25), 1000, 100, 64, (1.45, 7.0, 13.0)),
}
# The case of a smoke run: it is fast and has no target.
SMALL = "digits-cnn"
ALL = {**CASES, SMALL: Case((1, 8, 8), Gaussian(0.25), 10, 64, 64, (1.0, 1.0, 1.0))}


def network_for(name: str, case: Case, examples: list[Example], device: str = "cpu") -> nn.Module:
    """The network with weights that distinguish the images: trained for some steps, or random except the last layer.

    Near ties are computed twice and cost time; random logits have more of them than trained ones. Computed on `device`,
    where the network stays.
    """
    torch.manual_seed(0)
    shape = case.noise.noisy_shape(case.shape)
    scale = None if shape[0] != 3 else (0.5,) * 3
    network = nn.Sequential(Normalization(scale, scale, 3), build(name, shape, case.classes)).to(device)
    copies = 8 if case.shape[1] > 64 else 32
    if case.steps:
        return _trained(network, case, examples, device)
    noisy = torch.cat(
        [case.noise.sample(torch.from_numpy(x.x), Draws(1, number, 0, copies)) for number, x in enumerate(examples)]
    ).to(device)
    with torch.no_grad():
        network.train()
        for part in torch.split(noisy[torch.randperm(len(noisy))], 40):
            network(part)
        network.eval()
        last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
        seen: list[Tensor] = []
        hook = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for part in torch.split(noisy, 40):
            network(part)
        hook.remove()
        features = torch.cat(seen)
        center = features.mean(0)
        features = (features - center).double()
        answers = torch.eye(case.classes)[:IMAGES].repeat_interleave(copies, 0).to(features)
        gram = features @ features.T
        ridge = 0.1 * gram.diagonal().mean() * torch.eye(len(gram)).to(features)
        last.weight.copy_((features.T @ torch.linalg.solve(gram + ridge, answers)).T)
        last.bias.copy_(-last.weight @ center)
    return network


def _trained(network: nn.Module, case: Case, examples: list[Example], device: str) -> nn.Module:
    """Train on a few images under noise, until most copies are distinguished."""
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    labels = torch.arange(IMAGES).repeat_interleave(6).to(device)
    for step in range(case.steps):
        some = [Draws(2, number, 0, 6, 6 * step) for number in range(len(examples))]
        copies = [case.noise.sample(torch.from_numpy(x.x), each) for x, each in zip(examples, some, strict=True)]
        noisy = torch.cat(copies).to(device)
        loss = nn.functional.cross_entropy(network(noisy), labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    print(f"  (trained for {case.steps} steps, loss {loss.item():.2f})")
    return network.eval()


def images(case: Case) -> list[Example]:
    """Smooth random pictures."""
    source = np.random.default_rng(0)
    coarse = torch.from_numpy(source.random((IMAGES, case.shape[0], 4, 4), dtype=np.float32))
    smooth = nn.functional.interpolate(coarse, case.shape[1:], mode="bilinear").numpy()
    return [Example(index, x, index) for index, x in enumerate(smooth)]
