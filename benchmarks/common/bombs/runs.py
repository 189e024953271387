"""Runs whose digests fit, and whose numbers ask for more than any machine has."""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common.bombs.packed import sparse_file, zipped

DATA = {
    "source": "made-up", "split": "test", "sha256": "0" * 64, "size": 12, "shape": [1, 6, 6], "low": 0.0, "high": 1.0,
    "class_names": list("abcd"), "decoder": "", "every": 1, "limit": None, "sorted_by_class": False,
}  # fmt: skip
_MANIFEST = {
    "kind": "certify", "noise": {"name": "gaussian", "sigma": 0.5}, "guarantee": "cohen",
    "estimator": {"name": "fixed", "n": 300, "alpha": 0.01, "method": "split"}, "n0": 30, "data": DATA,
    "model": {"sha256": "1" * 64}, "seed": 9, "block": 1024, "precision": "float32", "device": "cpu",
    "versions": {"holdfast": "0.1.0"}, "created": "2026-01-01T00:00:00+00:00", "format": 2, "joint_alpha": None,
}  # fmt: skip
_VOTES = {"index": 0, "label": 0, "selection": [30, 0, 0, 0], "estimation": [300, 0, 0, 0]}
_CLAIM = {"index": 0, "label": 0, "predicted": 0, "radius": 0.5, "seconds": 2.0}
_RAW = "@"


def canonical(entries: Mapping[str, Any]) -> str:
    """JSON as digests are taken of; texts such as "@1e-9@" are written as they are, without marks."""
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return text.replace(f'"{_RAW}', "").replace(f'{_RAW}"', "")


def sealed(entries: Mapping[str, Any], digits: int, prefix: str = "") -> tuple[str, str]:
    """A document with its digest, which fits, and that digest."""
    text = canonical(entries)
    digest = hashlib.sha256((prefix + text).encode()).hexdigest()[:digits]
    return f'{text[:-1]},"digest":"{digest}"}}\n', digest


def run(
    folder: Path, command: Sequence[str], manifest: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None, records: Sequence[Mapping[str, Any]] = (_VOTES,),
) -> list[str]:  # fmt: skip
    """A run with these entries of the manifest and of its data, whose digests fit, and a command that reads it."""
    path = folder / "run"
    path.mkdir()
    document, digest = sealed({**_MANIFEST, "data": {**DATA, **(data or {})}, **(manifest or {})}, 64)
    (path / "manifest.json").write_text(document)
    lines = [sealed(record, 16, f"{digest}\n")[0] for record in records]
    (path / "records.jsonl").write_text("".join(lines))
    return [part if part != "RUN" else str(path) for part in command]


TABLE, VERIFY, INFO = ("table", "RUN"), ("verify", "RUN"), ("info", "RUN")
REPORT = ("report", "RUN", "--out", "report.html")
_EXPORT = ("export-log", "RUN", "--out", "log.tsv")


def _estimator(**changes: Any) -> dict[str, Any]:
    return {"estimator": {"name": "fixed", "n": 300, "alpha": 0.01, "method": "split", **changes}}


def _looks(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "looks",
        "n": 300,
        "alpha": 0.01,
        "radii": [0.5],
        "precision": None,
        "ratio": 1.5,
        "method": "split",
    }
    return {"estimator": {**given, **changes}}


def _ablation(k: Any, **more: Any) -> dict[str, Any]:
    noise = {"name": "ablation", "k": k, "null": "multichannel", "fill": None}
    return {"noise": noise, "guarantee": "levine", **more}


_MANY = 10**15
_MANY_VOTES = {**_VOTES, "estimation": [6 * 10**14, 4 * 10**14, 0, 0]}
_IMPORTED: dict[str, Any] = {"kind": "imported", "seed": None, "model": {}}

