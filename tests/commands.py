"""The command line for tests: in this process where a process is not the point, else started."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from senet_nas.cli import main
from senet_nas.data import SAMPLE
from senet_nas.search import RunFolder

CLASSES = ("airplane", "cat", "ship")
TRIALS = 10
RUN = """
[space]
name = "cifar_tiny"

[strategy]
name = "nsga2"
population_size = 3

[objectives]
accuracy = "max"
macs = "min"

[evaluation]
data = "{images}"
image_size = 16
epochs = 1
precision = "fp32"

[resources]
workers = 1

[budget]
trials = {trials}
"""


@dataclass(frozen=True)
class Done:
    """What a command left: its exit status and what it printed."""

    status: int
    stdout: str
    stderr: str

    def data(self):
        """The one JSON document on stdout; fails where anything else stands there."""
        return json.loads(self.stdout)


def senet_nas(*arguments: object) -> Done:
    """Run a command in this process. What it raises beyond `SystemExit` is a traceback."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["senet-nas", *map(str, arguments)]
    status = 0
    with mock.patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
    return Done(status, out.getvalue(), err.getvalue())


def refused(*arguments: object) -> str:
    """The message of a command that must be refused: status 2, one line, nothing on stdout."""
    done = senet_nas(*arguments)
    assert (done.status, done.stdout) == (2, ""), done
    return one_error(done.stderr)


def one_error(stderr: str) -> str:
    """The one line that must be all of stderr."""
    assert stderr.startswith("error: "), stderr
    assert stderr.count("\n") == 1, stderr
    assert stderr.endswith("\n"), stderr
    return stderr[len("error: ") : -1]


def start(*arguments: object, **environment: str) -> subprocess.Popen:
    """Start a command as a process that leads a group of its own, and heeds an interrupt: a shell
    has what it starts in the background ignore it, and so would all that is started from there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is handled isn't ignored there
    return subprocess.Popen(
        [sys.executable, "-m", "senet_nas.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        start_new_session=True,
    )


def finish(process: subprocess.Popen, seconds: float = 180) -> Done:
    """Wait for the end of a started command."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"still running after {seconds} s: {stdout} {stderr}") from None
    return Done(process.returncode, stdout, stderr)


def wait_for(condition, seconds: float = 120):
    """What `condition` returns once it returns something true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited {seconds} s in vain")


def lines(path: Path) -> int:
    """How many whole lines a file has; 0 where there is none."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def write_images(path: Path, classes=CLASSES, train: int = 16, test: int = 6) -> Path:
    """Some of the carried images as a folder `path`, with `train/` and `test/` in it."""
    left = {(split, name): n for name in classes for split, n in (("train", train), ("test", test))}
    with tarfile.open(SAMPLE) as archive:
        for member in archive:
            kind = tuple(Path(member.name).parts[:2])
            if left.get(kind, 0) > 0:
                left[kind] -= 1
                file = path / member.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.extractfile(member).read())
    return path


def write_run(path: Path, images: Path, trials: int = TRIALS) -> Path:
    """A run file for a search of a few seconds on `images`."""
    path.write_text(RUN.format(images=images, trials=trials))
    return path


@dataclass(frozen=True)
class Folder:
    """A working folder with `run.toml` in it."""

    path: Path

    def replace(self, old: str, new: str) -> None:
        """Edit the run file; fails where `old` isn't in it."""
        text = (self.path / "run.toml").read_text()
        assert old in text
        (self.path / "run.toml").write_text(text.replace(old, new))

    def holds(self) -> set[str]:
        """The names of all that lies in it."""
        return {entry.name for entry in self.path.iterdir()}

    def trials(self, name: str = "out"):
        """The records of a run in it."""
        return RunFolder.open(self.path / name).trials()
