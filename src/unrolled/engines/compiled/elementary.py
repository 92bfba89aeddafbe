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
    at_most,
    exponent_of,
    fraction_of,
    less,
    multiply_add,
    size,
    times_two_to,
    where,
    with_sign_of,
)  # fmt: skip

Vector = Any


def _polynomial(coefficients: list[float], dtype: Any) -> Any:
    """Return the function of a polynomial, coefficients lowest first: neighbours are added in pairs, then pairs,
    and so on (Estrin 1960), so that few additions wait for each other.
    """
    lines, terms = ["def polynomial(x):"], [f"c{k}" for k in range(len(coefficients))]
    power = "x"
    while len(terms) > 1:
        pairs = [terms[k : k + 2] for k in range(0, len(terms), 2)]
        lines += [f"    {low}{power} = multiply_add({power}, {high}, {low})" for low, high in
                  (pair for pair in pairs if len(pair) == 2)]  # fmt: skip
        terms = [pair[0] + power if len(pair) == 2 else pair[0] for pair in pairs]
        if len(terms) > 1:
            lines.append(f"    {power}{power} = {power} * {power}")
            power += power
    known = {f"c{k}": dtype(c) for k, c in enumerate(coefficients)} | {"multiply_add": multiply_add}
    exec("\n".join([*lines, f"    return {terms[0]}"]), known)
    return _inlined(known["polynomial"])


def _inlined(function: Any) -> Any:
    return njit(function, forceinline=True)


def _constants(of: Any) -> SimpleNamespace:
    """Return what depends on the dtype; log 2 is in two parts, n times the first is exact."""
    if of is np.float32:
        return SimpleNamespace(
            LN2=of(0.693359375), LN2_LOW=of(-2.12194440054690583e-4), LOWEST=of(-104),
            HIGHEST=of(89), TINY=of(2.0**-126), SHIFT=of(25), UP=of(2.0**25), FLAT=of(10),
            WHOLE=of(1.5 * 2.0**23), exp_terms=7, artanh_terms=6,
        )  # fmt: skip
    return SimpleNamespace(
        LN2=of(float.fromhex("0x1.62e42fee00000p-1")), FLAT=of(20), LOWEST=of(-746),
        LN2_LOW=of(float.fromhex("0x1.a39ef35793c76p-33")), HIGHEST=of(710), TINY=of(2.0**-1022),
        SHIFT=of(54), UP=of(2.0**54), WHOLE=of(1.5 * 2.0**52), exp_terms=13, artanh_terms=11,
    )  # fmt: skip


def functions(of: Any) -> SimpleNamespace:
    """Return exp, log, log1p, tanh and sigmoid of vectors of a dtype, to be called in kernels."""
    its = _constants(of)
    LN2, LN2_LOW, TINY, SHIFT, UP = its.LN2, its.LN2_LOW, its.TINY, its.SHIFT, its.UP
    LOWEST, HIGHEST, FLAT, WHOLE = its.LOWEST, its.HIGHEST, its.FLAT, its.WHOLE
    LOG2E, INF, NAN = of(1 / math.log(2)), of(np.inf), of(np.nan)
    ONE, TWO, ZERO = of(1), of(2), of(0)
    # Of e^r − 1 = r + r² (1/2! + …) and artanh(s) / s = 1 + s² (1/3 + …) what is in brackets: the rest is exact.
    series = _polynomial([1 / math.factorial(k + 2) for k in range(its.exp_terms - 1)], of)
    artanh = _polynomial([1 / (2 * k + 3) for k in range(its.artanh_terms - 1)], of)

    @_inlined
    def whole(z):
        """The nearest whole number: beside so large a number there is no room for a fraction."""
        return multiply_add(z, LOG2E, WHOLE) - WHOLE

    @_inlined
    def less_one(n, z):
        """e^r − 1, where z = n log 2 + r."""
        r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2, z))
        return multiply_add(r * r, series(r), r)

    @_inlined
    def exp(z):
        z = where(less(z, LOWEST), LOWEST, z)
        z = where(less(HIGHEST, z), HIGHEST, z)
        n = whole(z)
        return times_two_to(less_one(n, z) + ONE, n)

    @_inlined
    def log(z):
        small = less(z, TINY)
        f = where(small, z * UP, z)
        n = exponent_of(f) - where(small, SHIFT, ZERO * z)
        f = fraction_of(f)
        s = (f - ONE) / (f + ONE)
        twice = multiply_add(TWO * s, s * s * artanh(s * s), TWO * s)  # log f
        found = multiply_add(n, LN2, multiply_add(n, LN2_LOW, twice))
        found = where(less(z, INF), found, z)
        return where(at_most(z, ZERO), where(less(z, ZERO), NAN, -INF + z), found)

    @_inlined
    def log1p(z):
        u = ONE + z
        found = log(u) - ((u - ONE) - z) / u
        return where(less(z, INF), found, z)

    @_inlined
    def tanh(z):
        x = size(z)
        x = where(less(FLAT, x), FLAT, x) * TWO
        n = whole(x)
        power = times_two_to(ONE + ZERO * n, n)
        e = multiply_add(less_one(n, x), power, power - ONE)  # e^2|z| − 1
        return with_sign_of(e / (e + TWO), z)

    @_inlined
    def sigmoid(z):
        x = -size(z)
        x = where(less(x, LOWEST), LOWEST, x)
        n = whole(x)
        e = times_two_to(less_one(n, x) + ONE, n)
        return where(less(z, ZERO), e, ONE) / (ONE + e)

    return SimpleNamespace(exp=exp, log=log, log1p=log1p, tanh=tanh, sigmoid=sigmoid)


BY_DTYPE = {types.float32: functions(np.float32), types.float64: functions(np.float64)}
