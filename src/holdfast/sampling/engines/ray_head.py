"""Whether Ray answers at an address. Without this check Ray would try for minutes, or for ever."""

from __future__ import annotations

import os
import re
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWER_SECONDS = 10.0
_PORT = re.compile("[0-9]{1,5}")
# The start of HTTP/2, which Ray speaks, with empty settings; the other side answers with its own.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_BYTES, _SETTINGS = 9, bytes([4])
# Seconds between checks of the head, and how many failures in a row mean that it is lost.
_LOOK_SECONDS = 5.0
_MOST_FAILURES = 4


def check_address(address: str, patience: float = _ANSWER_SECONDS) -> None:
    """Raise OSError if nobody at HOST:PORT speaks as Ray does; other forms of address are not checked."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    # Ray itself refuses larger numbers.
    if not host or not _PORT.fullmatch(port) or int(port) >= 2**16:
        return
    with socket.create_connection((host.strip("[]"), int(port)), patience) as connection:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            # TLS needs another greeting, which Ray knows.
            return
        connection.sendall(_GREETING)
        answer = b""
        while len(answer) < _FRAME_BYTES and (more := connection.recv(_FRAME_BYTES - len(answer))):
            answer += more
    if answer[3:4] != _SETTINGS:
        raise ConnectionError("something else than Ray answers there")


class Head:
    """The head of a cluster, asked at intervals whether it still answers.

    Args:
        address: HOST:PORT; if empty, the head never counts as lost.
        clock: returns seconds.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._looked = clock()
        self._failures = 0

    def is_lost(self) -> bool:
        """Whether the head has not answered for about 20 seconds."""
        if self._clock() - self._looked < _LOOK_SECONDS:
            return False
        try:
            check_address(self._address, _LOOK_SECONDS)
            self._failures = 0
        except OSError:
            self._failures += 1
        self._looked = self._clock()
        return self._failures >= _MOST_FAILURES
