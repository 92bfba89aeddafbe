"""Sampling: the symbols drawn from weights that leave no choice, against those of a right sampler."""

import ast
import copy
import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.cells import rnn
from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.given import generator
from unrolled.checking.procedures.iterations import Iteration, parameters_in
from unrolled.checking.procedures.roles import Function, called, is_parameter
from unrolled.checking.procedures.running import Program, Training, initial, make
from unrolled.checking.procedures.sampled_steps import wrong_step
from unrolled.checking.procedures.tracing import Trace, leaves, named, quiet
from unrolled.checking.report import Cause, Finding
from unrolled.outputs import OUTPUT_LAYER

Array = Any
Arrays = dict[str, Any]

LENGTH, TRIALS = 8, 6
_MARGIN = 25.0  # of the first logit above the second: the other symbols are never drawn


@dataclasses.dataclass(frozen=True)
class Weights:
    """The parameters of a plain network by the legend's names and in its layout.

    `names` are theirs and `shapes` theirs too, by their names; `rows` says that they are transposed.
    """

    values: dict[str, Array]
    names: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    rows: bool

    def theirs(self, parameters: dict[str, Array]) -> dict[str, Array]:
        """Return parameters by their names and in their layout."""
        turned = {self.names[n]: v.T if self.rows else v for n, v in parameters.items()}
        return {n: v.reshape(self.shapes[n]) for n, v in turned.items()}


@dataclasses.dataclass(frozen=True)
class Sampler:
    """A way to draw: how logits come of both states, what is fed back, which state is carried."""

    id: str = ""
    message: str = ""
    about: str = "W_ya"  # the weights on whose line it is
    logits_of: str = "a"
    carried: bool = True
    fed: str = "drawn"
    off: int = 0  # of what is drawn
    shown: int = 0  # of what is returned, and not of what is fed back
    sign: int = 1
    begins: str = "first"  # "symbol 0", or "zeros", whatever first symbol is given
    without: tuple[str, ...] = ()
    activation: Callable[[Array], Array] = np.tanh


RIGHT = Sampler()
VARIANTS = (
    Sampler("logits_of_previous", "the logits are computed from a⟨t−1⟩, not from a⟨t⟩", logits_of="a_prev"),
    Sampler("state_not_carried", "the state is not carried on: every symbol is drawn as if it were the first",
            "W_aa", carried=False),
    Sampler("not_fed_back", "the symbol drawn is not fed back: every step has the first input", "W_ax", fed="first"),
    Sampler("nothing_fed_back", "the symbol drawn is not fed back: after the first step the input is zero", "W_ax",
            fed="zero"),
    Sampler("late", "the symbol fed back is that of the step before", "W_ax", fed="late"),
    Sampler("all_fed_back", "the input keeps the ones of all symbols drawn before", "W_ax", fed="all"),
    Sampler("nothing_goes_on", "neither the state nor the symbol drawn goes on to the next step", "W_aa",
            carried=False, fed="first"),
    Sampler("one_above", "the symbol is one too high: the index counts from 1", "draw", off=1),
    Sampler("one_below", "the symbol is one too low", "draw", off=-1),
    Sampler("shown_above", "the symbol returned is one above the symbol drawn", "draw", shown=1),
    Sampler("shown_below", "the symbol returned is one below the symbol drawn", "draw", shown=-1),
    Sampler("least", "the least probable symbol is drawn", "draw", sign=-1),
    Sampler("first_unused", "the first symbol that is given is not used: it begins from symbol 0", "W_ax", begins="symbol 0"),
    Sampler("first_left_out", "the first symbol that is given is not used: the first input is zero", "W_ax", begins="zeros"),
    Sampler("no_b_y", "the bias b_y is not added to the logits", without=("b_y",)),
    Sampler("no_b_a", "the bias b_a is left out of the state", "W_aa", without=("b_a",)),
    Sampler("no_W_aa", "the state before is left out of the state", "W_aa", without=("W_aa",)),
    Sampler("no_W_ax", "the input is left out of the state", "W_ax", without=("W_ax",)),
    Sampler("no_tanh", "the state is z_a, without tanh", "W_aa", activation=lambda z: z),
)  # fmt: skip


