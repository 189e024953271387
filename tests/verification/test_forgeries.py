"""Forgeries of finished runs, each with its digests recomputed: which check finds it, and that no weaker one does.

docs/guarantees.md, "Forged runs", has the same table in words.
"""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from forger import Entries, Forger

from holdfast.bounds import Classifier
from holdfast.bounds.methods.convex import Convex
from holdfast.data import open_data
from holdfast.data.base import DataSet
from holdfast.errors import RunError
from holdfast.estimators import FixedSize
from holdfast.execution.backends import ClassifierBuilder, description
from holdfast.execution.bound import bound_run, describe_bound
from holdfast.execution.certify import certify_run, describe_certification
from holdfast.models.bundle import open_bundle
from holdfast.models.model import Model
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.engines.local import LocalEngine
from holdfast.store.data_manifest import DataManifest
from holdfast.store.logs import Log, imported_manifest
from holdfast.store.run import ClaimRecord, RunStore, read_run
from holdfast.training.config import TrainConfig
from holdfast.training.loop import train
from holdfast.training.recipes.standard import Standard
from holdfast.verification.sample import CONFIDENCE, Sample, most_false, parse_sample
from holdfast.workflows.train import begun_bundle
from holdfast.workflows.verify import Given, verify_run

EVERY, N, N0, SEED = 30, 100, 30, 5
ENGINE = LocalEngine(batch_size=520)
# Each check includes those before its arrow: nothing that plain files show is missed by more.
FILES, DATA, MODEL, REPLAY, MANIFEST, RESULTS = CHECKS = ("files", "data", "model", "replay", "manifest", "results")


def digits(split: str) -> DataSet:
    return open_data("digits", None, split, {})


@dataclass(frozen=True)
class Real:
    """A genuine run, its model, and the digests that were published."""

    folder: Path
    model: Model
    manifest: str
    results: str

    def given(self, check: str) -> Given:
        """What a check is given."""
        return {
            FILES: Given(),
            DATA: Given(data=digits),
            MODEL: Given(model=self.model),
            REPLAY: Given(data=digits, model=self.model, replay=Sample()),
            MANIFEST: Given(digest=self.manifest),
            RESULTS: Given(results=self.results),
        }[check]


def read_digests(folder: Path) -> tuple[str, str]:
    told = json.loads((folder / "results.json").read_text())
    return told["manifest"], told["results"]


def trained(folder: Path, noise: Gaussian | None) -> Path:
    """A small model of the digits, trained for seconds."""
    torch.set_num_threads(1)
    out, data = folder / "model.safetensors", digits("train")
    if noise is None:
        train(begun_bundle(data, noise, "fc:widths=24"), TrainConfig(epochs=3, seed=1, recipe=Standard()), data, out)
    else:
        config = TrainConfig(epochs=5, seed=1, learning_rate=0.1)
        train(begun_bundle(data, noise, "digits-mlp"), config, data, out)
    return out


def certified(folder: Path, model: Model, seed: int = SEED) -> None:
    """A genuine run of the digits."""
    noise, data = Gaussian(0.25), digits("test")
    classifier = ClassifierBuilder(model, noise, "float32", "cpu", 1, lambda: digits("train")).classifier("torch")
    made = describe_certification(
        noise=noise,
        guarantee="cohen",
        estimator=FixedSize(N, 0.01, "split"),
        n0=N0,
        data=DataManifest.of(data, EVERY),
        model={**model.describe(), "backend": description(classifier)},
        seed=seed,
        precision="float32",
        device="cpu",
    )
    certify_run(folder, made, classifier, data.examples, ENGINE)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    folder = tmp_path_factory.mktemp("real")
    model = open_bundle(trained(folder, Gaussian(0.25)))
    certified(folder / "run", model)
    return Real(folder / "run", model, *read_digests(folder / "run"))


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory) -> Real:
    """A deterministic bound."""
    folder = tmp_path_factory.mktemp("proved")
    model = open_bundle(trained(folder, None))
    bound, data, space = Convex(epsilon=0.02, search=2), digits("test"), model.input_space
    bounded = bound.on(Classifier(model.module, space.shape, 10, space.low, space.high))
    made = describe_bound(bound, DataManifest.of(data, 60), model.describe(), "cpu")
    bound_run(folder / "run", made, bounded, data.examples)
    return Real(folder / "run", model, *read_digests(folder / "run"))


