"""Everything that a kernel's text calls, for one dtype.

Vectors and elementary functions become part of a kernel. What is large and the same for all of them,
SHARED, is compiled once, and is called where it is.
"""

import functools
from typing import Any

import numpy as np
from numba import types

from unrolled.engines.compiled import vectors
from unrolled.engines.compiled.cores import meet, meet_again
from unrolled.engines.compiled.elementary import BY_DTYPE
from unrolled.engines.compiled.products import pack, part_of, pick, product
from unrolled.engines.compiled.totals import totals

_VECTORS = (
    "pointer", "ahead", "number", "put_number", "load", "load_part", "store", "first",
    "first_of", "broadcast", "everywhere", "one_at", "less", "at_most", "where", "larger", "sum_of",
    "largest_of",
)  # fmt: skip

# What is compiled once: its arguments, of which "pointer" points to numbers, "places" to whole ones.
SHARED = {
    "product": "a:pointer a_at:places b:pointer shape:places c:pointer c_at:places rows more share shares turned",
    "pick": "labels:places labels_at:places weight:pointer step c:pointer c_at:places n rows",
    "pack": "jobs:places count like:pointer shard shards",
    "totals": "jobs:places count running:places T spares:pointer places:places shard shards",
}
_COMPILED = {"product": product, "pick": pick, "pack": pack, "totals": totals}


@functools.cache
def toolkit(dtype: str, symbol: str) -> dict[str, Any]:
    """Return the names of a kernel's text; `symbol` ends the names under which SHARED is to be found."""
    kind, of = _kind(dtype), np.dtype(dtype).type
    return {
        **{name: getattr(vectors, name) for name in _VECTORS}, **vars(BY_DTYPE[kind]), "meet": meet, "meet_again": meet_again, "part_of": part_of,
        **{n: types.ExternalFunction(f"{n}_{symbol}", signature(n, dtype)) for n in SHARED},
        "LANES": vectors.lanes(kind), "nothing": of(0), "INF": of(np.inf), "whole": np.int64(0),
    }  # fmt: skip


def shared(name: str) -> Any:
    """Return a function of SHARED, to be compiled."""
    return _COMPILED[name]


def signature(name: str, dtype: str) -> Any:
    """Return the types that a function of SHARED takes."""
    kinds = {
        "pointer": types.CPointer(_kind(dtype)), "places": types.CPointer(types.int64),
        "": types.int64,
    }  # fmt: skip
    return types.void(*(kinds[given.partition(":")[2]] for given in SHARED[name].split()))


def _kind(dtype: str) -> Any:
    return {"float32": types.float32, "float64": types.float64}[dtype]
