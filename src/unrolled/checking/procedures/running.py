"""Running their training on a short stream of symbols: as a function, a method or a loop at top level."""

import ast
import builtins
import dataclasses
import inspect
import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unrolled.checking.procedures.given import PLAIN, SIZES, WINDOWS, Way, generator, stream, ways
from unrolled.checking.procedures.meanings import COLLECTIONS, meanings
from unrolled.checking.procedures.roles import (
    Function,
    argument_role,
    called,
    functions,
    is_parameter,
    multiplies,
)
from unrolled.checking.procedures.tracing import Trace, Tracer, quiet

Array = Any
Namespace = dict[str, Any]

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
        self.way = Way()  # how their training is called
        self.crashed: list[tuple[Way, Training]] = []  # trainings that began, and were stopped
        names = {calls.forward: "forward", calls.backward: "backward"}
        self.functions = [
            dataclasses.replace(f, role=names.get(f.name, f.role)) for f in self.functions
        ]
        self.may = meanings(
            program, self.functions, lambda n: calls.roles.get(n) or argument_role(n)
        )
        self.sure = {n: may[0] for n, may in self.may.items() if len(may) == 1}
        texts = (n.value for n in ast.walk(program) if isinstance(n, ast.Constant))
        self.lines = any(isinstance(t, str) and t == "\n" for t in texts) or (
            "splitlines" in called(program))  # fmt: skip

    def role(self, argument: str) -> str:
        """Return what an argument of theirs stands for."""
        known = self.calls.roles.get(argument) or self.way.roles.get(argument)
        return known or self.sure.get(argument) or argument_role(argument)

    def ways(self, function: Function) -> list[Way]:
        """Return how a training may be called: what has worked, else what its names leave open."""
        if self.way != Way():
            return [self.way]
        made = [
            f
            for f in self.functions
            if f.owner and f.owner == function.owner and f.name == "__init__"
        ]
        given = {n for f in (function, *made) for n in _defaults(self._loaded, f)}
        names = [n for f in (function, *made) for n in f.arguments]
        open_ = {n: self._open(n) for n in names if n not in given and n not in self.sure}
        direct = bool({"X", "Y", "state"} & {self.role(n) for n in names})
        large = any(self._large(f) for f in (function, *made))
        return ways({n: roles for n, roles in open_.items() if len(roles) > 1}, direct, large)

    def _open(self, name: str) -> tuple[str, ...]:
        """What an argument may stand for: one that is called data may be of any kind."""
        role = self.role(name)
        kinds = ("ids", "text", "words", "sequences", "pairs")
        if role in kinds:
            return (role, *(k for k in COLLECTIONS if k != role))
        return self.may.get(name, (role,))

    def _large(self, function: Function) -> bool:
        """Whether its windows are larger, where nothing is said, than what can be watched."""
        given = _defaults(self._loaded, function)
        sizes = {self.role(n): v for n, v in given.items() if isinstance(v, int)}
        return sizes.get("m", 1) * sizes.get("T", 1) > 60

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

        `fixed` are arguments by their own names. Raises KeyError where the name of an argument does not say what it stands for.
        """
        given = _defaults(self._loaded, function)
        sizes = self.sizes(given)
        made = generator(self.tree, lambda n: self.role(n) == "generator", 0)
        values: dict[str, Any] = {**PLAIN, **sizes, **stream(sizes, self.way.layout, self.lines),
                                  "generator": made, **known}  # fmt: skip
        weights = values.get("parameters")
        found = {}
        for name in function.arguments:
            role = self.role(name)
            if name in fixed:
                found[name] = fixed[name]
                continue
            ours = ("epochs", "iterations", *(("m", "T") if self.way.small else ()))
            if name in given and role not in ours and role not in known:
                continue
            if isinstance(weights, dict) and is_parameter(name) and name in weights:
                found[name] = weights[name]
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
        sizes = dict(SIZES)
        plain = {n: v for n, v in self._loaded.items() if isinstance(v, int) and v is not True}
        for name, value in (plain | given).items():
            role = self.role(name)
            ours = self.way.small and name in given and role in ("m", "T")
            if (
                role in ("m", "T", "n_a")
                and not ours
                and isinstance(value, int)
                and 1 <= value <= 128
            ):
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


@dataclasses.dataclass
class Training:
    """A training that was run: its trace, the stream (None where it came from elsewhere), the function."""

    trace: Trace
    name: str
    ids: Array | None
    given: dict[str, Any]
    namespace: Namespace


def run_function(program: Program, function: Function, wanted: dict[str, Any]) -> Training:
    """Run a training that is a function or a method, the way that is set; `wanted` are arguments by their role."""
    namespace = program.fresh()
    known = initial(program, namespace) | wanted
    target = bound(program, namespace, function, wanted)
    given = program.arguments(function, known)
    ids = next((given[n] for n in given if program.role(n) in ("ids", "text")), None)
    ids = _ids(ids, namespace) if isinstance(ids, str) else ids
    enough = dict.fromkeys((f.name for f in program.having("forward")), 4 * WINDOWS)
    makers = {f.name for f in program.functions if f.role == "" and not multiplies(f.node)}
    makers &= called(function.node)  # what may make the inputs and targets
    trace = program.trace(lambda: target(**given), enough, frozenset(makers))
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


def run_top_level(program: Program) -> Training | None:
    """Run the loop at top level, and the statements before it that loading has left out."""
    body = _script(program.tree)
    loops = [k for k, s in enumerate(body) if isinstance(s, ast.For | ast.While) and _trains(s)]
    if not loops:
        return None
    namespace, loop = program.fresh(), body[loops[0]]
    text = stream(program.sizes({}) | {"m": 1}, lines=program.lines)["text"]
    opened = {**vars(builtins), "open": lambda *_, **__: io.StringIO(text)}
    namespace |= {"__builtins__": opened, "open": opened["open"]}
    with quiet():
        np.random.seed(0)
        for statement in body[: loops[0]]:
            if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.With):
                _execute(statement, namespace)
    enough = dict.fromkeys(called(loop) & {f.name for f in program.functions}, 4 * WINDOWS)
    trace = program.trace(lambda: _execute(loop, namespace), enough)
    training = Training(trace, "<module>", _ids(text, namespace), {}, namespace)
    if trace.stopped not in ("", "enough"):
        program.crashed += [(program.way, training)] if trace.failed else []
        return None
    return training


def _ids(text: str, namespace: Namespace) -> Array:
    """The ids of letters: by a table of theirs, else by the alphabet."""
    tables = (v for v in namespace.values() if isinstance(v, dict) and v.keys() == set(text))
    table = next(tables, {letter: k for k, letter in enumerate(sorted(set(text)))})
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
