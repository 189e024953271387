"""Digests of code: what runs differently is another one, what is only written differently is not."""

import sys
import types
from collections.abc import Callable, Iterator
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
        module = types.ModuleType("typed_in")
        exec(text, vars(module))
        sys.modules["typed_in"] = module
        digests.append(digest_here("typed_in"))
    del sys.modules["typed_in"]
    assert digests[0] == digests[1] != digests[2]


def test_a_file_that_cannot_be_read_as_python_still_has_a_digest(write: Write) -> None:
    write(broken="def f(:", other="def f(;")
    assert digest_here("broken") != digest_here("other")
