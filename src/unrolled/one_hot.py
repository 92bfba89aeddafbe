"""Integer inputs: columns that are 1 at one row and 0 elsewhere, of which only that row is stored.

`W @ x` picks columns of W, and `dz @ x.T` adds each column of dz to the column of dW that was
picked. A cell multiplies with it as with any array, so cell files know nothing of it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.functions import with_operators

Array = Any


@with_operators
class OneHot:
    """Columns (n, m) given by `labels` (m,), integers from 0 to n − 1, as operand of a product.

    Anything else that is done with it is done with its columns as an ordinary array of `dtype`.
    """

    __array_ufunc__ = None  # so that `array @ one_hot` is asked of this class

    def __init__(self, labels: Array, n: int, dtype: Any):
        self.labels, self.dtype = labels, dtype
        self.shape = (n, len(labels))

    @property
    def T(self) -> "_Transposed":  # noqa: N802 - the name is that of an array's transpose
        return _Transposed(self)

    def __rmatmul__(self, W: Array) -> Array:
        return W[:, self.labels]

    def run(self, function: Callable[..., Array], *operands: Any) -> Array:
        """Run an operator on the columns as an ordinary array."""
        return function(*(o.dense() if isinstance(o, OneHot) else o for o in operands))

    def dense(self) -> Array:
        """Return the columns as an ordinary array (n, m)."""
        return (np.arange(self.shape[0])[:, None] == self.labels).astype(self.dtype)


class _Transposed:
    """The transpose (m, n), as right operand of `dz @ x.T`."""

    __array_ufunc__ = None

    def __init__(self, columns: OneHot):
        self.columns = columns
        self.shape = columns.shape[::-1]

    def __rmatmul__(self, dz: Array) -> Array:
        dW = np.zeros((self.shape[1], len(dz)), dtype=dz.dtype)
        np.add.at(dW, self.columns.labels, dz.T)
        return dW.T
