"""A network as Python source: a class for each kind of module that isn't torch's, and the call that
builds the network of them. All of it is derived from the modules; parameters keep their names."""

from __future__ import annotations

import inspect
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from search_space import InputError
from senet_nas.export.source.class_names import class_name, described
from senet_nas.export.source.forward import forward_of, is_torch
from senet_nas.export.source.text import WIDTH, Call, runs, safe_docstring, written

VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
SQUARE = ("kernel_size", "stride", "padding", "dilation", "output_size")

CONV_NORM = '''
def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    act: nn.Module | None = None,
) -> nn.Sequential:
    """Convolution, padded by half of its kernel, batch norm, activation."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
    )
    layers = [conv, nn.BatchNorm2d(out_channels{eps})]
    return nn.Sequential(*layers, *([] if act is None else [act]))
'''.strip()


@dataclass(frozen=True)
class Definition:
    """What a class of the source is, but for its name: modules with equal ones share a class.

    base: the class that it derives from. children, values: what its `__init__` takes; none where
    it is its base's own. tensors: lines that make parameters of its own.
    """

    base: str
    own_init: bool
    children: tuple[str, ...]
    values: tuple[str, ...]
    tensors: tuple[str, ...]
    methods: tuple[str, ...]


@dataclass
class ModuleSource:
    """The source of a network. classes: its text by name, in the order of use."""

    network: nn.Module
    eps: float = 1e-5
    classes: dict[str, str] = field(default_factory=dict)
    uses_conv_norm: bool = False

    def __post_init__(self) -> None:
        norms = [m for m in self.network.modules() if isinstance(m, nn.BatchNorm2d)]
        self.eps = norms[0].eps if norms else self.eps
        self._names: dict[tuple[str, Definition], str] = {}
        self._needless = _always_identity(self.network)
        self._attributes = {
            name: self.expression(child) for name, child in self.network.named_children()
        }

    def text(self) -> str:
        """All classes, the network's last."""
        if next(self.network.parameters(recurse=False), None) is not None:
            raise InputError("a network with weights of its own can't be written as source")
        lines = ["super().__init__()"]
        for name, value in self._attributes.items():
            lines += f"self.{name} = {written(value, 2, len(name) + 8)}".splitlines()
        # What `written` indents stands in a method of a class already.
        body = [f"    {line.removeprefix('        ')}" for line in lines]
        init = "def __init__(self) -> None:\n" + "\n".join(body)
        methods = [init, *forward_of(self.network).methods]
        network = _class("Network", "nn.Module", "The network: images to logits.", methods)
        eps = "" if self.eps == 1e-5 else f", eps={self.eps!r}"
        helper = [CONV_NORM.replace("{eps}", eps)] if self.uses_conv_norm else []
        return "\n\n\n".join([*helper, *self.classes.values(), network])

    def expression(self, module: nn.Module) -> object:
        """What builds a module."""
        if type(module) is nn.Sequential:
            return self._conv_norm(module) or Call("nn.Sequential", self._children(module))
        if is_torch(type(module)):
            if list(module.children()):
                return self._container(module, f"nn.{type(module).__name__}")
            return _layer(module, f"nn.{type(module).__name__}")
        definition, values = self._definition(module)
        name = self._named(module, definition)
        if definition.own_init:
            given = (*definition.children, *definition.values)
            return Call(name, (), tuple(zip(given, values, strict=True)))
        if isinstance(module, nn.ModuleList):
            return self._container(module, name)
        return _layer(module, name)

    def _children(self, module: nn.Module) -> tuple[object, ...]:
        names = [name for name, _ in module.named_children()]
        if names != [str(number) for number in range(len(names))]:
            raise InputError(f"a Sequential whose parts have names can't be written: {names}")
        return tuple(runs([self.expression(child) for child in module.children()]))

    def _container(self, module: nn.Module, name: str) -> Call:
        if isinstance(module, nn.Sequential):
            return Call(name, self._children(module))
        if isinstance(module, nn.ModuleList):
            return Call(name, (list(self._children(module)),))
        raise InputError(f"{type(module).__name__} can't be written as source")

    def _conv_norm(self, module: nn.Sequential) -> Call | None:
        """The short form of a convolution with its norm, None for anything else."""
        conv, norm, *others = [*module, None, None][: max(2, len(module))]
        if not isinstance(conv, nn.Conv2d) or len(others) > 1:
            return None
        kernel, stride = conv.kernel_size[0], conv.stride[0]
        plain = nn.Conv2d(
            conv.in_channels, conv.out_channels, kernel, stride, kernel // 2,
            groups=conv.groups, bias=False, device="meta",
        )  # fmt: skip
        after = nn.BatchNorm2d(conv.out_channels, eps=self.eps, device="meta")
        if not (_same(conv, plain) and _same(norm, after)):
            return None
        self.uses_conv_norm = True
        given = (("kernel", kernel, 1), ("stride", stride, 1), ("groups", conv.groups, 1))
        keywords: list[tuple[str, object]] = [(n, v) for n, v, usual in given if v != usual]
        keywords += [("act", self.expression(act)) for act in others if act is not None]
        arguments: tuple[object, ...] = (conv.in_channels, conv.out_channels)
        if keywords and keywords[0][0] == "kernel":
            arguments += (keywords.pop(0)[1],)
        return Call("conv_norm", arguments, tuple(keywords))

    def _definition(self, module: nn.Module) -> tuple[Definition, list[object]]:
        """What a module's class is, and the values that its constructor takes here."""
        kind = type(module)
        forward = forward_of(module, self._needless[kind])
        base = next(one for one in kind.__mro__ if is_torch(one))
        if not any("__init__" in vars(one) for one in kind.__mro__[: kind.__mro__.index(base)]):
            return Definition(f"nn.{base.__name__}", False, (), (), (), forward.methods), []
        children = {n: c for n, c in module.named_children() if n not in forward.without}
        values = [self.expression(child) for child in children.values()]
        values += [getattr(module, name) for name in forward.attributes]
        made = (tuple(children), forward.attributes, tuple(_tensors(module)), forward.methods)
        return Definition("nn.Module", True, *made), values

    def _named(self, module: nn.Module, definition: Definition) -> str:
        """The class of a definition, which is written where it is new."""
        wanted = class_name(module, self.network)
        key = (wanted, definition)
        if key not in self._names:
            number = sum(name == wanted for name, _ in self._names) + 1
            name = wanted if number == 1 else f"{wanted}{number}"
            self._names[key] = name
            methods = [*_init(definition), *definition.methods]
            self.classes[name] = _class(name, definition.base, described(module), methods)
        return self._names[key]


