"""Ray: the records of the local engine, whatever happens to a worker, a node or the driver."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from engine_cases import NOISE, PATIENCE, PROCEDURE, Real, Seen, alive, collected, drawn, examples, expected, wait_until

from holdfast.errors import HoldfastError, MissingExtraError, RunError, UsageError
from holdfast.estimators import FixedSize, Looks, scale_of
from holdfast.noises.gaussian import Gaussian
from holdfast.sampling.engines import ray_failures, ray_head, stopped
from holdfast.sampling.engines.local import LocalEngine
from holdfast.sampling.engines.ray import RayEngine
from holdfast.sampling.procedure import Votes
from holdfast.store.run import RECORDS, read_run
from holdfast.types import Example
from holdfast.workflows.specs import parse_engine

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed", exc_type=ImportError)

PROGRAM = [sys.executable, "-m", "holdfast"]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import the modules in this folder."""
    known = filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(known))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes on this machine, with one core each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


def test_records_are_those_of_the_local_engine(tmp_path: Path, real: Real, cluster: Any) -> None:
    early = Looks(5000, 0.01, (0.1, 0.3), None, scale=scale_of(Gaussian(0.25), "cohen", (1, 8, 8)))
    for name, estimator, batch_size in (("fixed", FixedSize(700, 0.01), 64), ("early", early, 1000)):
        local = real.run(tmp_path / f"{name}-local", estimator, LocalEngine(batch_size=333))
        engine = RayEngine(batch_size=batch_size, address=cluster.address)
        assert real.run(tmp_path / name, estimator, engine) == local
    (session,) = read_run(tmp_path / "early").sessions
    assert session.settings == {"engine": "ray", "device": "cpu", "threads": 1, "batch_size": 1000}


def test_another_installation_is_refused(real: Real, cluster: Any) -> None:
    with pytest.raises(RunError, match=r"torch is .* there and 1.0 at the driver"):
        collected(drawn(RayEngine(1, address=cluster.address), real.factory(torch="1.0")))


def test_other_code_is_refused(real: Real, cluster: Any) -> None:
    factory = replace(real.factory(), code={"holdfast.sampling.rng": "0" * 64})
    with pytest.raises(RunError, match=r"a worker has other code than the driver in holdfast\.sampling\.rng"):
        collected(drawn(RayEngine(1, address=cluster.address), factory))


def disturbed(
    cluster: Any, factory: Seen, disturb: Callable[[], None], warned: pytest.WarningsRecorder
) -> dict[int, Votes]:
    """A run on both nodes, disturbed while both work; it continues for some examples after a loss is reported."""
    disturbed_at: list[int] = []
    warned_at: list[int] = []

    def long_enough() -> Iterator[Example]:
        for index in count():
            if disturbed_at and len(warned) and not warned_at:
                warned_at.append(index)
            if warned_at and index > warned_at[0] + 20:
                return
            yield from examples([index])

    votes: dict[int, Votes] = {}
    engine = RayEngine(2, batch_size=100, address=cluster.address)
    for example, each in engine.run(factory, NOISE, PROCEDURE, 9, long_enough()):
        votes[example.index] = each
        if len(factory.workers()) == 2 and not disturbed_at:
            disturb()
            disturbed_at.append(max(votes))
    assert disturbed_at
    return votes


def test_a_killed_worker_changes_nothing(tmp_path: Path, cluster: Any) -> None:
    factory = Seen(tmp_path)
    died = "a worker was lost: its process died: it was killed, ran out of memory"
    with pytest.warns(RuntimeWarning, match=died) as warned:
        votes = disturbed(cluster, factory, lambda: os.kill(factory.workers()[0], signal.SIGKILL), warned)
    assert votes == expected(len(votes))


