"""Check a run with whatever is given: files, labels and data, model, votes or radii computed again."""

from __future__ import annotations

from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Protocol, TypeVar

from holdfast.data.base import SPLITS
from holdfast.errors import HoldfastError, UsageError
from holdfast.verification.exported import check_log
from holdfast.verification.facts import check_data, check_model
from holdfast.verification.manifest import plain
from holdfast.verification.rules import Claim
from holdfast.verification.run import Verification, check_claims, check_files
from holdfast.verification.seed import expect_nonce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from holdfast.analysis.runs import BoundRun, CertifiedRun
    from holdfast.data.base import DataSet
    from holdfast.models.model import Model
    from holdfast.sampling.engines.base import Engine
    from holdfast.store.run import Run
    from holdfast.verification.findings import Findings
    from holdfast.verification.run import RunFiles
    from holdfast.verification.sample import Sample

AnyItem = TypeVar("AnyItem")
# Records that are named at most.
_SHOWN = 10


class Show(Protocol):
    """Yields the `total` items of a long loop, and may show the progress."""

    def __call__(self, title: str, items: Iterable[AnyItem], total: int) -> Iterator[AnyItem]:
        """The items, in order."""
        ...


def unseen(title: str, items: Iterable[AnyItem], total: int) -> Iterator[AnyItem]:
    """A `Show` that shows nothing."""
    return iter(items)


@dataclass(frozen=True)
class Given:
    """What to check a run or an attack against.

    Attributes:
        digest: published digest of the manifest; None if there is none.
        results: published digest of the results; None if there is none.
        nonce: nonce that the seed must be derived from; None for any.
        data: opens a split of the data by its name; None to compare no data.
        model: the model; None to compare none.
        replay: how many random records to compute again, which needs data and model; None for none.

    Raises:
        UsageError: `replay` is given without data or model.
    """

    digest: str | None = None
    results: str | None = None
    nonce: str | None = None
    data: Callable[[str], DataSet] | None = None
    model: Model | None = None
    replay: Sample | None = None

    def model_of(self, entries: Mapping[str, Any]) -> Model:
        """The model for the inputs and classes of a manifest.

        Raises:
            UsageError: there is none, or it takes other inputs.
        """
        from holdfast.models.model import KnownInputs

        assert self.model is not None
        if self.model.space is not None:
            return self.model
        data = plain(entries)["data"]
        inputs = KnownInputs(tuple(data["shape"]), data["low"], data["high"], tuple(data["class_names"]))
        return self.model.fitted(inputs, "the manifest")

    def __post_init__(self) -> None:
        if self.replay is not None and (self.data is None or self.model is None):
            raise UsageError("computing records again needs the run's model and its data: give both")


def verify_run(
    folder: Path, given: Given, engine: Engine | None = None, log: Path | None = None, show: Show = unseen
) -> Verification:
    """Check a run with whatever is given.

    Args:
        folder: folder of the run.
        given: what it is checked against.
        engine: where records are computed again; this machine's processor by default.
        log: log that was exported from it, to be checked too.
        show: shows progress.

    Raises:
        HoldfastError: what is given cannot be used: data that are not there, a device that is missing.
    """
    result = Verification()
    files = check_files(folder, result)
    if stops_at_files(given, result) or files is None:
        return result
    run, claims = _claims(folder, files, given, result)
    if log is not None and result.unknown:
        result.notes.append(f"{log} was not compared, since verify does not know what radii follow from the votes")
    elif log is not None:
        check_log(log, files, claims, result)
    entries = files.manifest.entries
    data = against_data(entries, files.records, given, result)
    against_model(entries, given, result)
    if given.replay is not None:
        _again(run, given, data, engine or _here(), result, show)
    return result


def claims_of(run: CertifiedRun) -> list[Claim]:
    """The labels, radii and bounds that this installation shows in tables and reports of a run."""
    return [
        Claim(
            each.index,
            each.predicted,
            each.radius,
            each.certificate.bounds.p_lower if each.certificate else None,
            each.certificate.bounds.p_upper if each.certificate else None,
        )
        for each in run.results
    ]


def stops_at_files(given: Given, result: Findings) -> bool:
    """Compare published digests and the nonce; True if the files are wrong, so that nothing else can be checked."""
    wrong = bool(result.failures)
    result.expect(given.digest, given.results)
    expect_nonce(result, given.nonce)
    if wrong and result.digest:
        result.notes.append("nothing else was checked, since the files are wrong")
    return wrong


def against_data(
    entries: Mapping[str, Any], records: Mapping[int, Mapping[str, Any]], given: Given, result: Findings
) -> DataSet | None:
    """Compare manifest and labels with the data that are given; return the split that was compared, or None."""
    if given.data is None:
        return None
    from holdfast.execution.facts import facts_of_data

    split = entries["data"]["split"]
    if split not in SPLITS:
        result.failures.append(f"data: the split is {split!r} in the manifest, the data have {' and '.join(SPLITS)}")
        return None
    data = given.data(split)
    check_data(entries, records, facts_of_data(data), result)
    return data


def against_model(entries: Mapping[str, Any], given: Given, result: Findings) -> None:
    """Compare the manifest with the model that is given."""
    if given.model is None:
        return
    from holdfast.execution.facts import facts_of_model

    try:
        facts = facts_of_model(given.model_of(entries), plain(entries)["noise"])
    except UsageError as error:
        # A noise that neither side knows is not the run's fault: its package may be missing here.
        (result.notes if result.unknown else result.failures).append(f"the model was not compared. Noise: {error}")
    else:
        check_model(entries, facts, result)


