"""How the stored runs came about: the commands that made them, and the answers kept beside them.

    python tests/stored/make_stored_runs.py runs FOLDER      models and runs, made again in FOLDER/models, FOLDER/runs
    python tests/stored/make_stored_runs.py answers FOLDER   what the program says of the runs in FOLDER, in
                                                             FOLDER/answers

The runs in this folder were made once, by Holdfast 0.1.0. They are never made again: they stand for what users have on
their disks, which later versions read as this one did. Answers are written again only where one was wrong, each with a
reason; that a test fails is none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from stored_questions import NONCE, ask_all, case_names

COMMON = ("--seed", 5, "--quiet", "--batch-size", 500)
TEN = ("--every", 36, "--n0", 50, "--alpha", 0.01)
FEW = ("--every", 60, "--n0", 50, "--alpha", 0.01)
# The name of a model and how it was trained.
MODELS = {
    "gaussian": ("--noise", "gaussian:sigma=0.25", "--arch", "digits-mlp:widths=48", "--epochs", 15, "--seed", 1),
    "ablation": ("--noise", "ablation:k=20", "--arch", "digits-mlp:widths=48", "--epochs", 15, "--seed", 1),
    "uniform-flip": ("--noise", "uniform-flip:kappa=0.8,levels=17", "--arch", "digits-mlp:widths=48", "--epochs", 40),
    "plain": ("--recipe", "standard", "--arch", "digits-mlp:widths=32", "--epochs", 12, "--seed", 1),
}
# The name of a run with votes, its model, and its settings besides the model.
VOTES: dict[str, tuple[str, tuple[object, ...]]] = {
    "gaussian": ("gaussian", (*TEN, "--n", 500)),
    "gaussian-cohen": ("gaussian", (*FEW, "--n", 500, "--bounds", "cohen")),
    "gaussian-joint": ("gaussian", (*FEW, "--n", 1000, "--joint")),
    "gaussian-linf": ("gaussian", (*FEW, "--n", 500, "--theorem", "cohen_linf")),
    "train-split": ("gaussian", (*FEW, "--n", 200, "--split", "train", "--limit", 5)),
    "looks": ("gaussian", (*TEN, "--n", 3000, "--until-radius", "0,.25,.5")),
    "looks-precision": ("gaussian", (*FEW, "--n", 3000, "--until-precision", "10%")),
    "eprocess": ("gaussian", (*FEW, "--n", 3000, "--until-radius", ".25", "--estimator", "eprocess")),
    "lattice-gaussian": ("gaussian", (*FEW, "--n", 500, "--noise", "lattice-gaussian:sigma=0.25,levels=17")),
    "laplace": ("gaussian", (*TEN, "--n", 500, "--noise", "laplace:b=0.15")),
    "uniform": ("gaussian", (*FEW, "--n", 500, "--noise", "uniform:half_width=0.5")),
    "uniform-linf": ("gaussian", (*FEW, "--n", 500, "--noise", "uniform:half_width=0.5", "--theorem", "overlap_linf")),
    "uniform-flip": ("uniform-flip", (*FEW, "--n", 20000)),
    "ablation": ("ablation", (*TEN, "--n", 500)),
    "partition": ("ablation", (*TEN, "--noise", "partition:k=4")),
    "runoff": ("ablation", (*TEN, "--noise", "partition:k=4,decision=runoff")),
    "columns": ("ablation", (*TEN, "--noise", "columns:width=2")),
    "splitting": ("gaussian", (*TEN, "--noise", "splitting:half_width=0.5,levels=17")),
    "splitting-sampled": (
        "gaussian",
        (*FEW, "--n", 500, "--noise", "splitting:half_width=1,levels=17,shift=3", "--estimator", "fixed"),
    ),
    # With noise that is a function of a counter (docs/decisions/0092), as in "splitting-sampled".
    "counter-gaussian": ("gaussian", (*TEN, "--n", 500)),
    "counter-looks": ("gaussian", (*FEW, "--n", 3000, "--until-radius", "0,.25,.5")),
    "counter-lattice": ("gaussian", (*FEW, "--n", 500, "--noise", "lattice-gaussian:sigma=0.25,levels=17")),
    "counter-laplace": ("gaussian", (*FEW, "--n", 500, "--noise", "laplace:b=0.15")),
    "counter-uniform-flip": ("uniform-flip", (*FEW, "--n", 5000)),
    "counter-ablation": ("ablation", (*TEN, "--n", 500)),
    "bets": ("gaussian", (*TEN, "--n", 3000, "--until-radius", "0,.25,.5", "--estimator", "bets")),
    "bets-precision": (
        "gaussian",
        (*FEW, "--n", 3000, "--until-precision", "10%", "--bounds", "cohen", "--estimator", "bets"),
    ),
}
BOUNDS = {"bound-lipschitz": "lipschitz", "bound-convex": "convex:epsilon=0.02,norm=linf"}
# Its model, the run whose certificates are attacked, and its settings.
ATTACKS: dict[str, tuple[str, str | None, tuple[object, ...]]] = {
    "attack-smoothed": ("gaussian", "gaussian", ("--attack", "smooth-pgd:samples=16", "--limit", 5, "--n", 200)),
    "attack-bound": ("plain", "bound-lipschitz", ("--attack", "pgd:norm=l2,steps=10")),
    "attack-plain": ("plain", None, ("--attack", "pgd:norm=linf,steps=10", "--budget", ".05,.1,.2", "--every", 60)),
    "attack-pixels": (
        "ablation",
        "ablation",
        ("--attack", "pointwise", "--budget", "3,6,12", "--limit", 3, "--n", 100, "--repeats", 20),
    ),
}


def holdfast(*arguments: object) -> str:
    """What the program prints when called with these arguments."""
    call = [sys.executable, "-m", "holdfast", *map(str, arguments)]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    return done.stdout


def make(folder: Path) -> None:
    """Train, certify, prove, attack and import, by the commands that anyone would give."""
    models, runs = folder / "models", folder / "runs"
    models.mkdir(parents=True, exist_ok=True)

    def model(name: str) -> tuple[object, ...]:
        return "--model", models / f"{name}.safetensors"

    for name, settings in MODELS.items():
        out = models / f"{name}.safetensors"
        holdfast("train", "--out", out, "--learning-rate", 0.1, "--quiet", *settings)
    for name, (of, settings) in VOTES.items():
        holdfast("certify", *model(of), "--out", runs / name, *settings, *COMMON)
    for name, bound in BOUNDS.items():
        holdfast("bound", *model("plain"), "--bound", bound, "--every", 36, "--out", runs / name, "--quiet")
    for name, (of, run, settings) in ATTACKS.items():
        against = () if run is None else (runs / run,)
        noise = ("--noise", "none") if run is None else ()
        holdfast("attack", *against, *model(of), *noise, "--out", runs / name, *settings, "--seed", 5, "--quiet")
    derived(runs, model("gaussian"))
    unfinished(runs, model("gaussian"))
    imported(folder, runs)
    for lock in runs.glob("*/lock"):
        lock.unlink()


def derived(runs: Path, model: tuple[object, ...]) -> None:
    """A promise that awaits a nonce, and one that got it and was kept."""
    settings = (*FEW, "--n", 200, "--quiet", "--batch-size", 500)
    holdfast("certify", *model, "--out", runs / "awaiting", *settings, "--promise-only", "--nonce", "later")
    certify = ("certify", *model, "--out", runs / "derived", *settings)
    promise = json.loads(holdfast(*certify, "--promise-only", "--nonce", "later", "--json"))["digest"]
    holdfast(*certify, "--promise", promise, "--nonce", NONCE)


def unfinished(runs: Path, model: tuple[object, ...]) -> None:
    """What a process leaves that was killed while it wrote its fourth record."""
    run = runs / "unfinished"
    holdfast("certify", *model, "--out", run, *FEW, "--n", 200, *COMMON)
    lines = (run / "records.jsonl").read_bytes().splitlines(keepends=True)
    (run / "records.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:40])
    for left in ("results.json", "sessions.jsonl"):
        (run / left).unlink()


def imported(folder: Path, runs: Path) -> None:
    """The log of a run, taken for that of another tool."""
    log = folder / "exported.tsv"
    holdfast("export-log", runs / "gaussian", "--out", log)
    settings = ("--noise", "gaussian:sigma=0.25", "--n", 500, "--n0", 50, "--alpha", 0.01)
    holdfast("import-log", log, *settings, "--data-name", "digits", "--out", runs / "imported")
    log.unlink()


def write_answers(folder: Path) -> None:
    """What the program says now, a file for each run."""
    (folder / "answers").mkdir(exist_ok=True)
    for name in case_names(folder):
        # A question a line, so that a difference shows which one is answered otherwise.
        lines = (f"{json.dumps(asked)}: {json.dumps(answer)}" for asked, answer in ask_all(folder, name).items())
        (folder / "answers" / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    {"runs": make, "answers": write_answers}[sys.argv[1]](Path(sys.argv[2]))
