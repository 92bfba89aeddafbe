"""What may be put into a network. Every array is looked at once, and said in one sentence if wrong."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.equations.step import Step
from unrolled.errors import UnrolledError, whole_number
from unrolled.notation import DIMENSIONS, Shape
from unrolled.one_hot import Labels, OneHot
from unrolled.unrolling import Architecture

Array = Any
Sizes = Mapping[str, int]

_AXES = {
    "n_x": "feature",
    "n_e": "feature",
    "n_a": "unit",
    "2n_a": "unit",
    "n_y": "feature",
    "m": "sequence",
    "T": "step",
    "1": "row",
}
_LARGEST = 10**9  # a square matrix of it is the largest whose bytes can be counted
REDUCTIONS = ("mean", "batch", "sum")
_FEW = 10_000  # numbers up to which a product is fast, and wakes no thread


_OTHER_AXES = {"2n_a": "hidden units of both directions", "n_e": "features of the embedding"}


def _sense(axis: str) -> str:
    return (DIMENSIONS | _OTHER_AXES).get(axis, "1")


def check_size(name: str, value: Any) -> int:
    """Return a size that is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UnrolledError(
            f"{name} ({_sense(name)}) is {value!r}: expected a whole number above 0"
        )
    if value > _LARGEST:
        raise UnrolledError(f"{name} ({_sense(name)}) is too large: expected at most {_LARGEST}")
    return int(value)


def check_parameters(parameters: Mapping[str, Array], net: Architecture, dtype: Any) -> None:
    """Raise UnrolledError unless every parameter is there with its shape, its dtype, and finite."""
    if not isinstance(parameters, Mapping):
        raise UnrolledError(f"parameters is {type(parameters).__name__}: expected a dictionary")
    for name in sorted(parameters.keys() ^ net.parameters.keys(), key=str):
        what = "is missing" if name in net.parameters else "is not one of this network's"
        raise UnrolledError(f"parameter {name} {what}: expected {', '.join(net.parameters)}")
    with np.errstate(over="ignore", invalid="ignore"):
        for name, shape in net.shapes.items():
            value = parameters[name]
            right = type(value) is np.ndarray and value.dtype == dtype and value.shape == shape
            if not (right and _sum_is_finite(value)):
                _check_parameter(name, value, net, dtype)


def _check_parameter(name: str, value: Any, net: Architecture, dtype: Any) -> None:
    if type(value) is not np.ndarray or value.dtype != dtype:
        came = value.dtype if type(value) is np.ndarray else type(value).__name__
        raise UnrolledError(f"parameter {name} is {came}: expected an array of {dtype}")
    axes = net.parameters[name][1]
    _check_shape(f"parameter {name}", value, axes, net.axes)
    _check_finite(f"parameter {name}", value, axes)


def make_batch(
    net: Architecture, dtype: Any, X: Array, state: Any, lengths: Any = None, Y: Array = None,
    reduction: str = "mean", many_to_one: bool = False, dropout_seed: int | None = None,
) -> Batch:  # fmt: skip
    """Return the batch of what came, in the network's dtype, or raise UnrolledError with a sentence.

    X, state, lengths, Y, reduction and dropout_seed are those of `Network.loss_and_gradients`.
    """
    X = _array("X", X)
    last, over = _ends(lengths, X)
    X = _inputs(_without_padding(X, over, 3, 0), net.sizes, dtype)
    sizes = {**net.axes, "m": X.shape[1], "T": X.shape[2]}
    zero = np.zeros((sizes["n_a"], sizes["m"]), dtype, order="F")
    initial = dict.fromkeys(net.states, zero) | _states(net, state, sizes, dtype, "state")
    share = None
    if Y is not None:
        Y = _array("Y", Y)
        many_to_one = Y.ndim == (1 if Y.dtype.kind in "iu" else 2)
        Y = _without_padding(Y, over, 3, -1)
        Y, has_target = _targets(net.step, Y, sizes, dtype, last)
        share = _share(has_target if over is None else has_target & ~over, reduction, dtype)
    batch = Batch(
        X, initial, Y, share, many_to_one, dropped=_dropped(net, sizes, dtype, dropout_seed)
    )
    return batch if over is None else batch.sorted_by_length(last + 1)


