"""When the fused path is taken: never where something looks at what the modules do one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as torch_module
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# 0: plain modules everywhere.
VARIABLE = "SENET_NAS_FUSED"

_enabled = ContextVar("fused", default=os.environ.get(VARIABLE, "1") != "0")

_ON_ALL_MODULES = (
    torch_module._global_forward_hooks,
    torch_module._global_forward_pre_hooks,
    torch_module._global_backward_hooks,
    torch_module._global_backward_pre_hooks,
)
_TENSORS = (Tensor, nn.Parameter)


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
    if type(x) not in _TENSORS or x.ndim != 4 or x.device.type not in ("cpu", "cuda"):
        return False
    return not (
        torch._C._get_tracing_state() is not None
        or is_in_torch_dispatch_mode()
        or forward_ad._current_level >= 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or any(_ON_ALL_MODULES)
    )


def is_plain(module: nn.Module) -> bool:
    """Whether nothing is hung on a module, and its `forward` isn't replaced."""
    state = module.__dict__
    return not (
        state["_forward_hooks"]
        or state["_forward_pre_hooks"]
        or state["_backward_hooks"]
        or state["_backward_pre_hooks"]
        or "forward" in state
        or module._compiled_call_impl is not None
    )


def in_full(x: Tensor) -> AbstractContextManager[object]:
    """Inside, what is computed on the device of x is not cast by autocast."""
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def refuse_second() -> None:
    """Gradients of gradients would miss what the kernels do."""
    if torch.is_grad_enabled():  # create_graph=True
        raise RuntimeError(
            "fused batch norms have no second derivatives; take them inside "
            "senet_nas.nn.fused.disabled()"
        )


def refuse_many(grad: Tensor) -> None:
    """Batches of gradients (`is_grads_batched`) have no memory that kernels could read."""
    of_batches = torch._C._functorch
    if of_batches.is_legacy_batchedtensor(grad) or of_batches.is_batchedtensor(grad):
        raise RuntimeError(
            "fused batch norms take one gradient at a time; take many at once inside "
            "senet_nas.nn.fused.disabled()"
        )
