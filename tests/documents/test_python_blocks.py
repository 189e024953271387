"""Every Python block of the README and of the documentation runs, each page from its top to its end."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, ROOT, title
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

PYTHON = Sybil(parsers=[PythonCodeBlockParser()])
# Its blocks are the files of a package, which tests/test_extending.py installs and runs.
OF_A_PACKAGE = {"docs/extending.md"}
# What the blocks of a page import beside torch.
NEEDS = {"docs/bounds.md": "convex_adversarial", "docs/how-to/speed.md": "openvino"}


def has_python(page: Path) -> bool:
    return "```python" in page.read_text(encoding="utf-8")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[None]:
    """Blocks neither find nor leave files in the repository."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_python(page) and title(page) not in OF_A_PACKAGE], ids=title
)
def test_python_blocks_run(page: Path) -> None:
    if title(page) in NEEDS:
        pytest.importorskip(NEEDS[title(page)])
    document = PYTHON.parse(page)
    document.namespace["__name__"] = "__main__"
    examples = list(document.examples())
    assert len(examples) >= page.read_text(encoding="utf-8").count("```python")
    for example in examples:
        example.evaluate()


def test_the_readme_is_short_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) < 6_000
    (example,) = PYTHON.parse(ROOT / "README.md").examples()
    assert len([line for line in example.parsed.splitlines() if line.strip()]) <= 12
    example.evaluate()
    assert capsys.readouterr().out.count(" within L2 radius ") == 3