@np.errstate(over="ignore", invalid="ignore")
def batch_alike(before: Batch | None, X: Any, Y: Any, reduction: Any) -> Batch | None:
    """Return the batch of what came, to start at 0, where X and Y are of the kind of those `before`, with all labels
    there as targets, and their numbers are right; None where each array has to be looked at by itself.
    """
    if before is None or type(before.Y) is not OneHot:
        return None
    X, Y = _alike(before.X, X), _alike(before.Y, Y)
    if X is None or Y is None:
        return None
    _check_reduction(reduction)
    return Batch(X, before.state, Y, _even_share(Y.labels.shape, reduction, Y.dtype))


@np.errstate(over="ignore", invalid="ignore")
def step_alike(before: Batch | None, x: Array, state: Any) -> Batch | None:
    """Return the batch of one step, where x and the state are of the kind of the step `before`; else None."""
    if before is None or type(state) is not dict or state.keys() != before.state.keys():
        return None
    X = _alike(before.X, x)
    found = {name: _alike(seen, state[name]) for name, seen in before.state.items()}
    if X is None or any(value is None for value in found.values()):
        return None
    return Batch(X, found)


def _alike(before: Array, value: Any) -> Any:
    """Return an array as a batch has it, where it is one like that before it, else None."""
    if type(value) is not np.ndarray:
        return None
    value = np.asfortranarray(value)
    if type(before) is not OneHot:
        same = value.shape == before.shape and value.dtype == before.dtype
        return value if same and _sum_is_finite(value) else None
    n, shape = before.shape[0], before.shape[1:]
    if value.shape != shape or value.dtype != np.intp or n in shape:  # n: maybe columns, or rows
        return None
    in_range = np.maximum.reduce(value.view(np.uintp), axis=None) < n  # −1 would be large
    return OneHot(value, n, before.dtype) if in_range else None


def _ends(lengths: Any, X: Array) -> tuple[Array, Array]:
    """Return the last step of each sequence, (m,), and where it is over, (m, T), or None."""
    if lengths is None or X.ndim not in (2, 3):
        return X.shape[-1] - 1 if X.ndim else 0, None
    m, T = X.shape[-2:]
    lengths = _array("lengths", lengths)
    if lengths.dtype.kind not in "iu":
        raise UnrolledError(f"lengths is {lengths.dtype}: expected whole numbers of steps")
    _check_shape("lengths", lengths, ("m",), {"m": m})
    if (wrong := (lengths < 1) | (lengths > T)).any():
        k = int(np.flatnonzero(wrong)[0])
        raise UnrolledError(
            f"lengths is {lengths[k]} for sequence {k}: expected 1 to T = {T} steps"
        )
    last = lengths.astype(np.intp) - 1
    over = np.arange(T) > last[:, None]
    return last, over if over.any() else None


def _without_padding(value: Array, over: Array, ndim: int, label: int) -> Array:
    """Return values (n, m, T) with 0, or labels (m, T) with `label`, where a sequence is over."""
    labels = value.dtype.kind in "iu" and value.ndim == 2
    if over is None or value.shape[-2:] != over.shape or not (labels or value.ndim == ndim):
        return value
    if labels:
        return np.where(over, label, value.astype(np.int64)).view(type(value))
    return np.where(over, value.dtype.type(0), value)


def _dropped(
    net: Architecture, sizes: Sizes, dtype: Any, seed: int | None
) -> tuple[Array, ...]:  # fmt: skip
    """Draw what the outputs of each layer but the last are multiplied with: 0, or 1 / (1 − p) so that
    their mean stays (Srivastava et al. 2014, Journal of Machine Learning Research 15:1929-1958).
    """
    if seed is None or not net.dropout:
        return ()
    random = np.random.default_rng(whole_number("dropout_seed", seed, 0))
    shape = (sizes["T"], sizes["m"], len(net.sweeps[0]) * sizes["n_a"])
    kept = 1.0 - net.dropout
    return tuple(
        ((random.random(shape) < kept) / kept).astype(dtype).T for _ in range(net.layers - 1)
    )


