"""How much the SE gates of a supernet's networks look at the image, beside those trained alone.

    python runs/benchmarks/supernet_gates.py --data cifar10-jpeg.tar.xz --spaces cifar_residual

Of the networks that differ in SE alone (as `supernet.py --samples se` compares them): each gate's
deviation over validation images, in the mean over its channels. One JSON line: the median over all
gates, and the share that is constant; for `--alone` of the networks also after training alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from runs.benchmarks import supernet_parts as parts
from runs.benchmarks.supernet import sampled

IMAGES = 128
CONSTANT = 1e-5
SEEN = 1e-3  # of a value that is gated: below, the gate can't be told from what comes out


def deviations(network: Any, images: Any) -> list[float]:
    """Of each gate, in evaluation mode. images: (N, 3, H, W)."""
    import torch

    from senet_nas.nn.fused import disabled
    from senet_nas.nn.squeeze_excitation import SqueezeExcitation

    found: list[float] = []

    def look(_: Any, inputs: Any, output: Any) -> None:
        x = inputs[0]
        gate = torch.where(x.abs() > SEEN, output / x, torch.nan).nanmean((2, 3))  # (N, C)
        variance = (gate - gate.nanmean(0)).square().nanmean(0)
        found.append(float(variance.sqrt().nanmean()))

    handles = [
        module.register_forward_hook(look)
        for module in network.modules()
        if isinstance(module, SqueezeExcitation)
    ]
    with torch.no_grad(), disabled():
        network.eval()(images)
    for handle in handles:
        handle.remove()
    return found


def told(found: list[float]) -> dict[str, float]:
    """Of all gates."""
    values = np.array(found)
    return {
        "gates": len(found),
        "median_deviation": float(np.median(values)),
        "constant": float((values < CONSTANT).mean()),
    }


def measured(space: str, options: argparse.Namespace) -> dict[str, Any]:
    """In the supernet, and alone."""
    from senet_nas.search.evaluation import Evaluator
    from senet_nas.search.weight_sharing.scoring import SupernetEvaluator
    from senet_nas.training import seeded_network, train

    parts.train_supernet(space, options)
    run = parts.run_file(space, options)
    opened, size = run.space.open(), options.image_size
    supernet = parts.supernet_of(space, options)
    shared = SupernetEvaluator(run.evaluation, opened, supernet, run.supernet)
    images = next(iter(shared._scoring)).images[:IMAGES]
    networks = [opened.build(candidate) for candidate in sampled(space, options)["se"]]
    found = [value for one in networks for value in deviations(shared.network(one), images)]
    alone: list[float] = []
    evaluator = Evaluator(run.evaluation)
    for one in networks[: options.alone]:
        network = seeded_network(one, len(evaluator.classes), size, parts.SEED)
        statistics = {"mean": shared.mean, "std": shared.std}
        train(network, evaluator.training, evaluator.recipe, seed=parts.SEED, **statistics)
        alone += deviations(network, images)
    return {"supernet": told(found), **({"alone": told(alone)} if alone else {})}


def main() -> None:
    """Measure and print."""
    parser = parts.options_of(__doc__, ["cifar_residual"], 8)
    parser.add_argument("--networks", type=int, default=20, help="that differ in SE alone")
    parser.add_argument("--alone", type=int, default=4, help="of them, trained alone too")
    parser.set_defaults(samples=["se"])
    options = parser.parse_args()
    parts.print_spaces("supernet_gates", options, measured)


if __name__ == "__main__":
    main()
