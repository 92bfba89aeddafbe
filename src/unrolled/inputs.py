"""What may be put into a network. Every array is looked at once, and said in one sentence if wrong."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.equations.step import CONTRIBUTIONS, Step
from unrolled.errors import UnrolledError
from unrolled.notation import DIMENSIONS, Shape

Array = Any
Sizes = Mapping[str, int]

_AXES = {
    "n_x": "feature",
    "n_a": "unit",
    "n_y": "feature",
    "m": "sequence",
    "T": "step",
    "1": "row",
}
_LARGEST = 10**9  # a square matrix of it is the largest whose bytes can be counted
REDUCTIONS = ("mean", "batch", "sum")


def check_size(name: str, value: Any) -> int:
    """Return a size that is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise UnrolledError(
            f"{name} ({DIMENSIONS[name]}) is {value!r}: expected a whole number above 0"
        )
    if value > _LARGEST:
        raise UnrolledError(
            f"{name} ({DIMENSIONS[name]}) is too large: expected at most {_LARGEST}"
        )
    return int(value)


def check_parameters(parameters: Mapping[str, Array], step: Step, sizes: Sizes, dtype: Any) -> None:
    """Raise UnrolledError unless every parameter is there with its shape, its dtype, and finite."""
    if not isinstance(parameters, Mapping):
        raise UnrolledError(f"parameters is {type(parameters).__name__}: expected a dictionary")
    for name in parameters.keys() ^ step.parameters.keys():
        what = "is missing" if name in step.parameters else "is not one of this network's"
        raise UnrolledError(f"parameter {name} {what}: expected {', '.join(step.parameters)}")
    for name, axes in step.parameters.items():
        value = parameters[name]
        if type(value) is not np.ndarray or value.dtype != dtype:
            came = value.dtype if type(value) is np.ndarray else type(value).__name__
            raise UnrolledError(f"parameter {name} is {came}: expected an array of {dtype}")
        _check_shape(f"parameter {name}", value, axes, sizes)
        _check_finite(f"parameter {name}", value, axes)


def make_batch(
    step: Step, sizes: Sizes, dtype: Any, X: Array, state: Any,
    Y: Array = None, reduction: str = "mean",
) -> Batch:  # fmt: skip
    """Return the batch of what came, in the network's dtype, or raise UnrolledError with a sentence.

    X, Y, state and reduction are those of `Network.loss_and_gradients`.
    """
    X = _inputs(X, sizes, dtype)
    sizes = {**sizes, "m": X.shape[-2], "T": X.shape[-1]}
    initial = _states(step, state, sizes, dtype, "state")
    initial = {
        s: initial.get(s, np.zeros((sizes["n_a"], sizes["m"]), dtype, order="F"))
        for s in step.states
    }
    if Y is None:
        return Batch(X, initial, sizes["n_x"], sizes["n_y"])
    Y, has_target = _targets(step, Y, sizes, dtype)
    share = _share(has_target, reduction, dtype)
    return Batch(X, initial, sizes["n_x"], sizes["n_y"], Y, share)


def make_upstream(step: Step, sizes: Sizes, dtype: Any, upstream: Any) -> dict[str, Array]:
    """Return gradients from outside by contribution, as engines take them.

    `upstream` is that of `Network.backward`; a missing one is zero. Raises UnrolledError.
    """
    if not isinstance(upstream, Mapping):
        raise UnrolledError(
            f"the upstream gradient is {type(upstream).__name__}: "
            "expected a dictionary such as {'a': dA, 'state': {'a': da_T}}"
        )
    found = {"dy_hat": np.zeros((sizes["n_y"], sizes["m"], sizes["T"]), dtype)}
    for name, value in upstream.items():
        if name == "state":
            finals = _states(step, value, sizes, dtype, "upstream state")
            found |= {f"d{s}_T": gradient for s, gradient in finals.items()}
            continue
        if name not in CONTRIBUTIONS and name not in step.states:
            known = ", ".join(
                repr(n) for n in dict.fromkeys([*CONTRIBUTIONS, *step.states, "state"])
            )
            raise UnrolledError(f"upstream gradient of {name!r}: expected one of {known}")
        axes: Shape = ("n_y" if name in ("y_hat", "z_y") else "n_a", "m", "T")
        found[CONTRIBUTIONS.get(name, f"d{name}_next")] = _real(
            f"upstream gradient d{name}", value, axes, sizes, dtype
        )
    return found


def _inputs(X: Array, sizes: Sizes, dtype: Any) -> Array:
    X = _array("X", X)
    if X.dtype.kind in "iu":
        return _labels("X", X, sizes, "n_x", lowest=0)
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


