"""What can be run in a person's file: functions, methods, what these hand out, and what their syntax says."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from unrolled.checking.calling.closures import inner_functions, without
from unrolled.checking.names import GATES, is_parameter, meanings
from unrolled.checking.running.program import SCRIPT, called_names, stored_names

_NOT_A_RUN = {
    "train", "training", "fit", "update", "sample", "sampling", "generate", "optimize", "optimise", "sgd",
    "adam", "clip", "check", "checking", "numerical", "numeric", "init", "initialize", "initialise",
    "main", "plot", "evaluate", "accuracy", "test", "load", "make", "demo", "epoch", "optimizer", "learn",
    "reset", "write", "save", "predict",
}  # fmt: skip
_GRADIENTS = {"gradients", "gradient", "grads", "grad"}
_BACKWARD = _GRADIENTS | {"backward", "bptt", "backprop", "bprop", "backpropagation", "bwd", "back",
                          "backwards", "backpropagate"}  # fmt: skip
_FORWARD = {"forward", "fprop", "feedforward", "fwd", "forwards"}
LOSS_WORDS = {"loss", "cost", "mse", "bce", "xent", "objective", "crossentropy", "entropy",
              "criterion", "error", "nll"}  # fmt: skip
VALUES = {"v", "value", "val", "data"}  # of a parameter that is an object
_NONLINEAR = {
    "tanh",
    "sigmoid",
    "exp",
    "softmax",
    "relu",
    "maximum",
    "sigm",
    "sig",
    "logistic",
    "expit",
}
_STEP = {"cell", "step", "one"}


@dataclass(frozen=True)
class Entry:
    """A function, or a method of class `owner`: its syntax, its arguments (self apart) and `closure`,
    itself and whatever of the file it calls.

    One that is handed out by functions has these as `outer`; `owner` is then the one that makes all of
    them, if there is such a `maker`, which has no other use. `hands`: it hands out others.
    """

    node: ast.FunctionDef = field(repr=False, hash=False, compare=False)
    owner: str = ""
    closure: tuple[ast.FunctionDef, ...] = field(default=(), repr=False, hash=False, compare=False)
    outer: tuple[ast.FunctionDef, ...] = field(default=(), repr=False, hash=False, compare=False)
    maker: bool = False
    hands: bool = False

    @property
    def inner(self) -> bool:
        return bool(self.outer)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def arguments(self) -> list[str]:
        given = [a.arg for a in (*self.node.args.posonlyargs, *self.node.args.args)]
        static = any(getattr(d, "id", "") == "staticmethod" for d in self.node.decorator_list)
        named = [a.arg for a in self.node.args.kwonlyargs]
        bound = self.owner and not (static or self.inner or self.maker)
        return (given[1:] if bound else given) + named

    @property
    def makes(self) -> bool:
        """Whether it makes what the others belong to."""
        return self.maker or self.name == "__init__"

    @property
    def optional(self) -> set[str]:
        """The arguments that have a default."""
        args = self.node.args
        given = [a.arg for a in (*args.posonlyargs, *args.args)]
        named = {
            a.arg for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True) if d is not None
        }
        return set(given[len(given) - len(args.defaults) :]) | named

    @property
    def words(self) -> set[str]:
        return set(tokens(self.name))

    @property
    def is_step(self) -> bool:
        named = (
            self.words & _STEP and not self.words & _NOT_A_RUN
        )  # a training step is none of time
        return bool(named) or not any(
            isinstance(n, ast.For | ast.While | ast.comprehension)
            for f in self.closure
            for n in ast.walk(f)
        )

    @cached_property
    def gives_gradients(self) -> bool:
        """Whether gradients of weights are formed: by the names assigned, or by the function's own."""
        formed = any(isinstance(n, ast.BinOp) for f in self.closure for n in ast.walk(f))
        if not formed or zeroes(self.name):
            return False  # it sets them to zero
        if self.words & _BACKWARD or self._goes_back:
            return True
        stored = {w for f in self.closure for w in stored_words(f)}
        return any(q[:1] == "d" and is_parameter(q[1:]) for w in stored for q in meanings(w, "rnn"))

    @property
    def _goes_back(self) -> bool:
        """Whether it is handed out by a forward pass, and adds products up."""
        sums = [n.value for n in ast.walk(self.node) if isinstance(n, ast.AugAssign)]
        products = any(isinstance(getattr(n, "op", None), ast.MatMult) or last_word(n) == "dot"
                       for value in sums for n in ast.walk(value))  # fmt: skip
        return products and any(Entry(f, closure=(f,)).computes for f in self.outer)

    @property
    def computes(self) -> bool:
        """Whether it has a nonlinearity and a product: it may be a forward pass."""
        calls = set().union(*map(called_names, self.closure))
        words = {last_word(n) for f in self.closure for n in ast.walk(f)}
        products = any(isinstance(getattr(n, "op", None), ast.MatMult)
                       for f in self.closure for n in ast.walk(f))  # fmt: skip
        return bool(words & _NONLINEAR) and (products or bool(calls & {"dot", "matmul", "einsum"}))

    @property
    def computes_itself(self) -> bool:
        """Whether its own body is a forward and a backward pass, whatever its name says."""
        alone = Entry(self.node, self.owner, (self.node,))
        return alone.computes and alone.gives_gradients

    @property
    def is_loss(self) -> bool:
        return bool(self.words & LOSS_WORDS) and not self.gives_gradients

    @property
    def is_run(self) -> bool:
        """Whether it may be part of a plan: it neither trains, draws, sets up nor checks."""
        drawn = any(called_names(f) & {"choice", "choices", "multinomial"} for f in self.closure)
        trains = any(
            set(tokens(f.name)) & {"train", "update", "sgd", "adam", "fit"}
            for f in self.closure[self.hands or self.inner :]
        )
        said = self.words & (_NOT_A_RUN - ({"update"} if self.hands or self.inner else set()))
        return not (self.maker or said or drawn or trains)

    @property
    def predicts(self) -> bool:
        """Whether it is a forward pass, called by what comes out of it."""
        others = self.words & (_NOT_A_RUN - {"predict"})
        return "predict" in self.words and self.computes and not others


