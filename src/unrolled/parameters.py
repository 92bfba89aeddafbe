"""The parameters of a network, or their gradients, by name; W_f is understood as [W_fa W_fx]."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.errors import UnrolledError

Array = Any


class Parameters(dict[str, Array]):
    """A dictionary of name -> array, changeable in place.

    An alias of two weights side by side can be read (a copy, read-only) and set: W_f = [W_fa W_fx], shape
    (n_a, n_a + n_x), likewise W_i, W_c, W_o, W_u, W_r, and W_a = [W_aa W_ax].
    """

    def __missing__(self, name: str) -> Array:
        if not self._is_alias(name):
            raise KeyError(f"{name} is not one of the parameters {', '.join(self)}")
        value = np.hstack([self[f"{name}a"], self[f"{name}x"]])
        value.flags.writeable = False  # changing a copy would change nothing
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a name or of an alias."""
        return self[name] if name in self or self._is_alias(name) else default

    def update(self, values: Mapping[str, Array]) -> None:  # type: ignore[override]
        """Set each of the values."""
        for name, value in values.items():
            self[name] = value

    def __ior__(self, values: Mapping[str, Array]) -> "Parameters":  # type: ignore[override,misc]
        self.update(values)
        return self

    def __setitem__(self, name: str, value: Array) -> None:
        if not self._is_alias(name):
            super().__setitem__(name, value)
            return
        expected, value = self[name], np.asarray(value)
        if value.dtype.kind not in "fiu":
            raise UnrolledError(f"parameter {name} is {value.dtype}: expected real numbers")
        if value.shape != expected.shape:
            raise UnrolledError(
                f"parameter {name} = [{name}a {name}x] has shape {value.shape}, "
                f"expected (n_a, n_a + n_x) = {expected.shape}"
            )
        n_a = len(expected)
        for half, columns in ((f"{name}a", slice(None, n_a)), (f"{name}x", slice(n_a, None))):
            part = np.array(value[:, columns], dtype=expected.dtype, order="F")
            super().__setitem__(half, part)

    def _is_alias(self, name: str) -> bool:
        return name not in self and {f"{name}a", f"{name}x"} <= self.keys()
