"""A hook of MkDocs: pages that lie outside of docs/, and the reference of the commands.

Code hosts look for some pages at the root. A page in docs/ links to `../CONTRIBUTING.md`, and one at the root to
`docs/guarantees.md`. Both work where files are browsed; the site has all of them in one folder, so the links are
changed for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

# Pages at the root, and what they are called in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "benchmarks.md",
}
# Where the page of the commands has them.
COMMANDS = "<!-- commands -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the root."""
    root = Path(config.config_file_path).parent
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=_inside((root / path).read_text(encoding="utf-8"), path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let links of pages in docs/ to pages at the root lead to their place in the site."""
    ups = "../" * (page.file.src_uri.count("/") + 1)
    for path, name in OUTSIDE.items():
        markdown = markdown.replace(f"]({ups}{path}", f"]({ups[3:]}{name}")
    return markdown.replace(COMMANDS, "\n".join(_commands())) if COMMANDS in markdown else markdown


def _inside(markdown: str, path: str) -> str:
    """The page at `path` as it must be to lie in docs/."""
    ups = "../" * path.count("/")
    for other, name in OUTSIDE.items():
        markdown = re.sub(rf"\]\({re.escape(ups + other)}(?=[)#])", f"]({name}", markdown)
    return markdown.replace(f"]({ups}docs/", "](")


def _commands() -> Iterator[str]:
    """Every command of the program with its arguments and options, as its `--help` has them."""
    from typer.main import get_command

    from holdfast.cli.main import app

    program: Any = get_command(app)
    context = program.context_class(program, info_name="holdfast")
    for name, command in program.commands.items():
        yield f"## {name}\n\n{_text(command.help)}\n\n| argument or option | |\n|---|---|"
        for spelt, help_text in filter(None, (each.get_help_record(context) for each in command.params)):
            yield f"| `{spelt}` | {_text(help_text)} |"
        yield ""


def _text(words: str) -> str:
    """Words of a help text, so that Markdown and its tables show them as they are."""
    return re.sub(r"([|<*_\[\]])", r"\\\1", " ".join(words.split()))
