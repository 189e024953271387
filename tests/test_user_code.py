"""Functions of the user's own files and modules, and that other processes find them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.code_digest import digest_here
from holdfast.errors import UsageError
from holdfast.user_code import load_callable


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def written(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_a_function_of_a_file_and_what_lies_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "hf_sibling_a.py", "THREE = 3\n")
    file = written(tmp_path, "hf_mine_a.py", "from hf_sibling_a import THREE\ndef times(x):\n    return THREE * x\n")
    times, module = load_callable(f"{file}:times", "the data")
    assert times(2) == 6
    assert module.__name__ == "hf_mine_a"
    assert Path(module.__file__ or "") == file
    assert load_callable(f"{file}:times", "the data")[0] is times


def test_attributes_are_reached_by_dots(tmp_path: Path) -> None:
    text = "class Data:\n    @staticmethod\n    def load():\n        return 5\n"
    file = written(tmp_path, "hf_mine_b.py", text)
    assert load_callable(f"{file}:Data.load", "the data")[0]() == 5


def test_the_home_folder_may_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "hf_mine_c.py", "def five():\n    return 5\n")
    assert load_callable("~/hf_mine_c.py:five", "the data")[0]() == 5


def test_a_module_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "hf_package/__init__.py", "")
    written(tmp_path, "hf_package/inner.py", "def five():\n    return 5\n")
    written(tmp_path, "hf_package/data.py", "from .inner import five\n")
    monkeypatch.chdir(tmp_path)
    found, module = load_callable("hf_package.data:five", "the model")
    assert found() == 5
    assert module.__name__ == "hf_package.data"
    with pytest.raises(UsageError, match="it belongs to a package"):
        load_callable("hf_package/data.py:five", "the model")


def test_another_process_finds_what_it_is_sent(tmp_path: Path) -> None:
    file = written(tmp_path, "hf_mine_d.py", "class Net:\n    def __init__(self, size):\n        self.size = size\n")
    net, _ = load_callable(f"{file}:Net", "the model")
    sent = pickle.dumps((list(sys.path), net))
    program = (
        "import pickle, sys; data = sys.stdin.buffer.read(); sys.path[:0] = [sys.argv[1]]; "
        "print(pickle.loads(data)[1](7).size)"
    )
    folder = str(tmp_path)
    assert folder == sys.path[0]
    done = subprocess.run([sys.executable, "-c", program, folder], input=sent, capture_output=True, check=True)
    assert done.stdout.split() == [b"7"]


def test_its_code_is_read_by_its_name(tmp_path: Path) -> None:
    text = "def five():\n    return 5\n"
    first = written(tmp_path / "a", "hf_mine_e.py", text)
    second = written(tmp_path / "b", "hf_mine_f.py", "# with a comment\n" + text)
    names = [load_callable(f"{file}:five", "the model")[1].__name__ for file in (first, second)]
    assert digest_here(names[0]) == digest_here(names[1])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hf_mine.py", "FILE.py:NAME or PACKAGE.MODULE:NAME; got 'hf_mine.py'"),
        ("hf_mine.py:", "Write the name of the function behind a colon"),
        ("hf_mine.py:a b", "is written FILE.py:NAME"),
        ("nowhere/hf_mine.py:f", "no file nowhere/hf_mine.py"),
        (".:f", "no file and cannot be the name of a module"),
        ("hf_nowhere.data:f", "no module 'hf_nowhere'"),
        ("json.hf_nowhere:loads", r"no module 'json\.hf_nowhere'"),
        ("json:hf_nothing", "json has no 'hf_nothing'; it defines"),
        ("json:__doc__", "is of the type str, expected a function or a class"),
    ],
)
def test_what_is_not_there_is_named(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_callable(spec, "the data")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "sub.py").mkdir()
    with pytest.raises(UsageError, match=r"sub\.py is a folder"):
        load_callable(f"{tmp_path}/sub.py:f", "the data")


def test_names_close_to_the_one_asked_for_come_first(tmp_path: Path) -> None:
    text = "".join(f"def {name}():\n    pass\n" for name in ("alpha", "beta", "gamma", "make_net"))
    file = written(tmp_path, "hf_mine_g.py", text)
    with pytest.raises(UsageError, match="has no 'makenet'; it defines make_net, alpha, beta and 1 more"):
        load_callable(f"{file}:makenet", "the model")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x / 0\n", r"ZeroDivisionError: division by zero \(line 2 of .*hf_broken.*\.py\)"),
        ("def f(:\n", r"SyntaxError: .* \(line 1 of "),
        ("import hf_no_such_package\n", r"imports 'hf_no_such_package', which is not there \(line 1 of"),
        ("import sys\nsys.exit(3)\n", "fails with SystemExit: 3"),
    ],
)
def test_a_file_that_does_not_run_says_where(tmp_path: Path, text: str, message: str) -> None:
    file = written(tmp_path, f"hf_broken_{abs(hash(text))}.py", text)
    with pytest.raises(UsageError, match=message):
        load_callable(f"{file}:f", "the data")
    assert file.stem not in sys.modules


def test_a_file_with_the_name_of_another_module_is_refused(tmp_path: Path) -> None:
    before = list(sys.path)
    file = written(tmp_path, "json.py", "def f():\n    pass\n")
    with pytest.raises(UsageError, match=r"json\.py has the name of another module of Python, json \(.*rename"):
        load_callable(f"{file}:f", "the data")
    assert sys.path == before
    with pytest.raises(UsageError, match=r"expected NAME\.py without further dots"):
        load_callable(f"{written(tmp_path, 'a.b.py', '')}:f", "the data")


def test_a_file_that_has_changed_is_not_taken_for_what_was_run(tmp_path: Path) -> None:
    file = written(tmp_path, "hf_mine_h.py", "def five():\n    return 5\n")
    load_callable(f"{file}:five", "the data")
    file.write_text("def five():\n    return 6\n")
    with pytest.raises(UsageError, match="has changed since this process ran it"):
        load_callable(f"{file}:five", "the data")
