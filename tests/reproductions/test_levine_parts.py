"""Parts of the studies of Levine & Feizi: what is counted, of what, and what is shown."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import made
import numpy as np
import pytest

from holdfast.analysis.projections import rescaled, with_alpha
from holdfast.analysis.runs import analyze
from holdfast.folders import Folder
from holdfast.noises.channel_flip import ChannelFlip, channel_radius
from holdfast.noises.uniform_flip import threshold
from holdfast.reproductions import find_study, measures
from holdfast.reproductions.copies import copies_gallery
from holdfast.reproductions.levine_null import MEAN, ORIGINAL, RANDOM, UNIQUE, null_encodings
from holdfast.reproductions.pages import Page, Row
from holdfast.reproductions.results import Finished
from holdfast.reproductions.writing import text
from holdfast.store.attack import AttackRecord
from holdfast.store.gallery import Gallery, write_gallery


def done_of(name: str, scale: str, kind: str, certainty: float = 9.0) -> Finished:
    return made.finished(find_study(name), scale, kind, certainty)


def rows(page: Page) -> dict[tuple[str, str, str], Row]:
    return {
        (table.title.partition(":")[0], group.title, row.quantity): row
        for table in page.tables
        for group in table.groups
        for row in group.rows
    }


def said(page: Page) -> dict[str, bool | None]:
    return {each.text: each.holds for each in page.statements}


# Lee et al. and footnote 2.


def test_the_footnote_is_certified_as_lee_et_al_do() -> None:
    for kind, name in (("mnist", "mnist-k45"), ("imagenet", "imagenet-k1000")):
        plan = find_study("levine-lee").plan("full", kind)
        again = next(run for run in plan.runs if run.name == f"footnote2-{name}")
        assert (again.model, again.n0, again.n, again.alpha) == (name, 100, 100_000, 0.001)
        main = next(run for run in plan.runs if run.name == name)
        assert (again.every, again.limit, again.sample) == (main.every, main.limit, main.sample)


def test_the_footnote_compares_the_same_images_and_projects_all() -> None:
    done = done_of("levine-lee", "small", "mnist", certainty=40.0)
    page = find_study("levine-lee").page(done)
    found = rows(page)
    main, again = done.runs["mnist-k45"], done.runs["footnote2-mnist-k45"]
    both = {result.index for result in main.results} & {result.index for result in again.results}
    assert 0 < len(both) < len(again.results)
    expected = {
        "as in the tables": measures.median(main.among(both)),
        "as Lee et al.": measures.median(again),
        "as Lee et al., projected": measures.median(with_alpha(rescaled(main, 100_000), 0.001)),
    }
    assert {name: found["Footnote 2", name, "median"].found for name in expected} == {
        name: (value,) for name, value in expected.items()
    }
    assert {found["Footnote 2", name, "median"].printed for name in expected} == {"8"}


@pytest.mark.parametrize(("changed", "holds"), [(False, True), (True, False)])
def test_an_unchanged_median_is_judged_by_both_medians(changed: bool, holds: bool) -> None:
    done = done_of("levine-lee", "small", "mnist", certainty=1e6)
    main, again = done.runs["mnist-k45"], done.runs["footnote2-mnist-k45"]
    indices = {result.index for result in again.results}
    more = 1.0 if changed else 0.0
    results = tuple(replace(result, radius=result.radius + more) for result in main.among(indices).results)
    other = replace(again, results=results)
    page = find_study("levine-lee").page(replace(done, runs={**done.runs, "footnote2-mnist-k45": other}))
    assert said(page)["the samples and the alpha of Lee et al. leave the median of ablation unchanged"] is holds


def test_lees_median_on_imagenet_is_in_channels_and_in_pixels() -> None:
    done = done_of("levine-lee", "full", "imagenet", certainty=1e4)
    found = rows(find_study("levine-lee").page(done))
    title = "Lee et al., kappa = 0.1, each channel apart"
    channels, pixels = (found["Table 7", title, name] for name in ("median, in channels", "median"))
    assert (channels.printed, pixels.printed) == ("1", "-")
    run = done.runs["imagenet-lee"]
    assert isinstance(run.noise, ChannelFlip)
    radii = sorted(
        -math.inf
        if not result.correct or result.certificate is None
        else float(channel_radius(run.noise, result.certificate.bounds, 3 * 224 * 224) or 0)
        for result in run.results
    )
    cell, below = channels.found[0], pixels.found[0]
    assert cell is not None
    assert below is not None
    assert cell.value == radii[len(radii) // 2]
    assert cell.value is not None
    assert below.value == cell.value // 3
    assert found["Table 7", "ablation, k = 1000", "median"].printed == "16"


def test_what_one_change_takes() -> None:
    """By hand: a channel that differs agrees with x, with x', or with neither."""
    kappa = Fraction(1, 10)
    # The outcomes that agree with x have kappa there and (1 - kappa)/255 at x'; the least set takes them first.
    other = (1 - kappa) / 255
    assert threshold(kappa, 255, 1) == 1 - (other + (Fraction(1, 2) - kappa))


