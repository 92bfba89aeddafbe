"""Sums over all steps: Σ_t dz⟨t⟩ a⟨t−1⟩ᵀ as one product of all columns, Σ_t dz⟨t⟩, what labels pick.

Both operands are packed, some hundred columns at a time: what one chain of additions adds up goes to the
total then, for a chain of all columns would cost float32 a digit. Each core computes its own rows of the
totals from all columns, so that a total does not depend on how many cores there are.
"""

from typing import Any

import numpy as np
from numba import njit

from unrolled.engines.compiled.products import HIGH, WIDE, chunk, divided, packed_tiles
from unrolled.engines.compiled.vectors import (
    ahead, everywhere, first, lanes, load, load_part, number, one_at, pointer, put_number, store,
)  # fmt: skip

COLUMNS = 256  # that are added up before they go to the total
FEW = 256  # rows up to which labels are multiplied as the columns they stand for
DENSE, LABELS, SUM = range(3)
JOB = 12  # numbers of a job


def totals_function(dtype: Any) -> Any:
    """Return `totals`, which adds up what jobs say: totals(jobs, count, running, T, packed, places, shard,
    shards). A job is: left, how far its next step and its next sequence are, rows; the same of the
    right; total, how far its next column is, kind, and the number of the right among all.
    """
    L, CHUNK, nothing = lanes(dtype), chunk(dtype), np.dtype(str(dtype)).type(0)
    tiles = packed_tiles(dtype)
    whole = np.int64(0)

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pack_right(right, n, places, count, to):
        """Chunks of neighbouring rows, in each the columns one behind the other; 0 where rows end."""
        for q in range(count):
            of = ahead(right, number(places, q))
            for i in range(0, n, L):
                place = (i // CHUNK * count + q) * CHUNK + i % CHUNK
                if i + L <= n:
                    store(to, place, load(of, i))
                else:
                    store(to, place, load_part(of, i, first(n - i, nothing)))
            for i in range((n + L - 1) // L * L, (n + CHUNK - 1) // CHUNK * CHUNK, L):
                place = (i // CHUNK * count + q) * CHUNK + i % CHUNK
                store(to, place, everywhere(nothing))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pack_labels(right, n, places, count, to):
        for q in range(count):
            label = number(right, number(places, q))
            for i in range(0, (n + CHUNK - 1) // CHUNK * CHUNK, L):
                place = (i // CHUNK * count + q) * CHUNK + i % CHUNK
                store(to, place, one_at(label, i, nothing))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def pack_left(left, i, n, width, places, count, to):
        for w in range(width):
            j = i + w * L
            if j + L <= n:
                for q in range(count):
                    store(to, (q * width + w) * L, load(left, number(places, q) + j))
            else:
                mask = first(n - j, nothing)
                for q in range(count):
                    store(to, (q * width + w) * L, load_part(left, number(places, q) + j, mask))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def add_product(left, n_left, places, right, n_right, count, total, step, more, own, turn, shard, shards):
        """Add to the panels whose turn it is; return whose turn is next."""
        panels, least, wider = divided((n_left + L - 1) // L, WIDE)
        begin = 0
        for panel in range(panels):
            width = least + (panel < wider)
            if turn % shards == shard:
                pack_left(left, begin * L, n_left, width, places, count, own)
                for i in range(0, n_right, HIGH):
                    a = ahead(right, i // CHUNK * CHUNK * count + i % CHUNK)
                    tiles(width, a, own, count, ahead(total, i * step + begin * L), step, more)
            begin += width
            turn += 1
        return turn

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def add_sum(left, n, places, count, total, more, shard, shards):
        for j in range(shard * L, n, shards * L):
            mask = first(n - j, nothing)
            found = everywhere(nothing)
            for q in range(count):
                found = found + load_part(left, number(places, q) + j, mask)
            if more:
                found = found + load(total, j)
            store(total, j, found)

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def add_to_labels(left, n, places, labels, label_places, count, total, step, shard, shards):
        for q in range(count):
            label = number(labels, number(label_places, q))
            of = ahead(left, number(places, q))
            for j in range(shard * L, n if label >= 0 else 0, shards * L):
                place = label * step + j
                store(total, place, load(total, place) + load_part(of, j, first(n - j, nothing)))

    @njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def totals(jobs, count, running, T, spares, places, shard, shards):
        own, packed = spares, ahead(spares, COLUMNS * WIDE * L)
        left_at, right_at = ahead(places, 2 * COLUMNS), ahead(places, 3 * COLUMNS)
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
            there, turn = -1, 0
            for job in range(count if q else 0):
                of = ahead(jobs, JOB * job)
                left, n_left = pointer(number(of, 0), nothing), number(of, 3)
                n_right, kind = number(of, 7), number(of, 10)
                total, step = pointer(number(of, 8), nothing), number(of, 9)
                for k in range(q):
                    at, row = number(places, k), number(places, COLUMNS + k)
                    put_number(left_at, k, at * number(of, 1) + row * number(of, 2))
                    put_number(right_at, k, at * number(of, 5) + row * number(of, 6))
                if kind == SUM:
                    add_sum(left, n_left, left_at, q, total, more, shard, shards)
                elif kind == LABELS and n_right > FEW:
                    labels = pointer(number(of, 4), whole)
                    add_to_labels(left, n_left, left_at, labels, right_at, q, total, step, shard, shards)
                else:
                    if there != number(of, 11):
                        there = number(of, 11)
                        if kind == LABELS:
                            pack_labels(pointer(number(of, 4), whole), n_right, right_at, q, packed)
                        else:
                            pack_right(pointer(number(of, 4), nothing), n_right, right_at, q, packed)
                    turn = add_product(
                        left, n_left, left_at, packed, n_right, q, total, step, more, own, turn, shard,
                        shards,
                    )  # fmt: skip
            more = True

    return totals
