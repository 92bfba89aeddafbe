"""e^z, log, tanh and σ of whole vectors, within 4 units in the last place over the whole range.

Each is a polynomial on a short interval and the step to it: e^z = 2ⁿ e^r with |r| ≤ ½ log 2, and
log(f 2ⁿ) = n log 2 + 2 artanh((f − 1)/(f + 1)) (Cody and Waite 1980, Software Manual for the
Elementary Functions). The coefficients are those of the series. A function is made for each dtype.
"""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, types

from unrolled.engines.compiled.vectors import (
    at_most, exponent_of, fraction_of, larger, less, multiply_add, nearest, size, smaller,
    times_two_to, where,
)  # fmt: skip

Vector = Any


def _coefficients(terms: int, odd: bool) -> list[float]:
    """1/k!, or 1/(2k + 1), the highest first."""
    return [1 / (2 * k + 1) if odd else 1 / math.factorial(k) for k in range(terms)][::-1]


def _polynomial(name: str, coefficients: list[float], dtype: Any) -> Any:
    """Return the function of a polynomial, coefficients highest first, by Horner's rule."""
    lines = [f"def {name}(x):", f"    y = multiply_add(x, c0, c1)"]
    lines += [f"    y = multiply_add(x, y, c{k})" for k in range(2, len(coefficients))]
    known = {f"c{k}": dtype(c) for k, c in enumerate(coefficients)} | {"multiply_add": multiply_add}
    exec("\n".join([*lines, "    return y"]), known)
    return njit(known[name], forceinline=True)


def functions(dtype: Any) -> SimpleNamespace:
    """Return exp, log, log1p, tanh and sigmoid of vectors of a dtype, to be called in kernels."""
    single = dtype is np.float32
    of = dtype
    LOG2E = of(1 / math.log(2))
    # log 2 in two parts; n times the first is exact
    LN2 = of(0.693359375) if single else of(float.fromhex("0x1.62e42fee00000p-1"))
    LN2_LOW = of(-2.12194440054690583e-4) if single else of(float.fromhex("0x1.a39ef35793c76p-33"))
    HIGHEST, LOWEST = (of(89), of(-104)) if single else (of(710), of(-746))
    TINY = of(2.0**-126) if single else of(2.0**-1022)
    SHIFT, UP = (of(25), of(2.0**25)) if single else (of(54), of(2.0**54))
    INF, NAN = of(np.inf), of(np.nan)
    FLAT = of(10) if single else of(20)  # from where on tanh is 1
    HALF, ONE, TWO, ZERO = of(0.5), of(1), of(2), of(0)
    series = _polynomial("series", _coefficients(8 if single else 14, odd=False)[:-1], of)
    artanh = _polynomial("artanh", _coefficients(6 if single else 11, odd=True), of)

    def inlined(function: Any) -> Any:
        return njit(function, forceinline=True)

    @inlined
    def less_one(n, z):
        """e^r − 1, where z = n log 2 + r."""
        r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2, z))
        return r * series(r)

    @inlined
    def exp(z):
        z = smaller(larger(z, LOWEST), HIGHEST)
        n = nearest(z * LOG2E)
        most = nearest(n * HALF)  # 2ⁿ in two factors: one alone may be no normal number
        return times_two_to(times_two_to(less_one(n, z) + ONE, most), n - most)

    @inlined
    def exp_of_negative(z):
        """e^z for z ≤ 0."""
        z = larger(z, LOWEST)
        n = nearest(z * LOG2E)
        most = nearest(n * HALF)
        return times_two_to(times_two_to(less_one(n, z) + ONE, most), n - most)

    @inlined
    def log(z):
        small = less(z, TINY)
        f = where(small, z * UP, z)
        n = exponent_of(f) - where(small, SHIFT, ZERO * z)
        f = fraction_of(f)
        s = (f - ONE) / (f + ONE)
        s2 = s * s
        found = multiply_add(n, LN2, multiply_add(n, LN2_LOW, TWO * s * artanh(s2)))
        found = where(less(z, INF), found, z)
        return where(at_most(z, ZERO), where(less(z, ZERO), NAN, -INF + z), found)

    @inlined
    def log1p(z):
        u = ONE + z
        return log(u) - ((u - ONE) - z) / u

    @inlined
    def tanh(z):
        x = smaller(size(z), FLAT) * TWO
        n = nearest(x * LOG2E)
        e = times_two_to(less_one(n, x), n) + (times_two_to(ONE + ZERO * x, n) - ONE)  # e^2|z| − 1
        found = e / (e + TWO)
        return where(less(z, ZERO), -found, where(less(ZERO, z), found, z))

    @inlined
    def sigmoid(z):
        e = exp_of_negative(-size(z))
        return where(less(z, ZERO), e, ONE + ZERO * e) / (ONE + e)

    return SimpleNamespace(exp=exp, log=log, log1p=log1p, tanh=tanh, sigmoid=sigmoid)


BY_DTYPE = {types.float32: functions(np.float32), types.float64: functions(np.float64)}
