"""The iterations of a training: what each forward pass was given, and the gradients that came of it."""

import dataclasses
import itertools
from typing import Any

import numpy as np

from unrolled.checking.procedures.roles import Function, gradient_of, is_parameter
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import Call, Leaves, Trace, same

Array = Any
_ASIDE = ("clip", "update", "check", "sample", "init", "windows", "train", "optimize")


@dataclasses.dataclass
class Iteration:
    """One forward and backward pass, `forward` and `backward` the same call where one does both.

    `parameters` are those it was made with, `gradients` those it gave, by the parameter's name;
    `stop` is the event where the next iteration begins, `keys` what a parameter without a name is
    called inside its container; `places` lead to the gradients in a list of the training's.
    """

    forward: Call
    backward: Call
    parameters: dict[str, Array]
    gradients: dict[str, Array]
    stop: int = 0
    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    places: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def given(self, program: Program, role: str) -> dict[str, Array]:
        """Return the arguments that stand for a role, by name: those of the forward pass, or else
        of the backward pass.
        """
        for call in (self.forward, self.backward):
            found: dict[str, Array] = {}
            for path, value in call.before.items():
                if path[0] in call.arguments and program.role(path[0]) == role:
                    found.setdefault(path[0], value)
            if found:
                break
        return found


def iterations(program: Program, training: Training) -> list[Iteration]:
    """Return the iterations of a training, in their order."""
    found: list[Iteration] = []
    trace, last = training.trace, 0
    for call in _outer(program, trace):
        function = program.function(call.name)
        gives = function is not None and function.role == "backward"
        seen = {} if gives else call.before
        if call.end < 0:
            continue
        forward = _forward(program, trace, call, last)
        given = parameters_in(program, forward.before) | parameters_in(program, call.before)
        gradients = _of(program, given, call.after, seen)
        kept = {n: v for n, v in given.items() if n in gradients and gradients[n].shape == v.shape}
        named = Iteration(forward, call, kept, {n: gradients[n] for n in kept})
        one = named if kept else _by_place(program, forward, call)
        if one:
            found.append(one)
            last = call.end
            if len(found) == 1:
                _learn(program, trace, one)
    for before, after in itertools.pairwise(found):
        before.stop = after.forward.start
    if found:
        found[-1].stop = _last(trace)
        places = _places(program, trace, found[0])
        for one in found:
            one.places = places
    return found


def _places(program: Program, trace: Trace, one: Iteration) -> dict[str, tuple[str, ...]]:
    """Where the gradients of an iteration stand in a list that is called so, by the parameter's name."""
    after = (x.after for x in trace.lines if one.backward.end < x.end < one.stop)
    held = {p: v for p, v in next(after, {}).items() if len(p) > 1 and _in_gradients(program, p)}
    return {
        name: path
        for name, gradient in one.gradients.items()
        for path, value in held.items()
        if path[-1].isdigit() and same(value, gradient)
    }


def _learn(program: Program, trace: Trace, one: Iteration) -> None:
    """Keep the names of the containers that parameters and gradients have been found in, and of the state."""
    square = {v.shape[0] for v in one.parameters.values() if v.ndim == 2 and len({*v.shape}) == 1}
    for path, value in one.forward.before.items():
        units = bool(square & {*value.shape}) and value.ndim in (1, 2) and not np.any(value)
        nameless = not program.role(path[0]) and not is_parameter(path[0])
        if path[0] in one.forward.arguments and len(path) == 1 and units and nameless:
            program.sure[path[0]] = "state"
    after = next((x.after for x in trace.lines if x.start <= one.backward.start <= x.end), {})
    for role, held, values in (
        ("parameters", one.forward.before | one.backward.before, one.parameters),
        ("gradients", after, one.gradients),
    ):
        for name in {p[0] for p in held if len(p) > 1 and not program.role(p[0])}:
            keys = {one.keys.get(n, n): v for n, v in values.items()}
            inside = {p[-1]: v for p, v in held.items() if p[0] == name and len(p) == 2}
            finite = all(np.isfinite(v).all() for v in keys.values())
            if (
                len(keys) > 1
                and finite
                and all(k in inside and same(inside[k], v) for k, v in keys.items())
            ):
                program.sure[name] = role


def _of(
    program: Program, parameters: dict[str, Array], after: Leaves, before: Leaves
) -> dict[str, Array]:
    """The gradients that a call has left, those too that have a parameter's name in their container."""
    found = gradients_in(program, after, before)
    for path, value in after.items():
        name = path[-1] if len(path) > 1 else ""
        fresh = path not in before or not same(before[path], value)
        if name in parameters.keys() - found.keys() and _in_gradients(program, path) and fresh:
            found[name] = value
    return found


def _in_gradients(program: Program, path: tuple[str, ...]) -> bool:
    return any(program.role(name) == "gradients" for name in path[:-1])


def _by_place(program: Program, forward: Call, backward: Call) -> Iteration | None:
    """An iteration whose gradients belong to the parameters by their place in a container."""
    after = {p: v for p, v in backward.after.items() if p[0] == "return"}
    held = backward.before | forward.before
    mine = {p: v for p, v in backward.before.items() if p[0] in backward.arguments}
    for given in _containers(held, program) or _alone(_containers(mine)):
        shapes = [v.shape for v in given.values()]
        for made in _containers(after):
            alike = list(made) == list(given) and [v.shape for v in made.values()] == shapes
            if alike and not all(same(made[k], given[k]) for k in given):
                names = {k: _alias(v, k, forward, backward) for k, v in given.items()}
                keys = {n: k for k, n in names.items()}
                kept = {names[k]: v for k, v in given.items()}
                return Iteration(
                    forward, backward, kept, {names[k]: made[k] for k in given}, keys=keys
                )
    return None


