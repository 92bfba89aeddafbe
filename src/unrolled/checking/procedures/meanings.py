"""What arguments stand for whose names do not say it: by what is done with them, and what they are passed on to."""

import ast
from collections.abc import Callable, Iterator

from unrolled.checking.procedures.roles import Function
from unrolled.checking.procedures.tracing import named

COLLECTIONS = ("words", "ids", "text", "sequences", "pairs", "X")
_DRAWS = {"choice", "choices", "normal", "uniform", "standard_normal", "integers", "random", "randn", "rand",
          "randint", "multinomial", "permutation", "shuffle", "gauss", "random_sample"}  # fmt: skip
_MAKES = {"zeros", "ones", "empty", "full", "eye", "identity", "normal", "uniform", "standard_normal", "randn",
          "rand", "random", "random_sample"}  # fmt: skip
_TEXT = {"split", "lower", "strip", "splitlines", "upper", "replace"}
_SURE = {"generator": "generator", "lookup": "to_index", "text": "text", "stop": "stop", "window": "T",
         "streams": "m", "count": "length", "divisor": "temperature"}  # fmt: skip
_SIZE_OF = {"state": "n_a", "X": "n_symbols", "Y": "n_symbols"}


def meanings(
    tree: ast.Module, functions: list[Function], role: Callable[[str], str]
) -> dict[str, tuple[str, ...]]:
    """Return what each argument may stand for, the most likely first, where its name does not say it.

    One that is passed on stands for what it is called there; a name that says something which is
    never done with such a thing is read anew.
    """
    used = _uses(functions)
    found = {n: again for n, kinds in used.items() if (again := _again(role(n), kinds))}
    unknown = [n for n in used if not role(n)]
    for name in unknown:
        kinds = used[name] - {"lookup"} if "kept" in used[name] else used[name]
        sure = [r for kind, r in _SURE.items() if kind in kinds][:1]
        if {"window", "streams"} <= kinds and _beside(name, functions, used):
            sure = ["m"]
        if (sure and "collection" not in used[name] | {sure[0]}) or (
            sure and sure[0] in ("to_index", "text", "generator")
        ):
            found[name] = (sure[0],)
    _passed_on(tree, functions, role, found, set(unknown))
    for name in unknown:
        found.setdefault(name, _by_kind(used[name]))
    return found


def _beside(name: str, functions: list[Function], used: dict[str, set[str]]) -> bool:
    """Whether a function has another argument that is the length of windows."""
    others = (set(f.arguments) - {name} for f in functions if name in f.arguments)
    return any({"window", "streams"} & used[n] == {"window"} for names in others for n in names)


def _again(role: str, kinds: set[str]) -> tuple[str, ...]:
    """What a name is read as whose use speaks against what it says, () where it does not."""
    if role in ("iterations", "epochs") and "window" in kinds and "count" not in kinds:
        return ("T",)
    size = "size" in kinds and not kinds & {"collection", "count", "array"}
    if role == "length" and size:
        return ("n_symbols", "n_a")
    return (_SIZE_OF[role],) if role in _SIZE_OF and size else ()


def _by_kind(kinds: set[str]) -> tuple[str, ...]:
    if "collection" in kinds:
        return COLLECTIONS
    if "factor" in kinds and "size" not in kinds:
        return ("learning_rate",)
    return ("n_symbols", "n_a", "m", "T") if "size" in kinds else ("n_symbols", "learning_rate")


def _uses(functions: list[Function]) -> dict[str, set[str]]:
    """The ways in which the arguments of their functions are used, by the argument's name."""
    found: dict[str, set[str]] = {}
    for function in functions:
        names = set(function.arguments)
        for name in names:
            found.setdefault(name, set())
        for kind, node in _kinds(function.node):
            if isinstance(node, ast.Name) and node.id in names:
                found[node.id].add(kind)
    return found


