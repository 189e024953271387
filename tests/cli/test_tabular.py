"""A random forest on a table: L0 exactly, L2 by sampling, from the command line and from Python."""

from __future__ import annotations

import csv
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from program import Call

import holdfast as hf
from holdfast.noises.draws import Draws
from holdfast.store.run import VoteRecord, read_run

TABLE = "csv:{folder}/breast.csv,label=target"
ABLATION = "ablation:k={k},null=mean,fill=0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's breast_cancer as a table, and forests for each noise as skops saves them."""
    skops = pytest.importorskip("skops.io", reason="skops is not installed")
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    place, data = tmp_path_factory.mktemp("table"), load_breast_cancer()
    with (place / "breast.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*(name.replace(" ", "_") for name in data.feature_names), "target"])
        for values, label in zip(data.data, data.target, strict=True):
            rows.writerow([*map(repr, map(float, values)), data.target_names[label]])
    train = hf.load_data(TABLE.format(folder=place), "train")
    names, x = np.array(train.class_names), torch.from_numpy(train.batch(range(len(train))))
    noises = {"2": hf.Ablation(2, null="mean", fill=(0.0,)), "3": hf.Ablation(3, null="mean", fill=(0.0,)),
              "l2": hf.Gaussian(20.0)}  # fmt: skip
    for name, noise in noises.items():
        noisy = torch.cat([noise.sample(each, Draws(0, row, 0, 20)) for row, each in enumerate(x)]).numpy()
        forest = RandomForestClassifier(15, min_samples_leaf=3, random_state=0)
        skops.dump(forest.fit(noisy, names[np.repeat(train.labels, 20)]), place / f"{name}.skops")
    return place


@pytest.mark.parametrize("k", [2, 3])
def test_l0_is_exact_for_a_forest(folder: Path, k: int, tmp_path: Path, call: Call) -> None:
    table, model, noise = TABLE.format(folder=folder), folder / f"{k}.skops", ABLATION.format(k=k)
    code, out, err = call(
        "certify",
        "--model",
        model,
        "--data",
        table,
        "--noise",
        noise,
        "--limit",
        6,
        "--out",
        tmp_path / "cli",
        "--quiet",
    )
    assert code == 0, err
    assert "exact" in out
    run = hf.certify(hf.load_model(model), table, noise, limit=6, out=tmp_path / "python", progress=False)
    assert run.alpha == 0.0
    assert [each.radius for each in run.results] == [each.radius for each in hf.load_run(tmp_path / "cli").results]
    # By hand: every set of k features once.
    data, forest = hf.load_data(table), hf.load_model(model).module
    sets = np.array(list(combinations(range(30), k)))
    for record in read_run(tmp_path / "cli").records:
        assert isinstance(record, VoteRecord)
        x = data[record.index].x
        shown = np.zeros((len(sets), 30), dtype=np.float32)
        np.put_along_axis(shown, sets, x[sets], axis=1)
        votes = forest(torch.from_numpy(shown))
        assert record.estimation.votes == tuple(int((votes == label).sum()) for label in (0, 1))
        assert record.estimation.total == math.comb(30, k)
    # Levine & Feizi, Theorem 1 on exact counts: p_top - p_other > 2 (1 - C(30 - r, k)/C(30, k)).
    for each, record in zip(run.results, read_run(tmp_path / "cli").records, strict=True):
        assert isinstance(record, VoteRecord)
        lead = 2 * max(record.estimation.votes) - math.comb(30, k)
        known = [r for r in range(31) if lead > 2 * (math.comb(30, k) - math.comb(30 - r, k))]
        assert each.radius == (max(known) if known else 0)


def test_l2_is_sampled_for_a_forest(folder: Path, tmp_path: Path, call: Call) -> None:
    table, model = TABLE.format(folder=folder), folder / "l2.skops"
    options = ("--noise", "gaussian:sigma=20", "--sample", 20, "--n", 500, "--seed", 3, "--quiet")
    code, _, err = call("certify", "--model", model, "--data", table, *options, "--out", tmp_path / "cli")
    assert code == 0, err
    run = hf.certify(
        hf.load_model(model),
        table,
        hf.Gaussian(20.0),
        sample=20,
        n=500,
        seed=3,
        out=tmp_path / "python",
        progress=False,
    )
    found = hf.load_run(tmp_path / "cli")
    assert [each.radius for each in run.results] == [each.radius for each in found.results]
    right = [each for each in run.results if each.predicted == each.label]
    assert len(right) >= 14
    assert hf.verify(run, model=hf.load_model(model), data=table, replay=3).ok
