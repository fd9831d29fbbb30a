"""What it costs a network to share its weights, by kind of decision: SE, widths, cells, depth.

    python runs/benchmarks/supernet_elastic.py --data cifar10-jpeg.tar.xz --spaces cifar_residual

For each kind a supernet is trained in which decisions of that kind alone are drawn (by `sampling =
"uniform"`), all others being one network's; that network is then scored with the shared weights.
One JSON line: its accuracy for each kind, and where nothing is drawn: by the same recipe, in the
same steps, but alone. What a kind takes off is the price of training all of its options at once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[2]))

from runs.benchmarks import supernet_parts as parts
from runs.benchmarks.supernet import sampled
from search_space import Candidate, InputError, SearchSpace
from strategies.one_shot import single_path

NOTHING = "nothing"


def kind_of(decision: str) -> str:
    """`stage1_block2_kernel` is a kernel."""
    return decision.rsplit("_", maxsplit=1)[-1]


def drawn_of(space: SearchSpace, kind: str, network: Candidate) -> Any:
    """`Strategy.candidate`, for networks that differ from this one in decisions of a kind alone."""
    draw = single_path.Strategy.candidate
    free = [kind_of(decision.name) == kind for decision in space.decisions]

    def candidate(strategy: single_path.Strategy, number: int) -> Candidate:
        options = zip(draw(strategy, number), network, free, strict=True)
        return space.normalise([new if is_free else old for new, old, is_free in options])

    return candidate


def measured(space: str, options: argparse.Namespace) -> dict[str, Any]:
    """Accuracy and seconds by kind."""
    run = parts.run_file(space, options)
    opened = run.space.open()
    network = sampled(space, options)["all"][options.network]
    kinds = list(dict.fromkeys(kind_of(decision.name) for decision in opened.decisions))
    if unknown := set(options.kinds or ()) - {*kinds, NOTHING}:
        raise InputError(f"{space} has no {', '.join(sorted(unknown))}, but {', '.join(kinds)}")
    found: dict[str, Any] = {}
    for kind in options.kinds or [NOTHING, *kinds]:
        work = argparse.Namespace(**{**vars(options), "work": options.work / kind})
        with mock.patch.object(single_path.Strategy, "candidate", drawn_of(opened, kind, network)):
            seconds = parts.train_supernet(space, work)
        parts.forget()
        scores, _ = parts.evaluate(space, work, network, shared=True)
        found[kind] = {"accuracy": scores["accuracy"], "seconds": seconds}
    return {"macs": scores["macs"], "kinds": found}


def main() -> None:
    """Measure and print."""
    parser = parts.options_of(__doc__, ["cifar_residual"], 3)
    parser.add_argument("--networks", type=int, default=20, help="drawn, as supernet.py draws them")
    parser.add_argument("--network", type=int, default=9, help="which of them")
    parser.add_argument("--kinds", nargs="+", help=f"all by default; `{NOTHING}` trains it alone")
    parser.set_defaults(samples=["all"])
    options = parser.parse_args()
    if options.strategy != "single_path":
        parser.error("networks are drawn as single_path draws them")
    try:
        parts.print_spaces("supernet_elastic", options, measured)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