def make_upstream(
    net: Architecture, batch: Batch, dtype: Any, upstream: Any
) -> dict[str, Array]:  # fmt: skip
    """Return gradients from outside by the names that `Unrolled.backward` takes.

    `upstream` is that of `Network.backward`; a missing one is zero. Raises UnrolledError.
    """
    if not isinstance(upstream, Mapping):
        raise UnrolledError(
            f"the upstream gradient is {type(upstream).__name__}: "
            "expected a dictionary such as {'a': dA, 'state': {'a': da_T}}"
        )
    sizes = {**net.axes, "m": batch.m, "T": batch.T}
    found: dict[str, Array] = {}
    over = None if batch.order is None else batch.over_as_given()
    outputs = "2n_a" if net.bidirectional else "n_a"
    rows = {"y_hat": "n_y", "z_y": "n_y", **dict.fromkeys(net.states, "n_a"), "a": outputs}
    for name, value in upstream.items():
        if name == "state":
            finals = _states(net, value, sizes, dtype, "upstream state")
            found |= {f"d{s}_T": gradient for s, gradient in finals.items()}
            continue
        if name not in rows:
            known = ", ".join(repr(n) for n in [*rows, "state"])
            raise UnrolledError(f"upstream gradient of {name!r}: expected one of {known}")
        value = _without_padding(_array(f"upstream gradient d{name}", value), over, 3, 0)
        found[f"d{name}"] = _real(
            f"upstream gradient d{name}", value, (rows[name], "m", "T"), sizes, dtype
        )
    if batch.order is not None:
        found = {name: np.asfortranarray(value[:, batch.order]) for name, value in found.items()}
    return found


def _inputs(X: Array, sizes: Sizes, dtype: Any) -> Array:
    if X.dtype.kind in "iu":
        return OneHot(_labels("X", X, sizes, "n_x", lowest=0), sizes["n_x"], dtype)
    if X.ndim == 2 and X.dtype.kind == "f":
        raise UnrolledError(
            f"X has shape {X.shape}, expected (n_x, m, T) = ({sizes['n_x']}, m, T): "
            "a single sequence is X[:, None, :], a single step X[:, :, None]; labels (m, T) are integers"
        )
    if X.ndim == 3 and X.shape[0] != sizes["n_x"] == X.shape[2]:
        raise UnrolledError(
            f"X has shape {X.shape}, expected (n_x, m, T) = ({sizes['n_x']}, m, T): the features "
            "come first, so pass X.transpose(2, 0, 1) of (m, T, n_x), or X.T of (T, m, n_x)"
        )
    return _real("X", X, ("n_x", "m", "T"), sizes, dtype)


def _states(net: Architecture, state: Any, sizes: Sizes, dtype: Any, what: str) -> dict[str, Array]:
    """Return the states that came; a single array is that of the hidden state a."""
    if state is None:
        return {}
    names = ", ".join(map(repr, net.states))
    if isinstance(state, tuple | list) and len(state) == len(net.states) > 1:
        each = ", ".join(f"{s!r}: …" for s in net.states)
        raise UnrolledError(f"{what} is a {type(state).__name__}: expected {{{each}}}")
    if not isinstance(state, Mapping):
        if "a" not in net.states:
            raise UnrolledError(
                f"{what} is {type(state).__name__}: expected a dictionary with any of {names}"
            )
        state = {"a": state}
    for name in state:
        if name not in net.states:
            raise UnrolledError(f"{what} {name!r}: cell {net.step.cell.name} has {names}")
    return {
        name: _real(f"{what} {name}", value, ("n_a", "m"), sizes, dtype)
        for name, value in state.items()
    }


def _targets(
    step: Step, Y: Array, sizes: Sizes, dtype: Any, last: Array
) -> tuple[Array, Array]:  # fmt: skip
    """Return Y with its time axis, and where there is a target at all, (m, T)."""
    last_only = Y.ndim == (1 if Y.dtype.kind in "iu" else 2)
    softmax = step.prediction.name == "softmax"
    if Y.dtype.kind in "iu":
        labels = _label_targets(Y, sizes, softmax, last_only)
        labels = _at_last_step(labels, sizes["T"], last, -1) if last_only else labels
        return OneHot(labels, sizes["n_y"], dtype), labels >= 0
    if softmax and Y.dtype.kind == "f":
        _refuse_float_labels(Y, sizes)
    axes: Shape = ("n_y", "m") if last_only else ("n_y", "m", "T")
    Y = _real("Y", Y, axes, sizes, dtype)
    if softmax:
        _check_one_hot(Y)
    elif step.loss.from_logits and ((Y < 0) | (Y > 1)).any():
        raise UnrolledError(
            f"Y has values from {Y.min():g} to {Y.max():g}: "
            "expected 0 to 1 for output 'sigmoid' with loss 'cross_entropy'"
        )
    has_target = Y.any(axis=0) if softmax else np.ones(Y.shape[1:], bool)
    if last_only:
        T = sizes["T"]
        return _at_last_step(Y, T, last, 0.0), _at_last_step(has_target, T, last, False)
    return Y, has_target


