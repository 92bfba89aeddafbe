"""A tile of a matrix product: as many sums as registers can hold, and what is done with them.

The R × W sums of a tile are R rows of W registers. For each term, W registers of B's row are loaded and
multiplied with R numbers of A, which gives R · W multiplications for R + W loads; everything else about
the product follows from that (Goto and van de Geijn 2008, ACM TOMS 34:3).
"""

import itertools
from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from unrolled.engines.compiled.vectors import (
    Value,
    Vector,
    ahead,
    called,
    lanes,
    lanes_of,
    llvm_of,
    prefetched,
    splat,
    vector_of,
)  # fmt: skip

_AHEAD = 32  # terms after which a row of B that is asked for now is used
_INDEX = ir.IntType(64)


def tile_function(rows: int, wide: int, chains: int = 1) -> Any:
    """Return `tile`, which computes R × W registers of C from `parts` times k terms, or adds them to it with
    `more`.

    The rows of A and of C are where lists of places say, the next part of a row of A is `part` numbers further. A
    sum in several `chains`, each of every so manieth term, waits less for itself.
    """
    count = rows * wide * chains

    @njit(error_model="numpy")
    def tile(a, a_at, b, k, parts, part, c, c_at, more):
        of, to = at_places(a, a_at, rows), at_places(c, c_at, rows)
        ask_for(to, wide)
        sums = nothing(b, count)
        while True:
            for p in range(0, k - k % chains, chains):
                sums = add_terms(sums, of, p, b, wide, chains)
            for p in range(k - k % chains, k):
                sums = add_terms(sums, of, p, b, wide, 1)
            parts -= 1
            if parts == 0:
                break
            of, b = moved(of, part), ahead(b, k * wide * lanes_of(b))
        put(sums, to, wide, more)

    return tile


def sum_tile_function(rows: int, wide: int) -> Any:
    """Return the same for a sum over columns: a list of places says where the numbers of A are for each term,
    side by side, and rows of C are a step apart.
    """
    count = rows * wide

    @njit(error_model="numpy")
    def tile(a, a_at, b, k, c, c_step, more):
        to = in_steps(c, c_step, rows)
        ask_for(to, wide)
        sums = nothing(b, count)
        for p in range(k):
            sums = add_column(sums, a, a_at, p, b, wide, rows)
        put(sums, to, wide, more)

    return tile


def _pointers(of: Any, rows: Any) -> Any:
    return types.UniTuple(of, rows.literal_value)


def _at(builder: Any, of: Value, k: int) -> Value:
    return builder.gep(of, [_INDEX(k)])


@intrinsic(prefer_literal=True)
def nothing(context: Any, like: Any, count: Any) -> Any:
    """Return `count` registers of zeros."""
    kind = types.UniTuple(vector_of(like.dtype), count.literal_value)

    def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
        return ir.Constant(context.get_value_type(kind), None)

    return signature(kind, like, count), lower


@intrinsic(prefer_literal=True)
def at_places(context: Any, of: Any, places: Any, rows: Any) -> Any:
    """Return pointers to the rows that a list of places says."""
    kind = _pointers(of, rows)

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        steps = [builder.load(_at(builder, operands[1], r)) for r in range(rows.literal_value)]
        return context.make_tuple(builder, kind, [builder.gep(operands[0], [s]) for s in steps])

    return signature(kind, of, places, rows), lower


@intrinsic(prefer_literal=True)
def in_steps(context: Any, of: Any, step: Any, rows: Any) -> Any:
    """Return pointers to rows one behind the other."""
    kind = _pointers(of, rows)

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        steps = [builder.mul(operands[1], _INDEX(r)) for r in range(rows.literal_value)]
        return context.make_tuple(builder, kind, [builder.gep(operands[0], [s]) for s in steps])

    return signature(kind, of, types.int64, rows), lower


@intrinsic
def moved(context: Any, pointers: Any, step: Any) -> Any:
    """Return pointers that are a step further."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        of = cgutils.unpack_tuple(builder, operands[0])
        found = [builder.gep(each, [operands[1]]) for each in of]
        return context.make_tuple(builder, pointers, found)

    return signature(pointers, pointers, types.int64), lower


@intrinsic(prefer_literal=True)
def ask_for(context: Any, to: Any, wide: Any) -> Any:
    """Let what the sums may be added to come nearer meanwhile; a single row is near."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        rows = cgutils.unpack_tuple(builder, operands[0])
        for row in rows if len(rows) > 1 else ():
            for w in range(wide.literal_value):
                prefetched(context, builder, _at(builder, row, w * lanes(to.dtype.dtype)))
        return context.get_dummy_value()

    return signature(types.void, to, wide), lower