def _states(step: Step, state: Any, sizes: Sizes, dtype: Any, what: str) -> dict[str, Array]:
    """Return the states that came; a single array is that of the hidden state a."""
    if state is None:
        return {}
    if isinstance(state, tuple | list) and len(state) == len(step.states) > 1:
        names = ", ".join(f"{s!r}: …" for s in step.states)
        raise UnrolledError(f"{what} is a {type(state).__name__}: expected {{{names}}}")
    if not isinstance(state, Mapping):
        state = {"a": state}
    for name in state:
        if name not in step.states:
            names = ", ".join(repr(s) for s in step.states)
            raise UnrolledError(f"{what} {name!r}: cell {step.cell.name} has {names}")
    return {
        name: _real(f"{what} {name}", value, ("n_a", "m"), sizes, dtype)
        for name, value in state.items()
    }


def _targets(step: Step, Y: Array, sizes: Sizes, dtype: Any) -> tuple[Array, Array]:
    """Return Y with its time axis, and where there is a target at all, (m, T)."""
    Y = _array("Y", Y)
    last_only = Y.ndim == (1 if Y.dtype.kind in "iu" else 2)
    softmax = step.prediction.name == "softmax"
    if Y.dtype.kind in "iu":
        return _label_targets(Y, sizes, softmax, last_only)
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
        return _at_last_step(Y, sizes["T"], 0.0), _at_last_step(has_target, sizes["T"], False)
    return Y, has_target


def _label_targets(Y: Array, sizes: Sizes, softmax: bool, last_only: bool) -> tuple[Array, Array]:
    if not softmax:
        raise UnrolledError(
            "Y holds integers, which are labels and go with output 'softmax': "
            "expected floating values (n_y, m, T) or (n_y, m)"
        )
    if last_only:
        _check_shape("Y", Y, ("m",), sizes)
        _check_labels("Y", Y, sizes["n_y"], -1, ("m",))
        Y = _at_last_step(Y.astype(np.intp), sizes["T"], -1)
        return Y, Y >= 0
    Y = _labels("Y", Y, sizes, "n_y", lowest=-1)
    return Y, Y >= 0


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
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise UnrolledError(
            f"reduction is {reduction!r}: expected {', '.join(map(repr, REDUCTIONS))}"
        )
    if not has_target.any():
        raise UnrolledError("Y has no target: every label is −1, or every one-hot column is zero")
    m = has_target.shape[0]
    divisor = {"mean": int(has_target.sum()), "batch": m, "sum": 1}[reduction]
    return np.asfortranarray((has_target / divisor).astype(dtype))


def _at_last_step(value: Array, T: int, elsewhere: Any) -> Array:
    """Return `value` with T steps, of which only the last one has it."""
    whole = np.full((*value.shape, T), elsewhere, dtype=value.dtype, order="F")
    whole[..., -1] = value
    return whole


def _labels(name: str, value: Array, sizes: Sizes, size: str, lowest: int) -> Array:
    columns = value.ndim == 3 or value.shape == (sizes[size], sizes.get("m")) != (
        sizes.get("m"),
        sizes.get("T"),
    )
    if columns:
        raise UnrolledError(
            f"{name} has shape {value.shape} and dtype {value.dtype}: integers are labels (m, T); "
            f"pass columns as floats, {name}.astype(float)"
        )
    _check_shape(name, value, ("m", "T"), sizes)
    _check_labels(name, value, sizes[size], lowest, ("m", "T"))
    _refuse_integer_columns(name, value, size, sizes)
    return np.asfortranarray(value, dtype=np.intp)


def _check_labels(name: str, value: Array, n: int, lowest: int, axes: Shape) -> None:
    outside = (value < lowest) | (value >= n)
    if outside.any():
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
        return np.asarray(value)
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
        meaning = ", ".join(DIMENSIONS.get(str(axis), "1") for axis in axes)
        equal = "" if names == sizes_text else f" = {sizes_text}"
        raise UnrolledError(f"{name} has shape {value.shape}, expected {names}{equal}: {meaning}")
    if 0 in value.shape:
        axis = str(axes[value.shape.index(0)])
        raise UnrolledError(f"{name} has shape {value.shape}: {axis} is 0, expected at least 1")


def _check_finite(name: str, value: Array, axes: Shape) -> None:
    if not np.isfinite(value).all():
        where = np.argwhere(~np.isfinite(value))[0]
        raise UnrolledError(
            f"{name} is {value[tuple(where)]} at {_place(where, axes)}: expected finite numbers"
        )


def _place(where: Any, axes: Shape) -> str:
    """Return `feature 1, sequence 0, step 3`; a square weight has a unit it leads to and one it
    comes from, so a second axis of the same name is said as its index.
    """
    return ", ".join(f"{_AXES[str(axis)]} {k}" for axis, k in zip(axes, where, strict=True))
