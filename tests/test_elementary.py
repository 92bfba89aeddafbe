"""e^z, log, tanh and σ of the compiled engine: within 4 units in the last place, over the whole range."""

import mpmath
import numpy as np
import pytest

pytest.importorskip("numba")

from numba import njit, types

from unrolled.engines.compiled.elementary import BY_DTYPE
from unrolled.engines.compiled.vectors import lanes, load, pointer, store

RIGHT = {
    "exp": mpmath.exp, "log": mpmath.log, "log1p": mpmath.log1p, "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
}  # fmt: skip
SPECIAL = [
    0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e-310, 2.0**-1022, 709.7, 709.79, 710.0,
    -745.0, -745.2, -708.5, 88.7, 88.8, -87.4, -103.9, -104.1, 0.5, 2**-0.5, 2**0.5, 19.0, 20.0, 1e308, 1e-8,
]  # fmt: skip


def _function(name, kind):
    """The function over arrays."""
    of, step = getattr(BY_DTYPE[kind], name), lanes(kind)
    like = np.dtype(str(kind)).type(0)

    @njit(nogil=True)
    def run(source, to, count):
        x, y = pointer(source, like), pointer(to, like)
        for i in range(0, count, step):
            store(y, i, of(load(x, i)))

    def call(x):
        padded = np.zeros(-(-len(x) // step) * step, x.dtype)
        padded[: len(x)] = x
        y = np.empty_like(padded)
        run(padded.ctypes.data, y.ctypes.data, len(padded))
        return y[: len(x)]

    return call


def _correct(name, x):
    """The correctly rounded result, as float64."""
    if np.isnan(x) or (name == "log" and x < 0) or (name == "log1p" and x < -1):
        return np.nan
    if name in ("log", "log1p") and x == (0 if name == "log" else -1):
        return -np.inf
    return float(RIGHT[name](mpmath.mpf(float(x))))


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_within_four_units_of_the_correctly_rounded(name, dtype):
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**64, 1500, dtype=np.uint64).view(np.float64)
    near = [random.standard_normal(1500) * scale for scale in (1e-3, 1, 20, 300)]
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([SPECIAL, bits, *near]).astype(dtype)
    if name == "log":
        x = np.concatenate([np.abs(x), 1 + np.abs(x[np.abs(x) < 1]) / 100])
    if name == "log1p":  # of what softplus takes: e^−|z|
        x = np.abs(x)
    found = _function(name, types.float32 if dtype == "float32" else types.float64)(x)
    with mpmath.workprec(150):
        right = np.array([_correct(name, each) for each in x])
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = right.astype(dtype)
        unit = np.spacing(np.abs(np.where(np.isfinite(rounded), rounded, np.finfo(dtype).max)))
        wrong = np.abs(found.astype(np.float64) - rounded.astype(np.float64)) > 3.5 * unit.astype(
            np.float64
        )
    same = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    bad = ~same & (wrong | ~np.isfinite(found) | ~np.isfinite(rounded))
    assert not bad.any(), [(x[k], found[k], right[k]) for k in np.flatnonzero(bad)[:5]]


def _farthest(name):
    """Return the function that says how many floats lie at most between two results, and for which bits:
    the function in float32, and in float64 and then rounded. A NaN is as good as another.
    """
    single, double = getattr(BY_DTYPE[types.float32], name), getattr(BY_DTYPE[types.float64], name)
    wide, narrow = lanes(types.float32), lanes(types.float64)
    one, two = np.float32(0), np.float64(0)

    @njit(nogil=True, error_model="numpy")
    def farthest(begin, bits, x, found, exact, right):
        worst, where = np.int64(0), np.int64(0)
        for block in range(begin, begin + (1 << 26), len(bits)):
            for k in range(len(bits)):
                bits[k] = np.uint32(block + k)
            for k in range(len(bits)):
                exact[k] = x[k]
            for k in range(0, len(bits), wide):
                store(
                    pointer(found.ctypes.data, one), k, single(load(pointer(x.ctypes.data, one), k))
                )
            at = pointer(exact.ctypes.data, two)
            for k in range(0, len(bits), narrow):
                store(at, k, double(load(at, k)))
            for k in range(len(bits)):
                right[k] = np.float32(exact[k])
            a, b = found.view(np.int32), right.view(np.int32)
            for k in range(len(bits)):
                one_size, other = np.int64(a[k] & 0x7FFFFFFF), np.int64(b[k] & 0x7FFFFFFF)
                apart = abs(one_size - other) if (a[k] < 0) == (b[k] < 0) else one_size + other
                apart = 0 if one_size > 0x7F800000 and other > 0x7F800000 else apart
                if apart > worst:
                    worst, where = apart, np.int64(block + k)
        return worst, where

    return farthest


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid"])
def test_all_float32_values(name):
    """Every value there is, against the same function in float64, which the test above holds to mpmath."""
    farthest = _farthest(name)
    bits, (found, right), exact = (
        np.empty(4096, np.uint32),
        np.empty((2, 4096), np.float32),
        np.empty(4096),
    )
    for begin in range(0, 1 << 32, 1 << 26):
        worst, where = farthest(begin, bits, bits.view(np.float32), found, exact, right)
        assert worst <= 3, (name, np.uint32(where).view(np.float32), worst)
