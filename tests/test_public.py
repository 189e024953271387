"""The public package: light to import, complete, and as the README shows it."""

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
    with pytest.raises(AttributeError, match="no attribute 'Laplacian'; public are Ablation"):
        holdfast.Laplacian  # noqa: B018


def test_every_noise_and_what_takes_one_is_public() -> None:
    from holdfast.noises.base import NOISES

    for kind in NOISES.all().values():
        assert getattr(holdfast, kind.__name__, None) is kind
    # What the docstrings of `SmoothedClassifier` tell its user to give.
    for name in ("Example", "TopTwo", "Looks", "ProcessesEngine", "RayEngine", "FunctionFactory"):
        assert name in holdfast.__all__


def test_type_checkers_and_the_table_of_homes_know_the_same_names() -> None:
    source = Path(holdfast.__file__).read_text(encoding="utf-8")
    for_checkers = re.findall(r"^    from [\w.]+ import (.*)$", source, re.MULTILINE)
    assert sorted(", ".join(for_checkers).split(", ")) == holdfast.__all__


def test_a_library_that_cannot_be_loaded_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(home: str) -> None:
        raise ImportError("libflint.so: failed to map segment from shared object", name="flint")

    monkeypatch.setattr(holdfast, "import_module", fails)
    said = r"holdfast\.Gaussian could not be loaded.*libflint\.so: failed.*ulimit -v"
    with pytest.raises(ImportError, match=said) as caught:
        holdfast.Gaussian  # noqa: B018
    assert caught.value.name == "flint"


def test_the_example_in_the_readme_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].strip().splitlines()) <= 15
    done = subprocess.run([sys.executable, "-c", blocks[0]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "within" in done.stdout


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
