"""No entry of a promise may change on resuming: each one alone, of every kind of manifest, or it is in a list here.

The entries come from the fields of the dataclasses and from what the dictionaries in them hold: a new field is tried
by itself, and fails this test if the comparison leaves it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from attack_cases import attack_manifest
from helpers import manifest

from holdfast.errors import RunError
from holdfast.estimators import FixedSize, Proved
from holdfast.formats.manifests import AttackManifest as AttackDocument
from holdfast.formats.manifests import Bound, Budgets, Certify, Data, Imported, Model
from holdfast.noises.columns import Columns
from holdfast.store.attack import AttackStore
from holdfast.store.attack_manifest import AttackManifest
from holdfast.store.manifest import Manifest
from holdfast.store.run import RunStore
from holdfast.store.run_manifest import RunManifest
from holdfast.store.seeds import Seed

# Why each may change: the time of the promise; what follows from the hash of the data; and where a seed comes from,
# which is told once, while the seed itself is compared.
NOT_COMPARED = {
    ("created",),
    ("data", "sorted_by_class"),
    ("data", "notes"),
    ("seed_origin",),
    ("nonce",),
    ("promise",),
}
NONCE = "ab" * 16
NETWORK, PACKAGE = "holdfast.models.architectures.digits_cnn", "torchvision"
CODES = {NETWORK: "1" * 16, PACKAGE: "version 0.20"}


def derived(promised: Manifest) -> Manifest:
    """The same with a seed that follows from a nonce."""
    return replace(promised, **Seed.awaited().entries()).with_nonce(NONCE)


def whole(promised: Any) -> Any:
    """With something in every entry that may be left out."""
    data = replace(promised.data, decoder="pillow 11.0", limit=4, sorted_by_class=False)
    network = {
        "source": "python",
        "architecture": "digits-cnn",
        "arguments": {"width": 32},
        "sha256": "1" * 64,
        "trained_for": {"name": "gaussian", "sigma": 0.5},
        "normalization": {"mean": [0.5], "std": [0.2]},
        "weights": {"file": "net.pt", "sha256": "4" * 64},
        "layout": "channels-last",
        "output": "probability",
        "double_masking": {"patch": 5, "masks": 6, "value": 0.5},
        "threshold_votes": {"noise": {**Columns(4, "mean").to_dict(), "fill": [0.1]}, "threshold": 0.3},
        "code": CODES,
    }
    model = {**network, "denoiser": network, "backend": {"name": "torch"}}
    versions = {"holdfast": "0.1.0", "torch": "2.13.0", "code": "2" * 16}
    return replace(promised, data=data, model=model, versions=versions, created="2030-01-01T00:00:00+00:00")


def certify() -> RunManifest:
    made = whole(manifest(joint_alpha=0.04))
    return replace(made, estimator=FixedSize(300, 0.01, "split").to_dict())


def imported() -> RunManifest:
    made = certify()
    return replace(
        made, kind="imported", model={"imported_from": "log.tsv"}, joint_alpha=None, **Seed(None, None).entries()
    )


def bound() -> RunManifest:
    proved = Proved({"name": "lipschitz", "inputs": "in-range"}, "L2", "a source", "nothing", 1.0)
    nothing = {**Seed(None, None).entries(), "joint_alpha": None, "noise": {}, "n0": 0, "block": 0}
    return replace(certify(), kind="bound", guarantee="lipschitz", estimator=proved.to_dict(), **nothing)


def attacked() -> AttackManifest:
    noise = {"noise": {"name": "gaussian", "sigma": 0.5}, "n": 100, "alpha": 0.001, "search_alpha": 0.05}
    return whole(attack_manifest(budgets=(0.2, 0.4), certification="3" * 64, wanted="next", soft_samples=10, **noise))


PROMISES: dict[str, Any] = {
    "certify": certify(),
    "certify, nonce": derived(certify()),
    "imported": imported(),
    "bound": bound(),
    "attack": attacked(),
    "attack, nonce": derived(attacked()),
}
DOCUMENTS: dict[str, Any] = {
    "certify": Certify,
    "certify, nonce": Certify,
    "imported": Imported,
    "bound": Bound,
    "attack": AttackDocument,
    "attack, nonce": AttackDocument,
}


def entries(promised: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all entries, those of dictionaries and dataclasses in them included."""
    if is_dataclass(promised):
        inside = {field.name: getattr(promised, field.name) for field in fields(promised)}
    elif isinstance(promised, dict) and promised:
        inside = promised
    else:
        yield path
        return
    for name, value in inside.items():
        yield from entries(value, (*path, name))


def changed(promised: Any, path: tuple[str, ...], value: Any) -> Any:
    """The same promise with a value in one entry."""
    if not path:
        return value
    name, rest = path[0], path[1:]
    if isinstance(promised, dict):
        return {**promised, name: changed(promised[name], rest, value)}
    return replace(promised, **{name: changed(getattr(promised, name), rest, value)})


