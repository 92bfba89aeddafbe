"""Everything that a kernel's text calls, for one dtype: `toolkit(float32)` is what its names stand for."""

import functools
from typing import Any

import numpy as np
from numba import njit, types

from unrolled.engines.compiled import vectors
from unrolled.engines.compiled.elementary import BY_DTYPE
from unrolled.engines.compiled.products import pack_function, pick_function, product_function
from unrolled.engines.compiled.totals import totals_function

_PATIENCE = 2000  # looks at a counter before another thread may have this core


@njit(error_model="numpy")  # type: ignore[untyped-decorator]
def meet(counter: Any, shards: int) -> None:
    """Wait until all cores are here."""
    if shards > 1:
        vectors.arrive(counter)
        looked = 0
        while vectors.arrived(counter) < shards:
            looked += 1
            if looked > _PATIENCE:
                vectors.give_way()


@functools.cache
def toolkit(dtype: str) -> dict[str, Any]:
    """Return the names of a kernel's text."""
    kind = {"float32": types.float32, "float64": types.float64}[dtype]
    of = np.dtype(dtype).type
    names = (
        "pointer", "ahead", "number", "put_number", "load", "load_part", "store", "store_part", "first",
        "put_first", "broadcast", "everywhere", "one_at", "less", "at_most", "where", "larger", "sum_of",
        "largest_of",
    )  # fmt: skip
    return {
        **{name: getattr(vectors, name) for name in names}, **vars(BY_DTYPE[kind]), "meet": meet,
        "product": product_function(kind), "pick": pick_function(kind), "pack": pack_function(kind),
        "totals": totals_function(kind), "LANES": vectors.lanes(kind), "nothing": of(0),
        "INF": of(np.inf), "whole": np.int64(0),
    }  # fmt: skip