def draw(
    how: Sampler, parameters: Arrays, first: int | None, state: Array, length: int = LENGTH
) -> list[int]:
    """Return the symbols drawn one by one, up to the first step where more than one is likely.

    `first` is the first input, None for a column of zeros; state is (n_a, 1).
    """
    held = {n: v * 0 if n in how.without else v for n, v in parameters.items()}
    n_x, n_y = held["W_ax"].shape[1], held["W_ya"].shape[0]
    start = np.zeros((n_x, 1)) if first is None else np.eye(n_x)[:, [first]]
    a_prev, x, drawn = state, start, list[int]()
    cell = {n: held[n] for n in ("W_aa", "W_ax", "b_a")}
    step: Callable[..., Arrays] = rnn.forward
    for _ in range(length):
        a = step(x, a_prev, **cell, g=how.activation)["a"]
        seen = a if how.logits_of == "a" else a_prev
        z_y = OUTPUT_LAYER.forward(seen, held["W_ya"], held["b_y"])["z_y"].ravel() * how.sign
        order = np.argsort(z_y)
        if z_y[order[-1]] - z_y[order[-2]] < _MARGIN:
            break
        drawn.append((int(order[-1]) + how.off) % n_y)
        x = _next(how.fed, x, start, drawn)
        a_prev = a if how.carried else a_prev
    return [(symbol + how.shown) % n_y for symbol in drawn]


def _next(fed: str, x: Array, start: Array, drawn: list[int]) -> Array:
    eye = np.eye(len(start))
    if fed == "first":
        return start
    if fed == "zero":
        return start * 0
    if fed == "late":
        return eye[:, [drawn[-2]]] if len(drawn) > 1 else start
    new = eye[:, [drawn[-1]]]
    return np.maximum(x, new) if fed == "all" else new


