"""The public package: light to import, and complete. What the pages show of it runs in `tests/documents`."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast

ROOT = Path(__file__).parent.parent


def test_importing_holdfast_imports_neither_torch_nor_scipy() -> None:
    code = "import sys, holdfast; print([m for m in ('torch', 'scipy', 'numpy', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_noises_estimators_and_analysis_do_without_torch() -> None:
    code = (
        "import sys, holdfast as hf; hf.Gaussian(0.5); hf.Ablation(4); hf.FixedSize(10, 0.1); hf.Norm.L2; "
        "import holdfast.analysis.report, holdfast.store.run; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_public_name_is_there_and_documented() -> None:
    for name in holdfast.__all__:
        assert getattr(holdfast, name).__doc__
    assert dir(holdfast) == holdfast.__all__
    with pytest.raises(AttributeError, match="no attribute 'Laplacian'; its public names are Ablation"):
        holdfast.Laplacian  # noqa: B018


def test_every_noise_and_what_takes_one_is_public() -> None:
    from holdfast.noises.base import NOISES

    for kind in NOISES.all().values():
        assert getattr(holdfast, kind.__name__, None) is kind
    # What the docstrings of `SmoothedClassifier` tell its user to give.
    for name in ("Example", "TopTwo", "Looks", "ProcessesEngine", "RayEngine", "FunctionFactory"):
        assert name in holdfast.__all__


def test_each_line_of_the_stub_has_one_name() -> None:
    """What the module reads by words is what type checkers read."""
    tree = ast.parse((Path(holdfast.__file__).parent / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert all(len(node.names) == 1 and node.names[0].asname for node in imports)
    assert sorted(str(node.names[0].asname) for node in imports) == holdfast.__all__


def test_every_error_estimator_and_engine_is_public() -> None:
    from holdfast import errors, estimators
    from holdfast.sampling.engines.base import Engine

    def all_below(kind: type) -> set[type]:
        return {kind, *(each for below in kind.__subclasses__() for each in all_below(below))}

    assert all(getattr(holdfast, name) for name in ("LocalEngine", "ProcessesEngine", "RayEngine"))
    ours = {each for each in all_below(Engine) if each.__module__.startswith("holdfast.")} - {Engine}
    ours |= {each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)}
    names = ("FixedSize", "Looks", "EProcess", "Bets", "Exact", "RunOff", "TopTwo")
    rules = {getattr(estimators, name) for name in names}
    for each in {*ours, *rules, errors.HoldfastWarning}:
        assert getattr(holdfast, each.__name__) is each


def test_a_wrong_call_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="sigma"):
        holdfast.Gaussian(-1.0)


def test_a_library_that_cannot_be_loaded_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(home: str) -> None:
        raise ImportError("libflint.so: failed to map segment from shared object", name="flint")

    monkeypatch.setattr(holdfast, "_import_module", fails)
    said = r"holdfast\.Gaussian could not be loaded.*libflint\.so: failed.*ulimit -v"
    with pytest.raises(ImportError, match=said) as caught:
        holdfast.Gaussian  # noqa: B018
    assert caught.value.name == "flint"


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_examples_run(script: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_every_fault_of_the_field_has_the_tests_that_the_docs_name() -> None:
    """docs/faults.md names a test for each fault; the names must exist."""
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))
    assert len(named) >= 20
    written = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in named:
        assert f"def {name}(" in written, name
