"""Every network of a space in one, with shared weights: subnets by slices, mixtures by masks."""

from senet_nas.nn.supernet.supernet import Supernet

__all__ = ["Supernet"]
