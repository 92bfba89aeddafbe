"""Whether numbers are finite, seen in machine code: parameters may have been changed since the last call."""

from numba import njit

from unrolled.engines.compiled.vectors import (
    everywhere,
    first,
    first_of,
    lanes_of,
    load,
    load_part,
    number,
    pointer,
    sum_of,
    zero_of,
)  # fmt: skip


@njit(error_model="numpy")
def all_finite(arrays, count, like):
    """Whether all numbers of some arrays are finite: a table says where each is, and how many it has."""
    L, nothing = lanes_of(like), zero_of(like)
    found = everywhere(nothing)  # 0 times a number is 0, or NaN where it is not finite
    for k in range(count):
        of, n = pointer(number(arrays, 2 * k), nothing), number(arrays, 2 * k + 1)
        for i in range(0, n - 2 * L + 1, 2 * L):
            found = found + (load(of, i) * nothing + load(of, i + L) * nothing)
        for i in range(n - n % (2 * L), n, L):
            found = found + load_part(of, i, first(n - i, nothing)) * nothing
    return first_of(sum_of(found)) == nothing
