"""A person's file: its text and syntax tree, what of it is executed, and its execution."""

import __future__

import ast
import contextlib
import functools
import importlib
import io
import json
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from unrolled.checking.running import stand_ins
from unrolled.errors import UnrolledError

SCRIPT = "unrolled_script"
"""The function that stands for the body of a script's main loop."""

_TEXT = "the quick brown fox jumps over the lazy dog; " * 8
_SINGLE = ("float32", "float16", "single", "half")
_SETTINGS = {
    "seed",
    "set_printoptions",
    "seterr",
    "append",
    "extend",
    "update",
    "setrecursionlimit",
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Program:
    """A file: `path`, `source` and `tree`. `left_out` says which names could not be computed, and
    why; `imports` which modules were not there, and what stands for them.
    """

    path: Path
    source: str
    tree: ast.Module
    left_out: dict[str, str] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    _compiled: dict[int, tuple[ast.stmt, Any]] = field(default_factory=dict, repr=False)

    def definitions(self, tree: ast.Module) -> ast.Module:
        """Return what of a module is executed: imports, definitions and plain assignments.

        Where no function of the file computes, the body of its main loop, or what follows its first
        computation, becomes the function SCRIPT of globals.
        """
        loops = _looping(tree)
        kept = [node for node in tree.body if _is_kept(node, loops)]
        if not any(
            _computes(node) for node in tree.body if isinstance(node, _Function | ast.ClassDef)
        ):
            kept, script = _split_script(tree, kept)
            kept += script
        return ast.fix_missing_locations(ast.Module(kept, []))

    def compiled(self, tree: ast.Module) -> list[tuple[ast.stmt, Any]]:
        """Return each statement of a tree with its code, compiled once: trees may share statements."""
        flags = __future__.annotations.compiler_flag  # annotations need no names that are there
        for node in tree.body:
            if id(node) not in self._compiled:
                code = compile(ast.Module([node], []), str(self.path), "exec", flags, True)
                self._compiled[id(node)] = node, code
        return [self._compiled[id(node)] for node in tree.body]


def read(path: str | Path, source: str | None = None) -> Program:
    """Return the program in a file, a .py or a notebook; `source` is its text where that is known.

    Raises UnrolledError where it is not there, is no text, is empty, or is not Python.
    """
    path = Path(path)
    source = _text(path) if source is None else source
    if path.suffix == ".ipynb":
        source = _notebook(path, source)
    if not source.strip():
        raise UnrolledError(f"{path} is empty: expected Python code")
    try:
        return Program(path, source, _in_double(ast.parse(source, str(path))))
    except SyntaxError as error:
        raise UnrolledError(f"{path}, line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnrolledError(f"{path} cannot be read as Python: {error}") from None


def made_global(trees: Iterable[ast.AST]) -> set[str]:
    """Return the names that functions make global."""
    return {name for tree in trees for name in _made_global(tree)}


@functools.cache
def _made_global(tree: ast.AST) -> frozenset[str]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Global))
    return frozenset(name for node in nodes for name in node.names)


