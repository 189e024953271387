"""`holdfast.predict`, `bound` and `train`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import holdfast as hf
from holdfast.__main__ import main

ROOT = Path(__file__).parents[1] / "stored"
MODEL, PLAIN = ROOT / "models" / "gaussian.safetensors", ROOT / "models" / "plain.safetensors"


def test_predict_gives_the_answers_of_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = hf.predict(MODEL, "digits", n=100, alpha=0.01, every=60, seed=3)
    command = ["--model", str(MODEL), "--n", "100", "--alpha", ".01", "--every", "60", "--seed", "3", "--json"]
    monkeypatch.setattr(sys, "argv", ["holdfast", "predict", *command])
    main()
    told = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in told["predictions"]] == [each.label for each in found]
    assert [each["counts"]["votes"] for each in told["predictions"]] == [list(each.counts.votes) for each in found]
    assert "cut" not in told["predictions"][0]
    assert len(found) == 6
    assert found.accuracy.value == sum(e.label == x.label for e, x in zip(found, found.examples, strict=True)) / 6
    assert repr(found).startswith("<Answers: ")
    assert "<p>" in found._repr_html_()
    pytest.importorskip("pandas")
    frame = found.to_dataframe()
    assert frame["correct"].mean() == found.accuracy.value
    assert frame["n"].tolist() == [each.counts.total for each in found]


def test_bound_gives_a_run(tmp_path: Path) -> None:
    found = hf.bound(PLAIN, "digits", "lipschitz", every=120, out=tmp_path / "run")
    assert found.alpha == 0.0
    assert found.results == hf.load_run(tmp_path / "run").results
    assert all(result.radius > 0 for result in found.results if result.predicted is not None)
    again = hf.verify(found, model=PLAIN, data="digits", replay="all")
    assert again.level == "replay"
    with pytest.raises(hf.UsageError, match="unknown bound 'lipshitz'"):
        hf.bound(PLAIN, "digits", "lipshitz")


def test_train_writes_a_model_and_returns_it(tmp_path: Path) -> None:
    seen: list[int] = []
    out = tmp_path / "m.safetensors"
    model = hf.train(
        "digits",
        hf.Gaussian(0.25),
        out=out,
        epochs=1,
        batch_size=512,
        architecture="digits-mlp",
        progress=lambda p: seen.append(p.step),
    )
    assert seen
    assert model.trained_for == hf.Gaussian(0.25)
    assert model.sha256 == hf.load_model(out).sha256
    assert "trained for gaussian:sigma=0.25" in repr(model)
    assert hf.predict(model, "digits", limit=1, n=50)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epoch": 3}, "train has no setting 'epoch'; it takes batch_size, crop, crop_ratio, ema, epochs"),
        ({"epochs": 0}, "epochs is at least 1, got 0"),
        ({"out": "model.pt"}, "out names a .safetensors file"),
        ({"recipe": "noize"}, "unknown recipe 'noize'"),
    ],
)
def test_wrong_trainings_say_what_is_wrong(arguments: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(hf.UsageError, match=message):
        hf.train("digits", hf.Gaussian(0.25), **{"out": tmp_path / "m.safetensors", **arguments})
