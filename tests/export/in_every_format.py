"""Running every format by what others have: the format's own library, or `import`."""

import json
import sys
import warnings
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import onnxruntime
import pytest
import timm
import torch
from exported import SUFFIXES, as_network_takes, checkpoint_of, image_file
from safetensors.torch import load_file

from search_space import Architecture, InputError
from senet_nas import build_network
from senet_nas.export import export, format_names


def imported(path: Path):
    """The module of a file, as anyone's `import` makes it."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    return module


def by_onnxruntime(path, batch):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": batch.numpy()})[0])


def by_torch(path, batch):
    return torch.export.load(path).module()(batch)


def by_weights(path, batch):
    architecture = Architecture.from_json((path / "architecture.json").read_text())
    config = json.loads((path / "config.json").read_text())
    network = build_network(architecture, config["num_classes"], batch.shape[-1])
    network.load_state_dict(load_file(path / "model.safetensors"))
    return network.eval()(batch)


def by_import(path, batch):
    return imported(path).load()(batch)


def by_timm(path, batch):
    imported(path)
    return timm.create_model(path.stem, pretrained=True).eval()(batch)


RUN = {
    "onnx": by_onnxruntime,
    "python": by_import,
    "safetensors": by_weights,
    "timm": by_timm,
    "torch": by_torch,
}


def exports_alike(architecture: Architecture, size: int, folder: Path) -> None:
    """A network in every format, each run by what others have."""
    assert set(RUN) == set(format_names())
    checkpoint = checkpoint_of(architecture, size)
    sides = (2 * size, size + 9)
    pictures = [as_network_takes(image_file(folder / "a.png", n, sides), size) for n in range(3)]
    with torch.no_grad():
        expected = checkpoint.network()(torch.cat(pictures))
    for name in format_names():
        path = folder / f"net{SUFFIXES[name]}"
        if name == "timm" and without_timm(architecture):
            with pytest.raises(InputError, match="timm has no block for"):
                export(checkpoint, name, path)
            assert not path.exists()
            continue
        told = export(checkpoint, name, path)
        assert told.agreement == 100
        assert told.images == 32
        with torch.no_grad():
            batches = (torch.cat(pictures), pictures[0])  # of any size
            got = torch.cat([RUN[name](path, batch) for batch in batches])
        spread = float((expected - expected.mean(0)).abs().max())
        wanted = torch.cat([expected, expected[:1]])
        allowed = 1e-3 * max(spread, float(expected.abs().max()) / 10)
        assert float((got - wanted).abs().max()) < allowed, name
    here = str(Path(__file__).parents[2]).encode()
    for file in folder.rglob("*"):  # nothing written names a file of this machine
        assert file.is_dir() or here not in file.read_bytes(), file


def without_timm(architecture: Architecture) -> bool:
    """Whether some block has what timm's blocks lack, by timm's documentation: SE of its average,
    after the depthwise or kxk convolution or at the end of a residual branch; widths in eights,
    but for 3x3 blocks of ResNets, whose SE is at the end."""
    width = 3
    for _, block in architecture.blocks():
        keeps_shape = block.stride == 1 and width == block.channels
        mobile = block.cell == "inverted_residual"
        residual = block.cell in ("basic", "bottleneck")
        placement = None if block.se is None else block.se.placement
        if mobile and not keeps_shape:
            placement = {"identity": None, "standard": "post", "pre": "post"}.get(
                placement, placement
            )
        if placement and (block.se.squeeze != "avg" or placement in ("pre", "identity")):
            return True
        if mobile and (placement == "standard" or int(width * block.expansion) % 8):
            return True
        if residual:
            inner = int(block.channels * block.expansion)
            of_resnet = block.kernel == 3 and placement != "conv3x3"
            if block.cell == "bottleneck":
                of_resnet = of_resnet and inner * 4 == block.channels
            if inner % 8 and not of_resnet:
                return True
        width = block.channels
    return False
