import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from synthetic_runs import ABLATION, GAUSSIAN, add_gallery, data, four, imported, manifest, many, votes, write_run

from holdfast.analysis import wording
from holdfast.analysis.report import write_report
from holdfast.analysis.summaries import summarize
from holdfast.errors import MissingExtraError, RunError, StorageError, UsageError
from holdfast.store.run import Session


class Page(HTMLParser):
    """Tags with their attributes, the text outside scripts, and the size of the scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.scripts, self.inside = [], [], 0, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts += len(data.encode())
        elif self.inside != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def page(tmp_path):
    def write(runs, **options):
        out = tmp_path / "out" / "report.html"
        write_report(runs, out, **options)
        assert [path.name for path in out.parent.iterdir()] == ["report.html"]
        return Page(out.read_text(encoding="utf-8"))

    return write


def test_one_file_about_several_runs_that_loads_nothing(tmp_path, page):
    runs = [
        many(tmp_path / "a" / "run", GAUSSIAN),
        many(tmp_path / "b" / "run", {"name": "gaussian", "sigma": 0.5}),
        many(tmp_path / "l0", ABLATION, source="mnist", shape=(1, 28, 28)),
    ]
    add_gallery(runs[0], range(5))
    found = page(runs)
    for tag, attributes in found.tags:
        for name in ("src", "href", "data", "srcset", "xlink:href", "poster", "action"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("#", "data:")), (tag, name, value[:80])
        assert "http" not in (attributes.get("style") or "")
        assert tag not in ("link", "iframe", "object", "embed", "base")
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"url\(\s*['\"]?http", html)
    assert "default-src 'none'" in html
    assert found.scripts < 1_000_000 + 200_000
    assert html.count("window.vegaEmbed=") == 1
    assert len(max(re.findall(r"<script>(.*?)</script>", html, re.S), key=len).encode()) < 1_000_000
    assert "run (2)" in found.text
    assert "Robustness to changes measured in L2" in found.text
    assert "Robustness to changes measured in L0" in found.text
    assert "published median" in found.text


def test_scripts_of_one_run_stay_below_a_megabyte(tmp_path, page):
    assert 500_000 < page([many(tmp_path / "run", GAUSSIAN)]).scripts < 1_000_000


def test_every_number_has_its_subset_and_interval(tmp_path, page):
    text = page([four(tmp_path / "run")], radii=[0.5, 0.25]).text
    headline = "Of all 4 test examples of digits, 50.0% [95% interval: 6.6 to 93.3] are certified correct against every"
    assert f"{headline} change of L2 norm up to 0.25 input units." in text
    assert "25.0% [0.5, 80.6]" in text
    assert "0.615 input units is the largest radius" in text
    assert "print no figure for this data set with this noise" in text
    assert "This run has no saved pictures." in text
    assert "4,400 noisy samples for 4 examples in 2 seconds (one session)" in text


def test_the_manifest_is_complete(tmp_path, page):
    run = four(tmp_path / "run")
    text = page([run], title="For the auditor").text
    assert text.startswith("For the auditor")
    promised = run.manifest
    for value in (promised.seed, promised.data.sha256, promised.model["sha256"], promised.created, "2.13.0", "float32"):
        assert str(value) in text
    assert "Cohen et al. 2019, Theorem 1" in text
    assert '"block": 128' in text


def test_names_are_escaped(tmp_path, page):
    names = ("<b>", "</script><script>alert(1)</script>", *(f"c{number}" for number in range(8)))
    run = write_run(
        tmp_path / "<i>run", manifest(data(2, class_names=names)), [votes(0, 0, 0, 1000), votes(1, 1, 1, 900)]
    )
    add_gallery(run, [0, 1])
    found = page([run], title="<u>title")
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"b", "i", "u"}
    assert "</script><script>alert(1)</script>" in found.text
    assert "<u>title" in found.text
    assert sum(tag == "script" for tag, _ in found.tags) == 3


HOSTILE = (
    "\u202egnihton",
    "a\x1b[2Jb\nOK",
    "\u200b\ufeff",
    "日本語 👩‍🔬",
    "=cmd()",
    *(f"c{number}" for number in range(5)),
)


def test_names_cannot_turn_the_page_around_or_hide(tmp_path, page):
    run = write_run(
        tmp_path / "r\u202eun\u2066", manifest(data(3, class_names=HOSTILE)), [votes(n, n, n, 900) for n in range(3)]
    )
    add_gallery(run, [0, 1, 2])
    found = page([run], title="\u202etitle\x07")
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    drawn = html[: html.index("<script>")]
    assert not set(drawn) & set("\u202e\u2066\x1b\x07\u200b\ufeff")
    # In the documents of the charts they would be escapes of JSON, and drawn.
    (document,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', drawn, re.S)
    assert r"r\\u202eun\\u2066" in document
    assert not re.search(r"(?<!\\)\\u(202e|2066|001b|200b|feff)", document)
    for shown in ("\\u202egnihton", "a\\x1b[2Jb\\nOK", "\\u200b\\ufeff", "r\\u202eun\\u2066", "\\u202etitle\\x07"):
        assert shown in found.text


def test_the_page_runs_its_own_scripts_and_takes_its_own_style_alone(tmp_path, page):
    run = many(tmp_path / "run", GAUSSIAN)
    add_gallery(run, range(5))
    found = page([run])
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    (allowed,) = [each["content"] for tag, each in found.tags if each.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in allowed.split("; "))
    assert "unsafe" not in allowed
    assert {name: rules[name] for name in ("default-src", "img-src", "base-uri", "form-action")} == {
        "default-src": "'none'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    for kind in ("script", "style"):
        contents = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.S)
        hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in contents]
        assert rules[f"{kind}-src"].split() == [f"'sha256-{each}'" for each in hashes]
    assert re.findall(r"<script>|<script [^>]*>", html).count('<script type="application/json" id="chart-L2">') == 1
    # Nothing that the policy would forbid: attributes with styles and handlers of events, and Vega's own styles.
    assert not [(tag, name) for tag, each in found.tags for name in each if name == "style" or name.startswith("on")]
    for needed in ("ast: true", "defaultStyle: false", "disableDefaultStyle: true"):
        assert needed in html
    assert "expressionInterpreter" in html, "Vega-Embed brings the interpreter that `ast` needs"


def test_cards_can_be_told_apart_without_colour(tmp_path, page):
    run = four(tmp_path / "run")
    add_gallery(run, [0, 1, 2, 3])
    found = page([run])
    for words in ("certified, correct", "certified, wrong", "not certified"):
        assert words in found.text
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == 16
    assert all(picture["alt"] for picture in pictures)


def test_a_run_that_is_not_finished_says_so(tmp_path, page):
    run = write_run(tmp_path / "run", manifest(data(4)), [votes(0, 3, 3, 1000), votes(1, 4, 4, 900)])
    text = page([run]).text
    assert "not finished: it has 2 of 4 examples so far" in text
    assert "Of 2 so far of all 4 test examples" in text
    assert "The running time was not recorded." in text


def test_imported_radii_are_claims(tmp_path, page):
    text = page([imported(tmp_path / "log")]).text
    assert "claims of another tool" in text
    assert "could not recompute" in text
    assert "only if the other tool followed the procedure" in text
    assert "computed anew" not in text
    assert "Cohen, Rosenfeld & Kolter 2019, Table 3" in text
    assert "15 seconds per example on average" in text
    assert "77%" in text
    assert "Promised on" not in text


def test_published_figures_of_ablation_stand_beside_ours(tmp_path, page):
    text = page([four(tmp_path / "run", ABLATION, source="mnist", shape=(1, 28, 28))]).text
    for value in ("96.72%", "0.45%", "median certified radius [pixels]"):
        assert value in text
    text = page([four(tmp_path / "other", {**ABLATION, "k": 5}, source="mnist", shape=(1, 28, 28))]).text
    assert "N/A" in text


def test_a_run_that_cannot_certify_anything_says_why(tmp_path, page):
    run = write_run(tmp_path / "run", manifest(data(1), n=9), [votes(0, 3, 3, 9, n=9)])
    text = page([run]).text
    assert "nothing can be certified" in text
    assert "so there is no median certified radius" in text
    assert "are answered correctly when unchanged" in text


def test_training_examples_are_pointed_out(tmp_path):
    run = write_run(tmp_path / "run", manifest(data(1, split="train")), [votes(0, 3, 3, 1000)])
    assert any("training examples" in warning for warning in wording.words_of(run).warnings())


def test_one_pixel_and_several(tmp_path):
    run = four(tmp_path / "run", ABLATION, shape=(1, 28, 28))
    words = wording.words_of(run)
    assert "every change of 1 pixel, whatever" in words.headline(summarize(run, [1.0]))
    assert "every change of up to 2 pixels, whatever" in words.headline(summarize(run, [1.0, 2.0]))
    assert "ideal randomness" in " ".join(words.not_proved())


@pytest.mark.parametrize(("seconds", "spelt"), [(90.0, "90 seconds"), (600.0, "10.0 minutes"), (9000.0, "2.5 hours")])
def test_speed_over_all_sessions(tmp_path, seconds, spelt):
    run = four(tmp_path / "run")
    sessions = (Session(2, 500, seconds / 2, {}), Session(2, 500, seconds / 2, {}))
    slow = replace(run, run=replace(run.run, sessions=sessions))
    assert f"1,000 noisy samples for 4 examples in {spelt} (2 sessions)" in wording.words_of(slow).speed()


def test_what_cannot_be_reported(tmp_path):
    with pytest.raises(UsageError, match="at least one run"):
        write_report([], tmp_path / "report.html")
    empty = write_run(tmp_path / "empty", manifest(data(4)), [])
    with pytest.raises(RunError, match="no records yet"):
        write_report([empty], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_failed_write_leaves_the_old_report(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left")

    run, out = four(tmp_path / "run"), tmp_path / "report.html"
    out.write_text("the old one")
    monkeypatch.setattr("os.replace", full)
    with pytest.raises(StorageError, match="there is no space left"):
        write_report([run], out)
    assert out.read_text() == "the old one"
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.mark.parametrize("package", ["altair", "vl_convert", "jinja2"])
def test_packages_missing(tmp_path, monkeypatch, package):
    run = four(tmp_path / "run")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"Writing a report needs the package '{package}'"):
        write_report([run], tmp_path / "report.html")


def test_analysis_never_imports_torch():
    modules = "tables, published, plots, charts, gallery, report, wording"
    heavy = "{'torch', 'altair', 'matplotlib', 'PIL', 'vl_convert', 'holdfast.sampling'}"
    code = f"import sys; from holdfast.analysis import {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
