"""The program `holdfast`: its commands, and how it prints errors."""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import Annotated, Any, cast

import typer

from holdfast.cli import (
    agree,
    attack,
    bound,
    bundle,
    certify,
    demo,
    ensemble,
    info,
    logs,
    plan,
    plugged,
    predict,
    report,
    reproduce,
    table,
    train,
    transfer,
    verify,
    weights,
)
from holdfast.distribution import VERSION
from holdfast.errors import HoldfastError, HoldfastWarning, first_line
from holdfast.files import explained
from holdfast.terminal import console, streams

# What other programs take beside a model, and where it stands here.
_MODEL_OPTIONS = ("--mean", "--std", "--classes", "--input-range", "--range", "--shape", "--layout", "--channels-last")
_OF_MODELS = "What a model does not say stands behind its path: --model net.onnx,mean=.5,std=.25,range=0/1,classes=10"
# Click's error for a wrong call. Typer may have its own copy of Click.
_CallError = cast("type[Exception]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    help="Certified robustness of classifiers by randomized smoothing: train, certify, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _program(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        sys.stdout.write(f"holdfast {VERSION}\n")
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
    bundle,
    ensemble,
)
for _module in _COMMANDS:
    _module.add_to(app)
for _info in app.registered_commands:
    _info.cls = plugged.ListingCommand


def main() -> None:
    """Run the program: exit code 0 for success, 2 for a wrong call, 1 for a failed run."""
    # Show the library's warnings as the program's own; the console leaves out repetitions.
    warnings.simplefilter("always", HoldfastWarning)
    warnings.showwarning = lambda message, *_: console.warn(" ".join(str(message).split()))
    streams.guard()
    try:
        try:
            plugged.add_to(app, sys.argv[1:])
            code = app(prog_name="holdfast", standalone_mode=False)
        finally:
            with suppress(BrokenPipeError):
                sys.stdout.flush()
    except HoldfastError as error:
        console.fail(*error.lines)
        sys.exit(error.exit_code)
    except _CallError as error:
        _say_wrong(error)
        sys.exit(2)
    except typer.Abort:
        console.fail("the input ended early; nothing was done")
        sys.exit(1)
    except OSError as error:
        reason, advice = explained(error)
        console.fail(f"{error.filename or 'a file'}: {reason}. {advice}")
        sys.exit(1)
    except MemoryError as error:
        console.fail(
            f"there is not enough memory for this ({first_line(error) or 'none is left'}). Compute less at a time: "
            "take a smaller --batch-size, fewer samples or fewer examples; or a machine with more memory"
        )
        sys.exit(1)
    if isinstance(code, int) and code:
        sys.exit(code)


def _say_wrong(error: Exception) -> None:
    """Print what is wrong with a call. Typer would print escape sequences in it as they are."""
    context: Any = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        # Typer has printed the help.
        return
    if context is not None:
        console.note(" ".join(context.get_usage().split()))
        console.note(f"Try '{context.command_path} {context.help_option_names[0]}' for help.")
    words: str = cast("Any", error).format_message()
    unknown = getattr(error, "option_name", None)
    advice = f" {_OF_MODELS}" if unknown in _MODEL_OPTIONS else ""
    console.fail(" ".join(words.split()) + advice)
