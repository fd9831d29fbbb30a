"""How fast `retrain` trains, beside timm's training script, on one machine.

    python runs/benchmarks/retrain_throughput.py steps IMAGENET [--decode-workers 8 16]
    python runs/benchmarks/retrain_throughput.py cifar CIFAR --seconds 120

`steps`: images per second of training SE-ResNet-50 (224 pixels, batch 256, bfloat16 autocast,
channels last). IMAGENET: photos in a folder or archive, repeated to the length asked for.

- `ours_*`: `train_on` by the recipe `senet2018`, all of it: crops and flips, the optimiser, the
  losses that are told. `memory`: images of 224 pixels as one tensor on the device, cropped, resized
  and flipped there. `jpeg_N`: the JPEG files, streamed and decoded by N processes. `compiled`: by
  torch.compile.
- `timm_*`: what timm's train.py does with `--amp --amp-dtype bfloat16 --channels-last` (the script
  isn't part of the package): `create_model`, `create_optimizer_v2`, `create_loader` with its
  prefetcher and N workers, cuDNN's benchmark mode, TF32. `memory`: the same batch again and again,
  normalised before, with nothing done to it. `timm_loop_*`: the same loop with our network.

`ahead_is_exact`: whether batches made ready beside a step are those made in its way. Ratios are of
medians over rounds in which variants take turns.

`cifar`: as many epochs of `cifar_200ep` (its schedule cut to them) as fit into so many seconds by
the speed of the third epoch of a trial training, then the accuracy on all test images. Each prints
one JSON line.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search_space import published
from senet_nas.data import Batches, Reading
from senet_nas.data.ahead import ahead
from senet_nas.data.load import open_images
from senet_nas.training import Recipe, load_recipe, retrain, seeded_network
from senet_nas.training.group import ALONE
from senet_nas.training.images import Images
from senet_nas.training.loop import train_on
from senet_nas.training.state import Observer, StepReport

OURS, TIMMS = "se_resnet50", "seresnet50"
SIZE = 224
WARMUP = 6  # steps of a round that aren't counted: kernels are tried, readers begin


def main() -> None:
    """Measure and print the line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("steps", "cifar"))
    parser.add_argument("data")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20, help="counted, of a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--decode-workers", type=int, nargs="*", default=[8, 16])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--network", default="se_cifar_resnet20")
    given = parser.parse_args()
    device = torch.device(given.device)
    line: dict[str, Any] = {"torch": torch.__version__, "device": _name(device)}
    if given.what == "cifar":
        line |= _cifar(given.data, given.network, given.seconds, device)
    else:
        with tempfile.TemporaryDirectory() as folder:
            line |= _steps(given, device, Path(folder))
    print(json.dumps(line), flush=True)


def _steps(given: argparse.Namespace, device: torch.device, folder: Path) -> dict[str, Any]:
    files = _files(given.data, folder / "train", given.batch * (given.steps + WARMUP + 1))
    torch.backends.cuda.matmul.allow_tf32 = True
    variants: dict[str, Callable[[], float]] = {
        "ours_memory": lambda: _ours(given, files, device, Reading("memory", cache=folder)),
        "timm_memory": lambda: _timm(given, device, _timms_network(), _same(given, device)),
        "timm_loop_memory": lambda: _timm(given, device, _network(), _same(given, device)),
    }
    if given.compiled:
        variants["ours_memory_compiled"] = lambda: _ours(
            given, files, device, Reading("memory", cache=folder), compiled=True
        )
    for workers in given.decode_workers:
        variants[f"ours_jpeg_{workers}"] = lambda workers=workers: _ours(
            given, files, device, Reading("stream", workers)
        )
        variants[f"timm_jpeg_{workers}"] = lambda workers=workers: _timm(
            given, device, _timms_network(), _timms_loader(given, files, device, workers)
        )
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(given.rounds):
        for name, measure in variants.items():
            rates[name].append(measure())
            print(name, round(rates[name][-1], 1), flush=True)
    medians = {name: statistics.median(of) for name, of in rates.items()}
    ratios = {
        f"{name}_over_{peer}": round(medians[name] / medians[peer], 3)
        for name in medians
        for peer in (name.replace("ours", "timm").removesuffix("_compiled"),)
        if name.startswith("ours")
    }
    settings = {"batch": given.batch, "steps": given.steps, "rounds": given.rounds}
    settings["ahead_is_exact"] = _ahead_is_exact(given, files, device)
    return settings | {name: round(rate, 1) for name, rate in medians.items()} | ratios


def _ahead_is_exact(given: argparse.Namespace, files: Path, device: torch.device) -> bool:
    recipe = load_recipe("senet2018", {"batch_size": given.batch})
    batches = _opened(files, Reading("stream", 2), recipe, device)
    plain = list(islice(batches.epoch(0, 0), 3))
    early = list(islice(ahead(batches.epoch(0, 0), device), 3))
    return all(
        torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
        for one, other in zip(plain, early, strict=True)
    )


class _EnoughError(Exception):
    """Enough steps were counted."""


