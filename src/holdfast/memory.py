"""Recognize the exceptions of libraries that mean that memory ran out."""

from __future__ import annotations

import sys

# Parts of messages, in lower case, of torch's CPU allocator, C++ (in OpenVINO, ONNX Runtime and torch) and CUDA's
# libraries, whose errors have no type of their own.
_MESSAGES = (
    "defaultcpuallocator: can't allocate memory",
    "defaultcpuallocator: not enough memory",
    "bad_alloc",
    "bad allocation",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cuda error: out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, so that a smaller request may succeed."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in _MESSAGES)