def finding(real: Real, folder: Path, require: str = "files") -> set[str]:
    """The checks that do not accept what lies in a folder, each with nothing else given."""

    def refuses(check: str) -> bool:
        found = verify_run(folder, real.given(check), ENGINE)
        return found.exit_code(require) != 0

    return {check for check in CHECKS if refuses(check)}


def closed(found: set[str]) -> set[str]:
    """With the checks that include those named: all read the files, and a replay compares data and model."""
    if FILES in found:
        return set(CHECKS)
    return found | ({REPLAY} if found & {DATA, MODEL} else set())


# --- What a forger does ----------------------------------------------------------------------------------------------


def votes_for(record: Entries, label: int) -> None:
    for stream in ("selection", "estimation"):
        record[stream] = [sum(record[stream]) if each == label else 0 for each in range(10)]


def top(record: Entries) -> int:
    return int(record["selection"].index(max(record["selection"])))


def all_perfect(run: Forger) -> None:
    for record in run.records:
        votes_for(record, record["label"])


def wrong_made_perfect(run: Forger) -> None:
    # The classifier is good: where none is misclassified, the least sure one is made perfect.
    wrong = [record for record in run.records if top(record) != record["label"]]
    for record in wrong or [min(run.records, key=lambda each: max(each["estimation"]))]:
        votes_for(record, record["label"])


def shifted(run: Forger) -> None:
    votes = [(record["selection"], record["estimation"]) for record in run.records]
    for record, (selection, estimation) in zip(run.records, [*votes[1:], votes[0]], strict=True):
        record.update(selection=selection, estimation=estimation)


def labels_as_answered(run: Forger) -> None:
    for record in run.records:
        record["label"] = top(record) if top(record) != record["label"] else record["label"]
    # At least one is another one, whatever the classifier answers.
    run.records[3]["label"] = (run.records[3]["label"] + 1) % 10


def shorter_data(run: Forger) -> None:
    del run.records[4:8]
    for number, record in enumerate(run.records):
        record["index"] = EVERY * number
    run.data["size"] = EVERY * len(run.records)


def sampled_more(run: Forger) -> None:
    run.estimator["n"] = N + N0
    for record in run.records:
        record["estimation"] = [sum(pair) for pair in zip(record["selection"], record["estimation"], strict=True)]


def sizes_swapped(run: Forger) -> None:
    run.estimator["n"], run.manifest["n0"] = N0, N
    for record in run.records:
        record["selection"], record["estimation"] = record["estimation"], record["selection"]


def ten_times_as_many(run: Forger) -> None:
    run.estimator["n"] = 10 * N
    for record in run.records:
        record["estimation"] = [10 * votes for votes in record["estimation"]]


def every_second(run: Forger) -> None:
    run.data["every"] = 2 * EVERY
    run.records = [record for record in run.records if record["index"] % (2 * EVERY) == 0]


def first_half(run: Forger) -> None:
    run.data["limit"] = len(run.records) // 2
    run.records = [
        record for record in run.records if record["index"] in list(range(0, 360, EVERY))[: run.data["limit"]]
    ]


def kind(name: str) -> Callable[[Forger], None]:
    """Another kind of run, all right and with invented radii."""

    def forge(run: Forger) -> None:
        run.manifest.update(kind=name, n0=0, seed=None)
        if name == "bound":
            bound = describe_bound(Convex(epsilon=0.5), DataManifest.of(digits("test")), {}, "cpu")
            run.manifest.update(noise={}, guarantee="convex", estimator=bound.estimator, precision="float64", block=0)
        entry = {"imported": "predicted", "bound": "answer"}[name]
        run.records = [
            {"index": each["index"], "label": each["label"], entry: each["label"], "radius": 0.4}
            for each in run.records
        ]
        if name == "imported":
            for record in run.records:
                record["seconds"] = None

    return forge


def changed(entry: str, **changes: object) -> Callable[[Forger], None]:
    """Entries of the manifest, or of a part of it."""

    def forge(run: Forger) -> None:
        (run.manifest if entry == "manifest" else run.manifest[entry]).update(changes)

    return forge


def estimator(**entries: object) -> Callable[[Forger], None]:
    return changed("manifest", estimator=entries)


