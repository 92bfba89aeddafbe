"""How well a network does on data that it was not trained on."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.data.windows import Source, Window
from unrolled.errors import UnrolledError
from unrolled.network import Network

Array = Any


def mean_loss(net: Network, source: Source) -> float:
    """Return the mean loss over all targets of one pass over the source; NaN where the state that
    is carried from window to window overflows.

    Raises UnrolledError where there is no target.
    """
    total, targets, state = 0.0, 0, None
    for window in source.windows(0):
        start = carried(state, window)
        if not is_finite(start):
            return math.nan
        with np.errstate(all="ignore"):  # an overflow shows in the loss
            loss, state = net.loss_and_state(window.X, window.Y, start, window.lengths)
        total += loss * window.targets
        targets += window.targets
    if not targets:
        raise UnrolledError("the data have no target: expected at least one")
    return total / targets


def predictions(net: Network, source: Source) -> Iterator[tuple[Array, Array]]:
    """Yield for each window the predictions at its targets, (n_y, targets), and these: labels
    (targets,) or values (n_y, targets).
    """
    state = None
    for window in source.windows(0):
        last = window.Y is not None and window.Y.ndim == (1 if window.Y.dtype.kind in "iu" else 2)
        start = carried(state, window)
        batch = net.batch(window.X, None, start, window.lengths, many_to_one=last)
        with np.errstate(all="ignore"):
            run = net.run(batch, frozenset({"y_hat"}))  # and not all that a tape has
        state = {name: batch.as_given(value) for name, value in run.state.items()}
        if window.Y is not None:
            yield _at_targets(window, batch.as_given(run.kept["head"].arrays["y_hat"]), last)


def carried(state: dict[str, Array] | None, window: Window) -> dict[str, Array] | None:
    """Return the state that a window starts from, of what the one before left; None: zeros."""
    if window.carried is None or state is None:
        return None
    return {name: value[:, window.carried] for name, value in state.items()}


def is_finite(state: dict[str, Array] | None) -> bool:
    """Whether a state can be gone on from."""
    return state is None or all(np.isfinite(value).all() for value in state.values())


def _at_targets(window: Window, y_hat: Array, last: bool) -> tuple[Array, Array]:
    m, T = y_hat.shape[1:]
    lengths = np.full(m, T) if window.lengths is None else window.lengths
    if last:
        columns, Y = y_hat[:, np.arange(m), lengths - 1], window.Y
    else:
        there = np.arange(T) < lengths[:, None]
        columns, Y = y_hat[:, there], window.Y[..., there]
    if Y.ndim == 1:
        columns, Y = columns[:, Y >= 0], Y[Y >= 0]
    return columns, Y