def tokens(name: str) -> list[str]:
    """Return the words of a name, split at underscores and capitals."""
    return [word.lower() for word in re.sub(r"([a-z])(?=[A-Z])", r"\1_", name).split("_") if word]


def zeroes(name: str) -> bool:
    """Return whether a method of this name sets gradients to zero."""
    said = set(tokens(name))
    return bool(said & {"zero", "reset", "clear"}) and bool(said & _GRADIENTS)


def entries(tree: ast.Module) -> list[Entry]:
    """Return the functions and methods of a module, and what they hand out, in their order."""
    found: list[Entry] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found += _with_inner(Entry(node))
        elif isinstance(node, ast.ClassDef):
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            found += [one for n in methods for one in _with_inner(Entry(n, node.name))]
            if any("dataclass" in ast.unparse(d) for d in node.decorator_list):
                found.append(Entry(_made_of_fields(node), node.name))
    found = _closed(tree, found)
    makers = {e.name for e in found if e.hands and not e.owner and not e.inner and not e.computes}
    return _closed(tree, [_of_maker(one, makers) for one in found]) if makers else found


def _closed(tree: ast.Module, found: list[Entry]) -> list[Entry]:
    """Return entries with what each calls."""
    calls = _Calls(tree, found)
    return [replace(one, closure=tuple(calls.closure(one.node))) for one in found]


def _of_maker(entry: Entry, makers: set[str]) -> Entry:
    """Return an entry that knows what makes it: a function that hands others out, and computes nothing."""
    if entry.owner:
        return entry
    if not entry.inner and entry.name in makers:
        return replace(entry, owner=entry.name, maker=True, hands=False)
    outermost = entry.outer[0].name if entry.inner else ""
    return replace(entry, owner=outermost) if outermost in makers else entry


def _with_inner(entry: Entry) -> Iterator[Entry]:
    """Yield a function without those that it hands out or that these use, and each of these."""
    inner = inner_functions(entry.node)
    own = without(entry.node, inner)
    yield replace(entry, node=own, hands=bool(inner))
    for one in inner:
        yield from _with_inner(Entry(one, entry.owner, outer=(*entry.outer, own)))


def _made_of_fields(node: ast.ClassDef) -> ast.FunctionDef:
    """Return the `__init__` that a dataclass gets: it takes the fields without a value."""
    fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)
              and isinstance(n.target, ast.Name) and n.value is None]  # fmt: skip
    written = f"def __init__({', '.join(['self', *fields])}):\n    self.__post_init__()"
    made = ast.parse(written).body[0]
    assert isinstance(made, ast.FunctionDef)
    return made


