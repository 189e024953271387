"""Files of data sets as their makers publish them: finding and reading them, and saying where they differ."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.budgets import content_of
from holdfast.errors import DataError
from holdfast.stand_ins import refuse_stand_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Original:
    """A published data set.

    Attributes:
        files: what its files are called in messages, as in "MNIST's IDX files".
        home: address of the page that publishes them.
    """

    files: str
    home: str

    def find(self, folder: Path, names: Sequence[str]) -> Path:
        """The first of these files that lies in `folder`.

        Raises:
            DataError: there is none.
        """
        for name in names:
            if (folder / name).is_file():
                return folder / name
        raise self.missing(folder, names)

    def missing(self, folder: Path, names: Sequence[str]) -> DataError:
        """The error for files that are not there."""
        found = "no such folder" if not folder.is_dir() else "the folder has none of them"
        return DataError(
            f"looked in {folder} for {', '.join(names)}: {found}; give the folder with {self.files}, published at "
            f"{self.home}"
        )

    def read(self, file: Path, most: int | None = None) -> bytes:
        """The content of a file, which as published has `most` bytes or fewer; None for any number.

        Raises:
            DataError: it cannot be read, is larger, or something else lies in its place (`holdfast.stand_ins`).
        """
        try:
            content = content_of(file, DataError, most)
        except OSError as error:
            raise DataError(f"{file} cannot be read ({error}); get {self.files} again from {self.home}") from error
        refuse_stand_in(content, file, DataError)
        return content

    def other_content(self, name: str, content: bytes, published: str) -> tuple[str, ...]:
        """A note where the MD5 of a file is not the published one; that alone is no error."""
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found == published:
            return ()
        return (
            f"{name} has the MD5 {found}, the file published at {self.home} {published}: it was changed or packed "
            "again; compare results with published ones only if its content is the same",
        )

    def other_size(self, split: str, found: int, published: int) -> tuple[str, ...]:
        """A note where a split does not have the published number of examples."""
        if found == published:
            return ()
        return (
            f"the {split} split has {found:,} examples, {published:,} as published at {self.home}: results cannot be "
            "compared with published ones",
        )
