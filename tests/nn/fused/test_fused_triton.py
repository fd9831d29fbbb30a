"""The Triton programs, in a process of their own: on a GPU where there is one, else interpreted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tails import LAYOUTS

from senet_nas.nn.fused import triton_kernels

MAPS = Path(__file__).with_name("triton_maps.py")


@pytest.mark.slow
def test_the_programs_equal_the_reference():
    pytest.importorskip("triton")
    interpreted = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", MAPS],
        capture_output=True,
        text=True,
        env=os.environ | interpreted,
        cwd=MAPS.parents[3],
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "." in done.stdout.splitlines()[0]


def test_a_gpu_on_which_no_program_runs_is_said(monkeypatch, caplog):
    """As where Triton, which compiles on first use, finds no C compiler."""

    def failing():
        raise RuntimeError("Failed to find C compiler.")

    monkeypatch.setattr(triton_kernels, "_code", failing)
    available = triton_kernels.available.__wrapped__
    assert not available(torch.device("cpu"), torch.bfloat16)
    (record,) = caplog.records
    assert record.getMessage().startswith("SE runs in separate passes on cpu, without Triton: ")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(70_000, 8, 2, 2), (2, 70_000, 1, 2), (1, 3, 4096, 4096)])
def test_a_grid_has_room_for_any_number_of_images(shape, layout):
    """CUDA: up to 65,535 programs on all axes of a grid but the first."""
    x = torch.empty(shape, device="meta", memory_format=LAYOUTS[layout])
    at = triton_kernels._Layout(x)
    assert max(*at.tiles()[1:], *at.rows()[0][1:]) <= 65_535
    assert at.tiles()[0] * at.tiles()[1] * at.block_p * at.block_c >= x.numel()
