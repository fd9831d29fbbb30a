"""How soon the page of a long run opens, and what it weighs.

    python runs/benchmarks/page.py [--trials 10000] [--chromium chromium] [--repeats 5]

Trials are made up: networks drawn from the space of a run, with their real costs, accuracies that
grow with MACs, and noise. One JSON line: megabytes, and milliseconds from asking for the page until
its front is drawn, in a headless Chromium that draws in software, of each repeat.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Beside this file stands a `strategies.py`, which is not the package.
sys.path[:] = [
    str(Path(__file__).parents[2]),
    *(p for p in sys.path if p != str(Path(__file__).parent)),
]

import numpy as np  # noqa: E402

from search_space import Candidate, SearchSpace, structural_hash  # noqa: E402
from senet_nas.analysis.report import write_report  # noqa: E402
from senet_nas.cost import cost  # noqa: E402
from senet_nas.search import RunFolder, TrialRecord, load_run_file  # noqa: E402

SEED = 0
RUN = Path(__file__).parents[1] / "cifar10_nsga2.toml"
CLASSES = 10
MUTATED = 0.7  # share of trials that have a parent
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--dump-dom")


def main() -> None:
    """Write the page, open it, and print the line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = RunFolder.create(Path(temporary) / "run", load_run_file(RUN))
        space = folder.run_file().space.open()
        lines = [record.to_line() for record in made_up(space, options.trials)]
        folder.trials_file.write_text("".join(lines))
        page = write_report(folder.path)
        opened = [opens(page, options.chromium) for _ in range(options.repeats)]
        megabytes = page.stat().st_size / 1e6
    print(json.dumps({"trials": options.trials, "MB": round(megabytes, 2), "ms": opened}))


def made_up(space: SearchSpace, count: int) -> list[TrialRecord]:
    """Records of so many distinct networks."""
    rng = np.random.default_rng(SEED)
    found: dict[Candidate, TrialRecord] = {}
    while len(found) < count:
        drawn = list(found)[int(rng.integers(len(found)))] if found else None
        parent = drawn if rng.random() < MUTATED else None
        candidate = space.sample(rng) if parent is None else space.mutate(parent, rng)
        if candidate not in found:
            parents = () if parent is None else (found[parent].number,)
            found[candidate] = record_of(space, candidate, len(found), parents, rng)
    return list(found.values())


def record_of(
    space: SearchSpace,
    candidate: Candidate,
    number: int,
    parents: tuple[int, ...],
    rng: np.random.Generator,
) -> TrialRecord:
    """With its real costs."""
    network = space.build(candidate)
    counted = cost(network, space.image_size or 32, CLASSES)
    accuracy = 60 + 6 * np.log10(counted.macs / 1e6) + rng.normal(0, 4)
    scores = {"accuracy": round(float(accuracy), 2), "loss": round(3 - float(accuracy) / 40, 4)}
    for name in ("params", "macs", "activations"):
        scores[name] = float(getattr(counted, name))
    return TrialRecord(
        number=number,
        candidate=candidate,
        architecture=structural_hash(network),
        scores=scores,
        train_seconds=10.0,
        elapsed_seconds=10.0 * (number + 1),
        curve=tuple(np.round(2.3 - rng.random(2).cumsum() / 2, 4).tolist()),
        parents=parents,
    )


def opens(page: Path, chromium: str) -> int:
    """Milliseconds until the front is drawn, with a new profile."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", f"file://{page}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r'data-front="(\d+)"', done.stdout)
    if found is None:
        raise SystemExit("the page drew no front")
    return int(found[1])


if __name__ == "__main__":
    main()
