"""When the fused path is taken: never where something looks at what the modules do one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# 0: plain modules everywhere.
VARIABLE = "SENET_NAS_FUSED"

_enabled = ContextVar("fused", default=os.environ.get(VARIABLE, "1") != "0")

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@contextmanager
def disabled() -> Iterator[None]:
    """Inside, networks run their plain modules: for gradients of gradients, for comparisons."""
    token = _enabled.set(False)
    try:
        yield
    finally:
        _enabled.reset(token)


def serves(x: Tensor) -> bool:
    """Whether fused kernels may take part in what is done with x.

    Not under torch.compile, torch.export, torch.jit and torch.fx, nor on fake and meta tensors,
    under torch.func's transforms and forward-mode gradients, dispatch modes (which count or record
    operations) and hooks on all modules.
    """
    if torch.compiler.is_compiling() or not _enabled.get():
        return False
    if type(x) not in (Tensor, nn.Parameter) or x.ndim != 4 or x.device.type not in ("cpu", "cuda"):
        return False
    return not (
        torch.jit.is_tracing()  # type: ignore[no-untyped-call,attr-defined]
        or is_in_torch_dispatch_mode()
        or forward_ad._current_level >= 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or any(getattr(torch_module, f"_global{kind}") for kind in _HOOKS)
    )


def is_plain(module: nn.Module, *methods: str) -> bool:
    """Whether nothing is hung on a module, and none of its methods is replaced on it."""
    state = vars(module)
    return (
        "forward" not in state
        and not any(state[kind] for kind in _HOOKS)
        and state.get("_compiled_call_impl") is None
        and not any(method in state for method in methods)
    )
