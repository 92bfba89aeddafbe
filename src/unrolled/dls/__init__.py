"""The course's functions by the course's names, on this library's cells.

Deep Learning Specialization, course 5, week 1, assignment 1 ("Building your Recurrent Neural Network,
step by step"). Signatures, names of parameters, caches and returned dictionaries are those of the
assignment, so a notebook runs with its import changed to `from unrolled.dls import *`, and functions
of its own can be mixed with these in any way: a backward here needs a cache in the course's order and
nothing else, whoever made it. docs/dls.md has a table of them, and what published tables get wrong.

Shapes are the course's: x (n_x, m, T_x), states (n_a, m, T_x), predictions (n_y, m, T_x). Every
function raises UnrolledError, in one sentence, where something is missing or does not fit.
"""

from typing import Any

import numpy as np

from unrolled.dls import rnn_utils
from unrolled.dls.course import (
    LSTM,
    RNN,
    Course,
    Fit,
    backward,
    caches,
    forward,
    read_caches,
)  # fmt: skip
from unrolled.dls.rnn_utils import *  # noqa: F403 - what the notebook imports from rnn_utils
from unrolled.errors import UnrolledError

Array = Any
Parameters = Any
Gradients = dict[str, Array]

__all__ = [
    "rnn_cell_forward", "rnn_forward", "rnn_cell_backward", "rnn_backward",
    "lstm_cell_forward", "lstm_forward", "lstm_cell_backward", "lstm_backward",
    *rnn_utils.__all__,
]  # fmt: skip


def rnn_cell_forward(
    xt: Array, a_prev: Array, parameters: Parameters
) -> tuple[Array, Array, tuple[Any, ...]]:
    """Compute one step of the plain recurrent network (Elman 1990), and its prediction.

    Args:
        xt: input of the step, (n_x, m).
        a_prev: hidden state before it, (n_a, m).
        parameters: dictionary of Wax (n_a, n_x), Waa (n_a, n_a), ba (n_a, 1), Wya (n_y, n_a),
            by (n_y, 1).

    Returns a_next (n_a, m); yt_pred (n_y, m), the softmax of each column; and the cache
    (a_next, a_prev, xt, parameters).
    """
    arrays, steps = _one_step(RNN, xt, {"a_prev": a_prev}, parameters)
    return arrays["a"], arrays["y_hat"], steps[0]


def rnn_forward(
    x: Array, a0: Array, parameters: Parameters
) -> tuple[Array, Array, tuple[list[tuple[Any, ...]], Array]]:
    """Run the plain recurrent network over x (n_x, m, T_x), from a0 (n_a, m).

    `parameters` is that of `rnn_cell_forward`. Returns a (n_a, m, T_x), y_pred (n_y, m, T_x), and
    caches, the pair (list of the steps' caches, x).
    """
    fit = Fit()
    x, a0 = fit.array("x", x, "n_x m T"), fit.array("a0", a0, "n_a m")
    arrays = forward(RNN, fit, x, {"a": a0}, parameters)
    # caches hold parts of what was computed, so what a caller may change is a copy
    return arrays["a"].copy("F"), arrays["y_hat"], (caches(RNN, arrays, parameters), x)


def rnn_cell_backward(da_next: Array, cache: Any) -> Gradients:
    """Go back over one step of the plain recurrent network.

    Args:
        da_next: gradient at a_next, all of it, (n_a, m): of the step's own output and of the next
            step together. (It is da⟨t⟩ of this library, whose da_next is the second part alone.)
        cache: what `rnn_cell_forward` returned, or a tuple in the same order. Of its parameters Wax
            and Waa are needed.

    Returns dxt (n_x, m), da_prev (n_a, m), dWax (n_a, n_x), dWaa (n_a, n_a), dba (n_a, 1), the last
    three summed over the batch. The output layer is not part of it: there is no dWya and no dby.
    """
    found = _back_one_step(RNN, cache, {"da_next": da_next})
    return {"dxt": found.pop("dx"), "da_prev": found.pop("a0"), **found}


def rnn_backward(da: Array, caches: Any) -> Gradients:
    """Go back over a sequence: full backpropagation through time (Werbos 1990).

    Args:
        da: gradient that reaches each hidden state from its own output, (n_a, m, T_x); what comes
            back from the next step is added to it here. With fewer steps than the caches have, the
            later steps count for nothing, as if da were 0 there.
        caches: what `rnn_forward` returned, or a pair (list of caches, x) by other code.

    Returns dx (n_x, m, T_x), da0 (n_a, m), dWax (n_a, n_x), dWaa (n_a, n_a), dba (n_a, 1), the last
    three summed over the steps and the batch.
    """
    found = _back(RNN, da, caches)
    return {"dx": found.pop("dx"), "da0": found.pop("a0"), **found}


