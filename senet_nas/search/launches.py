"""What a run was made with: a line of `launches.jsonl` for its start, and for each that went on."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata

from senet_nas.search.json_lines import append_line, drop_half_line, read_lines
from senet_nas.search.run_folder import RunFolder
from senet_nas.training.ray_cluster import cluster_address

FILE = "launches.jsonl"
PACKAGES = ("senet-nas", "torch", "ray", "numpy")
NVIDIA_SECONDS = 20


@dataclass(frozen=True)
class Launch:
    """time: UTC. evaluations: finished before it. versions: of Python and `PACKAGES`. machine: that
    the command ran on (workers of a cluster may have others): `system`, `processor` with its
    cores, `usable_cores` where fewer are allowed, `gpus`, and `cluster`, Ray's address, where it
    is one."""

    time: str
    evaluations: int
    versions: Mapping[str, str]
    machine: Mapping[str, str | int | list[str]]

    @classmethod
    def from_line(cls, line: str) -> Launch:
        """The launch of a line. Raises ValueError, KeyError or TypeError where it isn't one."""
        return cls(**json.loads(line))


def record_launch(folder: RunFolder, evaluations: int) -> None:
    """Write down that this process is about to go on with a run."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    launch = Launch(time, evaluations, versions(), machine_here())
    path = folder.path / FILE
    drop_half_line(path)
    append_line(path, json.dumps(asdict(launch)) + "\n")


def launches(folder: RunFolder) -> list[Launch]:
    """Of a run, the first first; none where an older version made it. Raises `InputError` for a
    damaged line."""
    return read_lines(folder.path / FILE, Launch.from_line)


def versions() -> dict[str, str]:
    """Of this process: of Python and of `PACKAGES`."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine_here() -> dict[str, str | int | list[str]]:
    """Of this process, as `Launch` has it."""
    from senet_nas.latency.measuring import machine

    found: dict[str, str | int | list[str]] = {
        "system": platform.platform(),
        "processor": machine("cpu"),
        "gpus": _gpus(),
    }
    usable = len(os.sched_getaffinity(0))
    if usable != os.cpu_count():
        found["usable_cores"] = usable
    if address := cluster_address():
        found["cluster"] = address
    return found


def _gpus() -> list[str]:
    """The driver's names of those that may be used. torch knows them too, but would take some of
    their memory in this process."""
    program = shutil.which("nvidia-smi")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if program is None or visible in ("", "-1"):
        return []
    command = [program, "--query-gpu=name", "--format=csv,noheader"]
    if visible is not None:
        command.append(f"--id={visible}")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=NVIDIA_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
