"""Truncated backpropagation through time, BPTT(k1, k2), with what exactly it leaves out.

Williams and Peng 1990, An efficient gradient-based algorithm for on-line training of recurrent network
trajectories, Neural Computation 2:490-501, there BPTT(h; h′) with h = k2 and h′ = k1: after every k1
steps the losses of these k1 steps go back through the last k2 steps.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.errors import UnrolledError, whole_number
from unrolled.network import Network, given
from unrolled.parameters import Parameters

Array = Any


@dataclass(frozen=True)
class Truncation:
    """Which terms of a gradient over T steps BPTT(k1, k2) keeps; steps count from 0.

    The full gradient is the sum over all s and t ≤ s of what loss⟨s⟩ owes to the use of a parameter at
    step t. Kept are the terms with t ≥ e(s) − k2, where e(s) = min(T, k1 ⌊s / k1⌋ + k1) is the end of
    the k1 steps that s is one of; all others are dropped, and none is changed.
    """

    k1: int
    k2: int
    T: int

    def end(self, s: int) -> int:
        """Return e(s), the step at which the loss of step s goes back."""
        return min(self.T, self.k1 * (s // self.k1) + self.k1)

    def reach(self, s: int) -> int:
        """Return the first step that the loss of step s reaches."""
        return max(0, self.end(s) - self.k2)

    def keeps(self, s: int, t: int) -> bool:
        """Return whether what loss⟨s⟩ owes to step t is kept."""
        return self.reach(s) <= t <= s

    def __str__(self) -> str:
        every = self.T * (self.T + 1) // 2
        kept = sum(s + 1 - self.reach(s) for s in range(self.T))
        return (
            f"BPTT({self.k1}, {self.k2}) over {self.T} steps keeps {kept} of {every} terms: of the loss "
            f"of step s those of steps t from e(s) − {self.k2} to s, where e(s) = min({self.T}, "
            f"{self.k1} ⌊s / {self.k1}⌋ + {self.k1}); the {every - kept} others are dropped."
        )


@dataclass(frozen=True)
class TruncatedGradients:
    """The loss, the truncated gradients by parameter, the final state, and what was dropped."""

    loss: float
    gradients: dict[str, Array]
    state: dict[str, Array]
    truncation: Truncation


def truncated_gradients(
    net: Network, X: Array, Y: Array, k1: int, k2: int, state: Any = None, lengths: Any = None,
    reduction: str = "mean", dropout_seed: int | None = None,
) -> TruncatedGradients:  # fmt: skip
    """Return gradients by BPTT(k1, k2): the parameters stay as they are on the way.

    Args:
        k1: after how many steps the losses since the last time go back.
        k2: through how many steps they go back, from the last of these; at least k1.
        net, X, Y, state, lengths, reduction, dropout_seed: as in `Network.loss_and_gradients`.

    The loss and the final state are those of the whole run. With k2 of T or more the gradients are
    the full ones. Raises UnrolledError for bad input, and for two directions: one of them begins at
    the last step, so there is no past of it to cut off.
    """
    k1, k2 = whole_number("k1", k1, 1), whole_number("k2", k2, 1)
    if k2 < k1:
        raise UnrolledError(f"k2 is {k2}: expected at least k1 = {k1}, or losses reach no step")
    if net.architecture.bidirectional:
        raise UnrolledError("the network has two directions: truncation goes with one")
    batch = net.batch(X, given(Y), state, lengths, reduction, dropout_seed)
    truncation = Truncation(k1, k2, batch.T)
    whole = net.run(batch, frozenset(net.architecture.step.states))
    gradients: dict[str, Array] = {}
    for start in range(0, batch.T, k1):
        window = _window(net, batch, whole, start, truncation)
        if window is not None:
            for name, gradient in net.run_batch(window)[2].items():
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
    final = {name: batch.as_given(value) for name, value in whole.state.items()}
    return TruncatedGradients(float(whole.loss), Parameters(gradients), final, truncation)


def _window(
    net: Network, batch: Batch, whole: Any, start: int, truncation: Truncation
) -> Batch | None:
    """Return the steps that the losses from `start` on go back through, with their targets only."""
    first, end = truncation.reach(start), truncation.end(start)
    window = batch.window(first, end)
    share = np.where(np.arange(first, end) >= start, window.share, 0)
    if not share.any():
        return None
    state = dict(batch.state)
    if first:
        for sweep in net.architecture.every_sweep:
            arrays = whole.kept[sweep.prefix].arrays
            state |= {
                f"{sweep.prefix}{s}": arrays[s][:, :, first - 1]
                for s in net.architecture.step.states
            }
    return replace(window, state=state, share=np.asfortranarray(share.astype(batch.share.dtype)))
