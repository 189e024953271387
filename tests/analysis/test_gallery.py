import base64
import io
import sys

import numpy as np
import pytest
from PIL import Image
from synthetic_runs import ABLATION, add_gallery, data, four, imported, manifest, votes, write_run

from holdfast.analysis.gallery import cards
from holdfast.analysis.report import write_report
from holdfast.errors import MissingExtraError, RunError


def test_cards_say_what_was_found_out(tmp_path):
    run = four(tmp_path / "run")
    add_gallery(run, [0, 1, 2, 3])
    found = cards(run)
    assert [card.state for card in found] == ["correct", "correct", "wrong", "uncertified"]
    assert [card.radius for card in found] == ["0.615 input units", "0.278 input units", "0.615 input units", None]
    assert [(card.label, card.answer) for card in found] == [("3", "3"), ("4", "4"), ("5", "6"), ("7", "7")]
    assert [(bar.name, bar.votes, bar.share, bar.kind) for bar in found[1].bars] == [
        ("4", 900, "90.0", "top"),
        ("5", 67, "6.7", "other"),
        ("6", 33, "3.3", "other"),
    ]
    assert {card.votes for card in found} == {1000}


def test_pictures_are_png_and_not_too_large(tmp_path):
    run = four(tmp_path / "run", ABLATION, shape=(1, 28, 28))
    add_gallery(run, [1], side=300, noisy=2)
    (card,) = cards(run)
    assert len(card.pictures) == 3
    for address in card.pictures:
        kind, content = address.split(",")
        assert kind == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(content))).size == (160, 160)
    assert card.radius.endswith(("pixel", "pixels"))


def test_many_classes_share_the_last_bar(tmp_path):
    record = votes(0, 1, 1, 994)
    spread = [0, 994, 1, 1, 1, 1, 1, 1, 0, 0]
    record = type(record)(0, 1, record.selection, type(record.estimation)(tuple(spread)))
    run = write_run(tmp_path / "run", manifest(data(1)), [record])
    add_gallery(run, [0])
    *_, last = cards(run)[0].bars
    assert (last.name, last.votes, last.kind) == ("4 other classes", 4, "rest")


def test_no_pictures_no_cards(tmp_path):
    assert cards(four(tmp_path / "run")) == []


def test_examples_without_a_record_are_left_out_and_claims_have_no_votes(tmp_path):
    run = imported(tmp_path / "log")
    add_gallery(run, [0, 1, 60])
    found = cards(run)
    assert [(card.index, card.bars, card.votes) for card in found] == [(0, (), 0), (60, (), 0)]


def test_cards_name_the_class_of_each_noisy_copy(tmp_path):
    run = four(tmp_path / "run")
    add_gallery(run, [0, 2], noisy=2)
    assert [card.copies for card in cards(run)] == [(), ()]
    with np.load(run.folder / "gallery.npz") as kept:
        content = {name: kept[name] for name in kept.files}
    np.savez(run.folder / "gallery.npz", **content, labels=np.array([[3, -1], [5, 9]]))
    assert [card.copies for card in cards(run)] == [("3", None), ("5", "9")]
    write_report([run], tmp_path / "report.html")
    page = " ".join((tmp_path / "report.html").read_text().split())
    assert "each above the class that the base classifier gave it" in page
    assert 'input 0"><bdi>3</bdi></div> <div>' in page
    assert 'input 0"><bdi class="other">no class</bdi></div>' in page
    assert 'input 2"><bdi class="other">9</bdi></div>' in page


@pytest.mark.parametrize("labels", [np.zeros((2, 3), int), np.zeros((1, 2)), np.array([[0, 10]]), np.array([[-2, 0]])])
def test_labels_of_another_form_are_refused(tmp_path, labels):
    run = four(tmp_path / "run")
    add_gallery(run, [0], noisy=2)
    with np.load(run.folder / "gallery.npz") as kept:
        content = {name: kept[name] for name in kept.files}
    np.savez(run.folder / "gallery.npz", **content, labels=labels)
    with pytest.raises(RunError, match=r"labels .* expected .*Delete it"):
        cards(run)


@pytest.mark.parametrize(
    "content",
    [
        {"index": np.zeros(2, np.int64), "pictures": np.zeros((3, 4, 8, 8, 3), np.uint8)},
        {"index": np.zeros(2, np.int64), "pictures": np.zeros((2, 4, 8, 8, 3), np.float32)},
        {"index": np.zeros(2), "pictures": np.zeros((2, 4, 8, 8, 3), np.uint8)},
        {"index": np.zeros(2, np.int64), "pictures": np.zeros((2, 8, 8, 3), np.uint8)},
    ],
)
def test_pictures_of_another_form_are_refused(tmp_path, content):
    run = four(tmp_path / "run")
    np.savez(run.folder / "gallery.npz", **content)
    with pytest.raises(RunError, match="expected int64"):
        cards(run)


def test_a_corrupt_file_is_named(tmp_path):
    run = four(tmp_path / "run")
    (run.folder / "gallery.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(RunError, match=r"gallery\.npz cannot be read"):
        cards(run)
    (run.folder / "gallery.npz").write_bytes(b"")
    with pytest.raises(RunError, match=r"gallery\.npz cannot be read"):
        cards(run)
    np.savez(run.folder / "gallery.npz", index=np.zeros(1, np.int64))
    with pytest.raises(RunError, match="delete it"):
        cards(run)


def test_pillow_missing(tmp_path, monkeypatch):
    run = four(tmp_path / "run")
    add_gallery(run, [0])
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtraError, match="Showing pictures"):
        cards(run)
