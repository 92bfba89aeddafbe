"""How cores work together on a kernel: who waits for whom, all of it in machine code, without Python's lock.

Each worker has a box of whole numbers in memory: which task it is given, what it is, which one it has done,
and whether it is awake. One that has waited in vain for a moment goes to sleep, and is woken by Python.
"""

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import intrinsic

from unrolled.engines.compiled.vectors import Value, ahead, number, pointer, put_number

BOX = 64  # whole numbers of a box; parts that different cores write to are in cache lines of their own
TASK, WHAT, AWAKE, DONE = 0, 1, 16, 32
_WHOLE = ir.IntType(64)
_LOOKS = 64  # at a number that another core may change, before another thread may have this core
_PATIENCE = 500  # times that, before a worker goes to sleep: half a millisecond


@intrinsic
def seen(context: Any, of: Any, i: Any) -> Any:
    """Return a number that another core may have changed."""

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        return builder.load_atomic(builder.gep(operands[0], [operands[1]]), "seq_cst", 8)

    return signature(types.int64, of, i), lower


@intrinsic
def show(context: Any, of: Any, i: Any, value: Any) -> Any:
    """Write a number so that other cores see it, and all that was written before it."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        builder.store_atomic(operands[2], builder.gep(operands[0], [operands[1]]), "seq_cst", 8)
        return context.get_dummy_value()

    return signature(types.void, of, types.int64, types.int64), lower


@intrinsic
def arrive(context: Any, counter: Any) -> Any:
    """Add one to a counter that several cores see."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        builder.atomic_rmw("add", operands[0], _WHOLE(1), "seq_cst")
        return context.get_dummy_value()

    return signature(types.void, counter), lower


@intrinsic
def exchanged(context: Any, of: Any, i: Any, before: Any, after: Any) -> Any:
    """Write `after` where `before` is, in one go; return whether it was."""

    def lower(_: Any, builder: Any, __: Any, operands: Any) -> Value:
        place = builder.gep(operands[0], [operands[1]])
        found = builder.cmpxchg(place, operands[2], operands[3], "seq_cst", "seq_cst")
        return builder.extract_value(found, 1)

    return signature(types.boolean, of, types.int64, types.int64, types.int64), lower


@intrinsic
def rest(context: Any) -> Any:
    """Tell the core that nothing is done but waiting."""
    machine = platform.machine().lower()

    def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
        kind = ir.FunctionType(ir.VoidType(), [])
        if machine in ("x86_64", "amd64"):
            pause = cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause")
            builder.call(pause, [])
        return context.get_dummy_value()

    return signature(types.void), lower


@intrinsic
def give_way(context: Any) -> Any:
    """Let another thread run on this core."""
    name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"

    def lower(context: Any, builder: Any, _: Any, __: Any) -> Value:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return signature(types.void), lower


@intrinsic
def own_core(context: Any) -> Any:
    """Return the number of the core that this thread runs on; on Linux, else −1."""

    def lower(_: Any, builder: Any, __: Any, ___: Any) -> Value:
        kind = ir.FunctionType(ir.IntType(32), [])
        if sys.platform != "linux":
            return _WHOLE(-1)
        asked = cgutils.get_or_insert_function(builder.module, kind, "sched_getcpu")
        return builder.sext(builder.call(asked, []), _WHOLE)

    return signature(types.int64), lower


@intrinsic
def run_kernel(
    context: Any, kernel: Any, addresses: Any, numbers: Any, share: Any, shares: Any
) -> Any:
    """Run one share of the kernel at an address."""

    def lower(context: Any, builder: Any, _: Any, operands: Any) -> Value:
        kernel, *arguments = operands
        pointer = _WHOLE.as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, pointer, _WHOLE, _WHOLE])
        places = [builder.inttoptr(x, pointer) for x in arguments[:2]]
        builder.call(builder.inttoptr(kernel, kind.as_pointer()), places + arguments[2:])
        return context.get_dummy_value()

    return signature(types.void, *[types.int64] * 5), lower


@njit(error_model="numpy")
def run_all(kernels, count, share, shares):
    """Run one share of kernels one after the other: a table has their addresses, and those of their tables."""
    table = pointer(kernels, 0)
    for k in range(count):
        row = ahead(table, 3 * k)
        run_kernel(number(row, 0), number(row, 1), number(row, 2), share, shares)


@njit(error_model="numpy")
def wait_for(box, place, value):
    """Wait until a number is at least as large as a value."""
    looks = 0
    while seen(box, place) < value:
        rest()
        looks += 1
        if looks % _LOOKS == 0:
            give_way()


@njit(error_model="numpy")
def meet(counter, shares):
    """Wait until all cores are here."""
    if shares > 1:
        arrive(counter)
        wait_for(counter, 0, shares)


@njit(error_model="numpy")
def meet_again(counter, turn, shares):
    """The same, time after time, each time at the next turn; return the turn after it."""
    if shares > 1:
        arrive(counter)
        wait_for(counter, 0, (turn + 1) * shares)
    return turn + 1


@njit(error_model="numpy")
def serve(box):
    """A worker: run its share of each task that comes, until none has come for a moment."""
    looks = 0
    while True:
        task = seen(box, TASK)
        if task != seen(box, DONE):
            what = ahead(box, WHAT)
            run_all(number(what, 0), number(what, 1), number(what, 2), number(what, 3))
            show(box, DONE, task)
            looks = 0
            continue
        rest()
        looks += 1
        if looks % _LOOKS == 0:
            give_way()
        if looks > _LOOKS * _PATIENCE:
            show(box, AWAKE, 0)
            if seen(box, TASK) == seen(box, DONE) or not exchanged(box, AWAKE, 0, 1):
                return
            looks = 0


@njit(error_model="numpy")
def hand_out(boxes, kernels, count, shares):
    """Give every worker its share of some kernels; return whether one has to be woken."""
    asleep = False
    for worker in range(shares - 1):
        box = ahead(boxes, worker * BOX)
        what = ahead(box, WHAT)
        put_number(what, 0, kernels)
        put_number(what, 1, count)
        put_number(what, 2, worker + 1)
        put_number(what, 3, shares)
        show(box, TASK, seen(box, TASK) + 1)
        asleep = asleep or seen(box, AWAKE) == 0
    return asleep


@njit(error_model="numpy")
def wait_for_all(boxes, shares):
    """Wait until every worker has done its share."""
    for worker in range(shares - 1):
        box = ahead(boxes, worker * BOX)
        wait_for(box, DONE, seen(box, TASK))
