"""What Python loads by its name: `holdfast.load_data`, `load_model` and `load_run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.analysis.attack_results import AttackResult
    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.models.model import Model


def load_data(spec: str | Path, split: str = "test", **options: str | int | float) -> DataSet:
    """One split of a data set.

    Args:
        spec: as on the command line: `digits`, `mnist:DIR`, `images:DIR,size=32`; or a path alone, whose source is told
            by its kind: `x.npz`, `table.csv`, `test.parquet`, a folder of images.
        split: "test", "train", or "all" for both together.
        options: those of the spec, as in `size=224, classes=1000`.

    Warns:
        HoldfastWarning: what the source decided by itself, or left out.

    Raises:
        UsageError: no such source, or an option that it does not have; or the kind of a path cannot be told.
        DataError: files are missing, incomplete or corrupt.
    """
    from holdfast.workflows.specs import open_data_spec

    return open_data_spec(str(spec), split, options)


def load_model(model: object, device: str = "cpu", *, denoiser: object = None, **options: Any) -> Model:
    """A base classifier from anywhere, with what it says of its inputs and classes.

    Args:
        model: a file or a spec as on the command line (`m.safetensors`, `net.onnx`, `net.pt2`, `hf:DIR`,
            `python:FILE.py:CALLABLE`); or a torch module in eval mode, a fitted classifier of scikit-learn, or a
            function from a batch of inputs to logits `(batch, classes)` or votes `(batch,)`.
        device: where its weights go: cpu, cuda or cuda:N.
        denoiser: what stands in front of the model and is smoothed with it: a spec such as "ffdnet:FILE,level=.25", or
            a module or function from noisy inputs to inputs; None for nothing.
        options: what a file or an object does not say: `mean` and `std` (of each channel, in input units), `range`
            (smallest and largest value of an input), `classes` (a number, or a file of names), `shape`,
            `layout="channels-last"`, `output="probability"`; and those of its source.

    Warns:
        HoldfastWarning: what its source decided by itself, here or when the model is first used.

    Raises:
        BundleError: a file is missing, corrupt, or of a kind that no source reads.
        UsageError: an object that classifies nothing, or an option that it does not have.
        MissingExtraError: a package is not installed.
    """
    from holdfast.models.objects import model_of
    from holdfast.models.source import open_model
    from holdfast.sampling.devices import torch_device

    where = torch_device(device)
    if denoiser is not None:
        return load_model(model, device, **options).behind(load_model(denoiser, device))
    if isinstance(model, (str, Path)):
        return open_model(model, where, options)
    return model_of(model, where, options)


def load_run(folder: str | Path) -> CertifiedRun | AttackResult:
    """A run or an attack on the disk; certificates are computed from the votes here and now.

    Args:
        folder: that `certify`, `bound` or `attack`, or a command of these names, wrote; it is only read.

    Returns:
        A `CertifiedRun`, or an `AttackResult` for the folder of an attack.

    Raises:
        RunError: neither, or a file in it is corrupt.
    """
    from holdfast.analysis.attack_results import AttackResult
    from holdfast.analysis.runs import analyze
    from holdfast.folders import Below, lies
    from holdfast.store.attack import read_attack
    from holdfast.store.attack_manifest import FILE_NAME
    from holdfast.store.run import read_run

    place = Path(folder)
    return AttackResult(read_attack(place)) if lies(Below(place) / FILE_NAME) else analyze(read_run(place))
