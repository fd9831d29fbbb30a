"""What tests of exports share: networks whose norms have seen real images, and what they should say
of an image, computed apart from the code under test."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from search_space import SE, Architecture, Block, Head, Stage, load
from senet_nas.data import load_images
from senet_nas.training import Checkpoint, seeded_network

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
SUFFIXES = {
    "onnx": ".onnx",
    "python": ".py",
    "safetensors": "-safetensors",
    "timm": "_timm.py",
    "torch": ".pt2",
}

# Of blocks of which timm has some too.
SE_OF_TIMM = SE(r=4, placement="conv3x3", excitation="hard_sigmoid", divisor=8)
MIXED = Architecture(
    Stage((Block("conv", 16, 2, activation="hard_swish"), Block("max_pool", 16, 2))),
    (
        Stage((Block("basic", 16, se=SE(r=4, bias=False)), Block("basic", 16, kernel=5))),
        Stage((Block("inverted_residual", 24, 2, expansion=2, activation="silu", se=SE_OF_TIMM),)),
        Stage((Block("bottleneck", 32, expansion=0.25, se=SE(r=2, placement="post")),)),
    ),
    Head((Block("conv", 64, kernel=1),), hidden=48, activation="hard_swish", dropout=0.25),
    norm_eps=1e-3,
)


def checkpoint_of(
    architecture, image_size, classes=("cat", "dog", "ship"), metadata=None
) -> Checkpoint:
    """A network whose batch norms have seen real images, so that their statistics count."""
    images = load_images(None, "train", image_size)
    network = seeded_network(architecture, len(classes), image_size, seed=1).train()
    with torch.no_grad():
        for start in range(0, 96, 32):
            network(normalised(images.images[start : start + 32].numpy(), MEAN, STD))
    return Checkpoint(
        architecture,
        network.state_dict(),
        tuple(classes),
        MEAN,
        STD,
        image_size,
        {"top1": 12.5} if metadata is None else metadata,
    )


def normalised(pixels: np.ndarray, mean, std) -> torch.Tensor:
    """uint8 (N, 3, H, W) as the papers put it: to 0..1, less the mean, over the deviation."""
    scaled = pixels.astype(np.float64) / 255
    shape = (1, 3, 1, 1)
    result = (scaled - np.reshape(mean, shape)) / np.reshape(std, shape)
    return torch.from_numpy(result.astype(np.float32))


def image_file(path: Path, seed: int = 0, size: tuple[int, int] = (90, 61)) -> Path:
    """A picture of shapes and noise, wider than high."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1]))
    pixels = np.stack([across, down, rng.uniform(0, 255, down.shape)], 2)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def as_network_takes(path: Path, image_size: int, crop: float = 1.0) -> torch.Tensor:
    """An image file by torchvision: the shorter side resized, the centre, normalised."""
    seen = transforms.Compose(
        [transforms.Resize(math.floor(image_size / crop)), transforms.CenterCrop(image_size)]
    )
    image = seen(Image.open(path).convert("RGB"))
    return normalised(np.asarray(image).transpose(2, 0, 1)[None], MEAN, STD)


def drawn(space_name: str, count: int, seed: int = 7) -> list[Architecture]:
    """Networks of a space."""
    space, rng = load(space_name), np.random.default_rng(seed)
    return [space.build(space.sample(rng)) for _ in range(count)]


def size_of(space_name: str) -> int:
    """Pixels at which a test runs a space's networks."""
    return 32 if space_name.startswith("cifar") else 64
