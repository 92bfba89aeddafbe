"""One run of a plan: what is supplied to their code, and what comes back under which name."""

import copy
import traceback
from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.checking.calling import flow, objects, usage
from unrolled.checking.calling.arguments import is_cache, size_meaning
from unrolled.checking.calling.closures import Made, function_of, made_by
from unrolled.checking.calling.entries import Entry, zeroes
from unrolled.checking.calling.held import inside, replaced, roots
from unrolled.checking.calling.layouts import HIDDEN_SHARE, INNER, assembled
from unrolled.checking.calling.outputs import (
    Collector,
    Output,
    is_of_another,
    may_be_loss,
    returned,
    unnamed,
)
from unrolled.checking.names import STARTS, other_bias
from unrolled.checking.problems import Conventions, Counting, Problem, Truth
from unrolled.checking.running.program import made_global
from unrolled.errors import UnrolledError

if TYPE_CHECKING:
    from unrolled.checking.calling.plan import Plan

Array = Any
_RATE = 0.5  # a learning rate
_LONG = 10**6  # where a truncated backward pass is cut off: nowhere
KEPT = "what the forward kept"
_INPUTS = {"a": "a0", "c": "c0", "upstream": "da", "upstream_c": "dc"}  # the others keep their name


@dataclass
class Outcome:
    """What a run left: the outputs, their exception and the stage where it stopped ("making",
    "forward", "loss" or "backward"; "done").

    `changed` are arguments whose arrays were changed in place, with the legend's names, `around` what
    else was changed, in words. `again` are the outputs of a second call.
    """

    outputs: list[Output] = field(default_factory=list)
    error: BaseException | None = None
    traceback: str = ""
    stage: str = "making"
    changed: dict[str, str] = field(default_factory=dict)
    around: list[str] = field(default_factory=list)
    again: list[Output] = field(default_factory=list)


@dataclass(frozen=True)
class _Handed:
    """What they were given under a name: `holder[key]`, `before` as it was then."""

    name: str
    quantity: str
    holder: Any
    key: Any
    before: Any


