"""Vectors of the processor as values of Numba, so that a kernel's Python text says what each register holds.

`z + p`, `1 - f`, `load(a, i)`, `store(a, i, z)` work on as many neighbouring numbers as one register
has: LANES. Here, in tiles.py and in cores.py, is what has to know LLVM; what is computed with vectors is said
elsewhere. Arrays are seen through pointers, and places in them are counted in numbers.
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.registry import cpu_target
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, register_model

Value = Any
_I32 = ir.IntType(32)
_CONTRACT = ("contract",)  # a product and a sum may be one operation


def target() -> tuple[str, str, str]:
    """Return what is compiled for: system, processor, and its features."""
    system, processor, features = cpu_target.target_context.codegen().magic_tuple()
    return str(system), str(processor), str(features)


def _register_bytes() -> int:
    features = set(target()[2].split(","))
    return 64 if "+avx512f" in features else 32 if "+avx" in features else 16


BYTES = _register_bytes()
_ELEMENTS = {
    types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.boolean: ir.IntType(1),
    types.int32: _I32, types.int64: ir.IntType(64),
}  # fmt: skip
_WHOLE = {types.float32: types.int32, types.float64: types.int64}
_NAMES = {types.float32: "f32", types.float64: "f64"}


class Vector(types.Type):
    """A register of numbers; of booleans it is a mask."""

    def __init__(self, dtype: Any, lanes: int):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype} x {lanes})")

    def can_convert_from(self, _: Any, other: Any) -> Any:
        """A number stands for a vector of it."""
        is_number = isinstance(other, types.Float | types.Integer)
        return Conversion.safe if is_number and self.dtype != types.boolean else None


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Vector):
        super().__init__(manager, of, llvm_of(of))


def lanes(dtype: Any) -> int:
    """Return how many numbers of a dtype a register has."""
    return BYTES * 8 // int(dtype.bitwidth)


def vector_of(dtype: Any) -> Vector:
    """Return the type of a register of such numbers."""
    return Vector(dtype, lanes(dtype))


def llvm_of(vector: Vector) -> Any:
    return ir.VectorType(_ELEMENTS[vector.dtype], vector.lanes)


def splat(builder: Any, vector: Vector, number: Value) -> Value:
    kind = llvm_of(vector)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, _I32(0))
    nowhere = ir.Constant(ir.VectorType(_I32, vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), nowhere)


@lower_cast(types.Float, Vector)
@lower_cast(types.Integer, Vector)
def _from_number(context: Any, builder: Any, of: Any, to: Vector, number: Value) -> Value:
    return splat(builder, to, context.cast(builder, number, of, to.dtype))


def _operator(function: Any, name: str) -> None:
    """Let an operator of Python work on vectors, and on a vector and a number."""

    @infer_global(function)
    class Template(AbstractTemplate):
        key = function

        def generic(self, operands: Any, _: Any) -> Any:
            found = [x for x in operands if isinstance(x, Vector)]
            fits = all(x == found[0] or isinstance(x, types.Number) for x in operands if found)
            return signature(found[0], *[found[0]] * len(operands)) if found and fits else None

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return getattr(builder, name)(*operands, flags=_CONTRACT)

    arguments = [Vector] * (1 if name == "fneg" else 2)
    lower_builtin(function, *arguments)(lower)


for _function, _name in {
    operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv",
    operator.neg: "fneg",
}.items():  # fmt: skip
    _operator(_function, _name)


def _called(context: Any, builder: Any, name: str, result: Any, operands: Any) -> Value:
    """Call what LLVM has a name for."""
    kind = ir.FunctionType(result, [x.type for x in operands])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)


def called(context: Any, builder: Any, name: str, vector: Vector, operands: Any) -> Value:
    """Call a function of vectors that LLVM has."""
    full = f"llvm.{name}.v{vector.lanes}{_NAMES[vector.dtype]}"
    return _called(context, builder, full, llvm_of(vector), operands)


def prefetched(context: Any, builder: Any, place: Value) -> None:
    """Ask for what will soon be read."""
    place = builder.bitcast(place, ir.IntType(8).as_pointer())
    how = [_I32(0), _I32(3), _I32(1)]  # to read, into the nearest cache, data
    _called(context, builder, "llvm.prefetch.p0", ir.VoidType(), [place, *how])


def _named(name: str, count: int) -> Any:
    """Return a function of vectors that LLVM has."""

    def typed(vector: Vector) -> Any:
        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            return called(context, builder, name, vector, operands)

        return signature(vector, *[vector] * count), lower

    return typed


@intrinsic
def multiply_add(context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a b + c, rounded once where the processor can."""
    return _named("fmuladd", 3)(next(x for x in (a, b, c) if isinstance(x, Vector)))


