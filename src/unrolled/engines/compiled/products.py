"""Matrix products: C = A B by tiles, for rows that are where a list of places says.

The rows of a block are the sequences that run at its steps, and a list says where they are. B is packed:
panels as wide as a tile, in each the rows one behind the other.
"""

from typing import Any

from numba import njit

from unrolled.engines.compiled.tiles import sum_tile_function, tile_function, turn_square
from unrolled.engines.compiled.vectors import (
    BYTES,
    ahead,
    broadcast,
    bytes_of,
    everywhere,
    first,
    lanes_of,
    load,
    load_part,
    multiply_add,
    number,
    place_of,
    pointer,
    put_number,
    store,
    zero_of,
)  # fmt: skip

MANY = BYTES == 64  # with AVX-512 there are 32 registers, else 16 at least
WIDE, HIGH = (3, 8) if MANY else (2, 4)  # registers in a row of a tile, and rows
LONG = 4 if MANY else 2  # registers in a tile of one row
UNPACKED = 0  # in place of a panel: weights are read where they are
INNER = 256  # rows of a panel that stay in the nearest cache
PACK_JOB = 11  # numbers of a job of `pack`


def _tiles(rows: int, most: int) -> Any:
    """Return the function that runs the tile of a width: tiles(wide, …)."""
    made = {
        w: tile_function(rows, w, max(1, 2 * LONG // w) if rows == 1 else 1)
        for w in range(1, most + 1)
    }
    return _choice(made, "a, a_at, b, k, parts, part, c, c_at, more")


def sum_tiles() -> Any:
    """Return the same for a sum over columns, and HIGH rows."""
    made = {w: sum_tile_function(HIGH, w) for w in range(1, WIDE + 1)}
    return _choice(made, "a, a_at, b, k, c, c_step, more")


def _choice(made: dict[int, Any], given: str) -> Any:
    """Return the function that calls one of several by the number that it is given first."""
    lines = [f"def tiles(wide, {given}):"]
    for wide in made:
        lines += [f"    if wide == {wide}:", f"        tile_{wide}({given})"]
    known = {f"tile_{wide}": tile for wide, tile in made.items()}
    exec("\n".join(lines), known)
    return njit(known["tiles"], error_model="numpy")


_many, _four, _two, _one = _tiles(HIGH, WIDE), _tiles(4, WIDE), _tiles(2, WIDE), _tiles(1, LONG)


@njit(error_model="numpy")
def divided(wide, most):
    """Return into how many panels so many registers are divided, how wide these are at least, and how many
    are one wider: as even as can be, for a narrow panel takes nearly as long as a wide one.
    """
    if wide <= most:  # without divisions, which take longer than all else where little is done
        return 1, wide, 0
    panels = (wide + most - 1) // most
    return panels, wide // panels, wide % panels


@njit(error_model="numpy")
def part_of(count, share, shares):
    """Return where the part of a share in a number of things begins and ends."""
    if shares == 1:
        return 0, count
    return count * share // shares, count * (share + 1) // shares


@njit(error_model="numpy", forceinline=True)
def product(a, a_at, b, shape, c, c_at, rows, more, share, shares, turned):
    """C = A B, or C += A B with `more`, for A (rows, parts · k), each part of a row `part` numbers behind the one
    before, and B packed (parts · k, wide · LANES) in panels at most `panel` registers wide: LONG for single rows,
    else WIDE. `shape` has k, parts, part, wide and panel; a panel UNPACKED says that B is not packed: instead of
    it there are the jobs, as many as parts, by which it would be. Of the panels, or of the rows then, only those of
    a share; `turned`: the last panel first, as every other step of a loop does, for what was read last is still in
    the nearest cache.
    """
    L, k, parts, part = lanes_of(b), number(shape, 0), number(shape, 1), number(shape, 2)
    wide, panel = number(shape, 3), number(shape, 4)
    if panel == UNPACKED:
        first_row, end = part_of(rows, share, shares)
        for q in range(first_row, end):
            of, to = ahead(a, number(a_at, q)), ahead(c, number(c_at, q))
            _from_where_it_is(of, pointer(place_of(b), 0), parts, to, more != 0)
        return
    panels, least, wider = divided(wide, panel)
    first_one, end = part_of(panels, share, shares)
    for number_ in range(first_one, end):
        p = first_one + end - 1 - number_ if turned else number_
        begin, width = p * least + min(p, wider), least + (p < wider)
        b_panel, c_panel = ahead(b, begin * k * parts * L), ahead(c, begin * L)
        if panel == LONG:
            for q in range(rows):
                _one(
                    width, a, ahead(a_at, q), b_panel, k, parts, part, c_panel, ahead(c_at, q), more != 0
                )  # fmt: skip
        else:
            _panel(a, a_at, b_panel, k, parts, part, c_panel, c_at, width, rows, more != 0)


@njit(error_model="numpy")
def _from_where_it_is(a, jobs, count, c, more):
    """One row of C = A B, for weights that are used too seldom to be packed: some rows of B at a time, each from
    its beginning to its end.
    """
    L, nothing = lanes_of(c), zero_of(c)
    for job in range(count):
        of = ahead(jobs, PACK_JOB * job)
        b, step, k, n = pointer(number(of, 0), nothing), number(of, 1), number(of, 3), number(of, 4)
        to = ahead(c, number(of, 5) * L)
        for p in range(0, k, 4):
            rows = ahead(b, p * step)
            for j in range(0, n, L):
                there = first(n - j, nothing)
                found = load(to, j) if more or p > 0 else everywhere(nothing)
                for i in range(min(4, k - p)):
                    x = broadcast(a, p + i)
                    found = multiply_add(x, load_part(rows, i * step + j, there), found)
                store(to, j, found)


@njit(error_model="numpy")
def _panel(a, a_at, b, k, parts, part, c, c_at, width, rows, more):
    """One panel's columns of C, some rows of B at a time: some parts, or some of one part."""
    L = lanes_of(b)
    if k <= INNER:
        at_once = INNER // k
        for p in range(0, parts, at_once):
            some, of = min(at_once, parts - p), ahead(b, p * k * width * L)
            _rows(
                ahead(a, p * part), a_at, of, k, some, part, c, c_at, width, rows, more or p > 0
            )  # fmt: skip
        return
    for which in range(parts):
        for p in range(0, k, INNER):
            of, inner = ahead(b, (which * k + p) * width * L), min(INNER, k - p)
            _rows(
                ahead(a, which * part + p), a_at, of, inner, 1, 0, c, c_at, width, rows,
                more or which > 0 or p > 0,
            )  # fmt: skip


@njit(error_model="numpy")
def _rows(a, a_at, b, k, parts, part, c, c_at, width, rows, more):
    """All rows of C in tiles as high as there are."""
    q = 0
    while q + HIGH <= rows:
        _many(width, a, ahead(a_at, q), b, k, parts, part, c, ahead(c_at, q), more)
        q += HIGH
    if q + 4 <= rows:
        _four(width, a, ahead(a_at, q), b, k, parts, part, c, ahead(c_at, q), more)
        q += 4
    if q + 2 <= rows:
        _two(width, a, ahead(a_at, q), b, k, parts, part, c, ahead(c_at, q), more)
        q += 2
    if q < rows:
        _one(width, a, ahead(a_at, q), b, k, parts, part, c, ahead(c_at, q), more)


@njit(error_model="numpy")
def pick(labels, labels_at, weight, step, c, c_at, n, rows):
    """For each row of C the column of a weight that a label says; −1 says 0."""
    L, nothing = lanes_of(weight), zero_of(weight)
    for q in range(rows):
        label, to = number(labels, number(labels_at, q)), number(c_at, q)
        for j in range(0, n, L):
            found = everywhere(nothing)
            if label >= 0:
                found = load_part(weight, label * step + j, first(n - j, nothing))
            store(c, to + j, found)


@njit(error_model="numpy")
def pack(jobs, count, like, shard, shards):
    """Pack weights as jobs say, for products with numbers as `like` points to.

    A job is PACK_JOB numbers: source, how far its next row and its next column are, rows, columns, which
    register of the product its columns begin in and how many there are, destination, panel, rows of the product,
    and which of them its rows begin with. Going forward B is Wᵀ, so that its rows are columns of W; going back it
    is W.
    """
    for job in range(count):
        _pack_one(ahead(jobs, PACK_JOB * job), like, shard, shards)


@njit(error_model="numpy")
def _pack_one(job, like, shard, shards):
    L, size, nothing = lanes_of(like), bytes_of(like), zero_of(like)
    row_step, column_step, k = number(job, 1), number(job, 2), number(job, 3)
    columns, begin, wide, panel = number(job, 4), number(job, 5), number(job, 6), number(job, 8)
    for v in range(shard, (columns + L - 1) // L, shards):
        place, width = _packed_place(begin + v, wide, panel, number(job, 9))
        place += number(job, 10) * width
        to = pointer(number(job, 7) + place * L * size, nothing)
        source = pointer(number(job, 0) + v * L * column_step * size, nothing)
        if column_step == 1:
            _pack_rows(source, row_step, k, columns - v * L, to, width * L)
        else:
            _pack_columns(source, row_step, column_step, k, columns - v * L, to, width * L)


@njit(error_model="numpy")
def _packed_place(at, wide, panel, k):
    """Return where the first row of a register's columns is packed, in registers, and its panel's width."""
    _, width, wider = divided(wide, panel)
    behind = wider * (width + 1)  # the first register of a narrow panel
    if at < behind:
        width += 1
        begins = at // width * width
    else:
        begins = behind + (at - behind) // width * width
    return begins * k + at - begins, width


@njit(error_model="numpy")
def _pack_rows(source, row_step, k, columns, to, to_step):
    """Columns that are neighbours in memory, the rows one behind the other."""
    if columns >= lanes_of(source):
        for p in range(k):
            store(to, p * to_step, load(source, p * row_step))
    else:
        mask = first(columns, zero_of(source))
        for p in range(k):
            store(to, p * to_step, load_part(source, p * row_step, mask))


@njit(error_model="numpy")
def _pack_columns(source, row_step, column_step, k, columns, to, to_step):
    """Columns that are apart in memory, in squares where their numbers are neighbours."""
    L, nothing, done = lanes_of(source), zero_of(source), 0
    if row_step == 1 and columns >= L:
        while done + L <= k:
            turn_square(ahead(source, done), column_step, ahead(to, done * to_step), to_step)
            done += L
    for lane in range(L):
        of = ahead(source, lane * column_step)
        for p in range(done, k):
            if lane < columns:
                put_number(to, p * to_step + lane, number(of, p * row_step))
            else:
                put_number(to, p * to_step + lane, nothing)
