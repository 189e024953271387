"""A pickle of weights, looked through before torch reads it: what its operations would make is counted, not made.

torch's restricted reader runs no code, but makes what it is asked for: bytes that double with each line, or tuples of
tuples whose hash takes for ever.
"""

from __future__ import annotations

import codecs
from struct import Struct
from typing import Any

# Operations of a pickle, and parts of a tuple that lie within each other: 40,000 tensors have as many.
_MOST_OPERATIONS, _MOST_PARTS = 1_000_000, 1_000_000
_MOST_TEXT = 64

_WORD, _HALF = Struct("<I"), Struct("<H")

# What follows an operation that puts one plain value on the stack, in bytes.
_PLAIN = {
    **dict.fromkeys(b"N\x88\x89)]}\x8f", 0),
    ord("K"): 1,
    ord("M"): 2,
    ord("J"): 4,
    ord("G"): 8,
}
# Encodings that make bytes of bytes.
_ENCODE = (b"_codecs", b"encode")


class Refused(Exception):
    """The reason why a pickle is not read, in a few words."""


def check_operations(content: bytes, start: int = 0) -> int:
    """Raise Refused unless a pickle makes no more than it has.

    A pickle that is damaged, as one that takes from an empty stack, is left to whoever reads it: it fails there at the
    same operation.

    Args:
        content: bytes that hold the pickle.
        start: where it begins.

    Returns:
        Where it ends.
    """
    return _Look(content, start).run()


class _Look:
    """The stack of a pickle, of which only the size of each value is kept: how many parts there are to hash."""

    def __init__(self, content: bytes, start: int) -> None:
        self._content, self._at = content, start
        self._stack: list[int] = []
        self._marked: list[list[int]] = []
        self._memo: dict[int, int] = {}
        self._encodes = False
        self._texts: set[bytes] = set()

    def run(self) -> int:
        content, plain = self._content, _PLAIN
        for _ in range(_MOST_OPERATIONS):
            try:
                operation = content[self._at]
                self._at += 1
                if operation in plain:
                    self._at += plain[operation]
                    self._stack.append(1)
                elif operation == _STOP:
                    return self._at
                else:
                    _STEPS[operation](self)
            except KeyError:
                raise Refused(
                    f"its pickle has the operation {operation:#04x}, which torch.save does not write"
                ) from None
            except (IndexError, ValueError):
                return len(content)
        raise Refused(f"its pickle has more than {_MOST_OPERATIONS:,} operations")

    def _number(self, struct: Struct) -> int:
        (found,) = struct.unpack(self._taken(struct.size))
        return int(found)

    def _taken(self, size: int) -> bytes:
        found = self._content[self._at : self._at + size]
        if len(found) < size:
            raise IndexError
        self._at += size
        return found

    def _line(self) -> bytes:
        end = self._content.index(b"\n", self._at)
        found = self._content[self._at : end]
        self._at = end + 1
        return found

    def _text(self, found: bytes) -> None:
        if len(found) <= _MOST_TEXT:
            self._texts.add(found)
        self._stack.append(1)
        self._check_encodings()

    def long_text(self) -> None:
        self._text(self._taken(self._number(_WORD)))

    def short_text(self) -> None:
        self._text(self._taken(self._taken(1)[0]))

    def long_number(self) -> None:
        self._taken(self._taken(1)[0])
        self._stack.append(1)

    def name(self) -> None:
        if (self._line(), self._line()) == _ENCODE:
            self._encodes = True
            self._check_encodings()
        self._stack.append(1)

    def _check_encodings(self) -> None:
        """A text that was encoded stays as long; bytes that are encoded as hexadecimal become twice as long."""
        if not self._encodes:
            return
        for text in self._texts:
            if _makes_bytes_of_bytes(text):
                raise Refused(f"its pickle encodes bytes as {text.decode('ascii', 'replace')}")
        self._texts.clear()

    def protocol(self) -> None:
        self._taken(1)

    def mark(self) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[int]:
        items = self._stack
        self._stack = self._marked.pop()
        return items

    def _together(self, items: list[int]) -> None:
        size = 1 + sum(items)
        if size > _MOST_PARTS:
            raise Refused(f"its pickle has a tuple of more than {_MOST_PARTS:,} parts, within each other")
        self._stack.append(size)

    def tuple_of_all(self) -> None:
        self._together(self._since_mark())

    def tuple_of(self, count: int) -> None:
        items = self._stack[-count:]
        if len(items) < count:
            raise IndexError
        del self._stack[-count:]
        self._together(items)

    def into_all(self) -> None:
        self._since_mark()

    def drop(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        del self._stack[-count:]

    def called(self) -> None:
        arguments = self._stack.pop()
        self._stack[-1] = arguments

    def stored(self) -> None:
        self._stack[-1] = 1

    def remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def recall(self, number: int) -> None:
        # One that was never remembered is damage, which the reader finds.
        if number not in self._memo:
            raise IndexError
        self._stack.append(self._memo[number])


def _makes_bytes_of_bytes(name: bytes) -> bool:
    try:
        known: Any = codecs.lookup(name.decode("ascii"))
    except (LookupError, ValueError):
        return False
    return not known._is_text_encoding


_STOP = ord(".")
_STEPS: dict[int, Any] = {
    ord("X"): _Look.long_text,
    ord("U"): _Look.short_text,
    0x8A: _Look.long_number,
    ord("c"): _Look.name,
    0x80: _Look.protocol,
    ord("("): _Look.mark,
    ord("t"): _Look.tuple_of_all,
    0x85: lambda look: look.tuple_of(1),
    0x86: lambda look: look.tuple_of(2),
    0x87: lambda look: look.tuple_of(3),
    ord("e"): _Look.into_all,
    ord("u"): _Look.into_all,
    ord("a"): lambda look: look.drop(1),
    ord("s"): lambda look: look.drop(2),
    ord("b"): lambda look: look.drop(1),
    ord("R"): _Look.called,
    0x81: _Look.called,
    ord("Q"): _Look.stored,
    ord("q"): lambda look: look.remember(look._taken(1)[0]),
    ord("r"): lambda look: look.remember(look._number(_WORD)),
    ord("h"): lambda look: look.recall(look._taken(1)[0]),
    ord("j"): lambda look: look.recall(look._number(_WORD)),
}
