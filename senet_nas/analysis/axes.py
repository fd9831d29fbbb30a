"""The axes that trials can be looked at over: accuracy and the costs, each with its direction."""

from __future__ import annotations

from collections.abc import Mapping

from search_space import InputError
from search_space.errors import one_of
from senet_nas.cost import COSTS, IN_MILLIONS

AXES: Mapping[str, str] = {
    "accuracy": "max",
    "top5": "max",
    "loss": "min",
    **dict.fromkeys(COSTS, "min"),
}
SHORT = {"latency": "latency_ms", "top1": "accuracy", "parameters": "params"}
NAMES = {
    "macs": "MACs",
    "params": "parameters",
    "latency_ms": "latency",
    "top5": "top-5 accuracy",
}
UNITS = {"accuracy": "%", "top5": "%", "latency_ms": "ms", **dict.fromkeys(IN_MILLIONS, "M")}


def parse_axes(text: str) -> dict[str, str]:
    """`accuracy,macs` to objectives, the direction by the name of each score; those to be
    maximised stand first, so that fronts go from cheap to dear.

    Raises `InputError` for other names, and for anything but two or three.
    """
    allowed = [*(name for name in AXES if name != "latency_ms"), *SHORT]
    objectives: dict[str, str] = {}
    for given in text.split(","):
        name = SHORT.get(given.strip(), given.strip())
        if name not in AXES:
            raise one_of("--axes", given.strip(), allowed)
        objectives[name] = AXES[name]
    if len(objectives) not in (2, 3):
        raise InputError(f"--axes {text}: give two or three of {', '.join(allowed)}")
    return dict(sorted(objectives.items(), key=lambda pair: pair[1] != "max"))


def axis_label(name: str) -> str:
    """A score as an axis is labelled: `MACs (M)`."""
    shown = NAMES.get(name, name)
    return f"{shown} ({UNITS[name]})" if name in UNITS else shown


def axis_value(name: str, value: float) -> float:
    """A score in the unit that its label says."""
    return value / 1e6 if name in IN_MILLIONS else value


def shown(name: str, value: float | None) -> str:
    """A score as tables print it; `-` where there is none."""
    if value is None:
        return "-"
    return f"{value / 1e6:.3f}" if name in IN_MILLIONS else f"{value:.2f}"
