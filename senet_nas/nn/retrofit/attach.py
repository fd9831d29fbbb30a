"""SE put into a copy of any network, which then computes what it computed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from search_space import SE, InputError
from search_space.errors import one_of
from search_space.retrofit import Retrofit
from senet_nas.nn.retrofit.calls import CHILD, Call, Inputs, copy_of, record_calls
from senet_nas.nn.squeeze_excitation import SqueezeExcitation

IMAGE_SIZES = (224, 256, 64, 32, 384)  # pixels, tried in this order where there is no example


def retrofit(
    model: nn.Module,
    choices: Retrofit | Mapping[str, SE | None],
    example_input: Inputs | None = None,
) -> nn.Module:
    """A new model with SE on the outputs of the places chosen, exactly the same function at first.

    choices: a `Retrofit`, or SE by the name of its place (None: no SE there). The model's class,
    methods, weights and their names are kept; SE at a place is that module's child `added_se`, on
    its device and of its dtype. New weights are drawn from torch's global generator, and the
    gates of all inputs start at one.

    example_input: what the model takes. Without it, where a place's module doesn't say how many
    channels it yields, that is found by images of common sizes on torch's meta device.

    Raises `InputError` for a place that isn't there or can't take SE.
    """
    chosen = choices if isinstance(choices, Retrofit) else Retrofit.of(choices)
    copied = copy_of(model)
    modules = dict(copied.named_modules())
    for place, _ in chosen.gates:
        if place not in modules or not place:
            raise one_of("se: the place", place, [name for name in modules if name])
        _refuse(place, standing(modules[place]))
    widths = _widths(model, [place for place, _ in chosen.gates], example_input)
    for place, se in chosen.gates:
        attach(copied, place, se, widths[place])
    return copied


def standing(module: nn.Module) -> str | None:
    """Why SE can't be a child of this module, or None where it can."""
    if hasattr(module, CHILD):
        return f"has an {CHILD!r} already"
    if isinstance(module, nn.ModuleDict | nn.ModuleList):
        return "may run through all that it holds, and SE is no part of that"
    if isinstance(module, nn.Sequential) and type(module).forward is not nn.Sequential.forward:
        return "is a Sequential with a forward of its own"
    if isinstance(module, nn.Linear) or type(module) is nn.LayerNorm:
        return "yields its channels last"
    return None


def attach(model: nn.Module, place: str, se: SE, channels: int) -> None:
    """Put SE on the output of a place, into the model itself."""
    module, like = model.get_submodule(place), _like(model, place)
    gate = SqueezeExcitation(channels, se).to(like.device, like.dtype)
    module.add_module(CHILD, gate.train(module.training))
    if not isinstance(module, nn.Sequential):  # which runs its children, the new one last
        module.register_forward_hook(_gated)


def misplaced(model: nn.Module, widths: Mapping[str, int], example_input: Inputs) -> set[str]:
    """Of places with their channels, those where SE wouldn't run just once: the module loops over
    what it holds."""
    suspects = [name for name in widths if list(model.get_submodule(name).children())]
    if not suspects or _run_once(model, suspects, widths, example_input):
        return set()
    return {name for name in suspects if not _run_once(model, [name], widths, example_input)}


def _run_once(
    model: nn.Module, places: Iterable[str], widths: Mapping[str, int], example_input: Inputs
) -> bool:
    copied = copy_of(model)
    with torch.random.fork_rng(devices=[]):
        for place in places:
            attach(copied, place, SE(widths[place], neutral=True), widths[place])
    try:
        calls = record_calls(copied, example_input)
    except InputError:
        return False
    return all(calls[f"{place}.{CHILD}"].count == 1 for place in places)


def _gated(module: nn.Module, _: tuple[Any, ...], output: Tensor) -> Tensor:
    gated: Tensor = getattr(module, CHILD)(output)
    return gated


def _refuse(place: str, fault: str | None) -> None:
    if fault:
        raise InputError(f"se.{place}: no SE can follow this module: it {fault}")


def _like(model: nn.Module, place: str) -> Tensor:
    """A tensor of the device and dtype that SE shall have: of the module at the place, or of the
    nearest one around it that has weights."""
    path = place.split(".")
    for length in range(len(path), -1, -1):
        module = model.get_submodule(".".join(path[:length]))
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                return tensor
    return torch.empty(0)


def _widths(model: nn.Module, places: list[str], example_input: Inputs | None) -> dict[str, int]:
    """The channels at each place: what its module says, or else those of its output."""
    known = {place: _own_width(model.get_submodule(place)) for place in places}
    widths = {place: width for place, width in known.items() if width is not None}
    missing = [place for place in places if place not in widths]
    if not missing:
        return widths
    if example_input is not None:
        calls = record_calls(copy_of(model), example_input)
    else:
        calls = _calls_on_meta(model, missing[0])
    for place in missing:
        _refuse(place, calls[place].fault())
        widths[place] = (calls[place].output_shape or ())[1]
    return widths


def _own_width(module: nn.Module) -> int | None:
    """What a convolution or norm says that it yields."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return module.out_channels
    return module.num_features if isinstance(module, nn.BatchNorm2d) else None


def _calls_on_meta(model: nn.Module, place: str) -> dict[str, Call]:
    copied = copy_of(model, "meta")
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    dtype = _like(model, place).dtype
    for channels in dict.fromkeys((3 if first is None else first.in_channels, 3)):
        for size in IMAGE_SIZES:
            images = torch.empty(1, channels, size, size, device="meta", dtype=dtype)
            try:
                return record_calls(copied, images)
            except InputError:
                continue
    raise InputError(
        f"se.{place}: the number of channels there can't be told from the module; "
        "give retrofit an example_input"
    )
