"""Small networks whose robustness can be determined by other means."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from torch import Tensor, nn

from holdfast.bounds import Classifier
from holdfast.models.normalization import Normalization


def relu_network(*widths: int, seed: int = 0, mean: float | None = None) -> nn.Module:
    """Fully connected with ReLU, with these widths from input to output, in eval mode."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for incoming, outgoing in itertools.pairwise(widths):
        layers += [nn.Linear(incoming, outgoing), nn.ReLU()]
    inner = nn.Sequential(*layers[:-1])
    if mean is None:
        return inner.eval()
    return nn.Sequential(Normalization((mean,) * widths[0], (0.5,) * widths[0], 1), inner).eval()


def convolutional(channels: int = 1, classes: int = 3, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    inner = nn.Sequential(
        nn.Conv2d(channels, 4, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, classes),
    )
    normalization = Normalization((0.3,) * channels, (0.2,) * channels, 3)
    return nn.Sequential(normalization, inner).eval()


def classifier(module: nn.Module, shape: tuple[int, ...], classes: int) -> Classifier:
    return Classifier(module, shape, classes)


def inputs(count: int, shape: tuple[int, ...], seed: int = 1) -> Tensor:
    return torch.rand((count, *shape), generator=torch.Generator().manual_seed(seed))


def in_ball(x: Tensor, radius: float, norm: str, count: int, seed: int = 2) -> Tensor:
    """Points at `radius` or less from `x` `(*shape)`, many of them on the edge, `(count, *shape)` in float64."""
    source = torch.Generator().manual_seed(seed)
    flat = torch.randn((count, x.numel()), generator=source, dtype=torch.float64)
    if norm == "linf":
        moved = flat.sign() * torch.rand(flat.shape, generator=source, dtype=torch.float64).clamp_min(0.5)
        moved[: count // 2] = flat[: count // 2].sign()
    elif norm == "l2":
        moved = flat / flat.norm(dim=1, keepdim=True)
    else:
        sharp = flat * (flat.abs() >= flat.abs().topk(2, dim=1).values[:, -1:])
        moved = sharp / sharp.abs().sum(dim=1, keepdim=True)
    return x.double() + radius * (1 - 1e-12) * moved.view(count, *x.shape)


def attacked(module: nn.Module, x: Tensor, label: int, radius: float, norm: str, steps: int = 60) -> Tensor:
    """The points of an ascent of the best wrong logit's lead, `(steps, *shape)` in float64."""
    module = module.double()
    point, found = x.double().unsqueeze(0), []
    start = point.clone()
    for step in range(steps):
        point = point.detach().requires_grad_()
        logits = module(point)[0]
        others = torch.cat([logits[:label], logits[label + 1 :]])
        (gradient,) = torch.autograd.grad(others.max() - logits[label], point)
        size = radius * (0.5 if step < steps // 2 else 0.05)
        direction = gradient.sign() if norm == "linf" else gradient / gradient.norm().clamp_min(1e-30)
        moved = point.detach() + size * direction - start
        if norm == "linf":
            moved = moved.clamp(-radius, radius)
        else:
            moved = moved * min(1.0, radius / max(float(moved.norm()), 1e-30))
        point = start + moved * (1 - 1e-12)
        found.append(point[0])
    return torch.stack(found)


def true_least_lead(module: nn.Sequential, x: Tensor, label: int, other: int, radius: float) -> float:
    """The smallest lead of `label` over `other` within Linf `radius`, one hidden layer, by an integer program."""
    return _program(module, x, label, other, radius, whole=True)


def relaxed_least_lead(module: nn.Sequential, x: Tensor, label: int, other: int, radius: float) -> float:
    """The same for the relaxation of ReLU to its convex hull, by a linear program: no dual bound can exceed it."""
    return _program(module, x, label, other, radius, whole=False)


def _program(module: nn.Sequential, x: Tensor, label: int, other: int, radius: float, *, whole: bool) -> float:
    first, last = module[0].double(), module[2].double()
    weight, bias = first.weight.detach().numpy(), first.bias.detach().numpy()
    c = (last.weight[label] - last.weight[other]).detach().numpy()
    offset = float((last.bias[label] - last.bias[other]).detach())
    point = x.double().numpy()
    n, h = len(point), len(bias)
    center = weight @ point + bias
    spread = radius * np.abs(weight).sum(axis=1)
    low, high = center - spread, center + spread
    # Variables: the input, the hidden values after ReLU, and which units are active.
    cost = np.concatenate([np.zeros(n), c, np.zeros(h)])
    rows, ends = [], []
    for unit in range(h):
        active = np.zeros(n + 2 * h)
        active[n + h + unit] = 1.0
        value = np.zeros(n + 2 * h)
        value[n + unit] = 1.0
        before = np.zeros(n + 2 * h)
        before[:n] = weight[unit]
        # value >= z, value <= z - low (1 - a), value <= high a
        rows += [before - value, value - before - low[unit] * active, value - max(high[unit], 0.0) * active]
        ends += [-bias[unit], bias[unit] - low[unit], 0.0]
        if low[unit] >= 0:
            rows[-2], ends[-2] = value - before, bias[unit]
            rows[-1], ends[-1] = np.zeros(n + 2 * h), 0.0
        if high[unit] <= 0:
            rows[-2], ends[-2] = value, 0.0
    box = [(v - radius, v + radius) for v in point] + [(0.0, None)] * h + [(0.0, 1.0)] * h
    matrix, upper = np.stack(rows), np.array(ends)
    if whole:
        lower_b = np.array([b[0] for b in box], dtype=float)
        upper_b = np.array([np.inf if b[1] is None else b[1] for b in box], dtype=float)
        found = milp(
            cost,
            constraints=LinearConstraint(matrix, -np.inf, upper),
            integrality=np.concatenate([np.zeros(n + h), np.ones(h)]),
            bounds=Bounds(lower_b, upper_b),
        )
    else:
        found = linprog(cost, A_ub=matrix, b_ub=upper, bounds=box)
    assert found.success, found.message
    return float(found.fun) + offset
