"""C = A B of square matrices by the tiles that kernels multiply with: what their speed is measured against."""

from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.engines.compiled.building import build
from unrolled.engines.compiled.conducting import run_kernels
from unrolled.engines.compiled.products import WIDE
from unrolled.engines.compiled.run import aligned
from unrolled.engines.compiled.vectors import BYTES
from unrolled.threads import shares_for

_TEXT = """def kernel(addresses, numbers, shard, shards):
    n = number(numbers, 0)
    a, b = pointer(number(addresses, 0), nothing), pointer(number(addresses, 1), nothing)
    c, at = pointer(number(addresses, 2), nothing), pointer(number(addresses, 3), whole)
    first_row, last_row = part_of(n, shard, shards)
    of = ahead(at, first_row)
    product(a, of, b, numbers, c, of, last_row - first_row, 0, 0, 1, 0)"""


def square_product(n: int, dtype: str) -> Callable[[], Any]:
    """Return a call that multiplies two n × n matrices of ones; B is packed already, as in a kernel."""
    kind = np.dtype(dtype)
    wide = -(-n * kind.itemsize // BYTES)
    width = wide * BYTES // kind.itemsize
    A, C, packed = (aligned((n, width), kind) for _ in range(3))
    A[:], packed[:] = 1, 1
    arrays = A, packed, C, np.arange(n) * width  # which live as long as the call does
    addresses = np.array([array.ctypes.data for array in arrays])
    numbers, counter = np.array([n, 1, 0, wide, WIDE]), np.zeros(1, np.int64)
    kernel, shares = build("square product", _TEXT, dtype), shares_for(n, n**3)
    table = np.array([kernel.address, addresses.ctypes.data, numbers.ctypes.data])

    def call() -> Any:
        run_kernels(table, [counter], shares)
        return arrays, addresses, numbers

    return call
