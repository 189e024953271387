"""The distribution's name and version stand in one place, and what is installed agrees with it."""

import re
from importlib.metadata import version
from pathlib import Path

from holdfast import distribution
from holdfast.execution.versions import installed_versions

ROOT = Path(__file__).parent.parent


def test_what_is_built_has_the_name_that_messages_tell() -> None:
    built = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^name = "(.*)"$', built, re.MULTILINE)[1] == distribution.NAME
    # The extra that development needs takes the other extras of the same distribution.
    assert f'"{distribution.NAME}[attacks,' in built


def test_what_is_installed_has_the_version_of_the_code() -> None:
    assert version(distribution.NAME) == distribution.VERSION


def test_a_manifest_says_which_holdfast_by_the_name_of_the_package() -> None:
    assert installed_versions()["holdfast"] == distribution.VERSION
