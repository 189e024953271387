"""Distributions that are made on the spot, as an installer leaves them: modules, and metadata with entry points."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r'^\[project\.entry-points\."([\w.]+)"\]$', re.MULTILINE)


def install(
    folder: Path, name: str, modules: Mapping[str, str], points: Mapping[str, Mapping[str, str]], metadata: str = ""
) -> Path:
    """Write a distribution into a folder for `PYTHONPATH`.

    Args:
        folder: where it lies.
        name: of the distribution.
        modules: sources by path, as in `toy/noise.py`.
        points: by group, `NAME -> MODULE:OBJECT`.
        metadata: of `entry_points.txt`, in the place of `points`.
    """
    for path, source in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    written = (
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in points.items()
    )
    (info / "entry_points.txt").write_text(metadata or "\n".join(written))
    return folder


def blocks(page: str, language: str) -> list[str]:
    """The code of a page of the docs in one language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [code for named, code in _BLOCK.findall(text) if named == language]


def modules_of(page: str) -> dict[str, str]:
    """The Python files that a page shows, by the path in their first line."""
    shown = blocks(page, "python")
    return {code.splitlines()[0].removeprefix("# "): code for code in shown}


def points_of(page: str) -> dict[str, dict[str, str]]:
    """The entry points that a page shows, by group."""
    found: dict[str, dict[str, str]] = {}
    for code in blocks(page, "toml"):
        parts = _TABLE.split(code)
        for group, lines in zip(parts[1::2], parts[2::2], strict=True):
            pairs = (line.split(" = ") for line in lines.split("\n") if " = " in line)
            found[group] = {key: value.strip('"') for key, value in pairs}
    return found


def program(folder: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call `holdfast` in a process of its own that sees the distributions in a folder."""
    return python(folder, cwd, "-c", "from holdfast.cli.main import main; main()", *arguments)


def python(folder: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call Python so."""
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=environment
    )
