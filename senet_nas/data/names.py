"""Many strings in two arrays: a list of a million would be copied into each worker process, as
counting references writes to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Strings by number. letters: uint8, all of them in UTF-8, one behind the other. ends: int64
    (N + 1,), where each begins and the last one ends."""

    letters: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """Strings; file names that are no text are kept as they are."""
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        letters = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(letters, np.cumsum([0, *map(len, encoded)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, number: int) -> str:
        if not 0 <= number < len(self):
            raise IndexError(number)
        part = self.letters[self.ends[number] : self.ends[number + 1]]
        return part.tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))
