"""The networks, what trains them, what runs a search, and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# Eagerly and last, so that `senet_nas.cost` is the function and not its module.
from senet_nas.cost import Cost, cost

if TYPE_CHECKING:
    from senet_nas.export.loading import load as load
    from senet_nas.nn import build_network as build_network

__all__ = ["Cost", "build_network", "cost", "load"]


def __getattr__(name: str) -> Any:
    if name == "build_network":  # torch is imported when a network is wanted, not before
        from senet_nas.nn import build_network

        return build_network
    if name == "load":
        from senet_nas.export.loading import load

        return load
    raise AttributeError(f"module 'senet_nas' has no attribute {name!r}")
