"""SE in a network that somebody already has, as a value: which SE stands behind which module.

The gates start at one (`SE.neutral`), so that the network computes what it did before.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from search_space import checks
from search_space.errors import InputError
from search_space.values import SE, se_from_data, se_to_data

UNITS = 4  # that a neutral SE's hidden units start in
PLACEMENTS = ("standard", "post")  # where SE stands behind a module's output


@dataclass(frozen=True, slots=True)
class Retrofit:
    """source: the network, as the user named it (`timm:resnet50`), or nothing. gates: pairs of a
    place (the qualified name of a module) and the SE on its output, sorted by place.

    Each SE becomes what `neutral_gate` makes of it, so that equal networks are equal values.
    """

    source: str = ""
    gates: tuple[tuple[str, SE], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            raise InputError(f"retrofit must be a name, not {self.source!r}")
        places = [place for place, _ in self.gates]
        for place, se in self.gates:
            if not isinstance(place, str) or not place:
                raise InputError(f"se: a place is the name of a module, not {place!r}")
            if places.count(place) > 1:
                raise InputError(f"se names the place {place!r} twice")
            if not isinstance(se, SE):
                raise InputError(f"se.{place} must be an SE, not {se!r}")
        gates = ((place, neutral_gate(se, f"se.{place}")) for place, se in self.gates)
        object.__setattr__(self, "gates", tuple(sorted(gates, key=lambda gate: gate[0])))

    @classmethod
    def of(cls, choices: Mapping[str, SE | None], source: str = "") -> Retrofit:
        """From a mapping of places to SE; None: no SE there."""
        return cls(source, tuple((place, se) for place, se in choices.items() if se is not None))

    def key(self, widths: Mapping[str, int] | None = None) -> str:
        """32 hex digits, equal for values that are the same network.

        widths: the channels at each place. With them r and divisor count only by the hidden width
        that they come to.
        """
        described = [self.source, *(self._described(*gate, widths or {}) for gate in self.gates)]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]

    @staticmethod
    def _described(place: str, se: SE, widths: Mapping[str, int]) -> tuple[object, ...]:
        operators = (place, se.squeeze, se.excitation, se.activation, se.bias)
        if place not in widths:
            return (*operators, se.r, se.divisor)
        return (*operators, se.hidden_channels(widths[place], widths[place]))

    def to_json(self, indent: int | None = None) -> str:
        """JSON text from which `from_json` makes an equal value."""
        gates = {place: se_to_data(se) for place, se in self.gates}
        return json.dumps({"retrofit": self.source, "se": gates}, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> Retrofit:
        """The value that `to_json` wrote. Raises `InputError` naming the key at fault."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"not JSON: {error}") from None
        checks.keys("retrofit", data, {"retrofit", "se"}, required=("retrofit", "se"))
        gates = checks.mapping("se", data["se"])
        return cls.of(
            {place: se_from_data(f"se.{place}", gate) for place, gate in gates.items()},
            data["retrofit"],
        )


def neutral_gate(se: SE, where: str = "se") -> SE:
    """The SE as it stands in a retrofitted network: neutral, and with hidden units in fours, since
    they start as two pairs that cancel, of which for each input one is at work.

    Raises `InputError` for what needs a block around the place.
    """
    if se.placement not in PLACEMENTS:
        raise InputError(
            f"{where}.placement {se.placement!r}: in a network of your own SE stands on a "
            f"module's output (allowed: {', '.join(PLACEMENTS)})"
        )
    if se.base != "own":
        raise InputError(
            f"{where}.base {se.base!r}: a place has no block whose input r could divide "
            "(allowed: own)"
        )
    return replace(se, placement="standard", neutral=True, divisor=math.lcm(UNITS, se.divisor))
