"""A training that stops with an exception of its own making: weights of a wrong shape, a state that does not fit."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.initial import made_line
from unrolled.checking.procedures.iterations import Iteration, iterations
from unrolled.checking.procedures.roles import Function, is_parameter
from unrolled.checking.procedures.running import Namespace, Program, Training, callable_of
from unrolled.checking.procedures.states import States
from unrolled.checking.procedures.tracing import Call, leaves, quiet
from unrolled.checking.report import Cause, Finding

Array = Any


def examine_crash(program: Program, examined: Examined) -> None:
    """Add why a training stopped, where it was through what its own code had made.

    Only what no argument of ours can have brought about is judged: an exception where parameters of
    their making meet, or the state that one window left for the next, or in an update.
    """
    kept = program.way
    for way, training in program.crashed:
        program.way = way
        found = _of_shapes(program, training) or _of_state(program, training)
        found = found or _of_update(program, training)
        if found:
            examined.findings.append(found)
            break
    program.way = kept


def _of_shapes(program: Program, training: Training) -> Finding | None:
    """Parameters under which the first forward pass cannot run, and with one in another shape can."""
    call = _stopped_in(program, training)
    function = program.function(call.name) if call else None
    if call is None or function is None or function.owner or not call.given:
        return None
    for name, value, other in _other_shapes(program, call):
        if _runs(program, function, call, {name: other}):
            if program.role(name) == "state":
                return _state_at(program, training, call, name, (value, other))
            message = (
                f"{name} is made with the shape {value.shape}, with which the forward pass stops "
                f"({training.trace.stopped}); with {other.shape} it runs"
            )
            line = made_line(program, training, name, value)
            return finding(
                program, "initial_parameters", name, line, exact("shape", message), inside=True
            )
    return None


def _stopped_in(program: Program, training: Training) -> Call | None:
    """The first forward pass, where it was there that the exception was raised."""
    forward = {f.name for f in program.having("forward")}
    name = next((name for name, _ in training.trace.failed if name in forward), "")
    calls = [c for c in training.trace.calls if c.name == name]
    return calls[0] if len(calls) == 1 else None


def _other_shapes(program: Program, call: Call) -> Iterator[tuple[str, Array, Array]]:
    """Each parameter, or state, of a forward pass, as it is, and as a column, with its axes exchanged, or
    in another of the sizes that parameters have.
    """
    given = {p: v for p, v in leaves(call.given).items() if v.ndim in (1, 2)}
    inside = {p for p in given if any(program.role(name) == "parameters" for name in p[:-1])}
    inside |= {p for p in given if is_parameter(p[-1])}
    sizes = {n for p in inside for n in given[p].shape} - {1}
    for path in inside:
        yield from ((path[-1], given[path], o) for o in _otherwise(given[path], sizes))
    for path, value in given.items():
        if path not in inside and len(path) == 1 and program.role(path[0]) == "state":
            yield from ((path[0], value, o) for o in _otherwise(value, set()))


def _otherwise(value: Array, sizes: set[int]) -> list[Array]:
    turned = value.reshape(-1, 1) if value.ndim == 1 else value.T
    bias = value.size == max(value.shape)
    shapes = [(n, 1) for n in sizes] if bias else [(n, k) for n in sizes for k in sizes]
    others = [turned, *(np.resize(value, shape) for shape in shapes)]
    return [o for o in others if o.shape != value.shape]


def _state_at(
    program: Program, training: Training, call: Call, name: str, shapes: tuple[Array, Array]
) -> Finding | None:
    """The finding on a first state whose axes are exchanged, where their own code has made it."""
    if any(program.role(n) == "state" for n in training.given):
        return None
    value, other = shapes
    message = (
        f"the first state is made with the shape {value.shape}, with which the forward pass stops "
        f"({training.trace.stopped}); with {other.shape} it runs"
    )
    judged = States(program, training, [Iteration(call, call, {}, {})], name, [value])
    return judged.stated(0, other, "shape", message)


def _runs(program: Program, function: Function, call: Call, instead: dict[str, Array]) -> bool:
    """Whether a forward pass runs to its end with other parameters."""
    namespace: Namespace = program.fresh()
    given = {n: _replaced(copy.deepcopy(v), n, instead) for n, v in call.given.items()}
    try:
        with quiet():
            callable_of(namespace, function)(**given)
    except Exception:  # it does not
        return False
    return True


def _replaced(value: Any, name: str, instead: dict[str, Array]) -> Any:
    if isinstance(value, dict):
        return {k: _replaced(v, str(k), instead) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_replaced(v, str(k), instead) for k, v in enumerate(value))
    return instead.get(name, value) if isinstance(value, np.ndarray) else value


def _of_state(program: Program, training: Training) -> Finding | None:
    """A state of another shape than the first window had."""
    done = iterations(program, training)
    if not done:
        return None
    later = [c for c in training.trace.calls if c.name == done[0].forward.name]
    for name, first in done[0].given(program, "state").items():
        now = next((c for c in later if c.start > done[0].backward.end), None)
        state = now.before.get((name,)) if now else None
        if now is None or state is None or state.shape == first.shape:
            continue
        judged = States(
            program, training, [done[0], Iteration(now, now, {}, {})], name, [first, state]
        )
        words = (
            f"the state that the window before left has the shape {state.shape}, and that of the first "
            f"window {first.shape}: it is no state of one step for all examples"
        )
        return judged.stated(1, first, "state_shape", words)
    return None


def _of_update(program: Program, training: Training) -> Finding | None:
    """An exception in an update or a clip, which meets only what their own code has made."""
    roles = {"update": "parameters", "clip": "clipped_gradients"}
    if not iterations(program, training):
        return None
    for name, line in reversed(training.trace.failed):
        function = program.function(name)
        if function and function.role in roles:
            cause = Cause("stops", "pattern", f"it stops: {training.trace.stopped}")
            return finding(program, roles[function.role], name, line, cause)
    return None
