"""A folder in the layout that the Hugging Face hub uses for timm's models: `model.safetensors`, and
`config.json` with the preprocessing; beside them `architecture.json`. `load` brings it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from search_space import InputError, blueprint_from_json
from senet_nas.export import Exported
from senet_nas.export.check import Opened, write_and_compare
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.nn.trust import check_trusted
from senet_nas.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages

SUFFIX = "-safetensors"
WRITES_FOLDER = True
WEIGHTS, CONFIG, ARCHITECTURE = "model.safetensors", "config.json", "architecture.json"
OF_TIMM = ("crop_pct", "interpolation", "mean", "std")


def export(checkpoint: Checkpoint, path: Path, images: RealImages) -> Exported:
    """Write the folder `path`, load it, and compare. Raises `InputError` where other files lie in
    such a folder."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file; this format writes a folder")

    def write(folder: Path) -> None:
        folder.mkdir()
        tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.weights.items()}
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})
        architecture = checkpoint.architecture.to_json(indent=2)
        (folder / ARCHITECTURE).write_text(architecture + "\n", encoding="utf-8")
        text = json.dumps(_config(checkpoint), indent=2)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")

    return write_and_compare(path, checkpoint, images, write, opened)


def recognises(path: Path) -> bool:
    """Whether it is such a folder."""
    return all((path / name).is_file() for name in (WEIGHTS, CONFIG, ARCHITECTURE))


def opened(path: Path) -> Opened:
    """The network in a folder. Raises `InputError` where it is damaged."""
    checkpoint = load(path)
    return Opened(checkpoint.network(), Preprocessing.of(checkpoint))


def load(path: Path) -> Checkpoint:
    """The checkpoint that was exported. Raises `InputError` naming the file at fault."""
    about = _checked_config(path / CONFIG)
    try:
        architecture = blueprint_from_json((path / ARCHITECTURE).read_text(encoding="utf-8"))
        check_trusted(architecture)
    except (OSError, ValueError, RecursionError, TypeError) as error:
        raise InputError(f"{path / ARCHITECTURE}: {error}") from None
    try:
        weights = load_file(path / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path / WEIGHTS}: damaged: {error}") from None
    inputs = Preprocessing.from_data(about)
    checkpoint = Checkpoint(
        architecture,
        weights,
        inputs.classes,
        inputs.mean,
        inputs.std,
        inputs.image_size,
        about["metadata"],
    )
    if Preprocessing.of(checkpoint) != inputs:
        raise InputError(f"{path / CONFIG}: crop_pct or interpolation isn't the network's")
    try:
        checkpoint.check()
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: {error}") from None
    return checkpoint


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    """timm's keys (`timm.models._hub.save_config_for_hf`), and ours in `senet_nas`."""
    data, size = Preprocessing.of(checkpoint).to_data(), checkpoint.image_size
    return {
        "architecture": "senet_nas",
        "num_classes": len(checkpoint.classes),
        "label_names": data["classes"],
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "num_classes": len(checkpoint.classes),
            "crop_mode": "center",
            **{key: data[key] for key in OF_TIMM},
        },
        "senet_nas": {"metadata": dict(checkpoint.metadata)},
    }


def _checked_config(path: Path) -> dict[str, Any]:
    """The preprocessing and metadata of a config. Raises `InputError` naming the key."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        timms = config["pretrained_cfg"]
        channels, height, width = timms["input_size"]
        about = {key: timms[key] for key in OF_TIMM if key in timms}
        about |= {"image_size": height, "classes": config["label_names"]}
        about["metadata"] = dict(config.get("senet_nas", {}).get("metadata", {}))
        if (channels, height) != (3, width):
            raise InputError(f"input_size must be [3, N, N], not {timms['input_size']}")
        Preprocessing.from_data(about)
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from None
    return about
