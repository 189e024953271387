"""Where the host waits for the card: torch can warn of each such operation, with the line that asks for it."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

# What torch says of an operation that waits.
_SAID = "synchronizing CUDA operation"
# Lines that are kept, the most frequent ones.
_MOST = 10


def waits_of(device: str, run: Callable[[], object]) -> dict[str, int]:
    """How often each line of a run waits for the card, as "FILE:LINE"; nothing on a processor.

    Explicit calls of `torch.cuda.synchronize` do not count.
    """
    on_card = torch.device(device).type == "cuda"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if on_card:
            torch.cuda.set_sync_debug_mode("warn")
        try:
            run()
        finally:
            if on_card:
                torch.cuda.set_sync_debug_mode("default")
    return counted(seen)


def counted(seen: list[warnings.WarningMessage]) -> dict[str, int]:
    """The lines that such warnings name, the most frequent first."""
    lines = Counter(
        f"{'/'.join(Path(each.filename).parts[-2:])}:{each.lineno}" for each in seen if _SAID in str(each.message)
    )
    return dict(lines.most_common(_MOST))