def another_noise(guarantee: str, noise: Entries, trained_for: bool = False) -> Callable[[Forger], None]:
    def forge(run: Forger) -> None:
        run.manifest.update(guarantee=guarantee, noise=noise)
        if trained_for:
            run.model["trained_for"] = noise

    return forge


def record(position: int, **changes: object) -> Callable[[Forger], None]:
    return lambda run: run.records[position].update(changes)


ABLATION = {"name": "ablation", "k": 20, "null": "multichannel", "fill": None}
LOOKS = {"name": "looks", "n": N, "alpha": 0.01, "radii": [0.25], "precision": None, "ratio": 1.5, "method": "split"}

# name: forgery, and the checks that find it. `files` stands for all, and data or model for a replay, too. Whatever
# changes the manifest is found by its published digest, and anything at all by that of the results.
PROMISE, VOTES = {MANIFEST, RESULTS}, {RESULTS}
FORGERIES: dict[str, tuple[Callable[[Forger], object], set[str]]] = {
    # Votes and records
    "all votes perfect": (all_perfect, {REPLAY} | VOTES),
    "only the misclassified made perfect": (wrong_made_perfect, {REPLAY} | VOTES),
    "votes of another example": (shifted, {REPLAY} | VOTES),
    "wrong labels made those that were answered": (labels_as_answered, {DATA} | VOTES),
    "bad records dropped": (lambda run: run.records.pop(5), {FILES}),
    "dropped, renumbered, size edited": (shorter_data, {DATA} | PROMISE),
    "truncated, and a limit that says so": (first_half, PROMISE),
    "every second one, after the fact": (every_second, PROMISE),
    "a record twice": (lambda run: run.records.append(dict(run.records[0])), {FILES}),
    "a record of an example that was not promised": (record(2, index=1), {FILES}),
    # Procedure
    "alpha smaller": (lambda run: run.estimator.update(alpha=0.001), PROMISE),
    "alpha larger": (lambda run: run.estimator.update(alpha=0.1), PROMISE),
    "split made cohen": (lambda run: run.estimator.update(method="cohen"), PROMISE),
    "joint alpha added": (changed("manifest", joint_alpha=0.01 * 12), PROMISE),
    "fixed made looks that would have stopped early": (estimator(**LOOKS), {REPLAY} | PROMISE),
    "fixed made looks that never stop early": (estimator(**{**LOOKS, "radii": [], "precision": 1e-9}), PROMISE),
    "fixed made a bet": (estimator(name="eprocess", n=N, alpha=0.01, radius=0.25), {REPLAY} | PROMISE),
    "another theorem of the same noise": (changed("manifest", guarantee="li"), PROMISE),
    "n0 and n swapped": (sizes_swapped, {REPLAY} | PROMISE),
    "selection votes added to estimation": (sampled_more, {REPLAY} | PROMISE),
    "ten times as many votes": (ten_times_as_many, {REPLAY} | PROMISE),
    "another seed": (changed("manifest", seed=SEED + 1), {REPLAY} | PROMISE),
    "another block": (changed("manifest", block=32), {REPLAY} | PROMISE),
    # Noise
    "sigma larger": (another_noise("cohen", {"name": "gaussian", "sigma": 1.0}), {REPLAY} | PROMISE),
    "sigma larger, in trained_for, too": (
        another_noise("cohen", {"name": "gaussian", "sigma": 1.0}, trained_for=True),
        {MODEL} | PROMISE,
    ),
    "gaussian made laplace": (another_noise("dwork", {"name": "laplace", "b": 0.25}), {REPLAY} | PROMISE),
    "gaussian made ablation": (another_noise("levine", ABLATION), {MODEL} | PROMISE),
    # Data
    "classes renamed": (changed("data", class_names=[f"{label}!" for label in range(10)]), {DATA, MODEL} | PROMISE),
    "classes swapped": (changed("data", class_names=list("1023456789")), {DATA, MODEL} | PROMISE),
    "a class with a look-alike's name": (
        changed("data", class_names=[*"012345678", "\uff19"]),
        {DATA, MODEL} | PROMISE,
    ),
    "source": (changed("data", source="mnist"), {DATA} | PROMISE),
    "source, with a look-alike": (changed("data", source="d\u0131gits"), {DATA} | PROMISE),
    "decoder": (changed("data", decoder="pillow 12.0"), {DATA} | PROMISE),
    "split": (changed("data", split="train"), {DATA} | PROMISE),
    "a split that no data have": (changed("data", split="holdout"), {DATA} | PROMISE),
    "size": (changed("data", size=350), {DATA} | PROMISE),
    "shape": (changed("data", shape=[8, 8, 1]), {DATA, MODEL} | PROMISE),
    "highest value": (changed("data", high=255.0), {DATA, MODEL} | PROMISE),
    "lowest value": (changed("data", low=-1.0), {DATA, MODEL} | PROMISE),
    "hash of the data": (changed("data", sha256="0" * 64), {DATA} | PROMISE),
    "data that nobody has seen": (changed("data", sha256="unknown"), {DATA} | PROMISE),
    "in class order": (changed("data", sorted_by_class=True), {DATA} | PROMISE),
    "an irregular subset": (changed("data", regular=False), {DATA} | PROMISE),
    # Model
    "hash of the model": (changed("model", sha256="0" * 64), {MODEL} | PROMISE),
    "architecture": (changed("model", architecture="resnet110"), {MODEL} | PROMISE),
    "arguments": (changed("model", arguments={"width": 1.0}), {MODEL} | PROMISE),
    "normalization": (changed("model", normalization={"mean": [0.0], "std": [1.0]}), {MODEL} | PROMISE),
    "trained_for": (changed("model", trained_for=None), {MODEL} | PROMISE),
    "an entry more of the model": (changed("model", award="best model"), {FILES}),
    "an entry less of the model": (lambda run: run.model.pop("normalization"), {MODEL} | PROMISE),
    "code of the model": (
        lambda run: run.model["code"].update(dict.fromkeys(run.model["code"], "0" * 64)),
        {MODEL} | PROMISE,
    ),
    "a backend with a look-alike's name": (
        lambda run: run.model["backend"].update(name="t\u03bfrch"),
        {MODEL} | PROMISE,
    ),
    "an entry more of the backend": (lambda run: run.model["backend"].update(exact=True), {MODEL} | PROMISE),
    "precision": (changed("manifest", precision="bfloat16"), {REPLAY} | PROMISE),
    "a precision that there is not": (changed("manifest", precision="float256"), {MODEL} | PROMISE),
    # What nothing but the published digests decides
    "version of the backend": (lambda run: run.model["backend"].update(version="9.9"), PROMISE),
    "no versions": (changed("manifest", versions={}), PROMISE),
    "made earlier": (changed("manifest", created="2020-01-01T00:00:00+00:00"), PROMISE),
    # The votes are the same here.
    "another device": (changed("manifest", device="cuda"), PROMISE),
    # Another kind
    "made a bound": (kind("bound"), {FILES}),
    "made an imported log": (kind("imported"), {FILES}),
    "a kind with a look-alike's name": (changed("manifest", kind="\u0441ertify"), {FILES}),
    # Spelling
    "an entry more of a record": (record(0, robust=True), {FILES}),
    "an entry less of a record": (lambda run: run.records[0].pop("selection"), {FILES}),
    "an entry more of the manifest": (changed("manifest", reviewed_by="nobody"), {FILES}),
    "an entry more of the data": (changed("data", licence="free"), {FILES}),
    "a fraction for an index": (lambda run: run.records[3].update(index=float(run.records[3]["index"])), {FILES}),
    "a fraction for a label": (lambda run: run.records[3].update(label=float(run.records[3]["label"])), {FILES}),
    "true for a label": (record(3, label=True), {FILES}),
    "a fraction for n0": (changed("manifest", n0=float(N0)), {FILES}),
    "true for every": (changed("data", every=True), {FILES}),
    "a negative seed": (changed("manifest", seed=-5), {FILES}),
    "a fraction for a size": (changed("data", size=360.0), {FILES}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_each_forgery_is_found_by_these_checks_and_no_others(real: Real, tmp_path: Path, name: str) -> None:
    forge, found = FORGERIES[name]
    folder = shutil.copytree(real.folder, tmp_path / "run")
    run = Forger(folder)
    forge(run)
    run.seal()
    assert finding(real, folder) == closed(found)


def test_the_genuine_run_passes_every_check(real: Real) -> None:
    assert finding(real, real.folder) == set()
    whole = Given(real.manifest, real.results, None, digits, real.model, Sample())
    found = verify_run(real.folder, whole, ENGINE)
    assert (found.failures, found.level, found.missing) == ([], "replay", 0)
    assert found.pinned == ["manifest", "results"]


def backwards(run: Forger) -> None:
    run.records.reverse()
    run.seal()


def spelled_otherwise(run: Forger) -> None:
    run.seal(lambda entries: json.dumps(dict(sorted(entries.items(), reverse=True)), separators=(" , ", " : ")))


@pytest.mark.parametrize(
    "forge",
    [
        backwards,
        spelled_otherwise,
        lambda run: (run.folder / "results.json").unlink(),
        lambda run: (run.folder / "sessions.jsonl").unlink(),
    ],
    ids=["order of the records", "order and spaces of the entries", "no results.json", "no sessions"],
)
def test_what_changes_no_number_is_no_forgery(real: Real, tmp_path: Path, forge: Callable[[Forger], object]) -> None:
    """The published digests still fit: what they are taken of has one spelling and one order."""
    run = Forger(shutil.copytree(real.folder, tmp_path / "run"))
    forge(run)
    assert finding(real, run.folder) == set()


def test_a_key_that_comes_twice_is_found_in_the_files(real: Real, tmp_path: Path) -> None:
    run = Forger(shutil.copytree(real.folder, tmp_path / "run"))
    run.seal(lambda entries: f'{{"label":{(entries["label"] + 1) % 10},{json.dumps(entries)[1:]}')
    assert finding(real, run.folder) == set(CHECKS)


def test_records_of_another_seed_under_the_same_manifest(real: Real, tmp_path: Path) -> None:
    """The best of many runs: genuine votes, of another seed than the manifest has."""
    certified(tmp_path / "other", real.model, SEED + 1)
    run, other = Forger(shutil.copytree(real.folder, tmp_path / "run")), Forger(tmp_path / "other")
    assert finding(real, other.folder) == {MANIFEST, RESULTS}, (
        "a genuine run: that it is the best of many, nothing shows"
    )
    run.records = other.records
    run.seal()
    assert finding(real, run.folder) == {REPLAY, RESULTS}
    shutil.copy(other.folder / "records.jsonl", run.folder)
    assert finding(real, run.folder) == set(CHECKS), "not sealed anew"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"results": "0" * 64}, "results.json has results = 0000"),
        ({"manifest": "0" * 64}, "results.json has manifest = 0000"),
        ({"records": 11}, "results.json has records = 11"),
        ({"records": 12.0}, "the entry records is 12.0; expected a whole number"),
        ({"signed": True}, "results.json cannot be read: the entry 'signed' is unknown"),
    ],
)
def test_results_of_other_records_are_found_in_the_files(
    real: Real, tmp_path: Path, change: Entries, complaint: str
) -> None:
    """So is the file of another run; tables and reports refuse it, too."""
    folder = shutil.copytree(real.folder, tmp_path / "run")
    told = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**told, **change}))
    (failure,) = verify_run(folder, Given()).failures
    assert complaint in failure
    with pytest.raises(RunError, match=r"results\.json"):
        read_run(folder)


