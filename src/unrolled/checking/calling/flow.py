"""Where a person's names take their values from: other names, what loops go through, texts put together."""

import ast
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from unrolled.checking.calling.entries import last_word

Functions = Sequence[ast.FunctionDef]
_SAME = ("reshape", "ravel", "flatten", "astype", "copy", "transpose", "squeeze", "tolist")
_SAME_CALLED = (
    "array",
    "asarray",
    "copy",
    "deepcopy",
    "float64",
    "dict",
    "ascontiguousarray",
    "expand_dims",
)
_IN_ORDER = ("reversed", "list", "tuple", "sorted", "iter")


def unshaped(value: ast.expr) -> ast.expr:
    """Return y of `y.reshape(-1)`, `y.T.ravel()`, `np.array(y)` and the like; others as they are."""
    while isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and value.func.attr in _SAME:
            of = value.func.value
            if last_word(of) not in ("np", "numpy"):
                value = of
            elif value.args:  # np.reshape(y, -1)
                value = value.args[0]
            else:
                return of
        elif last_word(value.func) in _SAME_CALLED and value.args:
            value = value.args[0]
        else:
            break
    return value


@functools.cache
def assigned(f: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Return targets with what is assigned to each: `a, b = x, y` is two."""
    return list(_assigned(f))


def _assigned(f: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    for node in ast.walk(f):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _one_by_one(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield node.target, node.value


def _one_by_one(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    both = (target, value)
    if all(isinstance(side, ast.Tuple | ast.List) for side in both):
        pairs = zip(target.elts, value.elts, strict=False)  # type: ignore[attr-defined]
        for one, of in pairs:
            yield from _one_by_one(one, of)
    else:
        yield both


def unpacked_into(name: str, f: ast.AST) -> int:
    """Return into how many names `A, C = name` takes an argument apart; 0 if nothing does."""
    sizes = (
        len(target.elts)
        for node in ast.walk(f) if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Tuple) and _word(node.value) == name
    )  # fmt: skip
    return next(sizes, 0)


def aliases(name: str, functions: Functions) -> set[str]:
    """Return the names under which an argument is known: `P = parameters`, or that of an argument to
    which it is passed on.
    """
    names, before = {name}, set[str]()
    while names != before:
        before = set(names)
        for f in functions:
            for target, value in assigned(f):
                if isinstance(target, ast.Name) and getattr(unshaped(value), "id", "") in names:
                    names.add(target.id)
            names |= passed_on(f, names, functions)
    return names


def _word(node: ast.expr) -> str:
    return getattr(node, "id", "")


def passed_on(
    f: ast.FunctionDef, names: set[str], functions: Functions,
    word: Callable[[ast.expr], str] = _word,
) -> set[str]:  # fmt: skip
    """Return the arguments of functions as which `f` passes one of the names on, as `word` reads what is
    passed: as it is, or with `last_word` a part of it too.
    """
    found = set[str]()
    for call in (n for n in ast.walk(f) if isinstance(n, ast.Call)):
        for g in _called_by(call, functions):
            theirs = _arguments(g)
            given = [
                *zip(theirs, call.args, strict=False),
                *((k.arg, k.value) for k in call.keywords),
            ]
            found |= {to for to, of in given if to and word(of) in names}
    return found


def _called_by(call: ast.Call, functions: Functions) -> list[ast.FunctionDef]:
    """Return the functions of that name, or, where there is none, what objects do that are called."""
    name = last_word(call.func)
    named = [g for g in functions if g.name == name]
    objects = [
        g for g in functions if g.name == "__call__" and len(_arguments(g)) == len(call.args)
    ]
    held = (
        isinstance(call.func, ast.Subscript)
        or last_word(getattr(call.func, "value", call)) == "self"
    )
    return named or (objects if held else [])


def _arguments(f: ast.FunctionDef) -> list[str]:
    given = [a.arg for a in (*f.args.posonlyargs, *f.args.args)]
    return given[1:] if given[:1] == ["self"] else given


def loops(f: ast.AST) -> Iterator[tuple[ast.AST, ast.expr, ast.expr]]:
    """Yield loops and comprehensions with a target and what it goes through, those of `zip` and
    `enumerate` one by one.
    """
    for node in ast.walk(f):
        if isinstance(node, ast.For):
            yield from ((node, *pair) for pair in _gone_through(node.target, node.iter))
        elif isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            for part in node.generators:
                yield from ((node, *pair) for pair in _gone_through(part.target, part.iter))


def _gone_through(target: ast.expr, of: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(of, ast.Subscript) and isinstance(of.slice, ast.Slice):  # xs[::-1]
        yield from _gone_through(target, of.value)
        return
    by = last_word(of.func) if isinstance(of, ast.Call) else ""
    parts = target.elts if isinstance(target, ast.Tuple) else []
    if by in _IN_ORDER and of.args:  # type: ignore[attr-defined]
        yield from _gone_through(target, of.args[0])  # type: ignore[attr-defined]
    elif by == "enumerate" and len(parts) == 2:
        yield from _gone_through(parts[1], of.args[0])  # type: ignore[attr-defined]
    elif by == "zip" and parts:
        for one, through in zip(parts, of.args, strict=False):  # type: ignore[attr-defined]
            yield from _gone_through(one, through)
    else:
        yield target, of


class Texts:
    """The texts that an expression of a function may be: `"W_" + g` for each g that a loop goes
    through. `constants` are names outside of the function.
    """

    def __init__(self, f: ast.FunctionDef, constants: Mapping[str, Any]):
        self.constants = constants
        self.values = {t.id: v for t, v in assigned(f) if isinstance(t, ast.Name)}
        self.loops = [(node, name, through) for node, target, of in loops(f)
                      for name, through in self._columns(target, of)]  # fmt: skip

    def _columns(
        self, target: ast.expr, of: ast.expr
    ) -> Iterator[tuple[str, ast.expr | list[str]]]:
        """Yield names with what each goes through: of `for g, d in (("f", df), ("i", di))` g goes
        through "f" and "i".
        """
        if isinstance(target, ast.Name):
            yield target.id, of
        elif isinstance(target, ast.Tuple):
            rows = self._value(of)
            elements = rows.elts if isinstance(rows, ast.Tuple | ast.List) else []
            if isinstance(of, ast.Call) and last_word(of.func) == "items":
                yield last_word(target.elts[0]), self._members(of.func.value)  # type: ignore[attr-defined]
                return
            for k, one in enumerate(target.elts):
                column = [row.elts[k] for row in elements
                          if isinstance(row, ast.Tuple | ast.List) and k < len(row.elts)]  # fmt: skip
                texts = [c.value for c in column if isinstance(c, ast.Constant)]
                yield last_word(one), [text for text in texts if isinstance(text, str)]

    def _value(self, node: ast.expr) -> ast.expr:
        return self.values.get(node.id, node) if isinstance(node, ast.Name) else node

    def of(self, node: ast.expr, depth: int = 0) -> list[str]:
        """Return what an expression may be; empty where that is not known."""
        if isinstance(node, ast.Constant):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, ast.Name):
            return self._of_name(node, depth)
        if isinstance(node, ast.FormattedValue):
            return self.of(node.value, depth)
        if isinstance(node, ast.IfExp):
            return self.of(node.body, depth) + self.of(node.orelse, depth)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            pieces = [self.of(node.left, depth), self.of(node.right, depth)]
        elif isinstance(node, ast.JoinedStr):
            pieces = [self.of(value, depth) for value in node.values]
        else:
            return []
        return ["".join(chosen) for chosen in itertools.product(*pieces)]

    def _of_name(self, node: ast.Name, depth: int) -> list[str]:
        """Return what the innermost loop around a name gives it, or what is assigned to it."""
        around = [(loop, through) for loop, name, through in self.loops
                  if name == node.id and _inside(node, loop)]  # fmt: skip
        if around:
            through = around[-1][1]
            return through if isinstance(through, list) else self._members(through)
        value = self.values.get(node.id)
        if value is not None and depth < 3:
            return self.of(value, depth + 1)
        constant = self.constants.get(node.id)
        return [constant] if isinstance(constant, str) else []

    def _members(self, through: ast.expr) -> list[str]:
        """Return the texts that a loop goes through."""
        through = self._value(through)
        if isinstance(through, ast.Constant):
            return list(through.value) if isinstance(through.value, str) else []
        if isinstance(through, ast.Name):
            return _texts_in(self.constants.get(through.id))
        keys = through.keys if isinstance(through, ast.Dict) else []
        elements = through.elts if isinstance(through, ast.Tuple | ast.List | ast.Set) else keys
        constants = [e.value for e in elements if isinstance(e, ast.Constant)]
        return [text for text in constants if isinstance(text, str)]


def _texts_in(held: Any) -> list[str]:
    members: Iterable[Any] = held if isinstance(held, str | tuple | list | dict) else ()
    return [text for text in members if isinstance(text, str)]


def _inside(node: ast.AST, loop: ast.AST) -> bool:
    return any(inner is node for inner in ast.walk(loop))