class _Terms:
    """Writes what adds a term to each sum of a tile: R numbers of A times W registers of B's row."""

    def __init__(self, context: Any, builder: Any, b: Value, vector: Vector, wide: int):
        self.context, self.builder, self.b, self.vector = context, builder, b, vector
        self.wide = wide

    def added(self, sums: Sequence[Value], numbers: Sequence[Value], p: Value) -> list[Value]:
        """Return the sums with term p added, whose numbers of A are at some pointers."""
        row = self._row(p, len(numbers) > 1)
        found = []
        for r, of in enumerate(numbers):
            x = splat(self.builder, self.vector, self.builder.load(of))
            for w, b in enumerate(row):
                operands = [x, b, sums[r * self.wide + w]]
                found.append(called(self.context, self.builder, "fmuladd", self.vector, operands))
        return found

    def _row(self, p: Value, several: bool) -> list[Value]:
        builder, step = self.builder, self.wide * self.vector.lanes
        row = builder.gep(self.b, [builder.mul(p, _INDEX(step))])
        found = []
        for w in range(self.wide):
            place = _at(builder, row, w * self.vector.lanes)
            if several:
                prefetched(self.context, builder, _at(builder, place, _AHEAD * step))
            register = builder.bitcast(place, llvm_of(self.vector).as_pointer())
            found.append(builder.load(register, align=self.vector.dtype.bitwidth // 8))
        return found


@intrinsic(prefer_literal=True)
def add_terms(
    context: Any, sums: Any, rows: Any, p: Any, b: Any, wide: Any, chains: Any
) -> Any:  # fmt: skip
    """Add a term to the sums of each of so many chains, for the rows of A at some pointers."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        found = cgutils.unpack_tuple(builder, operands[0])
        of, p = cgutils.unpack_tuple(builder, operands[1]), operands[2]
        terms = _Terms(context, builder, operands[3], sums.dtype, wide.literal_value)
        count = len(of) * wide.literal_value
        for chain in range(chains.literal_value):
            here = builder.add(p, _INDEX(chain))
            own = slice(chain * count, (chain + 1) * count)
            found[own] = terms.added(found[own], [builder.gep(row, [here]) for row in of], here)
        return context.make_tuple(builder, sums, found)

    return signature(sums, sums, rows, types.int64, b, wide, chains), lower


@intrinsic(prefer_literal=True)
def add_column(
    context: Any, sums: Any, a: Any, a_at: Any, p: Any, b: Any, wide: Any, rows: Any
) -> Any:
    """Add term p to the sums, whose numbers of A are side by side where a list of places says."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        found, a, a_at, p, b = operands[:5]
        own = builder.gep(a, [builder.load(builder.gep(a_at, [p]))])
        numbers = [_at(builder, own, r) for r in range(rows.literal_value)]
        later = builder.load(builder.gep(a_at, [builder.add(p, _INDEX(8))]))
        prefetched(context, builder, builder.gep(a, [later]))
        terms = _Terms(context, builder, b, sums.dtype, wide.literal_value)
        made = terms.added(cgutils.unpack_tuple(builder, found), numbers, p)
        return context.make_tuple(builder, sums, made)

    return signature(sums, sums, a, a_at, types.int64, b, wide, rows), lower


@intrinsic(prefer_literal=True)
def put(context: Any, sums: Any, to: Any, wide: Any, more: Any) -> Any:
    """Write the sums, their chains together, or add them to what is there."""
    vector, aligned = sums.dtype, sums.dtype.dtype.bitwidth // 8

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        found, rows = (cgutils.unpack_tuple(builder, x) for x in operands[:2])
        count = len(rows) * wide.literal_value
        while len(found) > count:  # chains in pairs, so that few additions wait for each other
            half = (len(found) // count + 1) // 2 * count
            pairs = itertools.zip_longest(found[:half], found[half:])
            found = [a if b is None else builder.fadd(a, b) for a, b in pairs]
        places = [
            builder.bitcast(_at(builder, row, w * vector.lanes), llvm_of(vector).as_pointer())
            for row in rows for w in range(wide.literal_value)
        ]  # fmt: skip
        with builder.if_else(operands[3]) as (added, written):
            with added:
                for place, sum_ in zip(places, found, strict=False):
                    old = builder.load(place, align=aligned)
                    builder.store(builder.fadd(old, sum_), place, align=aligned)
            with written:
                for place, sum_ in zip(places, found, strict=False):
                    builder.store(sum_, place, align=aligned)
        return context.get_dummy_value()

    return signature(types.void, sums, to, wide, types.boolean), lower


@intrinsic
def turn_square(context: Any, of: Any, step: Any, to: Any, to_step: Any) -> Any:
    """Write the transpose of a square of as many numbers as a register has: columns become rows.

    Halves of registers change places, then quarters, and so on, each time between two registers that are
    as far apart.
    """
    vector, aligned = vector_of(of.dtype), of.dtype.bitwidth // 8
    count = vector.lanes

    def at(builder: Any, pointer: Value, step: Value, k: int) -> Value:
        place = builder.gep(pointer, [builder.mul(step, _INDEX(k))])
        return builder.bitcast(place, llvm_of(vector).as_pointer())

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        of, step, to, to_step = operands
        rows = [builder.load(at(builder, of, step, k), align=aligned) for k in range(count)]
        far = count // 2
        while far:
            low = [k if k & far == 0 else k - far + count for k in range(count)]
            high = [k + far if k & far == 0 else k + count for k in range(count)]
            for k in (k for k in range(count) if k & far == 0):
                pair = rows[k], rows[k + far]
                for place, lanes_ in ((k, low), (k + far, high)):
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), count), lanes_)
                    rows[place] = builder.shuffle_vector(*pair, mask)
            far //= 2
        for k, row in enumerate(rows):
            builder.store(row, at(builder, to, to_step, k), align=aligned)
        return context.get_dummy_value()

    return signature(types.void, of, types.int64, to, types.int64), lower
