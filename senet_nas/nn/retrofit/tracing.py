"""A model as a graph of its operations, by torch.fx, which remembers what each module yields."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from search_space import InputError
from senet_nas.nn.retrofit.calls import CHILD, Call, Inputs, arguments, first_line
from senet_nas.nn.retrofit.layers import is_norm


@dataclass(frozen=True)
class Trace:
    """modules: by qualified name. yields: for a node, the modules whose output it is, the
    innermost first. calls: what each module did on the example."""

    graph: fx.Graph
    modules: Mapping[str, nn.Module]
    yields: Mapping[fx.Node, tuple[str, ...]]
    calls: Mapping[str, Call]

    def called(self, node: fx.Node) -> nn.Module | None:
        """The module that a node calls."""
        return self.modules[str(node.target)] if node.op == "call_module" else None


def trace(model: nn.Module, example_input: Inputs, calls: Mapping[str, Call]) -> Trace:
    """The graph of a copied model in eval mode.

    Raises `InputError` naming the module where tracing stopped, and the way round it.
    """
    closed: set[type[nn.Module]] = set()
    while True:
        tracer = _Tracer(model, tuple(closed))
        try:
            graph = tracer.trace(model, _left_out(model, example_input))
        except Exception as error:
            kind = type(model.get_submodule(tracer.stopped))
            if kind in closed or kind not in _closed_by_timm():
                raise InputError(_stopped(model, tracer.stopped, error, calls)) from error
            closed.add(kind)
        else:
            yields = {node: tuple(names) for node, names in tracer.yields.items()}
            return Trace(graph, dict(model.named_modules()), yields, calls)


def _closed_by_timm() -> Collection[type[nn.Module]]:
    """Modules that timm's authors marked as none that fx can enter, where timm is in use."""
    timm_layers = sys.modules.get("timm.layers")
    return timm_layers.get_notrace_modules() if timm_layers else ()


class _Tracer(fx.Tracer):
    """Enters every module but torch's own, norms, those that hold no others, and those closed."""

    def __init__(self, model: nn.Module, closed: tuple[type[nn.Module], ...]):
        super().__init__()
        self._closed = closed
        # fx takes the last of a shared module's names, named_modules the first.
        self._names = {module: name for name, module in model.named_modules()}
        self.yields: dict[fx.Node, list[str]] = {}
        self.stopped = ""

    def path_of_module(self, mod: nn.Module) -> str:
        return self._names[mod] if mod in self._names else super().path_of_module(mod)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        holds_none = all(name == CHILD for name, _ in m.named_children())
        own = super().is_leaf_module(m, module_qualified_name)
        return holds_none or own or is_norm(m) or isinstance(m, self._closed)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        name = self.path_of_module(m)
        try:
            output = super().call_module(m, forward, args, kwargs)
        except Exception:
            self.stopped = self.stopped or name
            raise
        if isinstance(output, fx.Proxy):
            self.yields.setdefault(output.node, []).append(name)
        return output


def _left_out(model: nn.Module, example_input: Inputs) -> dict[str, Any]:
    """The defaults of what forward takes beyond the example."""
    parameters = list(inspect.signature(model.forward).parameters.values())
    return {
        parameter.name: parameter.default
        for parameter in parameters[len(arguments(example_input)) :]
        if parameter.default is not inspect.Parameter.empty
    }


def _stopped(model: nn.Module, name: str, error: Exception, calls: Mapping[str, Call]) -> str:
    kind = type(model.get_submodule(name)).__name__
    where = f"module {name!r} (class {kind})" if name else f"the forward of class {kind} itself"
    examples = [place for place, call in calls.items() if place and not call.fault()]
    norms = [place for place in examples if is_norm(model.get_submodule(place))]
    example = (norms or examples or ["layer*.conv"])[-1]
    return (
        f"torch.fx can't trace the model: it stopped in {where}: {_reason(error)}; "
        f"give the places by name or pattern, which needs no tracing: where=[{example!r}]"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, fx.proxy.TraceError):
        loops = "iterated" in str(error)
        return (
            "it loops over a tensor or its shape, or unpacks one (*args)"
            if loops
            else "its control flow (if, while, assert) depends on a tensor or on its shape"
        )
    return first_line(error)
