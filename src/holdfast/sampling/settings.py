"""torch's global settings while Holdfast computes; the previous settings return afterwards.

A base classifier runs in its owner's process: settings of that process (threads, TensorFloat-32) must be the same when
the call returns, and a run must not depend on them.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXACT = "ieee"
_UNSET = "none"


@contextmanager
def computing(threads: int) -> Iterator[None]:
    """Compute with this many processor threads and full float32; restore the previous settings at the end.

    TensorFloat-32, bfloat16 inside of float32 products and autocast would make another base classifier than the one
    in the manifest.

    Args:
        threads: processor threads, at least 1.
    """
    before = torch.get_num_threads()
    if before != threads:
        torch.set_num_threads(threads)
    try:
        with ExitStack() as entered:
            # Process-wide: the first of several threads sets them, and the last one restores them.
            entered.enter_context(_SHARED)
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    entered.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        # The base classifier may have changed the number.
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


@contextmanager
def _exact_float32() -> Iterator[None]:
    """Set float32 products to full precision.

    torch has two interfaces to these settings, and reading through one what was set through the other can be an error.
    So each is read if it can be; the older one is set first, since it sets the newer one as well.
    """
    operations = _operations()
    found = [each.fp32_precision for each in operations]
    matmul, convolution = _readable(torch.get_float32_matmul_precision), _readable(_convolution)
    try:
        if matmul not in (None, "highest"):
            torch.set_float32_matmul_precision("highest")
        if convolution:
            torch.backends.cudnn.allow_tf32 = False
        for each in operations:
            if each.fp32_precision not in (_UNSET, _EXACT):
                each.fp32_precision = _EXACT
        yield
    finally:
        if matmul not in (None, _readable(torch.get_float32_matmul_precision)):
            torch.set_float32_matmul_precision(matmul)
        if convolution not in (None, _readable(_convolution)):
            torch.backends.cudnn.allow_tf32 = convolution
        for each, value in zip(operations, found, strict=True):
            if each.fp32_precision != value:
                # A value inherited from a setting for several operations is restored by unsetting its own.
                each.fp32_precision = _UNSET
                if each.fp32_precision != value:
                    each.fp32_precision = value


class _Shared:
    """Full float32 for all threads that compute at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._settings: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._settings = _exact_float32()
                self._settings.__enter__()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._settings.__exit__(None, None, None)


_SHARED = _Shared()


def _operations() -> list[Any]:
    """Settings with their own precision; none in versions of torch without the newer interface."""
    backends: Any = torch.backends
    kinds = [backends.cuda.matmul]
    for backend in (backends.cudnn, backends.mkldnn):
        kinds += [getattr(backend, name, None) for name in ("conv", "rnn", "matmul")]
    return [each for each in kinds if _readable(lambda each=each: each.fp32_precision) is not None]


def _convolution() -> bool:
    return bool(torch.backends.cudnn.allow_tf32)


def _readable(read: Any) -> Any:
    """The value of a setting; None if torch has none, or refuses because the interfaces were mixed."""
    with suppress(RuntimeError, AttributeError):
        return read()
    return None