class Run:
    """One run of a plan: what was supplied, and what came back under which name."""

    def __init__(
        self, plan: "Plan", namespace: dict[str, Any], problem: Problem, locked: Collection[str]
    ):
        self.plan, self.namespace, self.problem, self.locked = plan, namespace, problem, locked
        self.handed: list[_Handed] = []
        self.outcome, self.results, self.unnamed = Outcome(), dict[str, Any](), list[Any]()
        self.given_back: Any = None
        self.instance: Any = None
        self.containers: dict[str, Any] = {}
        axes = len(plan.layout.step.split()) + (not plan.one_step)
        time = plan.layout.axes.split().index("T")
        self.collector = Collector(
            plan.cell, plan.weights, problem.T, axes, plan.one_step, time, bool(plan.apart)
        )

    def all(self, again: str) -> Outcome:
        try:
            self._make()
            for stage, entry in self.plan.way.parts:
                self.outcome.stage = stage
                before = dict(self.results), self.unnamed
                self._call(entry)
            if again == "backward":
                self.results, self.unnamed = before  # the cache as the first call left it
            if again and self.plan.repeats:
                self.outcome.again = self._called_again(again)
            self.outcome.stage = "done"
        except (Exception, SystemExit) as error:
            self.outcome.error, self.outcome.traceback = error, traceback.format_exc()
        for one in self.handed:
            if not _same(one.before, one.holder[one.key]):
                self.outcome.changed[one.name] = one.quantity
        return self.outcome

    def _called_again(self, what: str) -> list[Output]:
        """Return what comes out of a second call, with the weights of the first one."""
        self._place_globals()
        if self.instance is not None:
            self._place_weights()
            self._zero_gradients()
        first, self.outcome.outputs = self.outcome.outputs, []
        for _, entry in self.plan.way.parts if what == "all" else self.plan.way.parts[-1:]:
            self._call(entry)
        again, self.outcome.outputs = self.outcome.outputs, first
        return again

    def _make(self) -> None:
        """Put sizes and weights in place of their globals, and construct their class."""
        self._place_globals()
        if self.plan.constructor is not None:
            entry = self.plan.constructor
            self.instance = made_by(self.namespace[self.plan.way.owner], self._arguments(entry))
            self._place_weights()
            self._zero_gradients()  # before the forward: it may clear what layers remember, too

    def _place_globals(self) -> None:
        for name, meaning in self.plan.sizes.items():
            self.namespace[name] = self._size(meaning)
        for name in self.plan.weights:
            if name in self.namespace:
                new, old = self._weight(name, self.namespace[name]), self.namespace[name]
                if isinstance(old, np.ndarray):
                    replaced(self.namespace, name, new)
                else:
                    self.namespace[name] = new
        for name, root in roots(self.namespace).items():
            self._place_in(name, root)
        for (owner, name), role in self.plan.roles.items():
            if owner == "" and name in self.namespace:
                self.namespace[name] = self._value(name, role)
                self._hand(name, _INPUTS.get(role, role), self.namespace, name)

    def _place_weights(self) -> None:
        """Overwrite the weights of an object, among its attributes or in their dictionaries."""
        self._place_in("self", self.instance)

    def _place_in(self, name: str, root: Any) -> None:
        """Overwrite what an object or dictionary holds of weights."""
        for held in list(inside(name, root)):
            word = held.word if held.word in self.plan.weights else held.key
            if word in self.plan.weights and isinstance(held.value, np.ndarray):
                new = self._weight(word, held.value)
                if new.shape == held.value.shape and held.value.dtype.kind == "f":
                    held.value[...] = new  # in place: a list may hold the same array
                else:
                    replaced(held.kept, held.key, new)

    def _zero_gradients(self) -> None:
        """Call what sets their gradients to zero, where they do not do it themselves: the method of the
        object, or those of the objects in it.
        """
        own = {f.name for f in self.plan.way.functions}
        objects = [self.instance, *(held.value for held in inside("self", self.instance))]
        found = [[getattr(one, n) for n in dir(one) if zeroes(n)] for one in objects
                 if type(one).__module__ == type(self.instance).__module__]  # fmt: skip
        for method in next(filter(None, found[:1]), [m for of_one in found for m in of_one]):
            if method.__name__ not in own:
                method()

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
        kept = inside("self", self.instance) if self.instance is not None else ()
        words = ((held.word if held.word in self.plan.weights else held.key, held) for held in kept)
        return {w: np.array(held.value) for w, held in words if w in self.plan.weights}

    def _call_it(self, entry: Entry) -> None:
        function = self._function(entry)
        given = self._arguments(entry)
        positional = [given[a.arg] for a in entry.node.args.posonlyargs if a.arg in given]
        named = {n: v for n, v in given.items() if n not in _positional(entry)}
        result = function(*positional, **named)
        self._note(entry, result)

    def _function(self, entry: Entry) -> Any:
        """Return what is called: a global, a method, or what was handed out last of that text."""
        if entry.inner:
            places = [*reversed(self.results.values()), self.given_back, self.instance]
            if (handed := function_of(entry.node, places)) is not None:
                return handed
            raise UnrolledError(
                f"{entry.name} (line {entry.node.lineno}) is made inside another function, and was not "
                "handed out by what ran before; a binding can say how this is run (docs/check.md)"
            )
        return getattr(self.instance, entry.name) if entry.owner else self.namespace[entry.name]

    def _arguments(self, entry: Entry) -> dict[str, Any]:
        """Return what a function is called with, and remember what must not change."""
        roles = {name: self.plan.roles.get((entry.name, name), "") for name in entry.arguments}
        given = {name: self._value(name, role) for name, role in roles.items() if role != "default"}
        updates = entry is self.plan.constructor or "rate" in self.plan.roles.values()
        for name, role in roles.items():
            kind, _, what = role.partition(" ")
            if kind == "states":
                for k, state in enumerate(what.split()):
                    self._hand(name, _INPUTS[state], given[name], k)
            elif kind == "parameters" and not updates:
                self._hand_weights(name, given[name])
            elif kind == "weight" and not updates:
                self._hand(name, self.plan.weights[name], given, name)
            elif kind in ("x", "y", "dz_y", *_INPUTS):
                self._hand(name, _INPUTS.get(kind, kind), given, name)
            elif kind in ("cache", "result") and KEPT in self.locked:
                _lock(given[name])
        return given

    def _hand_weights(self, name: str, held: Any) -> None:
        """Remember the weights that an argument holds."""
        for k, n in enumerate(
            self.plan.containers[name][1] if name in self.plan.containers else ()
        ):
            if isinstance(held, tuple):
                self._hand(n, self.plan.weights.get(n, n), held, k)
            elif isinstance(held, dict):
                self._hand(f"{name}[{n!r}]", self.plan.weights.get(n, n), held, n)
            else:
                self._hand(f"{name}.{n}", self.plan.weights.get(n, n), vars(held), n)

    def _hand(self, name: str, quantity: str, holder: Any, key: Any) -> None:
        value = holder[key]
        if name in self.locked:
            _lock(value)
        self.handed.append(_Handed(name, quantity, holder, key, copy.deepcopy(value)))

    def _note(self, entry: Entry, result: Any) -> None:
        """Remember what came back by name, and collect what has a meaning."""
        before, self.unnamed = self.unnamed, []
        if entry is self.plan.way.forward:
            self.given_back = result
        how, first = returned(entry.node), len(self.outcome.outputs)
        values = [result] if how.alone or not isinstance(result, tuple | list) else list(result)
        for k, value in enumerate(values):
            name = how.names[k] if k < len(how.names) else ""
            if name:
                self.results[name] = value
                shown = name
            else:
                if not np.isscalar(value):
                    self.unnamed.append(value)
                shown = f"{entry.name}(…)" if how.alone else unnamed(entry.name, k)
                self.results[shown] = value
            self._remember_keys(value)
            self._collect(entry, shown, name, value, how.inner.get(k, ()))
        self._collect_loss(entry, how.names, values, first)
        self.unnamed = self.unnamed or before
        if self.instance is not None:
            self._collect_attributes(entry)
        elif entry is self.plan.way.backward:
            self._collect_objects()
        if self.plan.way.forward is None and not entry.arguments:
            self._collect_globals(set(self.namespace))
        else:
            self._collect_globals(made_global(entry.closure))

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
        value = objects.by_name(value, self.namespace)
        of_weights = isinstance(value, dict) and len(value.keys() & self.plan.weights.keys()) > 1
        word = "grads" if backward and (of_weights or not name) else name
        if (
            not backward
            and not name
            and self.plan.handed
            and _has_axis(value, self.problem.sizes["n_y"])
        ):
            word = "logits"  # what they hand the gradient of
        word = word or ("loss" if entry.is_loss else "")
        self.outcome.outputs += self.collector.of(shown, word, value)

    def _collect_loss(
        self, entry: Entry, names: Sequence[str], values: Sequence[Any], first: int
    ) -> None:
        """Collect the only scalar that comes back from what is called a loss, or with gradients from
        targets, as the loss, if no name says which it is.
        """
        takes_y = "y" in [self.plan.roles.get((entry.name, name)) for name in entry.arguments]
        named_here = {o.name for o in self.outcome.outputs[first:]}
        known = any(o.quantity == "loss" for o in self.outcome.outputs[first:])
        named = list(zip((*names, *[""] * len(values)), values, strict=False))
        scalars = [(name, value) for name, value in named
                   if may_be_loss(name, value) and name not in named_here]  # fmt: skip
        meant = entry.is_loss or (takes_y and len(values) > 1)
        if meant and not known and len(scalars) == 1:
            name, value = scalars[0]
            self.outcome.outputs.append(Output(name or f"{entry.name}(…)", "loss", np.array(value)))

    def _remember_keys(self, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(key, str):
                    self.results.setdefault(key, inner)

    def _collect_attributes(self, entry: Entry) -> None:
        backward = entry is self.plan.way.backward
        for held in inside("self", self.instance):
            if held.path.endswith("]") or is_of_another(held.key, held.kept):
                continue  # a dictionary is collected with the attribute that it is
            if held.listed and not self.collector.names_weight(held.word):
                continue  # it may be one object a step
            shown = held.shown
            if isinstance(self.instance, Made):
                shown = shown.removeprefix("self.")
            for word in dict.fromkeys((held.word, held.key)):
                found = list(self.collector.of(shown, word, held.value))
                for output in found:
                    if backward == (output.quantity[:1] == "d") or self.plan.way.forward is None:
                        self.outcome.outputs.append(output)
                if found:
                    break

    def _collect_objects(self) -> None:
        """Collect the gradients that are kept in objects that are globals."""
        for name, root in roots(self.namespace).items():
            for held in (
                () if isinstance(root, dict) or root is self.instance else inside(name, root)
            ):
                if held.word != held.key and not held.path.endswith("]"):
                    found = self.collector.of(f"{held.path}.{held.key}", held.word, held.value)
                    self.outcome.outputs += [o for o in found if o.quantity[:1] == "d"]

    def _collect_globals(self, names: Container[str]) -> None:
        f = self.plan.way.backward.node
        turning = usage.loop_variables(f) | usage.assigned_in_several_loops(f)
        for name, value in list(self.namespace.items()):
            mine = name in names and name not in (*self.plan.weights, *turning)
            if mine and isinstance(value, dict | list | np.ndarray | float):
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
            return self._start(f"{role}0", None)
        there = problem.Y.any(axis=0)
        if role == "lengths":  # targets are missing at the end of a sequence only
            return there.sum(axis=1)
        if role == "mask":
            return layout.per_target(there.astype(float))
        if role == "dz_y":
            theirs = self.plan.problem(problem, self.plan.readings[0])
            truth = Truth(theirs, Conventions(counting=Counting(over=()), states=self.plan.given))
            found = np.stack([step["dz_y"] for step in truth.steps], axis=2)
            return self._in_time(found, False, self.plan.last_only)
        values = {"x": problem.X, "y": problem.Y, "upstream": problem.dA,
                  "upstream_c": np.zeros_like(problem.dA)}[role]  # fmt: skip
        integers = (role == "x" and self.plan.labels) or (role == "y" and self.plan.target_labels)
        array = self._in_time(values, integers, role != "x" and self.plan.last_only)
        flat = role in self.plan.flat
        return np.take(array, 0, axis=layout.axes.split().index("n")) if flat else array

    def _in_time(self, values: Array, integers: bool, last: bool = False) -> Any:
        """Return (n, m, T) in their layout; one step of it where they take single ones, or the last."""
        layout = self.plan.layout
        array = layout.labels(values) if integers else layout.over_time(values)
        if self.plan.one_step or last:
            axes = [axis for axis in layout.axes.split() if axis != "n" or not integers]
            array = np.take(array, -1, axis=axes.index("T")).copy()
        if integers and self.plan.one_column and array.ndim == 2:
            array = array[:, 0]  # nobody writes a batch axis for a text
        return array.tolist() if integers and array.ndim == 1 else array

    def _size(self, what: str) -> int:
        if what == "truncate":
            return _LONG
        return self.problem.sizes["n_x" if what == "vocabulary" else what]

    def _weight(self, name: str, old: Any) -> Array:
        """Return a weight in their layout, a bias in the shape that it had."""
        quantity = self.plan.weights[name]
        if quantity in STARTS:
            return self._start(quantity, old)
        whole = "b" if quantity == INNER else quantity  # its share is that of two that are added
        array = assembled(whole, self.problem.parameters, self.plan.readings[0])
        array = self.plan.layout.parameter(quantity, array) * self._share(name)
        return _like(array, old) if quantity[:1] == "b" else array

    def _start(self, quantity: str, old: Any) -> Array:
        """Return an initial state that stands among the weights: one for all sequences, if it is learned."""
        state = self.problem.state[quantity[0]]
        if quantity[0] not in self.plan.shared:
            return self.plan.layout.one_step(state)
        return _like(self.plan.layout.parameter("b", state[:, :1]), old)

    def _weight_or_size(self, name: str) -> Any:
        """Return what stands under a name beside weights."""
        size = size_meaning(name) if len(name) > 1 and name not in self.plan.weights else ""
        return self._size(size) if size else self._weight(name, None)

    def _share(self, name: str) -> float:
        """Return how much of the legend's bias is in theirs: two that are added share it."""
        weights = self.plan.weights
        beside = {n for n in self.plan.apart - {name} if weights[name][:1] == "b"}  # of two layers
        alike = [n for n in beside & weights.keys() if weights[n] == weights[name]]
        other = other_bias(name, weights) or (alike[0] if len(alike) == 1 else "")
        added = other and {weights[other], weights[name]} in ({weights[name]}, {"b", INNER})
        return 1.0 if not added else HIDDEN_SHARE if name < other else 1 - HIDDEN_SHARE

    def _container(self, name: str) -> Any:
        if name not in self.containers:
            kind, names = self.plan.containers.get(name) or next(
                iter(self.plan.containers.values())
            )
            values = {n: self._weight_or_size(n) for n in names}
            held: Any = tuple(values.values()) if kind == "tuple" else values
            if kind == "object":
                functions = self.plan.way.functions
                held = objects.made(name, functions, self.namespace, values, self._size)
            self.containers[name] = held
        return self.containers[name]

    def _cache(self, name: str) -> Any:
        """Return what the forward keeps for the backward: what has such a name, or no name at all."""
        for key in (name, name.rstrip("s"), f"{name}s"):
            if key in self.results:
                return self.results[key]
        kept = [v for n, v in self.results.items() if "cache" in n.lower()] + self.unnamed
        if kept:
            return kept[-1]
        taken = flow.unpacked_into(name, self.plan.way.backward.node)
        whole = isinstance(self.given_back, tuple) and len(self.given_back) != taken
        return self.given_back[-1] if whole else self.given_back


def _like(array: Array, old: Any) -> Array:
    """Return a bias in the shape that it had."""
    if old is None or np.ndim(old) not in (1, 2):
        return array
    n = array.size
    return array.reshape(n if np.ndim(old) == 1 else (n, 1) if old.shape[1] == 1 else (1, n))


def _lock(held: Any) -> None:
    """Let arrays, and those in lists and dictionaries, not be written to."""
    if isinstance(held, np.ndarray):
        held.flags.writeable = False
    elif isinstance(held, dict | list | tuple):
        for value in held.values() if isinstance(held, dict) else held:
            _lock(value)


def _positional(entry: Entry) -> set[str]:
    return {a.arg for a in entry.node.args.posonlyargs}


def _has_axis(value: Any, size: int) -> bool:
    return isinstance(value, np.ndarray) and size in value.shape


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return all(name in after and _same(value, after[name]) for name, value in before.items())
    if isinstance(before, list | tuple):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, np.ndarray):
        return bool(np.array_equal(before, after, equal_nan=before.dtype.kind == "f"))
    return True
