"""Progress is a bar where somebody looks, a call where a function is given, and nothing else."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import holdfast as hf
from holdfast.terminal import console

MODEL = Path(__file__).parents[1] / "stored" / "models" / "gaussian.safetensors"
SETTINGS = {"every": 60, "n": 100, "n0": 20, "seed": 5}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_is_written_where_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    hf.certify(MODEL, "digits", **SETTINGS)
    hf.predict(MODEL, "digits", n=50, every=60)
    hf.verify(hf.certify(MODEL, "digits", **SETTINGS), model=MODEL, data="digits", replay=1)
    assert capfd.readouterr() == ("", "")


def test_a_terminal_has_a_bar_unless_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for progress, expected in ((True, True), (False, False)):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(console, "err", console._Terminal(stderr=True))
        hf.certify(MODEL, "digits", progress=progress, **SETTINGS)
        hf.predict(MODEL, "digits", n=50, every=60, progress=progress)
        assert ("certify run" in screen.getvalue()) is expected
        assert ("predict" in screen.getvalue()) is expected


def test_a_function_hears_how_far_it_is() -> None:
    seen: list[tuple[int, int]] = []
    hf.certify(MODEL, "digits", progress=lambda p: seen.append((p.examples_done, p.examples_total)), **SETTINGS)
    assert seen
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {6}
    counted: list[tuple[int, int]] = []
    hf.predict(MODEL, "digits", n=50, every=60, progress=lambda *state: counted.append(state))
    assert counted == [(done, 6) for done in range(1, 7)]


def test_a_notebook_has_a_bar_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        pass

    pages: list[str] = []
    shell, display = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython = ZMQInteractiveShell
    display.HTML = str
    display.display = lambda page, display_id: SimpleNamespace(update=pages.append)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    hf.certify(MODEL, "digits", out=None, **SETTINGS)
    assert pages[-1] == "certify run <progress value='6' max='6'></progress> 6 of 6"
    pages.clear()
    hf.certify(MODEL, "digits", progress=False, **SETTINGS)
    assert pages == []


@pytest.mark.parametrize("progress", [1, None, "yes"])
def test_something_else_is_refused(progress: object) -> None:
    for call in (hf.certify, hf.predict):
        with pytest.raises(hf.UsageError, match="progress is True, False, or a function that is told"):
            call(MODEL, "digits", progress=progress, limit=1, n=20)
