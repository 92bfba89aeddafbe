"""By what numbers are moved and divided, so that a network sees each feature about 0 and as wide as 1."""

from typing import Any

import numpy as np

from unrolled.errors import UnrolledError

Array = Any
_LARGEST = 1e30  # float32 numbers end at 3e38, and are multiplied and added
_ROUNDING = 1e-12  # a spread that is smaller, beside the mean, is what rounding left of a constant


def mean_and_scale(rows: Array) -> tuple[Array, Array]:
    """Return the mean (n,) and the standard deviation (n,) of rows (L, n); that of a constant is 1.

    Raises UnrolledError where they overflow.
    """
    with np.errstate(all="ignore"):  # it shows
        mean, spread = rows.mean(axis=0), rows.std(axis=0)
    if not np.isfinite(spread).all():
        raise UnrolledError(
            f"the numbers are up to {np.abs(rows).max():g}, too large for their spread to be computed: "
            "expected numbers below 1e150"
        )
    return mean, np.where(spread > _ROUNDING * np.abs(mean), spread, 1.0)


def standard(rows: Array, mean: Array, scale: Array) -> Array:
    """Return rows (L, n) moved and divided. Raises UnrolledError where one is then too large."""
    with np.errstate(all="ignore"):  # it shows
        scaled = (rows - mean) / scale
    if not (np.abs(scaled) < _LARGEST).all():
        row, column = np.argwhere(~(np.abs(scaled) < _LARGEST))[0]
        raise UnrolledError(
            f"the number {rows[row, column]:g} is too far from the others, whose mean is "
            f"{mean[column]:g} and standard deviation {scale[column]:g}"
        )
    return scaled
