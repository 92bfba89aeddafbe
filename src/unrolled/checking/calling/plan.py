"""A plan: one way to run a person's file on a problem, in their own layout, and what is right there."""

import copy
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unrolled.checking.calling import usage
from unrolled.checking.calling.arguments import is_cache
from unrolled.checking.calling.entries import Entry, Way
from unrolled.checking.calling.layouts import Layout, Reading, assembled, parts, taken_apart
from unrolled.checking.calling.outputs import Collector, Output, returned
from unrolled.checking.names import GATES, is_parameter, other_bias
from unrolled.checking.problems import Conventions, Counting, Problem, Truth

Array = Any
_RATE = 0.5  # a learning rate
_LONG = 10**6  # where a truncated backward pass is cut off: nowhere
_SMALLEST_CLIP = 0.1  # a bound of 0 would be no clipping


@dataclass
class Outcome:
    """What a run left: the outputs, their exception and the stage where it stopped ("making",
    "forward", "loss" or "backward"; "done"), arguments that were changed in place, and with
    `twice` the outputs of a second backward call.
    """

    outputs: list[Output] = field(default_factory=list)
    error: BaseException | None = None
    traceback: str = ""
    stage: str = "making"
    changed: list[str] = field(default_factory=list)
    again: list[Output] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """One way to run a file.

    `roles` says for each (function, argument) what it is given, `weights` what their names of weights
    stand for (in the order of their list), `containers` how an argument holds them, `sizes` what
    their names of sizes mean. `tied`: one size is both n_x and n_y. The rest is as in the layout:
    `labels` and `target_labels` for integers, `one_column` where there is no batch axis (m = 1),
    `one_step` where they take single steps (T = 1), `last_only` where only the last step has a target
    or a gradient from above.
    """

    way: Way
    cell: str
    layout: Layout
    roles: Mapping[tuple[str, str], str]
    weights: Mapping[str, str]
    containers: Mapping[str, tuple[str, tuple[str, ...]]]
    sizes: Mapping[str, str]
    readings: tuple[Reading, ...]
    constructor: Entry | None = None
    labels: bool = False
    target_labels: bool = False
    one_column: bool = False
    one_step: bool = False
    last_only: bool = False

    @property
    def stepped(self) -> frozenset[str]:
        """The weights of an object of which the backward only leaves the step W −= rate · dW."""
        rates = {name for (_, name), role in self.roles.items() if role == "rate"}
        return frozenset(usage.plain_steps(self.way.backward.node, rates) & self.weights.keys())

    @property
    def columns(self) -> bool:
        """Whether units are rows of their arrays: (n, m)."""
        return self.layout.columns

    @property
    def has_loss(self) -> bool:
        """Whether the backward starts from targets; else from an upstream gradient.

        Where it takes the gradient at the logits, that of the loss with share 1 is given.
        """
        given = set(self.roles.values())
        return "upstream" not in given and bool(given & {"y", "dz_y"})

    @property
    def given(self) -> frozenset[str]:
        """The initial states that they take; the others are zero."""
        roles = self.roles.values()
        tuples = [role.split()[1:] for role in roles if role.startswith("states ")]
        return frozenset({"a", "c"} & {*roles, *(state for states in tuples for state in states)})

    @property
    def tied(self) -> bool:
        """Whether one size of theirs is both n_x and n_y."""
        kinds = {
            role.removeprefix("size ") for role in (*self.roles.values(), *self.sizes.values())
        }
        return "vocabulary" in kinds and "n_y" not in kinds

    def describe(self) -> str:
        """Return in one line what is run."""
        calls = [f"{e.name}({', '.join(e.arguments)})" for _, e in self.way.parts]
        of = f"{self.way.owner}: " if self.way.owner else ""
        axes = ", ".join(self.layout.step.split() if self.one_step else self.layout.axes.split())
        return f"{of}{', then '.join(calls)}; arrays ({axes})"

    def problem(self, problem: Problem, reading: Reading) -> Problem:
        """Return the same arrays for them with the legend's names in another reading.

        Biases that they do not have are zero.
        """
        found = dict(problem.parameters)
        for quantity in self.weights.values():
            if parts(quantity, self.cell) != [quantity]:
                theirs = assembled(quantity, problem.parameters, self.readings[0])
                found |= taken_apart(quantity, theirs, self.cell, problem.sizes["n_a"], reading)
        held = {q for name in self.weights.values() for q in parts(name, self.cell)}
        absent = {n for n in problem.parameters if n[:1] == "b" and n not in held}
        values = {n: found[n] * 0 if n in absent else found[n] for n in problem.parameters}
        upstream = problem.dA.copy()
        upstream[:, :, :-1] *= not self.last_only
        return replace(problem, parameters=values, dA=upstream, last_only=self.last_only)

    def to_theirs(self, quantity: str, array: Array) -> Array:
        """Return an array of the legend's (one step, all steps or a parameter) in their layout."""
        return self.layout.own(quantity, array)

    def to_legend(self, quantity: str, array: Array) -> Array:
        """Return an array of theirs in the legend's layout."""
        return self.layout.legend(quantity, array)

    def expected(
        self, output: Output, truth: Truth, reading: Reading | None = None
    ) -> Array | None:
        """Return the right value of an output in their layout and shape; None where there is none.

        `truth` is that of `problem(problem, reading)`; the reading is the first one if none is given.
        """
        if not _of_that_size(output, truth):
            return None
        try:
            array = self._right(output, truth, reading or self.readings[0])
        except (KeyError, IndexError):
            return None
        if array.shape != np.shape(output.value) and array.size == np.size(output.value):
            bias = output.quantity.removeprefix("d")[:1] == "b" or output.quantity == "loss"
            flat = [n for n in np.shape(output.value) if n != 1] == [
                n for n in array.shape if n != 1
            ]
            array = array.reshape(np.shape(output.value)) if bias or flat else array
        return _clipped(array, output)

    def _right(self, output: Output, truth: Truth, reading: Reading) -> Array:
        quantity, value = output.quantity, np.asarray(output.value)
        if quantity == "loss":
            return np.asarray(truth.totals["loss"])
        if quantity[1:2] in ("W", "b"):
            return self.layout.parameter(quantity, assembled(quantity, truth.totals, reading))
        if quantity in ("a0", "c0"):
            return self.layout.one_step(truth.initial[quantity[0]])
        if quantity in ("da0", "dc0"):
            return self.layout.one_step(truth.totals[quantity])
        if output.step is not None:
            return self.layout.one_step(truth.steps[output.step][quantity])
        if value.ndim < len(self.layout.axes.split()):
            return self.layout.one_step(truth.steps[-1][quantity])
        return self._over_time(quantity, value, truth)

    def _over_time(self, quantity: str, value: Array, truth: Truth) -> Array:
        """Return a quantity at all steps; a state may have the initial one first, or last."""
        steps = [step[quantity] for step in truth.steps]
        plain = self.layout.over_time(np.stack(steps, axis=2))
        time = self.layout.axes.split().index("T")
        if quantity not in truth.initial or value.shape[time] != len(steps) + 1:
            return plain
        initial = truth.initial[quantity]
        both = [
            self.layout.over_time(np.stack(s, axis=2))
            for s in ([initial, *steps], [*steps, initial])
        ]
        if both[0].shape != value.shape:
            return plain
        return max(both, key=lambda array: int(np.isclose(array, value).sum()))

    def run(self, namespace: dict[str, Any], problem: Problem, twice: bool = False) -> Outcome:
        """Run their code on a problem and return what came out; what they raise is in the outcome."""
        return _Run(self, namespace, problem).all(twice)