def drawn_from(indices: Sequence[int], sample: Sample) -> list[int]:
    """A random choice of the indices, in order, that nobody could foresee."""
    return sorted(SystemRandom().sample(list(indices), sample.of(len(indices))))


def _here() -> Engine:
    from holdfast.sampling.engines.local import LocalEngine

    return LocalEngine()


def _again(
    run: CertifiedRun | None, given: Given, data: DataSet | None, engine: Engine, result: Verification, show: Show
) -> None:
    """Compute records again, unless something is already wrong."""
    from holdfast.execution.replay import OlderNoiseError
    from holdfast.sampling.devices import torch_device

    if run is None and result.unknown:
        return
    if result.failures or given.replay is None or data is None or run is None:
        result.notes.append("nothing was computed again, since the checks above failed")
        return
    # A missing device is not the run's fault.
    torch_device(engine.device)
    try:
        _replay(run, given, data, engine, given.replay, result, show)
    except OlderNoiseError as error:
        result.undecided = str(error)
    except HoldfastError as error:
        (result.notes if result.unknown else result.failures).append(f"nothing could be computed again: {error}")


def _claims(
    folder: Path, files: RunFiles, given: Given, result: Verification
) -> tuple[CertifiedRun | None, list[Claim]]:
    """The run and its claims, checked if verify knows how; none if this installation cannot read the run."""
    from holdfast.analysis.runs import analyze
    from holdfast.store.run import read_run

    try:
        run = analyze(read_run(folder))
        claims = claims_of(run)
        if not result.unknown:
            check_claims(files, claims, result)
    except HoldfastError as error:
        if not result.unknown:
            result.failures.append(str(error))
        elif given.replay is not None:
            result.notes.append(f"nothing could be computed again: {error}")
        return None, []
    return run, claims


def _replay(
    run: CertifiedRun, given: Given, data: DataSet, engine: Engine, sample: Sample, result: Verification, show: Show
) -> None:
    """Compute random records again, and add differences to the failures."""
    from holdfast.analysis.runs import BoundRun

    chosen = drawn_from([each.index for each in run.results], sample)
    if isinstance(run, BoundRun):
        verb, done, again = "prove", "proved", _proved(run, chosen, given, data, engine)
    else:
        verb, done, again = "draw", "drawn", _drawn(run.run, chosen, given, data, engine, result.notes)
    unsure = []
    for index, difference, doubt in show(f"{verb} again {run.folder.name}", again, len(chosen)):
        if doubt:
            unsure.append(f"example {index}, {doubt}")
            continue
        result.replayed.append(index)
        if difference:
            result.failures.append(f"example {index}, {done} again: {difference}")
    if unsure:
        result.undecided = (
            f"{len(unsure)} of the {len(chosen)} records that were {done} again differ, by no more votes than there "
            f"are near ties, where networks of another device may answer otherwise: {'; '.join(unsure[:_SHOWN])}"
            f"{'; ...' if len(unsure) > _SHOWN else ''}. To decide, replay them on a device like the run's"
        )


def _drawn(
    run: Run, chosen: Sequence[int], given: Given, data: DataSet, engine: Engine, notes: list[str]
) -> Iterator[tuple[int, str | None, str]]:
    """For some records, how the votes differ when they are drawn again from the run's seed.

    The third is why nothing follows from the difference, if the run was drawn on another kind of device.
    """
    from holdfast.execution.backends import ClassifierBuilder, description
    from holdfast.execution.factories import base_for
    from holdfast.execution.replay import (
        check_backend,
        check_noise,
        draw_again,
        elsewhere,
        other_versions,
        within_near_ties,
    )
    from holdfast.noises.base import noise_from_dict
    from holdfast.store.run_manifest import backend_of

    manifest, opened = run.manifest, given.data
    model = given.model_of(manifest.entries())
    assert opened is not None
    check_noise(manifest)
    noise = noise_from_dict(manifest.noise)
    place = ClassifierBuilder(model, noise, manifest.precision, engine.device, engine.threads, lambda: opened("train"))
    classifier = place.classifier(backend_of(manifest))
    check_backend(manifest, description(classifier))
    differ = False
    for redrawn in draw_again(run, chosen, base_for(engine, classifier, noise), data, engine):
        differ |= bool(redrawn.difference)
        doubt = ""
        if redrawn.difference and elsewhere(manifest, engine.device):
            doubt = within_near_ties(run, redrawn, classifier, data, engine.device)
        yield redrawn.record.index, redrawn.difference, doubt
    if elsewhere(manifest, engine.device):
        notes.append(f"the run was drawn on {manifest.device}, and drawn again on {engine.device}")
    versions = other_versions(manifest, description(classifier))
    if differ and versions:
        notes.append(f"counts may differ because versions do: {'; '.join(versions)}")


def _proved(
    run: BoundRun, chosen: Sequence[int], given: Given, data: DataSet, engine: Engine
) -> Iterator[tuple[int, str | None, str]]:
    """For some records, how a deterministic bound differs when it is computed again."""
    import torch

    from holdfast.bounds import Classifier, bound_from_dict
    from holdfast.execution.bound import check_bound, proved_again
    from holdfast.models.networks import in_sequence
    from holdfast.sampling.devices import torch_device

    model = given.model_of(run.manifest.entries())
    bound = bound_from_dict(run.estimator.bound)
    check_bound(run.manifest, bound)
    torch.set_num_threads(engine.threads)
    space, where = model.input_space, torch_device(engine.device)
    module = in_sequence(model.differentiable(), space.shape)
    classifier = Classifier(module, space.shape, len(model.classes), space.low, space.high, where)
    for index, difference in proved_again(run.run, chosen, bound.on(classifier), data):
        yield index, difference, ""
