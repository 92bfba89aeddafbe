"""The parameters that a training starts from: finite, not all alike, and not so large that units saturate."""

import ast
import math
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration, parameters_in
from unrolled.checking.procedures.running import Program, Training, initial
from unrolled.checking.procedures.tracing import assignments, leaves, named
from unrolled.checking.report import Finding

Array = Any

FLAT = 3.8  # beyond it, tanh is above 0.999
MOST = 0.8  # the share of units beyond it from which on there is advice


def saturated_share(weights: Array) -> float:
    """Return the share of pre-activations beyond ±3.8 that weights of this size make of inputs of size 1.

    Recurrent weights (square) meet n_a units at once, input weights one symbol.
    """
    rms = float(np.sqrt(np.mean(weights**2)))
    square = weights.ndim == 2 and weights.shape[0] == weights.shape[1]
    spread = rms * (math.sqrt(len(weights)) if square else 1.0)
    return math.erfc(FLAT / spread / math.sqrt(2)) if spread else 0.0


def examine_initial(
    program: Program, training: Training | None, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with the parameters before the first update, or that nothing is."""
    parameters = done[0].parameters if done else {}
    if not parameters:
        parameters = parameters_in(program, leaves(initial(program, program.fresh())))
    if not parameters:
        return
    found = _not_finite(program, training, parameters) or _alike(
        program, training, parameters, done
    )
    found = found or _too_large(program, training, parameters)
    if found and found.cause.id == "not_finite":
        examined.spoiled = True
    if found:
        examined.findings.append(found)
    else:
        examined.proved.append("the parameters start finite, not alike, and small enough for tanh")


def _not_finite(
    program: Program, training: Training | None, parameters: dict[str, Array]
) -> Finding | None:
    for name, value in parameters.items():
        if not np.isfinite(value).all():
            message = f"{name} starts with entries that are not numbers"
            return _finding(program, training, name, value, "not_finite", message, "mistake")
    return None


def _alike(
    program: Program, training: Training | None, parameters: dict[str, Array],
    done: list[Iteration],
) -> Finding | None:  # fmt: skip
    """Units that start alike stay alike: their gradients are the same.

    It is no judgement where a training has been seen to leave them so.
    """
    weights = {n: v for n, v in parameters.items() if v.ndim == 2 and min(v.shape) > 1}
    if not _units_alike(weights):
        return None
    last = done[-1].parameters if len(done) > 2 else {}
    stay = _units_alike({n: v for n, v in last.items() if n in weights})
    name, value = next(iter(weights.items()))
    equal = all(np.ptp(v) == 0 for v in weights.values())
    what = "zero" if not np.any(value) else f"{value.flat[0]:.6g}"
    start = f"all weights start at one number, {name} at {what}" if equal else (
        f"all units start with the same weights, in {name} and in every other matrix")  # fmt: skip
    message = f"{start}: all units have the same gradient, so they stay alike"
    severity = "mistake" if stay else "advice"
    return _finding(program, training, name, value, "alike", message, severity)


def _units_alike(weights: dict[str, Array]) -> bool:
    """Whether all matrices have an axis of one length, n_a, along which nothing differs but by rounding."""
    units = [
        {n for n, spread in zip(v.shape, _spreads(v), strict=True) if spread < 1e-9}
        for v in weights.values()
    ]
    return len(weights) > 1 and bool(set.intersection(*units))


def _spreads(value: Array) -> list[float]:
    """By how much the slices of a matrix differ, along each of its axes, as a share of its size."""
    size = np.max(np.abs(value), initial=0) or 1.0
    return [float(np.max(np.ptp(value, axis=axis)) / size) for axis in range(value.ndim)]


def _too_large(
    program: Program, training: Training | None, parameters: dict[str, Array]
) -> Finding | None:
    units = {len(v) for v in parameters.values() if v.ndim == 2 and v.shape[0] == v.shape[1] > 1}
    outputs = {
        n for v in parameters.values() if min(v.shape, default=0) > 1 for n in v.shape
    } - units
    for name, value in parameters.items():
        hidden = value.size == max(value.shape, default=0) in units - outputs
        weights = value.ndim == 2 and min(value.shape) > 1
        if (weights or hidden) and saturated_share(value) > MOST:
            size = float(np.sqrt(np.mean(value**2)))
            message = (
                f"{name} starts with entries of size {size:.3g}: {saturated_share(value):.0%} of the units "
                "are beyond 0.999 at once, where tanh passes no gradient; usual is 1/√n"
            )
            return _finding(program, training, name, value, "saturates", message, "advice")
    return None


def _finding(
    program: Program,
    training: Training | None,
    name: str,
    value: Array,
    id: str,
    message: str,
    severity: str,
) -> Finding:
    line = made_line(program, training, name, value)
    cause = exact(id, message)
    return finding(program, "initial_parameters", name, line, cause, severity=severity, inside=True)


def _written(node: ast.AST, name: str) -> list[int]:
    """The lines on which a dictionary that is written out has a key of this name."""
    dictionaries = (d for d in ast.walk(node) if isinstance(d, ast.Dict))
    return [k.lineno for d in dictionaries for k in d.keys if k and named(k) == name]


def made_line(program: Program, training: Training | None, name: str, value: Array) -> int | None:
    """Return where a parameter gets its first value: an assignment, or the line that returns it."""
    makers = [f for f in program.functions if f.role == "init" or f.name == "__init__"]
    assigned = sorted(assignments(program.tree).get(name, ()))
    inside, made = (
        {n.lineno for f in among for n in ast.walk(f.node) if isinstance(n, ast.stmt)}
        for among in (program.functions, makers)
    )
    own = [line for line in assigned if line in made]
    own += [line for f in makers for line in _written(f.node, name)]
    own += [line for line in assigned if line not in inside]
    if own:
        return own[0]
    if training:
        trace = training.trace.outside({training.name})
        place = trace.origin(value, 0, max(c.end for c in trace.calls))
        if place:
            return place.line
    functions = [f for f in makers if f.name != "__init__"]
    return functions[0].node.body[-1].lineno if functions else None