def _in_double(tree: ast.Module) -> ast.Module:
    """Let a file that asks for float32 compute in float64, in which rounding is told from error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _SINGLE:
            node.attr = "float64"
        elif isinstance(node, ast.keyword | ast.Call):
            typed = node.arg == "dtype" if isinstance(node, ast.keyword) else _is_astype(node)
            values = [node.value] if isinstance(node, ast.keyword) else node.args
            for value in values if typed else []:
                if isinstance(value, ast.Constant) and value.value in (*_SINGLE, "f4", "f2", "f"):
                    value.value = "float64"
    return tree


def _is_astype(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "astype"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UnrolledError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnrolledError(f"{path} is not a text in UTF-8, so it is no Python file") from None


def _notebook(path: Path, source: str) -> str:
    """Return the code cells of a notebook, one under the other, without its commands (% and !)."""
    try:
        cells = [c["source"] for c in json.loads(source)["cells"] if c["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        raise UnrolledError(f"{path} is not a notebook that can be read") from None
    lines = "\n\n".join(c if isinstance(c, str) else "".join(c) for c in cells).splitlines()
    return "\n".join("" if line.lstrip()[:1] in ("%", "!") else line for line in lines) + "\n"


def execute(program: Program, tree: ast.Module, hooks: Mapping[str, Any]) -> dict[str, Any]:
    """Execute what `definitions` gave (instrumented or not) and return its names, `hooks` among them.

    Every run begins with the same random numbers. A statement that fails leaves its names out, and
    `program.left_out` says why.
    """
    module = ModuleType("their_program")
    namespace = vars(module)
    namespace |= {"__file__": str(program.path), "open": _open, **hooks}
    random.seed(0)
    np.random.seed(0)
    program.left_out.clear()
    with _beside(program.path.parent, module):
        for node, code in program.compiled(tree):
            try:
                if isinstance(node, ast.Import | ast.ImportFrom):
                    _import(program, node, namespace)
                else:
                    exec(code, namespace)
            except (Exception, SystemExit) as error:
                for name in _assigned(node):
                    program.left_out[name] = f"line {node.lineno}: {type(error).__name__}: {error}"
    return namespace


@contextlib.contextmanager
def _beside(folder: Path, module: ModuleType) -> Iterator[None]:
    """Let modules that stand beside the file be imported, and dataclasses find their module."""
    sys.path.insert(0, str(folder))
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        sys.modules.pop(module.__name__, None)
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _open(name: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
    """Stand for `open`: a short text to read, and nowhere to write."""
    return io.BytesIO(_TEXT.encode()) if "b" in str(mode) else io.StringIO(_TEXT)


def _import(program: Program, node: ast.Import | ast.ImportFrom, namespace: dict[str, Any]) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            module = _module(program, alias.name)
            top = alias.name if alias.asname else alias.name.partition(".")[0]
            namespace[alias.asname or top] = sys.modules.get(top, module)
        return
    module = _module(program, node.module or "")
    for alias in node.names:
        if alias.name == "*":
            public = getattr(module, "__all__", [n for n in vars(module) if n[:1] != "_"])
            namespace.update({n: getattr(module, n) for n in public})
        else:
            namespace[alias.asname or alias.name] = _member(module, alias.name)


def _member(module: ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        return importlib.import_module(f"{module.__name__}.{name}")


def _module(program: Program, name: str) -> ModuleType:
    top = name.partition(".")[0]
    own = any((program.path.parent / f"{top}{end}").exists() for end in (".py", "/__init__.py"))
    if top in stand_ins.HARMLESS:
        return stand_ins.Harmless(name)
    if top in stand_ins.HELPERS and not own:
        return _supplied(program, name)
    try:
        return importlib.import_module(name)
    except ImportError:
        if stand_ins.is_helper(name, program.tree):
            return _supplied(program, name)
        program.imports[name] = "could not be imported"
        return stand_ins.Harmless(name)


def _supplied(program: Program, name: str) -> ModuleType:
    program.imports[name] = "supplied with the course's functions"
    return stand_ins.helpers(name, program.tree)


def stored_names(node: ast.AST) -> set[str]:
    """Return the plain names that a piece of code gives values to."""
    names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Store)}


def _assigned(node: ast.stmt) -> set[str]:
    own = {node.name} if isinstance(node, _Function | ast.ClassDef) else set()
    return stored_names(node) | own


def _looping(tree: ast.Module) -> set[str]:
    """Return the functions and methods that may run long: with a `while`, or a loop that computes."""
    found: dict[str, ast.stmt] = {}
    for node in ast.walk(tree):
        of = _method(node, "__init__") if isinstance(node, ast.ClassDef) else node
        if isinstance(node, _Function | ast.ClassDef) and isinstance(of, _Function):
            found[node.name] = of
    computing = _callers({name for name, f in found.items() if _computes(f)}, found)
    endless = {name for name, f in found.items() if _has(f, ast.While)}
    return _callers(endless | {n for n in computing if _has(found[n], ast.For)}, found)


def _callers(names: set[str], found: Mapping[str, ast.stmt]) -> set[str]:
    """Return the names with those of every function that calls them, directly or not."""
    names = set(names)
    while more := {name for name, f in found.items() if called_names(f) & names} - names:
        names |= more
    return names


def _has(node: ast.AST, kind: type[ast.AST]) -> bool:
    return any(isinstance(n, kind) for n in ast.walk(node))


def _method(node: ast.ClassDef, name: str) -> ast.stmt | None:
    return next((n for n in node.body if isinstance(n, _Function) and n.name == name), None)


def called_name(call: ast.Call) -> str:
    """Return the name, or the last part of the dotted name, of what a call calls; "" where it has none."""
    f = call.func
    return f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")


def called_names(node: ast.AST) -> set[str]:
    """Return the names, or last parts of dotted names, of what is called in a piece of code."""
    return {called_name(n) for n in ast.walk(node) if isinstance(n, ast.Call)}


def _is_kept(node: ast.stmt, loops: set[str]) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | _Function | ast.ClassDef):
        return True
    if called_names(node) & loops or _has(node, ast.While):
        return False
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return True
    if isinstance(node, ast.For):
        return isinstance(node.iter, ast.Constant | ast.Tuple | ast.List) and not _computes(node)
    if isinstance(node, ast.If):
        return "__name__" not in {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return isinstance(node.value.func, ast.Attribute) and node.value.func.attr in _SETTINGS
    return isinstance(node, ast.With | ast.Try)


def _computes(node: ast.AST) -> bool:
    """Return whether a piece of code multiplies matrices and has a nonlinearity: it computes a cell."""
    products = any(
        isinstance(n, ast.BinOp) and isinstance(n.op, ast.MatMult) for n in ast.walk(node)
    )
    calls = called_names(node)
    return products or bool(calls & {"dot", "matmul", "einsum"})


def _split_script(tree: ast.Module, kept: list[ast.stmt]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Return what a script defines, and its computation as the function SCRIPT."""
    computing = [
        node for node in tree.body if _computes(node) and not isinstance(node, ast.ClassDef)
    ]
    if not computing:
        return kept, []
    start, body = computing[0], list[ast.stmt]()
    if len(computing) == 1 and isinstance(start, ast.For | ast.While):
        body = start.body
    else:
        body = tree.body[tree.body.index(start) :]
        body = [n for n in body if not isinstance(n, ast.Import | ast.ImportFrom | _Function)]
    before = set(map(id, tree.body[: tree.body.index(start)]))
    names = sorted(set().union(*map(_assigned, body)))
    loop = ast.parse(
        f"def {SCRIPT}():\n    global {', '.join(names)}\n    for _ in (0,):\n        pass"
    )
    function = loop.body[0]
    assert isinstance(function, ast.FunctionDef)
    turn = function.body[-1]
    assert isinstance(turn, ast.For)
    turn.body = [*body, ast.Break()]
    if (
        isinstance(start, ast.For) and body is start.body
    ):  # the first turn, so that its variable is there
        turn.target, turn.iter = start.target, start.iter
    defined = [n for n in kept if id(n) in before or isinstance(n, _Function | ast.Import)]
    return defined, [_at(function, start)]


def _at(function: ast.FunctionDef, start: ast.stmt) -> ast.FunctionDef:
    """Give the lines of a synthetic function where they begin; what is theirs keeps its lines."""
    for node in (function, *function.body, *ast.walk(function.args)):
        ast.copy_location(node, start)
    loop = function.body[-1]
    assert isinstance(loop, ast.For)
    for node in (loop.target, *ast.walk(loop.iter), loop.body[-1]):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, start)
    return function
