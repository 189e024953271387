"""Published votes of all realizations of a noise: the certificates that follow, beside the published radii."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.data.npy import Archive
from holdfast.errors import DataError
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holdfast.analysis.runs import CertifiedRun
    from holdfast.reproductions.plans import Balloting
    from holdfast.reproductions.results import Finished, Recount

_DATA = "cifar10"
# Radii are published as whole numbers of steps of 8-bit images.
_STEPS = 255


def counted(jobs: Sequence[Balloting], kind: str, file: str, scale: str) -> Finished:
    """What a study makes its page from, out of a file of votes.

    Args:
        jobs: which votes.
        kind: of the votes, as the study names it.
        file: `.npz` with the arrays `sS_counts` `(images, classes)`, `sS_labels` and `sS_radius_255ths` `(images,)` and
            `sS_realizations` for each sigma S, written as 0_5 for 0.5; images in the order of the test split.
        scale: smoke, small or full.

    Raises:
        DataError: no such file, or its arrays do not fit the noise.
    """
    from holdfast.reproductions.results import Finished

    try:
        arrays = Archive(Path(file))
    except DataError as error:
        raise DataError(f"{visible(file)} is no .npz file of votes: {error}") from error
    found = {job.name: _counted(job, arrays, file) for job in jobs}
    return Finished(
        scale,
        kind,
        {name: run for name, (run, _) in found.items()},
        recounts={name: recount for name, (_, recount) in found.items()},
    )


def _counted(job: Balloting, arrays: Archive, file: str) -> tuple[CertifiedRun, Recount]:
    """The run of one sigma, with the radii that follow from its votes."""
    from holdfast.analysis.runs import analyze
    from holdfast.estimators import Exact, concluded
    from holdfast.noises.base import find_guarantee
    from holdfast.reproductions.results import Recount
    from holdfast.store.logs import Log, imported_manifest
    from holdfast.store.run import ClaimRecord, Run
    from holdfast.store.subsets import TEST_SPLITS
    from holdfast.types import Counts
    from holdfast.workflows.specs import parse_noise

    noise, shape = parse_noise(job.noise), TEST_SPLITS[_DATA].shape
    theorem, realizations = find_guarantee(noise), noise.realizations(TEST_SPLITS[_DATA].shape)
    key = f"s{job.sigma:.1f}".replace(".", "_")
    votes, labels, published = _fitting(arrays, key, realizations, file)
    rule, claims, same = Exact(int(realizations or 0)), [], 0
    for index, (row, label, steps) in enumerate(zip(votes.tolist(), labels.tolist(), published.tolist(), strict=True)):
        counts = Counts(tuple(row))
        proved = concluded(theorem, noise, rule, shape, Counts((0,) * len(row)), counts)
        claims.append(ClaimRecord(index, label, proved.label, proved.radius, None))
        same += proved.label is not None and round(proved.radius * _STEPS) == steps
    log = Log(tuple(claims), max(claim.radius for claim in claims), 0)
    manifest = imported_manifest(log, noise, theorem.name, rule, 0, _DATA, visible(Path(file).name))
    run = analyze(Run(Path(job.name), manifest, log.claims, ()))
    return run, Recount(len(claims), same)


def _fitting(
    arrays: Archive, key: str, realizations: int | None, file: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Votes, labels and published radii, if they fit each other and the noise."""
    names = [f"{key}_{part}" for part in ("counts", "labels", "radius_255ths", "realizations")]
    missing = [name for name in names if name not in arrays.shapes]
    if missing:
        raise DataError(f"{visible(file)} has no {' and no '.join(missing)}: it is no file of these votes")
    votes, labels, published, total = map(arrays.read, names)
    whole = all(array.dtype.kind in "iu" for array in (votes, labels, published, total))
    fits = (
        whole
        and votes.ndim == 2
        and len(votes) > 0
        and labels.shape == published.shape == votes.shape[:1]
        and total.shape == ()
        and int(total) == realizations
        and bool((votes >= 0).all())
        and bool((votes.sum(axis=1) == realizations).all())
        and bool(((labels >= 0) & (labels < votes.shape[1])).all())
    )
    if not fits:
        raise DataError(
            f"{visible(file)}: the arrays {key}_* are not {realizations} votes for each image, a label and a radius"
        )
    return votes, labels, published
