"""The jobs as Python calls them: `holdfast.load_data`, `load_model`, `certify` and `read_run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine


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


def load_model(model: object, device: str = "cpu", **options: Any) -> Model:
    """A base classifier from anywhere, with what it says of its inputs and classes.

    Args:
        model: a file or a spec as on the command line (`m.safetensors`, `net.onnx`, `net.pt2`, `hf:DIR`,
            `python:FILE.py:CALLABLE`); or a torch module in eval mode, a fitted classifier of scikit-learn, or a
            function from a batch of inputs to logits `(batch, classes)` or votes `(batch,)`.
        device: where its weights go: cpu, cuda or cuda:N.
        options: what a file or an object does not say: `mean` and `std` (of each channel, in input units), `range`
            (smallest and largest value of an input), `classes` (a number, or a file of names), `shape`,
            `layout="channels-last"`, `output="probability"`; and those of its source.

    Warns:
        HoldfastWarning: what its source decided by itself.

    Raises:
        BundleError: a file is missing, corrupt, or of a kind that no source reads.
        UsageError: an object that classifies nothing, or an option that it does not have.
        MissingExtraError: a package is not installed.
    """
    from holdfast.models.objects import model_of
    from holdfast.models.source import open_model
    from holdfast.sampling.devices import torch_device

    where = torch_device(device)
    if isinstance(model, (str, Path)):
        return open_model(model, where, options)
    return model_of(model, where, options)


def read_run(folder: str | Path) -> CertifiedRun:
    """A run on the disk with its certificates, computed from the votes here and now.

    Args:
        folder: of a run that `certify` or `holdfast` wrote; it is only read.

    Raises:
        RunError: not a run, or a file in it is corrupt.
    """
    from holdfast.analysis.runs import analyze
    from holdfast.store.run import read_run as read

    return analyze(read(Path(folder)))


def certify(
    model: object,
    data: DataSet | str,
    noise: Noise | None = None,
    *,
    out: str | Path,
    n: int = 10_000,
    n0: int = 100,
    alpha: float = 0.001,
    method: str = "split",
    theorem: str | None = None,
    joint: bool = False,
    until_radius: float | Sequence[float] = (),
    until_precision: float | None = None,
    every: int = 1,
    limit: int | None = None,
    sample: int | None = None,
    sample_seed: int = 0,
    seed: int | None = None,
    precision: str = "float32",
    backend: str = "auto",
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> CertifiedRun:
    """Certify a data set into a run on the disk, as `holdfast certify` does. The same call resumes it.

    Args:
        model: what `load_model` gives or takes.
        data: the split that is certified, or a spec of which the test split is taken.
        noise: that smooths the model; None for the one that it was trained for.
        out: folder of the run: its manifest is written before the first sample, a record after each example.
        n: estimation samples of each example; at most, if it is to stop early.
        n0: selection samples of each example.
        alpha: failure probability of each certificate; with `joint` of all of them together.
        method: "split" bounds the probability of every class, "cohen" that of the top class only, as the papers do.
        theorem: name of the guarantee, which decides the norm of the radius; None for the noise's first one.
        joint: all certificates of the run hold together with probability 1 - alpha.
        until_radius: stop an example once this radius, or each of these, is certified or hopeless.
        until_precision: stop an example once its radius is within this share of what n samples would give.
        every: certify one example in so many, from the first on.
        limit: certify so many examples at most; None for all.
        sample: certify a random sample of so many examples instead; None for none.
        sample_seed: seed of that sample, chosen before anything is known.
        seed: of all noise; None for fresh entropy, or that of the run that is resumed.
        precision: float32, bfloat16 or int8: in which the base classifier computes.
        backend: what computes the logits; "auto" takes the fastest where that is worth it.
        engine: where to compute; None for one thread of this process. Results do not depend on it.
        on_progress: called after each batch.

    Returns:
        The finished run, with its certificates.

    Warns:
        HoldfastWarning: the model was trained for another noise, or the subset is no sample of its split.

    Raises:
        UsageError: arguments that do not fit together.
        RunError: the run in `out` has other settings, or is corrupt.
        InputError, ClassifierError: an example, or what the model returns, cannot be right.
    """
    from holdfast.estimators.base import radii_of
    from holdfast.models.model import Model
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.store.samples import Sample
    from holdfast.workflows.certify import Settings, certify_into
    from holdfast.workflows.question import Question
    from holdfast.workflows.setup import Setup

    opened = model if isinstance(model, Model) else load_model(model)
    setup = Setup.of(
        opened,
        load_data(data) if isinstance(data, str) else data,
        noise,
        precision,
        theorem,
        training_set=lambda: _training_split(data),
        name=data if isinstance(data, str) else data.source,
    )
    settings = Settings.of(
        setup,
        Question(n0, n, alpha, method, radii_of(until_radius), until_precision),
        joint=joint,
        every=every,
        limit=limit,
        sample=None if sample is None else Sample.parse(f"{sample}:{sample_seed}"),
        engine=engine or LocalEngine(),
        seed=seed,
        backend=backend,
    )
    folder = Path(out)
    certify_into(folder, setup, settings, on_progress)
    return read_run(folder)


def _training_split(data: DataSet | str) -> DataSet:
    """The training split of a data set that is named.

    Raises:
        UsageError: the data are given, and not named.
    """
    if not isinstance(data, str):
        raise UsageError(
            "int8 is calibrated on training inputs, and only one split is given: name the data, as in "
            "certify(model, 'mnist:DIR', ...), or choose another precision"
        )
    return load_data(data, "train")