# --- Bounds and imported logs ----------------------------------------------------------------------------------------

# The radii of a bound are claims until they are proved again, so that is what has to be asked for.
OF_BOUNDS: dict[str, tuple[Callable[[Forger], object], set[str]]] = {
    "larger radii": (lambda run: [each.update(radius=0.02) for each in run.records], {REPLAY} | VOTES),
    "the answer that is right": (
        lambda run: [each.update(answer=(each["answer"] or 0) ^ 1) for each in run.records],
        {REPLAY} | VOTES,
    ),
    "labels as answered": (record(2, label=9), {DATA} | VOTES),
    "another norm": (lambda run: run.estimator.update(norm="L2"), {REPLAY} | PROMISE),
    "no assumption": (lambda run: run.estimator.update(assumption="none"), {REPLAY} | PROMISE),
    "larger at most": (lambda run: run.estimator.update(most=9.0), {REPLAY} | PROMISE),
    "another bound": (changed("manifest", guarantee="lipschitz"), {REPLAY} | PROMISE),
    "below zero by nothing": (record(1, radius=-0.0), {FILES}),
    "beyond the largest": (record(1, radius=0.03), {FILES}),
    "weights of another model": (changed("model", sha256="1" * 64), {MODEL} | PROMISE),
    "records dropped": (lambda run: run.records.pop(), {FILES}),
}


