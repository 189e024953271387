"""Files that are mistaken for weights, recognized by their first bytes."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import BundleError
from holdfast.models.checkpoint_files import check_directory
from holdfast.stand_ins import ENOUGH, refuse_stand_in

if TYPE_CHECKING:
    from pathlib import Path


class Mistaken(NamedTuple):
    """What a file is instead of weights, and what to do."""

    what: str
    remedy: str


_BY_TORCH = "have its maker save torch.save(model.state_dict(), FILE), or safetensors"
# How an archive begins; a bundle may have one within.
_ZIP = b"PK"
TORCHSCRIPT = Mistaken("a TorchScript program", _BY_TORCH)
EXPORTED = Mistaken("a program of torch.export", _BY_TORCH)
_HDF5 = b"\x89HDF\r\n\x1a\n"


def mistaken(path: Path, name: object = None) -> Mistaken | None:
    """What a file is instead of weights; None where its beginning says nothing.

    Args:
        path: path of a file that is there.
        name: what errors call it, instead of its path.

    Raises:
        BundleError: it only stands in for another file (`holdfast.stand_ins`).
    """
    with path.open("rb") as file:
        start = file.read(ENOUGH)
    if not start:
        return Mistaken("an empty file", "fetch it again")
    refuse_stand_in(start, name or path, BundleError)
    if start.startswith(_HDF5):
        return Mistaken("an HDF5 file, as Keras writes", _BY_TORCH)
    if path.suffix == ".onnx":
        return Mistaken("an ONNX graph, by its name", _BY_TORCH)
    return _archive(path) if start.startswith(_ZIP) else None


def _archive(path: Path) -> Mistaken | None:
    """What a zip archive is if torch did not save plain objects in it."""
    check_directory(path, path.stat().st_size)
    try:
        if not zipfile.is_zipfile(path):
            return None
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except Exception:  # zipfile raises nearly anything on a damaged directory.
        return Mistaken("a damaged zip archive", "fetch it again")
    if "constants.pkl" in names:
        return TORCHSCRIPT
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return EXPORTED
    return None if "data.pkl" in names else Mistaken("a zip archive that torch did not write", "unpack it")
