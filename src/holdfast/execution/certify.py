"""Do what a manifest says: votes for every example of its subset that has no record yet."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from holdfast.errors import RunError, UsageError
from holdfast.estimators import Estimator
from holdfast.execution.code import code_version
from holdfast.execution.session import session
from holdfast.execution.versions import installed_versions
from holdfast.models.backends.base import find
from holdfast.noises.base import Noise, grey_or_rgb, noise_from_dict
from holdfast.noises.draws import Draws
from holdfast.noises.pixels import TRANSPOSE, counts_pixels, refuse_channels_last
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.inputs import checked_example
from holdfast.sampling.procedure import Certify, certify_votes, check_ranked
from holdfast.sampling.rng import BLOCK, Stream
from holdfast.store.data_manifest import DataManifest
from holdfast.store.gallery import Gallery, read_gallery, write_gallery
from holdfast.store.run import GALLERY, RunStore, VoteRecord
from holdfast.store.run_manifest import RunManifest, estimator_of
from holdfast.store.seeds import Seed, seeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from holdfast.execution.session import Progress
    from holdfast.folders import Folder, Where
    from holdfast.sampling.engines.base import Base, Engine
    from holdfast.sampling.procedure import Procedure
    from holdfast.types import Example

# Records are flushed to the disk together when this many seconds have passed since the last flush.
_FLUSH_SECONDS = 0.2
_GALLERY_EXAMPLES = 12
# As many as Levine & Feizi 2020 show in Figure 1.
_GALLERY_VERSIONS = 4


def describe_certification(
    *,
    noise: Noise,
    guarantee: str,
    estimator: Estimator,
    n0: int,
    data: DataManifest,
    model: dict[str, Any],
    seed: int | Seed,
    precision: str,
    device: str,
    joint_alpha: float | None = None,
) -> RunManifest:
    """The manifest of a certification with this installation of Holdfast and its libraries.

    A seed that is a number was chosen by whoever gives it, and is noted as such.
    """
    return RunManifest(
        kind="certify",
        noise=noise.to_dict(),
        guarantee=guarantee,
        estimator=estimator.to_dict(),
        n0=n0,
        data=data,
        model=model,
        **seeded(seed).entries(),
        block=BLOCK,
        joint_alpha=joint_alpha,
        precision=precision,
        device=device.partition(":")[0],
        versions=installed_versions() | code_of_votes(noise, estimator, model),
    )


def code_of_votes(noise: Noise, estimator: Estimator, model: Mapping[str, Any]) -> dict[str, str]:
    """A digest of the code that draws and counts votes, beside the versions.

    Args:
        noise: noise of the run.
        estimator: estimator of the run.
        model: entries of the model in its manifest.
    """
    return code_version(type(noise), type(estimator), find(model.get("backend", {}).get("name", "torch")))


def procedure_of(manifest: RunManifest) -> Procedure:
    """The samples that are drawn for each example of a run.

    Raises:
        UsageError: the manifest takes each realization of the noise once, and the noise has another number of them.
    """
    estimator, noise, shape = estimator_of(manifest), noise_from_dict(manifest.noise), manifest.data.shape
    if estimator.exhaustive and estimator.most_draws != noise.realizations(shape):
        raise UsageError(
            f"{noise} has {noise.realizations(shape)} realizations for inputs of shape {shape}; the manifest promises "
            f"to take each of {estimator.most_draws} once"
        )
    if estimator.ranked:
        check_ranked(len(manifest.data.class_names))
    return Certify(manifest.n0, estimator)


def certify_run(
    folder: Where,
    manifest: RunManifest,
    classifier: Base,
    examples: Callable[[Sequence[int]], Iterator[Example]],
    engine: Engine,
    on_progress: Callable[[Progress], None] | None = None,
    here: VotingClassifier | None = None,
) -> None:
    """Start or resume a run and return when every example of its subset has a record on the disk.

    Args:
        folder: folder of the run.
        manifest: manifest of the run; an existing run must have the same settings.
        classifier: the base classifier, or how workers make it.
        examples: gives the examples of the indices it is called with, in any order.
        engine: where the loop runs.
        on_progress: called after each batch.
        here: the base classifier in this process, where `classifier` is a factory: it labels the pictures of the
            gallery, which no worker sees. Without it they have no labels.

    Raises:
        RunError, InputError, ClassifierError: see `RunStore`, `checked_example`, `VotingClassifier`.
        UsageError: the noise is not for these inputs, or counts pixels and their channels seem to be the last axis.
    """
    noise = noise_from_dict(manifest.noise)
    data = manifest.data
    noise.check_inputs(data.shape, data.low, data.high)
    if counts_pixels(noise):
        refuse_channels_last(str(noise), data.shape, TRANSPOSE)
    if manifest.seed is None:
        raise RunError(
            "a certification needs a seed in its manifest: an imported log cannot be continued, and a promise that "
            "awaits a nonce must get it first"
        )
    procedure = procedure_of(manifest)
    with RunStore(folder, manifest) as store:
        if not store.folder.has(GALLERY):
            with store.guarded():
                _record_gallery(store.folder, manifest.seed, noise, data, examples)
        with session(store, on_progress, engine.settings(), flush_seconds=_FLUSH_SECONDS) as work:
            if not work.todo:
                return
            checked = (checked_example(example, data.shape, data.low, data.high) for example in examples(work.todo))
            votes = engine.run(classifier, noise, procedure, manifest.seed, checked, work.count)
            # Closed at once when it is interrupted, since it may have workers to end.
            with closing(votes):
                for example, each in votes:
                    work.record(VoteRecord(example.index, example.label, *certify_votes(each)))
            work.flush()
            work.tell()
        labelling = classifier if isinstance(classifier, VotingClassifier) else here
        if labelling is not None:
            # After the votes: the classifier's first batch, and how often it was called, are those of the run.
            with store.guarded():
                _label_gallery(store.folder, manifest.seed, noise, data, examples, labelling, engine.device)


def _record_gallery(
    folder: Folder,
    seed: int,
    noise: Noise,
    data: DataManifest,
    examples: Callable[[Sequence[int]], Iterator[Example]],
) -> None:
    """Pictures of the first examples of the subset; none for inputs that are not images."""
    if len(data.shape) != 3 or data.shape[0] not in (1, 3):
        return
    chosen = list(examples(list(data.indices()[:_GALLERY_EXAMPLES])))
    if not chosen:
        return
    rows = [_pictures(seed, noise, checked_example(each, data.shape, data.low, data.high)) for each in chosen]
    write_gallery(folder, Gallery(np.array([each.index for each in chosen]), np.stack(rows)))


def _pictures(seed: int, noise: Noise, example: Example) -> NDArray[np.uint8]:
    noisy = _noisy(seed, noise, example, _GALLERY_VERSIONS).numpy()
    return np.stack([grey_or_rgb(example.x), *(noise.render(each) for each in noisy)])


def _noisy(seed: int, noise: Noise, example: Example, versions: int) -> Tensor:
    """The noisy versions of an example that the gallery shows; the same ones at each call."""
    return noise.sample(torch.from_numpy(example.x), Draws(seed, example.index, Stream.GALLERY, versions))


def _label_gallery(
    folder: Folder,
    seed: int,
    noise: Noise,
    data: DataManifest,
    examples: Callable[[Sequence[int]], Iterator[Example]],
    classifier: VotingClassifier,
    device: str,
) -> None:
    """Add the base classifier's class of each noisy picture to the gallery of a finished run."""
    gallery = read_gallery(folder)
    if gallery is None or gallery.labels is not None:
        return
    wanted = gallery.index.tolist()
    versions = gallery.pictures.shape[1] - 1
    labels = np.full((len(wanted), versions), -1, dtype=np.int64)
    rows = {index: row for row, index in enumerate(wanted)}
    for each in examples(wanted):
        example = checked_example(each, data.shape, data.low, data.high)
        votes, void = classifier.votes(_noisy(seed, noise, example, versions).to(device))
        labels[rows[example.index]] = votes.masked_fill(void, -1).cpu().numpy()
    write_gallery(folder, Gallery(gallery.index, gallery.pictures, labels))
