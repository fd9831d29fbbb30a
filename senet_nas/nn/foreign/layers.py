"""Layers of another library's network as ours have them, or an error that names what isn't."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from search_space import InputError

# A module whose attributes are known by its class, which isn't imported here.
Foreign = Any

# Class names, since each library has its own of the same function.
ACTIVATIONS = {
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SiLU": "silu",
    "Swish": "silu",
    "SwishMe": "silu",
    "Hardswish": "hard_swish",
    "HardSwish": "hard_swish",
    "HardSwishMe": "hard_swish",
    "Identity": "identity",
}
GATES = {
    "Sigmoid": "sigmoid",
    "Hardsigmoid": "hard_sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSigmoidMe": "hard_sigmoid",
    "Tanh": "tanh",
    "ReLU": "relu",
}
# They do something in training alone, and a network of ours is trained without them.
REGULARISERS = ("Dropout", "Dropout2d", "DropPath", "DropBlock2d", "StochasticDepth")

# Convolution and norm, whose ReLU is a function.
WITH_RELU = ("torchvision.models.inception.BasicConv2d", "torchvision.models.googlenet.BasicConv2d")

# The names that the two layers, the activation and the gate have in an SE block.
SQUEEZE_PARTS = (
    ("fc1", "act", "fc2", "gate"),  # timm's SEModule
    ("conv_reduce", "act1", "conv_expand", "gate"),  # timm's SqueezeExcite
    ("fc1", "activation", "fc2", "scale_activation"),  # torchvision's
    ("fc1", "relu", "fc2", "sigmoid"),  # timm's legacy networks
)


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution, the norm after it, the activation after that.

    padding: `same`, half of the kernel, `valid`, none, or `tf_same`, TensorFlow's.
    """

    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None
    activation: str
    padding: str

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.conv.kernel_size
        return rows, columns

    @property
    def stride(self) -> int:
        """In both directions."""
        return self.conv.stride[0]

    def modules(self) -> list[nn.Module]:
        """What has weights."""
        return [self.conv] if self.norm is None else [self.conv, self.norm]


@dataclass(frozen=True, eq=False)
class Squeeze:
    """An SE block: its two layers, whose weights may be 1x1 convolutions', and its operators."""

    reduce: nn.Module
    expand: nn.Module
    channels: int
    hidden: int
    bias: bool
    activation: str
    excitation: str


