"""The training loop: windows of long sequences, the state carried from each to the next."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.errors import UnrolledError, positive_number
from unrolled.network import Network
from unrolled.training.optimisers import SGD, Adam, clip_by_norm

Array = Any


@dataclass(frozen=True)
class Metrics:
    """What one update of the parameters measured; `loss` is the mean over targets before it."""

    step: int
    loss: float
    gradient_norm: float
    clipped: bool
    targets: int
    seconds: float


def train(
    net: Network, windows: Iterable[tuple[Array, Array, bool]], optimiser: SGD | Adam,
    clip: float = 1.0,
) -> Iterator[Metrics]:  # fmt: skip
    """Update the network's parameters in place, once a window, and yield what was measured.

    Args:
        windows: (X, Y, fresh) as `Network.loss_and_gradients` takes them; where `fresh`, the state
            starts at zero, else where the window before left it (its gradient stops there:
            truncated backpropagation through time).
        clip: the largest common norm of the gradients; math.inf clips nothing.

    The loop can be left between any two yields. Raises UnrolledError when the loss is no longer a
    number; the parameters are then those before the update.
    """
    if clip != math.inf:
        positive_number("clip", clip)
    state = None
    for step, (X, Y, fresh) in enumerate(windows, start=1):
        start = time.perf_counter()
        with np.errstate(all="ignore"):  # what overflows is said below
            loss, state, gradients = net.loss_state_and_gradients(
                X, Y, None if fresh else state, dropout_seed=step
            )
            norm = clip_by_norm(gradients, clip)
        if not math.isfinite(loss) or not math.isfinite(norm):
            what = "loss" if not math.isfinite(loss) else "gradient"
            raise UnrolledError(
                f"the {what} is not finite at step {step}: "
                f"try a learning rate below {optimiser.learning_rate:g}"
            )
        optimiser.update(net.parameters, gradients)
        yield Metrics(step, loss, norm, norm > clip, Y.size, time.perf_counter() - start)