def other(value: Any) -> Any:
    """Another value of about the same kind: what a promise compares need not make sense."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    if isinstance(value, str):
        return value + "0"
    if isinstance(value, tuple | list):
        return type(value)([*value[:-1], other(value[-1])])
    assert value is None or value == {}, f"there is no other value of {value!r} yet"
    return "something" if value is None else {"name": "something"}


def refusal(folder: Path, promised: Manifest) -> str:
    """What resuming with a promise is answered; empty where it is taken."""
    store = AttackStore if isinstance(promised, AttackManifest) else RunStore
    try:
        store(folder, promised).close()
    except RunError as error:
        return str(error)
    return ""


CASES = [(kind, path) for kind, promised in PROMISES.items() for path in entries(promised)]


def named(case: Any) -> str:
    return ".".join(case) if isinstance(case, tuple) else str(case)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with each kind of promise."""
    folders = {kind: tmp_path_factory.mktemp("promises") / kind for kind in PROMISES}
    for kind, promised in PROMISES.items():
        assert refusal(folders[kind], promised) == ""
    return folders


@pytest.mark.parametrize(("kind", "path"), CASES, ids=named)
def test_an_entry_that_changed_is_refused_by_its_name(
    started: dict[str, Path], kind: str, path: tuple[str, ...]
) -> None:
    folder, promised = started[kind], PROMISES[kind]
    file = folder / promised.file_name
    before = file.read_bytes()
    said = refusal(folder, changed(promised, path, other(within(promised, path))))
    if path in NOT_COMPARED:
        assert said == ""
    else:
        assert "was started with other settings" in said
        # Code is named in words.
        last = path[-1].rpartition(".")[2]
        assert last in said
        assert said.count("\n  ") == 1, "nothing else differs"
    assert file.read_bytes() == before


def within(promised: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path."""
    for name in path:
        promised = promised[name] if isinstance(promised, dict) else getattr(promised, name)
    return promised


LEFT_OUT = [(kind, path) for kind, path in CASES if isinstance(within(PROMISES[kind], path[:-1]), dict)]


@pytest.mark.parametrize(("kind", "path"), LEFT_OUT, ids=named)
def test_an_entry_that_was_left_out_or_added_is_refused(
    started: dict[str, Path], kind: str, path: tuple[str, ...]
) -> None:
    promised = PROMISES[kind]
    *outer, last = path
    entries_there = within(promised, tuple(outer))
    fewer = {name: value for name, value in entries_there.items() if name != last}
    for instead in (fewer, {**entries_there, "more": 1}):
        said = refusal(started[kind], changed(promised, tuple(outer), instead))
        assert "was started with other settings" in said
        assert said.count("\n  ") == 1


@pytest.mark.parametrize("kind", PROMISES)
def test_every_entry_that_a_document_can_have_is_tried(kind: str) -> None:
    """Of `trained_for`, `backend` and other descriptions the content is free."""
    tried = set(entries(PROMISES[kind]))
    documents: dict[tuple[str, ...], Any] = {(): DOCUMENTS[kind], ("data",): Data}
    if kind != "imported":
        documents[("model",)] = Model
    if kind.startswith("attack"):
        documents[("budgets",)] = Budgets
    for place, document in documents.items():
        names = {path[len(place)] for path in tried if path[: len(place)] == place}
        assert set(document.__struct_fields__) - {"digest"} <= names


CODE = ("model", "code")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ((*CODE, NETWORK), "2" * 16, r"digits_cnn \(.*\) has changed since then"),
        (CODE, {PACKAGE: "version 0.20"}, r"digits_cnn \(.*\) was a part of it"),
        (
            CODE,
            {NETWORK: "1" * 16, PACKAGE: "version 0.20", "my_layers": "3" * 16},
            "my_layers is a part of it now only",
        ),
        ((*CODE, PACKAGE), "version 0.21", "the package torchvision was of version 0.20, and is of version 0.21"),
        (("versions", "code"), "3" * 16, "the code that draws and counts"),
    ],
)
def test_code_that_changed_is_named_and_asked_for(
    started: dict[str, Path], path: tuple[str, ...], value: object, words: str
) -> None:
    said = refusal(started["certify"], changed(PROMISES["certify"], path, value))
    assert re.search(words, said)
    assert "with the run's own settings and with the code as it was to resume it" in said


def test_the_code_is_asked_for_only_where_it_changed(started: dict[str, Path]) -> None:
    said = refusal(started["certify"], changed(PROMISES["certify"], ("n0",), 31))
    assert "with the run's own settings to resume it" in said


def test_what_is_not_compared_is_an_entry_of_some_promise() -> None:
    assert {path for _, path in CASES} >= NOT_COMPARED


@pytest.mark.parametrize("kind", PROMISES)
def test_a_resumed_promise_keeps_its_time_and_its_digest(started: dict[str, Path], kind: str) -> None:
    promised = PROMISES[kind]
    later = replace(promised, created="2031-01-01T00:00:00+00:00")
    store = AttackStore if isinstance(promised, AttackManifest) else RunStore
    with store(started[kind], later) as opened:
        assert opened.manifest == promised
        assert opened.manifest.digest == promised.digest
