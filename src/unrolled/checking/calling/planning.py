"""The ways in which a file may be run: which functions, with what for each of their arguments."""

import ast
import contextlib
import functools
import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unrolled.checking.calling import arguments, flow, objects, usage
from unrolled.checking.calling.closures import made_by
from unrolled.checking.calling.entries import (
    Entry,
    Way,
    entries,
    last_word,
    runs_itself,
    stored_words,
    turns,
    ways,
)
from unrolled.checking.calling.held import Held, by_shape, inside, roots, split_up
from unrolled.checking.calling.layouts import INNER, WITH_BIAS, Layout, group, parts, readings
from unrolled.checking.calling.outputs import returned, unnamed
from unrolled.checking.calling.plan import Plan, problem_for
from unrolled.checking.calling.sizing import made_with, sizes_by_use
from unrolled.checking.names import (
    GATES,
    STARTS,
    gradient_words,
    is_parameter,
    meanings,
    other_bias,
    resolve,
)
from unrolled.checking.problems import draw
from unrolled.checking.running.program import SCRIPT, Program, execute, stored_names
from unrolled.checking.running.surroundings import restored
from unrolled.checking.running.watching import Watcher, instrument
from unrolled.errors import UnrolledError
from unrolled.notation import entry as entry_of

_MOST = 12
_KEPT = ("x", "y", "parameters", "weight")  # what an argument of the same name is again
_GLOBAL = ""  # stands for the function in roles of globals


def plans(
    program: Program, namespace: Mapping[str, Any], missed: list[str] | None = None
) -> list[Plan]:
    """Return the ways in which a file may be run, the most plausible first, at most a dozen for each
    backward pass.

    `namespace` is that of an execution; `missed` gets a sentence for each network that cannot be run.
    Raises UnrolledError where there is none that can, with what was looked for and what was found.
    """
    tree = program.definitions(program.tree)
    found = entries(tree)
    planners: list[_Planner] = []
    problems: list[tuple[Way, str]] = []
    for way in ways(found):
        for cell in usage.cells(way):
            for part in (way, replace(way, loss=None)) if way.loss else (way,):
                try:
                    planner = _Planner(part, cell, found, namespace)
                    whole = list(_of_turns(planner))
                    planner.alike = bool(whole)
                    planners += [*whole, planner]
                    if part.loss is None or not _runs_forward(part):
                        break
                except _NotAPlanError as error:
                    problems.append((way, str(error)))
    if planners:
        if missed is not None:
            missed += _said(problems, planners)
        return _first_ones(_that_run(program, planners))
    names = ", ".join(e.name for e in found) or "none"
    why = f": {problems[0][1]}" if problems else ""
    raise UnrolledError(
        "nothing here can be run as a recurrent network: looked for a forward and a backward pass "
        f"(functions, methods or one main loop), found the functions {names}{why}"
    )


def _runs_forward(way: Way) -> bool:
    """Whether the loss runs the forward itself: perhaps for many sequences, so that it may not fit here."""
    return bool(way.loss and way.forward and runs_itself(way.loss, way.forward))


def _of_turns(planner: "_Planner") -> Iterator["_Planner"]:
    """Yield what runs the same with its loss, where it is handed the gradient at the logits."""
    for way in turns(planner.found, planner.way) if "dz_y" in planner.roles.values() else ():
        with contextlib.suppress(_NotAPlanError):
            turn = _Planner(way, planner.cell, planner.found, planner.namespace)
            turn.alike = True
            if {"x", "y"} <= set(turn.roles.values()):
                yield turn


def _said(problems: list[tuple[Way, str]], planners: "list[_Planner]") -> Iterator[str]:
    """Yield a sentence for each backward pass that nothing runs."""
    done = {id(f) for planner in planners for f in planner.way.functions}
    for way, why in problems:
        if id(way.backward.node) not in done:
            done.add(id(way.backward.node))
            yield f"{way.backward.name} was not checked: {why}"


def _first_ones(possible: list[Plan]) -> list[Plan]:
    """Return the first dozen of each backward pass."""
    kept: dict[int, list[Plan]] = {}
    for plan in possible:
        kept.setdefault(id(plan.way.backward.node), []).append(plan)
    first = {id(plan) for of_one in kept.values() for plan in of_one[:_MOST]}
    return [plan for plan in possible if id(plan) in first]


def _that_run(program: Program, planners: "list[_Planner]") -> list[Plan]:
    """Return plans with those that run to the end first, then those that get furthest.

    Where none of a network's gets to the end, those are tried too whose layout nothing speaks for.
    """
    possible: list[tuple[int, Plan]] = []
    tree, _ = instrument(program.definitions(program.tree))
    left_of = functools.partial(_left, program, tree)
    with_loss: set[int] = set()  # the backward passes that run with a loss that may not fit
    for planner in planners:
        if id(planner.way.backward.node) in with_loss and planner.way.loss is None:
            continue
        tried = _further_first([(*left_of(plan), plan) for plan in planner.plans()])
        least = min(left for left, _ in tried)
        others = planner.plans(likely=False) if least else []
        further = [(left, plan) for plan in others if (left := left_of(plan)[0]) < least]
        if least and not any(left == 0 for left, _ in further):
            other = [*planner.with_labels(), *planner.with_one_alphabet()]
            further += [(0, plan) for plan in other if not left_of(plan)[0]]
        if planner.alike:  # what is run in two ways is run in none that stops earlier
            tried = [one for one in tried if one[0] == least]
        if _runs_forward(planner.way) and any(left == 0 for left, _ in tried + further):
            with_loss.add(id(planner.way.backward.node))
        possible += tried + further
    return [plan for _, plan in sorted(possible, key=lambda one: one[0])]


