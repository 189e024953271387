"""The state of unfinished work as a few files of limited size, for machines from which no more comes back."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

# Bytes of a file.
_PART = 15 * 2**20
_NAME = "state.part-"


def pack(state: Path, out: Path, part: int = _PART) -> list[Path]:
    """Write the state as files `state.part-000`, ... into `out`, in the place of earlier ones; return them."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path in sorted(state.rglob("*")):
            # What is being written has no name yet, and a packed state is not part of itself.
            if path.is_file() and not path.name.startswith(_NAME):
                archive.add(path, path.relative_to(state).as_posix())
    for old in out.glob(f"{_NAME}*"):
        old.unlink()
    whole, made = content.getvalue(), []
    for number, start in enumerate(range(0, len(whole), part)):
        path = out / f"{_NAME}{number:03}"
        path.write_bytes(whole[start : start + part])
        made.append(path)
    return made


def unpack(folder: Path, state: Path) -> bool:
    """Put the files that `pack` wrote into `folder` back into `state`; whether there were any."""
    parts = sorted(folder.glob(f"{_NAME}*"))
    if not parts:
        return False
    state.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(b"".join(path.read_bytes() for path in parts)), mode="r") as archive:
        for member in archive:
            target = (state / member.name).resolve()
            source = archive.extractfile(member) if member.isreg() else None
            if source is None or not target.is_relative_to(state.resolve()):
                raise ValueError(f"{folder} holds no state that `gpu.py` packed: it has {member.name!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read())
    return True
