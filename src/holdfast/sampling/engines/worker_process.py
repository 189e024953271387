"""One worker process of this machine: start it, exchange messages with it, watch it, end it.

multiprocessing's own `Process` is not used: its children write to the terminal, so a worker that dies while starting
would leave a traceback there. Its preparation data are used, so that a base classifier may come from the main script.

Nothing here waits for a worker: a stopped one does not empty its pipe, and may be in the middle of a message. Threads
of each `WorkerProcess` wait instead of the driver.
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

# A worker's program; it imports the main script first.
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
# Lines of a worker's output that are held, and characters per line.
_MOST_LINES = 20
_LONGEST = 2000
# What it means that a process gets a signal that nobody sent.
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
    """A running worker process.

    Args:
        name: prefix of what the worker prints.
        on_message: called from another thread with each message, and with None after the last one.
    """

    def __init__(self, name: str, on_message: Callable[[Any], None]) -> None:
        self._name = name
        self._printed: deque[str] = deque(maxlen=_MOST_LINES)
        self._ready = False
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        preparation = spawn.get_preparation_data(name)
        # For multiprocessing's own connections, of which a worker has none; the key must not be sent.
        preparation.pop("authkey", None)
        prepared = pickle.dumps(preparation)
        self._pipe, worker_end = multiprocessing.Pipe()
        output, worker_output = os.pipe()
        command = spawn.get_command_line()
        command[command.index("-c") + 1] = _PROGRAM.format(descriptor=worker_end.fileno())
        with interrupts_held_back():
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=worker_output,
                stderr=worker_output,
                pass_fds=(worker_end.fileno(),),
            )
        worker_end.close()
        os.close(worker_output)
        self._outbox.put(prepared)
        self._reader = Thread(target=self._read_output, args=(output,), daemon=True)
        self._reader.start()
        Thread(target=self._receive, args=(on_message,), daemon=True).start()
        Thread(target=self._send_outbox, daemon=True).start()

    def send(self, content: bytes) -> None:
        """Queue a message and return at once; messages to an ended process are lost."""
        self._outbox.put(content)

    def mark_ready(self) -> None:
        """Show what the worker prints from now on, and what it has printed so far."""
        self._ready = True
        while self._printed:
            self._show(self._printed.popleft())

    @property
    def is_stopped(self) -> bool:
        """Whether the process exists and does not run, because of SIGSTOP or Ctrl-Z."""
        return is_stopped(self._process.pid)

    def kill(self) -> None:
        """End the process, even a stopped one, without waiting for its end."""
        self._process.kill()

    def wait(self) -> str:
        """Wait for the end of the process; return how it ended and the last line it printed."""
        code = self._process.wait()
        self._outbox.put(None)
        # Its child processes may hold the output open.
        self._reader.join(1.0)
        how = f"it was ended by {_signal(-code)}" if code < 0 else f"it ended with exit code {code}"
        last = next((line for line in reversed(self._printed) if line.strip()), "")
        return f"{how}; its last words: {last.strip()}" if last else how

    def _receive(self, on_message: Callable[[Any], None]) -> None:
        try:
            while True:
                on_message(self._pipe.recv())
        except (EOFError, OSError):
            # It has ended, perhaps in the middle of a message.
            on_message(None)
        except Exception as error:
            self._printed.append(visible(f"what it sent cannot be read ({error!r})"))
            on_message(None)

    def _send_outbox(self) -> None:
        # An ended process is reported by `_receive`, after its last messages.
        with contextlib.suppress(OSError):
            while (content := self._outbox.get()) is not None:
                self._pipe.send_bytes(content)

    def _read_output(self, output: int) -> None:
        with os.fdopen(output, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            while line := file.readline(_LONGEST):
                if self._ready:
                    self._show(line)
                else:
                    self._printed.append(visible(line.rstrip("\n")))

    def _show(self, line: str) -> None:
        # Standard error may be missing or closed.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{self._name}: {visible(line.rstrip(chr(10)))}\n")


def _signal(number: int) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    meaning = _MEANINGS.get(signal.Signals(number)) if number in set(signal.Signals) else None
    return f"{name} ({meaning})" if meaning else name
