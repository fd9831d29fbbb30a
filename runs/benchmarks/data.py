"""How fast images are read and augmented, beside timm's and torchvision's loaders.

    python runs/benchmarks/data.py IMAGENET CIFAR

IMAGENET: a folder or archive of photos (train images of any classes). CIFAR: one of images of 32 x
32 pixels. Prints one JSON line. Each figure is the median over rounds in which all variants take
turns in one process, on one thread; ratios are medians of the rounds' ratios.

`imagenet_*`: images per CPU-second from the original JPEG files to a normalised float32 batch of
224 x 224: ours, from smaller copies of 256 pixels, timm's `create_loader` as it is by default (it
jitters colours), without the jitter (what ours does), and without its prefetcher, which then
normalises one by one. `cifar_decode_*`: images per CPU-second decoded. `cifar_batches_*`: images
per second (wall clock) of padded crop and flip to normalised float32 batches of 128: ours, one
process; a `DataLoader` with torchvision's transforms and two workers.
"""

from __future__ import annotations

import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from senet_nas.data import Augmentation, MemoryBatches, Reading, load_images, training_batches
from senet_nas.data.jpeg import decode_image
from senet_nas.data.load import open_images

ROUNDS = 7
CPU = torch.device("cpu")
SIZE = 224
BATCH = 50
DECODED = 5000


def main() -> None:
    """Measure and print the line."""
    torch.set_num_threads(1)
    imagenet, cifar = sys.argv[1:3]
    line: dict[str, Any] = {"torch": torch.__version__, "rounds": ROUNDS}
    with tempfile.TemporaryDirectory() as folder:
        line |= _imagenet(imagenet, Path(folder))
    line |= _cifar(cifar)
    print(json.dumps(line))


def _imagenet(data: str, folder: Path) -> dict[str, float]:
    records = open_images(data).records("train")
    for number in range(len(records.labels)):
        path = folder / "files" / records.classes[records.labels[number]] / f"{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = records.read(number)
        assert isinstance(content, bytes)
        path.write_bytes(content)
    files = folder / "files"
    rates = _rates(
        {
            "imagenet_ours": _ours(files, Reading("stream", 0)),
            "imagenet_copies": _ours(files, Reading("stream", 0, 256, folder / "cache")),
            "imagenet_timm": _timm(files),
            "imagenet_timm_no_jitter": _timm(files, color_jitter=0.0),
            "imagenet_timm_no_prefetcher": _timm(files, use_prefetcher=False),
        },
        time.process_time,
    )
    return _with_ratios(rates, "imagenet_ours", "imagenet_timm", "imagenet_timm_no_jitter") | {
        "imagenet_copies_over_ours": _ratio(rates, "imagenet_copies", "imagenet_ours")
    }


def _cifar(data: str) -> dict[str, float]:
    from torchvision.io import ImageReadMode, decode_jpeg

    contents = []
    for _, content in open_images(data).records("train").read_all():
        assert isinstance(content, bytes)
        contents.append(content)
        if len(contents) == DECODED:
            break

    def pillow() -> int:
        for content in contents:
            Image.open(io.BytesIO(content)).convert("RGB").load()
        return len(contents)

    def torchvision() -> int:
        for content in contents:
            raw = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            decode_jpeg(raw, ImageReadMode.RGB)
        return len(contents)

    def ours() -> int:
        for content in contents:
            decode_image(content)
        return len(contents)

    kinds = {"ours": ours, "torchvision": torchvision, "pillow": pillow}
    decoded = _rates(
        {f"cifar_decode_{name}": run for name, run in kinds.items()}, time.process_time
    )
    batches = _rates(_cifar_batches(data), time.perf_counter)
    return _with_ratios(decoded, "cifar_decode_ours", "cifar_decode_pillow") | _with_ratios(
        batches, "cifar_batches_ours", "cifar_batches_loader"
    )


def _cifar_batches(data: str) -> dict[str, Callable[[], int]]:
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    images = load_images(data, "train")
    mean, std = images.mean(), images.std()
    held = MemoryBatches(images, Augmentation(4, flip=True), 128, mean, std)
    steps = transforms.Compose(
        [
            transforms.RandomCrop(32, 4, padding_mode="reflect"),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )

    class Transformed(Dataset[Any]):
        def __len__(self) -> int:
            return len(images)

        def __getitem__(self, number: int) -> Any:
            image = Image.fromarray(images.pixels[number].numpy())
            return steps(image), int(images.labels[number])

    loader = DataLoader(Transformed(), 128, shuffle=True, num_workers=2, persistent_workers=True)
    return {
        "cifar_batches_ours": lambda: _count(b.labels for b in held.epoch(0, 0)),
        "cifar_batches_loader": lambda: _count(labels for _, labels in loader),
    }


def _ours(files: Path, reading: Reading) -> Callable[[], int]:
    batches = training_batches(
        files,
        augmentation=Augmentation(crop="resized", flip=True),
        batch_size=BATCH,
        image_size=SIZE,
        device=CPU,
        reading=reading,
    )
    return lambda: _count(batch.labels for batch in batches.epoch(0, 0))


def _timm(files: Path, **settings: Any) -> Callable[[], int]:
    from timm.data import create_dataset, create_loader

    loader = create_loader(
        create_dataset("", root=str(files), split="train", is_training=True),
        (3, SIZE, SIZE),
        BATCH,
        is_training=True,
        num_workers=0,
        persistent_workers=False,
        device=CPU,
        **settings,
    )
    return lambda: _count(labels for _, labels in loader)


def _count(labels: Iterable[torch.Tensor]) -> int:
    return sum(len(of) for of in labels)


def _rates(
    variants: dict[str, Callable[[], int]], clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Images per second of each variant in each round; one round before them isn't counted."""
    rates: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(ROUNDS + 1):
        for name, run in variants.items():
            started = clock()
            count = run()
            if number:
                rates[name].append(count / (clock() - started))
    return rates


def _with_ratios(rates: dict[str, list[float]], ours: str, *peers: str) -> dict[str, float]:
    medians = {name: round(statistics.median(of), 1) for name, of in rates.items()}
    return medians | {f"{ours}_over_{peer}": _ratio(rates, ours, peer) for peer in peers}


def _ratio(rates: dict[str, list[float]], first: str, second: str) -> float:
    pairs = zip(rates[first], rates[second], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 3)


if __name__ == "__main__":
    main()