@intrinsic
def larger(context: Any, a: Any, b: Any) -> Any:
    """Return the larger of two, lane by lane; NaN where one is NaN."""
    return _named("maximum", 2)(a if isinstance(a, Vector) else b)


@intrinsic
def size(context: Any, a: Any) -> Any:
    """Return |a|."""
    return _named("fabs", 1)(a)


@intrinsic
def with_sign_of(context: Any, a: Any, b: Any) -> Any:
    """Return |a| with the sign of b."""
    return _named("copysign", 2)(a)


def _compared(how: str) -> Any:
    def typed(a: Any, b: Any) -> Any:
        vector = a if isinstance(a, Vector) else b

        def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
            return builder.fcmp_ordered(how, *operands)

        return signature(Vector(types.boolean, vector.lanes), vector, vector), lower

    return typed


@intrinsic
def less(context: Any, a: Any, b: Any) -> Any:
    """Return the mask of the lanes where a < b; NaN is not."""
    return _compared("<")(a, b)


@intrinsic
def at_most(context: Any, a: Any, b: Any) -> Any:
    """Return the mask of the lanes where a ≤ b; NaN is not."""
    return _compared("<=")(a, b)


@intrinsic
def where(context: Any, mask: Any, a: Any, b: Any) -> Any:
    """Return `a` in the lanes of a mask, and `b` in the others."""
    vector = a if isinstance(a, Vector) else b

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.select(*operands)

    return signature(vector, mask, vector, vector), lower


