"""Draw votes again from a run's seed, and compare them with its records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from holdfast.code_digest import place
from holdfast.errors import RunError
from holdfast.execution.certify import code_of_votes, procedure_of
from holdfast.execution.code import CODE, of_holdfast, other_code
from holdfast.execution.versions import differing_versions, installed_versions
from holdfast.noises.base import draws_at_once, noise_from_dict
from holdfast.noises.draws import Draws
from holdfast.sampling.devices import torch_device
from holdfast.sampling.inputs import checked_example
from holdfast.sampling.rng import BLOCK, Stream
from holdfast.store.run import VoteRecord
from holdfast.store.run_manifest import estimator_of
from holdfast.types import Counts, RankedCounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor

    from holdfast.data.base import DataSet
    from holdfast.models.model import Model
    from holdfast.noises.base import Noise
    from holdfast.sampling.classifier import VotingClassifier
    from holdfast.sampling.engines.base import Base, Engine
    from holdfast.store.run import Run
    from holdfast.store.run_manifest import RunManifest


# Networks of two devices, and normal noise on them, may differ by more than those of two batches.
_FURTHER = 4.0


@dataclass(frozen=True)
class Redrawn:
    """One record, drawn again."""

    record: VoteRecord
    label: int
    selection: Counts
    estimation: Counts

    @property
    def difference(self) -> str:
        """What differs, in words; empty if nothing does."""
        found = ((self.label,), self.selection.votes, self.estimation.votes, _pairs(self.estimation))
        record = self.record
        recorded = ((record.label,), record.selection.votes, record.estimation.votes, _pairs(record.estimation))
        names = ("label", "selection votes", "estimation votes", "rankings of pairs")
        return "; ".join(
            f"{name} drawn again {_spell(new)}, recorded {_spell(old)}"
            for name, new, old in zip(names, found, recorded, strict=True)
            if new != old
        )


class OlderNoiseError(RunError):
    """This version cannot draw the noise of a run or an attack again: that says nothing about its records."""


def seed_of(manifest: RunManifest) -> int:
    """The seed of a run; RunError if it has none."""
    if manifest.seed is None:
        raise RunError("only runs that Holdfast made can be drawn again; this one has no seed")
    return manifest.seed


def check_noise(manifest: RunManifest) -> None:
    """Raise RunError unless this version can draw the noise of a run."""
    seed_of(manifest)
    if not estimator_of(manifest).exhaustive:
        check_block(manifest.block)


def elsewhere(manifest: RunManifest, device: str) -> bool:
    """Whether the votes of a run come from another kind of device than this one, where networks round otherwise."""
    return device.partition(":")[0] != manifest.device


def check_block(block: int | None) -> None:
    """Raise OlderNoiseError unless a manifest's noise was drawn as this version draws it."""
    if block != BLOCK:
        raise OlderNoiseError(
            "an older version of Holdfast drew this noise, in blocks of 64 samples with a generator each; now each "
            "draw is a function of a counter. The votes can be verified, but to draw them again takes the version that "
            "the manifest names"
        )


def check_origin(manifest: RunManifest, model: Model, data: DataSet) -> None:
    """Raise RunError unless model, its code and data are those of the run."""
    check_model(manifest.model, model, manifest.versions, "the run")
    if data.sha256 != manifest.data.sha256:
        raise RunError(
            f"the data have the SHA-256 {data.sha256}, the run's {manifest.data.source} {manifest.data.split} set "
            f"{manifest.data.sha256}; give the run's own data"
        )


def check_model(expected: Mapping[str, Any], model: Model, versions: Mapping[str, str], who: str) -> None:
    """Raise RunError unless a model is the one that a manifest describes.

    Args:
        expected: description of the model in a manifest.
        model: the model here.
        versions: versions of the manifest.
        who: has the manifest, in words.
    """
    given = json.loads(json.dumps(model.describe()))
    if given.get("sha256") != expected.get("sha256"):
        raise RunError(
            f"the model has the SHA-256 {given.get('sha256')}, that of {who} {expected.get('sha256')}; give the model "
            f"of {who}"
        )
    for key in sorted({*given, *expected} - {"backend", CODE}):
        if given.get(key) != expected.get(key):
            raise RunError(
                f"the model's {key} is {given.get(key)!r}, that of {who} {expected.get(key)!r}; give the "
                f"model of {who}, with the same options"
            )
    check_code(expected, given, versions, who)


def check_code(expected: Mapping[str, Any], given: Mapping[str, Any], versions: Mapping[str, str], who: str) -> None:
    """Raise RunError if the code of a model has changed.

    Holdfast's own architectures may have been rewritten by a later version: there the votes decide.

    Args:
        expected: description of the model in a manifest.
        given: description of the model here.
        versions: versions of the manifest.
        who: has the manifest, in words.
    """
    other = other_code(expected, given)
    if not other or (of_holdfast(other) and versions.get("holdfast") != installed_versions()["holdfast"]):
        return
    raise RunError(
        f"the code of the model {given.get('architecture') or given.get('source')!r} is not that of {who}: "
        f"{', '.join(map(place, other))} differ. The same weights are another classifier then; bring back the "
        "code as it was"
    )


def check_backend(manifest: RunManifest, backend: dict[str, Any]) -> None:
    """Raise RunError unless calibration has given the 8-bit network of the run again.

    Args:
        manifest: manifest of the run.
        backend: description of the backend here; see `Backend.describe`.
    """
    expected, found = (_quantization(each) for each in (manifest.model.get("backend", {}), backend))
    if found != expected:
        differing = [
            f"{key}: {expected.get(key)!r} in the run, {found.get(key)!r} here" for key in {**expected, **found}
        ]
        raise RunError(
            "calibration gives another 8-bit network here than in the run, so votes would be those of another base "
            f"classifier ({'; '.join(differing)}); use the run's data, its versions and its kind of processor"
        )


