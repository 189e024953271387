"""What other distributions and the tables of variants add to the program: commands, and the lists in help texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

from holdfast.registry import errors_as_warnings, find_plugins

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

GROUP = "holdfast.commands"
# What stands in the help of an option for a list of all variants, for which their modules need not be loaded before.
NOISES, SOURCES = "{noises}", "{sources}"


class ListingCommand(TyperCommand):
    """A command whose help lists variants as they are registered, once somebody asks for it."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Fill the lists in, then as always."""
        for parameter in self.params:
            text = getattr(parameter, "help", None) or ""
            for mark, listed in _LISTS.items():
                if mark in text:
                    parameter.help = text = text.replace(mark, listed())  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)


def add_to(app: typer.Typer, arguments: Sequence[str]) -> None:
    """Add the commands of other distributions, unless one of Holdfast's own is called.

    Args:
        app: has Holdfast's own.
        arguments: of the program.
    """
    own = {str(info.name): "holdfast.cli" for info in app.registered_commands}
    if any(argument in own for argument in arguments[:1]):
        return
    for name, (distribution, entry) in find_plugins("command", GROUP, own).items():
        with errors_as_warnings("command", name, distribution):
            add: Callable[[typer.Typer], None] = entry.load()
            add(app)


def _noises() -> str:
    from holdfast.noises.base import NOISES as KNOWN

    return ", ".join((kind.example or name) for name, kind in KNOWN.all().items())


def _sources() -> str:
    from holdfast.data.source import SOURCES as KNOWN

    return ", ".join(source.usage for source in KNOWN.all().values())


_LISTS: dict[str, Callable[[], str]] = {NOISES: _noises, SOURCES: _sources}