@pytest.mark.parametrize("name", OF_BOUNDS)
def test_forged_bounds(proved: Real, tmp_path: Path, name: str) -> None:
    forge, found = OF_BOUNDS[name]
    run = Forger(shutil.copytree(proved.folder, tmp_path / "run"))
    forge(run)
    run.seal()
    assert finding(proved, run.folder, require="claims") == closed(found)


def test_a_bound_is_a_claim_until_it_is_proved_again(proved: Real) -> None:
    assert finding(proved, proved.folder, require="claims") == set()
    assert finding(proved, proved.folder) == set(CHECKS) - {REPLAY}
    plain, again = (verify_run(proved.folder, proved.given(check)) for check in (DATA, REPLAY))
    assert (plain.level, again.level) == ("claims", "replay")


def test_forged_imported_logs(tmp_path: Path) -> None:
    """Labels are compared with the data; radii stay claims, which only a digest of the results can pin."""
    claims = [ClaimRecord(index, int(digits("test").labels[index]), 3, 0.2, None) for index in range(0, 360, 40)]
    log = Log(tuple(claims), 0.2, 0)
    made = imported_manifest(log, Gaussian(0.25), "cohen", FixedSize(1000, 0.001, "cohen"), 100, "digits", "log.tsv")
    with RunStore(tmp_path / "run", made) as store:
        store.append(claims)
        store.conclude()
    results = read_digests(tmp_path / "run")[1]

    def refused(name: str, forge: Callable[[Forger], object]) -> tuple[bool, ...]:
        run = Forger(shutil.copytree(tmp_path / "run", tmp_path / name))
        forge(run)
        run.seal()
        given = Given(), Given(data=digits), Given(results=results)
        return tuple(verify_run(run.folder, each).exit_code("claims") != 0 for each in given)

    assert refused("genuine", lambda run: None) == (False, False, False)
    assert refused("labels", record(4, label=(claims[4].label + 1) % 10)) == (False, True, True)
    assert refused("radii", record(4, radius=0.3)) == (False, False, True)
    assert refused("too large", record(4, radius=3.0)) == (True, True, True)
    assert refused("dropped", lambda run: run.records.pop(2)) == (True, True, True)
    assert refused("negative", record(4, radius=-0.0)) == (True, True, True)
    assert refused("source", changed("data", source="mnist")) == (False, True, True)
    assert refused("classes", lambda run: run.data["class_names"].reverse()) == (False, True, True)


