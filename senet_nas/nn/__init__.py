"""Networks: the SE block, the cells, and what makes a network of an architecture."""

from senet_nas.nn.network import Network, build_network
from senet_nas.nn.squeeze_excitation import SqueezeExcitation

__all__ = ["Network", "SqueezeExcitation", "build_network"]
