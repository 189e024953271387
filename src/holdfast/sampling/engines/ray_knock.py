"""Whether Ray is there at an address: it would go on trying for minutes, or for ever, where nobody answers."""

from __future__ import annotations

import os
import re
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_KNOCK_SECONDS = 10.0
_PORT = re.compile("[0-9]{1,5}")
# HTTP/2, which Ray speaks, begins so, with settings of ours, which are none; the other side answers with its own.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_FRAME_BYTES, _SETTINGS = 9, bytes([4])
# The head of a cluster is looked at so often; if it has not answered so many times in a row, it is lost.
_LOOK_SECONDS = 5.0
_MOST_FAILURES = 4


def knock(address: str, patience: float = _KNOCK_SECONDS) -> None:
    """Raise OSError if nobody at HOST:PORT speaks as Ray does; another form of address is not looked at."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    # Larger ones are no ports, for which Ray has words of its own.
    if not host or not _PORT.fullmatch(port) or int(port) >= 2**16:
        return
    with socket.create_connection((host.strip("[]"), int(port)), patience) as knocking:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            # It wants another greeting, which Ray knows.
            return
        knocking.sendall(_GREETING)
        answer = b""
        while len(answer) < _FRAME_BYTES and (more := knocking.recv(_FRAME_BYTES - len(answer))):
            answer += more
    if answer[3:4] != _SETTINGS:
        raise ConnectionError("something else than Ray answers there")


class Head:
    """The head of a cluster, asked now and then whether it is there.

    Args:
        address: HOST:PORT; empty if it is not known, and then it is never lost.
        clock: seconds.
    """

    def __init__(self, address: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._address = address
        self._clock = clock
        self._looked = clock()
        self._failures = 0

    def is_lost(self) -> bool:
        """Whether it has not answered for some time, about 20 seconds."""
        if self._clock() - self._looked < _LOOK_SECONDS:
            return False
        try:
            knock(self._address, _LOOK_SECONDS)
            self._failures = 0
        except OSError:
            self._failures += 1
        self._looked = self._clock()
        return self._failures >= _MOST_FAILURES
