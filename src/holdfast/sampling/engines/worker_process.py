"""One worker process of this machine: how it is started, spoken to, looked at and missed.

Not by multiprocessing's own `Process`, whose children write to the terminal: a worker that dies while it starts would
leave a traceback there. What they are told to begin with is multiprocessing's, so that a base classifier may come from
the script that was started.

Nothing here waits for a worker: one that is stopped takes nothing out of its pipe, and may be in the middle of a
message. So each has threads that wait in the place of the driver.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from multiprocessing import spawn
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any

from holdfast.process import interrupts_held_back
from holdfast.sampling.engines.stopped import is_stopped
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable

# The life of a worker, until it has imported what the script that was started has.
_PROGRAM = """
import os
from multiprocessing import process, spawn
from multiprocessing.connection import Connection
pipe = Connection({descriptor})
try:
    data = pipe.recv()
except (EOFError, OSError):
    os._exit(1)
process.current_process()._inheriting = True
spawn.prepare(data)
del process.current_process()._inheriting
from holdfast.sampling.engines.processes import serve
serve(pipe)
"""
# Of what a worker printed, so many lines are kept, of so many characters at most.
_MOST_LINES = 20
_LONGEST = 2000
# What signals mean that a process gets without anybody's sending them.
_MEANINGS = {
    signal.SIGKILL: "Linux does so to a process when memory runs out",
    signal.SIGABRT: "compiled code gave up, as it does when memory runs out",
    signal.SIGSEGV: "a fault in compiled code",
    signal.SIGBUS: "a fault in compiled code, or a full /dev/shm",
    signal.SIGILL: "compiled code for another processor",
    signal.SIGFPE: "a fault in compiled code",
    signal.SIGXCPU: "a limit on processor time was reached",
}


class WorkerProcess:
    """A process that was started.

    Args:
        name: for what it prints.
        hear: is called with each message, and with None when there will be no more, from another thread.
    """

    def __init__(self, name: str, hear: Callable[[Any], None]) -> None:
        self._name = name
        self._words: deque[str] = deque(maxlen=_MOST_LINES)
        self._ready = False
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        prepared = spawn.get_preparation_data(name)
        # For connections of its own, of which a worker has none; it is not to be sent.
        prepared.pop("authkey", None)
        begun = pickle.dumps(prepared)
        self._pipe, there = multiprocessing.Pipe()
        output, its_output = os.pipe()
        command = spawn.get_command_line()
        command[command.index("-c") + 1] = _PROGRAM.format(descriptor=there.fileno())
        with interrupts_held_back():
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=its_output, stderr=its_output, pass_fds=(there.fileno(),)
            )
        there.close()
        os.close(its_output)
        self._outbox.put(begun)
        self._reader = Thread(target=self._read, args=(output,), daemon=True)
        for thread in (self._reader, Thread(target=self._listen, args=(hear,), daemon=True)):
            thread.start()
        Thread(target=self._speak, daemon=True).start()

    def send(self, content: bytes) -> None:
        """Send something, without waiting for it to be taken; to a process that is gone, in vain."""
        self._outbox.put(content)

    def got_ready(self) -> None:
        """It has begun to work: from now on what it prints is shown."""
        self._ready = True
        while self._words:
            self._show(self._words.popleft())

    @property
    def is_stopped(self) -> bool:
        """Whether it is there and not running, by SIGSTOP or Ctrl-Z."""
        return is_stopped(self._process.pid)

    def kill(self) -> None:
        """End it at once, without waiting until it has; stopped processes, too."""
        self._process.kill()

    def wait(self) -> str:
        """Wait until it has ended; how it did, in words, and the last ones of its own."""
        code = self._process.wait()
        self._outbox.put(None)
        # Others that it started may hold its output open.
        self._reader.join(1.0)
        how = f"it was ended by {_signal(-code)}" if code < 0 else f"it ended with exit code {code}"
        last = next((line for line in reversed(self._words) if line.strip()), "")
        return f"{how}; its last words: {last.strip()}" if last else how

    def _listen(self, hear: Callable[[Any], None]) -> None:
        try:
            while True:
                hear(self._pipe.recv())
        except (EOFError, OSError):
            # It has ended, or been killed in the middle of a word.
            hear(None)
        except Exception as error:
            self._words.append(visible(f"what it sent cannot be read ({error!r})"))
            hear(None)

    def _speak(self) -> None:
        # Of a process that is gone, the last words are still in the pipe, and after them its end.
        with contextlib.suppress(OSError):
            while (content := self._outbox.get()) is not None:
                self._pipe.send_bytes(content)

    def _read(self, output: int) -> None:
        with os.fdopen(output, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            while line := file.readline(_LONGEST):
                if self._ready:
                    self._show(line)
                else:
                    self._words.append(visible(line.rstrip("\n")))

    def _show(self, line: str) -> None:
        # There may be no standard error, or nobody who reads it.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{self._name}: {visible(line.rstrip(chr(10)))}\n")


def _signal(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    meaning = _MEANINGS.get(signal.Signals(number)) if number in set(signal.Signals) else None
    return f"{name} ({meaning})" if meaning else name
