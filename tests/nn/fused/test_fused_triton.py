"""The Triton programs, in a process of their own: on a GPU where there is one, else interpreted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
