"""A tile of a matrix product: as many sums as registers can hold, and what is done with them.

The R × W sums of a tile are R rows of W registers. For each term, W registers of B's row are loaded and
multiplied with R numbers of A, which gives R · W multiplications for R + W loads; everything else about
the product follows from that (Goto and van de Geijn 2008, ACM TOMS 34:3).
"""

from types import SimpleNamespace
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from unrolled.engines.compiled.vectors import (
    Value, called, lanes, llvm_of, prefetched, splat, vector_of,
)  # fmt: skip

_AHEAD = 32  # terms after which a row of B that is asked for now is used
_INDEX = ir.IntType(64)


def tile_function(dtype: Any, rows: int, wide: int, packed: int = 0, chains: int = 1) -> Any:
    """Return `tile`, which computes R × W registers of C from k terms, or adds them to it with `more`.

    A's rows are where a list of places says; or A is `packed`, so many numbers for each term. A sum in
    several `chains`, each of every so manieth term, waits less for itself.
    """
    do = _operations(dtype, rows, wide, packed, chains)
    begin, at_places, in_steps, ask_for = do.begin, do.at_places, do.in_steps, do.ask_for
    add, add_one, together, put = do.add, do.add_one, do.together, do.put

    if packed:

        @njit(error_model="numpy")  # type: ignore[untyped-decorator]
        def tile(a, b, k, c, c_step, more):
            to, sums = in_steps(c, c_step), begin()
            ask_for(to)
            for p in range(k):
                sums = add(sums, a, p, b)
            put(sums, to, more)

    else:

        @njit(error_model="numpy")  # type: ignore[untyped-decorator]
        def tile(a, a_at, b, k, c, c_at, more):
            of, to, sums = at_places(a, a_at), at_places(c, c_at), begin()
            ask_for(to)
            for p in range(0, k - k % chains, chains):
                sums = add(sums, of, p, b)
            for p in range(k - k % chains, k):
                sums = add_one(sums, of, p, b)
            put(together(sums), to, more)

    return tile


def _operations(dtype: Any, rows: int, wide: int, packed: int, chains: int) -> SimpleNamespace:
    """Return what a tile's function is made of."""
    vector = vector_of(dtype)
    count, bytes_ = rows * wide, dtype.bitwidth // 8
    registers = types.UniTuple(vector, count * chains)
    pointers = types.UniTuple(types.CPointer(dtype), rows)
    row = wide * lanes(dtype)

    def at(builder: Any, of: Value, *steps: Any) -> Value:
        """The pointer that is a product, or one number, further."""
        step = steps[0]
        for other in steps[1:]:
            step = builder.mul(step, other)
        return builder.gep(of, [step])

    def register(builder: Any, of: Value) -> Value:
        return builder.bitcast(of, llvm_of(vector).as_pointer())

    def term(context: Any, builder: Any, sums: list[Value], a: Any, p: Value, b: Value) -> list[Value]:
        """Return the sums with term p added."""
        b_row = at(builder, b, p, _INDEX(row))
        b_ahead = at(builder, b, builder.add(p, _INDEX(_AHEAD)), _INDEX(row))
        found = []
        for w in range(wide):
            step = [_INDEX(w * lanes(dtype))]
            place = register(builder, builder.gep(b_row, step))
            found.append(builder.load(place, align=bytes_))
            if rows > 1:
                prefetched(context, builder, builder.gep(b_ahead, step))
        made = []
        for r in range(rows):
            if packed:
                of = builder.gep(at(builder, a, p, _INDEX(packed)), [_INDEX(r)])
            else:
                of = builder.gep(a[r], [p])
            x = splat(builder, vector, builder.load(of))
            for w in range(wide):
                operands = [x, found[w], sums[r * wide + w]]
                made.append(called(context, builder, "fmuladd", vector, operands))
        return made

    @intrinsic  # type: ignore[untyped-decorator]
    def begin(context: Any) -> Any:
        """Return sums of nothing."""

        def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
            return ir.Constant(context.get_value_type(registers), None)

        return signature(registers), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def at_places(context: Any, of: Any, places: Any) -> Any:
        """Return pointers to the rows that a list of places says."""

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            of, places = operands
            steps = [builder.load(builder.gep(places, [_INDEX(r)])) for r in range(rows)]
            return context.make_tuple(builder, pointers, [builder.gep(of, [s]) for s in steps])

        return signature(pointers, of, places), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def in_steps(context: Any, of: Any, step: Any) -> Any:
        """Return pointers to rows one behind the other."""

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            found = [at(builder, operands[0], operands[1], _INDEX(r)) for r in range(rows)]
            return context.make_tuple(builder, pointers, found)

        return signature(pointers, of, types.int64), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def ask_for(context: Any, to: Any) -> Any:
        """Let what the sums may be added to come nearer meanwhile."""

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            for row_of in cgutils.unpack_tuple(builder, operands[0]) if rows > 1 else ():
                for w in range(wide):
                    prefetched(context, builder, builder.gep(row_of, [_INDEX(w * lanes(dtype))]))
            return context.get_dummy_value()

        return signature(types.void, to), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def add(context: Any, sums: Any, a: Any, p: Any, b: Any) -> Any:
        """Add a term to each sum, the next one to the next chain."""

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            sums, a, p, b = operands
            before = cgutils.unpack_tuple(builder, sums)
            a = a if packed else cgutils.unpack_tuple(builder, a)
            made = []
            for chain in range(chains):
                here = builder.add(p, _INDEX(chain))
                made += term(context, builder, before[chain * count :], a, here, b)
            return context.make_tuple(builder, registers, made)

        return signature(registers, sums, a, types.int64, b), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def add_one(context: Any, sums: Any, a: Any, p: Any, b: Any) -> Any:
        """Add a term to the sums of the first chain."""

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            sums, a, p, b = operands
            before = cgutils.unpack_tuple(builder, sums)
            made = term(context, builder, before, cgutils.unpack_tuple(builder, a), p, b)
            return context.make_tuple(builder, registers, made + before[count:])

        return signature(registers, sums, a, types.int64, b), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def together(context: Any, sums: Any) -> Any:
        """Return the sums with their chains added up."""
        whole = types.UniTuple(vector, count)

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            found = cgutils.unpack_tuple(builder, operands[0])
            for k in range(count, len(found)):
                found[k % count] = builder.fadd(found[k % count], found[k])
            return context.make_tuple(builder, whole, found[:count])

        return signature(whole, sums), lower

    @intrinsic  # type: ignore[untyped-decorator]
    def put(context: Any, sums: Any, to: Any, more: Any) -> Any:
        """Write the sums, or add them to what is there."""

        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            sums, to, more = operands
            found = cgutils.unpack_tuple(builder, sums)
            to = cgutils.unpack_tuple(builder, to)
            places = [
                register(builder, builder.gep(to[r], [_INDEX(w * lanes(dtype))]))
                for r in range(rows) for w in range(wide)
            ]  # fmt: skip
            with builder.if_else(more) as (yes, no):
                with yes:
                    for place, sum_ in zip(places, found, strict=True):
                        old = builder.load(place, align=bytes_)
                        builder.store(builder.fadd(old, sum_), place, align=bytes_)
                with no:
                    for place, sum_ in zip(places, found, strict=True):
                        builder.store(sum_, place, align=bytes_)
            return context.get_dummy_value()

        return signature(types.void, sums, to, types.boolean), lower

    return SimpleNamespace(
        begin=begin, at_places=at_places, in_steps=in_steps, ask_for=ask_for, add=add,
        add_one=add_one, together=together, put=put,
    )  # fmt: skip