@intrinsic
def times_two_to(context: Any, a: Any, n: Any) -> Any:
    """Return a · 2ⁿ for whole n, rounded where it is no normal number."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        if BYTES == 64:
            return _scaled(context, builder, a, *operands)
        number, power = operands
        half = _rounded(builder, a, builder.fmul(power, ir.Constant(power.type, [0.5] * a.lanes)))
        for part in (half, builder.fsub(power, half)):  # 2ⁿ alone may be no normal number
            number = builder.fmul(number, _power_of_two(builder, a, part))
        return number

    return signature(a, a, a), lower


def _scaled(context: Any, builder: Any, a: Vector, number: Value, power: Value) -> Value:
    """AVX-512 has an instruction for it."""
    name = "llvm.x86.avx512.mask.scalef." + ("ps.512" if a.dtype == types.float32 else "pd.512")
    every, how = ir.IntType(a.lanes)(-1), _I32(4)  # all lanes, rounded as usual
    return _called(context, builder, name, number.type, [number, power, number, every, how])


def _rounded(builder: Any, a: Vector, value: Value) -> Value:
    """The nearest whole number: beside so large a number there is no room for a fraction."""
    large = ir.Constant(
        value.type, [1.5 * 2.0 ** (23 if a.dtype == types.float32 else 52)] * a.lanes
    )
    return builder.fsub(builder.fadd(value, large), large)


def _power_of_two(builder: Any, a: Vector, n: Value) -> Value:
    """2ⁿ, a normal number: n is written where its exponent is."""
    kind = llvm_of(Vector(_WHOLE[a.dtype], a.lanes))
    mantissa, bias = (23, 127) if a.dtype == types.float32 else (52, 1023)
    exponent = builder.add(builder.fptosi(n, kind), ir.Constant(kind, [bias] * a.lanes))
    return builder.bitcast(builder.shl(exponent, ir.Constant(kind, [mantissa] * a.lanes)), n.type)


@intrinsic
def exponent_of(context: Any, a: Any) -> Any:
    """Return n, where a = f · 2ⁿ with f from √½ to √2, for positive normal a."""
    return _taken_apart(a, exponent=True)


@intrinsic
def fraction_of(context: Any, a: Any) -> Any:
    """Return f of the same."""
    return _taken_apart(a, exponent=False)


def _taken_apart(a: Vector, exponent: bool) -> Any:
    whole = llvm_of(Vector(_WHOLE[a.dtype], a.lanes))
    single = a.dtype == types.float32
    mantissa, root = (23, 0x3F3504F3) if single else (52, 0x3FE6A09E667F3BCD)  # the bits of √½

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        def constant(k: int) -> Value:
            return ir.Constant(whole, [k] * a.lanes)

        bits = builder.bitcast(operands[0], whole)
        n = builder.ashr(builder.sub(bits, constant(root)), constant(mantissa))
        if exponent:
            return builder.sitofp(n, operands[0].type)
        return builder.bitcast(
            builder.sub(bits, builder.shl(n, constant(mantissa))), operands[0].type
        )

    return signature(a, a), lower


@intrinsic
def pointer(context: Any, address: Any, like: Any) -> Any:
    """Return a pointer to numbers of the dtype of `like` at an address."""
    kind = types.CPointer(like)

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        return builder.inttoptr(operands[0], context.get_value_type(kind))

    return signature(kind, address, like), lower


@intrinsic
def place_of(context: Any, of: Any) -> Any:
    """Return the address that a pointer is."""

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.ptrtoint(operands[0], ir.IntType(64))

    return signature(types.int64, of), lower


@intrinsic
def ahead(context: Any, of: Any, i: Any) -> Any:
    """Return the pointer that is i numbers further."""

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.gep(*operands[:1], [operands[1]])

    return signature(of, of, i), lower


@intrinsic
def number(context: Any, of: Any, i: Any) -> Any:
    """Return one number."""

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.load(builder.gep(operands[0], [operands[1]]))

    return signature(of.dtype, of, i), lower


@intrinsic
def put_number(context: Any, of: Any, i: Any, value: Any) -> Any:
    """Write one number."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        builder.store(operands[2], builder.gep(operands[0], [operands[1]]))
        return context.get_dummy_value()

    return signature(types.void, of, types.intp, of.dtype), lower


@intrinsic
def lanes_of(context: Any, of: Any) -> Any:
    """Return how many numbers of a pointer's dtype a register has."""

    def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
        return ir.IntType(64)(lanes(of.dtype))

    return signature(types.int64, of), lower


