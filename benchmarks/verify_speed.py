"""Time of `holdfast verify` on 10,000 synthetic examples, including reading the files but not making the claims.

10 classes, n = 100,000, bounds "split", votes that are almost all distinct. The claims are true and made
beforehand; only their check from the votes is timed.

python benchmarks/verify_speed.py [EXAMPLES]    (default 10,000)
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from common.made_run import write_run
from common.program import machine, parsed, parser

from holdfast.analysis.runs import analyze
from holdfast.store.run import read_run
from holdfast.verification.run import Verification, check_claims, check_files
from holdfast.workflows.verify import claims_of


def main() -> None:
    """Print the seconds."""
    options = parser(__doc__)
    options.add_argument("examples", nargs="?", type=int, default=10_000)
    given = parsed(options)
    examples = 50 if given.smoke else given.examples
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        write_run(folder, examples)
        start = time.perf_counter()
        claims = claims_of(analyze(read_run(folder)))
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
