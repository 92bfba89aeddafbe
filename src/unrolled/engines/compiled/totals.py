"""Sums over all steps: Σ_t dz⟨t⟩ a⟨t−1⟩ᵀ as one product of all columns, Σ_t dz⟨t⟩, what labels pick.

The left operand is packed, some hundred columns at a time: what one chain of additions adds up goes to the
total then, for a chain of all columns would cost float32 a digit. The right one is read where it is, if tiles may.
Each core computes its own tiles of the totals from all columns, so that a total does not depend on how many
cores there are.
"""

from numba import njit

from unrolled.engines.compiled.products import HIGH, WIDE, divided, part_of, sum_tiles
from unrolled.engines.compiled.vectors import (
    ahead,
    everywhere,
    first,
    lanes_of,
    load,
    load_part,
    number,
    one_at,
    pointer,
    put_number,
    store,
    zero_of,
)  # fmt: skip

COLUMNS = 256  # that are added up before they go to the total
FEW = 256  # rows up to which labels are multiplied as the columns they stand for
IN_PLACE, DENSE, LABELS, SUM = range(4)  # a right that is read where it is, or packed; labels; none
JOB = 12  # numbers of a job
COPY = 7  # numbers of a row that says what is copied out

PLACES = 5 * COLUMNS + 8  # whole numbers that `totals` has use for; tiles look some ahead

_tiles = sum_tiles()


@njit(error_model="numpy")
def _packed_rows(n, lanes):
    """How many numbers a packed column has: whole registers, and whole tiles."""
    most = max(lanes, HIGH)
    return (n + most - 1) // most * most


def room_for_columns(lanes: int, rows: int) -> int:
    """Return how many numbers `totals` has use for, beside the totals, where a right has so many rows."""
    packed: int = _packed_rows.py_func(rows, lanes)
    return COLUMNS * (WIDE * lanes + packed)


@njit(error_model="numpy")
def totals(jobs, count, running, T, spares, places, shard, shards):
    """Add up what jobs say, for the sequences that run at T steps.

    A job is JOB numbers: left, how far its next step and its next sequence are, its rows; the same of the
    right; the total, how far its next column is, the kind, and the number of the right among all.
    """
    t, r, more = 0, 0, False
    while t < T:
        q = 0
        while q < COLUMNS and t < T:  # the next columns
            if r < number(running, t):
                put_number(places, q, t)
                put_number(places, COLUMNS + q, r)
                q += 1
                r += 1
            else:
                t += 1
                r = 0
        if q > 0:
            _add_columns(jobs, count, q, spares, places, more, shard, shards)
        more = True


@njit(error_model="numpy")
def _add_columns(jobs, count, q, spares, places, more, shard, shards):
    """Add q columns to every total."""
    own, packed = spares, ahead(spares, COLUMNS * WIDE * lanes_of(spares))
    left_at, right_at = ahead(places, 2 * COLUMNS), ahead(places, 3 * COLUMNS)
    packed_at = ahead(places, 4 * COLUMNS)
    there, done = -1, 0
    begin, end = part_of(_work(jobs, count, lanes_of(spares)), shard, shards)
    for k in range(count):
        job = ahead(jobs, JOB * k)
        _put_places(job, places, q, left_at, right_at)
        left, n = pointer(number(job, 0), zero_of(spares)), number(job, 3)
        right, n_right, kind = number(job, 4), number(job, 7), number(job, 10)
        total, step = pointer(number(job, 8), zero_of(spares)), number(job, 9)
        if kind == SUM:
            _add_sum(left, n, left_at, q, total, more, shard, shards)
        elif kind == LABELS and n_right > FEW:
            labels = pointer(right, 0)
            _add_to_labels(left, n, left_at, labels, right_at, q, total, step, shard, shards)
        else:
            of, at = pointer(right, zero_of(spares)), right_at
            if kind != IN_PLACE:
                if there != number(job, 11):
                    there = number(job, 11)
                    _pack_right(job, right_at, q, packed, packed_at)
                of, at = packed, packed_at
            _add_product(
                left, n, left_at, of, at, n_right, q, total, step, more, own, begin - done, end - done
            )  # fmt: skip
            done += _tiles_of(job, lanes_of(spares))


@njit(error_model="numpy")
def _put_places(job, places, count, left_at, right_at):
    """Say where the columns of a job's left and right are."""
    for q in range(count):
        t, r = number(places, q), number(places, COLUMNS + q)
        put_number(left_at, q, t * number(job, 1) + r * number(job, 2))
        put_number(right_at, q, t * number(job, 5) + r * number(job, 6))


