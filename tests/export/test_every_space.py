"""Networks drawn from every search space, in every format: what was written computes what the
network does, by the format's own library; timm's refuses by name what timm has no block for, and
nothing else."""

import onnx
import pytest
from exported import checkpoint_of, drawn, size_of
from in_every_format import exports_alike, without_timm

from search_space import space_names
from senet_nas.export import export

SMALL = ("cifar_tiny", "cifar_mobile")
EACH = 10  # networks of a space


@pytest.mark.slow
@pytest.mark.parametrize("space_name", SMALL)
def test_a_network_of_small_spaces_in_every_format(space_name, tmp_path):
    networks = [one for one in drawn(space_name, EACH) if not without_timm(one)]
    smallest = min(networks, key=lambda network: len(list(network.blocks())))
    exports_alike(smallest, size_of(space_name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(EACH))
@pytest.mark.parametrize("space_name", space_names())
def test_ten_networks_of_every_space_in_every_format(space_name, number, tmp_path):
    exports_alike(drawn(space_name, EACH)[number], size_of(space_name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(EACH))
@pytest.mark.parametrize("space_name", space_names())
def test_half_precision_and_eight_bits_of_every_space(space_name, number, tmp_path):
    """How much eight bits of an untrained network keep is no matter here: that they run is."""
    checkpoint = checkpoint_of(drawn(space_name, EACH)[number], size_of(space_name))
    half = export(checkpoint, "onnx", tmp_path / "half.onnx", fp16=True)
    assert half.agreement >= 95
    few = {"calibration": 16, "held": 32, "least_agreement": 0.0}
    eight = export(checkpoint, "onnx", tmp_path / "eight.onnx", int8=True, **few)
    assert eight.images == 32
    kinds = {node.op_type for node in onnx.load(tmp_path / "eight.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