def _further_first(tried: list[tuple[int, int, Plan]]) -> list[tuple[int, Plan]]:
    """Return plans in their order; of two that differ in whether only the last step has a target, and stop
    in the same function, the one that gets further first.
    """
    for k, (one, other) in enumerate(itertools.pairwise(tried)):
        alike = other[2].last_only and one[2] == replace(other[2], last_only=False)
        if alike and one[0] == other[0] > 0 and one[1] < other[1]:
            tried[k : k + 2] = [other, one]
    return [(left, plan) for left, _, plan in tried]


def _left(program: Program, tree: ast.Module, plan: Plan) -> tuple[int, int]:
    """Return how much of a run is left where it stops, 0 at the end, and how much was computed. It is
    watched, for loops may have no end.
    """
    problem, watcher = problem_for(plan, "plain"), Watcher(quiet=True)
    with restored(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stage = plan.run(execute(program, tree, watcher.hooks), problem).stage
    return ["done", "backward", "loss", "forward", "making"].index(stage), watcher.reached


class _NotAPlanError(Exception):
    """A way that lacks something; the message says what."""


class _Planner:
    """Finds what each argument of one way, read as one cell, is to be given."""

    def __init__(self, way: Way, cell: str, found: list[Entry], namespace: Mapping[str, Any]):
        self.way, self.cell, self.found, self.namespace = way, cell, found, namespace
        made = [e for e in found if e.owner == way.owner and e.makes]
        self.constructor = _constructor(way, made)
        self.functions = [
            *way.functions,
            *(f for e in made for f in e.closure if f not in way.functions),
        ]
        self.own = draw("plain", cell).sizes
        self.alike = False  # whether another one runs the same functions
        self.roles: dict[tuple[str, str], str] = {}
        self.roles = dict(self._roles())
        self.containers = self._containers()
        self.instance = self._made()
        self.unknown: list[str] = []
        self.starts = dict(self._learned_starts())
        self._pass_no_other_start()
        self.weights = self._weights()
        if not self.weights and not any(self._by_trial()):
            raise _NotAPlanError("no weights were recognised")
        self._refuse_some()
        self.sizes = self._sizes()

    def _meanings(self) -> Iterator[dict[str, str]]:
        """Yield what the weights may stand for: the only one of a cell is that of [a; x], or [a; x; 1]."""
        in_cell = [n for n, q in self.weights.items() if q not in ("W_ya", "b_y")]
        inner = [n for n in self.weights if self._is_inner(n)]
        trials = list(self._by_trial())
        yield from trials
        if self.cell == "gru" and len(inner) == 1:
            yield {**self.weights, inner[0]: INNER}
        if len(in_cell) == 1 and self.weights[in_cell[0]] in ("W", "W_aa"):
            if usage.ones(self.functions):
                yield {**self.weights, in_cell[0]: WITH_BIAS}
            yield {**self.weights, in_cell[0]: "W"}
        elif not trials:
            yield self.weights

    def _by_trial(self) -> Iterator[dict[str, str]]:
        """Yield what the weights of a plain cell may stand for where some names say nothing: a matrix by what
        it is multiplied with, the others in every way; which is right, a run tells by the shapes.
        """
        if self.cell != "rnn" or {"W_aa", "W_ax"} <= set(self.weights.values()):
            return
        pairs = list(usage.products(self.functions, indexed=True))
        open_ones = () if "W_aa" in self.weights.values() else ("W_ya",)  # V of the state, beside U
        sure = {n: q for n, q in self.weights.items() if n not in ("c", "B") and q not in open_ones}
        unsure = [*self.unknown, *(n for n in self.weights if n not in sure)]
        for order in itertools.product(*(self._uses(name, pairs) for name in unsure)):
            found = sure | dict(zip(unsure, order, strict=True))
            kept = [n for _, held in self.containers.values() for n in held if n in found]
            if len(set(found.values())) == len(found) and {"W_aa", "W_ax"} <= set(found.values()):
                yield {n: found[n] for n in dict.fromkeys([*kept, *found])}

    def _uses(self, name: str, pairs: Iterable[tuple[ast.expr, ast.expr]]) -> tuple[str, ...]:
        """Return what a weight may be that is multiplied with x, with a state, with both, or with nothing."""
        beside = [other for pair in pairs for weight, other in (pair, pair[::-1])
                  if last_word(weight) == name]  # fmt: skip
        if not beside:
            return "b_a", "b_y"
        sides = {self._side(other)[:1] for other in beside}
        if sides & {"x", "a"} in ({"x"}, {"a"}):
            return ("W_ax",) if "x" in sides else ("W_aa", "W_ya")
        return "W_ax", "W_aa", "W_ya"

    def _is_inner(self, name: str) -> bool:
        """Return whether it is, of two stacked biases that are added, that of the recurrent weights."""
        other = other_bias(name, self.weights)
        return name < other and self.weights[name] == self.weights[other] == "b"  # h, then i or x

    def _refuse_some(self) -> None:
        """Raise _NotAPlanError where a gate has no weights that were recognised: it would keep its own."""
        if self.cell == "rnn":
            return  # its only matrix may be that of [a; x]
        held = {part for name in self.weights.values() for part in parts(name, self.cell)}
        twice = [
            name for name, quantity in self.weights.items()
            if quantity in ("W", "W_h", "W_x", "b")
            and set(parts(quantity, self.cell)) & set(self.weights.values())
        ]  # fmt: skip
        if twice:
            raise _NotAPlanError(
                f"{twice[0]} stands beside the weights of single gates, so that it holds some of the "
                "gates only, and which is not known; a binding can say it (docs/check.md)"
            )
        if self.way.backward.is_step and {"y", "upstream"} <= {*self.roles.values()}:
            raise _NotAPlanError(
                f"{self.way.backward.name} takes a target and what the step after hands back: it is judged "
                "only in what runs it over all steps"
            )
        lacking = [f"W_{g}{s}" for g in GATES[self.cell] for s in "ax" if f"W_{g}{s}" not in held]
        if lacking:
            raise _NotAPlanError(f"nothing was recognised as the weights {', '.join(lacking)}")

    def plans(self, likely: bool = True) -> list[Plan]:
        """Return a plan for each layout, and for each meaning of the weights; or (not `likely`) for the
        layouts that nothing in the syntax speaks for.
        """
        return [plan for weights in self._meanings() for plan in self._plans(weights, likely)]

    def with_labels(self) -> list[Plan]:
        """Return the likely plans with integers for targets, where nothing in the syntax says that."""
        takes_y = "y" in self.roles.values() and not self._integers("y")
        return [replace(plan, target_labels=True) for plan in self.plans() if takes_y]

    def with_one_alphabet(self) -> list[Plan]:
        """Return the likely plans with symbols of one alphabet in and out, where no size says that."""
        plans = [plan for plan in self.plans() if plan.labels and plan.target_labels]
        return [replace(plan, one_alphabet=True) for plan in plans if not plan.tied]

    def _plans(self, weights: dict[str, str], likely: bool) -> list[Plan]:
        takes_y = "y" in self.roles.values()
        labels, target_labels = self._integers("x"), takes_y and self._integers("y")
        likely_reading = usage.likely_reading(self.way, self.cell)
        open_readings = readings(weights.values(), self.cell, likely_reading)
        made = []
        weights, ends = self._with_starts(weights), (False, True)[: 1 + self._may_be_last()]
        for layout, one_column in self._layouts(labels, likely):
            for last_only, shared in itertools.product(ends, self._shared()):
                plan = Plan(
                    self.way, self.cell, layout, self.roles, weights, self.containers, self.sizes,
                    open_readings, self.constructor, labels, target_labels, one_column,
                    self.way.backward.is_step, last_only, *self._written(layout), self.apart,
                    self._without_features(layout), shared,
                )  # fmt: skip
                made.append(plan)
        return made

    def _pass_no_other_start(self) -> None:
        """Let functions take the initial state that is learned, where another one may be passed."""
        learned = {quantity[0] for quantity in self.starts.values()}
        optional = {(entry.name, name) for _, entry in self.way.parts for name in entry.optional}
        for key, role in list(self.roles.items()):
            if role in learned and key in optional:
                self.roles[key] = "default"
            elif role in learned and key[0] == _GLOBAL and key[1] in self.starts:
                del self.roles[key]

    def _shared(self) -> list[frozenset[str]]:
        """Return which states may begin alike in all sequences: those that are learned, or repeated; in a
        container that is passed there may be one for each sequence.
        """
        held = {n for _, inside in self.containers.values() for n in inside}
        learned = {quantity[0] for quantity in self.starts.values()}
        repeated = {
            state for name, state in [
                *((n, role) for (_, n), role in self.roles.items() if role in ("a", "c")),
                *((n, quantity[0]) for n, quantity in self.starts.items()),
            ] if usage.repeated(name, self.functions)
        }  # fmt: skip
        alike, open_ones = frozenset(learned | repeated), held & self.starts.keys()
        apart = alike - {self.starts[n][0] for n in open_ones} | repeated
        return list(dict.fromkeys((alike, apart)))

    def _with_starts(self, weights: dict[str, str]) -> dict[str, str]:
        """Return weights with the initial states that are learned, in the order in which they are held."""
        found = {**weights, **self.starts}
        held = [n for _, inside in self.containers.values() for n in inside if n in found]
        return {n: found[n] for n in dict.fromkeys([*held, *found])} if self.starts else weights

    def _may_be_last(self) -> bool:
        """Return whether targets, or gradients from above, are nowhere taken step by step."""
        starts = ("y", "dz_y", "upstream")
        names = {name for (_, name), role in self.roles.items() if role in starts}
        step_by_step = any(usage.goes_through(name, self.functions) for name in names)
        return bool(names) and not step_by_step and not self.way.backward.is_step

    def _roles(self) -> Iterator[tuple[tuple[str, str], str]]:
        results: list[str] = []
        known: dict[str, str] = {}
        entries_in_order = [e for _, e in self.way.parts]
        for entry in (
            [self.constructor, *entries_in_order] if self.constructor else entries_in_order
        ):
            first = entry is self.constructor or entry is entries_in_order[0]
            found = {
                name: arguments.role(name, entry, self.cell, results, first)
                if name in results or known.get(name, "").split(" ")[0] not in _KEPT
                else known[name]
                for name in entry.arguments
            }
            filled = self._from_loss(entry, self._filled(entry, found, first))
            known = {**filled, **known}
            yield from (((entry.name, n), r) for n, r in filled.items())
            if entry is not self.constructor:
                results += self._results(entry)
        yield from self._global_roles()

    def _filled(self, entry: Entry, found: dict[str, str], first: bool) -> dict[str, str]:
        """Decide about arguments without a meaning: they have a default, are unused, or are x."""
        used = {n.id for f in entry.node.body for n in ast.walk(f) if isinstance(n, ast.Name)}
        for name, role in found.items():
            if not role and name in entry.optional:
                found[name] = "default"
            elif not role and name not in used:
                found[name] = "unused"
        missing = [name for name, role in found.items() if not role]
        if missing and entry is self.constructor:
            known = {name: role for name, role in found.items() if role}
            make = self.namespace[entry.owner]
            sizes = sizes_by_use(missing, known, make, self.cell, self.own)
            found, missing = found | sizes, [name for name in missing if name not in sizes]
        if missing and first and entry is not self.constructor and "x" not in found.values():
            found[missing.pop(0)] = "x"
        if len(missing) == 1 and self._lacks_bias(found):
            name = missing.pop()
            found[name] = f"weight {name}"
        if len(missing) == 1 and (role := self._start_of_backward(entry, missing[0], found)):
            found[missing.pop()] = role
        if missing:
            raise _NotAPlanError(f"the argument {missing[0]} of {entry.name} was not understood")
        return found

    def _lacks_bias(self, found: Mapping[str, str]) -> bool:
        """Whether arguments are weights, the output's among them, and none is its bias."""
        words = [role.split()[1] for role in found.values() if role.startswith("weight ")]
        meant = {q for word in words for q in meanings(word, self.cell)[:1]}
        return "W_ya" in meant and "b_y" not in meant

    def _from_loss(self, entry: Entry, found: dict[str, str]) -> dict[str, str]:
        """Where the loss gives its gradient too, that is what the backward starts from."""
        loss = self.way.loss
        if entry is not self.way.backward or loss is None or len(returned(loss.node).names) != 2:
            return found
        name = returned(loss.node).names[1] or unnamed(loss.name, 1)
        starts = ("dz_y", "upstream")
        return {n: f"result {name}" if role in starts else role for n, role in found.items()}

    def _start_of_backward(self, entry: Entry, name: str, found: dict[str, str]) -> str:
        """Return what the only argument without a meaning is: targets, a gradient from above, or what
        the forward gave.
        """
        if entry is self.constructor:
            return ""
        if {"y", "dz_y", "upstream"} & set(found.values()):  # what the forward gave, without a name
            after = entry is self.way.backward or entry is self.way.loss
            return "cache" if after and self.way.forward else ""
        if entry is self.way.backward and self.way.forward and name.lower().startswith(("d", "g")):
            return "upstream"
        takes = entry.is_loss or entry is self.way.backward
        return "y" if takes and arguments.is_array(name, entry.closure) else ""

    def _results(self, entry: Entry) -> list[str]:
        """Return the names under which results come back: those returned, and keys of dictionaries."""
        keys = [
            k.value for f in entry.closure for n in ast.walk(f) if isinstance(n, ast.Dict)
            for k in n.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)
        ]  # fmt: skip
        how = returned(entry.node)
        inside = [n for names in how.inner.values() for n in names if not arguments.is_cache(n)]
        return [name for name in (*how.names, *inside) if name] + keys

    def _global_roles(self) -> Iterator[tuple[tuple[str, str], str]]:
        """Yield what the globals of a script, or of functions, are: inputs, targets and initial states."""
        loaded = set().union(*map(_read_from_outside, self.functions))
        filled = {last_word(n.func.value) for f in self.functions for n in ast.walk(f)
                  if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
                  and n.func.attr in ("append", "insert", "extend")}  # fmt: skip
        arrays = [
            name for name in loaded & set(self.namespace)
            if isinstance(self.namespace[name], np.ndarray | list) and name not in filled
        ]  # fmt: skip
        roles = {
            name: arguments.role(name, self.way.backward, self.cell, [], True)
            for name in sorted(arrays)
        }
        roles = {
            n: "" if r.startswith("size ") else r for n, r in roles.items()
        }  # an array is none
        if self.way.backward.name == SCRIPT:
            self._by_elimination(roles)
        yield from (((_GLOBAL, n), r) for n, r in roles.items() if r in ("x", "y", "a", "c"))

    def _by_elimination(self, roles: dict[str, str]) -> None:
        """Give a script's arrays without a meaning that of what is missing: inputs are read before targets.

        Raises _NotAPlanError where there are no targets, for nothing else can start its backward pass.
        """
        missing = [role for role in ("x", "y") if role not in roles.values()]
        names = [n for n in ast.walk(self.way.backward.node) if isinstance(n, ast.Name)]
        read = [n.id for n in sorted(names, key=lambda n: (n.lineno, n.col_offset))]
        weights = set(self._multiplied(roles))
        unknown = sorted((n for n in roles if not roles[n] and np.size(self.namespace[n]) > 1
                          and n not in weights), key=read.index)  # fmt: skip
        if len(missing) == len(unknown):
            roles |= zip(unknown, missing, strict=True)
        elif "y" in missing:
            what = {"x": "inputs", "y": "targets"}
            raise _NotAPlanError(
                f"nothing was recognised as the {' and the '.join(what[role] for role in missing)}"
            )

    def _multiplied(self, names: Iterable[str]) -> Iterator[str]:
        """Yield a script's matrices that are multiplied with a state, or with another weight's inputs."""
        pairs = list(usage.products(self.functions))
        for name in names:
            beside = [other for pair in pairs for one, other in (pair, pair[::-1])
                      if last_word(one) == name and not _is_sliced(one)]  # fmt: skip
            if np.ndim(self.namespace[name]) == 2 and any(map(self._side, beside)):
                yield name

    def _containers(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return, for arguments that hold weights, how and under which names."""
        found = {}
        for (_, name), role in self.roles.items():
            if role == "parameters":
                kind = arguments.holds_weights(name, self.functions, self.cell)
                kind = kind or ("tuple" if self._unpacked(name) else "dict")
                found[name] = (kind, tuple(self._held(name, kind)))
        longest = max(found.values(), key=lambda held: len(held[1]), default=("dict", ()))
        return {name: held if held[1] else longest for name, held in found.items()}

    def _held(self, name: str, kind: str) -> list[str]:
        if kind == "dict":
            names = arguments.keys(name, self.functions, self.namespace)
        elif kind == "tuple":
            names = self._unpacked(name)
        else:
            names = objects.attributes(name, self.functions, self.namespace)
        return [n for n in dict.fromkeys(names) if n[:1] != "_"]

    def _unpacked(self, name: str) -> list[str]:
        """Return the names that a tuple of weights is taken apart into: those that say so, or any."""
        known_as = flow.aliases(name, self.functions)
        several: list[str] = []
        for f in self.functions:
            for node in ast.walk(f):
                if not isinstance(node, ast.Assign) or last_word(node.value) not in known_as:
                    continue
                if names := arguments.unpacked(node, self.cell):
                    return names
                target = node.targets[0]
                if isinstance(target, ast.Tuple | ast.List) and last_word(node.value) == name:
                    several = several or [last_word(e) for e in target.elts]
        return several if len(several) > 2 and all(several) else []

    def _means_weight(self, word: str) -> bool:
        return any(is_parameter(q) for q in meanings(word, self.cell)[:1])

    def _weights(self) -> dict[str, str]:
        """Return every name under which their code finds a weight, with what it stands for."""
        names = [n for _, held in self.containers.values() for n in held]
        names += [role.split()[1] for role in self.roles.values() if role.startswith("weight ")]
        loaded = {n.id for f in self.functions for n in ast.walk(f) if isinstance(n, ast.Name)}
        names += [n for n, v in self.namespace.items() if n in loaded and isinstance(v, np.ndarray)]
        if self.constructor is not None:
            names += self._attributes()
        kept = [self.namespace[n] for n in loaded if type(self.namespace.get(n)) is dict]
        names += [key for held in kept for key in held if isinstance(key, str)]
        split, shaped = self._split_up(loaded), self._by_shape()
        apart = {
            word for held in split for word in (held.key, held.path.split(".")[-1].rstrip("[]"))
        }
        names = [n for n in names if n not in apart]
        held = [n for _, inside in self.containers.values() for n in inside]
        held += [role.split()[1] for role in self.roles.values() if role.startswith("weight ")]
        held = [n for n in held if n not in self.starts]
        if self.way.backward.name == SCRIPT:
            arrays = [n for n in names if not self._means_weight(n)]
            held += self._multiplied(n for n in arrays if (_GLOBAL, n) not in self.roles)
        unknown = [n for n in dict.fromkeys(held) if not self._means_weight(n)]
        names = [n for n in dict.fromkeys(names) if self._means_weight(n) or n in unknown]
        known = {n: q for n in names if (q := self._by_use(n))}
        chosen = resolve(names, self.cell, known | self._agreed(names, shaped))
        unknown = [n for n in unknown if n not in chosen]
        if len(unknown) == 1 and "W_ya" in chosen.values() and "b_y" not in chosen.values():
            chosen[unknown[0]] = "b_y"
        elif len(unknown) == 1 and self.cell == "gru" and {"b_c", "b_y"} <= set(chosen.values()):
            chosen[unknown[0]] = "b_ca"  # where the reset acts after the product
        chosen = {n: chosen[n] for n in names if n in chosen} | self._known(split)
        chosen |= {n: q for n, q in shaped.items() if not meanings(n, self.cell)}
        no_sizes = (n for n in unknown if len(n) == 1 or not arguments.size_meaning(n))
        self.unknown = [n for n in no_sizes if n not in chosen]
        return self._of_the_rest(chosen)

    def _learned_starts(self) -> Iterator[tuple[str, str]]:
        """Yield what is held among the weights and is an initial state, with its quantity: of an object or
        a global it has to have a gradient, for else it may be anything that is kept.
        """
        held = [n for _, inside in self.containers.values() for n in inside]
        stored = {word for f in self.way.functions for word in stored_words(f)}
        outside = set().union(*map(_read_from_outside, self.functions))
        own: dict[str, Any] = {n: v for n, v in self.namespace.items() if n in outside}
        if (instance := self._made(vocabulary=True)) is not None:
            own |= {h.key: h.value for h in inside("self", instance)}
        for name in dict.fromkeys([*held, *own]):
            quantity = next(iter(meanings(name, self.cell)), "")
            words = {word.lower().replace("_", "") for word in stored}
            learned = bool(gradient_words(name) & words) or (name in stored and name not in outside)
            if quantity in STARTS and (name in held or (learned and _is_vector(own[name]))):
                yield name, quantity

    def _of_the_rest(self, chosen: dict[str, str]) -> dict[str, str]:
        """Return what weights of several gates stand for beside those of single ones: the gates that are left."""
        gates, kinds = GATES[self.cell], {"W": "", "W_h": "a", "W_x": "x", "b": "b"}
        alone = {q for q in chosen.values() if q not in kinds}
        apart = {part for quantity in alone for part in parts(quantity, self.cell)}
        found = dict(chosen)
        for name, quantity in chosen.items() if self.cell != "rnn" else ():
            if (kind := kinds.get(quantity)) is not None:
                left = [
                    g for g in gates if not {*parts(group(g, self.cell, kind), self.cell)} & apart
                ]
                found[name] = group(left, self.cell, kind) if len(left) > 1 else quantity
        return found

    def _agreed(self, names: Iterable[str], shaped: Mapping[str, str]) -> dict[str, str]:
        """Return what names with several meanings stand for, by the shape of what they hold."""
        return {n: shaped[n] for n in names if shaped.get(n) in meanings(n, self.cell)[1:]}

    def _known(self, split: list[Held]) -> dict[str, str]:
        """Return what each of the arrays of gates, or layers, stands for: by its shape, or by its name."""
        self.apart = frozenset(held.word for held in split)
        words = {
            held.word: by_shape(held.word, held.value.shape, self.cell, self.own) for held in split
        }
        named = resolve([w for w, q in words.items() if not q], self.cell, {})
        return {w: q or named[w] for w, q in words.items() if q or w in named}

    def _split_up(self, loaded: Iterable[str]) -> list[Held]:
        """Return the arrays that are known only together with what holds them, in the order of making."""
        found = [] if self.instance is None else split_up("self", self.instance, self.cell)
        for name, root in roots(self.namespace).items():
            if name in loaded and root is not self.instance:
                found += split_up(name, root, self.cell)
        return found

    def _by_shape(self) -> dict[str, str]:
        """Return what the arrays of their object that the forward reads are by their shapes."""
        functions = self.way.forward.closure if self.way.forward else self.functions
        read = {n.attr for f in functions for n in ast.walk(f)
                if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}  # fmt: skip
        kept = {} if self.instance is None else vars(self.instance)
        shaped = {n: by_shape(n, kept[n].shape, self.cell, self.own)
                  for n in kept if n in read and isinstance(kept[n], np.ndarray)}  # fmt: skip
        return {n: q for n, q in shaped.items() if q}

    def _made(self, vocabulary: bool = False) -> Any:
        """Return an object of their class with sizes that all differ, None where it cannot be made; with
        `vocabulary` also where one of them is that.
        """
        if self.constructor is None:
            return None
        roles = {
            n: self.roles.get((self.constructor.name, n), "") for n in self.constructor.arguments
        }
        sizes = {**self.own, **({"vocabulary": self.own["n_x"]} if vocabulary else {})}
        return made_with(roles, self.namespace[self.way.owner], sizes)

    def _attributes(self) -> list[str]:
        """Return the attributes of the object, and the keys of its dictionaries, that may be weights."""
        found = []
        for f in self.functions:
            for n in ast.walk(f):
                of_self = isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "self"
                if of_self or isinstance(n, ast.Subscript):
                    found.append(last_word(n))
                elif isinstance(n, ast.Dict):
                    found += [
                        k.value
                        for k in n.keys
                        if isinstance(k, ast.Constant) and isinstance(k.value, str)
                    ]
        return [*found, *self._shared_names()]

    def _shared_names(self) -> list[str]:
        """Return what functions share that one function makes, by the names that they read it under."""
        if self.constructor is None or not self.constructor.maker:
            return []
        made = self.constructor.node
        bound = {*self.constructor.arguments, *(w for w in stored_words(made))}
        read = [n for f in self.way.functions for n in sorted(_read_from_outside(f))]
        kept = inside("self", self.instance) if self.instance is not None else ()
        keys = [held.key for held in kept if isinstance(held.value, np.ndarray)]
        return [*(n for n in read if n in bound), *keys]

    def _by_use(self, name: str) -> str:
        """Return what a name with several meanings stands for, by what it is multiplied with."""
        options = [q for q in meanings(name, self.cell) if is_parameter(q)]
        if len(options) < 2:
            return ""
        for first, second in usage.products(self.functions, indexed=True):
            for weight, other in ((first, second), (second, first)):
                if _is_sliced(weight):
                    continue  # some columns of [W_ca W_cx]: the whole is both
                if last_word(weight) == name and (side := self._side(other)):
                    fitting = [q for q in options if q[-1] in side and len(q) > 1]
                    of_all = {"W_h", "W_x"} & set(fitting)
                    return "" if of_all and len(fitting) > 1 else next(iter(fitting), "")
        return ""

    def _side(self, other: ast.expr) -> str:
        words = meanings(last_word(other), self.cell)
        if self.roles.get((_GLOBAL, last_word(other))) == "x":
            return "x"
        if "x" in words:
            return "x"
        return "ah" if {"a", "a_prev", "a0", "a_reset"} & set(words[:1]) else ""

    def _sizes(self) -> dict[str, str]:
        """Return the globals that are sizes, by name or by the shapes of their own weights."""
        loaded = {n.id for f in self.functions for n in ast.walk(f) if isinstance(n, ast.Name)}
        found = {}
        for name in loaded:
            value = self.namespace.get(name)
            meaning = arguments.size_meaning(name)
            if meaning and isinstance(value, int) and not isinstance(value, bool):
                found[name] = meaning
        return found

    def _written(self, layout: Layout) -> tuple[dict[str, int], str]:
        """Return which of their own sizes stand in the code as numbers, or are those of arrays that are
        made beforehand; and, in a sentence, where such a number may be several of them.
        """
        own, fixed = self._own_sizes(layout), self._one_output()
        fixed |= {"n_x": 1} if "x" in self._without_features(layout) else {}
        written = usage.written_sizes(self.functions, self._other_numbers(own))
        for n, where in (*written, *self._made_beforehand()):
            names = {name for name, size in own.items() if size == n}
            if len(names) > 1 and names != {"n_x", "n_y"}:  # which no array has both
                return {}, (
                    f"{where} has the size {n}, and {' and '.join(sorted(names))} are all {n} there, so "
                    "that it cannot be run with sizes that differ"
                )
            fixed |= dict.fromkeys(names, n)
        return fixed, ""

    def _other_numbers(self, own: Mapping[str, int]) -> dict[str, int]:
        """Return the globals that are numbers and whose names say no size: they keep their value, so that
        what is made with them does. A multiple of n_a stands for it, as `H4 = 4 * H` does.
        """
        n_a, gates = own.get("n_a", 0), len(GATES[self.cell])
        several = {gates * n_a, n_a + own.get("n_x", 0)} - set(own.values())
        return {
            name: n_a if value in several else value for name, value in self.namespace.items()
            if type(value) is int and name not in self.sizes
        }  # fmt: skip

    def _one_output(self) -> dict[str, int]:
        """Return that there is one output where the weights that they make have no more."""
        held: dict[str, Any] = dict(self.namespace)
        for name, root in (("self", self.instance), *roots(self.namespace).items()):
            for one in inside(name, root) if root is not None else ():
                held |= {one.key: one.value, one.word: one.value}
        outputs = [held.get(name) for name, q in self.weights.items() if q == "W_ya"]
        single = any(isinstance(w, np.ndarray) and w.ndim == 2 and 1 in w.shape for w in outputs)
        return {"n_y": 1} if single else {}

    def _without_features(self, layout: Layout) -> frozenset[str]:
        """Return "x" or "y" where a script's own array has no axis for features, for there is only one."""
        one = {name for name, n in self._own_sizes(layout).items() if n == 1} | set(
            self._one_output()
        )
        axes = len(layout.axes.split()) - 1
        return frozenset(
            role for (of, name), role in self.roles.items()
            if of == _GLOBAL and f"n_{role}" in one and not self._integers(role)
            and isinstance(self.namespace[name], np.ndarray) and self.namespace[name].ndim == axes
        )  # fmt: skip

    def _made_beforehand(self) -> Iterator[tuple[int, str]]:
        """Yield the sizes of a script's arrays, and of those in lists, that are no weights or inputs."""
        if self.way.backward.name != SCRIPT:
            return
        loaded = {n.id for f in self.functions for n in ast.walk(f) if isinstance(n, ast.Name)}
        given = {name for owner, name in self.roles if owner == _GLOBAL} | set(self.weights)
        for name in sorted((loaded & set(self.namespace)) - given):
            value = self.namespace[name]
            for array in value if isinstance(value, list) else [value]:
                if isinstance(array, np.ndarray):
                    yield from ((n, name) for n in array.shape if n > 1)

    def _own_sizes(self, layout: Layout) -> dict[str, int]:
        """Return the sizes of the weights and inputs that are globals, or made without any argument."""
        held = dict(self.namespace)
        for inner in (v for v in self.namespace.values() if type(v) is dict):
            held |= {key: value for key, value in inner.items() if isinstance(key, str)}
        if self.constructor is not None and not self.constructor.arguments:
            with restored(), contextlib.suppress(Exception):
                held |= vars(made_by(self.namespace[self.way.owner], {}))
        found: dict[str, int] = {}
        for name, quantity in self.weights.items():
            if isinstance(value := held.get(name), np.ndarray) and is_parameter(quantity):
                axes = entry_of(quantity).shape.split()
                found |= zip(axes, layout.legend(quantity, value).shape, strict=False)
        for (of, name), role in self.roles.items():
            inputs: Any = held.get(name)
            if of == _GLOBAL and role == "x" and np.ndim(inputs) == len(layout.axes.split()):
                axes = layout.axes.replace("n", "n_x").split()
                found |= zip(axes, np.shape(inputs), strict=True)
        return {name: n for name, n in found.items() if name in ("n_x", "n_a", "n_y", "m", "T")}

    def _integers(self, role: str) -> bool:
        names = [name for (_, name), r in self.roles.items() if r == role]
        return any(usage.indexes(name, self.functions) for name in names)

    def _layouts(self, labels: bool, likely: bool) -> Iterator[tuple[Layout, bool]]:
        """Yield layouts, each with whether there is a single column only."""
        starts = ("x", "y", "dz_y", "upstream")
        inputs = {name for (_, name), role in self.roles.items() if role in starts}
        found = usage.layouts(self.way, self.cell, inputs, likely, self._made_transposed())
        single = [
            Layout("T n m", False, "n 1"),
            Layout("T n", False, "n"),
            Layout("n T", False, "n 1"),
        ]
        if labels and not any(_has_batch(f) for f in self.functions):
            columns = self._has_columns()
            single.sort(key=lambda layout: ("m" in layout.axes) != columns)
            yield from ((layout, True) for layout in single if likely)
            return
        several = [(layout, self._own_column(layout)) for layout in found]
        if likely and not any(_has_batch(f) for f in self.functions):
            several += [(layout, True) for layout in found if layout.axes[0] == "T"]
            several += [(layout, True) for layout in single]
        unlike: dict[Any, tuple[Layout, bool]] = {}
        for layout, one in several:  # of single steps only the axes of one step count
            axes = layout.step if self.way.backward.is_step else layout.axes
            unlike.setdefault((axes, layout.bias, layout.transposed, one), (layout, one))
        yield from unlike.values()

    def _made_transposed(self) -> list[bool]:
        """Return, where their object tells by its shapes, whether input weights are (n_x, n_a)."""
        kept = inside("self", self.instance) if self.instance is not None else ()
        found = set()
        for held in kept:
            quantity = self.weights.get(held.word) or self.weights.get(held.key, "")
            if quantity[:2] == "W_" and parts(quantity, self.cell) == [quantity]:
                shape = tuple(self.own[n] for n in entry_of(quantity).shape.split())
                if shape[0] != shape[1] and np.shape(held.value) in (shape, shape[::-1]):
                    found.add(np.shape(held.value) != shape)
        return list(found) if len(found) == 1 else []

    def _has_columns(self) -> bool:
        """Return whether vectors are columns (n, 1): those of their own, or those that are made."""
        loaded = {n.id for f in self.functions for n in ast.walk(f) if isinstance(n, ast.Name)}
        own = [np.shape(v) for n in loaded if isinstance(v := self.namespace.get(n), np.ndarray)]
        return any(s[1:] == (1,) for s in own) or usage.makes_columns(self.functions)

    def _own_column(self, layout: Layout) -> bool:
        """Return whether their own inputs have one column in this layout."""
        axes = (layout.step if self.way.backward.is_step else layout.axes).split()
        own = [np.shape(v) for n, v in self.namespace.items()
               if isinstance(v, np.ndarray) and meanings(n, self.cell)[:1] == ("x",)]  # fmt: skip
        own = [shape for shape in own if len(shape) == len(axes)]
        return bool(own) and "m" in axes and all(shape[axes.index("m")] == 1 for shape in own)


def _is_vector(value: Any) -> bool:
    """Return whether an array has one number for each unit."""
    shape = np.shape(value)
    return len(shape) == 1 or (len(shape) == 2 and 1 in shape)


def _read_from_outside(f: ast.FunctionDef) -> set[str]:
    """Return the names that a function reads and neither takes nor assigns; all of a script's."""
    read = {n.id for n in ast.walk(f) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    if f.name == SCRIPT:
        return read
    own = {a.arg for n in ast.walk(f) if isinstance(n, ast.arguments)
           for a in (*n.posonlyargs, *n.args, *n.kwonlyargs)}  # fmt: skip
    return read - own - stored_names(f)


def _has_batch(f: ast.FunctionDef) -> bool:
    names = {n.id for n in ast.walk(f) if isinstance(n, ast.Name)} | {a.arg for a in f.args.args}
    return any(arguments.size_meaning(n) == "m" for n in names if n not in ("b", "n"))


def _constructor(way: Way, made: list[Entry]) -> Entry | None:
    if not way.owner:
        return None
    if made:
        return made[0]
    empty = ast.parse("def __init__(self): pass").body[0]
    assert isinstance(empty, ast.FunctionDef)
    return Entry(empty, way.owner, (empty,))


def _is_sliced(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and any(
        isinstance(n, ast.Slice) for n in ast.walk(node.slice)
    )
