"""Functions that functions hand out: which these are in the text, and where they are once it runs."""

import ast
import copy
from collections.abc import Callable, Iterable, Iterator
from types import CellType, FunctionType, SimpleNamespace
from typing import Any

_DEPTH = 6  # of what is looked into for functions
_CHANGES = {"append", "insert", "extend", "update", "setdefault", "add"}


def inner_functions(f: ast.FunctionDef) -> list[ast.FunctionDef]:
    """Return the functions that are defined in a function, those in them apart, where it hands one of
    them out: it returns it, or something that holds it.
    """
    inner = list(_inside(f.body))
    given = _returned_names(f, inner) if inner else set()
    return inner if any(one.name in given for one in inner) else []


def _inside(body: Iterable[ast.stmt]) -> Iterator[ast.FunctionDef]:
    for node in body:
        if isinstance(node, ast.FunctionDef):
            yield node
        elif not isinstance(node, ast.ClassDef | ast.AsyncFunctionDef):
            for part in ("body", "orelse", "finalbody"):
                yield from _inside(getattr(node, part, []))


def _returned_names(f: ast.FunctionDef, inner: list[ast.FunctionDef]) -> set[str]:
    """Return the names in what a function returns, and in what is put into that beforehand."""
    own = without(f, inner)
    returns = [n.value for n in ast.walk(own) if isinstance(n, ast.Return) and n.value is not None]
    names, before = set().union(*map(_held_names, returns)), set[str]()
    while names != before:
        before = set(names)
        for target, value in _put(own):
            if _root(target) in names:
                names |= _held_names(value)
    return names


def _put(f: ast.FunctionDef) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield what something is put into, with what: by an assignment, or by `append` and the like."""
    for node in ast.walk(f):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [*node.args, *(k.value for k in node.keywords)]
            for one in given if node.func.attr in _CHANGES else ():
                yield node.func.value, one


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return getattr(node, "id", "")


def _held_names(value: ast.expr) -> set[str]:
    """Return the names in an expression, those of what is called there apart."""
    called = {id(n.func) for n in ast.walk(value) if isinstance(n, ast.Call)}
    return {n.id for n in ast.walk(value) if isinstance(n, ast.Name) and id(n) not in called}


def without(f: ast.FunctionDef, inner: list[ast.FunctionDef]) -> ast.FunctionDef:
    """Return a function without some of those that are defined in it; what stays is the same."""
    if not inner:
        return f
    left = copy.copy(f)
    left.body = _left(f.body, {id(one) for one in inner})
    return left


def _left(body: list[ast.stmt], out: set[int]) -> list[ast.stmt]:
    kept = []
    for node in body:
        inner = {id(one) for one in _inside([node])}
        if id(node) in out:
            continue
        if inner & out:
            node = copy.copy(node)
            for part in ("body", "orelse", "finalbody"):
                if hasattr(node, part):
                    setattr(node, part, _left(getattr(node, part), out))
        kept.append(node)
    return kept or [ast.copy_location(ast.Pass(), body[0])]


class _Cells(dict[str, Any]):
    """What functions share, by name; what is put here is put there."""

    def __init__(self, cells: dict[str, CellType], functions: dict[str, Any]):
        held = {name: cell.cell_contents for name, cell in cells.items()}
        super().__init__(functions | held)
        self.cells = cells

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name in self.cells:
            self.cells[name].cell_contents = value


class Made:
    """What came from a function that makes functions, as an object whose attributes are what they share."""

    __slots__ = ("result",)

    def __init__(self, result: Any):
        self.result = result

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        functions = list(functions_in(self.result))
        cells: dict[str, CellType] = {}
        for function in functions:
            for name, cell in _cells(function):
                cells.setdefault(name, cell)
        return _Cells(cells, {f.__name__: f for f in functions[::-1]})

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__[name]
        except KeyError:
            raise AttributeError(name) from None


def made_by(make: Callable[..., Any], given: dict[str, Any]) -> Any:
    """Return the object that a class makes, or what a function of theirs does that makes functions."""
    result = make(**given)
    if isinstance(make, type):
        return result
    kind = type("Made", (Made,), {"__slots__": (), "__module__": make.__module__})
    return kind(result)


def functions_in(held: Any, depth: int = 0, seen: set[int] | None = None) -> Iterator[FunctionType]:
    """Yield functions, and those in tuples, dictionaries, objects and other functions, each once."""
    seen = set() if seen is None else seen
    if depth > _DEPTH or id(held) in seen:
        return
    seen.add(id(held))
    if isinstance(held, FunctionType):
        yield held
    for one in _parts(held):
        yield from functions_in(one, depth + 1, seen)


def _parts(held: Any) -> list[Any]:
    if isinstance(held, FunctionType):
        return [*vars(held).values(), *(cell.cell_contents for _, cell in _cells(held))]
    if isinstance(held, dict):
        return list(held.values())
    if isinstance(held, list | tuple):
        return list(held)
    if isinstance(held, Made):
        return [held.result]
    theirs = isinstance(held, SimpleNamespace) or type(held).__module__ == "their_program"
    return list(vars(held).values()) if theirs and hasattr(held, "__dict__") else []


def _cells(function: FunctionType) -> list[tuple[str, CellType]]:
    """Return what a function has from around it, by name, as far as it is there."""
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            _ = cell.cell_contents
        except ValueError:
            continue
        found.append((name, cell))
    return found


def function_of(node: ast.FunctionDef, places: Iterable[Any]) -> FunctionType | None:
    """Return the function that a definition made, from the first of some places that holds one."""
    line = min([node.lineno, *(n.lineno for n in node.decorator_list)])
    for held in places:
        for function in functions_in(held):
            code = function.__code__
            if code.co_name == node.name and code.co_firstlineno == line:
                return function
    return None
