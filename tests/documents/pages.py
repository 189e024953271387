"""The pages that people read: the README, the other pages at the root, and docs/."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md", *(ROOT / "docs").rglob("*.md")])


def title(page: Path) -> str:
    """The path of a page, as it is named in tests."""
    return page.relative_to(ROOT).as_posix()
