"""Matrix products: C = A B by tiles of C that stay in registers, written out for each size of tile.

For a tile of R rows and W registers, each row of B's panel is loaded once and multiplied with R numbers
of A: `c0_1 = multiply_add(x, b1, c0_1)`. B is packed: panels of a few registers' width, in each the rows
one behind the other. A row of A, or of C, is where a list of places says, for the rows of a block are
the sequences that run at its steps. (Goto and van de Geijn 2008, ACM TOMS 34:3, say why tiles.)
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import njit

from unrolled.engines.compiled.vectors import (
    BYTES, ahead, broadcast, everywhere, fetch, first, lanes, load, load_part, multiply_add, number,
    pointer, put_number, store,
)  # fmt: skip

MANY = BYTES == 64  # with AVX-512 there are 32 registers, else 16 at least
WIDE, HIGH = (3, 8) if MANY else (2, 4)  # registers in a row of a tile, and rows
LONG = 8 if MANY else 4  # registers in a tile of one row
INNER = 256  # rows of a panel that stay in the nearest cache
_AHEAD = 32  # rows of a panel that are asked for before they are used


def tile_source(rows: int, wide: int, packed: bool = False, chains: int = 1) -> str:
    """Return the text of the function of a tile: `k` terms for each of its numbers.

    The rows of A are at places, or `packed`, so many numbers a term; with `more` the tile is added to
    what is there. A sum in `chains` parts, each of every so manieth term, waits less for itself.
    """
    return "\n".join(_Tile(rows, wide, packed, chains).lines())


class _Tile:
    def __init__(self, rows: int, wide: int, packed: bool, chains: int):
        self.rows, self.wide, self.packed, self.chains = rows, wide, packed, chains
        self.sums = [f"c{r}_{w}" for r in range(rows) for w in range(wide)]
        self.places = [f"out{r}, {w} * LANES" for r in range(rows) for w in range(wide)]

    def lines(self) -> Iterator[str]:
        yield f"def tile(a, {'' if self.packed else 'a_at, '}b, k, c, {'c_step' if self.packed else 'c_at'}, more):"
        for r in range(self.rows):
            if not self.packed:
                yield f"    a{r} = ahead(a, number(a_at, {r}))"
            yield f"    out{r} = ahead(c, {f'{r} * c_step' if self.packed else f'number(c_at, {r})'})"
        if self.rows > 1:
            yield from (f"    fetch({p})" for p in self.places)
        yield from (f"    {c} = zero()" for c in self.sums)
        chains = range(1, self.chains)
        yield from (f"    {c}_{chain} = zero()" for chain in chains for c in self.sums)
        yield f"    for p in range(0, k - {self.chains - 1}, {self.chains}):"
        for chain in range(self.chains):
            yield from self._term(f"(p + {chain})" if chain else "p", f"_{chain}" if chain else "")
        if self.chains > 1:
            yield f"    for p in range(k - k % {self.chains}, k):"
            yield from self._term("p", "")
            yield from (f"    {c} = {c} + {c}_{chain}" for chain in chains for c in self.sums)
        found = list(zip(self.sums, self.places, strict=True))
        yield "    if more:"
        yield from (f"        {c} = {c} + load({p})" for c, p in found)
        yield from (f"    store({p}, {c})" for c, p in found)

    def _term(self, p: str, chain: str) -> Iterator[str]:
        """What term p adds to every sum."""
        row = f"{self.wide} * LANES"
        for w in range(self.wide):
            yield f"        b{w} = load(b, {p} * {row} + {w} * LANES)"
            if self.rows > 1:
                yield f"        fetch(b, ({p} + {_AHEAD}) * {row} + {w} * LANES)"
        for r in range(self.rows):
            yield f"        x = broadcast({f'a, {p} * CHUNK + {r}' if self.packed else f'a{r}, {p}'})"
            for w in range(self.wide):
                yield f"        c{r}_{w}{chain} = multiply_add(x, b{w}, c{r}_{w}{chain})"


def chunk(dtype: Any) -> int:
    """Return how many neighbours a term of a packed A has: a whole number of registers and of tiles."""
    return max(lanes(dtype), HIGH)


def _tiles(dtype: Any, rows: int, widths: range, packed: bool = False) -> Any:
    """Return the function that runs the tile of a width: tiles(wide, …)."""
    nothing = np.dtype(str(dtype)).type(0)

    @njit(forceinline=True)  # type: ignore[untyped-decorator]
    def zero() -> Any:
        return everywhere(nothing)

    known: dict[str, Any] = {
        "load": load, "store": store, "ahead": ahead, "number": number, "broadcast": broadcast,
        "multiply_add": multiply_add, "fetch": fetch, "zero": zero, "LANES": lanes(dtype),
        "CHUNK": chunk(dtype),
    }  # fmt: skip
    given = "a, b, k, c, c_step, more" if packed else "a, a_at, b, k, c, c_at, more"
    lines = [f"def tiles(wide, {given}):"]
    for wide in widths:
        chains = max(1, LONG // wide) if rows == 1 else 1
        exec(tile_source(rows, wide, packed, chains), known)
        known[f"tile_{wide}"] = njit(known["tile"], error_model="numpy")
        lines += [f"    if wide == {wide}:", f"        tile_{wide}({given})"]
    exec("\n".join(lines), known)
    return njit(known["tiles"], error_model="numpy")


def product_function(dtype: Any) -> Any:
    """Return `product`: C = A B, or C += A B, for A (rows, k), B packed (k, wide · LANES)."""
    L = lanes(dtype)
    eight = _tiles(dtype, HIGH, range(1, WIDE + 1))
    four, two, one = (_tiles(dtype, rows, range(1, WIDE + 1)) for rows in (4, 2, 1))
    row = _tiles(dtype, 1, range(1, LONG + 1))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def tall(width, a, a_at, b, k, c, c_at, rows, more):
        q = 0
        while q + HIGH <= rows:
            eight(width, a, ahead(a_at, q), b, k, c, ahead(c_at, q), more)
            q += HIGH
        if q + 4 <= rows:
            four(width, a, ahead(a_at, q), b, k, c, ahead(c_at, q), more)
            q += 4
        if q + 2 <= rows:
            two(width, a, ahead(a_at, q), b, k, c, ahead(c_at, q), more)
            q += 2
        if q < rows:
            one(width, a, ahead(a_at, q), b, k, c, ahead(c_at, q), more)

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def product(a, a_at, b, k, c, c_at, wide, rows, panel, more):
        for begin in range(0, wide, panel):
            width = min(panel, wide - begin)
            b_panel, c_panel = ahead(b, begin * k * L), ahead(c, begin * L)
            if panel == LONG:
                for q in range(rows):
                    row(width, a, ahead(a_at, q), b_panel, k, c_panel, ahead(c_at, q), more)
            else:
                for p in range(0, k, INNER):
                    inner, again = min(INNER, k - p), more or p > 0
                    b_part, a_part = ahead(b_panel, p * width * L), ahead(a, p)
                    tall(width, a_part, a_at, b_part, inner, c_panel, c_at, rows, again)

    return product


def pick_function(dtype: Any) -> Any:
    """Return `pick`: for each row of C the column of a weight that a label says; −1 says 0."""
    L, nothing = lanes(dtype), np.dtype(str(dtype)).type(0)

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pick(labels, labels_at, weight, step, c, c_at, n, rows):
        for q in range(rows):
            label, to = number(labels, number(labels_at, q)), number(c_at, q)
            for j in range(0, n, L):
                found = everywhere(nothing)
                if label >= 0:
                    found = load_part(weight, label * step + j, first(n - j, nothing))
                store(c, to + j, found)

    return pick


def packed_tiles(dtype: Any) -> Any:
    """Return the tiles of HIGH rows for an A that is packed."""
    return _tiles(dtype, HIGH, range(1, WIDE + 1), packed=True)


def pack_function(dtype: Any) -> Any:
    """Return `pack`, which packs weights as jobs say: pack(jobs, count, shard, shards).

    A job is nine numbers: source, how far its next row and its next column are, rows, columns, which
    register of the product its columns begin in and how many there are, destination, panel. A number
    of the packed B is one of W[column, row] going forward, of Wᵀ going back.
    """
    L, nothing = lanes(dtype), np.dtype(str(dtype)).type(0)
    size = np.dtype(str(dtype)).itemsize
    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pack_rows(source, row_step, k, columns, to, to_step):
        if columns >= L:
            for p in range(k):
                store(to, p * to_step, load(source, p * row_step))
        else:
            mask = first(columns, nothing)
            for p in range(k):
                store(to, p * to_step, load_part(source, p * row_step, mask))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pack_columns(source, row_step, column_step, k, columns, to, to_step):
        for lane in range(L):
            if lane < columns:
                of = ahead(source, lane * column_step)
                for p in range(k):
                    put_number(to, p * to_step + lane, number(of, p * row_step))
            else:
                for p in range(k):
                    put_number(to, p * to_step + lane, nothing)

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pack(jobs, count, shard, shards):
        for job in range(count):
            of = ahead(jobs, 9 * job)
            row_step, column_step, k = number(of, 1), number(of, 2), number(of, 3)
            columns, begin, wide, panel = number(of, 4), number(of, 5), number(of, 6), number(of, 8)
            for v in range(shard, (columns + L - 1) // L, shards):
                at = begin + v
                width = min(panel, wide - at // panel * panel)
                place = (at // panel * panel * k + at % panel) * L
                to = pointer(number(of, 7) + place * size, nothing)
                source = pointer(number(of, 0) + v * L * column_step * size, nothing)
                if column_step == 1:
                    pack_rows(source, row_step, k, columns - v * L, to, width * L)
                else:
                    pack_columns(source, row_step, column_step, k, columns - v * L, to, width * L)

    return pack
