"""Pictures on the pages of studies: every writer has them or names them, and thumbnails are small."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import attack_cases
import helpers
import made
import numpy as np
import pytest
from PIL import Image

from holdfast.reproductions import cw_targeted, find_study
from holdfast.reproductions.pages import Chart, Gallery, Page, Picture, Strip
from holdfast.reproductions.thumbnails import thumbnail
from holdfast.reproductions.writing import document, html, markdown, picture_files, text
from holdfast.store.attack import read_attack
from holdfast.types import Norm

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="680" height="340"><rect width="340" height="340" '
    'fill="currentColor"/></svg>'
)


def pixels(side: int = 28, value: int = 200) -> np.ndarray:
    made = np.full((side, side, 3), value, dtype=np.uint8)
    made[0, 0] = (255, 0, 0)
    return made


def gallery(title: str = "Digits", label: str = "a 7") -> Gallery:
    strips = (
        Strip("image 3", (Picture.of(pixels(), label), Picture.of(pixels(value=9)))),
        Strip("image 8", (Picture.of(pixels()), Picture.of(pixels()))),
    )
    return Gallery("made-digits", title, "What it shows.", ("original", "adversarial"), strips)


def page(*galleries: Gallery, charts: tuple[Chart, ...] = ()) -> Page:
    return Page("A page", ("Text.",), (), charts, pictures=galleries)


def opened(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file))


def uri_bytes(uri: str) -> bytes:
    assert uri.startswith("data:image/png;base64,")
    return base64.b64decode(uri.partition(",")[2])


def test_small_pictures_are_enlarged_pixel_by_pixel() -> None:
    image = opened(Picture.of(pixels()).png)
    assert image.size == (112, 112)
    values = np.asarray(image)
    assert (values[:4, :4] == (255, 0, 0)).all()
    assert (values[4:, 4:] == 200).all()
    assert opened(Picture.of(pixels(224)).png).size == (224, 224)
    assert opened(Picture.of(np.zeros((50, 200, 3), np.uint8)).png).size == (600, 150)
    assert opened(Picture.of(np.zeros((1, 700, 3), np.uint8)).png).size == (700, 1), "not 78,400 pixels wide"


def test_a_row_has_one_picture_a_column() -> None:
    with pytest.raises(ValueError, match="the row 'image 1' has 1 pictures, expected 2"):
        Gallery("x", "", "", ("a", "b"), (Strip("image 1", (Picture(b""),)),))


def test_files_beside_the_page_are_those_that_markdown_and_json_name() -> None:
    shown = page(gallery())
    files = picture_files(shown)
    assert set(re.findall(r"\]\(([^)]+\.png)\)", markdown(shown))) == set(files)
    (found,) = json.loads(json.dumps(document(shown)))["pictures"]
    assert [each["file"] for row in found["rows"] for each in row["pictures"]] == list(files)
    assert list(files) == [f"made-digits-{row}-{column}.png" for row in (1, 2) for column in (1, 2)]
    assert all(opened(file).format == "PNG" for file in files.values())
    assert "![image 3, original, a 7](made-digits-1-1.png)<br>a 7 |" in markdown(shown)


def test_the_html_page_embeds_them_with_an_alternative_text_and_loads_nothing() -> None:
    shown = html(page(gallery()), "holdfast reproduce x")
    images = re.findall(r'<img src="([^"]+)" alt="([^"]*)"', shown)
    assert [alt for _, alt in images] == [
        "image 3, original, a 7",
        "image 3, adversarial",
        "image 8, original",
        "image 8, adversarial",
    ]
    assert all(opened(uri_bytes(uri)).size == (112, 112) for uri, _ in images)
    assert "img-src data:" in shown, "the content policy lets them be shown"
    assert "style=" not in shown, "which the policy would forbid"


def test_texts_of_strangers_stay_texts() -> None:
    evil = gallery('"><script>x</script>', '|`![y](z)"><b>')
    assert "<script>x" not in html(page(evil), "c")
    assert '"><b>' not in html(page(evil), "c")
    (row,) = [line for line in markdown(page(evil)).splitlines() if "digits-1-1" in line]
    assert row.count(" | ") == 2
    assert "](z)" not in row.replace("\\]\\(z)", "").replace("\\](z)", "")


def test_the_terminal_names_them_in_one_line() -> None:
    shown = text(page(gallery("Digits"), gallery("More digits")))
    assert "Pictures, on the page only: Digits; More digits." in shown
    assert "Pictures" not in text(page())


def test_a_thumbnail_is_that_of_the_first_pictures_else_of_the_first_chart() -> None:
    chart = Chart("c.svg", "", "", lambda: _SVG)
    pictured = opened(uri_bytes(str(thumbnail(page(gallery(), charts=(chart,))))))
    assert max(pictured.size[0] / 240, pictured.size[1] / 150) <= 1
    assert np.abs(np.asarray(pictured)[40, 40].astype(int) - 200).max() < 10
    charted = np.asarray(opened(uri_bytes(str(thumbnail(page(charts=(chart,)))))))
    assert charted.shape[:2] == (120, 240)
    assert (charted[60, 200] == 255).all(), "white where the chart is transparent"
    assert (charted[60, 40] < 60).all(), "in ink, not in a colour that an embedded picture does not know"
    assert thumbnail(page()) is None


def test_targeted_attacks_are_counted_by_pairs_and_cases_by_images() -> None:
    study = find_study("cw-targeted")
    done = made.finished(study, "small", "mnist")
    pairs = sum(
        each.reference == each.label != target
        for target in range(10)
        for each in done.attacks[f"cw-targeted-l2-{target}"].records
    )
    (rows,) = [
        {row.quantity: row.found[0] for row in group.rows}
        for group in study.page(done).tables[0].groups
        if group.title == "L2, in input units"
    ]
    assert rows["targets reached"].value == 1.0
    found = cw_targeted._found({target: done.attacks[f"cw-targeted-l2-{target}"] for target in range(10)})
    assert (found.attacked, found.reached) == (pairs, pairs)
    best, average, worst = (rows[f"{name} case"].value for name in ("best", "average", "worst"))
    assert best <= average <= worst
    nearest = done.attacks["cw-targeted-l2-3"]
    missed = tuple(replace(each, magnitude=None, adversarial=None) for each in nearest.records)
    attacks = {**done.attacks, "cw-targeted-l2-3": replace(nearest, records=missed)}
    said = {each.text: each.holds for each in study.page(replace(done, attacks=attacks)).statements}
    assert [holds for text, holds in said.items() if text.startswith("L2")] == [False]
    assert [holds for text, holds in said.items() if text.startswith("L0")] == [True]


def test_every_target_has_its_column_and_the_own_class_is_unchanged(tmp_path: Path) -> None:
    for target in range(helpers.CLASSES):
        search = {"name": "cw-linf", "steps": 10, "step_size": 0.3, "shrink": 0.5}
        promised = attack_cases.attack_manifest(size=3, attack="cw-linf", budgets=(), wanted=target)
        promised = replace(promised, attack=search)
        attack_cases.attack(tmp_path / str(target), promised)
    by_target = {target: read_attack(tmp_path / str(target)) for target in range(helpers.CLASSES)}
    shown = cw_targeted._gallery(Norm.LINF, by_target)
    assert shown is not None
    for strip, record in zip(shown.strips, by_target[0].records, strict=True):
        captions = [picture.caption for picture in strip.pictures]
        assert captions[record.label] == "unchanged"
        assert captions.count("unchanged") == 1
        wrong = record.reference != record.label
        assert captions.count("answered so unchanged") == wrong
        assert sum("input units" in each for each in captions) == helpers.CLASSES - 1 - wrong
