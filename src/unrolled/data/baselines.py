"""What a trained network has to beat: models that a computer makes in no time."""

import math
from typing import Any

import numpy as np

Array = Any


def ngram_loss(training: Array, held_back: Array, n: int, order: int = 3) -> float:
    """Return the mean cross-entropy, in nats, of an n-gram model of `training` on `held_back`.

    Both have a row a target: its history, the oldest first, and the target itself, (targets, order)
    labels below n. Smoothed without a number to tune: Witten and Bell 1991, as interpolated in Chen and
    Goodman 1998 (TR-10-98), section 2.5: what a history has seen counts by how many different labels
    followed it, down to 1/n for each.
    """
    probability = np.full(len(held_back), 1 / n)
    for length in range(order):
        first = order - 1 - length
        seen, asked = (_coded(rows[:, first:-1], n) for rows in (training, held_back))
        histories, place, counts = np.unique(seen, return_inverse=True, return_counts=True)
        pairs, times = np.unique(place * n + training[:, -1], return_counts=True)
        different = np.bincount(pairs // n, minlength=len(histories))
        at = np.searchsorted(histories, asked).clip(max=len(histories) - 1)
        known = histories[at] == asked
        pair = at * n + held_back[:, -1]
        which = np.searchsorted(pairs, pair).clip(max=len(pairs) - 1)
        followed = np.where(pairs[which] == pair, times[which], 0)
        mixed = (followed + different[at] * probability) / (counts[at] + different[at])
        probability = np.where(known, mixed, probability)
    return float(-np.log(probability).mean())


def _coded(rows: Array, n: int) -> Array:
    """Return one whole number for each row of labels."""
    code = np.zeros(len(rows), np.int64)
    for column in rows.T:
        code = code * n + column
    return code


def persistence(values: Array, targets: Array, held_back: int) -> Array:
    """Return the mean squared error (n_y,) over the last `held_back` steps of values (L, n), where the
    forecast of the columns `targets` is that all stays as it is.
    """
    change = np.diff(values[:, targets], axis=0)[-held_back:]
    return np.asarray((change**2).mean(axis=0))


def autoregression(values: Array, targets: Array, held_back: int, order: int) -> Array:
    """Return the same for a linear model of the last `order` steps of all columns, fitted by least
    squares to the steps before those held back (Yule 1927, on sunspot numbers).
    """
    L = len(values)
    lagged = [values[order - 1 - k : L - 1 - k] for k in range(order)]
    inputs = np.hstack([*lagged, np.ones((L - order, 1))])
    wanted = values[order:][:, targets]
    fitted, *_ = np.linalg.lstsq(inputs[:-held_back], wanted[:-held_back], rcond=None)
    error = inputs[-held_back:] @ fitted - wanted[-held_back:]
    return np.asarray((error**2).mean(axis=0))


def majority(training: Array, held_back: Array, classes: int) -> tuple[float, float]:
    """Return the accuracy of always saying the commonest label, and the cross-entropy of saying the
    labels' shares; both on held-back labels (N,).
    """
    shares = (np.bincount(training, minlength=classes) + 1) / (len(training) + classes)
    loss = -np.log(shares)[held_back].mean()
    return float((held_back == shares.argmax()).mean()), float(loss)


def blind_copying_loss(T: int, symbols: int, said: int) -> float:
    """Return the cross-entropy of the copy task for one who remembers nothing."""
    return said * math.log(symbols) / (T + 2 * said)