def test_all_actors_stopped_are_an_error(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One on the driver's node, which can be inspected, and one on the other node, of which only silence is known."""
    for name, seconds in (("STOPPED_SECONDS", 3.0), ("SILENT_SECONDS", 4.0), ("_LONGER", 1.0)):
        monkeypatch.setattr(stopped, name, seconds)
    factory = Seen(tmp_path)
    votes: dict[int, Votes] = {}

    def work() -> None:
        for example, each in RayEngine(2, batch_size=100, address=cluster.address).run(
            factory, NOISE, PROCEDURE, 9, map(one, count())
        ):
            votes[example.index] = each
            if len(factory.workers()) == 2:
                for pid in factory.workers():
                    os.kill(pid, signal.SIGSTOP)

    try:
        with pytest.raises(HoldfastError, match="all 2 workers have been stopped, as by SIGSTOP"):
            work()
    finally:
        for pid in factory.workers():
            ray_failures.kill_actor(pid)
    assert votes == {index: each for index, each in expected(max(votes) + 1).items() if index in votes}


def one(index: int) -> Example:
    return next(examples([index]))


def test_a_lost_node_changes_nothing(tmp_path: Path, cluster: Any) -> None:
    node = cluster.worker_nodes.copy().pop()
    with pytest.warns(RuntimeWarning, match="a worker was lost: its (process died|node)") as warned:
        votes = disturbed(cluster, Seen(tmp_path), lambda: cluster.remove_node(node, allow_graceful=False), warned)
    assert votes == expected(len(votes))


def test_on_this_machine_alone_and_after_the_driver_was_killed(tmp_path: Path, real: Real) -> None:
    command = [*PROGRAM, "certify", "--model", str(real.model), "--out", str(tmp_path / "run"), "--every", "20"]
    # So many samples that one worker alone is not done before the other one has started.
    command += ["--n", "60000", "--seed", "3", "--engine", "ray:2", "--batch-size", "100", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as driver:
        wait_until(lambda: (tmp_path / "run" / RECORDS).exists() and bool(read_run(tmp_path / "run").records))
        # The second worker may start after the first one's first record.
        wait_until(lambda: len(actors(driver.pid)) == 2 or driver.poll() is not None)
        started, workers = descendants(driver.pid), actors(driver.pid)
        driver.kill()
    kept = len(read_run(tmp_path / "run").records)
    wait_until(lambda: not any(map(alive, workers)))
    # Ray's own agents take most of a minute to notice that they are alone.
    for pid in filter(alive, started):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=True)
    assert json.loads(ended.stdout)[0]["examples"] == 18
    assert ended.stderr == "", "Ray has nothing to say"
    assert kept < 18, "the driver should have been killed at work"
    local = [*command, "--out", str(tmp_path / "local"), "--engine", "local"]
    subprocess.run(local, capture_output=True, timeout=2 * PATIENCE, check=True)
    assert read_run(tmp_path / "run").records == read_run(tmp_path / "local").records


def test_standard_output_is_only_what_the_program_prints() -> None:
    lines = [
        "import time, torch",
        "from holdfast.sampling.engines.ray import RayEngine",
        "from engine_cases import Seen, drawn, examples",
        "from pathlib import Path",
        "import ray, tempfile",
        "from ray._private.utils import publish_error_to_driver",
        "results = iter(drawn(RayEngine(1), Seen(Path(tempfile.mkdtemp()))))",
        "next(results)",
        "client = ray._private.worker.global_worker.gcs_client",
        "publish_error_to_driver('worker_died', 'A worker died', client)",
        "time.sleep(2)",
        "results.close()",
        "print('ended')",
        "ray.init(address='local', num_cpus=1, include_dashboard=False, log_to_driver=False)",
        "client = ray._private.worker.global_worker.gcs_client",
        "publish_error_to_driver('worker_died', 'Of the user', client)",
        "time.sleep(2)",
    ]
    ended = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr
    first, rest = ended.stdout.split("\n", 1)
    assert first == "ended", "a message of Ray's daemons is not in what the program prints"
    assert "Of the user" in rest, "afterwards Ray prints as its user is used to"


def actors(pid: int) -> list[int]:
    """Ray's workers among the descendants of a process."""
    found = []
    for each in descendants(pid):
        with suppress(FileNotFoundError):
            found += [each] if b"_Actor" in Path(f"/proc/{each}/cmdline").read_bytes() else []
    return found


def descendants(pid: int) -> list[int]:
    """All descendants of a process."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [each for child in map(int, found.stdout.split()) for each in [child, *descendants(child)]]


def test_an_address_where_no_cluster_is_says_so() -> None:
    with pytest.raises(HoldfastError, match=r"no Ray cluster answers at '127.0.0.1:1'.*ray start --head"):
        collected(drawn(RayEngine(1, address="127.0.0.1:1"), Seen(Path())))


def test_a_port_where_something_else_is_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            ray_head.check_address(address, 0.2)
        head = ray_head.Head(address, iter(range(0, 10**6, 100)).__next__)
        other.close()
        assert [head.is_lost() for _ in range(5)] == [False, False, False, True, True]
    with pytest.raises(HoldfastError, match=rf"no Ray cluster answers at '{address}'.*`ray start --head`"):
        collected(drawn(RayEngine(1, address=address), Seen(Path())))


def test_a_ray_cluster_answers_a_knock(cluster: Any) -> None:
    ray_head.check_address(cluster.address, PATIENCE)
    assert not ray_head.Head(cluster.address, iter([0.0, 100.0, 100.0]).__next__).is_lost()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ray.exceptions.ObjectStoreFullError("x"), "object store is full.*Give Ray more room"),
        (ray.exceptions.OutOfDiskError("x"), "the disk that Ray's object store spills to is full"),
        (ray.exceptions.WorkerCrashedError(), "its process died"),
        (ray.exceptions.RaySystemError("gone\nTraceback of many lines"), r"RaySystemError: .*gone\."),
    ],
)
def test_failures_of_ray_are_named_in_plain_words(error: Exception, words: str) -> None:
    whole = f"Ray on this machine failed: .*{words}.*goes on from there"
    with pytest.raises(HoldfastError, match=whole) as raised, ray_failures.explain_ray_failure(None):
        raise error
    assert "\n" not in str(raised.value)
    assert "Traceback" not in str(raised.value)


def test_an_actor_that_cannot_be_made_says_why() -> None:
    message = "Traceback:\n  File x\nModuleNotFoundError: No module named 'holdfast'\n"
    error = ray.exceptions.RayTaskError("_Actor.__init__", message, ImportError("x"), actor_id="0")
    died = ray.exceptions.ActorDiedError(error)
    words = ray_failures.describe_failure(died)
    assert words == "it could not be made: ModuleNotFoundError: No module named 'holdfast'"


def test_another_version_and_no_start_are_named() -> None:
    message = "Version mismatch: The cluster was started with:\n    Ray: 1.0\n    Python: 3.9\n"
    other = r"another version of Ray or of Python .*Ray: 1.0 Python: 3.9.* Install the"
    with pytest.raises(HoldfastError, match=other), ray_failures.explain_join_failure("a:1"):
        raise RuntimeError(message)
    none = r"Ray could not be started .*no room.* the engine processes:N needs none"
    with pytest.raises(HoldfastError, match=none), ray_failures.explain_start_failure():
        raise OSError("no room")


def test_the_log_of_ray_does_not_reach_the_terminal_and_other_lines_do(capfd: pytest.CaptureFixture[str]) -> None:
    with ray_failures.ray_log_hidden():
        os.write(
            2, b"[2026-11-28 10:24:04,621 W 28377 28377] gcs_client.cc:210: Failed to get\nanother \x1b[31m line\n"
        )
    assert capfd.readouterr().err == "another \\x1b[31m line\n"


def test_only_an_actor_is_killed(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        ray_failures.kill_actor(bystander.pid)
        assert alive(bystander.pid)
    finally:
        bystander.kill()
        bystander.wait()


def test_engines_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_engine("ray:3", "auto", "cpu", None, 2) == RayEngine(3, "cpu", None, 2, "auto")
    assert parse_engine("ray", None, "cuda", None, 1).device == "cuda", "the GPUs may be on other machines"
    assert RayEngine(1, "cuda").settings()["device"] == "cuda"
    with pytest.raises(UsageError, match="Ray deals the GPUs"):
        RayEngine(1, "cuda:1")
    with pytest.raises(UsageError, match="number of Ray workers is at least 1"):
        RayEngine(0)
    with pytest.raises(UsageError, match="an engine is local, processes:N"):
        parse_engine("ray:many", None, "cpu", None, 1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'holdfast-robustness\[ray\]'"):
        RayEngine(1)
