"""What SE costs in time: networks with it over the same without, ours beside timm's.

    python runs/benchmarks/se_overhead.py [--threads N] [--rounds N] [--only KEY ...] [--clock cpu]
    python runs/benchmarks/se_overhead.py --device cuda --batch 256

Prints one JSON line. Each ratio is the median over rounds in which the networks take turns in one
process, each figure under `milliseconds` the median of one network. `train_bf16`, `train_fp32`:
a training step of `se_resnet50` over one of `resnet50` as the trainer takes it (autocast,
channels_last, fused SGD), 224 x 224, batch 16. `infer_bf16_b16`, `infer_bf16_b1`: inference as
`evaluate` does it. `cifar_train_bf16`: SE-ResNet-20 over ResNet-20, 32 x 32, batch 128;
`cifar_vs_plain_eager`: SE-ResNet-20 over ResNet-20 run by its plain modules; `cifar_train_fp32` and
`cifar_fp32_vs_plain_eager`: the same in float32, which is what processors without bfloat16 train
in. `vs_timm`: images/s of
`se_resnet50` over those of timm's `seresnet50`, training in bf16; under `timm` the same ratios for
timm's networks, under `without_se_vs_timm` images/s of our `resnet50` over those of timm's: so that
no ratio is won by a slow network without SE. `kernels`: gigabytes per second of each fused map, and
beside them a copy's; on a GPU in bf16 on (batch, 256, 56, 56), with its share of the memory's peak,
on a CPU in both types on (batch, 64, 56, 56). On a GPU `train_bf16` and `kernels` alone, unless
asked. Inputs are random: times don't depend on them. `--clock cpu` counts the process's CPU time
instead of the wall's, for a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn

from search_space import SE, published
from search_space.published.cifar_resnet import cifar_resnet
from senet_nas.data import Batch
from senet_nas.nn import build_network
from senet_nas.nn.fused import disabled
from senet_nas.nn.fused.primitives import Kernels, kernels_for
from senet_nas.training import Recipe, mixed_precision
from senet_nas.training.group import ALONE
from senet_nas.training.losses import make_loss
from senet_nas.training.optimiser import make_optimiser
from senet_nas.training.precision import slow_layers_in_float32
from senet_nas.training.step import Context, take_step

CLASSES = 1000
Step = Callable[[], object]
Times = dict[str, list[float]]
KEYS = (
    "train_bf16",
    "train_fp32",
    "infer_bf16_b16",
    "infer_bf16_b1",
    "cifar_train_bf16",
    "cifar_train_fp32",
    "kernels",
)
AGAINST_PLAIN = {
    "cifar_train_bf16": "cifar_vs_plain_eager",
    "cifar_train_fp32": "cifar_fp32_vs_plain_eager",
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

OURS = {"resnet50": "resnet50", "se_resnet50": "se_resnet50"}
TIMMS = {"timm_resnet50": "resnet50", "timm_seresnet50": "seresnet50"}


def main() -> None:
    """Measure what was asked for and print the line."""
    arguments = _arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    line: dict[str, Any] = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "clock": arguments.clock,
        "rounds": arguments.rounds,
        "batch": arguments.batch,
        "timm": {},
        "milliseconds": {},
    }
    for key in arguments.only:
        if key == "kernels":
            line[key] = _kernel_rates(arguments.batch, device, CLOCKS[arguments.clock])
        else:
            _measure(key, line, arguments, device)
    print(json.dumps(line))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16, help="of ResNet-50's training step")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: torch's default")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", nargs="+", choices=KEYS)
    arguments = parser.parse_args()
    on_gpu = arguments.device.startswith("cuda")
    arguments.only = arguments.only or (("train_bf16", "kernels") if on_gpu else KEYS)
    return arguments


def _measure(key: str, line: dict[str, Any], arguments: Any, device: torch.device) -> None:
    clock = CLOCKS[arguments.clock]
    dtype = torch.float32 if "fp32" in key else torch.bfloat16
    if key.startswith("cifar"):
        times = _interleaved(_cifar_steps(dtype, device), 3 * arguments.rounds, device, clock)
        line[key] = _ratio(times["se_resnet20"], times["resnet20"])
        line[AGAINST_PLAIN[key]] = _ratio(times["se_resnet20"], times["resnet20_plain"])
    else:
        if key.startswith("train"):
            steps = dict(_training_steps(arguments.batch, dtype, device))
        else:
            steps = dict(_inference_steps(int(key.rpartition("b")[2]), dtype, device))
        rounds = arguments.rounds if key.startswith("train") else 3 * arguments.rounds
        times = _interleaved(steps, rounds, device, clock)
        line[key] = _ratio(times["se_resnet50"], times["resnet50"])
        line["timm"][key] = _ratio(times["timm_seresnet50"], times["timm_resnet50"])
        if key == "train_bf16":
            line["vs_timm"] = _ratio(times["timm_seresnet50"], times["se_resnet50"])
            line["without_se_vs_timm"] = _ratio(times["timm_resnet50"], times["resnet50"])
    line["milliseconds"][key] = {
        name: round(1000 * statistics.median(taken), 2) for name, taken in times.items()
    }


def _networks() -> Iterable[tuple[str, nn.Module]]:
    for name, model in TIMMS.items():
        yield name, timm.create_model(model, num_classes=CLASSES)
    for name, architecture in OURS.items():
        yield name, build_network(published(architecture), CLASSES)


def _training_steps(
    batch: int, dtype: torch.dtype, device: torch.device
) -> Iterable[tuple[str, Step]]:
    for name, network in _networks():
        yield name, _training_step(network, batch, 224, CLASSES, dtype, device)


def _cifar_steps(dtype: torch.dtype, device: torch.device) -> dict[str, Step]:
    plain, gated = cifar_resnet(20), cifar_resnet(20, SE(16))
    made = {
        "resnet20": build_network(plain, 10, 32),
        "se_resnet20": build_network(gated, 10, 32),
        "resnet20_plain": build_network(plain, 10, 32),
        "se_resnet20_plain": build_network(gated, 10, 32),
    }
    steps = {
        name: _training_step(network, 128, 32, 10, dtype, device) for name, network in made.items()
    }
    return {name: partial(_plainly, s) if "plain" in name else s for name, s in steps.items()}


def _plainly(step: Step) -> None:
    with disabled():
        step()


def _training_step(
    network: nn.Module,
    batch: int,
    side: int,
    classes: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Step:
    """The trainer's own step."""
    network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    recipe = Recipe(epochs=1, batch_size=batch, learning_rate=0.1, weight_decay=5e-5)
    context = Context(
        network=network,
        wrapped=network,
        statistics=[],
        recipe=recipe,
        optimiser=make_optimiser(network, recipe),
        average=None,
        loss=make_loss(recipe),
        mixing=None,
        group=ALONE,
        device=device,
        dtype=dtype,
    )
    images = Batch(
        _images(batch, side, dtype, device), torch.arange(batch, device=device) % classes
    )

    def step() -> None:
        with slow_layers_in_float32(network, dtype, device):
            take_step(context, images, 1e-3)

    return step


