"""`holdfast attack` and `holdfast transfer` as people and scripts meet them."""

import json
from pathlib import Path

import pytest
from program import CERTIFY, Call

from holdfast.store.attack import read_attack
from holdfast.store.folder import RECORDS


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model without noise."""
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    command = [sys.executable, "-m", "holdfast", "train", "--recipe", "standard"]
    command += ["--out", str(out), "--epochs", "8", "--arch", "digits-mlp", "--quiet", "--learning-rate", "0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def defended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that resizes its inputs at random."""
    import subprocess
    import sys

    out = tmp_path_factory.mktemp("defended") / "defended.safetensors"
    command = [sys.executable, "-m", "holdfast", "train", "--recipe", "standard"]
    command += ["--out", str(out), "--epochs", "4", "--arch", "random-resized:least=0.6", "--quiet", "--seed", "1"]
    command += ["--optimizer", "adamw", "--learning-rate", "0.003"]
    subprocess.run(command, check=True, capture_output=True)
    return out


def test_a_library_that_fails_ends_the_attack_with_the_example_named(
    call: Call, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.attacks.foolbox import imported

    kind = imported("foolbox", "A test").attacks.LinfProjectedGradientDescentAttack
    whole, calls = kind.run, []

    def failing(self: object, *arguments: object, **options: object) -> object:
        calls.append(0)
        if len(calls) > 1:
            raise ZeroDivisionError("modulo by zero")
        return whole(self, *arguments, **options)

    monkeypatch.setattr(kind, "run", failing)
    command = ("attack", "--model", plain, "--attack", "pgd:steps=2", "--budget", ".3", "--every", 40, "--limit", 4)
    code, _, err = call(*command, "--noise", "none", "--out", tmp_path / "out", "--quiet", "--seed", 1)
    assert code == 1
    kept = [record.index for record in read_attack(tmp_path / "out").records]
    failed = 40 * len(kept)
    assert kept == list(range(0, failed, 40)), "what was finished before is kept"
    assert f"example {failed}, run 0: the attack pgd:norm=linf,steps=2 could not be finished: foolbox" in err
    assert "failed with ZeroDivisionError (modulo by zero)" in err
    monkeypatch.setattr(kind, "run", whole)
    assert call(*command, "--noise", "none", "--out", tmp_path / "out", "--quiet", "--seed", 1)[0] == 0


def words(printed: str) -> str:
    return " ".join(printed.split())


def test_a_run_is_attacked_drawn_and_reported(call: Call, models: Path, tmp_path: Path) -> None:
    model, run, out = models / "gaussian.safetensors", tmp_path / "run", tmp_path / "attack"
    assert call("certify", "--model", model, "--out", run, *CERTIFY)[0] == 0
    command = ("attack", run, "--model", model, "--attack", "smooth-pgd:samples=32", "--n", 200, "--out", out)
    command += ("--limit", 6, "--quiet", "--seed", 3, "--batch-size", 500)
    code, printed, _ = call(*command, "--plot", tmp_path / "gap.png")
    assert code == 0
    text = words(printed)
    assert "on 6 of 360 test examples of digits, every 30th, the first 6" in text
    assert "Within 1 x the certified radius: 0.0%" in text
    assert "Certificates contradicted: 0 of" in text
    assert (tmp_path / "gap.png").read_bytes()[:4] == b"\x89PNG"
    found = read_attack(out)
    assert found.manifest.alpha == 0.01, "that of the run"
    radii = {each.index: each.radius for each in found.records}
    for record in found.records:
        assert record.budgets == tuple(factor * radii[record.index] for factor in (1, 1.5, 2))[: len(record.budgets)]
    code, printed, _ = call("report", run, "--attack", out, "--out", tmp_path / "r.html")
    assert code == 0
    assert "Attacked: <bdi>attack</bdi>" in (tmp_path / "r.html").read_text()
    # The same command resumes with the same records.
    whole = (out / RECORDS).read_bytes()
    (out / RECORDS).write_bytes(whole[: len(whole) // 2])
    assert call(*command)[0] == 0
    assert (out / RECORDS).read_bytes() == whole


def test_pointwise_on_ablation_finds_nothing_inside_a_certificate(call: Call, models: Path, tmp_path: Path) -> None:
    model, run, out = models / "ablation.safetensors", tmp_path / "run", tmp_path / "attack"
    assert call("certify", "--model", model, "--out", run, *CERTIFY)[0] == 0
    command = ("attack", run, "--model", model, "--attack", "pointwise", "--n", 200, "--out", out, "--restarts", 2)
    code, printed, _ = call(*command, "--limit", 5, "--json", "--seed", 1, "--batch-size", 500)
    assert code == 0
    summary = json.loads(printed)
    assert summary["alarms"] == []
    assert summary["norm"] == "L0"
    assert summary["certified"] >= 3
    assert summary["factors"][0]["misclassified"] == 0


def test_a_model_without_noise_is_attacked_and_resumed(call: Call, plain: Path, tmp_path: Path) -> None:
    command = ("attack", "--model", plain, "--attack", "pgd", "--budget", ".05,.3", "--limit", 8, "--quiet")
    code, printed, _ = call(*command, "--out", tmp_path / "a", "--plot", tmp_path / "a.svg")
    assert code == 0
    assert "Confirmed adversarials: 8 (8 misclassified, 0 abstentions). " in words(printed)
    assert "Within 0.3 input units: success on 100.0% [63.0, 100.0] of 8 attacked" in words(printed)
    assert "accuracy under attack 0.0% [0.0, 37.0]; epsilon-robustness score 0.0% [0.0, 37.0]" in words(printed)
    again, printed_again, _ = call(*command, "--out", tmp_path / "a")
    assert (again, printed_again) == (0, printed)
    at_budgets = json.loads(call(*command, "--out", tmp_path / "a", "--json")[1])["budgets"]
    assert [each["success"]["budget"] for each in at_budgets] == [0.05, 0.3]
    assert at_budgets[1]["robustness_score"]["value"] == 0.0
    code, _, err = call(*command, "--out", tmp_path / "a", "--budget", ".05,.4")
    assert code == 1
    assert "budgets.values: the run has [0.05, 0.3]" in err


def test_a_target_class(call: Call, plain: Path, tmp_path: Path) -> None:
    command = ("attack", "--model", plain, "--attack", "cw-linf", "--limit", 4, "--quiet", "--out", tmp_path / "a")
    assert call(*command, "--target", "next")[0] == 0
    for record in read_attack(tmp_path / "a").records:
        assert record.answer == (record.reference + 1) % 10


def test_an_attack_on_nothing_says_so(call: Call, plain: Path, tmp_path: Path) -> None:
    command = ("attack", "--model", plain, "--attack", "pgd", "--budget", 0.05, "--limit", 1, "--quiet", "--out")
    assert call(*command, tmp_path / "a")[0] == 0
    (record,) = read_attack(tmp_path / "a").records
    code, printed, err = call(*command, tmp_path / "b", "--target", record.reference)
    assert code == 0
    assert "Not attacked: 1 of 1 (already of the target class: 1)" in words(printed)
    assert "success on" not in words(printed)
    assert "none of the 1 inputs was attacked (already of the target class), so the figures say nothing" in err


def test_the_transfer_matrix(call: Call, models: Path, plain: Path, tmp_path: Path) -> None:
    noisy = models / "gaussian.safetensors"
    common = ("--limit", 5, "--quiet", "--seed", 1)
    assert (
        call("attack", "--model", plain, "--attack", "pgd:norm=l2", "--budget", 1.5, *common, "--out", tmp_path / "p")[
            0
        ]
        == 0
    )
    smoothed = ("--attack", "smooth-pgd:samples=16", "--budget", 2, "--n", 100, "--batch-size", 256)
    assert call("attack", "--model", noisy, *smoothed, *common, "--out", tmp_path / "g")[0] == 0
    folders = (tmp_path / "p", tmp_path / "g")
    code, printed, _ = call("transfer", *folders, "--model", plain, "--model", noisy, "--json")
    assert code == 0
    matrix = json.loads(printed)
    assert matrix["p"]["share"]["p"] == 1.0
    assert matrix["g"]["share"]["g"] >= 0.5
    assert set(matrix["p"]) == {"adversarials", "share"}
    assert set(matrix["p"]["share"]) == {"p", "g"}
    code, printed, _ = call("transfer", *folders, "--model", plain, "--model", noisy)
    assert code == 0
    assert "share of the row's adversarials" in words(printed)
    code, _, err = call("transfer", *folders, "--model", plain)
    assert code == 2
    assert "none of the models is the one that" in err


def test_transfer_of_folders_with_odd_names_and_a_model_too_many(
    call: Call, models: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may have the name of a key, and be the one that the program is called in."""
    folder, other = tmp_path / "adversarials", models / "gaussian.safetensors"
    command = ("--model", plain, "--attack", "pgd", "--budget", 0.3, "--limit", 3, "--quiet")
    assert call("attack", *command, "--out", folder)[0] == 0
    right = sum(each.adversarial is not None and each.reference == each.label for each in read_attack(folder).records)
    monkeypatch.chdir(folder)
    code, printed, err = call("transfer", ".", "--model", plain, "--model", other, "--json")
    assert code == 0
    assert f"--model {other}, which is not used" in err
    assert json.loads(printed) == {"adversarials": {"adversarials": right, "share": {"adversarials": 1.0}}}
    code, _, err = call("transfer", ".", folder, "--model", plain)
    assert (code, "folders named 'adversarials'" in err) == (2, True)


def test_an_unfinished_attack_is_said_to_be_and_an_empty_one_is_not_transferred(
    call: Call, plain: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a"
    command = ("--model", plain, "--attack", "pgd", "--budget", 0.3, "--limit", 3, "--quiet")
    assert call("attack", *command, "--out", out)[0] == 0
    lines = (out / RECORDS).read_bytes().splitlines(keepends=True)
    (out / RECORDS).write_bytes(lines[0])
    (out / "results.json").unlink()
    code, printed, err = call("transfer", out, "--model", plain, "--json")
    assert (code, json.loads(printed)["a"]["adversarials"]) == (0, 1)
    assert "is not finished: 1 so far of 3 examples" in err
    (out / RECORDS).write_bytes(b"")
    code, printed, err = call("transfer", out, "--model", plain)
    assert (code, printed) == (1, "")
    assert "has no records yet, so there is nothing to transfer" in err


def test_a_random_defence_is_told_to_the_attack_and_verified_by_new_draws(
    call: Call, defended: Path, tmp_path: Path
) -> None:
    command = ("attack", "--model", defended, "--limit", 4, "--quiet", "--budget", 0.5, "--seed", 1)
    code, printed, err = call(*command, "--attack", "bpda:samples=8", "--out", tmp_path / "bpda")
    assert (code, err) == (0, "")
    held = [record for record in read_attack(tmp_path / "bpda").records if record.adversarial]
    assert held
    for record in held:
        assert record.kind == "misclassified"
        assert record.votes is not None
        assert (record.repeats, record.votes.total) == (50, 50)
        assert record.failures > 25
    assert "0 abstentions" in printed
    code, _, err = call(*command, "--attack", "pgd", "--out", tmp_path / "pgd")
    assert code == 0
    assert "hides its gradients from 'pgd': that it finds little shows little" in err
    code, printed, _ = call("transfer", tmp_path / "bpda", "--model", defended, "--json", "--seed", 1)
    assert code == 0
    # The model, that was trained for seconds, has some of them wrong unchanged: these are not shown.
    right = [record for record in held if record.reference == record.label]
    assert json.loads(printed)["bpda"]["adversarials"] == len(right)


def test_an_attack_is_verified_as_far_as_data_and_model_allow(call: Call, plain: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    command = ("--model", plain, "--attack", "nattack:steps=20", "--budget", 0.3, "--limit", 4, "--quiet")
    assert call("attack", *command, "--out", out)[0] == 0
    digest = read_attack(out).manifest.digest
    code, printed, err = call("verify", out, "--digest", digest)
    assert (code, err) == (0, "")
    assert printed.splitlines()[0] == f"{out} is an attack: 4 records of 4 examples"
    assert "OK: the files agree with themselves." in printed.splitlines()
    assert {"- labels and data (--data)", "- the model and its answers (--model)"} <= set(printed.splitlines())
    code, printed, _ = call("verify", out, "--data", "digits")
    assert "adversarials lie as far from the unchanged inputs as recorded" in words(printed)
    assert "OK: labels and data agree with the files." in printed.splitlines()
    code, printed, _ = call("verify", out, "--model", plain, "--replay", 2, "--json")
    document = json.loads(printed)
    held = document["adversarials_checked"]
    assert (code, document["ok"], len(document["replayed"])) == (0, True, 2)
    assert (document["distances_checked"], document["answers_checked"]) == (held, held + 4)
    assert held
    code, _, err = call("verify", out, "--digest", "ab" * 32)
    assert (code, "expected abab" in err) == (1, True)
    code, _, err = call("verify", out, "--log", "log.tsv")
    assert (code, "--log would be ignored, since an attack has no log" in err) == (2, True)
    for option in (("--threads", 2), ("--model", plain, "--batch-size", 5), ("--engine", "local")):
        code, _, err = call("verify", out, *option)
        assert (code, f"{option[-2]} would be ignored" in err) == (2, True)
    code, printed, _ = call("verify", out, "--model", plain, "--json")
    document = json.loads(printed)
    assert (code, document["answers_checked"], document["checked"]) == (0, held, ["files", "model"])
    path = next((out / "found").iterdir())
    path.write_bytes(path.read_bytes()[:-4])
    code, printed, err = call("verify", out, "--data", "digits")
    assert (code, f"found/{path.name} is missing, or is not a file of" in err) == (1, True)
    assert "nothing else was checked, since the files are wrong" in words(printed)


def test_an_attack_on_a_smoothed_classifier_is_repeated_exactly(
    call: Call, models: Path, plain: Path, tmp_path: Path
) -> None:
    noisy, out = models / "gaussian.safetensors", tmp_path / "a"
    smoothed = ("--attack", "smooth-pgd:samples=16", "--budget", 2, "--n", 100, "--batch-size", 256)
    assert call("attack", "--model", noisy, *smoothed, "--limit", 3, "--quiet", "--out", out)[0] == 0
    code, printed, _ = call("verify", out, "--model", noisy)
    assert code == 0
    assert "a random classifier answers differently each time, so answers were not compared" in words(printed)
    code, printed, err = call("verify", out, "--model", noisy, "--replay", 3, "--batch-size", 100, "--quiet")
    assert (code, err) == (0, "")
    assert "attacked again from the seed: 0, 1, 2" in words(printed)
    code, _, err = call("verify", out, "--model", plain, "--replay", 1)
    assert (code, "Error: model: " in err) == (1, True)


def test_all_attacks_are_listed(call: Call) -> None:
    listed = json.loads(call("attack", "--json")[1])
    assert {"name": "fgsm", "norms": ["Linf", "L2"], "needs": "gradients"}.items() <= next(
        each for each in listed if each["name"] == "fgsm"
    ).items()
    code, printed, _ = call("attack")
    assert code == 0
    for name in ("autoattack", "cw-l0", "one-pixel", "smooth-pgd"):
        assert name in printed


def test_a_model_that_always_abstains_is_said_to(call: Call, models: Path, tmp_path: Path) -> None:
    """Noise so large that no answer can be told from another."""
    command = ("attack", "--model", models / "gaussian.safetensors", "--noise", "gaussian:sigma=50", "--n", 30)
    command += ("--alpha", 0.0001, "--attack", "hop-skip-jump:steps=2", "--limit", 3, "--quiet", "--seed", 1)
    code, printed, err = call(*command, "--out", tmp_path / "a")
    assert code == 0
    assert "3 get no answer" in printed
    assert "gave no answer for any of the 3 unchanged inputs, so there was nothing to attack" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--attack", "pgd", "--out", "x"), "--model, the model, is missing"),
        (("--attack", "pgd", "--model", "MODEL"), "--out, the folder of the attack, is missing"),
        (("--attack", "magic", "--model", "MODEL", "--out", "x"), "unknown attack 'magic'; known are autoattack"),
        (
            ("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "0"),
            "budgets are finite numbers above 0, got 0",
        ),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "a"), "budgets are numbers separated by"),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "1,2x"), "budgets are numbers separated by"),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "1x"), "need the certification RUN"),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x"), "searches within a budget"),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "1", "--target", "10"), "from 0 to 9"),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "1", "--target", "²"), "from 0 to 9"),
        (("--attack", "pgd", "--model", "MODEL", "--out", "x", "--budget", "inf"), "finite numbers above 0, got inf"),
        (("--model", "MODEL", "--out", "x"), "--attack is missing"),
        (
            ("--attack", "cw-l2", "--model", "MODEL", "--out", "x", "--search-alpha", "0"),
            "search_alpha must lie between",
        ),
        (("--attack", "cw-l2", "--model", "MODEL", "--out", "x", "--alpha", "nan"), "alpha is a failure probability"),
        (("--attack", "cw-l2", "--model", "MODEL", "--out", "x", "--n", "3"), "always abstains"),
        (("--attack", "cw-l2", "--model", "MODEL", "--out", "x", "--alpha", "0"), "alpha is a failure probability"),
        (
            ("--attack", "fgsm", "--model", "MODEL", "--out", "x", "--budget", "1", "--target", "1"),
            "cannot aim at a given class, only at any other",
        ),
        (("--attack", "cw-l2", "--model", "MODEL", "--out", "x", "--plot", "a.jpg"), ".png, .svg, .pdf"),
        (("--attack", "cw-l2", "--model", "ABLATION", "--out", "x", "--noise", "none"), "its first layer takes inputs"),
        (
            ("--attack", "cw-l2", "--model", "MODEL", "--out", "x", "--noise", "none", "--precision", "bfloat16"),
            "float32",
        ),
        (("--attack", "smooth-pgd", "--model", "MODEL", "--out", "x", "--noise", "none", "--budget", "1"), "smoothed"),
    ],
)
def test_wrong_calls_are_refused_and_write_nothing(
    call: Call, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"MODEL": models / "gaussian.safetensors", "ABLATION": models / "ablation.safetensors"}
    code, _, err = call("attack", *(named.get(argument, argument) for argument in arguments))
    assert code == 2
    assert message in err
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_attacked_with_another_model_norm_or_noise(call: Call, models: Path, tmp_path: Path) -> None:
    model, run = models / "gaussian.safetensors", tmp_path / "run"
    assert call("certify", "--model", model, "--out", run, *CERTIFY)[0] == 0
    out = ("--out", tmp_path / "a", "--quiet")
    code, _, err = call("attack", run, "--model", models / "ablation.safetensors", "--attack", "pgd:norm=l2", *out)
    assert code == 1
    assert "give the model of the run" in err
    code, _, err = call("attack", run, "--model", model, "--attack", "pgd", *out)
    assert code == 2
    assert "are L2, and the attack is measured in Linf" in err
    code, _, err = call("attack", run, "--model", model, "--noise", "gaussian:sigma=1", "--attack", "pgd", *out)
    assert code == 2
    assert "the noise comes from" in err
    for given, promised in ((("--precision", "bfloat16"), "float32"), (("--split", "train"), "test")):
        code, _, err = call("attack", run, "--model", model, *given, "--attack", "pgd:norm=l2", *out)
        assert code == 2
        assert f"the {given[0].strip('-')} comes from" in err
        assert promised in err
    code, _, err = call("attack", run, "--model", model, "--every", 60, "--attack", "pgd:norm=l2", *out)
    assert code == 2
    assert "leave out every = " in err
    lines = (run / RECORDS).read_bytes().splitlines(keepends=True)
    (run / RECORDS).write_bytes(b"".join(lines[:-1]))
    (run / "results.json").unlink()
    code, _, err = call("attack", run, "--model", model, "--attack", "pgd:norm=l2", *out)
    assert code == 1
    assert "has no record of 1 of these 12 examples" in err
    (run / RECORDS).write_bytes(b"")
    code, _, err = call("attack", run, "--model", model, "--attack", "pgd:norm=l2", *out)
    assert code == 1
    assert "has no certificates of a model that could be attacked" in err
    assert not (tmp_path / "a").exists()
