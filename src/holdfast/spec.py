"""Specs, `NAME[:PATH][,key=value...]`: one line of text that names a noise, an attack, a data set or a model.

Only this module parses specs and writes them (`spell`). It knows no particular noise or source: each family states with
a `Form` what may follow a name, and makes its object from the `Spec`. The grammar is in docs/specs.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.errors import UsageError

# A name ends at the first of these.
_NAME = re.compile(r"[^:,]*")
# A key before a quoted value.
_KEY = re.compile(r"([^\W\d]\w*)=")
# A double quote inside is doubled.
_QUOTED = re.compile(r'"((?:[^"]|"")*)"', re.DOTALL)


class Quoted(str):
    """A text that was written in double quotes: it is never read as a number."""

    __slots__ = ()


class Slashed(tuple[float, ...]):
    """Numbers separated by slashes: a list, or a fraction for a parameter that takes one number."""

    __slots__ = ()

    def taken_as(self, annotation: str) -> float | tuple[float, ...]:
        """The value as a fraction for a parameter that takes one real number, else as a list.

        Args:
            annotation: of the parameter, as in `float | None`.

        Raises:
            UsageError: the second number is 0.
        """
        if len(self) != 2 or "float" not in annotation or "tuple" in annotation or "Sequence" in annotation:
            return tuple(self)
        above, below = self
        if below == 0.0:
            raise UsageError(f"{above:g}/{below:g} is not a number: it divides by 0")
        return above / below


Value = int | float | str | tuple[float, ...]


@dataclass(frozen=True)
class Form:
    """What may follow a name in the specs of a family.

    Attributes:
        path: whether the path may have commas and equals signs without quotes. If so, only trailing parts with a name
            in `options` are options; otherwise every comma separates.
        options: the names of the options.
        texts: options whose values are paths, and may have slashes, and without a path commas, too, without quotes.
    """

    path: bool = False
    options: Sequence[str] = ()
    texts: Sequence[str] = ()


@dataclass(frozen=True)
class Spec:
    """A parsed spec.

    Attributes:
        name: before the colon.
        path: the part after the colon without a key; None for none.
        options: key -> text, in order; quoted texts are `Quoted`.
    """

    name: str
    path: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def values(self, texts: Sequence[str] = ()) -> dict[str, Value]:
        """The options, with numbers converted except in those named in `texts`."""
        return {key: text if key in texts else value_of(text) for key, text in self.options.items()}

    def without_path(self, written: str) -> Spec:
        """The spec itself, if it has no path.

        Args:
            written: its text, for the message.

        Raises:
            UsageError: it has a path.
        """
        if self.path is not None:
            raise _unreadable(self.path, written)
        return self


@dataclass(frozen=True)
class _Part:
    """The text between two commas.

    Attributes:
        raw: as written.
        key: before the equals sign; None without one.
        value: after the equals sign, or everything without one; without quotes.
        quoted: whether the value was in quotes.
    """

    raw: str
    key: str | None
    value: str
    quoted: bool = False

    @property
    def text(self) -> str:
        return Quoted(self.value) if self.quoted else self.value

    def is_option(self, form: Form) -> bool:
        if self.key is None or self.quoted:
            return self.key is not None
        # Numbers with slashes are a list; other slashes are those of a path.
        whole = "/" not in self.value or self.key in form.texts or isinstance(value_of(self.value), Slashed)
        return self.key in form.options and whole


def name_of(text: str) -> str:
    """The name at the beginning of a spec."""
    found = _NAME.match(text)
    return found[0] if found else ""


def parse(text: str, form: Form | None = None, is_there: Callable[[str], bool] | None = None) -> Spec:
    """Parse a spec.

    Args:
        text: as written.
        form: what may follow its name.
        is_there: whether a file or folder with this path exists; looks on the disk by default.

    Raises:
        UsageError: it cannot be parsed, or in two ways.
    """
    form, is_there = form or Form(), is_there or _is_there
    name = name_of(text)
    separator, tail = text[len(name) : len(name) + 1], text[len(name) + 1 :]
    parts = _parts(tail, text) if tail else []
    if separator == ",":
        return Spec(name, None, _options(parts, text))
    first = parts[0] if parts else None
    if first is None:
        return Spec(name)
    if first.quoted and first.key is None:
        return Spec(name, first.value, _options(parts[1:], text))
    if form.path and first.raw:
        end = _end_of_path(parts, name, form, is_there)
        path = ",".join(part.raw for part in parts[:end])
        return Spec(name, path if end else None, _options(parts[end:], text))
    if first.key is None and first.raw:
        return Spec(name, first.value, _options(parts[1:], text))
    return Spec(name, None, _options(_joined(parts, form), text))


def spell(spec: Spec) -> str:
    """Write a spec, with quotes where needed: `parse` is the inverse, whatever files exist.

    (Except that in a family with paths, the first option of a spec without a path may be read as the path.)

    Raises:
        ValueError: the name or a key cannot be written.
    """
    if _NAME.fullmatch(spec.name) is None:
        raise ValueError(f"a name must have no colon and no comma, got {spec.name!r}")
    # Quote a path before options: together they could be another existing path.
    path = Quoted(spec.path) if spec.path is not None and spec.options else spec.path
    parts = [] if path is None else [spell_text(path, also="=")]
    for key, value in spec.options.items():
        if _KEY.fullmatch(f"{key}=") is None:
            raise ValueError(f"a key must be a word of letters, digits and underscores, got {key!r}")
        parts.append(f"{key}={spell_text(value)}")
    return f"{spec.name}:{','.join(parts)}" if parts else spec.name


def spell_text(text: str, also: str = "") -> str:
    """Write a value or a path, in quotes if it has a comma or a character of `also`."""
    plain = text and not text.startswith('"') and not any(mark in text for mark in f",{also}")
    return text if plain and not isinstance(text, Quoted) else '"' + text.replace('"', '""') + '"'


def value_of(text: str) -> Value:
    """The text as a number, as several numbers separated by slashes, or unchanged."""
    if isinstance(text, Quoted):
        return text
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if "/" in text:
        try:
            return Slashed(float(part) for part in text.split("/"))
        except ValueError:
            return text
    return text


def place(path: str) -> Path:
    """The path with ~ replaced by the home folder.

    Raises:
        UsageError: there is no such user, or the path has a zero byte.
    """
    if "\0" in path:
        raise UsageError(f"a path has no zero byte, got {path!r}")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"{path!r} begins with the home folder of nobody; write the full path") from None


def _parts(tail: str, text: str) -> list[_Part]:
    parts, at = [], 0
    while True:
        key = _KEY.match(tail, at)
        begin = key.end() if key else at
        if tail.startswith('"', begin):
            found = _QUOTED.match(tail, begin)
            if found is None:
                raise UsageError(
                    f"a double quote in {text!r} is not closed: {tail[begin:]!r}. Close it; write a double quote that "
                    'belongs to the text twice, in quotes ("")'
                )
            end, value, quoted = found.end(), found[1].replace('""', '"'), True
            if end < len(tail) and tail[end] != ",":
                raise UsageError(
                    f"after the closing quote of {found[0]} in {text!r} comes {tail[end]!r}, expected a comma or the "
                    'end. Write a double quote that belongs to the text twice ("")'
                )
        else:
            comma = tail.find(",", at)
            end = len(tail) if comma < 0 else comma
            value, quoted = tail[at:end], False
        raw = tail[at:end]
        if quoted:
            parts.append(_Part(raw, key[1] if key else None, value, quoted=True))
        else:
            before, equals, behind = raw.partition("=")
            parts.append(_Part(raw, before, behind) if equals else _Part(raw, None, raw))
        if end == len(tail):
            return parts
        at = end + 1


def _joined(parts: Sequence[_Part], form: Form) -> list[_Part]:
    """The parts, with those of an unquoted path value that its commas separated joined again."""
    joined: list[_Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if last and last.key in form.texts and not last.quoted and part.key not in form.options:
            joined[-1] = _Part(f"{last.raw},{part.raw}", last.key, f"{last.value},{part.raw}")
        else:
            joined.append(part)
    return joined


def _options(parts: Sequence[_Part], text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for part in parts:
        if not part.raw:
            continue
        if not part.key or not (part.value or part.quoted):
            raise _unreadable(part.raw, text)
        if part.key in options:
            raise UsageError(f"{part.key!r} is given twice in {text!r}")
        options[part.key] = part.text
    return options


def _unreadable(part: str, text: str) -> UsageError:
    return UsageError(f"cannot read {part!r} in {text!r}: parameters are written key=value, separated by commas")


def _end_of_path(parts: Sequence[_Part], name: str, form: Form, is_there: Callable[[str], bool]) -> int:
    """How many parts form the unquoted path; 0 for none.

    Raises:
        UsageError: a part may be an option or the end of an existing path; or it is no known option, and the path does
            not exist.
    """

    def path(count: int) -> str:
        return ",".join(part.raw for part in parts[:count])

    end = len(parts)
    while end > 1 and parts[end - 1].is_option(form):
        if not parts[end - 1].quoted and is_there(path(end)):
            if is_there(path(end - 1)):
                raise UsageError(
                    f"both {path(end - 1)} and {path(end)} are there: write {name}:{path(end)}/ for the second, or "
                    f"{name}:{path(end - 1)}/,{parts[end - 1].raw} for the option"
                )
            break
        end -= 1
    last = parts[end - 1]
    if end == 1:
        return 0 if last.is_option(form) and (last.quoted or not is_there(last.raw)) else 1
    if last.key and last.key.isidentifier() and "/" not in last.value and not is_there(path(end)):
        raise UsageError(
            f"{name!r} has no option {last.key!r}; it takes {', '.join(form.options) or 'none'}. Nor is there a file "
            f"or folder {path(end)}"
        )
    return end


def _is_there(path: str) -> bool:
    try:
        return place(path).exists()
    except OSError:
        # Too long for a name.
        return False
