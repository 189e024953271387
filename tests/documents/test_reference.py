"""The reference has everything public, once; links lead somewhere; what the site is made of is where it must be."""

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, title

import holdfast

# A link or a picture whose target is a file of ours: [text](path#part).
LINK = re.compile(r"\]\(((?!https?:|#)[^)#\s]+)(#[^)\s]*)?\)")


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^::: holdfast\.(\S+)$", page, re.MULTILINE)) == sorted(holdfast.__all__)


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_to_files(page: Path) -> None:
    """As a code host follows them; `make docs` checks those of the site, and the parts of pages."""
    missing = [
        target for target, _ in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / target).is_file()
    ]
    assert missing == []


def test_decisions_are_numbered_and_in_their_index() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in folder.glob("0*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    linked = re.findall(r"\]\((0[^)]*)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(linked) == records


def test_what_hooks_run_before_a_commit_has_the_pinned_versions() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    named = re.findall(r"\[(ruff==[^\]]*)\]", hooks)
    assert named
    assert set(named) <= set(pinned)
