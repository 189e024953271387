"""Writing a result so that it is whole or not there at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(out: Path, content: bytes) -> None:
    """Write `content` beside `out`, then rename it; folders on the way are made.

    Raises:
        StorageError: it cannot be written; a file that was there before is left as it was.
    """
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(out)
    except OSError as error:
        if temporary.is_file():
            temporary.unlink()
        raise StorageError(
            f"{out} could not be written ({error.strerror}). Make room or choose another place"
        ) from error
