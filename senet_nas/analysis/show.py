"""What the command line prints: as plain data for JSON, and as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from search_space import Blueprint, load
from search_space.space import option_label
from senet_nas.analysis.console import plain_console
from senet_nas.analysis.places import Places
from senet_nas.cost import cost
from senet_nas.latency import measure_latency


def cost_to_data(
    architecture: Blueprint, image_size: int, num_classes: int, with_latency: bool
) -> dict[str, float]:
    """params, macs, activations, and where asked latency_ms."""
    counted = cost(architecture, image_size, num_classes)
    data: dict[str, float] = {
        "params": counted.params,
        "macs": counted.macs,
        "activations": counted.activations,
    }
    if with_latency:
        data["latency_ms"] = round(measure_latency(architecture, image_size, num_classes), 3)
    return data


def space_to_data(
    name: str, image_size: int | None, num_classes: int, samples: int
) -> dict[str, Any]:
    """A space's decisions, its exact size, and the range of cost of networks drawn from it."""
    import numpy as np

    space = load(name)
    size = image_size or space.image_size or 32
    rng = np.random.default_rng(0)
    drawn = [cost(space.build(space.sample(rng)), size, num_classes) for _ in range(samples)]
    return {
        "name": name,
        "size": space.size(),
        "fingerprint": space.fingerprint(),
        "decisions": [
            {
                "name": decision.name,
                "options": [option_label(option) for option in decision.options],
                "when": {
                    parent: [option_label(option) for option in options]
                    for parent, options in decision.when.items()
                },
            }
            for decision in space.decisions
        ],
        "cost": {
            "image_size": size,
            "classes": num_classes,
            "samples": samples,
            "params": [min(c.params for c in drawn), max(c.params for c in drawn)],
            "macs": [min(c.macs for c in drawn), max(c.macs for c in drawn)],
        },
    }


def print_space(data: Mapping[str, Any]) -> None:
    """The same as a table."""
    console = plain_console()
    table = Table(title=f"{data['name']}: {data['size']:.4g} networks")
    for column in ("decision", "options", "only when"):
        table.add_column(column)
    for decision in data["decisions"]:
        options = decision["options"]
        shown = ", ".join(options[:8]) + (f", … ({len(options)})" if len(options) > 8 else "")
        when = "; ".join(f"{key} in {', '.join(v)}" for key, v in decision["when"].items())
        table.add_row(decision["name"], shown, when)
    console.print(table)
    ranges = data["cost"]
    for name in ("params", "macs"):
        low, high = ranges[name]
        console.print(
            f"{name}: {low / 1e6:.2f} M to {high / 1e6:.2f} M among {ranges['samples']} drawn, "
            f"{ranges['image_size']}x{ranges['image_size']}, {ranges['classes']} classes"
        )


def print_values(title: str, values: Mapping[str, Any]) -> None:
    """Names and values in two columns, under a title."""
    table = Table(title=title, show_header=False)
    for name, value in values.items():
        if isinstance(value, dict):
            continue
        text = f"{value:,}" if isinstance(value, int) else str(value)
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else text)
    plain_console().print(table)


def print_places(title: str, places: Places) -> None:
    """Where SE pays, a line a place."""
    table = Table(title=f"{title}: where SE pays, by {places.trials} trials")
    table.add_column("place", no_wrap=True)
    for column in ("front", "trials", "accuracy", "params"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("pays")
    for place in places.places:
        known = place.effect is not None and place.half_width is not None
        effect = f"{place.effect:+.2f} ± {place.half_width:.2f}" if known else "-"
        shares = f"{place.on_front:.0%}", f"{place.in_trials:.0%}"
        table.add_row(place.name, *shares, effect, f"{place.params:+,}", place.pays)
    console = plain_console()
    console.print(table)
    console.print(
        "front, trials: the share of the front's points and of all finished trials that have SE "
        "there\naccuracy: what SE there adds, in percentage points, with its 95% interval\n"
        "params: that the place's first SE value adds"
    )
