"""The character-level language model of the course, for `from unrolled.dls.char import *`.

Deep Learning Specialization, course 5, week 1, assignment 2 ("Character level language model,
Dinosaurus land"): what its utils has, and what the notebook asks for (`clip`, `sample`, `optimize`).
A notebook's own definitions of any of them run on the rest. One name at a time is read: batches are of
one, X and Y are lists of indices, and None in X is a column of zeros.

Parameters are a dictionary of Wax (n_a, n_x), Waa (n_a, n_a), Wya (n_y, n_a), b (n_a, 1) and
by (n_y, 1), with b where assignment 1 has ba. Every function raises UnrolledError, in one sentence,
where something is missing or does not fit.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unrolled.dls.course import RNN, Course, Fit, backward, forward, named, weights, weights_back
from unrolled.engines import Kept, Sequences, reference
from unrolled.errors import UnrolledError, positive_number, whole_number
from unrolled.functions import softmax
from unrolled.one_hot import OneHot
from unrolled.outputs import OUTPUT_LAYER
from unrolled.parts import call
from unrolled.training.optimisers import SGD

Array = Any
Parameters = Any
Gradients = dict[str, Array]
Steps = dict[int, Array]

__all__ = [
    "softmax", "smooth", "print_sample", "get_sample", "get_initial_loss", "initialize_parameters",
    "rnn_step_forward", "rnn_step_backward", "update_parameters", "rnn_forward", "rnn_backward",
    "clip", "sample", "optimize",
]  # fmt: skip

_NAMES = {"Wax": "W_ax", "Waa": "W_aa", "Wya": "W_ya", "b": "b_a", "by": "b_y"}
_CHARACTERS = Course(RNN.step, _NAMES, RNN.cache)
_LONGEST = 50  # characters that `sample` writes at most


def smooth(loss: float, cur_loss: float) -> float:
    """Return the running mean of the loss that the notebook prints: 0.999 loss + 0.001 cur_loss."""
    return loss * 0.999 + cur_loss * 0.001


def get_initial_loss(vocab_size: int, seq_length: int) -> float:
    """Return the loss by chance of a name of `seq_length` characters: seq_length · log vocab_size."""
    return float(-np.log(1.0 / vocab_size) * seq_length)


def get_sample(sample_ix: Sequence[int], ix_to_char: Mapping[int, str]) -> str:
    """Return the text that indices stand for, its first character in upper case."""
    text = "".join(ix_to_char[ix] for ix in sample_ix)
    return text[:1].upper() + text[1:]


def print_sample(sample_ix: Sequence[int], ix_to_char: Mapping[int, str]) -> None:
    """Print what `get_sample` returns, with no end of line of its own."""
    print(get_sample(sample_ix, ix_to_char), end="")


def initialize_parameters(n_a: int, n_x: int, n_y: int) -> dict[str, Array]:
    """Return weights from a normal distribution times 0.01, and biases of 0.

    As the course's it seeds NumPy's global generator, with 1, so the numbers are the course's.
    """
    np.random.seed(1)
    drawn = {"Wax": (n_a, n_x), "Waa": (n_a, n_a), "Wya": (n_y, n_a)}
    parameters: dict[str, Array] = {n: np.random.randn(*s) * 0.01 for n, s in drawn.items()}
    return parameters | {"b": np.zeros((n_a, 1)), "by": np.zeros((n_y, 1))}


def rnn_step_forward(parameters: Parameters, a_prev: Array, x: Array) -> tuple[Array, Array]:
    """Compute one step from x (n_x, m) and a_prev (n_a, m).

    Returns a_next (n_a, m), and p_t (n_y, m), the probabilities of the next character.
    """
    fit = Fit()
    x, a_prev = fit.array("x", x, "n_x m"), fit.array("a_prev", a_prev, "n_a m")
    arrays = forward(_CHARACTERS, fit, x[:, :, None], {"a": a_prev}, parameters)
    return arrays["a"][:, :, 0], arrays["y_hat"][:, :, 0]


def rnn_step_backward(
    dy: Array, gradients: Gradients, parameters: Parameters, x: Array, a: Array, a_prev: Array
) -> Gradients:
    """Go back over one step and add its shares to the gradients.

    Args:
        dy: gradient at the logits, (n_y, m): ŷ − y, with softmax and cross-entropy.
        gradients: dictionary of dWax, dWaa, dWya, db, dby in their parameters' shapes, which are
            added to in place, and da_next (n_a, m), what the next step handed back, which is
            replaced by what this step hands back.
        x, a, a_prev: the step's input (n_x, m), its hidden state and the one before (n_a, m).

    Returns gradients, the same dictionary.
    """
    fit = Fit()
    given = {"x": (x, "n_x m"), "a": (a, "n_a m"), "a_prev": (a_prev, "n_a m")}
    arrays = {n: fit.array(n, value, axes)[:, :, None] for n, (value, axes) in given.items()}
    da_next = fit.array("da_next of gradients", _entry(gradients, "da_next"), "n_a m")
    W_ya = weights(_CHARACTERS, fit, parameters, {"W_ya"})["W_ya"]
    dz_y = fit.array("dy", dy, "n_y m")
    above = call(OUTPUT_LAYER.backward, {"dz_y": dz_y, "a": arrays["a"][:, :, 0], "W_ya": W_ya})
    upstream = {"da_y": above["da_y"][:, :, None], "da_T": da_next}
    found = backward(_CHARACTERS, fit, arrays, parameters, upstream)
    for name, share in {**found, **named(_CHARACTERS, _totals(above))}.items():
        if name.startswith("d") and name != "dx":
            total = _entry(gradients, name)
            if np.shape(total) != share.shape:
                raise UnrolledError(
                    f"{name} of gradients has shape {np.shape(total)}, expected {share.shape}"
                )
            total += share
    gradients["da_next"] = found["a0"]
    return gradients


def update_parameters(parameters: Parameters, gradients: Gradients, lr: float) -> Parameters:
    """Take one step of gradient descent, θ ← θ − lr · dθ, in place; return parameters."""
    own = {name: _entry(parameters, name, "parameters") for name in _NAMES}
    SGD(positive_number("lr", lr)).update(own, {n: _entry(gradients, f"d{n}") for n in _NAMES})
    return parameters


def rnn_forward(
    X: Sequence[int | None], Y: Sequence[int], a0: Array, parameters: Parameters,
    vocab_size: int = 27,
) -> tuple[float, tuple[Steps, Steps, Steps]]:  # fmt: skip
    """Read X, one index a step, and predict Y.

    Args:
        X: indices from 0 to vocab_size − 1; None is a column of zeros, as before the first character.
        Y: as many indices, the characters to predict.
        a0: hidden state before the first step, (n_a, 1).
        vocab_size: n_x, how many characters there are.

    Returns the loss, −log ŷ of each character of Y added up, and the cache (y_hat, a, x):
    dictionaries of step -> (n_y, 1), (n_a, 1), (vocab_size, 1), with a0 as a[-1]. The loss is taken
    from the logits, so it is finite where ŷ is too small for a number.
    """
    fit = Fit()
    fit.known("n_x", whole_number("vocab_size", vocab_size, 1), "vocab_size")
    x, a0 = _columns("X", X, vocab_size), fit.array("a0", a0, "n_a 1")
    arrays = forward(_CHARACTERS, fit, x, {"a": a0}, parameters)
    y = _targets(Y, len(X), fit.sizes["n_y"])
    head, T = _CHARACTERS.step.head, len(X)
    given = {"a": arrays["a"], "y": y, "omega": np.ones((1, 1, T))}
    own = weights(_CHARACTERS, fit, parameters, set(head.parameters))
    loss = reference.forward(head, own, Sequences(given, {}, 1, T), frozenset()).loss
    y_hat, a, x = (_steps(array) for array in (arrays["y_hat"], arrays["a"], x))
    return float(loss), (y_hat, {-1: a0.copy()} | a, x)


def rnn_backward(
    X: Sequence[int | None], Y: Sequence[int], parameters: Parameters, cache: Any
) -> tuple[Gradients, Steps]:
    """Go back over what `rnn_forward` did, or other code that left such a cache.

    Returns gradients, dictionary of dWax, dWaa, dWya, db, dby in their parameters' shapes, and
    da_next (n_a, 1), the gradient at a0; and a, the hidden states of the cache.
    """
    if not isinstance(cache, tuple | list) or len(cache) != 3:
        raise UnrolledError("cache is not a triple: expected (y_hat, a, x), each step -> array")
    y_hat, a, x = cache
    fit, T = Fit(), len(X)
    arrays = {
        "x": _stack(fit, "x", x, range(T), "n_x 1"),
        "a": _stack(fit, "a", a, range(T), "n_a 1"),
        "a_prev": _stack(fit, "a", a, range(-1, T - 1), "n_a 1"),
    }
    p = _stack(fit, "y_hat", y_hat, range(T), "n_y 1")
    given = {"a": arrays["a"], "y": _targets(Y, T, len(p)), "omega": np.ones((1, 1, T))}
    head, above = _CHARACTERS.step.head, Sequences(given, {}, 1, T)
    own, wanted = weights_back(_CHARACTERS, fit, head, parameters), frozenset({"da_y"})
    kept, totals = reference.backward(head, own, above, Kept({"y_hat": p}), {}, wanted)
    found = backward(_CHARACTERS, fit, arrays, parameters, {"da_y": kept.arrays["da_y"]})
    found |= named(_CHARACTERS, totals)
    return {f"d{n}": found[f"d{n}"] for n in _NAMES} | {"da_next": found["a0"]}, a


def clip(gradients: Mapping[str, Array], maxValue: float) -> Gradients:
    """Return dWaa, dWax, dWya, db and dby with every entry between −maxValue and maxValue.

    What came is not changed, as in the course's current edition; the first one clipped in place.
    """
    limit = positive_number("maxValue", maxValue)
    names = ("dWaa", "dWax", "dWya", "db", "dby")
    return {name: np.clip(_entry(gradients, name), -limit, limit) for name in names}


def sample(parameters: Parameters, char_to_ix: Mapping[str, int], seed: int) -> list[int]:
    """Write one name: draw a character, read it, draw the next, until a line ends.

    As the course's it seeds NumPy's global generator before each draw, with seed + 2 times the number
    of the draw. Returns the indices, the last one that of "\\n"; where 50 characters came without one,
    it is added. In a network with large weights, as that of the notebook's test, rounding grows from
    step to step, so with the same seed the first characters are the same everywhere, but not the last.
    """
    end = _entry(char_to_ix, "\n", "char_to_ix")
    n_y, n_a = np.shape(_entry(parameters, "Wya", "parameters"))
    x, a, indices = np.zeros((n_y, 1)), np.zeros((n_a, 1)), list[int]()
    while len(indices) < _LONGEST and end not in indices[-1:]:
        a, p_t = rnn_step_forward(parameters, a, x)
        np.random.seed(seed + 2 * len(indices))
        indices.append(int(np.random.choice(n_y, p=p_t.ravel())))
        x = _columns("indices", indices[-1:], n_y)[:, :, 0]
    return indices if len(indices) < _LONGEST else [*indices, end]


def optimize(
    X: Sequence[int | None], Y: Sequence[int], a_prev: Array, parameters: Parameters,
    learning_rate: float = 0.01,
) -> tuple[float, Gradients, Array]:  # fmt: skip
    """Train on one name: forward, backward, gradients clipped at 5, parameters changed in place.

    X, Y and a_prev are X, Y and a0 of `rnn_forward`; the size of the vocabulary is that of Wax. Returns
    the loss before the step, the clipped gradients, and the last hidden state (n_a, 1).
    """
    n_x = np.shape(_entry(parameters, "Wax", "parameters"))[-1]
    loss, cache = rnn_forward(X, Y, a_prev, parameters, n_x)
    gradients, a = rnn_backward(X, Y, parameters, cache)
    gradients = clip(gradients, 5)
    update_parameters(parameters, gradients, learning_rate)
    return loss, gradients, a[len(X) - 1]


def _columns(name: str, indices: Sequence[int | None], n: int) -> Array:
    """Return indices as one-hot columns, (n, 1, T); None is a column of zeros."""
    if not len(indices):
        raise UnrolledError(f"{name} is empty: expected an index for each step")
    labels = [
        -1 if ix is None else whole_number(f"{name}[{t}]", ix, 0) for t, ix in enumerate(indices)
    ]
    for t, label in enumerate(labels):
        if label >= n:
            raise UnrolledError(f"{name}[{t}] is {label}: expected 0 to {n - 1}")
    return OneHot(np.array([labels]), n, np.float64).dense()


def _targets(Y: Sequence[int], T: int, n_y: int) -> Array:
    """Return Y as one-hot columns, (n_y, 1, T)."""
    if len(Y) != T:
        raise UnrolledError(f"Y has {len(Y)} indices: expected {T}, one for each of X")
    if any(ix is None for ix in Y):
        raise UnrolledError("Y has a None: expected the index of a character for each step")
    return _columns("Y", Y, n_y)


def _steps(array: Array) -> Steps:
    return {t: array[:, :, t] for t in range(array.shape[2])}


def _stack(fit: Fit, name: str, steps: Any, which: range, axes: str) -> Array:
    """Return the steps of a dictionary of the cache along the last axis."""
    found = [_entry(steps, t, f"{name} of cache") for t in which]
    return np.stack(
        [fit.array(f"{name}[{t}] of cache", v, axes) for t, v in zip(which, found, strict=True)],
        axis=-1,
    )


def _totals(above: Mapping[str, Array]) -> Gradients:
    """Return the gradients of the output layer by their parameters' names."""
    return {name: above[f"d{name}"] for name in OUTPUT_LAYER.shapes}


def _entry(values: Any, name: Any, of: str = "gradients") -> Any:
    if not isinstance(values, Mapping):
        raise UnrolledError(f"{of} is of type {type(values).__name__}: expected a dictionary")
    if name not in values:
        raise UnrolledError(f"{of} has no {name!r}: it has {', '.join(map(repr, values))}")
    return values[name]
