"""Every option and argument of every command has a short help text."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from holdfast.cli.main import app

LONGEST = 100
# A list of everything that a newcomer can choose; those of data and noises are filled in when help is asked for.
LISTS = {"--recipe"}


def parameters() -> Iterator[tuple[str, str, str]]:
    """Command, option and help of each."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        for parameter in command.params:
            if parameter.name != "help":
                yield name, parameter.opts[0], getattr(parameter, "help", None) or ""


FOUND = list(parameters())


def test_all_commands_are_looked_at() -> None:
    assert len({command for command, *_ in FOUND}) > 15
    assert len(FOUND) > 150


@pytest.mark.parametrize(("command", "option", "text"), FOUND, ids=[f"{name} {option}" for name, option, _ in FOUND])
def test_an_option_has_a_short_help_that_is_a_sentence(command: str, option: str, text: str) -> None:
    assert text, f"{command} {option} has no help"
    assert len(text) <= LONGEST or option in LISTS, f"{command} {option}: {len(text)} characters: {text}"
    assert text.endswith((".", ")")), f"{command} {option}: {text}"
    assert not text.startswith(("Of ", "That ", "At which", "In which", "As in", "Whose ")), (
        f"{command} {option}: {text}"
    )


def test_an_exception_is_needed() -> None:
    assert {option for _, option, text in FOUND if len(text) > LONGEST} == LISTS
