"""What a trial costs beyond its training: a real search with one worker, very short trainings.

    python runs/benchmarks/trial_overhead.py

Prints one JSON line: the median and largest seconds between the end of one trial and the end of
the next that weren't spent on training and scoring, after the first trial (which starts Ray's
worker and imports torch), and the first trial's own.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path

from senet_nas.search import load_run_file, search
from senet_nas.search.progress import ConsoleProgress

TRIALS = 30
SETTINGS = (
    f"budget.trials={TRIALS}",
    "resources.workers=1",
    "evaluation.epochs=1",
    "evaluation.fraction=0.1",
    "evaluation.validation=0.05",
)


def main() -> None:
    """Run the search in a temporary folder and print the line."""
    run = load_run_file(Path(__file__).parents[1] / "quickstart.toml", SETTINGS)
    progress = ConsoleProgress()
    with tempfile.TemporaryDirectory() as folder:
        records = search(run, Path(folder) / "run", progress).trials()
    progress.stop()
    beyond = [
        after.elapsed_seconds - before.elapsed_seconds - after.train_seconds
        for before, after in pairwise(records)
    ]
    result = {
        "benchmark": "trial_overhead",
        "trials": len(records),
        "median_overhead_seconds": round(statistics.median(beyond), 4),
        "largest_overhead_seconds": round(max(beyond), 4),
        "median_train_seconds": round(statistics.median(r.train_seconds for r in records[1:]), 4),
        "first_trial_overhead_seconds": round(
            records[0].elapsed_seconds - records[0].train_seconds, 3
        ),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
