"""Random words in one launch: right by Triton's own interpreter, and refused where they are wrong."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types
import warnings
from typing import Any

import pytest
import torch

from holdfast.noises import card, draws
from holdfast.noises.draws import Draws, philox

# Compared by Triton's interpreter, which needs no card.
PROGRAM = """
import numpy as np, torch
from holdfast.noises import draws
from holdfast.noises.card import triton_words
numbers = torch.tensor([1, 2, 3, 2**62 + 7, -1, -2**63, 0] * 100)
for key in ((0, 0), (2**64 - 1, 2**63), (7, 2**32 + 3)):
    for others in ((0, 0, 0), (1, 2**64 - 2, 2**63 + 1), (2**31, 2**32, 3)):
        found = triton_words.philox(key, (numbers, *others))
        assert torch.equal(found, draws.philox(key, (numbers, *others)))
        for row, number in zip(found.numpy().view(np.uint64), numbers.tolist()):
            # numpy counts on before it makes a block.
            whole = number % 2**64 + sum(word << 64 * place for place, word in enumerate(others, 1))
            state = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=(whole - 1) % 2**256)
            assert row.tolist() == state.random_raw(4).tolist()
            if number == 0:
                break
print("same", len(found))
assert triton_words.philox((1, 2), (numbers[:0], 0, 0, 0)).shape == (0, 4)
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_words_by_triton_are_those_of_numpy_and_torch() -> None:
    call = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        call, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "same 700\n"), done.stderr


def fake(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    module = types.ModuleType("holdfast.noises.card.triton_words")
    module.philox = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(card, "find_spec", lambda name: name == "triton")


def test_right_words_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def right(key: Any, counter: Any) -> torch.Tensor:
        return philox(key, counter).clone()

    fake(monkeypatch, right)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert card.checked(philox, torch.zeros(0, dtype=torch.int64)) is right


@pytest.mark.parametrize("how", ["one bit", "signed", "failing"])
def test_others_are_refused(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(key: tuple[int, int], counter: tuple[torch.Tensor, int, int, int]) -> torch.Tensor:
        if how == "failing":
            raise ValueError("no compiler\nmore")
        if how == "signed":
            # As a product of signed words would be for negative counters.
            return philox(key, (counter[0].abs(), *counter[1:]))
        words = philox(key, counter)
        words[999, 3] ^= 1
        return words

    fake(monkeypatch, wrong)
    reason = "ValueError: no compiler;" if how == "failing" else "its words are wrong;"
    with pytest.warns(RuntimeWarning, match=reason):
        assert card.checked(philox, torch.zeros(0, dtype=torch.int64)) is philox


def test_without_triton_words_come_from_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "find_spec", lambda name: None)
    assert card.checked(philox, torch.zeros(0, dtype=torch.int64)) is philox


def test_only_a_card_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each card once, with the words that are then drawn."""
    asked = []

    def counting(whole: Any, like: torch.Tensor) -> Any:
        asked.append(like.device)
        return whole

    class OnCard(torch.Tensor):
        device = torch.device("cuda:1")

    monkeypatch.setattr(draws, "checked", counting)
    monkeypatch.setattr(draws, "_ON_CARDS", {})
    expected = Draws(1, 2, 3, 4).words64(torch.zeros(1), 5)
    assert asked == []
    for _ in range(2):
        assert torch.equal(Draws(1, 2, 3, 4).words64(torch.zeros(1).as_subclass(OnCard), 5), expected)
    assert asked == [torch.device("cuda:1")]
