"""Matrix products: C = A B by tiles, for rows that are where a list of places says.

The rows of a block are the sequences that run at its steps, and a list says where they are. B is packed:
panels as wide as a tile, in each the rows one behind the other.
"""

from typing import Any

import numpy as np
from numba import njit

from unrolled.engines.compiled.tiles import tile_function
from unrolled.engines.compiled.vectors import (
    BYTES, ahead, everywhere, first, lanes, load, load_part, number, pointer, put_number, store,
)  # fmt: skip

MANY = BYTES == 64  # with AVX-512 there are 32 registers, else 16 at least
WIDE, HIGH = (3, 8) if MANY else (2, 4)  # registers in a row of a tile, and rows
LONG = 8 if MANY else 4  # registers in a tile of one row
INNER = 256  # rows of a panel that stay in the nearest cache


def chunk(dtype: Any) -> int:
    """Return how many neighbours a term of a packed A has: a whole number of registers and of tiles."""
    return max(lanes(dtype), HIGH)


@njit(error_model="numpy")  # type: ignore[untyped-decorator]
def divided(wide, most):
    """Return into how many panels so many registers are divided, how wide these are at least, and how many
    are one wider: as even as can be, for a narrow panel takes nearly as long as a wide one.
    """
    panels = (wide + most - 1) // most
    return panels, wide // panels, wide % panels


def _tiles(dtype: Any, rows: int, widths: range, packed: int = 0) -> Any:
    """Return the function that runs the tile of a width: tiles(wide, …)."""
    given = "a, b, k, c, c_step, more" if packed else "a, a_at, b, k, c, c_at, more"
    lines, known = [f"def tiles(wide, {given}):"], {}
    for wide in widths:
        chains = max(1, LONG // wide) if rows == 1 else 1
        known[f"tile_{wide}"] = tile_function(dtype, rows, wide, packed, chains)
        lines += [f"    if wide == {wide}:", f"        tile_{wide}({given})"]
    exec("\n".join(lines), known)
    return njit(known["tiles"], error_model="numpy")


def product_function(dtype: Any) -> Any:
    """Return `product`: C = A B, or C += A B, for A (rows, k), B packed (k, wide · LANES)."""
    L = lanes(dtype)
    many, four, two = (_tiles(dtype, rows, range(1, WIDE + 1)) for rows in (HIGH, 4, 2))
    one = _tiles(dtype, 1, range(1, LONG + 1))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def tall(width, a, a_at, b, k, c, c_at, rows, more):
        q = 0
        while q + HIGH <= rows:
            many(width, a, ahead(a_at, q), b, k, c, ahead(c_at, q), more)
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
        panels, least, wider = divided(wide, panel)
        begin = 0
        for p_panel in range(panels):
            width = least + (p_panel < wider)
            b_panel, c_panel = ahead(b, begin * k * L), ahead(c, begin * L)
            if panel == LONG:
                for q in range(rows):
                    one(width, a, ahead(a_at, q), b_panel, k, c_panel, ahead(c_at, q), more != 0)
            else:
                for p in range(0, k, INNER):
                    inner, again = min(INNER, k - p), more != 0 or p > 0
                    b_part, a_part = ahead(b_panel, p * width * L), ahead(a, p)
                    tall(width, a_part, a_at, b_part, inner, c_panel, c_at, rows, again)
            begin += width

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
    return _tiles(dtype, HIGH, range(1, WIDE + 1), packed=chunk(dtype))


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
                _, width, wider = divided(wide, panel)
                behind = wider * (width + 1)  # the first register of a narrow panel
                if at < behind:
                    width += 1
                    begins = at // width * width
                else:
                    begins = behind + (at - behind) // width * width
                place = (begins * k + at - begins) * L
                to = pointer(number(of, 7) + place * size, nothing)
                source = pointer(number(of, 0) + v * L * column_step * size, nothing)
                if column_step == 1:
                    pack_rows(source, row_step, k, columns - v * L, to, width * L)
                else:
                    pack_columns(source, row_step, column_step, k, columns - v * L, to, width * L)

    return pack