@intrinsic
def bytes_of(context: Any, of: Any) -> Any:
    """Return how many bytes a number of a pointer's dtype has."""

    def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
        return ir.IntType(64)(of.dtype.bitwidth // 8)

    return signature(types.int64, of), lower


@intrinsic
def zero_of(context: Any, of: Any) -> Any:
    """Return 0 in a pointer's dtype."""

    def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
        return ir.Constant(_ELEMENTS[of.dtype], 0.0)

    return signature(of.dtype, of), lower


def _place(builder: Any, vector: Vector, of: Value, i: Value) -> Value:
    return builder.bitcast(builder.gep(of, [i]), llvm_of(vector).as_pointer())


@intrinsic
def load(context: Any, of: Any, i: Any) -> Any:
    """Return LANES numbers."""
    vector = vector_of(of.dtype)

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.load(_place(builder, vector, *operands), align=of.dtype.bitwidth // 8)

    return signature(vector, of, i), lower


@intrinsic
def store(context: Any, of: Any, i: Any, value: Any) -> Any:
    """Write LANES numbers."""
    vector = vector_of(of.dtype)

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        place = _place(builder, vector, *operands[:2])
        builder.store(operands[2], place, align=of.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return signature(types.void, of, types.intp, vector), lower


@intrinsic
def first(context: Any, count: Any, like: Any) -> Any:
    """Return the mask of the first `count` lanes."""
    vector = vector_of(like)
    whole = Vector(_WHOLE[like], vector.lanes)

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        counted, count = ir.Constant(llvm_of(whole), list(range(vector.lanes))), operands[0]
        if like == types.float32:
            count = builder.trunc(count, _I32)
        return builder.icmp_signed("<", counted, splat(builder, whole, count))

    return signature(Vector(types.boolean, vector.lanes), types.int64, like), lower


@intrinsic
def load_part(context: Any, of: Any, i: Any, mask: Any) -> Any:
    """Return the numbers in the lanes of a mask, and 0 in the others."""
    vector = vector_of(of.dtype)

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        kind = llvm_of(vector)
        name = f"llvm.masked.load.v{vector.lanes}{_NAMES[vector.dtype]}.p0"
        place = _place(builder, vector, *operands[:2])
        aligned = _I32(of.dtype.bitwidth // 8)
        return _called(
            context, builder, name, kind, [place, aligned, operands[2], ir.Constant(kind, None)]
        )

    return signature(vector, of, i, mask), lower


@intrinsic
def broadcast(context: Any, of: Any, i: Any) -> Any:
    """Return one number in all lanes."""
    vector = vector_of(of.dtype)

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return splat(builder, vector, builder.load(builder.gep(operands[0], [operands[1]])))

    return signature(vector, of, i), lower


@intrinsic
def everywhere(context: Any, value: Any) -> Any:
    """Return a number in all lanes."""
    vector = vector_of(value)

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return splat(builder, vector, operands[0])

    return signature(vector, value), lower


@intrinsic
def one_at(context: Any, label: Any, j: Any, like: Any) -> Any:
    """Return the part from row j on of a one-hot column: 1 where the row is the label, else 0."""
    vector, whole = vector_of(like), Vector(types.int64, lanes(like))

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        counted = ir.Constant(llvm_of(whole), list(range(vector.lanes)))
        wanted = splat(builder, whole, builder.sub(*operands[:2]))
        kind = llvm_of(vector)
        one, zero = (ir.Constant(kind, [float(x)] * vector.lanes) for x in (1, 0))
        return builder.select(builder.icmp_signed("==", counted, wanted), one, zero)

    return signature(vector, types.int64, types.int64, like), lower


def _reduced(name: str, start: float | None) -> Any:
    def typed(vector: Vector) -> Any:
        def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
            element = _ELEMENTS[vector.dtype]
            full = f"llvm.vector.reduce.{name}.v{vector.lanes}{_NAMES[vector.dtype]}"
            first = [] if start is None else [ir.Constant(element, start)]
            found = _called(context, builder, full, element, [*first, *operands])
            if start is not None:
                found.fastmath.add("reassoc")  # lanes are added in pairs, not one by one
            return splat(builder, vector, found)

        return signature(vector, vector), lower

    return typed


@intrinsic
def sum_of(context: Any, a: Any) -> Any:
    """Return the sum of all lanes, in every lane."""
    return _reduced("fadd", -0.0)(a)


@intrinsic
def largest_of(context: Any, a: Any) -> Any:
    """Return the largest of all lanes, in every lane."""
    return _reduced("fmaximum", None)(a)


@intrinsic
def first_of(context: Any, a: Any) -> Any:
    """Return the number in the first lane."""

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.extract_element(operands[0], _I32(0))

    return signature(a.dtype, a), lower
