"""The pictures of a run, each with the class that the base classifier gives the noisy copy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import CLASSES, SHAPE, examples, manifest

from holdfast.execution.certify import certify_run
from holdfast.folders import Folder
from holdfast.noises.ablation import Ablation
from holdfast.noises.base import Noise, find_guarantee
from holdfast.noises.gaussian import Gaussian
from holdfast.noises.laplace import Laplace
from holdfast.noises.lattice_gaussian import LatticeGaussian
from holdfast.noises.uniform import Uniform
from holdfast.noises.uniform_flip import UniformFlip
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.base import Base, FunctionFactory
from holdfast.sampling.engines.local import LocalEngine
from holdfast.store.gallery import Gallery, read_gallery, write_gallery
from holdfast.store.run import read_run
from holdfast.types import Example

SIZE = 3
# Noisy copies whose pictures say all about them.
BLACK = Ablation(20, "mean", (0.0,))


def brightest(noisy: torch.Tensor) -> torch.Tensor:
    """Votes that can be read off a picture: the quarter of the rows with the largest sum over the first channel."""
    return noisy[:, 0].flatten(1).reshape(len(noisy), CLASSES, -1).sum(dim=2).argmax(dim=1)


def done(folder: Path, noise: Noise, classifier: Base | None = None, here: VotingClassifier | None = None) -> Gallery:
    """The gallery of a run on three examples."""
    promised = manifest(size=SIZE, noise=noise.to_dict(), guarantee=find_guarantee(noise).name)
    made = VotingClassifier(brightest, CLASSES) if classifier is None else classifier
    certify_run(folder, promised, made, examples, LocalEngine(batch_size=64), here=here)
    found = read_gallery(folder)
    assert found is not None
    return found


def test_each_label_is_the_class_of_the_copy_that_is_shown(tmp_path: Path) -> None:
    found = done(tmp_path / "run", BLACK)
    assert found.labels is not None
    assert found.labels.shape == (SIZE, 4)
    shown = torch.from_numpy(found.pictures[:, 1:, :, :, 0].reshape(SIZE * 4, 1, *SHAPE[1:]).astype(np.float32))
    assert found.labels.flatten().tolist() == brightest(shown).tolist()
    assert len(set(found.labels.flatten().tolist())) > 1, "or any label would do"


@pytest.mark.parametrize(
    "noise",
    [Gaussian(0.5), Laplace(0.3), Uniform(0.3), UniformFlip(0.8, 2), Ablation(20), LatticeGaussian(0.25)],
    ids=str,
)
def test_every_noise_has_labels(tmp_path: Path, noise: Noise) -> None:
    def rounded(indices: Sequence[int]) -> Iterator[Example]:
        for each in examples(indices):
            yield replace(each, x=each.x.round())

    promised = manifest(size=SIZE, noise=noise.to_dict(), guarantee=find_guarantee(noise).name)
    classifier = VotingClassifier(brightest, CLASSES)
    certify_run(tmp_path / "run", promised, classifier, rounded, LocalEngine(batch_size=64))
    found = read_gallery(tmp_path / "run")
    assert found is not None
    assert found.labels is not None
    assert found.labels.shape == (SIZE, 4)
    assert 0 <= found.labels.min() <= found.labels.max() < CLASSES


def test_labels_change_no_vote(tmp_path: Path) -> None:
    done(tmp_path / "with", BLACK)
    done(tmp_path / "without", BLACK, FunctionFactory(lambda: brightest, CLASSES))
    assert read_run(tmp_path / "with").records == read_run(tmp_path / "without").records


def test_workers_see_no_pictures_and_the_caller_may_label_them(tmp_path: Path) -> None:
    factory = FunctionFactory(lambda: brightest, CLASSES)
    assert done(tmp_path / "none", BLACK, factory).labels is None
    here = done(tmp_path / "here", BLACK, factory, VotingClassifier(brightest, CLASSES)).labels
    own = done(tmp_path / "own", BLACK).labels
    assert here is not None
    assert own is not None
    assert here.tolist() == own.tolist()


def test_an_interrupted_run_has_pictures_and_gets_its_labels_at_the_end(tmp_path: Path) -> None:
    class Stopped(Exception):
        pass

    def failing(indices: Sequence[int]) -> Iterator[Example]:
        for each in examples(indices):
            if each.index == 2 and read_gallery(tmp_path / "run") is not None:
                raise Stopped
            yield each

    promised = manifest(size=SIZE, noise=BLACK.to_dict(), guarantee="levine")
    with pytest.raises(Stopped):
        certify_run(
            tmp_path / "run", promised, VotingClassifier(brightest, CLASSES), failing, LocalEngine(batch_size=64)
        )
    before = read_gallery(tmp_path / "run")
    assert before is not None
    assert before.labels is None
    after, whole = done(tmp_path / "run", BLACK), done(tmp_path / "whole", BLACK)
    assert after.labels is not None
    assert whole.labels is not None
    assert after.labels.tolist() == whole.labels.tolist()
    assert (after.pictures == before.pictures).all()
    # A finished run is left as it is.
    with Folder.opened(tmp_path / "run") as folder:
        write_gallery(folder, Gallery(after.index, after.pictures))
    assert done(tmp_path / "run", BLACK).labels is None
