"""Timing side by side: in turns, with pauses, and medians; and the rate of matrix products."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PAUSE = 0.06  # seconds; idle threads of one library spin for a while and slow the next one
_TURN = 0.02  # seconds that a turn takes at least
_ROUNDS = 3  # turns that everyone has at least
_PRODUCTS = (256, 512, 1024)  # sizes n at which n × n matrices are multiplied for the peak

Call = Callable[[], Any]


@dataclass(frozen=True)
class Timing:
    """Milliseconds of a call: the median of `calls` of them, and the quartiles."""

    milliseconds: float
    lower: float
    upper: float
    calls: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timing":
        """Return the timing of calls that took so many seconds each."""
        lower, median, upper = 1000 * np.percentile(seconds, (25, 50, 75))
        return cls(float(median), float(lower), float(upper), len(seconds))


def alternate(calls: Sequence[Call], seconds: float, pause: float = PAUSE) -> list[Timing]:
    """Time some calls in turns, for about so many seconds in all, each after a pause.

    In a turn a call is repeated for 20 ms, as a training does it; the first of them wakes threads
    and caches and does not count, unless it is the only one.
    """
    times: list[list[float]] = [[] for _ in calls]
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < _ROUNDS or time.perf_counter() < end:
        for call, found in zip(calls, times, strict=True):
            time.sleep(pause)
            found += _turn(call)
        rounds += 1
    return [Timing.of(found) for found in times]


def _turn(call: Call) -> list[float]:
    found: list[float] = []
    while sum(found) < _TURN:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found[1:] or found


def product_rate(product: Callable[[int, str], Call], dtype: str, pause: float = PAUSE) -> float:
    """Return the highest rate seen of a library's product of square matrices, in GFLOP/s.

    `product(n, dtype)` returns a call that multiplies two n × n matrices.
    """
    time.sleep(pause)
    rates = []
    for n in _PRODUCTS:
        call = product(n, dtype)
        call()
        for _ in range(5):
            rates.append(2 * n**3 / min(_turn(call)) / 1e9)
    return max(rates)


def numpy_product(n: int, dtype: str) -> Call:
    """Return a call that multiplies two n × n matrices with NumPy."""
    A = np.ones((n, n), dtype)
    out = np.empty_like(A)
    return lambda: A.dot(A, out)
