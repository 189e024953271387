"""How long `holdfast verify` takes for 10,000 synthetic examples, reading the files included, making the claims not.

10 classes, n = 100,000, bounds "split", votes that are almost all distinct. The claims are true ones, made beforehand;
what is timed is their check from the votes.

python benchmarks/verify_speed.py [EXAMPLES]    (default 10,000)
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from common.program import machine, parsed, parser

from holdfast.store.data_manifest import DataManifest
from holdfast.store.run import RunStore, VoteRecord
from holdfast.store.run_manifest import RunManifest
from holdfast.types import Counts
from holdfast.verification.run import Verification, check_claims, check_files
from holdfast.workflows.verify import claims_of

N, CLASSES = 100_000, 10


def write(folder: Path, examples: int) -> None:
    """A run with votes as a trained network casts them: many near unanimous, some near a tie."""
    rng = np.random.default_rng(0)
    promised = RunManifest(
        kind="certify",
        noise={"name": "gaussian", "sigma": 0.5},
        guarantee="cohen",
        estimator={"name": "fixed", "n": N, "alpha": 0.001, "method": "split"},
        n0=100,
        data=DataManifest("synthetic", "test", "0" * 64, examples, (3, 32, 32), 0.0, 1.0, tuple("abcdefghij")),
        model={},
        seed=1,
        block=64,
        precision="float32",
        device="cpu",
        versions={},
    )
    selection = Counts((100,) + (0,) * (CLASSES - 1))
    records = []
    for index in range(examples):
        shares = np.concatenate([[share := rng.beta(3, 0.8)], (1 - share) * rng.dirichlet([0.4] * (CLASSES - 1))])
        records.append(VoteRecord(index, 0, selection, Counts.of(rng.multinomial(N, shares))))
    with RunStore(folder, promised) as store:
        store.append(records)


def main() -> None:
    """Print the seconds."""
    options = parser(__doc__)
    options.add_argument("examples", nargs="?", type=int, default=10_000)
    given = parsed(options)
    examples = 50 if given.smoke else given.examples
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        write(folder, examples)
        start = time.perf_counter()
        claims = claims_of(folder)
        reported = time.perf_counter()
        result = Verification()
        material = check_files(folder, result)
        assert material is not None
        check_claims(material, claims, result)
        seconds = time.perf_counter() - reported
    print(f"{len(result.failures)} failures among {result.claims} claims")
    print(f"verified in {seconds:.1f} s ({1e3 * seconds / examples:.2f} ms an example); ", end="")
    print(f"the estimators took {reported - start:.1f} s to make the claims")


if __name__ == "__main__":
    main()