@njit(error_model="numpy")
def _pack_right(job, places, count, to, to_at):
    """Columns one behind the other, with 0 where their rows end; `to_at` says where each is."""
    L, n, nothing = lanes_of(to), number(job, 7), zero_of(to)
    step, is_label = _packed_rows(n, L), number(job, 10) == LABELS
    labels, right = pointer(number(job, 4), 0), pointer(number(job, 4), nothing)
    for q in range(count):
        at = number(places, q)
        put_number(to_at, q, q * step)
        for i in range(0, step, L):
            if is_label:
                store(to, q * step + i, one_at(number(labels, at), i, nothing))
            else:
                store(to, q * step + i, load_part(right, at + i, first(n - i, nothing)))


@njit(error_model="numpy")
def _pack_left(left, i, n, width, places, count, to):
    """The columns of some registers' rows, one behind the other."""
    L, nothing = lanes_of(to), zero_of(to)
    for w in range(width):
        j = i + w * L
        if j + L <= n:
            for q in range(count):
                store(to, (q * width + w) * L, load(left, number(places, q) + j))
        else:
            mask = first(n - j, nothing)
            for q in range(count):
                store(to, (q * width + w) * L, load_part(left, number(places, q) + j, mask))


@njit(error_model="numpy")
def _tiles_of(job, lanes):
    """How many tiles a product has, one register wide: what it takes of all the work."""
    return (number(job, 3) + lanes - 1) // lanes * ((number(job, 7) + HIGH - 1) // HIGH)


@njit(error_model="numpy")
def _work(jobs, count, lanes):
    """The same of all products."""
    found = 0
    for k in range(count):
        job = ahead(jobs, JOB * k)
        adds = number(job, 10) == LABELS and number(job, 7) > FEW
        found += 0 if adds or number(job, 10) == SUM else _tiles_of(job, lanes)
    return found


@njit(error_model="numpy")
def _add_product(
    left, n_left, left_at, right, right_at, n_right, count, total, step, more, own, begin, end
):  # fmt: skip
    """Add to the tiles of a product that a core has: those of its work from `begin` to before `end`."""
    L, tiles, done = lanes_of(left), (n_right + HIGH - 1) // HIGH, 0
    panels, least, wider = divided((n_left + L - 1) // L, WIDE)
    at = 0
    for panel in range(panels):
        width = least + (panel < wider)
        first_tile = max(0, (begin - done + width - 1) // width)
        last_tile = min(tiles, (end - done + width - 1) // width)
        if first_tile < last_tile:
            _pack_left(left, at * L, n_left, width, left_at, count, own)
            for i in range(first_tile * HIGH, last_tile * HIGH, HIGH):
                to = ahead(total, i * step + at * L)
                _tiles(width, ahead(right, i), right_at, own, count, to, step, more)
        at += width
        done += tiles * width


@njit(error_model="numpy")
def _add_sum(left, n, places, count, total, more, shard, shards):
    """Add the sum of columns to a total."""
    L, nothing = lanes_of(left), zero_of(left)
    for j in range(shard * L, n, shards * L):
        mask = first(n - j, nothing)
        even, odd = everywhere(nothing), everywhere(nothing)
        for q in range(0, count - 1, 2):
            even = even + load_part(left, number(places, q) + j, mask)
            odd = odd + load_part(left, number(places, q + 1) + j, mask)
        if count % 2:
            even = even + load_part(left, number(places, count - 1) + j, mask)
        found = even + odd
        if more:
            found = found + load(total, j)
        store(total, j, found)


@njit(error_model="numpy")
def _add_to_labels(left, n, places, labels, label_places, count, total, step, shard, shards):
    """Add each column to that of the total which its label says."""
    L, nothing = lanes_of(left), zero_of(left)
    for q in range(count):
        label, of = number(labels, number(label_places, q)), ahead(left, number(places, q))
        for j in range(shard * L, n if label >= 0 else 0, shards * L):
            place = label * step + j
            found = load_part(of, j, first(n - j, nothing))
            store(total, place, load(total, place) + found)


@njit(error_model="numpy")
def copy_out(rows, count, to):
    """Copy totals out of the room that tiles fill, to where they are handed out, one behind the other.

    A row is COPY numbers: where a total is, how far its next column is, its rows and columns, where in `to` it
    goes, whether it is negative, and whether it is added to what is there.
    """
    for k in range(count):
        row = ahead(rows, COPY * k)
        of, step, n = pointer(number(row, 0), zero_of(to)), number(row, 1), number(row, 2)
        begin, negative, more = number(row, 4), number(row, 5), number(row, 6)
        for j in range(number(row, 3)):
            _copy_column(ahead(of, j * step), n, ahead(to, begin + j * n), negative, more)


@njit(error_model="numpy")
def _copy_column(of, n, to, negative, more):
    L = lanes_of(to)
    for i in range(0, n - L + 1, L):
        found = load(of, i)
        if negative:
            found = -found
        store(to, i, found + load(to, i) if more else found)
    for i in range(n - n % L, n):
        one = number(of, i)
        if negative:
            one = -one
        put_number(to, i, one + number(to, i) if more else one)
