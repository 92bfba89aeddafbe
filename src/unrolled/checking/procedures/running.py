"""Running their training on a short stream of symbols: as a function, a method or a loop at top level."""

import ast
import builtins
import dataclasses
import inspect
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unrolled.checking.procedures.roles import Function, argument_role, called, functions
from unrolled.checking.procedures.tracing import Trace, Tracer, quiet

Array = Any
Namespace = dict[str, Any]

SYMBOLS = 5
WINDOWS = 3  # of an epoch
_SIZES = {"n_symbols": SYMBOLS, "n_a": 8, "m": 3, "T": 5}
_PLAIN = {"learning_rate": 0.1, "epochs": 3, "iterations": 10, "limit": 1.0, "seed": 0, "quiet": False,
          "eps": 1e-5, "first": 0, "length": 10}  # fmt: skip
_NONE: Mapping[str, Any] = {}
_PROCEDURES = {"train", "optimize", "windows", "clip", "update", "init"}


@dataclasses.dataclass(frozen=True)
class Calls:
    """What is already known of their file: the names of its functions, and what arguments stand for.

    `forward` and `backward` are their functions' names, `roles` the meaning of an argument or a
    variable by its name ("state", "X", "Y", "parameters", …), each where it is known.
    """

    forward: str | None = None
    backward: str | None = None
    roles: dict[str, str] = dataclasses.field(default_factory=dict)


class Program:
    """Their file: its tree, its functions by what they do, and fresh namespaces to run them in."""

    def __init__(
        self, program: ast.Module, source: str, load: Callable[[], Namespace], calls: Calls
    ):
        self.tree, self.source, self.load, self.calls = program, source.splitlines(), load, calls
        self.functions = functions(program)
        self.instead: dict[str, Callable[[Any], Any]] = {}  # what stands for functions of theirs
        names = {calls.forward: "forward", calls.backward: "backward"}
        self.functions = [
            dataclasses.replace(f, role=names.get(f.name, f.role)) for f in self.functions
        ]

    def role(self, argument: str) -> str:
        """Return what an argument of theirs stands for."""
        return self.calls.roles.get(argument) or argument_role(argument)

    def having(self, role: str) -> list[Function]:
        """Return their functions that do this."""
        return [f for f in self.functions if f.role == role]

    def function(self, name: str) -> Function | None:
        """Return their function of this name."""
        return next((f for f in self.functions if f.name == name), None)

    def trace(
        self, what: Callable[[], Any], enough: dict[str, int], more: frozenset[str] = frozenset()
    ) -> Trace:
        """Run something of theirs and return what it did."""
        kept = {f.name for f in self.functions if f.role in _PROCEDURES} | {"<module>"} | more
        return Tracer(self._files, kept, enough).run(what)

    def fresh(self) -> Namespace:
        """Return their namespace as if it had just been loaded, with the same random numbers."""
        with quiet():
            np.random.seed(0)
            self._loaded = self.load()
        for f in self.functions:
            holder = self._loaded.get(f.owner) if f.owner else None
            old = vars(holder).get(f.name) if holder else self._loaded.get(f.name)
            if f.name in self.instead and callable(old):
                put(self._loaded, holder, f.name, self.instead[f.name](old))
        own = [self._loaded.get(f.owner or f.name) for f in self.functions]
        self._files = {"<training>"} | {f for f in map(_file, own) if f}
        return self._loaded

    def arguments(
        self, function: Function, known: dict[str, Any], fixed: Mapping[str, Any] = _NONE
    ) -> dict[str, Any]:
        """Return an argument for each of a function's that has to be given, by its role.

        `fixed` are arguments by their own names.         Raises KeyError where the name of an argument does not say what it stands for.
        """
        given = _defaults(self._loaded, function)
        sizes = self.sizes(given)
        values: dict[str, Any] = {**_PLAIN, **sizes, **stream(sizes), **known}
        found = {}
        for name in function.arguments:
            role = self.role(name)
            if name in fixed:
                found[name] = fixed[name]
                continue
            if name in given and role not in ("epochs", "iterations") and role not in known:
                continue
            if role == "model" and role not in values:
                values[role] = self._model()
            if role not in values:
                raise KeyError(name)
            found[name] = values[role]
        return found

    def _model(self) -> Any:
        """An object of the class of theirs that has a backward pass; KeyError where none has."""
        owners = [f.owner for f in self.having("backward") if f.owner]
        return make(self, self._loaded, owners[0] if owners else "")

    def sizes(self, given: dict[str, Any]) -> dict[str, int]:
        sizes = dict(_SIZES)
        plain = {n: v for n, v in self._loaded.items() if isinstance(v, int) and v is not True}
        for name, value in (plain | given).items():
            role = self.role(name)
            if role in ("m", "T", "n_a") and isinstance(value, int) and 1 <= value <= 128:
                sizes[role] = value
        return sizes


def _file(value: Any) -> str | None:
    code = getattr(value, "__code__", None)
    if inspect.isclass(value):
        codes = (getattr(v, "__code__", None) for v in vars(value).values())
        code = next((c for c in codes if c), None)
    return code.co_filename if code else None


def _defaults(namespace: Namespace, function: Function) -> dict[str, Any]:
    target = callable_of(namespace, function)
    parameters = inspect.signature(target).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def callable_of(namespace: Namespace, function: Function) -> Any:
    """Return a function of theirs, or a method as a function of the object and the rest."""
    if function.owner is None:
        return namespace[function.name]
    return getattr(namespace[function.owner], function.name)


def put(namespace: Namespace, holder: Any, name: str, function: Any) -> None:
    """Put a function where a class, or the namespace, holds it."""
    if holder:
        setattr(holder, name, function)
    else:
        namespace[name] = function