# --- What a sample proves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "drawn"), [(1, 1), (12, 1), (12, 5), (30, 12), (60, 59), (360, 114)])
def test_a_sample_bounds_false_records_exactly(total: int, drawn: int) -> None:
    """More than that escape with 1% at most, and one fewer with more; never more than (1 - s)^K says."""
    most = most_false(total, drawn)
    escape = [Fraction(math.comb(total - false, drawn), math.comb(total, drawn)) for false in range(total + 1)]
    assert escape[most] > 1 - CONFIDENCE
    assert all(chance <= 1 - CONFIDENCE for chance in escape[most + 1 :])
    assert all(chance <= (1 - Fraction(false, total)) ** drawn for false, chance in enumerate(escape))
    assert most_false(total, total) == 0


def test_samples_miss_more_false_records_than_that_in_one_of_a_hundred() -> None:
    total, drawn, trials = 40, 12, 4000
    false = most_false(total, drawn) + 1
    chance = random.Random(11)
    missed = sum(min(chance.sample(range(total), drawn)) >= false for _ in range(trials))
    # Binomial(4000, 1%): more than 80 has a probability below 1e-8.
    assert missed <= 80
    assert missed > 0


@pytest.mark.parametrize(
    ("text", "of_360"),
    [("all", 360), ("10%", 36), ("0.1%", 1), ("100%", 360), ("20", 20), ("1000", 360), ("33.3%", 120)],
)
def test_how_many_records_a_spec_asks_for(text: str, of_360: int) -> None:
    assert parse_sample(text).of(360) == of_360


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "0%", "101%", "1e-9%", "nan%", "%", "some", "1_000", "\u0663", "9" * 40]
)
def test_other_specs_of_a_sample_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_sample(text)
