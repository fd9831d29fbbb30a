"""The kernels are built once, whoever asks first; without a compiler, plain modules run."""

import errno
import fcntl
import logging
import os
import stat
import subprocess
import sys

import pytest
import torch

from senet_nas.nn.fused import build, cpu


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cpu.available.cache_clear()
    yield tmp_path
    cpu.available.cache_clear()


@pytest.fixture
def unbuilt(monkeypatch):
    """No library is loaded yet."""
    monkeypatch.setattr(cpu, "_library", lambda dtype: build.library("float"))


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [("/nowhere/c++", "not found"), ("false", "failed"), ("sleep", "failed")],
)
def test_one_line_says_why_there_are_no_kernels(
    compiler, reason, empty_cache, unbuilt, monkeypatch, caplog
):
    monkeypatch.setenv("CXX", compiler)
    with caplog.at_level(logging.WARNING):
        assert [cpu.available(torch.float32) for _ in range(3)] == [False] * 3
    (record,) = caplog.records
    assert reason in record.getMessage()
    assert not [path for path in empty_cache.rglob("*") if path.suffix == ".so"]


def test_a_cache_that_cannot_be_written_is_said(tmp_path, unbuilt, monkeypatch, caplog):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    cpu.available.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert not cpu.available(torch.float32)
    cpu.available.cache_clear()
    assert len(caplog.records) == 1


def test_a_file_system_without_locks_has_kernels_too(tmp_path, monkeypatch):
    """As some clusters' homes are."""
    path, compiler = build.library("float")._name, tmp_path / "c++"
    compiler.write_text(f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\ncp {path} "$2"\n')
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def refusing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refusing)
    assert build.library("float")._name.startswith(str(tmp_path))


def test_processes_that_start_together_build_once(tmp_path):
    """By a compiler that notes each call, and gives a library that was built before."""
    built = build.library("float")._name
    notes = tmp_path / "notes"
    compiler = tmp_path / "c++"
    compiler.write_text(
        "#!/bin/sh\n"
        f"echo called >> {notes}\n"
        "sleep 1\n"
        'while [ "$1" != -o ]; do shift; done\n'
        f'cp {built} "$2"\n'
    )
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    code = (
        "from senet_nas.nn.fused import cpu; from senet_nas.nn.fused.primitives import kernels_for;"
        "import torch; x = torch.ones(1, 1, 2, 2);"
        "print(kernels_for(x).moments(x, torch.zeros(1))[0].item())"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "CXX": str(compiler)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in started] == ["4.0", "4.0"]
    assert notes.read_text().split() == ["called"]
    assert len(list((tmp_path / "cache").rglob("*.so"))) == 1


def test_importing_builds_nothing(tmp_path):
    code = "import senet_nas.nn, senet_nas.training; import sys; sys.exit(0)"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "CXX": "/nowhere/c++"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["float", "BFloat16", "Half"])
def test_only_half_precision_asks_for_a_type_that_older_compilers_lack(kind, tmp_path, monkeypatch):
    """_Float16: g++ has it from 12 on, and many machines' own is 11."""
    compiler = tmp_path / "c++"
    compiler.write_text(
        f'#!/bin/sh\nfor last; do [ "$last" = -o ] && break; kept="$kept $last"; done\n'
        f"{build.find_compiler()[0]} -E $kept > {tmp_path}/seen\nexit 1\n"
    )
    compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(build.BuildError):
        build.library(kind)
    assert ("Half = _Float16" in (tmp_path / "seen").read_text()) == (kind == "Half")
