"""What a network is shown, update after update: windows of a stream, or of batches of sequences.

A source has `windows(epoch)`, which yields the windows of one pass over the data, always the same ones
for the same epoch, so that a training that was interrupted finds its place again by counting;
`updates`, how many windows that is, about; `cut`, whether some go on where others ended; and `settings`,
by which it is known again.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from unrolled.errors import UnrolledError, whole_number
from unrolled.one_hot import Labels

Array = Any


@dataclass(frozen=True)
class Window:
    """X, Y and lengths as `Network.loss_and_gradients` takes them; Y is None where only the state is
    to be carried on. `carried` (m,) says at which sequence of the window before each goes on; None:
    all start from zeros.
    """

    X: Array
    Y: Array
    lengths: Array = None
    carried: Array = None

    @property
    def targets(self) -> int:
        """How many targets there are; labels of −1 are none."""
        if self.Y is None:
            return 0
        if self.Y.dtype.kind in "iu":
            return int((self.Y >= 0).sum())
        if self.Y.ndim == 2 or self.lengths is None:
            return int(np.prod(self.Y.shape[1:]))
        return int(self.lengths.sum())


class Source(Protocol):
    """What `train` and `evaluate` take windows from."""

    @property
    def updates(self) -> int: ...

    @property
    def cut(self) -> bool: ...

    @property
    def settings(self) -> dict[str, Any]: ...

    def windows(self, epoch: int) -> Iterator[Window]: ...


class Stream:
    """One long sequence, cut into m that are read side by side, T steps at a time.

    X and Y have a row a step: labels (L,) or values (L, n). Every window goes on where the one before
    ended, the last one is shorter; what is left of the cut into m equal parts, less than m steps, is
    not shown. The first `warm` steps have no targets: they only bring the state up.

    Raises UnrolledError where there is less than a step for each of the m sequences.
    """

    def __init__(self, X: Array, Y: Array, m: int, T: int, warm: int = 0):
        self.m, self.T = whole_number("m", m, 1), whole_number("T", T, 1)
        self.warm = whole_number("warm", warm, 0)
        if self.warm and self.m != 1:
            raise UnrolledError(f"warm is {warm}: expected 0 with m = {m} sequences side by side")
        self.length = len(X) // self.m
        if self.length <= self.warm:
            raise UnrolledError(
                f"the data have {len(X)} steps: expected more than {max(self.m - 1, self.warm)}"
            )
        self.X, self.Y = X, Y
        first, rest = -(-self.warm // self.T), self.length - self.warm
        self.updates = first + -(-rest // self.T)
        self.cut = self.updates > 1

    @property
    def settings(self) -> dict[str, Any]:
        """What a training has to find again to go on."""
        same = fingerprint(self.X, self.Y)
        return {"m": self.m, "T": self.T, "warm": self.warm, "fingerprint": same}

    def windows(self, epoch: int) -> Iterator[Window]:
        """Yield the windows of one pass, the same ones each time."""
        starts = np.arange(self.m) * self.length
        carried = np.arange(self.m)
        edges = [*range(0, self.warm, self.T), *range(self.warm, self.length, self.T), self.length]
        for begin, end in itertools.pairwise(edges):
            places = starts[:, None] + np.arange(begin, end)
            Y = None if begin < self.warm else _rows(self.Y, places)
            yield Window(_rows(self.X, places), Y, None, carried if begin else None)


class Sequences:
    """Sequences of different lengths, m at a time.

    Sequence k has the rows starts[k] to starts[k] + lengths[k] of X, labels (L,) or values (L, n).
    Y has a row a step as X, or, where `each` is "sequence", one a sequence, for its last step:
    labels or values (sequences, n_y). Longer ones than T are shown T steps at a time, each window
    going on where the one before ended; T is None: whole.

    Their order is drawn anew for each epoch; with seed None it is that of their lengths.
    """

    def __init__(
        self, X: Array, Y: Array, starts: Array, lengths: Array, m: int, T: int | None = None,
        each: str = "step", seed: int | None = 0,
    ):  # fmt: skip
        self.m, self.T = whole_number("m", m, 1), None if T is None else whole_number("T", T, 1)
        self.seed = None if seed is None else whole_number("seed", seed, 0)
        self.X, self.Y, self.each = X, Y, each
        self.starts, self.lengths = np.asarray(starts), np.asarray(lengths)
        if not len(self.lengths):
            raise UnrolledError("the data have no sequence: expected at least one")
        if each == "sequence" and Y.ndim != (1 if Y.dtype.kind in "iu" else 2):
            raise UnrolledError(
                f"Y has shape {Y.shape} and dtype {Y.dtype}: expected labels (sequences,) or values "
                "(sequences, n_y)"
            )
        if each == "sequence" and T is not None and Y.dtype.kind == "f" and self.lengths.max() > T:
            raise UnrolledError(
                f"T is {T}: sequences with one value each are shown whole, and the longest has "
                f"{self.lengths.max()} steps"
            )
        self.updates = sum(self._parts(chosen) for chosen in self._batches(0))
        self.cut = T is not None and bool(self.lengths.max() > T)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def settings(self) -> dict[str, Any]:
        """What a training has to find again to go on."""
        same = fingerprint(self.X, self.Y, self.starts, self.lengths)
        return {"m": self.m, "T": self.T, "seed": self.seed, "fingerprint": same}

    def windows(self, epoch: int) -> Iterator[Window]:
        """Yield the windows of one pass, in the order that is drawn for this epoch."""
        for chosen in self._batches(epoch):
            running = np.arange(len(chosen))
            for part in range(self._parts(chosen)):
                begin = part * (self.T or 0)
                goes_on = np.flatnonzero(self.lengths[chosen[running]] > begin)
                running = running[goes_on]
                yield self._window(chosen[running], begin, goes_on if part else None)

    def _parts(self, chosen: Array) -> int:
        return 1 if self.T is None else -(-int(self.lengths[chosen].max()) // self.T)

    def _batches(self, epoch: int) -> list[Array]:
        """The sequences of each batch. Short ones beside long ones cost nothing, as the engines do not
        compute what is behind an end.
        """
        if self.seed is None:
            order = np.argsort(-self.lengths, kind="stable")
        else:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return [order[k : k + self.m] for k in range(0, len(order), self.m)]

    def _window(self, chosen: Array, begin: int, carried: Array) -> Window:
        left = self.lengths[chosen] - begin
        lengths = left if self.T is None else np.minimum(left, self.T)
        steps = np.arange(lengths.max())
        over = steps >= lengths[:, None]
        places = np.where(over, 0, (self.starts[chosen] + begin)[:, None] + steps)
        if self.each == "step":
            Y = _rows(self.Y, places)
            if Y.dtype.kind in "iu":
                Y = np.where(over, -1, Y.astype(np.int64)).view(Labels)
        else:
            Y = self.Y[chosen].T if self.Y.ndim == 2 else np.where(
                left > lengths, -1, self.Y[chosen].astype(np.int64)
            )  # fmt: skip
            if Y.dtype.kind in "iu" and (Y < 0).all():
                Y = None  # none ends in this window
        return Window(_rows(self.X, places), Y, lengths if over.any() else None, carried)


class Drawn:
    """Sequences that are drawn when they are asked for, other ones in each epoch.

    draw(random, m) returns X and Y; an epoch has `updates` windows of m sequences.
    """

    def __init__(
        self, draw: Callable[[np.random.Generator, int], tuple[Array, Array]], m: int,
        updates: int = 100, seed: int = 0,
    ):  # fmt: skip
        self.draw, self.m = draw, whole_number("m", m, 1)
        self.updates, self.seed = whole_number("updates", updates, 1), whole_number("seed", seed, 0)
        self.cut = False

    @property
    def settings(self) -> dict[str, Any]:
        """What a training has to find again to go on."""
        return {"m": self.m, "updates": self.updates, "seed": self.seed}

    def windows(self, epoch: int) -> Iterator[Window]:
        """Yield the windows of one epoch."""
        for k in range(self.updates):
            yield Window(*self.draw(np.random.default_rng([self.seed, epoch, k]), self.m))


def arrays(
    X: Array, Y: Array, lengths: Array = None, m: int = 32, seed: int | None = 0
) -> Sequences:
    """Return a source of sequences that stand side by side in arrays, as a network takes them.

    X (n_x, N, T) or labels (N, T); Y (n_y, N, T), labels (N, T), or for the last step only (n_y, N)
    or labels (N,); `lengths` (N,). Raises UnrolledError where they do not fit.
    """
    X, Y = np.asarray(X), np.asarray(Y)
    labels, last = Y.dtype.kind in "iu", Y.ndim == (1 if Y.dtype.kind in "iu" else 2)
    sequences, T = X.shape[-2:] if X.ndim in (2, 3) else (0, 0)
    fits = Y.ndim in ((1, 2) if labels else (2, 3))
    if not sequences or not T or not fits or Y.shape[-1 if last else -2 :][:1] != (sequences,):
        raise UnrolledError(
            f"X has shape {X.shape} and Y {Y.shape}: expected X (n_x, N, T) or labels (N, T), and Y "
            "(n_y, N, T) or labels (N, T), or (n_y, N) or labels (N,) for the last step only"
        )
    lengths = np.full(sequences, T) if lengths is None else np.asarray(lengths)
    if lengths.shape != (sequences,) or ((lengths < 1) | (lengths > T)).any():
        raise UnrolledError(
            f"lengths are not (N,) = ({sequences},) whole numbers from 1 to T = {T}"
        )
    flat_Y = (Y if labels else Y.T) if last else _flat(Y)
    each = "sequence" if last else "step"
    return Sequences(_flat(X), flat_Y, np.arange(sequences) * T, lengths, m, None, each, seed)


def _flat(array: Array) -> Array:
    """Return the steps of all sequences one under the other: labels (N T,), values (N T, n)."""
    return array.reshape(-1) if array.ndim == 2 else array.reshape(len(array), -1).T


def _rows(array: Array, places: Array) -> Array:
    """Return the rows at places (m, T): labels (m, T), or values (n, m, T) in Fortran order."""
    return array[places].view(Labels) if array.ndim == 1 else array[places.T].T


def fingerprint(*data: Any) -> str:
    """Return a short text that is another one for other data."""
    digest = hashlib.sha256()
    for value in data:
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()[:16]


def split_off(count: int, share: float, seed: int) -> tuple[Array, Array]:
    """Draw which of `count` sequences are held back: return the places of the others, and of these."""
    held = min(math.ceil(count * share), count - 1) if share else 0
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])