def other_versions(manifest: RunManifest, backend: dict[str, Any] | None = None) -> list[str]:
    """Versions that differ between this installation and the run: likely reasons for different counts."""
    there, here = dict(manifest.versions), installed_versions()
    if CODE in there:
        here |= code_of_votes(noise_from_dict(manifest.noise), estimator_of(manifest), manifest.model)
    expected = manifest.model.get("backend", {})
    if backend is not None and expected:
        # torch is among them already.
        there.setdefault(expected["name"], expected["version"])
        here.setdefault(backend["name"], backend["version"])
    return differing_versions(there, here, "run")


def draw_again(run: Run, indices: Sequence[int], classifier: Base, data: DataSet, engine: Engine) -> Iterator[Redrawn]:
    """Draw the votes of some records again, by the loop that certifies.

    Args:
        run: run whose seed, noise and estimator are used.
        indices: indices of the records.
        classifier: the base classifier of the run, or how workers make it; see `check_origin`.
        data: the data set of the run.
        engine: where the loop runs.
    """
    manifest = run.manifest
    recorded = {record.index: record for record in run.records if isinstance(record, VoteRecord)}
    expected = manifest.data
    examples = (checked_example(each, expected.shape, expected.low, expected.high) for each in data.examples(indices))
    noise, none = noise_from_dict(manifest.noise), Counts((0,) * len(expected.class_names))
    for example, votes in engine.run(classifier, noise, procedure_of(manifest), seed_of(manifest), examples):
        selection, estimation = (votes.get(stream, none) for stream in (Stream.SELECTION, Stream.ESTIMATION))
        yield Redrawn(recorded[example.index], example.label, selection, estimation)


def within_near_ties(run: Run, redrawn: Redrawn, classifier: VotingClassifier, data: DataSet, device: str) -> str:
    """How votes from another device differ from those drawn again here, if near ties may be the reason.

    The record's noisy copies are drawn again, as many as it has votes. Where two logits are so close that another
    device may order them otherwise, no vote is certain.

    Args:
        run: run on another kind of device.
        redrawn: one of its records, drawn again with a difference.
        classifier: the base classifier here.
        data: the data set of the run.
        device: where the classifier computes.

    Returns:
        How many votes differ and how many near ties there are; empty if more votes differ, or the label does.
    """
    manifest, record = run.manifest, redrawn.record
    if redrawn.label != record.label:
        return ""
    expected, noise = manifest.data, noise_from_dict(manifest.noise)
    (given,) = data.examples([record.index])
    example = checked_example(given, expected.shape, expected.low, expected.high)
    x = torch.from_numpy(example.x).to(torch_device(device))
    differing, near, at_once = 0, 0, draws_at_once(x)
    if isinstance(record.estimation, RankedCounts):
        return _within_near_rankings(noise, x, record.estimation, redrawn.estimation, classifier)
    for stream, recorded in ((Stream.SELECTION, record.selection), (Stream.ESTIMATION, record.estimation)):
        found, close = [0] * len(recorded.votes), 0
        for first in range(0, recorded.total, at_once):
            end = min(first + at_once, recorded.total)
            if estimator_of(manifest).exhaustive:
                noisy = noise.apply(x.unsqueeze(0), noise.enumerate(x, first, end))
            else:
                noisy = noise.sample(x, Draws(seed_of(manifest), example.noise_key, stream, end - first, first))
            votes = classifier.votes(noisy)[0].bincount(minlength=len(found)).tolist()
            found = [old + new for old, new in zip(found, votes, strict=True)]
            close += int(classifier.near_ties(noisy, _FURTHER).sum())
        others = sum(max(0, new - old) for new, old in zip(found, recorded.votes, strict=True))
        if others > close:
            return ""
        differing, near = differing + others, near + close
    total = record.selection.total + record.estimation.total
    return f"{differing} of {total} votes differ, {near} of the noisy copies are near ties"


def _within_near_rankings(
    noise: Noise, x: Tensor, recorded: Counts, found: Counts, classifier: VotingClassifier
) -> str:
    """`within_near_ties` for rankings of all realizations: how far the numbers of two classes differ at most."""
    pairs = zip(_pairs(recorded), _pairs(found), strict=True)
    votes = sum(max(0, new - old) for new, old in zip(found.votes, recorded.votes, strict=True))
    others = max(votes, *(abs(new - old) for old, new in pairs))
    near = 0
    for first in range(0, recorded.total, draws_at_once(x)):
        end = min(first + draws_at_once(x), recorded.total)
        noisy = noise.apply(x.unsqueeze(0), noise.enumerate(x, first, end))
        near += int(classifier.near_ties(noisy, _FURTHER, ranked=True).sum())
    if others > near:
        return ""
    return f"{others} or more of {recorded.total} rankings differ, {near} of the noisy copies are near ties"


def _pairs(counts: Counts) -> tuple[int, ...]:
    """How often each class is ranked above each other one, row by row; nothing where there are votes alone."""
    return tuple(chain.from_iterable(counts.pairs)) if isinstance(counts, RankedCounts) else ()


def _quantization(backend: dict[str, Any]) -> dict[str, Any]:
    quantization: dict[str, Any] = backend.get("quantization", {})
    return quantization


def _spell(votes: tuple[int, ...]) -> str:
    return "/".join(map(str, votes))
