"""How many cores there are, and how many threads NumPy's products and the compiled engine use."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

_WIDE = 256  # hidden units from which on a second thread gains more than it costs
_LEAST = 1 << 20  # multiplications of a call for which a second core gains more than it costs
MOST_SHARES = 256  # that a call of the compiled engine is divided into, however many are asked for
_limit: int | None = None


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usual_threads() -> int:
    """Return the threads of NumPy's products as they are set, by the user or by default."""
    return int(blas_pool().get("num_threads", cores()))


def blas_pool() -> dict[str, Any]:
    """Return what is known of the running BLAS: NumPy's own, where there are several."""
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "numpy" in pool["filepath"].lower()]
    return next(iter(own or pools), {})


@contextlib.contextmanager
def threads_for(n_a: int, asked: int | None = None) -> Iterator[None]:
    """Let NumPy's products use as many threads as were asked for, or as suit n_a hidden units: one for
    few units, where a second one would wait for the first most of the time, else as they are set.
    """
    with limited(asked), threadpool_limits(limits=asked or (1 if n_a < _WIDE else usual_threads())):
        yield


@contextlib.contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Let the compiled engine use at most so many threads; None leaves it as it is."""
    global _limit
    before, _limit = _limit, threads or _limit
    try:
        yield
    finally:
        _limit = before


def shares_for(m: int, work: int) -> int:
    """Return over how many cores the compiled engine divides m sequences: one where there is one, or where
    there are so few multiplications, `work`, that waiting for a second core takes longer.
    """
    if m == 1 or work < _LEAST:
        return 1
    return min(m, _limit or _asked_for() or cores(), MOST_SHARES)


@functools.cache
def _asked_for() -> int:
    """The number of threads that the environment asks for, as other libraries understand it; 0: none."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(asked) if asked.isascii() and asked.isdigit() else 0