def examine_sampling(
    program: Program, training: Training | None, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with their samplers, or that they draw from the right distribution."""
    proved = "draws each symbol from the state after the one before"
    examined.examine(
        program.having("sample"), lambda f: _any_way(program, f, training, done), proved
    )


def _any_way(
    program: Program, function: Function, training: Training | None, done: list[Iteration]
) -> Finding | str | None:
    """The outcome where arguments whose names say nothing are the first symbol or the length; right, if one is."""
    roles = {n: program.role(n) for n in function.arguments}
    unknown = [n for n, role in roles.items() if not role and not is_parameter(n)]
    missing = [r for r in ("first", "length", "stop", "temperature") if r not in roles.values()]
    if not 0 < len(unknown) <= min(2, len(missing)):
        return _outcome(program, function, training, done)
    kept, outcomes = program.way, list[Finding | str]()
    for may in itertools.permutations(missing, len(unknown)):
        guess = dict(zip(unknown, may, strict=True))
        program.way = dataclasses.replace(kept, roles=kept.roles | guess)
        try:
            found = _outcome(program, function, training, done)
        except Exception as error:  # it is called with what it does not take
            found = str(error)
        if found is None:
            return None
        outcomes.append(found)
        program.way = kept
    return next((o for o in outcomes if not isinstance(o, str)), outcomes[0])


def _outcome(
    program: Program, function: Function, training: Training | None, done: list[Iteration]
) -> Finding | str | None:
    run = _Runner(program, function, training, done)
    if run.weights is None:
        return "its weights are not those of a plain network with one layer"
    try:
        trials = list(run.trials())
    except ValueError:
        found = _stops(program, function, run)
        if found:
            return found
        raise
    if len(trials) < TRIALS:
        return "it draws no symbols that could be read"
    how = next((h for h in (RIGHT, *VARIANTS) if _fits(h, run, trials)), None)
    if how is RIGHT:
        return _repeats(program, function, run) or wrong_step(program, function, *run.watched())
    if how:
        return _finding(program, function, run.weights, how)
    if run.ignores_weights(trials):
        message = "the symbols drawn do not depend on the weights: the probabilities are not used"
        return _finding(program, function, run.weights, Sampler("unused", message, "draw"))
    found = _repeats(program, function, run) or wrong_step(program, function, *run.watched())
    if found:
        return found
    return "no known way of drawing gives its symbols"


def _fits(how: Sampler, run: "_Runner", trials: list["Trial"]) -> bool:
    """Whether a way to draw gives the symbols of every run."""
    begun = how.begins == "zeros" and any(t.drawn[:1] == [t.first] for t in trials)
    if begun or (how.begins != "first" and not run.begins):
        return False
    agreed = [t.agrees(how, run.begins) for t in trials]
    return None not in agreed and sum(a or 0 for a in agreed) >= 2 * TRIALS


def _stops(program: Program, function: Function, run: "_Runner") -> Finding | None:
    """A finding where NumPy refuses what a sampler takes for probabilities, with weights of usual size."""
    assert run.weights is not None
    trace, _, _ = run.watched()
    if "probabilities" not in trace.stopped.lower() or function.name not in dict(trace.failed):
        return None
    n = len(run.weights.values["b_y"])
    lines = sorted(trace.lines, key=lambda x: x.end)
    sizes = (
        v for x in lines for p, v in x.after.items() if v.size == n and x.before.get(p) is not v
    )
    last = [v for v in sizes if np.isfinite(v).all() and np.any(v % 1)]
    ones = [x.line for x in lines for v in x.after.values() if v.size == n and np.all(v == 1)]
    line = dict(trace.failed)[function.name]
    if ones:
        message = (
            f"it stops ({trace.stopped}): each entry is divided by itself, so that all are 1: the sum is "
            "taken along the axis of length 1"
        )
        return finding(program, "sample", function.name, ones[0], exact("softmax_axis", message))
    positive = last and np.all(last[-1] >= 0)
    message = f"it stops: {trace.stopped}"
    cause = exact("not_normalised", f"{message}; their sum is {last[-1].sum():.4g}") if positive else (
        Cause("stops", "pattern", message))  # fmt: skip
    return finding(program, "sample", function.name, line, cause)


@dataclasses.dataclass
class Trial:
    """One run of their sampler on weights that leave no choice."""

    parameters: dict[str, Array]
    first: int
    state: Array
    drawn: list[int]

    def agrees(self, how: Sampler, first: bool) -> int | None:
        """How many symbols a way to draw gives as they were drawn, None where one is another.

        Their list may begin with the first input.
        """
        length, n = len(self.drawn), len(self.parameters["b_y"])
        begin = {"first": self.first, "symbol 0": 0, "zeros": None}[how.begins] if first else None
        expected = draw(how, self.parameters, begin, self.state, length)
        drawn = [symbol % n for symbol in self.drawn]
        for right in (expected, [self.first, *expected][:length]):
            if drawn[: len(right)] == right:
                return len(right)
        return None


class _Runner:
    """Runs their sampler with weights of our choice, wherever it takes them from."""

    def __init__(
        self, program: Program, function: Function, training: Training | None, done: list[Iteration]
    ):
        self.program, self.function = program, function
        self.namespace = training.namespace if training else program.fresh()
        self.owner = None
        self.begins = any(program.role(n) == "first" for n in function.arguments)
        if function.owner:
            self.owner = make(program, self.namespace, function.owner)
        made = initial(program, self.namespace).get("parameters")
        self.like = _container(program, done[0]) if done else None
        made = made if isinstance(made, dict) or not done else None
        self.keys = done[0].keys if done and self.like is not None else {}
        held = made if made else vars(self.owner) if self.owner else self.namespace
        found = parameters_in(program, leaves(held, ("parameters",) if made else ()))
        found = done[0].parameters if done and not made else found
        self.weights = recognised(found)

    def trials(self) -> Iterator[Trial]:
        """Yield runs on weights where the right symbols leave no doubt."""
        assert self.weights is not None
        count = 0
        for seed in range(2000):
            if count == TRIALS:
                return
            parameters = sharp(self.weights.values, seed)
            n_a, n_x = parameters["W_ax"].shape
            first, state = seed % n_x, np.zeros((n_a, 1))
            right = draw(RIGHT, parameters, first if self.begins else None, state)
            never = set(range(n_x)) - set(right)
            if never and len(right) == LENGTH and len(set(right)) > 2:
                drawn = self._run(parameters, first, seed, min(never))
                if drawn:
                    count += 1
                    yield Trial(parameters, first, state, drawn)

    def ignores_weights(self, trials: list[Trial]) -> bool:
        """Whether other weights give the same symbols where the random numbers are the same."""
        runs = [self._run(t.parameters, 0, 1, len(t.parameters["b_y"]) - 1) for t in trials]
        return all(run and run == runs[0] for run in runs)

    def one(self, parameters: dict[str, Array], seed: int) -> list[int]:
        """The symbols of one run with these weights and this seed."""
        return self._run(parameters, 0, seed, -1)

    def watched(self) -> tuple[Trace, dict[str, Array], list[int]]:
        """A run on weights of moderate size, line by line, the weights, and the symbols drawn."""
        assert self.weights is not None
        rng = np.random.default_rng(2)
        values = self.weights.values
        parameters = {n: rng.normal(size=v.shape) * 0.6 for n, v in values.items()}
        helpers = {f.name for f in self.program.functions} & called(self.function.node)
        names = frozenset({self.function.name, *helpers})
        drawn: list[int] = []
        for seed in range(9):
            run = functools.partial(self._run, parameters, 0, seed, -1)
            trace = self.program.trace(functools.partial(_kept, run, drawn), {}, names)
            if len(drawn) == LENGTH:
                break
            drawn.clear()
        return trace, parameters, drawn

    def _run(self, parameters: dict[str, Array], first: int, seed: int, stop: int) -> list[int]:
        """The symbols that theirs draws; `stop` is the id of the end of a line."""
        assert self.weights is not None
        theirs = self.weights.theirs(parameters)
        self._place(theirs)
        n = len(parameters["b_y"])
        letters = self.namespace.get("letters") or list("abcdefghijklmnopqrstuvwxyz"[:n])
        index = {c: i for i, c in enumerate(letters)} | {"\n": stop}
        state = np.zeros((len(parameters["b_a"]), 1))
        known = {
            "parameters": self._held(theirs), "first": first, "state": state.T if self.weights.rows else state,
            "length": LENGTH, "seed": seed, "to_index": index, "to_symbol": dict(enumerate(letters)),
            "stop": stop, "generator": self._generator(seed),
        }  # fmt: skip
        self.program.fresh()
        given = self.program.arguments(self.function, copy.deepcopy(known))
        held = vars(self.owner.__class__) if self.owner else self.namespace
        target = held[self.function.name]
        if self.owner:
            target = target.__get__(self.owner)
        with quiet():
            np.random.seed(seed)
            return symbols(target(**given), index)[:LENGTH]

    def _held(self, theirs: dict[str, Array]) -> Any:
        """Weights in the container that their functions take."""
        if isinstance(self.like, list | tuple) and theirs.keys() <= self.keys.keys():
            places = {self.keys[n]: v for n, v in theirs.items()}
            return type(self.like)(places.get(str(k), v) for k, v in enumerate(self.like))
        return theirs

    def _generator(self, seed: int) -> Any:
        return generator(self.program.tree, lambda n: self.program.role(n) == "generator", seed)

    def _place(self, theirs: dict[str, Array]) -> None:
        """Put weights where globals or attributes hold them."""
        for held in (self.namespace, vars(self.owner) if self.owner else {}):
            for name, value in theirs.items():
                if isinstance(held.get(name), np.ndarray):
                    held[name] = value
            for inner in held.values():
                if isinstance(inner, dict) and theirs.keys() <= inner.keys():
                    inner.update(theirs)


def _kept(run: Callable[[], list[int]], drawn: list[int]) -> None:
    drawn.extend(run())


def _container(program: Program, one: Iteration) -> Any:
    """The parameters as a forward pass was given them, None where it was not."""
    given = one.forward.given.items()
    return next((v for n, v in given if program.role(n) == "parameters"), None)


def recognised(parameters: dict[str, Array]) -> Weights | None:
    """Return a plain network's parameters by the legend's names, None where they are not such."""
    square = [n for n, v in parameters.items() if v.ndim == 2 and v.shape[0] == v.shape[1] > 1]
    matrices = [n for n, v in parameters.items() if v.ndim == 2 and min(v.shape) > 1]
    other = [n for n in matrices if n not in square]
    biases = [n for n, v in parameters.items() if v.ndim == 1 or min(v.shape) == 1]
    out = [n for n in other if re.search(r"y|o$|out|V", n[1:]) or n == "V"]
    if len(square) != 1 or len(other) != 2 or len(out) != 1 or len(biases) != 2:
        return None
    n_a = len(parameters[square[0]])
    inner = [n for n in biases if parameters[n].size == n_a]
    if len(inner) != 1:
        return None
    names = {"W_aa": square[0], "W_ya": out[0], "W_ax": next(n for n in other if n not in out),
             "b_a": inner[0], "b_y": next(n for n in biases if n not in inner)}  # fmt: skip
    rows = parameters[names["W_ya"]].shape[0] == n_a
    values = {k: parameters[n].T if rows else parameters[n] for k, n in names.items()}
    values |= {k: values[k].reshape(-1, 1) for k in ("b_a", "b_y")}
    return Weights(values, names, {n: parameters[n].shape for n in names.values()}, rows)


def sharp(like: dict[str, Array], seed: int) -> dict[str, Array]:
    """Return weights of these shapes under which one symbol is far more probable than the others."""
    rng = np.random.default_rng(seed)
    n_a = len(like["W_aa"])
    size = {"W_aa": 2 / np.sqrt(n_a), "W_ax": 1.0, "b_a": 0.5, "b_y": 40.0}
    size["W_ya"] = 240 / np.sqrt(n_a)
    return {n: rng.normal(size=v.shape) * size[n] for n, v in like.items()}


def symbols(result: Any, index: dict[str, int]) -> list[int]:
    """Return the ids that a sampler has drawn, [] where its result shows none."""
    if isinstance(result, tuple) and result:
        return symbols(result[0], index)
    if isinstance(result, str):
        return [index[c] for c in result if c in index]
    items = list(result) if isinstance(result, list | np.ndarray) else []
    if items and all(isinstance(i, str) for i in items):
        return symbols("".join(items), index)
    return [int(np.ravel(i)[0]) for i in items]


def _repeats(program: Program, function: Function, run: "_Runner") -> Finding | None:
    """A finding where all steps of a run draw the same symbol, though every symbol is as likely at each.

    With little between them, a sampler that takes the most probable symbol shows itself, and so does
    one whose odds add up to more than 1: it takes the first.
    """
    assert run.weights is not None
    likely = {n: v * 0 for n, v in run.weights.values.items()}
    n = len(likely["b_y"])
    most, drawn = list[int](), list[set[int]]()
    for seed in range(4):
        b_y = likely["b_y"] - np.log(n) + 0.05 * np.eye(n)[:, [seed % n]]
        symbols = run.one({**likely, "b_y": b_y}, seed)
        if len(symbols) < LENGTH - 1:
            return None
        most.append(seed % n)
        drawn.append({*symbols[run.begins :]})
    greedy = all(m in d for m, d in zip(most, drawn, strict=True))
    if any(d != {max(d)} for d in drawn) or greedy or all(d == {0} for d in drawn):
        return None
    message = (
        "every step draws with the same random number: the generator is made anew in the loop, so that "
        "equal odds give the same symbol each time"
    )
    cause = exact("same_number", message)
    return finding(program, "sample", function.name, draw_line(function), cause)


def _finding(program: Program, function: Function, weights: Weights, how: Sampler) -> Finding:
    if how.about == "draw":
        line = draw_line(function)
    else:
        line = product_line(program, function, weights.names[how.about])
    if line == function.node.lineno:  # a product that is left out: the one beside it
        line = product_line(program, function, weights.names["W_ax"])
    elif not how.carried or how.fed != "drawn":
        line = _carry_line(program, function, line, weights.names[how.about])
    return finding(program, "sample", function.name, line, exact(how.id, how.message))


def product_line(program: Program, function: Function, name: str) -> int:
    """Return the line of the expression that multiplies by these weights, or that calls what does."""
    found = _product(function.node, name)
    if found:
        return int(getattr(found, "lineno", function.node.lineno))
    step = _step(program, function, name)
    return step[0].lineno if step else function.node.lineno


def _product(node: ast.AST, name: str) -> ast.AST | None:
    """The first product by these weights in a piece of a program."""
    for inner in ast.walk(node):
        product = isinstance(inner, ast.Call) or (
            isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.MatMult)
        )
        if product and any(named(part) == name for part in ast.walk(inner)):
            return inner
    return None


def _step(program: Program, function: Function, name: str) -> tuple[ast.Call, Function] | None:
    """The call of a function of theirs that multiplies by these weights, in a loop of the sampler."""
    for loop in (n for n in ast.walk(function.node) if isinstance(n, ast.For | ast.While)):
        for node in ast.walk(loop):
            other = program.function(named(node.func)) if isinstance(node, ast.Call) else None
            if isinstance(node, ast.Call) and other and _product(other.node, name):
                return node, other
    return None


def draw_line(function: Function) -> int:
    """Return the line that draws."""
    words = {"choice", "choices", "searchsorted", "multinomial", "argmax", "randint", "integers"}
    for node in ast.walk(function.node):
        if isinstance(node, ast.Call) and named(node.func) in words:
            return node.lineno
    return function.node.lineno


def _carry_line(program: Program, function: Function, product: int, name: str) -> int:
    """Return the line inside the loop that assigns what is multiplied by these weights, or its header."""
    operands = _operands(function, name)
    step = None if operands else _step(program, function, name)
    if step:
        given = dict(zip(step[1].arguments, step[0].args, strict=False))
        given |= {k.arg: k.value for k in step[0].keywords if k.arg}
        operands = {_base(given[n]) for n in _operands(step[1], name) if n in given} - {""}
    loops = [n for n in ast.walk(function.node) if isinstance(n, ast.For | ast.While)]
    for loop in loops:
        found = [getattr(n, "lineno", 0) for n in ast.walk(loop) if operands & _assigned(n)]
        return found[-1] if found else loop.lineno
    return product


def _assigned(node: ast.AST) -> set[str]:
    if isinstance(node, ast.AugAssign):
        return {_base(node.target)}
    return {_base(target) for target in node.targets} if isinstance(node, ast.Assign) else set()


def _operands(function: Function, name: str) -> set[str]:
    """The variables that stand in a product with these weights."""
    found: set[str] = set()
    for node in ast.walk(function.node):
        parts: list[ast.expr] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("dot", "matmul"):
            parts = list(node.args)
        if any(named(i) == name for p in parts for i in ast.walk(p)):
            found |= {_base(p) for p in parts} - {name, ""}
    return found


def _base(node: ast.expr) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
