"""The parameters of a network by name; W_f is understood as [W_fa W_fx]."""

from typing import Any

import numpy as np

from unrolled.errors import UnrolledError

Array = Any


class Parameters(dict[str, Array]):
    """A dictionary of name -> array, changeable in place.

    An alias of two weights side by side can be read (as a copy) and set: W_f = [W_fa W_fx], shape
    (n_a, n_a + n_x), likewise W_i, W_c, W_o, W_u, W_r, and W_a = [W_aa W_ax].
    """

    def __missing__(self, name: str) -> Array:
        if not self._is_alias(name):
            raise KeyError(f"{name} is not one of the parameters {', '.join(self)}")
        return np.hstack([self[f"{name}a"], self[f"{name}x"]])

    def __setitem__(self, name: str, value: Array) -> None:
        if not self._is_alias(name):
            super().__setitem__(name, value)
            return
        expected = self[name]
        if np.shape(value) != expected.shape:
            raise UnrolledError(
                f"parameter {name} = [{name}a {name}x] has shape {np.shape(value)}, "
                f"expected (n_a, n_a + n_x) = {expected.shape}"
            )
        n_a = len(expected)
        for half, columns in ((f"{name}a", slice(None, n_a)), (f"{name}x", slice(n_a, None))):
            part = np.asarray(value)[:, columns]
            super().__setitem__(half, np.asfortranarray(part, dtype=expected.dtype))

    def _is_alias(self, name: str) -> bool:
        return name not in self and {f"{name}a", f"{name}x"} <= self.keys()
