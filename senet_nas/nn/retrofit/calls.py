"""What a model's modules do when it runs: how often each is called, and on which shapes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from search_space import InputError

CHILD = "added_se"  # the name that SE has in the module on whose output it stands

Inputs = Tensor | tuple[Any, ...]
Shape = tuple[int, ...]


@dataclass
class Call:
    """finished: the place of its last call in the order in which calls end. Shapes are those of
    that call: None where it wasn't one tensor."""

    count: int = 0
    finished: int = 0
    input_shape: Shape | None = None
    output_shape: Shape | None = None

    def fault(self) -> str | None:
        """Why no SE can stand on this module's output, or None where it can."""
        if self.count != 1:
            return f"is called {self.count} times"
        shape = self.output_shape
        if shape is None:
            return "does not yield one tensor"
        if len(shape) != 4:
            return f"yields a tensor of shape {shape}, not (N, C, H, W)"
        return None


def arguments(example_input: Inputs) -> tuple[Any, ...]:
    """The positional arguments that an example stands for: a tensor, or a tuple of several."""
    return example_input if isinstance(example_input, tuple) else (example_input,)


def copy_of(model: nn.Module, device: str | None = None) -> nn.Module:
    """A copy, which shares nothing with the model, with its tensors on another device if one is
    given. Raises `InputError` where it can't be copied."""
    if not isinstance(model, nn.Module):
        raise InputError(f"the model must be a torch.nn.Module, not {type(model).__name__}")
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise InputError("the model is a TorchScript program; give the nn.Module it was made of")
    moved: dict[int, Any] = {}
    if device is not None:
        moved |= {id(b): b.to(device) for b in model.buffers()}
        moved |= {id(p): nn.Parameter(p.to(device), p.requires_grad) for p in model.parameters()}
    try:
        return copy.deepcopy(model, moved)
    except Exception as error:
        raise InputError(f"the model can't be copied: {first_line(error)}") from error


def record_calls(model: nn.Module, example_input: Inputs) -> dict[str, Call]:
    """What each module does in one forward pass in eval mode, by its qualified name.

    The model must be a copy: its forward may write to it. Raises `InputError` where it doesn't
    run on the example.
    """
    calls = {name: Call() for name, _ in model.named_modules()}
    ended = 0

    def note(call: Call, _: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        nonlocal ended
        ended += 1
        call.count, call.finished = call.count + 1, ended
        call.input_shape, call.output_shape = _shape(args[0] if args else None), _shape(output)

    hooks = [
        module.register_forward_hook(partial(note, calls[name]))
        for name, module in model.named_modules()
    ]
    try:
        with torch.no_grad():
            model.eval()(*arguments(example_input))
    except Exception as error:
        raise InputError(
            f"the model does not run on the example input: {first_line(error)}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def first_line(error: Exception) -> str:
    """An error in one line, with its kind where that is all it says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _shape(value: Any) -> Shape | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None
