"""Which quantity of a run was the first that is no finite number, in the order of computation."""

from typing import Any

import numpy as np

from unrolled.data.windows import Window
from unrolled.errors import UnrolledError
from unrolled.network import Network
from unrolled.notation import entry

Array = Any


def first_bad(net: Network, window: Window, state: Any) -> str:
    """Return ` (first z_a⟨3⟩ = inf, …)` for a window whose loss or gradient is not finite.

    Everything is computed again, step by step, by the reference engine; an empty text where its
    numbers are all finite.
    """
    try:
        with np.errstate(all="ignore"):
            tape = net.tape(window.X, window.Y, state, window.lengths)
    except (UnrolledError, MemoryError):
        return ""
    forward = [name for name in tape if not name.rpartition(".")[2].startswith("d")]
    steps = range(tape.batch.T)
    for names, order in ((forward, steps), ([n for n in tape if n not in forward], steps[::-1])):
        over_time = {n: bad for n in names if (bad := _bad_steps(tape[n], len(steps))) is not None}
        for t in order:
            for name, bad in over_time.items():
                if bad[t]:
                    return _said(name, t, tape[name][:, :, t])
    return ""


def _bad_steps(value: Array, T: int) -> Array:
    """Return at which of T steps a quantity (n, m, T) is not finite; None for one of another shape."""
    if np.ndim(value) != 3 or value.shape[2] != T:
        return None
    return ~np.isfinite(value).all(axis=(0, 1))


def _said(name: str, t: int, value: Array) -> str:
    unit, sequence = np.argwhere(~np.isfinite(value))[0]
    which = f"row {unit} of sequence {sequence}" if len(value) > 1 else f"sequence {sequence}"
    return f" (first {entry(name).text}⟨{t}⟩ = {value[unit, sequence]}, {which})"