def _kinds(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield what is done with expressions in a function: (how, expression)."""
    letters = {
        named(n.target) for n in ast.walk(function)
        if isinstance(n, ast.For | ast.comprehension) and not _counts(n.iter)
    }  # fmt: skip
    keyed = {
        named(n.iter) for n in ast.walk(function) if isinstance(n, ast.For | ast.comprehension)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            yield from _in_call(node)
        elif isinstance(node, ast.Attribute):
            words = {"generator": _DRAWS, "text": _TEXT, "array": {"shape", "T", "dot", "ndim"}}
            yield from ((kind, node.value) for kind, names in words.items() if node.attr in names)
        elif isinstance(node, ast.Subscript):
            looked = named(node.slice) in letters - {""} and named(node.value) not in keyed
            kept = isinstance(node.ctx, ast.Store)
            yield "kept" if kept else "lookup" if looked else "collection", node.value
        elif isinstance(node, ast.Slice):
            yield from (("window", n) for n in ast.walk(node) if isinstance(n, ast.Name))
        elif isinstance(node, ast.For | ast.comprehension):
            yield "collection", node.iter
        else:
            yield from _reckoned(node)


def _counts(iterated: ast.expr) -> bool:
    """Whether a loop goes over numbers, or over the names in a container."""
    inner = {named(n.func) for n in ast.walk(iterated) if isinstance(n, ast.Call)}
    return bool(inner & {"range", "items", "keys", "values"})


def _in_call(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    does = named(node.func)
    inner = [n for a in node.args for n in ast.walk(a) if isinstance(n, ast.Name)]
    if does == "range":
        plain = (a.left if isinstance(a, ast.BinOp) else a for a in node.args[:2])
        yield from (("count", a) for a in plain)
        yield from (("window", a) for a in node.args[2:])
    elif does in ("len", "enumerate", "zip", "list", "sorted", "iter", "asarray", "array"):
        yield from (("collection", a) for a in node.args)
    elif does == "reshape":
        yield from (("streams", n) for n in inner)
    elif does in _MAKES:
        yield from (("size", n) for n in inner)


def _reckoned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        equal = isinstance(node.ops[0], ast.Eq | ast.NotEq)
        yield from (
            ("stop" if equal else "count", side) for side in (node.left, node.comparators[0])
        )
    elif isinstance(node, ast.BinOp):
        op = node.op
        if isinstance(op, ast.FloorDiv):
            yield "streams", node.right
        elif isinstance(op, ast.Div):
            yield "divisor", node.right
        elif isinstance(op, ast.Mult):
            yield from (("factor", side) for side in (node.left, node.right))


def _passed_on(
    tree: ast.Module, functions: list[Function], role: Callable[[str], str],
    found: dict[str, tuple[str, ...]], unknown: set[str],
) -> None:  # fmt: skip
    """Add what arguments stand for that their callers, or those whom they are passed on to, name."""

    def known(name: str) -> str:
        return found[name][0] if len(found.get(name, ())) == 1 else role(name)

    pairs = list(_pairs(tree, {f.name: f for f in functions}))
    for _ in range(4):
        for argument, value in pairs:
            given = _stands_for(value, known)
            if argument in unknown and argument not in found and given:
                found[argument] = (given,)
            name = named(value) if isinstance(value, ast.Name) else ""
            if name in unknown and name not in found and known(argument):
                found[name] = (known(argument),)


def _stands_for(value: ast.expr, known: Callable[[str], str]) -> str:
    if isinstance(value, ast.Name):
        return known(value.id)
    if isinstance(value, ast.Call) and named(value.func) == "len" and value.args:
        inner = named(value.args[0])
        symbols = ("chars", "alphabet", "letters", "symbols", "vocab", "vocabulary")
        indexed = known(inner) in ("to_index", "to_symbol")
        return "n_symbols" if indexed or inner.lower() in symbols else ""
    if isinstance(value, ast.Subscript) and named(value.value):
        whole = known(named(value.value))
        return {"ids": "first", "to_index": "stop"}.get(whole, "")
    return ""


def _pairs(tree: ast.Module, by_name: dict[str, Function]) -> Iterator[tuple[str, ast.expr]]:
    """Yield the arguments of their functions, each with what some call gives for it."""
    for node in ast.walk(tree):
        function = by_name.get(named(node.func)) if isinstance(node, ast.Call) else None
        if function and isinstance(node, ast.Call):
            yield from zip(function.arguments, node.args, strict=False)
            yield from ((k.arg, k.value) for k in node.keywords if k.arg in function.arguments)
