"""A seed decides, and not the order in which a process happens to iterate over a set of strings:
that differs from one process to the next, and with it what a set of names gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hashlib, json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from measures import make, run
from search_space import load
from search_space.problems import conditional
from senet_nas.search.weight_sharing.one_shot import seeded_supernet
from senet_nas.training import seeded_network
from strategies import strategy_names, strategy_settings

def digest(network):
    found = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        found.update(name.encode() + tensor.numpy().tobytes())
    return found.hexdigest()

problem, small = conditional(), {"population_size": 10, "pool": 50, "sample_size": 5}
told = {}
for name in strategy_names():
    given = {key: small[key] for key in small if key in strategy_settings(name)}
    told[name] = run(make(name, problem, seed=3, **given), problem.score, 30)
for name in ("cifar_tiny", "cifar_residual", "cifar_mobile"):
    space = load(name)
    told["supernet of " + name] = digest(seeded_supernet(space, 10, 0))
    architecture = space.build(space.sample(np.random.default_rng(0)))
    told["network of " + name] = digest(seeded_network(architecture, 10, 16, 0))
print(json.dumps(told))
"""


def told(hash_seed: int) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent / "strategies")],
        env=os.environ | {"PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_candidates_and_initial_weights_are_the_same_in_every_process():
    first, second = told(1), told(2)
    assert len(first) > 10
    assert [name for name in first if first[name] != second[name]] == []
