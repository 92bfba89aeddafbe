"""One batch of sequences as engines take it: already looked at, in the network's dtype."""

from dataclasses import dataclass
from typing import Any

from unrolled.one_hot import OneHot

Array = Any


@dataclass(frozen=True)
class Batch:
    """Sequences X, where the state starts, and targets Y with the share of each in the loss.

    X is (n_x, m, T), or (m, T) integers. Y is (n_y, m, T), or (m, T) integers with −1 for "no
    target", or None. `share` is (m, T): what each target counts, 0 where there is none.
    `state` holds one (n_a, m) for each state of the cell.
    """

    X: Array
    state: dict[str, Array]
    n_x: int
    n_y: int
    Y: Array = None
    share: Array = None

    @property
    def m(self) -> int:
        return int(self.X.shape[-2])

    @property
    def T(self) -> int:  # noqa: N802 - the legend's name
        return int(self.X.shape[-1])

    @property
    def dtype(self) -> Any:
        return self.state["a"].dtype

    @property
    def targets(self) -> bool:
        return self.Y is not None

    def columns(self, name: str) -> Array:
        """Return x or y of all steps, (n, m, T), with labels as one-hot columns."""
        array, n = (self.X, self.n_x) if name == "x" else (self.Y, self.n_y)
        if array.ndim == 3:
            return array
        one_hot = OneHot(array.ravel(order="F"), n, self.dtype).dense()
        return one_hot.reshape(n, self.m, self.T, order="F")

    def given(self, t: int) -> dict[str, Any]:
        """Return what step t is given, by name: x, and y and omega where there are targets."""
        x = OneHot(self.X[:, t], self.n_x, self.dtype) if self.X.ndim == 2 else self.X[:, :, t]
        if not self.targets:
            return {"x": x}
        omega = self.share[None, :, t]
        if self.Y.ndim == 2:  # a label of −1 becomes a column of zeros
            return {
                "x": x,
                "y": OneHot(self.Y[:, t], self.n_y, omega.dtype).dense(),
                "omega": omega,
            }
        return {"x": x, "y": self.Y[:, :, t], "omega": omega}
