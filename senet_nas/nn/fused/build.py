"""Builds the CPU kernels with the machine's own compiler, once for each type of number, and keeps
them in the user's cache."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from senet_nas.nn.user_cache import default_cache

log = logging.getLogger(__name__)

SOURCES = ("cpu.cpp", "cpu_loops.h", "cpu_numbers.h")
# The sources say themselves what is done in vectors.
FLAGS = ("-std=c++20", "-O2", "-fno-tree-vectorize", "-march=native", "-fopenmp",
         "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")  # fmt: skip
WIDE = "-mprefer-vector-width=512"  # x86 alone; GCC takes half of AVX-512 by itself
BUILD_SECONDS = 300.0  # a compiler that takes longer is given up


class BuildError(RuntimeError):
    """There is no compiler, or it refused."""


def library(type_name: str) -> ctypes.CDLL:
    """The kernels for one type of cpu_numbers.h (`float`, `BFloat16`, `Half`), built where no
    earlier process has. Raises `BuildError`, and `OSError` for a cache that can't be written.

    Processes that start together wait for the first one's build.
    """
    compiler = find_compiler()
    folder = default_cache() / "kernels"
    built = folder / f"{type_name}-{_key(compiler, type_name)}.so"
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with built.with_suffix(".lock").open("w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks: at worst built twice
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not built.exists():
                _build(compiler, type_name, built)
    return ctypes.CDLL(str(built))


def find_compiler() -> list[str]:
    """The command of the C++ compiler: $CXX, or the first of the usual names that is there."""
    if named := shlex.split(os.environ.get("CXX", "")):
        return named
    for usual in ("g++", "clang++"):
        if shutil.which(usual):
            return [usual]
    raise BuildError("no C++ compiler (g++ or clang++) was found")


def _build(compiler: list[str], type_name: str, built: Path) -> None:
    started = time.monotonic()
    wide = [WIDE] if platform.machine() in ("x86_64", "AMD64") else []
    source = Path(__file__).with_name(SOURCES[0])
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        output = Path(folder) / built.name
        options = [*FLAGS, *wide, f"-DSENET_TYPE={type_name}"]
        if type_name == "Half":
            options.append("-DSENET_HALF")
        command = [*compiler, *options, str(source), "-o", str(output), *_openmp()]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError(f"{compiler[0]}: {error}") from None
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), "")
            raise BuildError(f"{compiler[0]} failed ({done.returncode}): {reason}")
        output.replace(built)
    seconds = time.monotonic() - started
    log.info("built the fused CPU kernels for %s in %.0f s: %s", type_name, seconds, built)


def _openmp() -> list[str]:
    """torch's own OpenMP library, so that its threads and ours are the same and don't compete."""
    folder = Path(torch.__file__).parent
    found = [*folder.glob("lib/libgomp*.so*"), *folder.parent.glob("torch.libs/libgomp*.so*")]
    return ["-Wl,--as-needed", *map(str, found[:1])] if found else []


def _key(compiler: list[str], type_name: str) -> str:
    """Of what the result depends on: sources, options, compiler and processor."""
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update(Path(__file__).with_name(name).read_bytes())
    for part in (*compiler, *FLAGS, WIDE, *_openmp(), type_name, _version(compiler), _processor()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:24]


def _version(compiler: list[str]) -> str:
    """The compiler's file, which says more than its name and is found without running it."""
    path = shutil.which(compiler[0])
    if path is None:
        raise BuildError(f"the compiler {compiler[0]!r} was not found")
    real = Path(path).resolve()
    return f"{real} {real.stat().st_size} {real.stat().st_mtime_ns}"


def _processor() -> str:
    """What `-march=native` looks at."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    kinds = ("model name", "flags", "CPU implementer", "CPU part", "Features")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(kinds)))
