"""The two classical tasks of long memory; sequences are drawn, so that none is seen twice."""

from typing import Any

import numpy as np

Array = Any
SYMBOLS, SAID = 8, 10  # of the copy task: how many symbols there are, how many are to be said again


def draw_adding(random: np.random.Generator, m: int, T: int) -> tuple[Array, Array]:
    """Draw sequences of the adding problem: X (2, m, T), Y (1, m).

    Of T numbers, uniform in 0 to 1, two are marked by a 1 in the second row, one in each half; the
    target is their sum. Always saying 1 gives a mean squared error of 1/6. Hochreiter and Schmidhuber
    1997, as in Le, Jaitly and Hinton 2015, arXiv:1504.00941, section 4.1.
    """
    numbers = random.random((T, m))
    first, second = random.integers(0, T // 2, m), random.integers(T // 2, T, m)
    marks, each = np.zeros((T, m)), np.arange(m)
    marks[first, each] = marks[second, each] = 1
    Y = (numbers[first, each] + numbers[second, each])[None]
    return np.stack([numbers, marks], axis=2).T, Y


def draw_copying(random: np.random.Generator, m: int, T: int) -> tuple[Array, Array]:
    """Draw sequences of the copy task: X and Y are labels (m, T + 20), 10 in all.

    Ten symbols, T − 1 blanks (label 8), a sign (label 9), ten blanks; the target is blank up to the
    sign, from which on the ten symbols are to be said. Without memory the best mean cross-entropy is
    10 log 8 / (T + 20). Arjovsky, Shah and Bengio 2016, arXiv:1511.06464, section 5.1.
    """
    symbols = random.integers(0, SYMBOLS, (m, SAID))
    X = np.full((m, T + 2 * SAID), SYMBOLS)
    Y = X.copy()
    X[:, :SAID], X[:, T + SAID - 1], Y[:, T + SAID :] = symbols, SYMBOLS + 1, symbols
    return X, Y
