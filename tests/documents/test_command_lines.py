"""Every `holdfast` command line in the pages names commands and options that exist, with the values that they take."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pages import PAGES, ROOT, title
from typer.main import get_command

from holdfast.__main__ import app

PROGRAM: Any = get_command(app)
# Of Click, of which Typer may have a copy: what is wrong with a call.
CALL_ERROR = typer.BadParameter.__mro__[2]
CONTEXT = PROGRAM.context_class(PROGRAM, info_name="holdfast")
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# `holdfast certify --n 1000`, set as code within a sentence.
INLINE = re.compile(r"(?<!`)`(holdfast [^`]+)`(?!`)")
# Of the package that docs/extending.md shows; tests/test_extending.py runs it.
BROUGHT = {"count"}
TARGET = re.compile(r"^make ([\w-]+)", re.MULTILINE)


def said_to_type(text: str) -> Iterator[str]:
    """The command lines that a page has in its shell blocks, and within its sentences."""
    for block in SHELL.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("holdfast "))
    for line in INLINE.findall(text):
        yield " ".join(line.split())


def what_is_wrong(line: str) -> str | None:
    """Why the program would refuse the call for its form, or None. Nothing is run, and no value is looked at."""
    words = shlex.split(line, comments=True)[1:]
    if not words or words[0].startswith("-"):
        command, words = PROGRAM, words
    elif words[0] in PROGRAM.commands:
        command, words = PROGRAM.commands[words[0]], words[1:]
    else:
        return f"there is no command {words[0]!r}"
    try:
        command.make_parser(CONTEXT).parse_args(args=words)
    except CALL_ERROR as error:
        return str(error)
    return None


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_command_lines_name_what_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    typed = [line for line in said_to_type(text) if not BROUGHT.intersection(line.split()[1:2])]
    wrong = {line: reason for line in typed if (reason := what_is_wrong(line)) is not None}
    assert wrong == {}


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = {
        target for page in PAGES for block in SHELL.findall(page.read_text("utf-8")) for target in TARGET.findall(block)
    }
    assert {"demo", "test", "docs"} <= told
    assert [target for target in sorted(told) if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_enough_is_found_to_be_checked() -> None:
    lines = [line for page in PAGES for line in said_to_type(page.read_text(encoding="utf-8"))]
    commands = {line.split()[1] for line in lines}
    # demo stands in the Makefile.
    assert set(PROGRAM.commands) - commands <= {"demo"}
    assert len(lines) > 80


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("holdfast certifie --n 5", "no command"),
        ("holdfast certify --samples 5", "--samples"),
        ("holdfast certify --model m.safetensors --n", "--n"),
        ("holdfast --versions", "--versions"),
    ],
)
def test_what_does_not_exist_is_found(line: str, reason: str) -> None:
    assert reason in (what_is_wrong(line) or "")
