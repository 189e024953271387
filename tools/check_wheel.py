"""Install a wheel into an empty environment, outside of the checkout, and use it as a newcomer would.

    python tools/check_wheel.py DIST

DIST holds one wheel, and the source distribution that it was built from. What is checked: what both hold; that the
README's example runs; that the command says its version, plans, and certifies the digits that come with the package.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Parts of the package that are no code, and what others need of the source.
IN_THE_WHEEL = ("holdfast/data/files/", "holdfast/py.typed")
IN_THE_SOURCE = ("README.md", "LICENSE", "docs/formats.md", "tests/", "constraints.txt", "src/holdfast/")


def main() -> None:
    """Check the wheel in the folder that the command line names."""
    folder = Path(sys.argv[1]).resolve()
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        expect(wheel.name, opened.namelist(), IN_THE_WHEEL)
    with tarfile.open(source) as opened_source:
        expect(source.name, ["/".join(name.split("/")[1:]) for name in opened_source.getnames()], IN_THE_SOURCE)
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {source.name}: {source.stat().st_size:,} bytes")
    with tempfile.TemporaryDirectory() as place:
        use(wheel, Path(place))
    print(f"{wheel.name} works in an empty environment")


def expect(name: str, held: list[str], parts: tuple[str, ...]) -> None:
    """End the program unless every part is there."""
    missing = [part for part in parts if not any(each.startswith(part) for each in held)]
    if missing:
        sys.exit(f"{name} lacks {', '.join(missing)}")


def use(wheel: Path, place: Path) -> None:
    """Install the wheel into an environment in the empty folder `place`, and try it there."""
    venv.create(place / "venv", with_pip=True)
    bin_folder = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints.txt"
    (torch,) = re.findall(r"^torch==.*$", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    pip = (bin_folder / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints)
    # torch by itself first, as the Makefile does: of one version there may be a build for processors at hand.
    run(place, *pip, torch)
    run(place, *pip, wheel)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    printed = run(place, bin_folder / "python", "-W", "error", "-c", example)
    assert printed.count("radius") == 3, printed
    where = run(place, bin_folder / "python", "-c", "import holdfast; print(holdfast.__file__)")
    assert where.startswith(str(place)), f"imported from {where}, not from the wheel"
    holdfast = bin_folder / "holdfast"
    version = wheel.name.split("-")[1]
    assert run(place, holdfast, "--version") == f"holdfast {version}\n"
    assert "at most: L2 radius" in run(place, holdfast, "plan", "--noise", "gaussian:sigma=0.5")
    made = ("--noise", "gaussian:sigma=0.25", "--epochs", "1", "--quiet", "--out", "m.safetensors")
    run(place, holdfast, "train", *made)
    run(place, holdfast, "certify", "--model", "m.safetensors", "--limit", "5", "--n", "100", "--quiet", "--out", "run")
    assert "OK" in run(place, holdfast, "verify", "run")


def run(place: Path, *command: str | Path) -> str:
    """What a command prints that runs in `place` and knows nothing of this checkout."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HOLDFAST"))}
    done = subprocess.run(command, cwd=place, env=known, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