def _inference_steps(
    batch: int, dtype: torch.dtype, device: torch.device
) -> Iterable[tuple[str, Step]]:
    images = _images(batch, 224, dtype, device)
    for name, network in _networks():
        network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

        def step(network: nn.Module = network) -> None:
            with torch.inference_mode(), mixed_precision(network, dtype, device):
                network(images)

        yield name, step


def _images(batch: int, side: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    images = torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(0))
    return images.to(device, dtype).contiguous(memory_format=torch.channels_last)


def _interleaved(
    steps: dict[str, Step],
    rounds: int,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Seconds of each step, round by round, after warm-up."""
    times: Times = {name: [] for name in steps}
    for number in range(-2, rounds):
        for name, step in steps.items():
            _synchronise(device)
            started = clock()
            step()
            _synchronise(device)
            if number >= 0:
                times[name].append(clock() - started)
    return times


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _ratio(above: list[float], below: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(above, below, strict=True)), 3)


def _kernel_rates(batch: int, device: torch.device, clock: Callable[[], float]) -> dict[str, Any]:
    """How fast each map runs, over the bytes that it must read and write."""
    if device.type == "cuda":
        return _rates((batch, 256, 56, 56), torch.bfloat16, device, clock, _peak_bandwidth(device))
    # Larger ones are new memory from the system each time, whose faults would hide the kernels.
    shape = (batch, 64, 56, 56)
    return {
        str(dtype).removeprefix("torch."): _rates(shape, dtype, device, clock, 0.0)
        for dtype in (torch.bfloat16, torch.float32)
    }


def _rates(
    shape: tuple[int, ...],
    dtype: torch.dtype,
    device: torch.device,
    clock: Callable[[], float],
    peak: float,
) -> dict[str, Any]:
    x, shortcut, grad = (
        torch.randn(shape, device=device).to(dtype).contiguous(memory_format=torch.channels_last)
        for _ in range(3)
    )
    kernels = kernels_for(x)
    if kernels is None:
        return {}
    found: dict[str, Any] = {"name": kernels.name, "peak_gb_per_s": peak or None}
    for name, (run, tensors) in _maps(kernels, x, shortcut, grad).items():
        times = _interleaved({name: run}, 20, device, clock)[name]
        rate = tensors * x.numel() * x.element_size() / statistics.median(times) / 1e9
        found[name] = {"gb_per_s": round(rate, 1), "share": round(rate / peak, 3) if peak else None}
    return found


def _maps(
    kernels: Kernels, x: Tensor, shortcut: Tensor, grad: Tensor
) -> dict[str, tuple[Step, int]]:
    """Each map of a residual block's end, and how many large tensors it reads and writes."""
    centre = torch.zeros(x.shape[1], device=x.device)
    table = torch.ones(x.shape[:2], device=x.device)
    affine = (x, centre, table, table)
    backward = (table, table)
    return {
        "copy": (x.clone, 2),
        "moments": (lambda: kernels.moments(x, centre), 1),
        "apply": (lambda: kernels.apply(*affine, shortcut, "relu"), 3),
        "reduce": (lambda: kernels.reduce(grad, *affine, shortcut, "relu"), 4),
        "apply_backward": (lambda: kernels.apply_backward(grad, *affine, "identity", *backward), 3),
    }


def _peak_bandwidth(device: torch.device) -> float:
    """Gigabytes per second, from the memory's clock and width; 0 where the driver says neither."""
    about = torch.cuda.get_device_properties(device)
    clock, bits = (getattr(about, name, 0) for name in ("memory_clock_rate", "memory_bus_width"))
    return round(2 * clock * 1e3 * bits / 8 / 1e9, 1)


if __name__ == "__main__":
    main()