def _alone(containers: list[dict[str, Array]]) -> list[dict[str, Array]]:
    """Those that no other one is like: an update has two that are alike, of parameters and gradients."""
    forms = [[(k, v.shape) for k, v in c.items()] for c in containers]
    return [c for c, form in zip(containers, forms, strict=True) if forms.count(form) == 1]


def _containers(leaves: Leaves, program: Program | None = None) -> list[dict[str, Array]]:
    """The lists, tuples and dictionaries with two or more matrices; with a program, its parameters."""
    groups: dict[tuple[str, ...], dict[str, Array]] = {}
    for path, value in leaves.items():
        known = program is None or program.role(path[0]) == "parameters" or path[0] == "self"
        if len(path) > 1 and value.ndim and known:
            groups.setdefault(path[:-1], {})[path[-1]] = value
    return [g for g in groups.values() if sum(v.ndim == 2 for v in g.values()) > 1]


def _alias(value: Array, key: str, *calls: Call) -> str:
    """The name of a variable that holds a parameter, or what its place is called."""
    for call in calls:
        for path, held in call.after.items():
            if len(path) == 1 and same(held, value) and is_parameter(path[0]):
                return path[0]
    return f"parameters[{key}]" if key.isdigit() else key


def _last(trace: Trace) -> int:
    return max((call.end for call in trace.calls), default=0) + len(trace.lines) + 1


def _outer(program: Program, trace: Trace) -> list[Call]:
    """The calls that a training itself makes, of functions that are no procedure."""
    trains = {f.name for f in program.functions if f.role in ("train", "optimize")} | {"<module>"}
    aside = {f.name for f in program.functions if f.role in _ASIDE} | {"<module>", "__init__"}
    aside |= {f.name for f in program.functions if _uses_gradients(program, f)}
    return [c for c in trace.calls if c.name not in aside and c.caller in trains]


def _uses_gradients(program: Program, function: Function) -> bool:
    """Whether a function takes gradients and no inputs, as an optimiser's step does, and is no backward pass."""
    roles = {program.role(name) for name in function.arguments}
    return not function.role and "gradients" in roles and "X" not in roles


def _forward(program: Program, trace: Trace, backward: Call, last: int) -> Call:
    """The forward pass that a backward pass belongs to: the last call before it that takes inputs."""
    for call in reversed(_outer(program, trace)):
        if last < call.start < backward.start and call.end > 0:
            roles = {program.role(name) for name in call.arguments}
            function = program.function(call.name)
            if "X" in roles or (function and function.role == "forward"):
                return call
    return backward


def parameters_in(program: Program, leaves: Leaves) -> dict[str, Array]:
    """Return the weights and biases among some numbers, by their last name."""
    found: dict[str, Array] = {}
    for path, value in leaves.items():
        inside = any(program.role(name) == "parameters" for name in path[:-1])
        gradients = any(program.role(name) == "gradients" for name in path[:-1])
        if (inside or is_parameter(path[-1])) and value.ndim and not gradients:
            found.setdefault(path[-1], value)
    if {"U", "V", "W"} <= found.keys():  # a bias c goes with them, and no cell state
        for path, value in leaves.items():
            if path[-1] == "c" and min(value.shape, default=0) == 1:
                found["c"] = value
    return found


def gradients_in(program: Program, after: Leaves, before: Leaves) -> dict[str, Array]:
    """Return the gradients that a call has left, by the parameter's name; its result counts first."""
    found: dict[str, Array] = {}
    for path, value in sorted(after.items(), key=lambda item: item[0][0] != "return"):
        name = gradient_name(program, path) or ("c" if path[-1] == "dc" else "")
        fresh = path not in before or not same(before[path], value)
        if name and fresh:
            found.setdefault(name, value)
    return found


def gradient_name(program: Program, path: tuple[str, ...]) -> str:
    """Return the parameter that numbers under these names are the gradient of, or ""."""
    if gradient_of(path[-1]):
        return gradient_of(path[-1])
    return path[-1] if _in_gradients(program, path) and is_parameter(path[-1]) else ""


def versions(program: Program, trace: Trace, iteration: Iteration, name: str) -> list[Array]:
    """Return the values that a gradient had one after another, from the backward pass on."""
    found = [iteration.gradients[name]]
    for line in trace.lines:
        if not iteration.backward.end < line.end < iteration.stop:
            continue
        for path, value in line.after.items():
            is_it = _is_gradient(program, iteration, path, name) and value.shape == found[0].shape
            if is_it and not any(same(value, old) for old in found):
                found.append(value)
    return found


def _is_gradient(program: Program, iteration: Iteration, path: tuple[str, ...], name: str) -> bool:
    key = iteration.keys.get(name, name)
    if iteration.places.get(name) == path:
        return True
    if _in_gradients(program, path) and path[-1] == key:
        return True
    return name not in iteration.keys and gradient_name(program, path) == name
