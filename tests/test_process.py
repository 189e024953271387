"""What is set for the whole process is as it was afterwards, also after an error."""

import os
import signal
from contextlib import suppress

import pytest

from holdfast.process import environment, interrupts_held_back


def test_the_environment_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_SET", "before")
    monkeypatch.delenv("HOLDFAST_UNSET", raising=False)
    with suppress(RuntimeError), environment({"HOLDFAST_SET": "1", "HOLDFAST_UNSET": "2"}):
        assert (os.environ["HOLDFAST_SET"], os.environ["HOLDFAST_UNSET"]) == ("1", "2")
        raise RuntimeError
    assert os.environ["HOLDFAST_SET"] == "before"
    assert "HOLDFAST_UNSET" not in os.environ


def test_interrupts_reach_the_process_again() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with suppress(RuntimeError), interrupts_held_back():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
        raise RuntimeError
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