def _instances(tree: ast.Module, owner: str) -> set[str]:
    """Return the names and attributes that objects of a class are assigned to."""
    return {
        last_word(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and owner in called_names(node.value)
        for target in node.targets
    }


class _Calls:
    """Which functions of a file a call may reach: methods by the class of the object, where it is known."""

    def __init__(self, tree: ast.Module, found: list[Entry]):
        self.owners = {id(one.node): one.owner for one in found}
        self.by_name: dict[str, list[ast.FunctionDef]] = {}
        self.classes: dict[str, set[str]] = {}  # of what is kept under a name
        for one in found:
            self.by_name.setdefault(one.name, []).append(one.node)
        makers = {one.owner for one in found if one.maker}
        self.handed = [one for one in found if one.inner and one.owner not in makers]
        for one in found:
            if one.name == "__init__" or (one.inner and one.owner in makers):
                self.by_name.setdefault(one.owner, []).append(
                    one.node
                )  # to call a class is to call this
            if one.name == "__call__":
                for name in _instances(tree, one.owner):
                    self.by_name.setdefault(name, []).append(one.node)
        for owner in filter(None, self.owners.values()):
            for name in _instances(tree, owner):
                self.classes.setdefault(name, set()).add(owner)

    def closure(self, node: ast.FunctionDef) -> list[ast.FunctionDef]:
        """Return a function and all that it calls, directly or not."""
        reached, todo = [node], [node]
        while todo:
            for function in self._called(todo.pop()):
                if function not in reached:
                    reached.append(function)
                    todo.append(function)
        return reached

    def _called(self, node: ast.FunctionDef) -> Iterator[ast.FunctionDef]:
        for call in (n.func for n in ast.walk(node) if isinstance(n, ast.Call)):
            if isinstance(call, ast.Subscript) or getattr(call, "id", "") in stored_names(node):
                yield from self._kept_function(node)
            elif isinstance(call, ast.Name):
                yield from self.by_name.get(call.id, [])
            elif isinstance(call, ast.Attribute):
                of = last_word(call.value)
                owners = {self.owners.get(id(node), "")} if of == "self" else self.classes.get(of)
                named = self.by_name.get(call.attr, [])
                yield from [f for f in named if self.owners[id(f)] in (owners or ())] or named

    def _kept_function(self, node: ast.FunctionDef) -> list[ast.FunctionDef]:
        """Return what `pulls[t](…)` may call: the only function that another one hands out; or objects."""
        others = [one.node for one in self.handed if node not in (one.node, *one.outer)]
        return [*(others if len(others) == 1 else []), *self.by_name.get("__call__", [])]


def stored_words(node: ast.AST) -> Iterator[str]:
    """Yield the names, attributes and keys that a piece of code assigns, and the keys of dictionaries."""
    for n in ast.walk(node):
        if isinstance(n, ast.Name | ast.Attribute | ast.Subscript) and isinstance(n.ctx, ast.Store):
            yield last_word(n)
        elif isinstance(n, ast.Dict):
            yield from (
                k.value for k in n.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)
            )


