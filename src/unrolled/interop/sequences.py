"""Sequences as people hold them in Python, lists, texts, padded arrays: their steps, one under the other,
and how these become what a network is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unrolled.data.scaling import mean_and_scale
from unrolled.data.text import Vocabulary
from unrolled.errors import UnrolledError

Array = Any
_EXPECTED = (
    "expected a list of sequences, each (T, n_x) or (T,) numbers or a text, "
    "or an array (N, T, n_x) or (N, T)"
)


@dataclass(frozen=True)
class Steps:
    """The steps of N sequences: rows of numbers (L, n_x), or a text of which each character is one.

    Sequence k has `lengths[k]` of them, at least 1, and they stand in order.
    """

    rows: Array
    lengths: Array

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> Array:
        """Where each sequence begins, (N,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def text(self) -> bool:
        """Whether the steps are characters."""
        return isinstance(self.rows, str)

    def sequence_at(self, step: int) -> int:
        """Return the sequence that a step belongs to."""
        return int(np.searchsorted(np.cumsum(self.lengths), step, side="right"))


@dataclass(frozen=True)
class Inputs:
    """How steps become a network's inputs: characters by their place in a vocabulary; or numbers, from
    which `mean` (n_x,) is taken, and which are divided by `scale` (n_x,).
    """

    vocabulary: Vocabulary | None
    mean: Array
    scale: Array

    @classmethod
    def learned(cls, steps: Steps, kept: Array, standardise: bool) -> "Inputs":
        """Return those of all characters; of numbers, with mean and scale of the sequences `kept`."""
        if steps.text:
            return cls(Vocabulary(steps.rows), np.zeros(0), np.ones(0))
        if not standardise:
            return cls(None, np.zeros(steps.rows.shape[1]), np.ones(steps.rows.shape[1]))
        seen = np.isin(np.arange(len(steps)), kept)
        return cls(None, *mean_and_scale(steps.rows[np.repeat(seen, steps.lengths)]))

    @property
    def n_x(self) -> int:
        """The features of a step."""
        return len(self.mean) if self.vocabulary is None else len(self.vocabulary)

    def rows(self, steps: Steps, dtype: Any) -> Array:
        """Return steps as a network takes them: labels (L,), or values (L, n_x).

        Raises UnrolledError where they are of another kind, or have other features or characters.
        """
        if self.vocabulary is not None:
            return self._labels(steps, self.vocabulary)
        if steps.text:
            raise UnrolledError(f"X is texts: expected numbers, n_x = {self.n_x}, as in fit")
        if steps.rows.shape[1] != self.n_x:
            came = steps.rows.shape[1]
            raise UnrolledError(
                f"X has {came} features a step: expected n_x = {self.n_x}, as in fit"
            )
        with np.errstate(over="ignore"):  # the network says what is not finite
            return ((steps.rows - self.mean) / self.scale).astype(dtype)

    def _labels(self, steps: Steps, vocabulary: Vocabulary) -> Array:
        if not steps.text:
            raise UnrolledError("X is numbers: expected texts, as in fit")
        if unknown := set(steps.rows) - set(vocabulary.characters):
            place = next(t for t, character in enumerate(steps.rows) if character in unknown)
            k, known = steps.sequence_at(place), vocabulary.characters
            raise UnrolledError(
                f"the character {steps.rows[place]!r} (sequence {k}, step {place - steps.starts[k]}) was "
                f"not in fit: expected {len(known)} characters, {known[:80]!r}"
            )
        return vocabulary.encode(steps.rows)


def steps_of(X: Any) -> Steps:
    """Return the steps of what was given for X.

    X: a list or object array of sequences, each (T_k, n_x) numbers, (T_k,) numbers of one feature, or
    a text; or an array (N, T, n_x) or (N, T). Steps at a sequence's end that are NaN in all features
    are padding and left out. Raises UnrolledError for anything else.
    """
    if hasattr(X, "tocsr"):
        raise UnrolledError(f"X is a sparse {type(X).__name__}: {_EXPECTED}")
    if isinstance(X, str | bytes | np.ma.MaskedArray):
        raise UnrolledError(f"X is a {type(X).__name__}: {_EXPECTED}")
    if not isinstance(X, list | tuple):
        X = np.asarray(X)
        if X.ndim in (2, 3):
            return _of_array(X)
        if X.ndim != 1 or X.dtype.kind not in "OUT":
            one = ". Reshape your data, X.reshape(1, -1), where it is one sequence"
            shape = f"X has shape {X.shape}: {_EXPECTED}"
            raise UnrolledError(f"{shape}{one if X.ndim == 1 else ''}")
    if not len(X):
        raise UnrolledError(f"X has no sequence: {_EXPECTED}")
    texts = [isinstance(sequence, str) for sequence in X]
    return _of_texts(X, texts) if any(texts) else _of_list(X)


def _of_texts(X: Sequence[Any], texts: list[bool]) -> Steps:
    if not all(texts):
        k = texts.index(False)
        raise UnrolledError(
            f"sequence {k} is {type(X[k]).__name__}, and others are texts: {_EXPECTED}"
        )
    return _with_steps(Steps("".join(X), np.array([len(text) for text in X])))


def _of_array(X: Array) -> Steps:
    X = _numbers(X, "X")
    N, T = X.shape[:2]
    if not N:
        raise UnrolledError(f"X has shape {X.shape}, and so no sequence: {_EXPECTED}")
    features = X.shape[2] if X.ndim == 3 else 1
    return _without_padding(Steps(X.reshape(N * T, features), np.full(N, T)))


def _of_list(X: Sequence[Any]) -> Steps:
    arrays = []
    for k, sequence in enumerate(X):
        array = _numbers(sequence, f"sequence {k}")
        if array.ndim not in (1, 2):
            raise UnrolledError(f"sequence {k} has shape {array.shape}: {_EXPECTED}")
        arrays.append(array[:, None] if array.ndim == 1 else array)
        n_x = arrays[0].shape[1]
        if arrays[-1].shape[1] != n_x:
            raise UnrolledError(
                f"sequence {k} has {arrays[-1].shape[1]} features: expected n_x = {n_x}, as sequence 0 has"
            )
    lengths = np.array([len(array) for array in arrays])
    return _without_padding(Steps(np.concatenate(arrays), lengths))


def _numbers(value: Any, name: str) -> Array:
    """Return an array of real numbers in double precision."""
    try:
        array = np.asarray(value)
        array = array.astype(float) if array.dtype.kind == "O" else array
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UnrolledError(f"{name} cannot be read as numbers ({reason}): {_EXPECTED}") from None
    if array.dtype.kind == "c":
        raise UnrolledError(
            f"Complex data not supported: {name} is {array.dtype}, expected real numbers"
        )
    if array.dtype.kind not in "fiub":
        raise UnrolledError(f"{name} is {array.dtype}: {_EXPECTED}")
    return array.astype(float, copy=False)


def _without_padding(steps: Steps) -> Steps:
    """Leave out the steps at each sequence's end that are NaN in all features; refuse other ones."""
    rows, lengths = steps.rows, steps.lengths
    if rows.size and not np.isfinite(rows).all():
        real = np.flatnonzero(~np.isnan(rows).all(axis=1))
        ends = steps.starts.copy()
        of = np.repeat(np.arange(len(steps)), lengths)
        ends[of[real]] = real + 1  # of the many for one sequence, the last one stays
        kept = np.arange(len(rows)) < np.repeat(ends, lengths)
        steps = Steps(rows[kept], ends - steps.starts)
        _check_finite(steps)
    return _with_steps(steps)


def _check_finite(steps: Steps) -> None:
    for row, feature in np.argwhere(~np.isfinite(steps.rows))[:1]:
        k = steps.sequence_at(row)
        came = "NaN" if np.isnan(steps.rows[row, feature]) else "infinity (inf)"
        raise UnrolledError(
            f"X contains {came} at sequence {k}, step {row - steps.starts[k]}, feature {feature}: expected "
            "finite numbers, and NaN only in all features of steps at a sequence's end, as padding"
        )


def _with_steps(steps: Steps) -> Steps:
    if (steps.lengths == 0).any() or not len(steps.rows):
        k = int(np.argmin(steps.lengths))
        raise UnrolledError(f"sequence {k} has no step: expected at least one")
    return steps
