"""What the jobs are given, by name or as objects: models, data, noises."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.data.base import DataSet
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.samples import Sample
    from holdfast.workflows.setup import Setup


def model_of(model: object, device: str = "cpu") -> Model:
    """The model itself, or what `load_model` makes of it."""
    from holdfast.models.model import Model
    from holdfast.workflows.python import load_model

    return model if isinstance(model, Model) else load_model(model, device)


def data_of(data: DataSet | str | Path, split: str = "test") -> DataSet:
    """The data themselves, or the split of those that a spec names.

    Raises:
        UsageError: neither, or the data are another split.
    """
    from holdfast.data.base import DataSet
    from holdfast.workflows.python import load_data

    if isinstance(data, str | Path):
        return load_data(data, split)
    if not isinstance(data, DataSet):
        raise UsageError(f"data are a DataSet, or a spec such as 'digits' or 'mnist:DIR'; got a {type(data).__name__}")
    return data


def split_of(data: DataSet | str | Path, split: str) -> DataSet:
    """One split of the data, which may be that split and no other.

    Raises:
        UsageError: another split is given.
    """
    found = data_of(data, split)
    if found.split != split:
        raise UsageError(
            f"this is about the {split} split of {found.source}, and the {found.split} split is given: give "
            f"load_data({found.source!r}, {split!r}), or name the data"
        )
    return found


def training_set(data: DataSet | str | Path) -> Callable[[], DataSet]:
    """Opens the training split of a data set that is named; UsageError where the data are given, and not named."""

    def opened() -> DataSet:
        if not isinstance(data, str | Path):
            raise UsageError(
                "int8 is calibrated on training inputs, and only one split is given: name the data, as in "
                "certify(model, 'mnist:DIR', ...), or choose another precision"
            )
        return data_of(data, "train")

    return opened


def name_of(data: DataSet | str | Path) -> str:
    """The name of the data, for messages."""
    return str(data) if isinstance(data, str | Path) else data.source


def noise_of(noise: Noise | str | None) -> Noise | None:
    """The noise itself, or that of a spec; None for none.

    Raises:
        UsageError: something else.
    """
    from holdfast.noises.base import Noise
    from holdfast.workflows.specs import parse_noise

    if noise is None or isinstance(noise, Noise):
        return noise
    if not isinstance(noise, str):
        raise UsageError(f"a noise is an object, as in hf.Gaussian(sigma=0.25), or its spec; got {noise!r}")
    return parse_noise(noise)


def engine_of(engine: Engine | None) -> Engine:
    """The engine, or one thread of this process.

    Raises:
        UsageError: something else.
    """
    from holdfast.sampling.engines.base import Engine
    from holdfast.sampling.engines.local import LocalEngine

    if not (engine is None or isinstance(engine, Engine)):
        raise UsageError(f"the engine is an object, as in hf.ProcessesEngine(2), or None; got {engine!r}")
    return engine or LocalEngine()


def setup_of(
    model: object,
    data: DataSet | str | Path,
    noise: Noise | str | None,
    precision: str,
    device: str,
    theorem: str | None = None,
) -> Setup:
    """Model, data and noise, however they are given, checked against each other; errors as in `Setup.of`."""
    from holdfast.workflows.setup import Setup

    return Setup.of(
        model_of(model, device),
        data_of(data),
        noise_of(noise),
        precision,
        theorem,
        training_set=training_set(data),
        name=name_of(data),
    )


def sample_of(sample: int | str | None) -> Sample | None:
    """A random sample of so many examples, as in 500, or with a seed of its own, as in "500:7"; None for none.

    Raises:
        UsageError: something else.
    """
    from holdfast.store.samples import Sample

    return None if sample is None else Sample.parse(str(sample))


def folder_of(place: object) -> Path:
    """The folder of a run or an attack, or the path itself.

    Raises:
        UsageError: neither.
    """
    found = getattr(place, "folder", place)
    if not isinstance(found, str | Path):
        found = str(found) if hasattr(place, "folder") else None
    if found is None:
        raise UsageError(f"a run is a folder, or what certify, bound, attack or load_run returned; got {place!r}")
    return Path(found)


@contextmanager
def threads_kept() -> Iterator[None]:
    """torch's number of threads is afterwards as it was: some jobs set it for themselves."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)
