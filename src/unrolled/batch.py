"""One batch of sequences as a network takes it: already looked at, in the network's dtype."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Batch:
    """Sequences X, where the states start, and targets Y with the share of each in the loss.

    X is (n_x, m, T), floating or OneHot. Y is (n_y, m, T), floating or OneHot, where −1 is no target,
    or None. `share` is (1, m, T): what each target counts, 0 where there is none. `state` holds one
    (n_a, m) for each state of each layer and direction. `many_to_one` says that the output layer
    sees each direction's own last state at a sequence's last step.

    Where sequences have different `lengths`, everything here is sorted, longest first: sequence k
    is the caller's `order[k]`, and X, Y and share are 0 behind its end. `dropped` has for each
    boundary between layers what its outputs are multiplied with.
    """

    X: Array
    state: dict[str, Array]
    Y: Array = None
    share: Array = None
    many_to_one: bool = False
    lengths: Array = None
    order: Array = None
    dropped: tuple[Array, ...] = ()

    @property
    def m(self) -> int:
        return int(self.X.shape[1])

    @property
    def T(self) -> int:  # noqa: N802 - the legend's name
        return int(self.X.shape[2])

    @property
    def dtype(self) -> Any:
        return next(iter(self.state.values())).dtype

    @cached_property
    def running(self) -> tuple[int, ...] | None:
        """How many sequences are not over, at each step."""
        return None if self.lengths is None else tuple((~self.over()).sum(axis=0).tolist())

    @property
    def last(self) -> Array:
        """The last step of each sequence, (m,)."""
        return np.full(self.m, self.T - 1) if self.lengths is None else self.lengths - 1

    def over(self) -> Array:
        """Return where a sequence is over, (m, T)."""
        return np.arange(self.T) > self.last[:, None]

    def over_as_given(self) -> Array:
        """Return the same with the sequences in the caller's order."""
        return self.over() if self.order is None else self.over()[np.argsort(self.order)]

    def sorted_by_length(self, lengths: Array) -> "Batch":
        """Return the batch, longest sequence first."""
        order = np.argsort(-lengths, kind="stable")
        return replace(
            self, X=self.X[:, order, :], state={n: v[:, order] for n, v in self.state.items()},
            Y=None if self.Y is None else self.Y[:, order, :],
            share=None if self.share is None else self.share[:, order],
            dropped=tuple(mask[:, order] for mask in self.dropped),
            lengths=lengths[order], order=order,
        )  # fmt: skip

    def as_given(self, array: Array) -> Array:
        """Return an array (n, m) or (n, m, T) with its sequences in the caller's order, and 0 where
        they are over.
        """
        if self.order is None:
            return array
        whole = np.zeros(array.shape, array.dtype, order="F")
        whole[:, self.order] = array
        if array.ndim == 3:
            whole[:, self.over_as_given()] = 0
        return whole

    def without_targets(self) -> "Batch":
        return replace(self, Y=None, share=None)

    def window(self, start: int, stop: int) -> "Batch":
        """Return the steps from `start` to before `stop`, with the lengths that are left in them."""
        lengths = None if self.lengths is None else np.clip(self.lengths - start, 0, stop - start)
        return replace(
            self, X=self.X[:, :, start:stop], lengths=lengths,
            Y=None if self.Y is None else self.Y[:, :, start:stop],
            share=None if self.share is None else self.share[:, :, start:stop],
            dropped=tuple(mask[:, :, start:stop] for mask in self.dropped),
        )  # fmt: skip

    def arrays(self) -> Iterator[Array]:
        """Yield every array that a run depends on."""
        yield from (self.X, *self.state.values(), *self.dropped)