def bound(
    program: Program, namespace: Namespace, function: Function, known: dict[str, Any] | None = None
) -> Any:
    """Return a function of theirs, or a method of an object that is made for it."""
    if function.owner is None:
        return namespace[function.name]
    return getattr(make(program, namespace, function.owner, known), function.name)


def stream(sizes: dict[str, int]) -> dict[str, Any]:
    """Symbols in no order, enough for three windows; and the same symbols as one window."""
    rng = np.random.default_rng(7)
    m, T, n = sizes["m"], sizes["T"], sizes["n_symbols"]
    ids = rng.integers(n, size=WINDOWS * m * T + m + 1)
    ids[:n] = range(n)  # each symbol is there
    one_hot = np.eye(n)[ids[: m * T + 1]].T
    X, Y = one_hot[:, :-1].reshape(n, m, T), one_hot[:, 1:].reshape(n, m, T)
    letters = "abcdefghijklmnopqrstuvwxyz"[:n]
    return {
        "ids": ids, "text": "".join(letters[i] for i in ids), "X": X, "Y": Y,
        "state": np.zeros((sizes["n_a"], m)),
        "to_index": {c: i for i, c in enumerate(letters)}, "to_symbol": dict(enumerate(letters)),
    }  # fmt: skip


@dataclasses.dataclass
class Training:
    """A training that was run: its trace, the stream (None where it came from elsewhere), the function."""

    trace: Trace
    name: str
    ids: Array | None
    given: dict[str, Any]
    namespace: Namespace


def run_training(
    program: Program, wanted: dict[str, Any] | None = None
) -> tuple[Training | None, list[str]]:
    """Run the first of their trainings that runs; return it, and why others could not be run.

    `wanted` are arguments by their role, for the training and for the object that it is a method of.
    """
    missed: list[str] = []
    program.fresh()
    tried = [*program.having("train"), *program.having("optimize")]
    for function in tried:
        try:
            training = _call(program, function, wanted or {})
        except KeyError as error:
            missed.append(f"`{function.name}` was not run: its argument {error} is not understood")
            continue
        except Exception as error:
            missed.append(f"`{function.name}` could not be run: {error}")
            continue
        if training.trace.stopped in ("", "enough"):
            return training, missed
        missed.append(f"`{function.name}` stopped: {training.trace.stopped}")
    try:
        return _top_level(program), missed
    except Exception as error:
        missed.append(f"the loop at top level could not be run: {error}")
    return None, missed


def _call(program: Program, function: Function, wanted: dict[str, Any]) -> Training:
    namespace = program.fresh()
    known = initial(program, namespace) | wanted
    target = bound(program, namespace, function, wanted)
    given = program.arguments(function, known)
    ids = next((given[n] for n in given if program.role(n) in ("ids", "text")), None)
    ids = _ids(ids, namespace) if isinstance(ids, str) else ids
    enough = dict.fromkeys((f.name for f in program.having("forward")), 4 * WINDOWS)
    trace = program.trace(lambda: target(**given), enough)
    return Training(trace, function.name, ids, given, namespace)


def make(
    program: Program, namespace: Namespace, owner: str, known: dict[str, Any] | None = None
) -> Any:
    """Return an object of a class of theirs."""
    inits = [f for f in program.functions if f.owner == owner and f.name == "__init__"]
    with quiet():
        given = program.arguments(inits[0], known or {}) if inits else {}
        return namespace[owner](**given)


def initial(program: Program, namespace: Namespace) -> dict[str, Any]:
    """Return {"parameters": …} as their own function makes them, or nothing."""
    for function in program.having("init"):
        try:
            with quiet():
                given = program.arguments(function, {})
                made = namespace[function.name](**given)
        except Exception:  # whatever it is: the training may not need it
            continue
        if isinstance(made, dict | list | tuple):
            return {"parameters": made}
    return {}


def _top_level(program: Program) -> Training | None:
    """Run the loop at top level, and the statements before it that loading has left out."""
    body = _script(program.tree)
    loops = [k for k, s in enumerate(body) if isinstance(s, ast.For | ast.While) and _trains(s)]
    if not loops:
        return None
    namespace, loop = program.fresh(), body[loops[0]]
    text = stream(program.sizes({}) | {"m": 1})["text"]
    opened = {**vars(builtins), "open": lambda *_, **__: io.StringIO(text)}
    namespace |= {"__builtins__": opened, "open": opened["open"]}
    with quiet():
        np.random.seed(0)
        for statement in body[: loops[0]]:
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.With):
                _execute(statement, namespace)
    enough = dict.fromkeys(called(loop) & {f.name for f in program.functions}, 4 * WINDOWS)
    trace = program.trace(lambda: _execute(loop, namespace), enough)
    if trace.stopped not in ("", "enough"):
        return None
    return Training(trace, "<module>", _ids(text, namespace), {}, namespace)


def _ids(text: str, namespace: Namespace) -> Array:
    """The ids of letters: by a table of theirs, else by the alphabet."""
    tables = (v for v in namespace.values() if isinstance(v, dict) and v.keys() == set(text))
    table = next(tables, {letter: ord(letter) - ord("a") for letter in text})
    return np.array([table[letter] for letter in text])


def _script(tree: ast.Module) -> list[ast.stmt]:
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            body += node.body
        else:
            body.append(node)
    return body


def _trains(loop: ast.stmt) -> bool:
    """Whether a loop calls something and moves something by something."""
    moves = (ast.AugAssign, ast.BinOp)
    inner = [n.op for n in ast.walk(loop) if isinstance(n, moves)]
    return bool(called(loop)) and any(isinstance(op, ast.Sub | ast.Add) for op in inner)


def _execute(statement: ast.stmt, namespace: Namespace) -> None:
    exec(compile(ast.Module([statement], []), "<training>", "exec"), namespace)
