"""Programs of torch.export, read so that nothing in their file is run but operators of torch.

`torch.export.load` unpickles sample inputs and some weights, resolves any name in torch, and evaluates expressions: a
file could bring code of its own. Here the graph is read first, and loaded from an archive with nothing else in it.
"""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from holdfast.budgets import check_memory, check_size
from holdfast.errors import BundleError, first_line
from holdfast.models.checkpoint_files import check_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch.export import ExportedProgram

_MOST_JSON = 2**28
# What a node may call: operators of torch, and arithmetic on sizes.
_OPERATORS = re.compile(
    r"torch\.ops\.(aten|prims)\.\w+\.\w+|torch\.ops\.higher_order\.(wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\.sym_(int|float|max|min|not|sum|ite)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|getitem|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|math\.(ceil|floor|trunc)"
)
# Operators that read or write something beside their arguments.
_NEVER = re.compile(r"torch\.ops\.aten\.(from_file|_print|_assert_async|record_stream)\b.*")
# Sizes as sympy writes them: numbers, arithmetic, and these names alone.
_SYMBOL = re.compile(r"Symbol\('[su]\d+'(, (positive|integer|nonnegative)=(True|False))*\)")
_SIZE_NAMES = re.compile(
    r"Integer|Rational|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|ModularIndexing|Add|Mul|oo|int_oo|[su]\d+"
)
_SIZE_TEXT = re.compile(r"[\w\s+\-*/(),.]{0,1000}")
# A tower of powers would take for ever.
_POWER = re.compile(r"\*\*\s*(?![23]\b)|\*\*\s*\d\s*\*\*")


def read_program(path: Path) -> bytes:
    """The archive of a program; see `plain_program`."""
    check_size(path.stat(), path, BundleError)
    check_memory(2 * path.stat().st_size, path, BundleError, "take a smaller model, or a machine with more memory")
    check_directory(path, path.stat().st_size)
    return plain_program(path.read_bytes(), path)


def plain_program(content: bytes, path: object) -> bytes:
    """The archive of a program, with nothing in it but a graph of operators and plain weights.

    Args:
        content: of the archive, as somebody wrote it.
        path: where it comes from, for messages.

    Raises:
        BundleError: no program that torch.export saved, a broken one, or one that would run more than operators.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _plain_archive(archive, path)
    except (zipfile.BadZipFile, KeyError, ValueError, UnicodeDecodeError, RecursionError) as error:
        raise _broken(path, error) from error


def program_of(content: bytes) -> ExportedProgram:
    """The program in an archive of `read_program`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.export.load(io.BytesIO(content))
        except Exception as error:  # torch raises nearly anything on a graph that does not fit.
            raise _broken("the program", error) from error


def module_in(content: bytes) -> nn.Module:
    """The module of a program in an archive of `read_program`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return program_of(content).module()


def _plain_archive(archive: zipfile.ZipFile, path: object) -> bytes:
    """The archive again, with the graph, plain weights and constants, and nothing else."""
    names = archive.namelist()
    graphs = [name for name in names if re.fullmatch(r"[^/]+/models/model\.json", name)]
    if len(graphs) != 1:
        found = [name.rpartition("/")[2] for name in names if "/models/" in name]
        raise BundleError(
            f"{path} is no program that torch.export.save wrote: it has {len(graphs)} graphs named model "
            f"({', '.join(found[:4]) or 'no others'}), expected one. Export the network by torch.export"
        )
    top = graphs[0].partition("/")[0]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as plain:
        plain.writestr(graphs[0], json.dumps(_checked_graph(_json(archive, graphs[0]), path)))
        for kind in ("weights", "constants"):
            name = f"{top}/data/{kind}/model_{kind}_config.json"
            if name not in names:
                continue
            config = _json(archive, name)
            for entry in config["config"].values():
                if entry["use_pickle"]:
                    raise BundleError(
                        f"{path} has {kind} that are pickled, which could run code of the file: export the network "
                        "with plain dense tensors"
                    )
                member = f"{top}/data/{kind}/{entry['path_name']}"
                plain.writestr(member, _bytes(archive, member))
            plain.writestr(name, json.dumps(config))
        plain.writestr(f"{top}/data/sample_inputs/model.pt", b"")
        for name in ("archive_format", "archive_version", "byteorder", ".data/version"):
            plain.writestr(f"{top}/{name}", _bytes(archive, f"{top}/{name}"))
    return made.getvalue()


def _checked_graph(graph: Any, path: object) -> Any:
    """The graph without what is only for people, after a look at all that it calls.

    Raises:
        BundleError: it calls something else than an operator of torch.
    """
    graph["guards_code"] = []
    for part in _parts(graph):
        if "metadata" in part and "target" in part:
            part["metadata"] = {}
        target = part.get("target") if "inputs" in part else part.get("as_operator")
        if target is not None and (_OPERATORS.fullmatch(target) is None or _NEVER.fullmatch(target)):
            raise BundleError(
                f"{path} calls {target!r}, which is no operator of torch that only computes; export the network with "
                "operators of torch alone"
            )
        text = part.get("expr_str")
        if text is not None and not _is_size(text):
            raise BundleError(f"{path} has {text[:80]!r} as a size, expected arithmetic on sizes; export it again")
        if part.get("custom_obj_values"):
            raise BundleError(f"{path} has objects of classes of its own; export the network with tensors alone")
    return graph


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary in a document."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _is_size(text: str) -> bool:
    """Whether an expression has numbers, arithmetic and symbols of sizes alone: it will be evaluated."""
    rest = _SYMBOL.sub("0", text)
    plain = _SIZE_TEXT.fullmatch(rest) is not None and _POWER.search(rest) is None
    return plain and all(_SIZE_NAMES.fullmatch(word) or word.isdecimal() for word in re.findall(r"\w+", rest))


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member that is stored as it is: torch compresses nothing."""
    found = archive.getinfo(name)
    if found.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed, which torch.export never does")
    return archive.read(found)


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    if archive.getinfo(name).file_size > _MOST_JSON:
        raise ValueError(f"{name} has {archive.getinfo(name).file_size:,} bytes, expected {_MOST_JSON:,} at most")
    return json.loads(_bytes(archive, name))


def _broken(path: object, error: Exception) -> BundleError:
    return BundleError(
        f"{path} is no program of torch.export that this torch reads ({type(error).__name__}: {first_line(error)}). "
        "Export it with torch.export.save, by a version of torch that is not newer than this one"
    )
