"""How workers make the base classifier of a run: from the bundle's own bytes, on an installation like the driver's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from holdfast.errors import BundleError, RunError
from holdfast.models.bundle import load_bundle
from holdfast.runs.execute import installed_versions
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import ClassifierRecipe

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class BundleRecipe(ClassifierRecipe):
    """The base classifier of a bundle.

    Pickled, it holds the bytes of the file, so that workers need not share a disk with the driver.

    Args:
        path: of the bundle.
        sha256: of the file, as the manifest has it.
        precision: in which the module computes.
        versions: what the manifest says of the installation; a worker with another one would cast other votes.
        content: the bytes of the file, where it has been read.
    """

    path: Path
    sha256: str
    precision: str
    versions: dict[str, str]
    content: bytes | None = None

    def build(self, device: torch.device) -> VotingClassifier:
        """Load the bundle.

        Raises:
            BundleError: the bytes are not those that the manifest names.
            RunError: this worker's installation is another than the run's.
        """
        self._check_versions()
        content = self.path.read_bytes() if self.content is None else self.content
        given = hashlib.sha256(content).hexdigest()
        if given != self.sha256:
            raise BundleError(
                f"the bundle {self.path.name} has the SHA-256 {given}, the run promised {self.sha256}: the file was "
                "changed meanwhile. Restore it, or start another run"
            )
        with TemporaryDirectory(prefix="holdfast-") as folder:
            copy = Path(folder) / self.path.name
            copy.write_bytes(content)
            bundle = load_bundle(copy, device, self.precision)
        return VotingClassifier(bundle.module, len(bundle.info.class_names))

    def _check_versions(self) -> None:
        here = installed_versions()
        others = [
            f"{name} is {here.get(name)} there and {self.versions.get(name)} in the run"
            for name in dict.fromkeys([*self.versions, *here])
            if here.get(name) != self.versions.get(name)
        ]
        if others:
            raise RunError(
                f"a worker has another installation than the run was promised with: {'; '.join(others)}. Votes could "
                "differ, so it was refused. Install the same versions on every machine, and take machines whose "
                "processors have the same capability"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "content": self.path.read_bytes() if self.content is None else self.content}