def _label_targets(Y: Array, sizes: Sizes, softmax: bool, last_only: bool) -> Array:
    if not softmax:
        raise UnrolledError(
            "Y holds integers, which are labels and go with output 'softmax': "
            "expected floating values (n_y, m, T) or (n_y, m)"
        )
    if last_only:
        _check_shape("Y", Y, ("m",), sizes)
        _check_labels("Y", Y, sizes["n_y"], -1, ("m",))
        return Y.astype(np.intp)
    return _labels("Y", Y, sizes, "n_y", lowest=-1)


def _refuse_integer_columns(name: str, value: Array, n: str, sizes: Sizes) -> None:
    """Integers that may be one-hot columns, or rows, as well as labels are not guessed at."""
    m = sizes.get("m", len(value))
    for axes, axis in (((n, "m"), 0), (("m", n), 1)):
        fits = value.shape == tuple({**sizes, "m": m}[a] for a in axes) and m > 1
        if fits and ((value == 0) | (value == 1)).all() and (value.sum(axis=axis) == 1).all():
            kind = "columns" if axis == 0 else "rows"
            raise UnrolledError(
                f"{name} could be read both ways: integers {value.shape} are labels (m, T), and "
                f"these are also one-hot {kind} ({', '.join(axes)}); to say which, pass floats "
                f"({n}, m, T), a column for each step"
            )


def _refuse_float_labels(Y: Array, sizes: Sizes) -> None:
    """Labels that came as floats are said to be labels, not one-hot columns of a wrong shape."""
    m, T, n_y = sizes["m"], sizes["T"], sizes["n_y"]
    whole = bool((np.floor(Y) == Y).all())
    if whole and Y.shape in {(m, T), (m,)} - {(n_y, m)}:
        raise UnrolledError(
            f"Y has shape {Y.shape}, that of labels, but dtype {Y.dtype}: "
            "labels are integers, pass Y.astype(int)"
        )
    if Y.shape == (m, T) == (n_y, m) and whole and (Y >= -1).all() and (n_y > Y).all() and m > 1:
        raise UnrolledError(
            f"Y could be read both ways: floats {Y.shape} may be columns (n_y, m) of the last step, "
            "or labels (m, T); to say which, pass floats (n_y, m, T), a column for each step"
        )


def _check_one_hot(Y: Array) -> None:
    """Each column has one 1 and zeros, or zeros only, which stands for the label −1."""
    wrong = ~(((Y == 0) | (Y == 1)).all(axis=0) & (Y.sum(axis=0) <= 1))
    if wrong.any():
        where = tuple(int(k) for k in np.argwhere(wrong)[0])
        column = np.array2string(Y[(slice(None), *where)], threshold=6, precision=4)
        place = ", ".join(
            f"{axis} {k}" for axis, k in zip(("sequence", "step"), where, strict=False)
        )
        raise UnrolledError(
            f"Y is not one-hot at {place}: the column is {column}, expected one 1 and zeros "
            "(or only zeros: no target there)"
        )


def _share(has_target: Array, reduction: str, dtype: Any) -> Array:
    """Return what each target counts in the loss, (m, T)."""
    _check_reduction(reduction)
    if has_target.all():
        return _even_share(has_target.shape, reduction, dtype)
    if not has_target.any():
        raise UnrolledError("Y has no target: every label is −1, or every one-hot column is zero")
    return np.asfortranarray((has_target / _divisor(has_target, reduction)).astype(dtype)[None])


def _check_reduction(reduction: Any) -> None:
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise UnrolledError(
            f"reduction is {reduction!r}: expected {', '.join(map(repr, REDUCTIONS))}"
        )


def _divisor(has_target: Array, reduction: str) -> int:
    return {"mean": int(has_target.sum()), "batch": len(has_target), "sum": 1}[reduction]


@functools.lru_cache(maxsize=8)
def _even_share(shape: tuple[int, ...], reduction: str, dtype: Any) -> Array:
    """The same for all: one array for every call of a training."""
    every = np.ones(shape, bool)
    share = np.asfortranarray((every / _divisor(every, reduction)).astype(dtype)[None])
    share.flags.writeable = False
    return share


