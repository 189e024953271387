"""Copies of base classifiers share no state with the original."""

from __future__ import annotations

from threading import Lock

import torch
from torch import Tensor, nn

from holdfast.sampling.fresh import fresh_copy


class Counts:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, z: Tensor) -> int:
        self.calls += 1
        return self.calls


def closed_over() -> object:
    inner = Counts()
    calls = 0

    def f(z: Tensor) -> int:
        nonlocal calls
        calls += 1
        return calls + inner(z)

    return f


def test_objects_methods_and_variables_that_are_closed_over_are_copied() -> None:
    z = torch.zeros(1)
    for made, first in ((Counts(), 1), (Counts().__call__, 1), (closed_over(), 2)):
        copied = fresh_copy(made)
        assert (made(z), made(z)) == (first, 2 * first)
        assert copied is not None
        assert copied(z) == first


def test_weights_are_shared_and_other_state_is_not() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()
    for made in (module, lambda z: module(z)):
        copied = fresh_copy(made)
        inner = copied if isinstance(copied, nn.Module) else copied.__closure__[0].cell_contents
        assert inner[0].weight is module[0].weight
        assert inner[1].running_mean is not module[1].running_mean


def test_what_cannot_be_copied_has_no_copy() -> None:
    class Locked(Counts):
        def __init__(self) -> None:
            super().__init__()
            self.lock = Lock()

    assert fresh_copy(Locked()) is None
    assert fresh_copy(torch.relu) is None
    assert fresh_copy(lambda z: z) is None
    compiled = Counts()
    # As torch marks what it has compiled.
    vars(compiled)["_torchdynamo_orig_callable"] = None
    assert fresh_copy(compiled) is None


def test_a_function_may_close_over_itself() -> None:
    def f(depth: int) -> int:
        return f(depth - 1) + 1 if depth else 0

    copied = fresh_copy(f)
    assert copied is not None
    assert copied(3) == 3