RUNS = tuple(
    (f"{what}; {command[0]}", partial(run, command=command, **given))
    for what, commands, given in (
        ("a split of 10^10", (TABLE, VERIFY, INFO, REPORT), {"data": {"size": 10**10}}),
        ("a split of 10^30", (TABLE, VERIFY), {"data": {"size": 10**30}}),
        ("every 10^11, limit 10^11", (TABLE, VERIFY), {"data": {"size": 10**11, "every": 10**11, "limit": 10**11}}),
        ("an index of 0.5 in a split of 10^10", (TABLE, VERIFY), {"data": {"size": 10**10}, "records": [{**_VOTES, "index": "@0.5@"}]}),
        ("a label of 10^9", (TABLE, VERIFY), {"records": [{**_VOTES, "label": 10**9}]}),
        ("10^6 class names", (TABLE, VERIFY, REPORT), {"data": {"class_names": [""] * 10**6}}),
        ("n = 10^15", (TABLE, VERIFY), {"manifest": _estimator(n=_MANY), "records": [_MANY_VOTES]}),
        ("n0 = 10^18", (TABLE, VERIFY), {"manifest": {"n0": 10**18}, "records": [{**_VOTES, "selection": [10**18, 0, 0, 0]}]}),
        ("looks with a ratio of 1.0000001", (TABLE, VERIFY), {"manifest": _looks(n=10**9, ratio=1.0000001), "records": [{**_VOTES, "estimation": [10**9, 0, 0, 0]}]}),
        ("alpha = 1e-100000000", (TABLE, VERIFY), {"manifest": _estimator(alpha="@1e-100000000@")}),
        ("alpha = 1e-300", (TABLE, VERIFY), {"manifest": _estimator(alpha=1e-300)}),
        ("joint_alpha = 1e-100000000", (VERIFY,), {"manifest": {"joint_alpha": "@1e-100000000@"}}),
        ("joint_alpha of 10^7 digits", (VERIFY,), {"manifest": {"joint_alpha": "@0." + "1" * 10**7 + "@"}}),
        ("a seed of 10^7 digits", (TABLE, VERIFY), {"manifest": {"seed": "@" + "1" * 10**7 + "@"}}),
        ("k of 10^6 in 10^6 x 10^6 pixels", (TABLE, VERIFY, REPORT), {"manifest": _ablation(10**6), "data": {"shape": [1, 10**6, 10**6]}}),
        ("k of 10^11 in 10^6 x 10^6 pixels", (TABLE, VERIFY), {"manifest": _ablation(10**11), "data": {"shape": [1, 10**6, 10**6]}}),
        ("k of 1 in 10^6 x 10^6 pixels", (TABLE, VERIFY, REPORT), {"manifest": _ablation(1), "data": {"shape": [1, 10**6, 10**6]}}),
        ("blocks of 1 in 10^5 x 10^5 pixels", (TABLE, VERIFY), {"manifest": {"noise": {"name": "partition", "k": 1, "pattern": "strided", "null": "multichannel", "fill": None}, "guarantee": "partition", "estimator": {"name": "exact", "n": 10**10}, "n0": 0}, "data": {"shape": [1, 10**5, 10**5]}, "records": [{**_VOTES, "selection": [0] * 4, "estimation": [10**10, 0, 0, 0]}]}),
        ("kappa = 1 - 2^-53", (TABLE, VERIFY), {"manifest": {"noise": {"name": "uniform-flip", "kappa": 1 - 2.0**-53, "levels": 2}, "guarantee": "lee"}, "data": {"shape": [1, 10**5, 10**5]}}),
        ("kappa = 0.999", (TABLE, VERIFY), {"manifest": {"noise": {"name": "uniform-flip", "kappa": 0.999, "levels": 256}, "guarantee": "lee"}, "data": {"shape": [1, 100, 100]}}),
        ("sigma = 1e300", (TABLE, VERIFY), {"manifest": {"noise": {"name": "gaussian", "sigma": 1e300}}}),
        ("sigma = 1e-300", (TABLE, VERIFY, REPORT), {"manifest": {"noise": {"name": "gaussian", "sigma": 1e-300}}}),
        ("sigma = 1e-100000000", (VERIFY,), {"manifest": {"noise": {"name": "gaussian", "sigma": "@1e-100000000@"}}}),
        ("sigma of 1e300 grid steps", (VERIFY,), {"manifest": {"noise": {"name": "lattice-gaussian", "sigma": 1e300, "levels": 256}, "guarantee": "cohen_lattice"}}),
        ("a radius of 1e308 in an imported log", (TABLE, VERIFY, REPORT), {"manifest": _IMPORTED, "records": [{**_CLAIM, "radius": 1e308}]}),
        ("a radius of 1e-100000000 in an imported log", (VERIFY,), {"manifest": _IMPORTED, "records": [{**_CLAIM, "radius": "@1e-100000000@"}]}),
        ("10^12 pixels in an imported log", (TABLE, VERIFY, REPORT), {"manifest": {**_IMPORTED, **_ablation(45)}, "data": {"shape": [1, 10**6, 10**6]}, "records": [{**_CLAIM, "radius": 10.0**12}]}),
        ("a bet on 1e308", (TABLE, VERIFY), {"manifest": {"estimator": {"name": "eprocess", "n": 300, "alpha": 0.01, "radius": 1e308}}}),
        ("a bet of 10^15 samples", (TABLE, VERIFY), {"manifest": {"estimator": {"name": "eprocess", "n": _MANY, "alpha": 0.01, "radius": 0.1}}, "records": [_MANY_VOTES]}),
    )
    for command in commands
)  # fmt: skip


def sparse_records(folder: Path) -> list[str]:
    return sparse_file(run(folder, TABLE), folder / "run" / "records.jsonl")


def gallery(folder: Path, shape: str, zeros: int) -> list[str]:
    """A run with pictures that have this shape, and so many zeros."""
    given = run(folder, REPORT)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    pictures = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    index = io.BytesIO()
    np.save(index, np.zeros(1, dtype=np.int64))
    entries = {"index.npy": (index.getvalue(), 0), "pictures.npy": (pictures, zeros)}
    (folder / "run" / "gallery.npz").write_bytes(zipped(entries))
    return given
