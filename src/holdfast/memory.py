"""Which exceptions say that memory ran out: each library has its own."""

from __future__ import annotations

import sys

# What torch's allocator for processors, C++ (in OpenVINO, ONNX Runtime and torch) and CUDA's libraries say, in errors
# of no particular type. Lower case.
_SAID = (
    "defaultcpuallocator: can't allocate memory",
    "defaultcpuallocator: not enough memory",
    "bad_alloc",
    "bad allocation",
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cuda error: out of memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there was no memory for what was asked, so that less of it may succeed."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)