class Reader:
    """Reads the modules of one network, whose names its errors carry."""

    def __init__(self, model: nn.Module):
        self.model = model
        self._names = {module: name for name, module in model.named_modules()}

    def error(self, module: nn.Module | None, problem: str) -> InputError:
        """What isn't expressible, and where."""
        name = self._names.get(module, "") if module is not None else ""
        place = f"{type(self.model).__name__}{'.' if name else ''}{name}"
        return InputError(f"{place}: {problem}")

    def is_a(self, module: nn.Module, *class_names: str) -> bool:
        """Whether one of the classes, by their full names, is the module's or a base of it. Thus
        no library is imported that the network isn't from."""
        own = {f"{base.__module__}.{base.__qualname__}" for base in type(module).__mro__}
        return not own.isdisjoint(class_names)

    def layers(self, *modules: nn.Module | None) -> list[Layer]:
        """The layers of modules that run one after the other.

        Raises `InputError` for what is neither convolution, batch norm nor activation, and for an
        order or a setting that ours don't have.
        """
        found: list[Layer] = []
        for module in self._leaves(modules):
            if isinstance(module, nn.Conv2d):
                found.append(self._convolution(module))
            elif isinstance(module, nn.BatchNorm2d):
                self._attach(found, module, norm=self._norm(module))
                if hasattr(module, "act"):  # timm's norm with its activation in it
                    self._activate(found, module, self.activation(module.act))
            else:
                self._activate(found, module, self.activation(module))
        return found

    def activation(self, module: Foreign) -> str:
        """Its name among ours."""
        name = ACTIVATIONS.get(type(module).__name__)
        if name is None:
            raise self.error(module, f"{type(module).__name__} is not expressible here")
        return name

    def squeeze(self, module: nn.Module | None) -> Squeeze | None:
        """An SE block, None where there is none. Raises `InputError` for any other attention."""
        if module is None or isinstance(module, nn.Identity):
            return None
        parts = next((p for p in SQUEEZE_PARTS if all(hasattr(module, n) for n in p)), None)
        if parts is None:
            raise self.error(module, f"{type(module).__name__} is not Squeeze-and-Excitation")
        reduce, act, expand, gate = (getattr(module, name) for name in parts)
        if not isinstance(getattr(module, "bn", nn.Identity()), nn.Identity):
            raise self.error(module, "a norm between the layers of SE is not expressible")
        if getattr(module, "add_maxpool", False):
            raise self.error(module, "a squeeze that adds average and maximum is not expressible")
        if type(gate).__name__ not in GATES:
            raise self.error(gate, f"{type(gate).__name__} is no gate of {', '.join(GATES)}")
        hidden, channels = reduce.weight.shape[:2]
        bias = reduce.bias is not None
        return Squeeze(
            reduce,
            expand,
            channels,
            hidden,
            bias,
            self.activation(act),
            GATES[type(gate).__name__],
        )

    def dropout(self, *modules: nn.Module) -> float:
        """The probability of the first dropout among the modules and what is in them; or else the
        model's own `drop_rate`."""
        for module in modules:
            for part in module.modules():
                if isinstance(part, nn.Dropout):
                    return float(part.p)
        return float(getattr(self.model, "drop_rate", 0.0) or 0.0)

    def averages(self, pooling: nn.Module) -> None:
        """Raise `InputError` where timm's pooling before the classifier isn't the mean."""
        kind = getattr(pooling, "pool_type", "avg")
        if kind not in ("avg", "fast", "fastavg"):
            raise self.error(pooling, f"pooling {kind!r} is not expressible (allowed: avg)")

    def linear(self, module: Foreign, bias: bool | None = True) -> nn.Module:
        """A linear layer, or a 1x1 convolution of a single pixel. bias: None, where it needn't
        have one."""
        pointwise = type(module) is nn.Conv2d and module.kernel_size == (1, 1)
        if (isinstance(module, nn.Linear) or pointwise) and (
            bias is None or module.bias is not None
        ):
            found: nn.Module = module
            return found
        raise self.error(module, f"{type(module).__name__} is no linear layer with biases")

    def _leaves(self, modules: Iterable[nn.Module | None]) -> Iterator[nn.Module]:
        for module in modules:
            kind = type(module).__name__
            if module is None or isinstance(module, nn.Identity) or kind in REGULARISERS:
                continue
            if isinstance(module, nn.Sequential):
                yield from self._leaves(module)
            elif kind == "ConvNormAct":  # timm's
                yield from self._leaves(
                    getattr(module, part, None) for part in ("conv", "bn", "aa")
                )
            elif self.is_a(module, *WITH_RELU):
                yield from (module.get_submodule("conv"), module.get_submodule("bn"), nn.ReLU())
            else:
                yield module

    def _convolution(self, conv: nn.Conv2d) -> Layer:
        tensorflow = self.is_a(conv, "timm.layers.conv2d_same.Conv2dSame")
        if type(conv) is not nn.Conv2d and not tensorflow:
            raise self.error(conv, f"{type(conv).__name__} is not expressible")
        rows, columns = conv.kernel_size
        if rows % 2 == 0 or columns % 2 == 0:
            raise self.error(conv, f"kernel {rows}x{columns} is not expressible (allowed: odd)")
        if conv.stride[0] != conv.stride[1]:
            raise self.error(conv, f"stride {conv.stride} is not expressible (allowed: a square)")
        if max(rows, columns) > 1 and set(conv.dilation) != {1}:
            raise self.error(conv, f"dilation {conv.dilation} is not expressible (allowed: 1)")
        half = (rows // 2, columns // 2)
        if tensorflow:  # at stride 1 it is half of the kernel
            return Layer(conv, None, "identity", "tf_same" if conv.stride[0] > 1 else "same")
        padding = {half: "same", (0, 0): "valid"}
        if conv.padding_mode != "zeros" or conv.padding not in padding:
            told = f"padding {conv.padding} ({conv.padding_mode})"
            raise self.error(conv, f"{told} is not expressible (allowed: {half} or 0)")
        return Layer(conv, None, "identity", "same" if conv.padding == half else "valid")

    def _norm(self, norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
        if norm.weight is None or norm.running_mean is None:
            raise self.error(norm, "a batch norm without weights or statistics is not expressible")
        return norm

    def _attach(self, found: list[Layer], module: nn.Module, norm: nn.BatchNorm2d) -> None:
        if not found or found[-1].norm is not None or found[-1].activation != "identity":
            raise self.error(module, "a norm that doesn't follow a convolution is not expressible")
        last = found[-1]
        found[-1] = Layer(last.conv, norm, last.activation, last.padding)

    def _activate(self, found: list[Layer], module: nn.Module, activation: str) -> None:
        if activation == "identity":
            return
        if not found or found[-1].activation != "identity":
            raise self.error(module, "an activation that doesn't follow a layer is not expressible")
        last = found[-1]
        found[-1] = Layer(last.conv, last.norm, activation, last.padding)