class _Clock(Observer):
    """Seconds from the end of the warm-up to that of the last counted step."""

    def __init__(self, steps: int, device: torch.device) -> None:
        self._steps, self._device, self.done, self.seconds = steps, device, 0, 0.0

    def after_step(self, report: StepReport) -> None:
        """See `Observer`."""
        self.step()

    def step(self) -> None:
        """One more is over."""
        self.done += 1
        if self.done == WARMUP:
            self._wait()
            self.seconds = -time.perf_counter()
        if self.done == WARMUP + self._steps:
            self._wait()
            self.seconds += time.perf_counter()
            raise _EnoughError

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


def _ours(
    given: argparse.Namespace,
    files: Path,
    device: torch.device,
    reading: Reading,
    *,
    compiled: bool = False,
) -> float:
    """Images per second of `train_on`."""
    recipe = load_recipe("senet2018", {"batch_size": given.batch, "precision": "bf16"})
    opened = _held if reading.hold == "memory" else _opened
    batches = opened(files, reading, recipe, device)
    network = _network()
    if compiled:
        network.compile(dynamic=False)
    clock = _Clock(given.steps, device)
    with contextlib.suppress(_EnoughError):
        train_on(network, batches, recipe, seed=0, device=device, observer=clock)
    return given.batch * given.steps / clock.seconds


def _opened(files: Path, reading: Reading, recipe: Recipe, device: torch.device) -> Batches:
    return Images(files, SIZE, reading=reading).training(recipe, 0, None, device, ALONE)


_held = cache(_opened)  # in memory once for all rounds


def _timm(
    given: argparse.Namespace,
    device: torch.device,
    network: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
) -> float:
    """Images per second of timm's `train_one_epoch`, without what it prints."""
    from timm.optim import create_optimizer_v2

    network.to(device=device, memory_format=torch.channels_last).train()
    optimiser = create_optimizer_v2(network, opt="sgd", lr=0.6, momentum=0.9, weight_decay=1e-4)
    criterion = nn.CrossEntropyLoss().to(device)
    clock, before = _Clock(given.steps, device), torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    with contextlib.suppress(_EnoughError):
        for images, labels in batches:
            inputs = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                loss = criterion(network(inputs), labels)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            clock.step()
    torch.backends.cudnn.benchmark = before
    return given.batch * given.steps / clock.seconds


def _same(given: argparse.Namespace, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    images = torch.randn(given.batch, 3, SIZE, SIZE, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(1000, (given.batch,), device=device)
    while True:
        yield images, labels


def _timms_loader(
    given: argparse.Namespace, files: Path, device: torch.device, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    from timm.data import create_dataset, create_loader

    # As timm's train.py sets it up, but without its colour jitter, which `senet2018` hasn't.
    loader = create_loader(
        create_dataset("", root=str(files.parent), split="train", is_training=True),
        (3, SIZE, SIZE),
        given.batch,
        is_training=True,
        color_jitter=0.0,
        interpolation="bilinear",
        num_workers=workers,
        persistent_workers=False,
        pin_memory=device.type == "cuda",
        device=device,
    )
    while True:
        yield from loader


def _network() -> nn.Module:
    return seeded_network(published(OURS), 1000, SIZE, 0)


def _timms_network() -> nn.Module:
    import timm

    network: nn.Module = timm.create_model(TIMMS, num_classes=1000)
    return network


def _files(data: str, folder: Path, count: int) -> Path:
    """At least so many JPEG files, in folders of classes: links to the images, again and again.
    1000 classes, so that networks are as large as for ImageNet."""
    records = open_images(data).records("train")
    own = folder.parent / "own"
    own.mkdir(parents=True)
    for number in range(len(records.labels)):
        content = records.read(number)
        assert isinstance(content, bytes)
        (own / f"{number}.JPEG").write_bytes(content)
    for number in range(max(1000, count)):
        link = folder / f"class-{number % 1000:04}" / f"{number}.JPEG"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.hardlink_to(own / f"{number % len(records.labels)}.JPEG")
    return folder


def _cifar(data: str, network: str, seconds: float, device: torch.device) -> dict[str, Any]:
    """A training cut to the epochs that fit, and what it reaches."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        started = time.perf_counter()
        pace: list[float] = []
        trial = load_recipe("cifar_200ep", {"epochs": 3})
        retrain(
            published(network),
            data,
            trial,
            room / "trial",
            device=device,
            cache=room,
            progress=lambda report: pace.append(report.seconds),
        )
        left = seconds - (time.perf_counter() - started)
        epochs = max(1, min(200, int(0.93 * left / pace[-1])))
        recipe = load_recipe("cifar_200ep", {"epochs": epochs})
        result = retrain(published(network), data, recipe, room / "out", device=device, cache=room)
        return {
            "network": network,
            "recipe": "cifar_200ep",
            "epochs": epochs,
            "test_top1": result.top1,
            "test_images": result.test_images,
            "seed": result.seed,
            "train_seconds": round(result.seconds, 1),
            "images_per_second": round(result.train_images / pace[-1], 1),
            "all_seconds": round(time.perf_counter() - started, 1),
        }


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


if __name__ == "__main__":
    main()
