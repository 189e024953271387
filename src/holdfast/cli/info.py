"""`holdfast info`: print the contents of a model or a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options
from holdfast.errors import UsageError
from holdfast.spelling import spelled, with_fractions
from holdfast.terminal import console

if TYPE_CHECKING:
    from collections.abc import Mapping


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("info")(info_command)


def info_command(
    path: Annotated[Path, typer.Argument(help="A model (.safetensors, .onnx, .pt2, .skops) or the folder of a run.")],
    json: options.Json = False,
) -> None:
    """Print the contents of a model or a run."""
    if path.is_dir():
        document = _run(path)
    elif path.is_file() and path.suffix != ".safetensors":
        document = _model(path)
    elif path.is_file():
        from holdfast.models.bundle import read_info

        document = {"kind": "bundle", **asdict(read_info(path))}
    else:
        raise UsageError(f"{path} does not exist; `holdfast info` takes a bundle (.safetensors) or the folder of a run")
    if json:
        console.print_json(document)
    else:
        console.print_table((str(path), "value"), _rows(document))


def _model(file: Path) -> dict[str, Any]:
    from holdfast.models.source import open_model

    found = open_model(file)
    takes = None if found.takes is None else list(found.takes)
    return {"kind": "model", "takes": takes, "classes": found.num_classes, **found.describe()}


def _run(folder: Path) -> dict[str, Any]:
    from holdfast.store.run import read_run

    run = read_run(folder)
    return {
        "kind": "run",
        "subset": run.manifest.data.there(run.records).words,
        "records": len(run.records),
        "missing": run.missing,
        "sessions": len(run.sessions),
        "samples": sum(session.samples for session in run.sessions),
        "seconds": round(sum(session.seconds for session in run.sessions), 1),
        "digest": run.manifest.digest,
        "results": run.results,
        "manifest": run.manifest.entries(),
    }


def _rows(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            rows.extend(_rows(value, f"{prefix}{key}."))
        else:
            text = ", ".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)
            rows.append((prefix + key, text))
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return spelled(value) if isinstance(value, float) else with_fractions(str(value))
