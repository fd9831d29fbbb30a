"""Where an SE block may stand in any network: found in its graph, or named by the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import fx, nn

from search_space import InputError
from search_space.errors import one_of
from senet_nas.nn.retrofit.attach import misplaced, standing
from senet_nas.nn.retrofit.calls import Call, Inputs, copy_of, record_calls
from senet_nas.nn.retrofit.kinds import FINDERS, Structure
from senet_nas.nn.retrofit.tracing import trace

KINDS = tuple(FINDERS)
NAMED = "named"

Where = str | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Place:
    """A module on whose output SE may stand.

    name: the module's qualified name. kind: `branch` (it ends a residual branch), `block`,
    `depthwise` (it ends a depthwise convolution with its norm and activation), or `named` by the
    user. channels, height, width: of its output on the example.
    """

    name: str
    kind: str
    channels: int
    height: int
    width: int


def find_places(model: nn.Module, example_input: Inputs, where: Where = None) -> tuple[Place, ...]:
    """The places of a model, in the order in which it computes them; the model isn't changed.

    example_input: images (N, C, H, W) that the model takes, or a tuple of several arguments.
    where: None for all kinds; kinds; or names of modules and patterns (`layer*.*.bn3`), for which
    the model needn't be traceable.

    A place is a module called once, whose output is one tensor (N, C, H, W). Where the model has
    SE already there is none. Raises `InputError` for a model that torch.fx can't trace (naming
    the module where it stopped), and for a name or pattern without a place.
    """
    wanted = KINDS if where is None else (where,) if isinstance(where, str) else tuple(where)
    if not wanted or not all(isinstance(entry, str) for entry in wanted):
        raise InputError(f"where must list kinds or names of modules, not {where!r}")
    copied = copy_of(model)
    calls = record_calls(copied, example_input)
    found: dict[str, str] = {}
    kinds = [kind for kind in KINDS if kind in wanted]
    if kinds:
        found |= _of_kinds(Structure.of(trace(copied, example_input, calls)), kinds)
    for pattern in wanted:
        if pattern not in KINDS:
            found |= dict.fromkeys(_matching(copied, pattern, calls), NAMED) | found
    rows = sorted(found.items(), key=lambda row: calls[row[0]].finished)
    places = [_place(name, kind, calls[name]) for name, kind in rows]
    looping = misplaced(copied, {place.name: place.channels for place in places}, example_input)
    for place in places:
        if place.name in looping and place.kind == NAMED:
            raise _no_place(place.name, "runs through all that it holds")
    return tuple(place for place in places if place.name not in looping)


def _of_kinds(structure: Structure, kinds: Sequence[str]) -> dict[str, str]:
    """Names with their kinds; a module, or a tensor, that two kinds name is of the first."""
    found: dict[str, str] = {}
    taken: set[fx.Node] = set()
    for kind in kinds:
        for node, name in FINDERS[kind](structure):
            if node not in taken and name not in found:
                taken.add(node)
                found[name] = kind
    return found


def _matching(model: nn.Module, pattern: str, calls: dict[str, Call]) -> list[str]:
    names = [name for name in calls if name and fnmatchcase(name, pattern)]
    if not names:
        known = [name for name, call in calls.items() if name and call.fault() is None]
        raise one_of("where: the module or pattern", pattern, [*KINDS, *known])
    faults = {name: calls[name].fault() or standing(model.get_submodule(name)) for name in names}
    fitting = [name for name, fault in faults.items() if fault is None]
    if not fitting:  # a pattern may match more than places; a name may not
        name, fault = next((n, f) for n, f in faults.items() if f is not None)
        raise _no_place(name, fault)
    return fitting


def _no_place(name: str, fault: str) -> InputError:
    return InputError(f"where: no SE can follow module {name!r}: it {fault}")


def _place(name: str, kind: str, call: Call) -> Place:
    assert call.output_shape is not None
    _, channels, height, width = call.output_shape
    return Place(name, kind, channels, height, width)
