"""`holdfast table` of attacks, and `AttackResult.compare`: which attack is stronger."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from program import Call

import holdfast as hf

STORED = Path(__file__).parents[1] / "stored"
MODEL = STORED / "models" / "plain.safetensors"


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FGSM and PGD within two budgets, and two attacks that look for the smallest change."""
    folder = tmp_path_factory.mktemp("attacks")
    model, data = hf.load_model(MODEL), hf.load_data("digits")
    for name, attack, budget in (
        ("fgsm", "fgsm:norm=linf", [0.05, 0.1]),
        ("pgd", "pgd:norm=linf,steps=20", [0.1, 0.2]),
        ("cw", "cw-linf:steps=10,shrink=0.7", None),
        ("deepfool", "deepfool:norm=linf,steps=10", None),
    ):
        settings = {"model": model, "data": data, "budget": budget, "every": 12, "seed": 1, "progress": False}
        hf.attack(None, attack, noise="none", out=folder / name, **settings)
    return folder


def folders(attacks: Path, *names: str) -> list[Path]:
    return [attacks / name for name in names]


def test_a_table_of_attacks_is_that_of_the_records(call: Call, attacks: Path) -> None:
    code, out, err = call("table", *folders(attacks, "fgsm", "pgd", "cw"), "--json")
    assert code == 0, err
    found = json.loads(out)
    # The one budget that both have.
    assert [ranking["epsilon"] for ranking in found["rankings"]] == [0.1]
    assert (found["ordered"], found["level"]) == (6, pytest.approx(0.05 / 6))
    records = {name: hf.load_run(attacks / name).records for name in ("fgsm", "pgd", "cw")}
    for pair in found["rankings"][0]["pairs"]:
        names = (pair["ahead"], pair["behind"])
        hits = [
            tuple(each.magnitude is not None and each.magnitude <= 0.1 for each in both)
            for both in zip(*(records[name] for name in names), strict=True)
            if all(each.reference == each.label for each in both)
        ]
        first, second = sum(a and not b for a, b in hits), sum(b and not a for a, b in hits)
        assert (pair["found"]["inputs"], pair["found"]["first"], pair["found"]["second"]) == (len(hits), first, second)
        assert first >= second
        assert pair["stronger"] == (pair["p_value"] <= found["level"])


def test_python_prints_what_the_command_prints(call: Call, attacks: Path) -> None:
    one, *others = (hf.load_run(each) for each in folders(attacks, "cw", "deepfool"))
    found = one.compare(*others)
    given = folders(attacks, "cw", "deepfool")
    assert call("table", *given)[1] == f"{found}\n"
    assert json.loads(call("table", *given, "--json")[1]) == json.loads(json.dumps(found.to_dict()))
    for style, text in (("markdown", found.to_markdown()), ("latex", found.to_latex()), ("csv", found.to_csv())):
        assert call("table", *given, "--format", style)[1] == text
    assert [ranking.epsilon for ranking in found.rankings] == [None], "attacks without budgets are compared by size"
    within = one.compare(*others, epsilon=0.1)
    assert [ranking.epsilon for ranking in within.rankings] == [0.1, None]
    assert within.ordered == 4
    assert "cw" in repr(within)
    assert "<table>" in within._repr_html_()


def test_csv_has_numbers_of_inputs(call: Call, attacks: Path) -> None:
    out = call("table", *folders(attacks, "pgd", "fgsm"), "--epsilon", "0.1", "--format", "csv")[1]
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["First"], row["Second"], row["Compared"]) == ("pgd", "fgsm", "within 0.1")
    assert int(row["First ahead"]) >= int(row["Second ahead"])


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (["fgsm"], (), "one attack alone cannot be compared; give two or more"),
        (["fgsm", "fgsm"], (), "an attack is given twice"),
        (["fgsm", "pgd"], ("--epsilon", "0.2"), "was attacked within 0.05, 0.1, not within 0.2; attack again within"),
        (["fgsm", "pgd"], ("--epsilon", "0"), "an epsilon is a finite number above 0, got 0"),
        (["fgsm", "pgd"], ("--epsilon", "much"), "--epsilon"),
        (["fgsm", "pgd"], ("--radii", "0.1"), "attacks are compared with attacks alone"),
        (["fgsm", STORED / "runs" / "ablation"], (), "got 1 of 2 folders with attacks"),
        (["fgsm", STORED / "runs" / "attack-plain"], (), "have different images; only attacks on the same inputs"),
        (["fgsm", STORED / "runs" / "attack-pixels"], (), "have different classifiers and images and norms"),
        ([STORED / "runs" / "ablation"], ("--epsilon", "0.1"), "--epsilon is for folders of attacks"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    call: Call, attacks: Path, given: list[str | Path], options: tuple[str, ...], message: str
) -> None:
    code, _, err = call("table", *(attacks / each for each in given), *options)
    assert code != 0
    assert message in " ".join(err.split())


def test_budgets_that_differ_from_input_to_input_are_refused(call: Call) -> None:
    bound = STORED / "runs" / "attack-bound"
    code, _, err = call("table", bound, bound)
    assert (code, "was attacked within multiples of certified radii" in err) == (1, True), err


def test_an_unfinished_attack_is_said_first(call: Call, attacks: Path, tmp_path: Path) -> None:
    import shutil

    short = tmp_path / "short"
    shutil.copytree(attacks / "fgsm", short)
    lines = (short / "records.jsonl").read_text().splitlines(keepends=True)
    (short / "records.jsonl").write_text("".join(lines[:10]))
    for name in ("results.json",):
        (short / name).unlink(missing_ok=True)
    code, out, err = call("table", short, attacks / "pgd")
    assert code == 0, err
    assert out.startswith("INCOMPLETE: short has 10 of 30 promised inputs; the numbers are about these alone.")
