"""What a machine lacks, and the commands that bring it there without a network."""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Besides what the package itself needs: for the tests, and for CIFAR-10 in Parquet.
_FURTHER = {"pytest": "the CUDA tests", "pyarrow": "data in Parquet", "pillow": "data in Parquet"}
_NAME = re.compile(r'"([A-Za-z0-9_.-]+)')


def needed() -> dict[str, str]:
    """Packages by name, each with what it is for."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    own = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    names = _NAME.findall(own[1]) if own else []
    return {**dict.fromkeys(names, "everything"), **_FURTHER}


def missing() -> dict[str, str]:
    """Those that are not here."""
    return {name: purpose for name, purpose in needed().items() if not _is_here(name)}


def words(lacking: dict[str, str]) -> list[str]:
    """What is missing, in lines, with the commands; empty if nothing is."""
    if not lacking:
        return []
    names = " ".join(f"'{name}{_pinned(name)}'" for name in lacking)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    lines = [f"missing: {name} (for {purpose})" for name, purpose in lacking.items()]
    # torch from PyPI is the one with CUDA; with it come NVIDIA's libraries, which are large.
    alone = "" if "torch" in lacking else "--no-deps "
    return [
        *lines,
        "on a machine with a network, of the same kind of processor and system:",
        f"  python -m pip download {alone}--only-binary=:all: --python-version {python} -d wheels {names}",
        "  (torch from PyPI has CUDA; with --no-deps, name also what these packages need and is not there)",
        "on this machine, before the benchmark:",
        "  python -m pip install --no-index --no-deps --target site wheels/*.whl && export PYTHONPATH=$PWD/site",
    ]


def _is_here(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _pinned(name: str) -> str:
    """The version that the tests of the project run with, except for torch, which belongs to the card's driver."""
    path = ROOT / "constraints.txt"
    if name == "torch" or not path.is_file():
        return ""
    # Several versions, for several releases of Python, are no pin.
    found = re.findall(rf"^{re.escape(name)}(==[^\s;#]+)", path.read_text(encoding="utf-8"), re.MULTILINE | re.I)
    return str(found[0]) if len(found) == 1 else ""