def _at_last_step(value: Array, T: int, last: Array, elsewhere: Any) -> Array:
    """Return `value` with T steps, of which only the last one of each sequence has it."""
    whole = np.full((*value.shape, T), elsewhere, dtype=value.dtype, order="F")
    whole[..., np.arange(value.shape[-1]), last] = value
    return whole


def _labels(name: str, value: Array, sizes: Sizes, size: str, lowest: int) -> Array:
    columns = value.ndim == 3 or value.shape == (sizes[size], sizes.get("m")) != (
        sizes.get("m"),
        sizes.get("T"),
    )
    if columns and not isinstance(value, Labels):
        raise UnrolledError(
            f"{name} has shape {value.shape} and dtype {value.dtype}: integers are labels (m, T); "
            f"pass columns as floats, {name}.astype(float)"
        )
    _check_shape(name, value, ("m", "T"), sizes)
    _check_labels(name, value, sizes[size], lowest, ("m", "T"))
    if not isinstance(value, Labels):
        _refuse_integer_columns(name, value, size, sizes)
    return np.asfortranarray(value, dtype=np.intp)


def _check_labels(name: str, value: Array, n: int, lowest: int, axes: Shape) -> None:
    if value.min() < lowest or value.max() >= n:
        outside = (value < lowest) | (value >= n)
        where = np.argwhere(outside)[0]
        no_target = " (or −1: no target)" if lowest == -1 else ""
        raise UnrolledError(
            f"{name} has the label {value[tuple(where)]} at {_place(where, axes)}: "
            f"expected 0 to {n - 1}{no_target}"
        )


def _real(name: str, value: Any, axes: Shape, sizes: Sizes, dtype: Any) -> Array:
    """Return finite real numbers of the expected shape, in the network's dtype and Fortran order."""
    value = _array(name, value)
    if value.dtype.kind not in "fiu":
        raise UnrolledError(f"{name} is {value.dtype}: expected real numbers")
    _check_shape(name, value, axes, sizes)
    with np.errstate(over="ignore"):
        value = np.asfortranarray(value, dtype=dtype)
    _check_finite(name, value, axes)
    return value


def _array(name: str, value: Any) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise UnrolledError(f"{name} is a masked array: expected an array without a mask")
    if value is None:
        raise UnrolledError(f"{name} is None: expected an array")
    try:
        return value if isinstance(value, Labels) else np.asarray(value)
    except Exception as error:  # whatever another library's array raises
        reason = " ".join(str(error).split())
        raise UnrolledError(f"{name} cannot be read as an array: {reason}") from None


def _check_shape(name: str, value: Array, axes: Shape, sizes: Sizes) -> None:
    expected = tuple(sizes.get(str(axis), axis) for axis in axes)
    fits = value.ndim == len(axes) and all(
        isinstance(size, str) or came == size
        for came, size in zip(value.shape, expected, strict=True)
    )
    if not fits:
        names = f"({', '.join(map(str, axes))}{',' if len(axes) == 1 else ''})"
        sizes_text = f"({', '.join(map(str, expected))}{',' if len(axes) == 1 else ''})"
        meaning = ", ".join(_sense(str(axis)) for axis in axes)
        equal = "" if names == sizes_text else f" = {sizes_text}"
        raise UnrolledError(f"{name} has shape {value.shape}, expected {names}{equal}: {meaning}")
    if 0 in value.shape:
        axis = str(axes[value.shape.index(0)])
        raise UnrolledError(f"{name} has shape {value.shape}: {axis} is 0, expected at least 1")


def _check_finite(name: str, value: Array, axes: Shape) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if _sum_is_finite(value):
            return
    if not np.isfinite(value).all():
        where = np.argwhere(~np.isfinite(value))[0]
        raise UnrolledError(
            f"{name} is {value[tuple(where)]} at {_place(where, axes)}: expected finite numbers"
        )


def _sum_is_finite(value: Array) -> bool:
    """Whether all numbers are finite, seen in one pass; False, too, where a sum of them overflows."""
    if value.size > _FEW:
        return math.isfinite(np.add.reduce(value, axis=None))
    flat = value.ravel(order="K")
    return math.isfinite(flat.dot(flat))


def _place(where: Any, axes: Shape) -> str:
    """Return `feature 1, sequence 0, step 3`; a square weight has a unit it leads to and one it
    comes from, so a second axis of the same name is said as its index.
    """
    return ", ".join(f"{_AXES[str(axis)]} {k}" for axis, k in zip(axes, where, strict=True))
