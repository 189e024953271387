"""Digests of code: what runs differently is another one, what is only written differently is not."""

import sys
import types
from code import InteractiveInterpreter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.code_digest import code_again, code_of, digest_here, together

SOURCE = '''
"""A network."""
from __future__ import annotations
import math
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from collections.abc import Callable

SCALE = 2.0

def forward(x):
    """Twice."""
    # Comment.
    return SCALE * x + math.pi
'''

Write = Callable[..., None]


@contextmanager
def typed_in(text: str) -> Iterator[str]:
    """The name of a module that has what was typed into a console, as a notebook's main module has; it is forgotten."""
    module = types.ModuleType("typed_in")
    assert InteractiveInterpreter(vars(module)).runsource(text, symbol="exec") is False
    sys.modules[module.__name__] = module
    try:
        yield module.__name__
    finally:
        del sys.modules[module.__name__]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules below a folder on the path; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def written(**sources: str) -> None:
        for name, source in sources.items():
            file = tmp_path / f"{name.replace('__in__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)

    yield written
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("# Comment.", "# Another comment.", True),
        ('"""Twice."""', '"""Two times."""', True),
        ('"""A network."""', "", True),
        ("SCALE * x + math.pi", "(SCALE  *  x)+math.pi", True),
        ("import Callable", "import Mapping", True),
        ("SCALE * x", "SCALE * (x + 0)", False),
        ("SCALE = 2.0", "SCALE = 2", False),
        ("x + math.pi", "x - math.pi", False),
        ("return SCALE", 'return "".__len__() + SCALE', False),
    ],
)
def test_what_is_only_written_differently_is_the_same(write: Write, old: str, new: str, same: bool) -> None:
    assert old in SOURCE
    write(drawn_first=SOURCE, drawn_second=SOURCE.replace(old, new))
    assert (digest_here("drawn_first") == digest_here("drawn_second")) is same


def test_helpers_count_however_they_are_imported(write: Write) -> None:
    write(
        plug__in____init__="",
        plug__in__net="from .inside import layer\ndef f(x):\n    from plug import late\n    return layer(x)",
        plug__in__inside="import beside\nfrom torch import nn\nlayer = beside.layer",
        plug__in__late="import plug.inside, nothing_of_this_name",
        plug__in__unused="",
        beside="layer = abs",
    )
    found = code_of(["plug.net", "torch.nn", "json"], ())
    assert set(found) == {"beside", "plug", "plug.inside", "plug.late", "plug.net"}
    assert "plug" not in sys.modules, "nothing is imported to look at it"
    assert code_again(found) == found
    write(beside="layer = float")
    changed = code_again(found)
    assert {name for name in found if changed[name] != found[name]} == {"beside"}
    assert together(changed) != together(found)
    assert code_again({"gone.away": "0" * 64}) == {"gone.away": "not there"}


def test_packages_of_others_stand_for_themselves_by_version(write: Write) -> None:
    write(plugged="import pytest, torch, numpy, holdfast.files, holdfast.models.normalization")
    found = code_of(["plugged"], ("holdfast.models.normalization",))
    assert set(found) == {"holdfast.models.normalization", "plugged", "pytest"}
    assert found["pytest"] == f"version {pytest.__version__}"
    assert set(code_of(["plugged"], (), packages=False)) == {"plugged"}


def test_code_without_source_is_known_by_what_it_was_compiled_to() -> None:
    digests = []
    for text in ("def f(x):\n  return x + 1", "def f(x): return x + 1", "def f(x): return x + 2"):
        with typed_in(text) as name:
            digests.append(digest_here(name))
    assert digests[0] == digests[1] != digests[2]


def test_a_file_that_cannot_be_read_as_python_still_has_a_digest(write: Write) -> None:
    write(broken="def f(:", other="def f(;")
    assert digest_here("broken") != digest_here("other")


def test_the_packages_that_a_module_lies_in_run_and_count(write: Write) -> None:
    write(
        plug__in____init__="import beside",
        plug__in__inner__in____init__="",
        plug__in__inner__in__net="f = abs",
        beside="layer = abs",
    )
    found = code_of(["plug.inner.net"], ())
    assert set(found) == {"beside", "plug", "plug.inner", "plug.inner.net"}
    write(plug__in____init__="import beside; beside.layer = float")
    changed = code_again(found)
    assert {name for name in found if changed[name] != found[name]} == {"plug"}


def test_the_packages_of_an_installed_module_stand_by_their_version(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site-packages" / "far"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("import far.heavy")
    (folder / "heavy.py").write_text("")
    (folder / "net.py").write_text("")
    monkeypatch.syspath_prepend(folder.parent)
    found = code_of(["far.net"], ())
    assert found == {"far": "version unknown", "far.net": digest_here("far.net")}
    assert set(code_of(["far.net"], (), packages=False)) == {"far.net"}


def test_files_of_the_user_that_are_called_as_those_of_python_count(write: Write) -> None:
    write(net="import chunk, secrets, json, math, this, torch", this="layer = abs")
    # It was imported before, so that this is the one of Python.
    assert "json" in sys.modules
    before = sys.modules.pop("this", None)
    try:
        assert set(code_of(["net"], ())) == {"net", "this"}
        assert set(code_of(["this"], ())) == {"this"}
    finally:
        if before is not None:
            sys.modules["this"] = before


NOTEBOOK = """
import torch, pencil
from pencil import draw
SCALE, WIDTHS, SPARE, TABLE = 2.0, [1, 2], 5, torch.ones(2)
class Net(torch.nn.Module):
    depth = 3
    kinds = {"b", "a"}
    @property
    def wide(self): return self.depth + WIDTHS[0]
    @staticmethod
    def twice(x, by=2): return by * x
    def forward(self, x):
        inner = lambda y: SCALE * y
        return inner(draw(x))
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("SCALE, WIDTHS", "SCALE,  WIDTHS", True),
        ("SPARE, TABLE = 2.0, [1, 2], 5", "SPARE, TABLE = 2.0, [1, 2], 6", True),
        ("= 2.0, [1", "= 2.5, [1", False),
        ("[1, 2]", "[3, 2]", False),
        ("depth = 3", "depth = 4", False),
        ('{"b", "a"}', '{"b", "c"}', False),
        ("self.depth +", "self.depth -", False),
        ("by=2", "by=3", False),
        ("(torch.nn.Module)", "(torch.nn.Flatten)", False),
        ("by * x", "by + x", False),
        ("SCALE * y", "SCALE + y", False),
    ],
)
def test_classes_of_a_notebook_count_with_the_values_that_they_use(
    write: Write, old: str, new: str, same: bool
) -> None:
    write(pencil="def draw(x): return x")
    assert old in NOTEBOOK
    with typed_in(NOTEBOOK) as name:
        first = digest_here(name)
    with typed_in(NOTEBOOK.replace(old, new)) as name:
        second = digest_here(name)
    assert "not compared" not in first
    assert (first == second) is same


def test_what_a_notebook_imports_counts_and_what_cannot_be_compared_is_named(write: Write) -> None:
    write(pencil="import paper\ndef draw(x): return x", paper="")
    with typed_in(NOTEBOOK.replace("draw(x))", "draw(x)) + TABLE")) as name:
        found = code_of([name], ())
        assert {name, "pencil", "paper"} == set(found)
        assert found[name].endswith(", not compared: TABLE")
        assert code_again(found) == found
