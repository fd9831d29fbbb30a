"""ONNX with a dynamic batch, checked in onnxruntime. Input `images`, float32 (N, 3, H, W),
normalised; output `logits`, float32 (N, classes). Preprocessing and class names are in its
metadata."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from search_space import InputError
from senet_nas.export import Exported
from senet_nas.export.check import TOLERANCE, Opened, write_and_compare
from senet_nas.export.preprocessing import Preprocessing
from senet_nas.export.quantisation import Quantisation

if TYPE_CHECKING:
    from senet_nas.export.images import RealImages
    from senet_nas.training import Checkpoint

FP16_TOLERANCE = 2e-2


def export(
    checkpoint: Checkpoint,
    path: Path,
    images: RealImages,
    fp16: bool = False,
    int8: bool = False,
    calibration: int = 256,
    held: int = 512,
    least_agreement: float = 90.0,
) -> Exported:
    """Write the network to `path` and compare.

    fp16: weights and activations in half precision; input and output stay float32. int8: static
    quantisation, for which `calibration` images say how large activations are; `held` others say
    what it costs, and where less than `least_agreement` percent of them keep their top class it is
    an error. Raises `InputError` where the packages of the `export` extra are missing,
    `ExportError` where onnxruntime computes something else.
    """
    if fp16 and int8:
        raise InputError("format onnx: --fp16 and --int8 exclude each other")
    onnx = _packages()
    quantisation = Quantisation(calibration, held, least_agreement)
    network = checkpoint.network()
    inputs = Preprocessing.of(checkpoint)
    model = _to_onnx(_Half(network) if fp16 else network, inputs.image_size)
    texts = {"architecture": checkpoint.architecture.to_json(), **inputs.to_texts()}
    for key, value in texts.items():
        model.metadata_props.add(key=key, value=value)
    if int8:
        return quantisation.export(path, checkpoint, images, model, opened)

    def write(temporary: Path) -> None:
        onnx.checker.check_model(model, full_check=True)
        temporary.write_bytes(model.SerializeToString())

    tolerance = FP16_TOLERANCE if fp16 else TOLERANCE
    found = write_and_compare(path, checkpoint, images, write, opened, tolerance)
    return replace(found, details={"bytes": path.stat().st_size})


def recognises(path: Path) -> bool:
    """Whether it is a file with that suffix."""
    return path.suffix == ".onnx" and path.is_file()


def opened(path: Path) -> Opened:
    """The network in a file, run by onnxruntime on the CPU. Raises `InputError` where it wasn't
    written by `export`."""
    _packages()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # no warnings
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    try:
        inputs = Preprocessing.from_texts(session.get_modelmeta().custom_metadata_map)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None

    def run(batch: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"images": batch.numpy()})
        return torch.from_numpy(logits)

    return Opened(run, inputs)


class _Half(nn.Module):
    """A network in half precision, from float32 to float32."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network.half()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images.half())
        return logits.float()


def _packages() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401 (torch's exporter imports it)
    except ImportError as error:
        raise InputError(
            f"format onnx needs {error.name}: pip install 'senet-nas[export]'"
        ) from None
    return onnx


def _to_onnx(network: nn.Module, image_size: int) -> Any:
    # The exporter prints what it rewrites; that is no concern of a user.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.zeros(2, 3, image_size, image_size),),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info):
        part.ClearField("metadata_props")  # this machine's files and lines
        part.ClearField("doc_string")
    return model