# Carlini & Wagner's L0 attack.


def of(record: AttackRecord, magnitude: float | None, **changes: object) -> AttackRecord:
    kind = None if magnitude is None else "misclassified"
    return replace(record, magnitude=magnitude, kind=kind, **changes)  # type: ignore[arg-type]


def attacked(sizes: dict[str, list[float | None]]) -> Page:
    """The page where these sizes were found, in the order of the images; images without a size were not broken."""
    done = done_of("levine-cw", "small", "mnist")
    attacks = {}
    for name, attack in done.attacks.items():
        found = sizes.get(name, sizes["others"])
        records = [of(record, size, label=1, reference=1) for record, size in zip(attack.records, found, strict=False)]
        attacks[name] = replace(attack, records=tuple(records))
    return find_study("levine-cw").page(replace(done, attacks=attacks))


def test_the_mean_and_the_best_of_nine_classes() -> None:
    free: list[float | None] = [7.0, 9.0, 8.0]
    page = attacked(
        {
            "mnist-carlini-cnn-cw-l0": free,
            "mnist-carlini-cnn-cw-l0-class3": [4.0, None, 9.0],
            "mnist-carlini-cnn-cw-l0-class5": [6.0, 5.0, None],
            "others": [20.0, 20.0, 20.0],
        }
    )
    found = rows(page)
    table = "Attack magnitudes in pixels"
    mean = found[table, "towards any other class", "mean"]
    assert (mean.printed, mean.found[0] and mean.found[0].value) == ("8.5", 8.0)
    best = found[table, "best of all other classes", "mean"].found[0]
    assert best is not None
    assert best.value == pytest.approx((4 + 5 + 9) / 3)
    assert found[table, "Pointwise attack", "median"].printed == "9"
    verdicts = said(page)
    assert verdicts["the attack breaks every image that is right"] is True
    assert verdicts["the paper's mean of 8.5 lies in this interval"] is True
    assert verdicts["the mean and the Pointwise attack's median are within 2 pixels of each other"] is False


def test_statements_about_the_mean_can_be_no_or_nothing() -> None:
    page = attacked({"mnist-carlini-cnn-cw-l0": [20.0, 21.0, None], "others": [20.0, 20.0, 21.0]})
    verdicts = said(page)
    assert verdicts["the attack breaks every image that is right"] is False
    assert verdicts["the paper's mean of 8.5 lies in this interval"] is False
    assert verdicts["the mean and the Pointwise attack's median are within 2 pixels of each other"] is True
    page = attacked({"mnist-carlini-cnn-cw-l0": [None, None], "others": [None, None]})
    assert set(said(page).values()) == {False, None}
    assert "N/A" in text(page)


def test_each_class_is_attacked_at_small_and_full_scale() -> None:
    for scale, count in (("smoke", 0), ("small", 10), ("full", 10)):
        for kind in ("mnist", "cifar10"):
            plan = find_study("levine-cw").plan(scale, kind)
            assert [each.target for each in plan.attacks if each.target] == [str(label) for label in range(count)]


# Networks without protection.


def test_a_network_without_protection_stands_beside_the_protected_ones() -> None:
    found = rows(find_study("levine-cifar10").page(done_of("levine-cifar10", "full", "cifar10")))
    row = found["Table 3", "without protection", "accuracy"]
    assert (row.printed, row.found[0] and row.found[0].value, row.found[1]) == ("93.02%", 0.9, None)
    found = rows(find_study("levine-imagenet").page(done_of("levine-imagenet", "full", "imagenet")))
    assert found["Table 6", "without protection", "accuracy"].printed == "76.15%"


def test_an_accuracy_without_protection_is_judged_for_the_papers_network_alone() -> None:
    near = "accuracy within 2.5 points of the paper's 93.02%"
    small = find_study("levine-unprotected").page(done_of("levine-unprotected", "small", "cifar10"))
    assert said(small)[near] is None
    assert not small.tables[0].shows_differences
    done = done_of("levine-unprotected", "full", "cifar10")
    whole = find_study("levine-unprotected").page(done)
    # 36 of 40.
    assert said(whole)[near] is False
    assert whole.tables[0].shows_differences
    (name, answers), *_ = done.answers.items()
    right = find_study("levine-unprotected").page(
        replace(done, answers={name: replace(answers, right=9_302, examples=10_000)})
    )
    assert all(said(right).values())
    assert "protection costs 14.8 points" in " ".join(text(right).split())


