"""The command line that every benchmark has: its options, `--smoke`, and the machine that it ran on."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# CI looks for this in what a program prints, so that a program that does not know --smoke is found out.
SMOKE = "smoke run: sizes so small that no figure below means anything"
_CPUINFO = Path("/proc/cpuinfo")
# What kernels in bfloat16 and int8 are made of on x86 processors, by the names that Linux has for them.
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
    """The options as given, after saying that it is a smoke run where it is one.

    Args:
        options: made by `parser`.
        needed: arguments that only a smoke run does without, as it makes its own.
    """
    given = options.parse_args()
    missing = [name for name in needed if not getattr(given, name)]
    if missing and not given.smoke:
        options.error(f"got no {' and no '.join(name.upper() for name in missing)}; --smoke makes its own")
    if given.smoke:
        print(SMOKE, flush=True)
    return given


def machine() -> str:
    """One line on what a time was measured with: processor, instruction sets, versions, and what else runs."""
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
    """Its name, as Linux has it; elsewhere as Python has it."""
    return _line("model name") or platform.processor() or platform.machine()


def _having(flags: set[str]) -> str:
    small = [name for name in _SMALL_TYPES if name in flags]
    widest = "avx512f" if "avx512f" in flags else "avx2" if "avx2" in flags else "no avx2"
    return " ".join([widest, *small]) if flags else "instruction sets that are not known here"


def _flags() -> set[str]:
    return set(_line("flags").split())


def _line(name: str) -> str:
    """The first value of that name in /proc/cpuinfo; empty where there is none."""
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