def _of_that_size(output: Output, truth: Truth) -> bool:
    """Return whether a forward quantity has the units of what its name says: if not, it is another."""
    quantity, sizes = output.quantity, truth.problem.sizes
    if quantity == "loss" or quantity[:1] == "d" or is_parameter(quantity):
        return True
    units = sizes["n_y"] if quantity in ("y_hat", "z_y") else sizes["n_a"]
    return units in np.shape(output.value)


def _clipped(array: Array, output: Output) -> Array:
    """Return the right gradient, clipped where theirs is: at one bound, and only where it is beyond."""
    value = np.asarray(output.value)
    if output.quantity[:1] != "d" or array.shape != value.shape or not array.size:
        return array
    bound = np.max(np.abs(value))
    bound = float(f"{bound:.3g}") if abs(bound - float(f"{bound:.3g}")) < 1e-12 * bound else bound
    beyond = np.abs(array) > bound * (1 + 1e-6)
    round_bound = float(bound) == float(f"{bound:.3g}")
    clips = bound > _SMALLEST_CLIP and round_bound and beyond.any()
    return np.clip(array, -bound, bound) if clips else array


class _Run:
    """One run of a plan: what was supplied, and what came back under which name."""

    def __init__(self, plan: Plan, namespace: dict[str, Any], problem: Problem):
        self.plan, self.namespace, self.problem = plan, namespace, problem
        self.outcome, self.results, self.unnamed = Outcome(), dict[str, Any](), list[Any]()
        self.instance: Any = None
        self.containers: dict[str, Any] = {}
        axes = len(plan.layout.step.split()) + (not plan.one_step)
        self.collector = Collector(plan.cell, plan.weights, problem.T, axes, plan.one_step)

    def all(self, twice: bool) -> Outcome:
        try:
            self._make()
            for stage, entry in self.plan.way.parts:
                self.outcome.stage = stage
                self._call(entry)
            if twice:
                before, self.outcome.outputs = self.outcome.outputs, []
                self._call(self.plan.way.backward)
                self.outcome.again, self.outcome.outputs = self.outcome.outputs, before
            self.outcome.stage = "done"
        except (Exception, SystemExit) as error:
            self.outcome.error, self.outcome.traceback = error, traceback.format_exc()
        return self.outcome

    def _make(self) -> None:
        """Put sizes and weights in place of their globals, and construct their class."""
        for name, meaning in self.plan.sizes.items():
            self.namespace[name] = self._size(meaning)
        for name in self.plan.weights:
            if name in self.namespace:
                self.namespace[name] = self._weight(name, self.namespace[name])
        for held in [v for v in self.namespace.values() if type(v) is dict]:
            for name in self.plan.weights.keys() & held.keys():
                held[name] = self._weight(name, held[name])
        for (owner, name), role in self.plan.roles.items():
            if owner == "" and name in self.namespace:
                self.namespace[name] = self._value(name, role)
        if self.plan.constructor is not None:
            entry = self.plan.constructor
            self.instance = self.namespace[self.plan.way.owner](**self._arguments(entry))
            self._place_weights()

    def _place_weights(self) -> None:
        """Overwrite the weights of an object, among its attributes or in their dictionaries."""
        for _, holder in _holders("self", self.instance):
            for name, old in list(holder.items()):
                if name in self.plan.weights and isinstance(old, np.ndarray):
                    new = self._weight(name, old)
                    if new.shape == old.shape and old.dtype.kind == "f":
                        old[...] = new  # in place: a list may hold the same array
                    else:
                        holder[name] = new

    def _call(self, entry: Entry) -> None:
        held = self._held_weights() if entry is self.plan.way.backward else {}
        self._call_it(entry)
        for name, before in held.items():
            after = self._held_weights()[name]
            if name in self.plan.stepped and after.shape == before.shape:
                step = Output(f"d{name}", f"d{self.plan.weights[name]}", (before - after) / _RATE)
                self.outcome.outputs.append(step)

    def _held_weights(self) -> dict[str, Array]:
        """Return a copy of the weights that their object keeps."""
        kept = [k for _, k in _holders("self", self.instance)] if self.instance is not None else []
        return {n: np.array(v) for k in kept for n, v in k.items() if n in self.plan.weights}

    def _call_it(self, entry: Entry) -> None:
        of = self.instance if entry.owner else None
        function = getattr(of, entry.name) if of is not None else self.namespace[entry.name]
        given = self._arguments(entry)
        before = copy.deepcopy({name: given[name] for name in given if self._is_ours(entry, name)})
        positional = [given[a.arg] for a in entry.node.args.posonlyargs if a.arg in given]
        named = {n: v for n, v in given.items() if n not in _positional(entry)}
        result = function(*positional, **named)
        for name, value in before.items():
            if not _same(value, given[name]) and name not in self.outcome.changed:
                self.outcome.changed.append(name)
        self._note(entry, result)

    def _is_ours(self, entry: Entry, name: str) -> bool:
        return self.plan.roles.get((entry.name, name), "").split(" ")[0] not in (
            "cache",
            "result",
            "",
        )

    def _arguments(self, entry: Entry) -> dict[str, Any]:
        roles = {name: self.plan.roles.get((entry.name, name), "") for name in entry.arguments}
        return {name: self._value(name, role) for name, role in roles.items() if role != "default"}

    def _note(self, entry: Entry, result: Any) -> None:
        """Remember what came back by name, and collect what has a meaning."""
        before, self.unnamed = self.unnamed, []
        how = returned(entry.node)
        values = [result] if how.alone or not isinstance(result, tuple | list) else list(result)
        for k, value in enumerate(values):
            name = how.names[k] if k < len(how.names) else ""
            if name:
                self.results[name] = value
                shown = name
            else:
                if not np.isscalar(value):
                    self.unnamed.append(value)
                shown = f"{entry.name}(…)[{k}]" if not how.alone else f"{entry.name}(…)"
            self._remember_keys(value)
            self._collect(entry, shown, name, value, how.inner.get(k, ()))
        self.unnamed = self.unnamed or before
        if self.instance is not None:
            self._collect_attributes(entry)
        if self.plan.way.forward is None and not entry.arguments:
            self._collect_globals()

    def _collect(
        self, entry: Entry, shown: str, name: str, value: Any, inner: tuple[str, ...]
    ) -> None:
        backward = entry is self.plan.way.backward
        if inner and isinstance(value, tuple | list) and len(inner) == len(value):
            for part, held in zip(inner, value, strict=True):
                if not is_cache(part):
                    self.results.setdefault(part, held)
                self.outcome.outputs += self.collector.of(part, part, held)
            return
        of_weights = isinstance(value, dict) and len(value.keys() & self.plan.weights.keys()) > 1
        word = "grads" if backward and (of_weights or not name) else name
        word = word or ("loss" if entry.is_loss else "")
        self.outcome.outputs += self.collector.of(shown, word, value)

    def _remember_keys(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(key, str):
                    self.results.setdefault(key, inner)

    def _collect_attributes(self, entry: Entry) -> None:
        backward = entry is self.plan.way.backward
        for of, kept in _holders("self", self.instance):
            if of.endswith("]"):
                continue  # a dictionary is collected with the attribute that it is
            for name, value in kept.items():
                for output in self.collector.of(f"{of}.{name}", name, value):
                    if backward == (output.quantity[:1] == "d") or self.plan.way.forward is None:
                        self.outcome.outputs.append(output)

    def _collect_globals(self) -> None:
        for name, value in list(self.namespace.items()):
            if name not in self.plan.weights and isinstance(
                value, dict | list | np.ndarray | float
            ):
                self.outcome.outputs += self.collector.of(name, name, value)

    def _value(self, name: str, role: str) -> Any:
        kind, _, what = role.partition(" ")
        if kind == "size":
            return self._size(what)
        if kind == "states":
            return tuple(self._data(state) for state in what.split())
        if kind == "weight":
            return self._weight(name, None)
        if kind == "result":
            return self.results[what]
        if kind == "cache":
            return self._cache(name)
        if kind == "parameters":
            return self._container(name)
        return {"rate": _RATE}.get(kind) if kind in ("rate", "", "unused") else self._data(kind)

    def _data(self, role: str) -> Array:
        problem, layout = self.problem, self.plan.layout
        if role in ("a", "c"):
            return layout.one_step(problem.state[role])
        if role == "dz_y":
            theirs = self.plan.problem(problem, self.plan.readings[0])
            truth = Truth(theirs, Conventions(counting=Counting(over=()), states=self.plan.given))
            found = np.stack([step["dz_y"] for step in truth.steps], axis=2)
            return self._in_time(found, False, self.plan.last_only)
        values = {"x": problem.X, "y": problem.Y, "upstream": problem.dA,
                  "upstream_c": np.zeros_like(problem.dA)}[role]  # fmt: skip
        integers = (role == "x" and self.plan.labels) or (role == "y" and self.plan.target_labels)
        return self._in_time(values, integers, role != "x" and self.plan.last_only)

    def _in_time(self, values: Array, integers: bool, last: bool = False) -> Any:
        """Return (n, m, T) in their layout; one step of it where they take single ones, or the last."""
        layout = self.plan.layout
        array = layout.labels(values) if integers else layout.over_time(values)
        if self.plan.one_step or last:
            axes = [axis for axis in layout.axes.split() if axis != "n" or not integers]
            array = np.take(array, -1, axis=axes.index("T")).copy()
        return array.tolist() if integers and array.ndim == 1 else array

    def _size(self, what: str) -> int:
        if what == "truncate":
            return _LONG
        return self.problem.sizes["n_x" if what == "vocabulary" else what]

    def _weight(self, name: str, old: Any) -> Array:
        """Return a weight in their layout, a bias in the shape that it had."""
        quantity = self.plan.weights[name]
        array = assembled(quantity, self.problem.parameters, self.plan.readings[0])
        array = self.plan.layout.parameter(quantity, array) * self._share(name)
        if old is not None and quantity[:1] == "b" and np.ndim(old) in (1, 2):
            n = array.size
            array = (
                array.reshape(n)
                if np.ndim(old) == 1
                else array.reshape((n, 1) if old.shape[1] == 1 else (1, n))
            )
        return array

    def _share(self, name: str) -> float:
        """Return how much of the legend's bias is in theirs: two that are added share it."""
        weights = self.plan.weights
        other = other_bias(name, weights)
        if not other or weights[other] != weights[name]:
            return 1.0
        return 0.25 if name < other else 0.75

    def _container(self, name: str) -> Any:
        if name not in self.containers:
            kind, names = self.plan.containers.get(name) or next(
                iter(self.plan.containers.values())
            )
            values = {n: self._weight(n, None) for n in names}
            held: Any = tuple(values.values()) if kind == "tuple" else values
            self.containers[name] = _Weights(values) if kind == "object" else held
        return self.containers[name]

    def _cache(self, name: str) -> Any:
        """Return what the forward keeps for the backward: what has such a name, or no name at all."""
        for key in (name, name.rstrip("s"), f"{name}s"):
            if key in self.results:
                return self.results[key]
        kept = [v for n, v in self.results.items() if "cache" in n.lower()] + self.unnamed
        return kept[-1] if kept else list(self.results.values())[-1]


def _positional(entry: Entry) -> set[str]:
    return {a.arg for a in entry.node.args.posonlyargs}


def _holders(name: str, held: Any, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the attributes of an object, of the objects of their classes in it, and its dictionaries."""
    kept = vars(held)
    yield name, kept
    for key, value in list(kept.items()):
        if isinstance(value, dict):
            yield f"{name}.{key}[]", value
        elif (
            type(value).__module__ == type(held).__module__
            and depth < 2
            and hasattr(value, "__dict__")
        ):
            yield from _holders(f"{name}.{key}", value, depth + 1)


class _Weights:
    """Weights as attributes."""

    def __init__(self, values: Mapping[str, Array]):
        self.__dict__.update(values)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return all(name in after and _same(value, after[name]) for name, value in before.items())
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, np.ndarray):
        return bool(np.array_equal(before, after, equal_nan=before.dtype.kind == "f"))
    return True


def default_reading(cell: str) -> Reading:
    """Return the reading in the order of the cell's equations, [a; x]."""
    return Reading(GATES[cell])
