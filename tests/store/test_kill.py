"""Kill -9 at random moments: the resumed run ends with the records of an uninterrupted one."""

import multiprocessing
import random
import time
from pathlib import Path

import torch
from helpers import CLASSES, examples, manifest, run

from holdfast.execution.certify import certify_run
from holdfast.sampling.classifier import VotingClassifier
from holdfast.sampling.engines.local import LocalEngine
from holdfast.store.run import RECORDS, read_run
from holdfast.store.run_manifest import RunManifest

KILLS = 20


def slow_vote(z: torch.Tensor) -> torch.Tensor:
    time.sleep(0.01)
    return z.flatten(1)[:, :CLASSES]


def work(folder: Path, promised: RunManifest, batch_size: int, backwards: bool) -> None:
    """What the killed processes do: the same run, slowed down, in one of two orders."""
    torch.set_num_threads(1)
    order = (lambda indices: examples(list(indices)[::-1])) if backwards else examples
    certify_run(folder, promised, VotingClassifier(slow_vote, CLASSES), order, LocalEngine(batch_size=batch_size))


def test_twenty_kills_two_batch_sizes_and_two_orders_change_no_record(tmp_path: Path) -> None:
    promised = manifest(size=500, n=700)
    run(tmp_path / "uninterrupted", promised)
    expected = read_run(tmp_path / "uninterrupted").records

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "holdfast.execution.certify", "helpers"])
    chance = random.Random(4)
    folder = tmp_path / "killed"
    kills = within = 0
    while kills < KILLS or read_run(folder).missing:
        process = context.Process(target=work, args=(folder, promised, chance.choice((64, 1000)), kills % 2 == 1))
        process.start()
        while process.is_alive() and not (folder / RECORDS).exists():
            time.sleep(0.01)
        if kills < KILLS:
            process.join(chance.uniform(0.0, 0.9))
            within += process.is_alive()
            process.kill()
            kills += 1
        process.join()
    assert within >= KILLS - 5, "most kills must hit a working process"
    assert read_run(folder).records == expected
    assert len((folder / RECORDS).read_bytes().splitlines()) == len(expected)
