"""The command line of every benchmark: its options, `--smoke`, and the machine that it ran on."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# CI looks for this in the output, to find programs that do not know --smoke.
SMOKE = "smoke run: sizes so small that no figure below means anything"
_CPUINFO = Path("/proc/cpuinfo")
# Instruction sets of x86 processors for bfloat16 and int8, by their names in Linux.
_SMALL_TYPES = ("avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_PACKAGES = ("torch", "openvino", "nncf", "onnxruntime")


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with `--smoke`, and the docstring of the program as its help."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--smoke", action="store_true", help="do everything once in seconds, with sizes that mean nothing"
    )
    return made


def parsed(options: argparse.ArgumentParser, *needed: str) -> argparse.Namespace:
    """Parse the command line, and say so if it is a smoke run.

    Args:
        options: made by `parser`.
        needed: arguments that only a smoke run may omit, since it makes its own.
    """
    given = options.parse_args()
    missing = [name for name in needed if not getattr(given, name)]
    if missing and not given.smoke:
        options.error(f"got no {' and no '.join(name.upper() for name in missing)}; --smoke makes its own")
    if given.smoke:
        print(SMOKE, flush=True)
    return given


def machine() -> str:
    """One line about the machine of a measurement: processor, instruction sets, versions, and load."""
    import torch

    found = [
        f"{processor()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}",
        f"torch computes with {torch.backends.cpu.get_cpu_capability()}, {_threads(torch.get_num_threads())}",
        f"the processor has {_having(_flags())}",
        ", ".join(each for each in map(_versioned, _PACKAGES) if each),
    ]
    limits = [f"{name}={os.environ[name]}" for name in _LIMITS if os.environ.get(name)]
    return "; ".join([*found, *limits])


def processor() -> str:
    """The processor's name from Linux, or elsewhere from Python."""
    return _line("model name") or platform.processor() or platform.machine()


def _having(flags: set[str]) -> str:
    small = [name for name in _SMALL_TYPES if name in flags]
    widest = "avx512f" if "avx512f" in flags else "avx2" if "avx2" in flags else "no avx2"
    return " ".join([widest, *small]) if flags else "unknown instruction sets"


def _flags() -> set[str]:
    return set(_line("flags").split())


def _line(name: str) -> str:
    """The first value of this name in /proc/cpuinfo, or an empty string."""
    if not _CPUINFO.is_file():
        return ""
    pairs = (line.partition(":") for line in _CPUINFO.read_text(encoding="utf-8").splitlines())
    return next((value.strip() for key, _, value in pairs if key.strip() == name), "")


def _threads(count: int) -> str:
    return "one thread" if count == 1 else f"{count} threads"


def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