def lstm_cell_forward(
    xt: Array, a_prev: Array, c_prev: Array, parameters: Parameters
) -> tuple[Array, Array, Array, tuple[Any, ...]]:
    """Compute one step of the LSTM (Hochreiter and Schmidhuber 1997, with the forget gate of Gers,
    Schmidhuber and Cummins 2000), and its prediction.

    Args:
        xt: input of the step, (n_x, m).
        a_prev, c_prev: hidden state and cell state before it, (n_a, m).
        parameters: dictionary of Wf, Wi, Wc, Wo (n_a, n_a + n_x), which act on a_prev with xt below
            it, bf, bi, bc, bo (n_a, 1), Wy (n_y, n_a), by (n_y, 1). i is the gate that the course's
            equations call the update gate.

    Returns a_next (n_a, m), c_next (n_a, m), yt_pred (n_y, m), and the cache of ten: (a_next, c_next,
    a_prev, c_prev, ft, it, cct, ot, xt, parameters).
    """
    arrays, steps = _one_step(LSTM, xt, {"a_prev": a_prev, "c_prev": c_prev}, parameters)
    return arrays["a"], arrays["c"], arrays["y_hat"], steps[0]


def lstm_forward(
    x: Array, a0: Array, parameters: Parameters
) -> tuple[Array, Array, Array, tuple[list[tuple[Any, ...]], Array]]:
    """Run the LSTM over x (n_x, m, T_x), from a0 (n_a, m) and a cell state of zeros.

    `parameters` is that of `lstm_cell_forward`. Returns a (n_a, m, T_x), y (n_y, m, T_x),
    c (n_a, m, T_x), in this order, and caches, the pair (list of the steps' caches, x).
    """
    fit = Fit()
    x, a0 = fit.array("x", x, "n_x m T"), fit.array("a0", a0, "n_a m")
    arrays = forward(LSTM, fit, x, {"a": a0, "c": np.zeros_like(a0)}, parameters)
    a, c = arrays["a"].copy("F"), arrays["c"].copy("F")
    return a, arrays["y_hat"], c, (caches(LSTM, arrays, parameters), x)


def lstm_cell_backward(da_next: Array, dc_next: Array, cache: Any) -> Gradients:
    """Go back over one step of the LSTM.

    Args:
        da_next: gradient at a_next, all of it, (n_a, m), as in `rnn_cell_backward`.
        dc_next: gradient at c_next that does not pass through a_next: what the next step hands back
            as its dc_prev, (n_a, m).
        cache: what `lstm_cell_forward` returned, or a tuple in the same order. Of its parameters Wf,
            Wi, Wc and Wo are needed.

    Returns dxt (n_x, m), da_prev and dc_prev (n_a, m), dWf, dWi, dWc, dWo (n_a, n_a + n_x) and dbf,
    dbi, dbc, dbo (n_a, 1), summed over the batch.
    """
    found = _back_one_step(LSTM, cache, {"da_next": da_next, "dc_next": dc_next})
    states = {"da_prev": found.pop("a0"), "dc_prev": found.pop("c0")}
    return {"dxt": found.pop("dx"), **states, **found}


def lstm_backward(da: Array, caches: Any) -> Gradients:
    """Go back over a sequence of the LSTM: full backpropagation through time.

    `da` (n_a, m, T_x) and `caches` are as in `rnn_backward`. At each step what the next step hands
    back is added to da[:, :, t], and its dc_prev is passed on. The first edition's table of expected
    outputs leaves out both, so its numbers are not gradients, and differ from these; those of the
    current edition are right.

    Returns dx (n_x, m, T_x), da0 (n_a, m), dWf, dWi, dWc, dWo (n_a, n_a + n_x) and dbf, dbi, dbc, dbo
    (n_a, 1), summed over the steps and the batch.
    """
    found = _back(LSTM, da, caches)
    del found["c0"]  # the cell state starts at zeros: no quantity of the course's
    return {"dx": found.pop("dx"), "da0": found.pop("a0"), **found}


def _one_step(
    course: Course, xt: Array, state: dict[str, Array], parameters: Parameters
) -> tuple[dict[str, Array], list[tuple[Any, ...]]]:
    """Run one step as a sequence of one; return what it computed, and its cache."""
    fit = Fit()
    x = fit.array("xt", xt, "n_x m")[:, :, None]
    state = {name[0]: fit.array(name, value, "n_a m") for name, value in state.items()}
    arrays = forward(course, fit, x, state, parameters)
    found = {name: array[:, :, 0] for name, array in arrays.items()}
    return found, caches(course, arrays, parameters)


def _back_one_step(course: Course, cache: Any, upstream: dict[str, Array]) -> Gradients:
    """Go back over a sequence of one step; what comes to its states from outside is at its end."""
    fit = Fit()
    arrays, parameters = read_caches(course, fit, [cache])
    given = {name: fit.array(name, value, "n_a m") for name, value in upstream.items()}
    outside = {"da_y": given["da_next"][:, :, None]}
    if "dc_next" in given:
        outside["dc_T"] = given["dc_next"]
    found = backward(course, fit, arrays, parameters, outside)
    return found | {"dx": found["dx"][:, :, 0]}


def _back(course: Course, da: Array, pair: Any) -> Gradients:
    """Go back over the steps that da has."""
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or not isinstance(pair[0], tuple | list)
    ):
        raise UnrolledError("caches is not a pair: expected (list of the steps' caches, x)")
    steps, fit = pair[0], Fit()
    da = fit.array("da", da, "n_a m T")
    T = da.shape[2]
    if len(steps) < T:
        raise UnrolledError(
            f"caches has {len(steps)} steps: expected at least T = {T}, as in da {da.shape}"
        )
    arrays, parameters = read_caches(course, fit, steps[:T])
    return backward(course, fit, arrays, parameters, {"da_y": da})
