"""The terminal shows texts as they are: no emoji, no markup, no broken lines. Options that all commands have."""

from __future__ import annotations

import io
import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer
from PIL import Image
from program import CERTIFY
from rich.console import Console
from torch import nn

from holdfast.cli.main import app
from holdfast.errors import HoldfastError, UsageError
from holdfast.models.model import InputSpace, KnownInputs, Model
from holdfast.terminal import console
from holdfast.terminal.streams import Guarded
from holdfast.widths import width

if TYPE_CHECKING:
    from program import Call

# What rich takes for an emoji, for markup, and for the end of some.
ODD = ":b: :smile: [red]a[/red] [/] [bold]"


@pytest.mark.parametrize("print_it", [console.say, console.note, console.warn, console.fail])
def test_texts_are_shown_as_they_are(capsys: pytest.CaptureFixture[str], print_it: object) -> None:
    assert callable(print_it)
    path = f"runs/{ODD}/{'long/' * 60}m.safetensors"
    print_it(f"there is no model file {path}; make one")
    captured = capsys.readouterr()
    printed = captured.out + captured.err
    assert path in printed
    assert printed.count("\n") == 1


def test_tables_show_texts_as_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "long/" * 60
    console.print_table((ODD, "value"), [(f"{ODD} {long}", ODD)])
    printed = capsys.readouterr().out
    assert printed.count(ODD) == 3
    assert long in printed, "a file has lines of any length"


def test_bars_show_titles_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(console.err, "_file", shown)
    monkeypatch.setattr(console.err, "_width", 200)
    assert list(console.counted(f"draw {ODD}", range(3), 3, hidden=False)) == [0, 1, 2]
    assert ODD in shown.getvalue()
    assert "100%" in shown.getvalue()


def test_control_characters_in_names_are_made_visible(capsys: pytest.CaptureFixture[str]) -> None:
    console.fail("a\x1b[31mb\x07c\td\x9be")
    assert "a\\x1b[31mb\\x07c\\td\\x9be" in capsys.readouterr().err


def test_json_for_machines_holds_the_very_texts_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"a\x1b[31m\x7f\u202e": ["日本語", "\U000e0041", "line\nbreak", "caf\udce9"]}
    console.print_json(names)
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed) == {"a\x1b[31m\x7f\u202e": ["日本語", "\U000e0041", "line\nbreak", "caf\\xe9"]}


def test_a_name_with_a_line_break_forges_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("class cat\nOK\u2028OK")
    console.fail("first\nOK", "  second")
    captured = capsys.readouterr()
    assert captured.out == "class cat\\nOK\\u2028OK\n"
    assert captured.err == "Error: first\\nOK\n  second\n"


def test_columns_stand_below_each_other_beside_wide_letters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    console.print_table(("name", "value"), [("日本語", "1"), ("abc", "2"), ("e\u0301", "3"), ("a\x1b[9D", "4")])
    lines = capsys.readouterr().out.splitlines()
    assert len({width(line) for line in lines}) == 1


def test_what_anybody_prints_cannot_steer_the_terminal(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def talkative(*_: object, **__: object) -> None:
        print("\x1b]0;title\x07out\tput\u202e")
        sys.stderr.writelines(["\x1b[2J", "error\n"])
        warnings.warn("odd\x1b[31m\n  name", RuntimeWarning, stacklevel=1)
        raise HoldfastError("named \x1b[0m")

    monkeypatch.setattr("holdfast.cli.info._run", talkative)
    monkeypatch.setattr("holdfast.cli.info.Path.is_dir", lambda _: True)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, printed, said = call("info", "x")
    assert code == 1
    assert printed == "\\x1b]0;title\\x07out\tput\\u202e\n"
    assert said == "\\x1b[2Jerror Warning: odd\\x1b[31m name Error: named \\x1b[0m"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("\x1b[31mred",), "No such command '\\x1b[31mred'"),
        (("table", "--\x1b[2Jx"), "No such option: --\\x1b[2Jx"),
        (("info",), "Missing argument"),
        (("import-log", "x", "--noise", "gaussian:sigma=1", "--n", "\u202e1", "--alpha", 1, "--out", "y"), "for '--n'"),
    ],
)
def test_wrong_calls_are_told_without_the_signs_in_them(call: Call, arguments: tuple[object, ...], said: str) -> None:
    code, printed, shown = call(*arguments)
    assert code == 2
    assert printed == ""
    assert said in shown
    assert shown.startswith("Usage: ")
    assert not set(shown) & set("\x1b\u202e")


