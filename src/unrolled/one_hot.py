"""Integer inputs: columns that are 1 at one row and 0 elsewhere, of which only that row is stored.

`W @ x` picks columns of W, and `dz @ x.T` adds each column of dz to the column of dW that was
picked. A cell multiplies with it as with any array, so cell files know nothing of it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.functions import PRIMITIVES, with_operators

Array = Any
_FEW = 256  # rows up to which adding is one product with the columns as an array: it is faster


class Labels(np.ndarray[Any, Any]):
    """Whole numbers that are labels, whatever else they look like; `array.view(Labels)` makes them so."""


@with_operators
class OneHot:
    """Columns (n, m), or (n, m, T), given by `labels` (m,), or (m, T), as operand of a product.

    A label of −1 is a column of zeros. It is indexed as an array is (all rows are taken); anything
    else that is done with it is done with its columns as an ordinary array of `dtype`.
    """

    __array_ufunc__ = None  # so that `array @ one_hot` is asked of this class

    def __init__(self, labels: Array, n: int, dtype: Any):
        self.labels, self.dtype = labels, dtype
        self.shape = (n, *labels.shape)
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[Any, ...]) -> "OneHot":
        return OneHot(self.labels[key[1:]], self.shape[0], self.dtype)

    @property
    def T(self) -> "_Transposed":  # noqa: N802 - the name is that of an array's transpose
        return _Transposed(self)

    def __rmatmul__(self, W: Array) -> Array:
        return W[:, self.labels]

    def __matmul__(self, other: Array) -> Array:
        return self.dense() @ other

    def run(self, function: Callable[..., Array], *operands: Any) -> Array:
        """Run an operator on the columns as an ordinary array."""
        return function(*map(_dense, operands))

    def record(self, name: str, _: str, operands: tuple[Any, ...]) -> Array:
        """Run a function of `unrolled.functions`."""
        return self.run(PRIMITIVES[name], *operands)

    def columns(self) -> "OneHot":
        """Return all columns side by side, (n, m · T), the sequences of a step next to each other."""
        return OneHot(self.labels.ravel(order="F"), self.shape[0], self.dtype)

    def dense(self) -> Array:
        """Return the columns as an ordinary array, in Fortran order."""
        flat = np.zeros((self.labels.size, self.shape[0]), self.dtype)
        labels = self.labels.ravel(order="F")
        rows = np.flatnonzero(labels >= 0)
        flat[rows, labels[rows]] = 1
        return flat.T.reshape(self.shape, order="F")


def _dense(operand: Any) -> Any:
    return operand.dense() if isinstance(operand, OneHot | _Transposed) else operand


@with_operators
class _Transposed:
    """The transpose (m, n), as right operand of `dz @ x.T`."""

    __array_ufunc__ = None
    record, run = OneHot.record, OneHot.run

    def __init__(self, columns: OneHot):
        self.columns = columns
        self.shape = columns.shape[::-1]

    def dense(self) -> Array:
        """Return the rows as an ordinary array."""
        return self.columns.dense().T

    @property
    def T(self) -> OneHot:  # noqa: N802
        return self.columns

    def __matmul__(self, other: Array) -> Array:
        return self.dense() @ other

    def __rmatmul__(self, dz: Array) -> Array:
        n, labels = self.shape[1], self.columns.labels
        if n <= _FEW:
            return dz @ OneHot(labels, n, dz.dtype).dense().T
        order = np.argsort(labels, kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        dW = np.zeros((n, len(dz)), dtype=dz.dtype)
        dW[labels[order[starts]]] = np.add.reduceat(dz.T[order], starts)
        return dW.T
