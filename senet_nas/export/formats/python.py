"""One readable Python file that defines just this network with torch alone, and its weights beside
it as `.weights.pt`. It prints the classes of images where it is run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from search_space import InputError, Retrofit
from senet_nas.export import Exported
from senet_nas.export.check import Opened, write_and_compare
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.export.source.modules import ModuleSource
from senet_nas.export.source.program import MARK, about, run_file, written_by
from senet_nas.export.source.text import written

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages
    from senet_nas.training import Checkpoint

SUFFIX = ".py"
RUNS_CODE = True

COMMAND = """
    python {stem}.py IMAGE...

prints what images show (Pillow reads them).
""".strip("\n")
USAGE = f"""{COMMAND} In Python, where torch is all that it needs:

    import {{stem}}

    network = {{stem}}.load()
    logits = network({{stem}}.preprocess('image.jpg'))
"""
HEAD = """
from __future__ import annotations

import sys
from pathlib import Path

import torch
{functional}from torch import Tensor, nn

WEIGHTS = Path(__file__).with_suffix(".weights.pt")
IMAGE_SIZE = {image_size}  # pixels a side
CROP = {crop}  # of the shorter side
INTERPOLATION = "{interpolation}"
# Of red, green, blue, on a scale of 0 to 1.
MEAN = {mean}
STD = {std}
CLASSES = {classes}
""".lstrip()

TAIL = '''
def load(weights: str | Path = WEIGHTS) -> Network:
    """The trained network, in evaluation mode."""
    network = Network()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def preprocess(path: str | Path) -> Tensor:
    """An image file as the network takes it, (1, 3, IMAGE_SIZE, IMAGE_SIZE): its shorter side
    resized, the centre cropped, normalised."""
    from PIL import Image  # pip install pillow

    with Image.open(path) as file:
        image = file.convert("RGB")
    shorter = int(IMAGE_SIZE / CROP)
    width, height = (int(shorter * side / min(image.size)) for side in image.size)
    image = image.resize((width, height), Image.Resampling[INTERPOLATION.upper()])
    left, upper = round((width - IMAGE_SIZE) / 2), round((height - IMAGE_SIZE) / 2)
    image = image.crop((left, upper, left + IMAGE_SIZE, upper + IMAGE_SIZE))
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    scaled = pixels.view(1, IMAGE_SIZE, IMAGE_SIZE, 3).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor(MEAN).view(1, 3, 1, 1), torch.tensor(STD).view(1, 3, 1, 1)
    return (scaled - mean) / std


def main(paths: list[str]) -> None:
    """Print the five most probable classes of image files."""
    network = load()
    for path in paths:
        with torch.inference_mode():
            probabilities = network(preprocess(path))[0].softmax(0)
        print(path)
        for probability, index in zip(*probabilities.topk(min(5, len(CLASSES)))):
            print(f"  {{100 * probability:6.2f}}%  {{CLASSES[index]}}")


if __name__ == "__main__":
    main(sys.argv[1:])
'''.strip()


def export(checkpoint: Checkpoint, path: Path, images: RealImages) -> Exported:
    """Write `path` and its weights beside it, run it, and compare.

    Raises `InputError` for another suffix, and for a network whose modules can't be written: one
    of another library, or of a cell that calls what this project alone has.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"{path}: the name must end in {SUFFIX}")
    if isinstance(checkpoint.architecture, Retrofit):
        raise InputError(
            f"format python: {checkpoint.architecture.source} is another library's network, whose "
            "modules are that library's; take onnx or torch"
        )
    text = _source(checkpoint, path.stem)

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")
        tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.weights.items()}
        torch.save(tensors, _weights(temporary))

    return write_and_compare(path, checkpoint, images, write, opened)


def recognises(path: Path) -> bool:
    """Whether `export` wrote it, as its first line says."""
    return path.suffix == SUFFIX and written_by(path, "python")


def opened(path: Path) -> Opened:
    """The network that a file defines. Runs the file. Raises `InputError` where it lacks its
    weights."""
    if not _weights(path).is_file():
        raise InputError(f"{path}: its weights are missing: {_weights(path)}")
    module = run_file(path)
    try:
        network = module.load()
        inputs = Preprocessing(
            module.IMAGE_SIZE,
            module.MEAN,
            module.STD,
            module.CLASSES,
            module.CROP,
            module.INTERPOLATION,
        )
    finally:
        sys.modules.pop(module.__name__, None)
    return Opened(network, Preprocessing.from_data(inputs.to_data()))


def _weights(path: Path) -> Path:
    return path.with_suffix(".weights.pt")


def _source(checkpoint: Checkpoint, stem: str) -> str:
    inputs = Preprocessing.of(checkpoint)
    body = ModuleSource(checkpoint.network()).text()
    usage = USAGE.format(stem=stem) if stem.isidentifier() else COMMAND.format(stem=stem)
    head = HEAD.format(
        functional="import torch.nn.functional as F\n" if "F." in body else "",
        image_size=inputs.image_size,
        crop=inputs.crop_pct,
        interpolation=inputs.interpolation,
        mean=inputs.mean,
        std=inputs.std,
        classes=written(inputs.classes, 0, len("CLASSES = ")),
    )
    tail = TAIL.replace("{{", "{").replace("}}", "}")
    docstring = about(checkpoint, stem, usage.rstrip())
    return f"{MARK.format('python')}\n{docstring}\n\n{head}\n\n{body}\n\n\n{tail}\n"
