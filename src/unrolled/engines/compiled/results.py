"""What runs hand out: sums over all steps, out of the room that tiles fill, in one new array for all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.engines.compiled.building import conductor
from unrolled.engines.compiled.conducting import address_of
from unrolled.engines.compiled.totals import COPY

Array = Any


@dataclass
class Part:
    """A term of a total: sign · Σ_t left⟨t⟩ right⟨t⟩ᵀ, (n, k), or the sum of the columns of `left`.

    `room` is where tiles put it, transposed, in whole registers and tiles; where that `is_whole`, too large to be
    copied and without a margin, it is handed out itself.
    """

    total: str
    sign: int
    left: str
    right: str
    n: int
    k: int
    kind: int
    number: int
    room: Array = None
    is_whole: bool = False

    def value(self) -> Array:
        found = self.room.T[: self.n, : self.k]
        return found if self.sign > 0 else -found


class Results:
    """Totals by name, from the parts of each; `new` returns them in arrays that nobody else has."""

    def __init__(self, named: Iterable[tuple[str, Part]], dtype: Any):
        named, self.dtype = list(named), dtype
        whole = {name for name, part in named if part.is_whole}
        self.whole = [(name, part) for name, part in named if name in whole]
        self.copied: dict[str, tuple[tuple[int, int], int]] = {}  # shapes, and where they begin
        self.length, rows = 0, []
        for name, part in ((name, part) for name, part in named if name not in whole):
            more = name in self.copied
            if not more:
                self.copied[name] = (part.n, part.k), self.length * dtype.itemsize
                self.length += part.n * part.k
            begin, address = self.copied[name][1], address_of(part.room)
            size = part.room.shape[1], part.n, part.k
            rows.append([address, *size, begin // dtype.itemsize, part.sign < 0, more])
        self.rows = np.array(rows or [[0] * COPY], np.int64)
        self.where = address_of(self.rows), len(rows)

    def new(self) -> dict[str, Array]:
        """Return the totals of the run that was the last."""
        found: dict[str, Array] = {}
        if self.copied:
            dtype, flat = self.dtype, np.empty(self.length, self.dtype)
            conductor().copy_out(*self.where, flat)
            for name, (shape, begin) in self.copied.items():
                found[name] = np.ndarray(shape, dtype, flat, begin, None, "F")
        for name, part in self.whole:
            found[name] = found[name] + part.value() if name in found else part.value()
        return found
