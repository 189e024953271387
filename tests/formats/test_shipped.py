"""The schemas in docs/formats are those of the code, and are JSON schemas."""

from pathlib import Path

import jsonschema
import pytest

from holdfast.formats.shipped import schemas, written

_FOLDER = Path(__file__).parents[2] / "docs" / "formats"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_what_is_shipped_is_what_is_checked(name: str) -> None:
    made = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(made)
    assert (_FOLDER / f"{name}.json").read_text(encoding="utf-8") == written(made), (
        "stale: write it again with `python -m holdfast.formats docs/formats`"
    )


def test_nothing_else_is_shipped() -> None:
    assert {path.stem for path in _FOLDER.glob("*.json")} == set(schemas())
