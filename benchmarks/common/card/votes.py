"""The third step: the same noisy inputs on the processor and on the card, and how many votes differ."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from common.card.plan import Outcome
from common.speed_cases import ALL, images, network_for
from holdfast.estimators import Exact
from holdfast.models.architectures.base import build
from holdfast.models.backends import Job, prepare
from holdfast.models.backends.base import NEAR_TIE
from holdfast.models.backends.torch_eager import TorchEager
from holdfast.noises.base import NOISES
from holdfast.noises.draws import Draws
from holdfast.noises.partition import Partition
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.procedure import Certify
from holdfast.sampling.rng import Stream
from holdfast.sampling.settings import computing
from holdfast.types import Example

if TYPE_CHECKING:
    from torch import Tensor

    from common.card.plan import Plan

# Noisy copies of each picture at first; they double until the processor has taken a share of the time.
_COPIES, _MOST_COPIES, _SHARE = 64, 4096, 0.15


def same_votes(plan: Plan, name: str, end: float) -> Outcome:
    """One part of the step."""
    if name == "noises":
        return Outcome({"same_noise": same_noise(plan.device)})
    if name == "partition":
        return Outcome(exact_votes(plan))
    return Outcome(network_votes(plan, name, end))


def network_votes(plan: Plan, name: str, end: float) -> dict[str, Any]:
    """Votes of a network for noise that the processor drew, on both, and those of which float64 is sure.

    A near tie is a row whose two largest logits in float64 are as close as the rounding of the precision may move them.
    """
    case = ALL[name]
    examples = images(case)[: 2 if plan.smoke else None]
    with computing(plan.threads):
        network = network_for(name, case, images(case)).eval()
    shape = case.noise.noisy_shape(case.shape)
    exact = copy.deepcopy(network).double()
    judges = {
        (precision, kind): VotingClassifier(
            prepare("torch", Job(network, shape, precision, torch.device(device), plan.threads)), case.classes
        )
        for precision in TorchEager.precisions
        for kind, device in (("processor", "cpu"), ("card", plan.device))
    }
    counts = {
        precision: {"votes": 0, "differing": 0, "differing_sure": 0, "near_ties": 0}
        for precision in TorchEager.precisions
    }
    begun, done = time.monotonic(), 0
    most = _COPIES if plan.smoke else _MOST_COPIES
    while done < most and (not done or time.monotonic() - begun < _SHARE * (end - begun)):
        for example in examples:
            draws = Draws(0, example.index, Stream.ESTIMATION, _COPIES, done)
            noisy = case.noise.sample(torch.from_numpy(example.x), draws)
            with computing(plan.threads), torch.no_grad():
                logits = exact(noisy.double())
                for precision, count in counts.items():
                    _compare(count, noisy, logits, judges, precision, plan.device)
        done += _COPIES
    return {"noise": str(case.noise), "copies_of_each": done, "pictures": len(examples), "precisions": counts}


def _compare(
    count: dict[str, int],
    noisy: Tensor,
    logits: Tensor,
    judges: dict[tuple[str, str], VotingClassifier],
    precision: str,
    device: str,
) -> None:
    one = judges[precision, "processor"].votes(noisy)[0]
    other = judges[precision, "card"].votes(noisy.to(device))[0].cpu()
    leaders = logits.topk(2, dim=1).values
    near = leaders[:, 0] - leaders[:, 1] <= NEAR_TIE[precision] * logits.abs().amax(dim=1)
    differing = one != other
    count["votes"] += len(noisy)
    count["differing"] += int(differing.sum())
    count["differing_sure"] += int((differing & ~near).sum())
    count["near_ties"] += int(near.sum())


def exact_votes(plan: Plan) -> dict[str, Any]:
    """Votes of all blocks of a partition, which are the same noise everywhere, by the whole engine on both."""
    noise, shape = Partition(4), (1, 8, 8)
    torch.manual_seed(0)
    network = nn.Sequential(build("digits-cnn", noise.noisy_shape(shape), 10, {})).eval()
    rng = np.random.default_rng(0)
    examples = [Example(index, rng.random(shape, dtype=np.float32), 0) for index in range(20 if plan.smoke else 200)]
    procedure = Certify(0, Exact(noise.realizations(shape)))
    found = []
    for device in ("cpu", plan.device):
        job = Job(network, noise.noisy_shape(shape), "float32", torch.device(device), plan.threads)
        classifier = VotingClassifier(prepare("torch", job), 10)
        engine = LocalEngine(device, 512, plan.threads)
        runs = engine.run(classifier, noise, procedure, 0, examples)
        found.append({example.index: votes[Stream.ESTIMATION].votes for example, votes in runs})
    moved = sum(
        abs(one - other) for index in found[0] for one, other in zip(found[0][index], found[1][index], strict=True)
    )
    return {
        "noise": str(noise),
        "votes": len(examples) * noise.realizations(shape),
        "differing": moved // 2,
        "pictures": len(examples),
        "pictures_with_other_votes": sum(found[0][index] != found[1][index] for index in found[0]),
    }


def same_noise(device: str) -> dict[str, bool]:
    """Whether each noise draws the same values on both from the same key."""
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 8, 8)).astype(np.float32) / 255)
    found = {}
    for name, kind in sorted(NOISES.all().items()):
        noise = NOISES.from_spec(kind.example)
        draws = [noise.draw(x.to(each), Draws(0, 0, Stream.ESTIMATION, _COPIES)).cpu() for each in ("cpu", device)]
        one, other = draws
        found[name] = one.dtype == other.dtype and torch.equal(one, other)
    return found