def _always_identity(network: nn.Module) -> dict[type, list[str]]:
    """Of each class, the children that are the identity in all of its modules."""
    found: dict[type, list[dict[str, nn.Module]]] = defaultdict(list)
    for module in network.modules():
        found[type(module)].append(dict(module.named_children()))
    return {
        kind: [
            name
            for name in children[0]
            if all(type(one.get(name)) is nn.Identity for one in children)
        ]
        for kind, children in found.items()
    }


def _init(definition: Definition) -> Iterator[str]:
    """The constructor, where it isn't the base's."""
    if not definition.own_init:
        return
    given = (*definition.children, *definition.values)
    body = ["super().__init__()", *(f"self.{name} = {name}" for name in given)]
    lines = textwrap.indent("\n".join([*body, *definition.tensors]), "    ")
    parameters = ["self", *(f"{name}: nn.Module" for name in definition.children)]
    parameters += definition.values
    text = ", ".join(parameters)
    if len(text) > WIDTH - len("    def __init__() -> None:"):
        text = "".join(f"\n    {one}," for one in parameters) + "\n"
    yield f"def __init__({text}) -> None:\n{lines}"


def _tensors(module: nn.Module) -> Iterator[str]:
    """Lines that make a module's own parameters and buffers."""
    for name, parameter in module.named_parameters(recurse=False):
        yield f"self.{name} = nn.Parameter({_empty(parameter)})"
    for name, tensor in module.named_buffers(recurse=False):
        kept = name not in module._non_persistent_buffers_set
        if not kept:
            raise InputError(f"{type(module).__name__} has a buffer that isn't saved: {name}")
        yield f'self.register_buffer("{name}", {_empty(tensor)})'


def _empty(tensor: Tensor) -> str:
    return f"torch.empty({tuple(tensor.shape)}, dtype={tensor.dtype})"


def _class(name: str, base: str, doc: str, methods: list[str]) -> str:
    text = "\n    ".join(textwrap.wrap(safe_docstring(doc), 88))
    body = "\n\n".join(textwrap.indent(method, "    ") for method in methods)
    return f'class {name}({base}):\n    """{text}"""\n\n{body}'


def _layer(module: nn.Module, name: str) -> Call:
    """The call that builds a layer, read from the attributes that its constructor's parameters
    are named for. Raises `InputError` where one has no such attribute."""
    arguments, keywords = [], []
    parameters = list(inspect.signature(type(module).__init__).parameters.values())[1:]
    for parameter in parameters:
        if parameter.name in ("device", "dtype") or parameter.kind in VARIABLE:
            continue
        try:
            value = getattr(module, parameter.name)
        except AttributeError:
            kind = type(module).__name__
            raise InputError(f"{kind}: its {parameter.name} can't be told") from None
        if parameter.name == "bias" or isinstance(value, Tensor):
            value = value is not None and value is not False
        if parameter.default is not parameter.empty and _equal(value, parameter.default):
            continue
        value = _square(value) if parameter.name in SQUARE else value
        if parameter.default is parameter.empty:
            arguments.append(value)
        else:
            keywords.append((parameter.name, value))
    return Call(name, tuple(arguments), tuple(keywords))


def _equal(value: Any, default: Any) -> bool:
    return bool(_square(value) == _square(default)) and (
        isinstance(value, bool) == isinstance(default, bool)
    )


def _square(value: Any) -> Any:
    """One number for a tuple of equal ones."""
    alike = isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]
    return value[0] if alike else value


def _same(module: nn.Module | None, other: nn.Module) -> bool:
    """Whether two layers are built by the same call."""
    return type(module) is type(other) and _layer(module, "") == _layer(other, "")