def last_word(node: ast.AST) -> str:
    """Return the word that names an expression: `dWx` of `self.cache["dWx"][:, t]`; or ""."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        held = node.attr in VALUES and isinstance(node.value, ast.Attribute)  # p.W.value
        return last_word(node.value) if node.attr == "T" or held else node.attr
    if isinstance(node, ast.Subscript):
        key = node.slice
        named = isinstance(key, ast.Constant) and isinstance(key.value, str)
        return str(key.value) if named else last_word(node.value)  # type: ignore[attr-defined]
    return ""


@dataclass(frozen=True)
class Way:
    """One way to run a file: a forward, a loss and a backward, or one function (the `backward`) that
    does it all, or all that there is.
    """

    forward: Entry | None
    loss: Entry | None
    backward: Entry

    @property
    def parts(self) -> list[tuple[str, Entry]]:
        last = "backward" if self.backward.gives_gradients else "forward"
        named = [("forward", self.forward), ("loss", self.loss), (last, self.backward)]
        return [(stage, entry) for stage, entry in named if entry is not None]

    @property
    def owner(self) -> str:
        return self.backward.owner

    @property
    def words(self) -> set[str]:
        """The words of its names."""
        return {w for _, entry in self.parts for w in entry.words} | set(tokens(self.owner))

    @property
    def is_named(self) -> bool:
        """Whether its names say which cell it is, and nothing else: no `birnn` or `deep_lstm`."""
        said = self.words - _FORWARD - _BACKWARD - LOSS_WORDS - _STEP
        return bool(said) and said <= set(GATES)

    @property
    def first_line(self) -> int:
        return min(entry.node.lineno for _, entry in self.parts)

    @property
    def functions(self) -> list[ast.FunctionDef]:
        """Every function that runs, each once."""
        return list(dict.fromkeys(f for _, entry in self.parts for f in entry.closure))


def ways(found: list[Entry]) -> list[Way]:
    """Return the ways to run a file, most plausible first: whole sequences before single steps."""
    runs = [e for e in found if e.is_run]
    forward = {e.owner for e in runs if _computes_forward(e)}
    runs += [e for e in found if e.predicts and e.owner not in forward]
    if not any(e.computes for e in runs):
        runs = [e for e in found if e.computes_itself] or runs
    backwards = _outermost([e for e in runs if e.gives_gradients])
    forwards = _outermost([e for e in runs if e.computes and not e.gives_gradients])
    pairs = _pairs(runs, forwards, backwards) or _pairs(runs, runs, runs) or _named_pairs(runs)
    alone = [
        Way(None, None, b) for b in backwards
        if b.computes and (b.words & _FORWARD or "backward" not in b.words)
    ]  # fmt: skip
    script = [Way(None, None, e) for e in found if e.name == SCRIPT]
    only = [Way(None, None, f) for f in forwards]  # no backward pass was found
    if pairs + alone:
        inside = {id(f) for way in pairs + alone for f in way.functions}
        only = [way for way in only if way.is_named and id(way.backward.node) not in inside]
    return script or sorted(pairs + alone, key=lambda way: way.backward.is_step) + only


def turns(found: list[Entry], way: Way) -> list[Way]:
    """Return the training steps that run a way once, with what stands between its forward and its backward:
    a loss that is an object of its own, say.
    """
    inner = {id(entry.node) for _, entry in way.parts}
    return [
        Way(None, None, e) for e in found
        if e.owner == way.owner and not e.makes and not way.backward.is_step
        and inner < {id(f) for f in e.closure} and not _repeats(e.node, way)
    ]  # fmt: skip


def _repeats(f: ast.FunctionDef, way: Way) -> bool:
    """Return whether a function runs a way in a loop."""
    names = {entry.name for _, entry in way.parts}
    loops = [n for n in ast.walk(f) if isinstance(n, ast.For | ast.While)]
    return any(names & called_names(loop) for loop in loops)


def _pairs(runs: list[Entry], forwards: list[Entry], backwards: list[Entry]) -> list[Way]:
    """Return what goes together; a forward of the same name but for its direction, if there is one."""
    found = []
    for b in (e for e in backwards if e.gives_gradients):
        fitting, alike = ([f for f in of if _computes_forward(f) and _go_together(f, b)]
                          for of in (forwards, runs))  # fmt: skip
        alike = [f for f in alike if f.words - _FORWARD == b.words - _BACKWARD]
        found += [Way(f, _loss(runs, f, b), b) for f in alike or fitting]
    return found


def _computes_forward(entry: Entry) -> bool:
    return entry.computes and not entry.gives_gradients and not entry.is_loss


def _named_pairs(runs: list[Entry]) -> list[Way]:
    """Return pairs by their names alone: what they compute with stands in another file."""
    backwards = _outermost([e for e in runs if e.words & _BACKWARD])
    forwards = _outermost([e for e in runs if e.words & _FORWARD])
    return [Way(f, _loss(runs, f, b), b) for b in backwards for f in forwards if _go_together(f, b)]


def _outermost(candidates: list[Entry]) -> list[Entry]:
    """Leave out what another candidate calls, unless nothing else is left."""
    inner = {id(f) for e in candidates for f in e.closure[1:]}
    return [e for e in candidates if id(e.node) not in inner] or candidates


def _go_together(forward: Entry, backward: Entry) -> bool:
    if any(forward.node is f for f in backward.outer):
        return True
    if backward.inner and not (forward.inner and forward.outer[0] is backward.outer[0]):
        return False
    cells = set(GATES)
    same_cell = (forward.words & cells) == (backward.words & cells)
    return forward.owner == backward.owner and same_cell and forward.is_step == backward.is_step


def _loss(runs: list[Entry], forward: Entry, backward: Entry) -> Entry | None:
    """Return what computes the loss between the two; one that runs the forward itself is the last resort."""
    inside = {id(f) for e in (forward, backward) for f in e.closure}
    found = [
        entry for entry in runs
        if entry.is_loss
        and entry.owner in ("", forward.owner)
        and id(entry.node) not in inside
        and not (forward.is_step and _is_of_all_steps(entry.node))
    ]  # fmt: skip
    found.sort(key=lambda entry: runs_itself(entry, forward))
    return next((e for e in found if not (runs_itself(e, forward) and forward.is_step)), None)


def runs_itself(loss: Entry, forward: Entry) -> bool:
    """Return whether a loss runs the forward that it is the loss of."""
    return any(forward.node is f for f in loss.closure)


def _is_of_all_steps(f: ast.FunctionDef) -> bool:
    """Return whether a function takes arrays of three axes, over time: `N, T, V = x.shape`."""
    return any(
        isinstance(node, ast.Assign) and last_word(node.value) == "shape"
        and isinstance(node.targets[0], ast.Tuple) and len(node.targets[0].elts) == 3
        for node in ast.walk(f)
    )  # fmt: skip
