"""The jobs as Python calls them: `holdfast.load_data`, `load_model`, `certify` and `read_run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.execution.session import Progress
    from holdfast.models.bundle import Bundle
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


def load_model(file: str | Path, device: str = "cpu") -> Bundle:
    """A model with what it takes and knows: a bundle that `holdfast train` or `holdfast import-weights` wrote.

    Args:
        file: ends in .safetensors.
        device: where its weights go: cpu, cuda or cuda:N.

    Raises:
        BundleError: it is missing, corrupt, or of another kind.
    """
    from holdfast.models.bundle import load_bundle
    from holdfast.sampling.devices import torch_device

    return load_bundle(Path(file), torch_device(device))


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
    model: Bundle | str | Path,
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
        model: a model, or the file of one.
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
    from holdfast.sampling.engines.local import LocalEngine
    from holdfast.store.samples import Sample
    from holdfast.workflows.certify import Settings, certify_into
    from holdfast.workflows.question import Question
    from holdfast.workflows.setup import Setup

    bundle = load_model(model) if isinstance(model, (str, Path)) else model
    setup = Setup.of(
        bundle,
        load_data(data) if isinstance(data, str) else data,
        noise,
        precision,
        theorem,
        training_set=lambda: _training_split(data),
        names=(
            str(model) if isinstance(model, (str, Path)) else "the model",
            data if isinstance(data, str) else data.source,
        ),
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
