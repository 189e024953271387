"""Pictures of noisy copies from the gallery of a run, each with the base classifier's label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.analysis.gallery import copy_names
from holdfast.folders import lies
from holdfast.reproductions import measures
from holdfast.reproductions.pages import Gallery, Picture, Strip
from holdfast.store.gallery import read_gallery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.analysis.runs import CertifiedRun

_NO_LABEL = "no class"


def copies_gallery(file: str, title: str, runs: Mapping[str, CertifiedRun], row: int = 0) -> tuple[Gallery, ...]:
    """One image and noisy copies of it under the noise of each run, with the base classifier's label under each copy.

    Args:
        file: how the names of the files begin.
        title: of the gallery.
        runs: title of a row -> run.
        row: which image of the runs' own galleries.

    Returns:
        One gallery; none if no run has labelled pictures.
    """
    rows = {name: _pictures(run, row) for name, run in runs.items()}
    widest = max(map(len, rows.values()), default=0)
    strips = tuple(Strip(f"{name}: {_found(runs[name])}", each) for name, each in rows.items() if len(each) == widest)
    if widest < 2:
        return ()
    caption = (
        "Under the image stands its class, under each copy the class that the base classifier gives it. Teal pixels "
        "were taken away. Beside the name of a row: accuracy and median certified radius of its run, over all images."
    )
    columns = ("image", *(f"copy {number}" for number in range(1, widest)))
    return (Gallery(file, title, caption, columns, strips),)


def _pictures(run: CertifiedRun, row: int) -> tuple[Picture, ...]:
    """The image and its copies; empty if the run has no such pictures, or no labels for them."""
    gallery = read_gallery(run.folder) if lies(run.folder) else None
    if gallery is None or gallery.labels is None or len(gallery.index) <= row:
        return ()
    names, index = copy_names(gallery, run.data.class_names)[row], int(gallery.index[row])
    truth = {result.index: run.data.class_names[result.label] for result in run.results}
    captions = (truth.get(index, ""), *(name or _NO_LABEL for name in names))
    return tuple(Picture.of(picture, caption) for picture, caption in zip(gallery.pictures[row], captions, strict=True))


def _found(run: CertifiedRun) -> str:
    return f"accuracy {measures.accuracy(run).text}, median {measures.median(run).text}"
