"""The program `holdfast`: its commands, and how an error leaves it."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import Annotated, TextIO, cast

import typer

from holdfast.cli import (
    agree,
    attack,
    bound,
    certify,
    console,
    demo,
    ensemble,
    info,
    logs,
    plan,
    predict,
    report,
    reproduce,
    table,
    train,
    transfer,
    verify,
    weights,
)
from holdfast.errors import HoldfastError, first_line
from holdfast.files import explained, shown

app = typer.Typer(
    help="Certified robustness of classifiers by randomized smoothing: train, certify, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _program(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        sys.stdout.write(f"holdfast {installed('holdfast')}\n")
        raise typer.Exit


_COMMANDS = (
    demo,
    train,
    plan,
    certify,
    attack,
    bound,
    transfer,
    predict,
    agree,
    report,
    table,
    verify,
    reproduce,
    info,
    logs,
    weights,
    ensemble,
)
for _module in _COMMANDS:
    _module.add_to(app)


def main() -> None:
    """Run the program: exit code 0 for success, 2 for a wrong call, 1 for a failed run."""
    # What the library warns of, smaller batches where memory is short say, in the words and colours of the program.
    warnings.showwarning = lambda message, *_: console.warn(str(message))
    for stream in (sys.stdout, sys.stderr):
        console.escape_unprintable(stream)
    sys.stdout = cast("TextIO", console.StandardOutput(sys.stdout))
    try:
        try:
            app()
        finally:
            with suppress(BrokenPipeError):
                sys.stdout.flush()
    except HoldfastError as error:
        console.fail(str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        reason, advice = explained(error)
        console.fail(f"{shown(str(error.filename or 'a file'))}: {reason}. {advice}")
        sys.exit(1)
    except MemoryError as error:
        console.fail(
            f"there is not enough memory for this ({first_line(error) or 'none is left'}). Ask for less at a time: a "
            "smaller --batch-size, fewer samples or images; or take a machine with more"
        )
        sys.exit(1)