def test_the_network_without_protection_is_trained_like_the_others() -> None:
    for scale in ("smoke", "small", "full"):
        plan = find_study("levine-cifar10").plan(scale, "cifar10")
        models = {model.name: model for model in plan.models}
        plain, like = models["cifar10-unprotected"], models["cifar10-k75"]
        assert plain.noise is None
        assert (plain.architecture, plain.part) == (like.architecture, like.part)
        other = {"recipe", "epochs", "shared_noise"}
        assert {key: value for key, value in (plain.training or {}).items() if key not in other} == {
            key: value for key, value in (like.training or {}).items() if key not in other
        }


# Figure 4 and Figure 1.


def test_each_encoding_shows_the_kept_pixels_and_its_own_null() -> None:
    random = np.random.default_rng(1)
    for channels in (1, 3):
        x = random.random((channels, 4, 5), dtype=np.float32)
        kept, noise = np.array([0, 7, 19]), random.random((4, 5), dtype=np.float32)
        mean = (0.25, 0.5, 0.75)[:channels]
        shown = null_encodings(x, kept, mean, noise)
        assert list(shown) == [ORIGINAL, UNIQUE, MEAN, RANDOM]
        whole = np.broadcast_to(x, (3, 4, 5)).transpose(1, 2, 0)
        assert (shown[ORIGINAL] == whole).all()
        for name in (UNIQUE, MEAN, RANDOM):
            picture = shown[name]
            assert picture.shape == (4, 5, 3)
            assert 0.0 <= picture.min() <= picture.max() <= 1.0
            same = (picture == whole).all(axis=2)
            assert np.flatnonzero(same).tolist() == kept.tolist()
        away = np.setdiff1d(np.arange(20), kept)
        assert len(np.unique(shown[UNIQUE].reshape(20, 3)[away], axis=0)) == 1
        assert (shown[MEAN].reshape(20, 3)[away] == np.broadcast_to(mean, 3).astype(np.float32)).all()
        assert (shown[RANDOM].reshape(20, 3)[away] == noise.reshape(20, 1)[away]).all()


def test_the_share_of_pixels_mistaken_by_hand() -> None:
    """Four black values to each of 255 others. With k = 85 of 784, NULL is the better guess where its share is more
    than 85/699 of the value's own."""
    done = done_of("levine-null", "small", "mnist")
    (table,) = find_study("levine-null").page(done).tables
    found = {row.quantity: [each.value for each in row.found if each] for group in table.groups for row in group.rows}
    assert found[UNIQUE] == [0.0, 0.0, 0.0]
    # The mean rounds to 33, which has a share of 1/1275 of all values and 1/255 of those that are not black.
    assert found[MEAN] == pytest.approx([100 / 1275, 100 / 255, 0.0])
    # 1/256 exceeds 85/699 of 1/1275, and falls short of 85/699 of 1020/1275.
    assert found[RANDOM] == pytest.approx([100 * 255 / 1275, 100.0, 100 / 256])


def test_statements_about_encodings_can_be_no() -> None:
    done = done_of("levine-null", "small", "mnist")
    assert set(said(find_study("levine-null").page(done)).values()) == {True}
    counts = [0] * 256
    counts[33] = 50
    counts[255] = 50
    looks = {name: replace(each, counts=tuple(counts)) for name, each in done.looks.items()}
    verdicts = said(find_study("levine-null").page(replace(done, looks=looks)))
    assert set(verdicts.values()) == {False}


def test_copies_stand_above_their_labels(tmp_path: Path) -> None:
    run = done_of("levine-mnist", "small", "mnist").runs["mnist-k45"]
    assert copies_gallery("f", "t", {"k = 45": run}) == ()
    folder = tmp_path / "run"
    folder.mkdir()
    placed = analyze(replace(run.run, folder=folder))
    pictures = np.arange(5 * 28 * 28 * 3, dtype=np.uint32).astype(np.uint8).reshape(1, 5, 28, 28, 3)
    index = np.array([run.results[0].index])
    with Folder.opened(folder) as place:
        write_gallery(place, Gallery(index, pictures))
    assert copies_gallery("f", "t", {"k = 45": placed}) == (), "an unfinished run has no labels"
    with Folder.opened(folder) as place:
        write_gallery(place, Gallery(index, pictures, np.array([[7, 7, -1, 2]])))
    (shown,) = copies_gallery("f", "t", {"k = 45": placed, "k = 5": run})
    (strip,) = shown.strips
    assert strip.title.startswith("k = 45: accuracy ")
    assert "median" in strip.title
    assert [each.caption for each in strip.pictures] == [str(run.results[0].label), "7", "7", "no class", "2"]
    assert shown.columns == ("image", "copy 1", "copy 2", "copy 3", "copy 4")
