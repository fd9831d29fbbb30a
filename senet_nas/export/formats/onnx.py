"""ONNX with a dynamic batch, checked in onnxruntime. Input `images`, float32 (N, 3, H, W),
normalised; output `logits`, (N, classes). Preprocessing and class names are in its metadata."""

from __future__ import annotations

import io
import json
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from search_space import InputError
from senet_nas.data import write_atomically
from senet_nas.export import Exported
from senet_nas.export.check import check_images, compare

if TYPE_CHECKING:
    from senet_nas.training import Checkpoint


def export(checkpoint: Checkpoint, path: Path) -> Exported:
    """Write the network to `path` and compare. Raises `InputError` where the packages of the
    `export` extra are missing, `ExportError` where onnxruntime computes something else."""
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 (torch's exporter imports it)
    except ImportError as error:
        raise InputError(
            f"--format onnx needs {error.name}: pip install 'senet-nas[export]'"
        ) from None
    network = checkpoint.network().eval()
    images = check_images(checkpoint)
    model = _to_onnx(network, images[:2])
    for key, value in _metadata(checkpoint).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    result: list[Exported] = []

    def write_and_check(temporary: Path) -> None:
        temporary.write_bytes(model.SerializeToString())
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])

        def run(batch: Tensor) -> Tensor:
            return torch.from_numpy(session.run(None, {"images": batch.numpy()})[0])

        result.append(compare(path, network, images, run))

    write_atomically(path, write_and_check)
    return result[0]


def _to_onnx(network: torch.nn.Module, example: Tensor) -> Any:
    # The exporter prints what it rewrites; that is no concern of a user.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    return {
        "architecture": checkpoint.architecture.to_json(),
        "classes": json.dumps(checkpoint.classes),
        "image_size": str(checkpoint.image_size),
        "mean": json.dumps(checkpoint.mean),
        "std": json.dumps(checkpoint.std),
    }
