"""What messages say holds wherever they are read: from Python as from the command line, shortened lists included."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import holdfast as hf
from holdfast.attacks.target import PlainTarget
from holdfast.errors import ClassifierError
from holdfast.shortened import some

SOURCE = Path(hf.__file__).parent
# An option of Holdfast's own program, unless it stands in a whole command: `holdfast train --out FILE`.
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
COMMAND = re.compile(r"`[^`]*`|'[^']*'|pip install .*")


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """The texts of a module by their lines, without docstrings; what is computed stands as X."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.lineno, node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inner.add(id(node.value))


def library() -> list[Path]:
    return [path for path in sorted(SOURCE.rglob("*.py")) if path.relative_to(SOURCE).parts[0] != "cli"]


def test_the_library_does_not_speak_of_options_of_the_command_line() -> None:
    assert len(library()) > 200
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in library()
        for line, text in texts(path)
        if OPTION.search(COMMAND.sub("", text))
    ]
    assert found == []


def test_the_search_for_options_finds_them(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        '"""Of --this."""\nraise ValueError(f"got {1}; use --precision " "float32, `holdfast train --out X`")'
    )
    (line, text), *others = ((line, text) for line, text in texts(file) if "Of --this" not in text)
    assert not others
    assert (line, OPTION.findall(COMMAND.sub("", text))) == (2, ["--precision"])


def test_dots_stand_for_what_is_left_out_alone() -> None:
    """`a, b ...` in a message, where a list may have been shown to its end."""
    dotted = re.compile(r"X,? \.\.\.|X\.\.\.")
    allowed = {"X lies in a folder called X..."}
    found = {
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in texts(path)
        if dotted.search(text) and not any(text.startswith(each) for each in allowed)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("names", "number", "said"),
    [
        ((), None, ""),
        (("a",), None, "a"),
        (("a", "b", "c"), None, "a, b, c"),
        (("a", "b", "c", "d"), None, "a, b, c and 1 more"),
        (("a", "b", "c"), 3, "a, b, c"),
        (("a", "b", "c"), 1003, "a, b, c and 1,000 more"),
    ],
)
def test_what_is_left_out_is_counted(names: tuple[str, ...], number: int | None, said: str) -> None:
    assert some(names, number) == said


def all_masked(x: Tensor) -> Tensor:
    return torch.full((len(x), 3), -torch.inf)


def test_a_classifier_that_masks_every_class_is_told_so_and_not_of_options() -> None:
    smoothed = hf.SmoothedClassifier(all_masked, hf.Gaussian(0.5), 3)
    with pytest.raises(ClassifierError) as raised:
        smoothed.certify(np.zeros((1, 1, 2, 2), dtype=np.float32), n0=10, n=100, alpha=0.01)
    said = str(raised.value)
    assert "NaN or infinite logits for 10 of 10 noisy copies of example 0" in said
    assert "Where the logits of all classes are minus infinity, the classifier rules out" in said
    assert "--" not in said


def test_an_attack_on_a_classifier_that_masks_a_class_says_what_to_do() -> None:
    def masked(x: Tensor) -> Tensor:
        return torch.stack([x.flatten(1).sum(1), 1 - x.flatten(1).sum(1), torch.full((len(x),), -torch.inf)], dim=1)

    target = PlainTarget(masked, 3, (1, 2, 2), 0.0, 1.0)
    with pytest.raises(ClassifierError, match="have it return a large negative number") as raised:
        target.scores(torch.full((1, 1, 2, 2), 0.5))
    assert "--" not in str(raised.value)