def test_help_and_versions_are_printed_as_before(call: Call) -> None:
    code, printed, said = call("--version")
    assert (code, said) == (0, "")
    assert printed.startswith("holdfast ")
    code, printed, said = call("table", "--help")
    assert (code, said) == (0, "")
    assert "--format" in printed


def test_lines_of_others_appear_above_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, shown = io.StringIO(), io.StringIO()
    stream = Guarded(terminal)
    with stream.above(Console(file=shown, width=40)):
        stream.write("begun \x1b[2J")
        assert shown.getvalue() == ""
        stream.write("ended\nnext")
        assert shown.getvalue() == "begun \\x1b[2Jended\n"
    assert terminal.getvalue() == "next"


def test_a_path_with_colons_and_brackets(call: Call, tmp_path: Path) -> None:
    code, _, said = call("info", tmp_path / ":b:" / "[red]x")
    assert code == 2
    assert f"{tmp_path}/:b:/[red]x" in said


def test_commands_that_compute_can_be_quiet_and_write_for_machines() -> None:
    commands = typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    options = {name: {each for option in command.params for each in option.opts} for name, command in commands}
    computing = {name for name, each in options.items() if "--threads" in each}
    assert len(computing) > 8
    assert {name for name in computing if "--quiet" not in options[name]} == set()
    # The demonstration prints the places of its files.
    assert {name for name in computing if "--json" not in options[name]} == {"demo"}


def test_predict_shows_its_progress_unless_it_is_to_be_quiet(call: Call, models: Path) -> None:
    asked = ("predict", "--model", models / "gaussian.safetensors", "--limit", 3, "--n", 50, "--seed", 5)
    code, loud, said = call(*asked)
    assert code == 0
    assert "predict gaussian.safetensors" in said
    assert "100%" in said
    code, quiet, said = call(*asked, "--quiet")
    assert code == 0
    assert quiet == loud
    assert "%" not in said
    code, printed, said = call(*asked, "--json")
    assert len(json.loads(printed)["predictions"]) == 3
    assert "%" not in said


def test_records_that_are_drawn_again_are_counted_aloud(call: Call, models: Path, tmp_path: Path) -> None:
    model, run = models / "gaussian.safetensors", tmp_path / "run"
    assert call("certify", "--model", model, "--out", run, *CERTIFY)[0] == 0
    asked = ("verify", run, "--replay", 2, "--model", model)
    code, _, said = call(*asked)
    assert code == 0
    assert "draw again run" in said
    code, _, said = call(*asked, "--quiet")
    assert code == 0
    assert "draw again" not in said


def test_another_number_of_channels_is_told_with_the_option_that_reads_it(call: Call, tmp_path: Path) -> None:
    gradient = Image.linear_gradient("L").resize((8, 8))
    for kind, number in ((label, number) for label in ("cat", "dog") for number in range(2)):
        file = tmp_path / "data" / "test" / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        gradient.rotate(90 * number + 180 * (kind == "cat")).save(file)
    shutil.copytree(tmp_path / "data" / "test", tmp_path / "data" / "train")
    data, model = f"images:{tmp_path / 'data'}", tmp_path / "m.safetensors"
    trained = ("train", "--noise", "gaussian:sigma=0.25", "--arch", "digits-mlp", "--epochs", 1, "--quiet")
    code, _, said = call(*trained, "--data", f"{data},mode=grey", "--out", model)
    assert code == 0, said
    assert "are grey" not in said
    code, _, said = call("predict", "--model", model, "--data", data, "--quiet")
    assert code == 2
    assert "are grey and get three equal channels" in said
    assert "(3, 8, 8) in [0, 1]. The option mode=grey reads them with 1 channel" in said


def test_classes_that_differ_behind_those_shown_are_named() -> None:
    space = InputSpace((1, 2, 2), 0.0, 1.0)
    model = Model("m", nn.Identity(), {}, space=space, class_names=("a", "b", "c", "d", "e", "f"))
    with pytest.raises(UsageError) as raised:
        model.fitted(KnownInputs((1, 2, 2), 0.0, 1.0, ("a", "b", "c", "d", "x", "f")), "images:D")
    assert str(raised.value).count("(a, b, c, d and 2 more)") == 2
    assert "class 4 is 'e' for the model and 'x' in the data" in str(raised.value)
    with pytest.raises(UsageError, match=r"images:D has 2 \(a, b\)"):
        model.fitted(KnownInputs((1, 2, 2), 0.0, 1.0, ("a", "b")), "images:D")
