"""HTML pages that load nothing and run only the scripts written into them; a content policy enforces it."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from holdfast.analysis import extras
from holdfast.visible import visible, visible_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

_LAYOUT = "layout.html"


def rendered(package: str, file: str, scripts: Iterable[str] = (), **values: object) -> str:
    """Render a package's template, which extends the shared layout: `layout.html` beside this module.

    The layout has the style, the scripts, and a content security policy that allows these and nothing else. All other
    texts are escaped and `visible`; the filter `lines` keeps line breaks.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja = extras.load("jinja2", "Writing a report")
    environment = jinja.Environment(
        loader=jinja.FunctionLoader(lambda name: _text("holdfast.analysis" if name == _LAYOUT else package, name)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja.StrictUndefined,
        finalize=_shown,
    )
    markup = extras.load("markupsafe", "Writing a report").Markup
    environment.filters["lines"] = lambda text: markup.escape(visible_lines(text))
    style, scripts = _style(), list(scripts)
    allowed = markup(policy([style], scripts))
    template = environment.get_template(file)
    page: str = template.render(style=markup(style), scripts=list(map(markup, scripts)), policy=allowed, **values)
    return page


def policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """A content security policy that allows embedded pictures, these styles and these scripts, without `eval`.

    Args:
        styles: the exact contents of the style elements.
        scripts: the exact contents of the script elements.
    """
    allowed = {
        "default-src": ["'none'"],
        "img-src": ["data:"],
        "style-src": [_hash(style) for style in styles],
        "script-src": [_hash(script) for script in scripts] or ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in allowed.items())


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def _text(package: str, file: str) -> str:
    return resources.files(package).joinpath(file).read_text(encoding="utf-8")


@lru_cache
def _style() -> str:
    return _text("holdfast.analysis", "style.css")


def _shown(value: Any) -> Any:
    """Make a text visible, unless it is marked as HTML already."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
