"""Seeing every sub-expression of a person's code: its syntax tree is rewritten so that each one reports
its value, and can be given another.

`instrument` returns the rewritten tree and the places in it: static spots of the code. `Watcher`
is what the rewritten code reports to while it runs.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unrolled.checking.running.program import stored_names

Array = Any

SEE, AFTER, LOOP, LAZY = "__see__", "__after__", "__loop__", "__lazy__"
_LARGEST = 200_000  # numbers of an array that is still kept
MOST_ROUNDS = 50_000  # of all loops of one run, which has a handful of steps
_NOT_IN_A_LAMBDA = (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)
_SEEN = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Subscript, ast.Attribute, ast.IfExp)


@dataclass(frozen=True)
class Place:
    """A spot in the code.

    `kind` is "expression", "name" (a plain name in an expression), "assigned" (the right-hand side of
    an assignment to `targets`), "added" (what `+=` adds), "updated" (its target after that),
    "returned" (a plain name that is returned), "carried" (what a loop reads several times and does not
    assign, when a round begins) or "loop".
    `parent` is the number of the place around it, `function` the name of the function it is in.
    """

    number: int
    kind: str
    node: ast.AST
    targets: tuple[str, ...] = ()
    parent: int | None = None
    function: str = ""

    @property
    def line(self) -> int:
        return int(getattr(self.node, "lineno", 0))

    @property
    def column(self) -> int:
        return int(getattr(self.node, "col_offset", 0)) + 1


@dataclass(frozen=True, slots=True)
class Event:
    """One value that was seen: at which place, as its `count`-th there, inside which rounds of loops.

    `rounds` are pairs of a loop's entry and the number of its round, outermost first; `holder` is the
    number of the object whose method it was seen in.
    """

    place: int
    count: int
    rounds: tuple[tuple[int, int], ...]
    value: Array
    holder: int = 0


@dataclass
class Entry:
    """One run through a loop: the place of its header, and what its variable was in each round."""

    place: int
    rounds: tuple[tuple[int, int], ...]
    items: list[Any] = field(default_factory=list)


class EndlessLoopError(Exception):
    """A loop of theirs went on and on."""


Replacement = Callable[[Event], Array]


class Watcher:
    """What instrumented code reports to: keeps events, and hands replaced values back.

    `replacements` maps a place to a function that returns the value to go on with (None: theirs);
    `loops` maps a loop's place to a function from what it was given to what it has to run over.
    With `quiet` only replaced places are kept. `reached` counts what was computed in all, `ran` the
    rounds of all loops, of which there may be `most`.
    """

    def __init__(
        self, replacements: dict[int, Replacement] | None = None,
        loops: dict[int, Callable[[Iterable[Any]], list[Any]]] | None = None, quiet: bool = False,
        most: int | None = None,
    ):  # fmt: skip
        self.replacements, self.loops, self.quiet = replacements or {}, loops or {}, quiet
        self.most = most or MOST_ROUNDS
        self.events: list[Event] = []
        self.entries: list[Entry] = []
        self._rounds: tuple[tuple[int, int], ...] = ()
        self._counts: dict[int, int] = {}
        self._holders: dict[int, tuple[int, Any]] = {}  # kept, so that no id comes twice
        self.ran = 0
        self.reached = 0

    @property
    def hooks(self) -> dict[str, Any]:
        """The names that instrumented code calls."""
        return {SEE: self.see, AFTER: self.after, LOOP: self.loop, LAZY: self.lazy}

    def see(self, place: int, value: Any, of: Any = None) -> Any:
        """Keep a value, seen in a method of an object; return it, or what stands in for it."""
        self.reached += 1
        holder = 0
        if of is not None:
            holder = self._holders.setdefault(id(of), (len(self._holders) + 1, of))[0]
        if self.quiet and place not in self.replacements:
            return value
        number = _kept(value)
        if number is None and place not in self.replacements:
            return value
        count = self._counts.get(place, 0)
        self._counts[place] = count + 1
        event = Event(place, count, self._rounds, number, holder)
        self.events.append(event)
        if place in self.replacements:
            other = self.replacements[place](event)
            return value if other is None else other
        return value

    def after(self, place: int, value: Any, of: Any = None) -> Any:
        """The same for a target that was changed in place: the array itself is changed."""
        other = self.see(place, value, of)
        if other is value or not isinstance(value, np.ndarray) or np.shape(other) != value.shape:
            return other
        value[...] = other
        return value

    def lazy(self, place: int, compute: Callable[[], Any], of: Any = None) -> Any:
        """The same for an expression that fails: it is tried only where nothing stands in for it."""
        try:
            value = compute()
        except Exception:
            if place not in self.replacements:
                raise
            value = None
        return self.see(place, value, of)

    def loop(self, place: int, iterable: Iterable[Any]) -> Iterator[Any]:
        """Run over `iterable`, saying in which round events happen."""
        outside, number = self._rounds, len(self.entries)
        entry = Entry(place, outside)
        self.entries.append(entry)
        if place in self.loops:
            iterable = self.loops[place](iterable)
        try:
            for k, item in enumerate(iterable):
                self.ran += 1
                if self.ran > self.most:
                    raise EndlessLoopError(f"a loop went on for {self.most:,} rounds")
                entry.items.append(_plain(item))
                self._rounds = (*outside, (number, k))
                yield item
        finally:
            self._rounds = outside


def _kept(value: Any) -> Array | None:
    """A copy of a number or a numeric array; None for anything else."""
    if isinstance(value, np.ndarray):
        return value.copy() if value.dtype.kind in "fiub" and value.size <= _LARGEST else None
    if isinstance(value, bool | str | bytes):
        return None
    if isinstance(value, int | float | np.generic):
        array = np.asarray(value)
        return array if array.dtype.kind in "fiu" else None
    return None


def _plain(item: Any) -> Any:
    counts = isinstance(item, int | np.integer) and not isinstance(item, bool)
    return int(item) if counts else None


def instrument(tree: ast.Module, lazy: Iterable[int] = ()) -> tuple[ast.Module, list[Place]]:
    """Return the rewritten tree and its places; `lazy` are numbers of places that fail otherwise."""
    rewriter, new = _Rewriter(frozenset(lazy)), deepcopy(tree)
    for node, original in zip(ast.walk(new), ast.walk(tree), strict=True):
        node.original = original  # type: ignore[attr-defined]
    new = rewriter.visit(new)
    return ast.fix_missing_locations(new), rewriter.places


class _Rewriter(ast.NodeTransformer):
    def __init__(self, lazy: frozenset[int]):
        self.places: list[Place] = []
        self._lazy = lazy
        self._around: list[int] = []
        self._functions: list[str] = []
        self._before: set[str] = set()  # what a function has assigned for certain
        self._in_class = False
        self._of = ""  # the object whose method it is in

    def _place(self, kind: str, node: ast.AST, targets: tuple[str, ...] = ()) -> int:
        parent = self._around[-1] if self._around else None
        function = self._functions[-1] if self._functions else ""
        node = getattr(node, "original", node)
        self.places.append(Place(len(self.places), kind, node, targets, parent, function))
        return len(self.places) - 1

    def _call(self, name: str, number: int, argument: ast.expr, at: ast.AST) -> ast.Call:
        of = [ast.Name(self._of, ast.Load())] if self._of and name != LOOP else []
        called = ast.Call(ast.Name(name, ast.Load()), [ast.Constant(number), argument, *of], [])
        for node in (called, called.func, called.args[0], *of):
            ast.copy_location(node, at)
        return called

    def _seen(self, kind: str, node: ast.expr, targets: tuple[str, ...] = ()) -> ast.expr:
        """Visit what is in `node`, then wrap it."""
        number = self._place(kind, node, targets)
        if isinstance(node, ast.Name):
            return self._call(SEE, number, node, node)
        self._around.append(number)
        inner = self._inside(node) if kind == "expression" else self.visit(node)
        self._around.pop()
        if number in self._lazy:
            nothing = ast.arguments([], [], None, [], [], None, [])
            return self._call(
                LAZY, number, ast.copy_location(ast.Lambda(nothing, inner), node), node
            )
        return self._call(SEE, number, inner, node)

    def _inside(self, node: ast.expr) -> ast.expr:
        copied = type(node)(**dict(ast.iter_fields(node)))
        ast.copy_location(copied, node)
        if isinstance(copied, ast.Call):
            copied.func = self._function(copied.func)
            copied.args = [self._argument(a) for a in copied.args]
            copied.keywords = [self._keyword(k) for k in copied.keywords]
            return copied
        if isinstance(copied, ast.Subscript):  # an index is not a quantity
            copied.value = self._function(copied.value)
            return copied
        if isinstance(copied, ast.Attribute):
            copied.value = self.visit(copied.value)
            return copied
        visited: ast.expr = self.generic_visit(copied)  # type: ignore[assignment]
        return visited

    def _function(self, node: ast.expr) -> ast.expr:
        """What is called or indexed: `np.dot`, `self.cache["A"]`: only what computes in it is seen."""
        if isinstance(node, ast.Attribute):
            attribute = ast.Attribute(self._function(node.value), node.attr, node.ctx)
            return ast.copy_location(attribute, node)
        if isinstance(node, ast.Subscript):
            entry = ast.Subscript(self._function(node.value), node.slice, node.ctx)
            return ast.copy_location(entry, node)
        if isinstance(node, ast.Name):
            return node
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "super"
        ):
            return node
        visited: ast.expr = self.visit(node)
        return visited

    def _argument(self, node: ast.expr) -> ast.expr:
        visited: ast.expr = self.visit(node)
        return visited

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A plain name is seen where something is made from it."""
        if not self._around or not isinstance(node.ctx, ast.Load):
            return node
        number = self._place("name", node)
        return self._call(SEE, number, node, node)

    def _keyword(self, node: ast.keyword) -> ast.keyword:
        new = ast.keyword(
            node.arg, self._argument(node.value) if node.arg else self.visit(node.value)
        )
        return ast.copy_location(new, node)

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, _SEEN) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
                return node
            if isinstance(node, ast.Attribute) and not _is_quantity(node):
                return node if isinstance(node.value, ast.Name) else self._inside(node)
            return self._seen("expression", node)
        return super().visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outside, self._in_class = self._in_class, True
        visited = self.generic_visit(node)
        self._in_class = outside
        return visited

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outside, self._in_class = self._in_class, False
        of = self._of
        if outside and node.name != "__init__":
            self._of = "self" if [a.arg for a in node.args.args[:1]] == ["self"] else ""
        self._functions.append(node.name)
        body, around, self._around = [], self._around, []
        before, self._before = self._before, {a.arg for a in node.args.args}
        for statement in node.body:
            visited = self.visit(statement)
            body += visited if isinstance(visited, list) else [visited]
            self._before |= stored_names(statement) if isinstance(statement, ast.Assign) else set()
        self._around, self._in_class, self._of = around, outside, of
        self._before = before
        self._functions.pop()
        fields = dict(ast.iter_fields(node)) | {"body": body}
        return ast.copy_location(ast.FunctionDef(**fields), node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        targets = node.targets
        if (
            len(targets) == 1
            and isinstance(targets[0], ast.Tuple)
            and isinstance(node.value, ast.Tuple)
        ):
            pair = self._one_by_one(targets[0].elts, node.value)
            return ast.copy_location(ast.Assign(targets, pair), node)
        new = ast.Assign(targets, self._assigned(node.value, tuple(targets)))
        return ast.copy_location(new, node)

    def _one_by_one(self, targets: list[ast.expr], values: ast.Tuple) -> ast.expr:
        """`a, b = x, y`: each value is assigned to its own target, where as many are on both sides."""
        if len(targets) != len(values.elts) or any(isinstance(v, ast.Starred) for v in values.elts):
            visited: ast.expr = self.visit(values)
            return visited
        pairs = zip(targets, values.elts, strict=True)
        assigned = [self._assigned(value, (target,)) for target, value in pairs]
        return ast.copy_location(ast.Tuple(assigned, ast.Load()), values)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return node
        value = self._assigned(node.value, (node.target,))
        new = ast.AnnAssign(node.target, node.annotation, value, node.simple)
        return ast.copy_location(new, node)

    def _assigned(self, value: ast.expr, targets: tuple[ast.expr, ...]) -> ast.expr:
        if isinstance(value, ast.Constant | ast.Lambda):
            return value
        return self._seen("assigned", value, tuple(ast.unparse(target) for target in targets))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        target = ast.unparse(node.target)
        added = self._seen("added", node.value, (target,))
        update = ast.copy_location(ast.AugAssign(node.target, node.op, added), node)
        number = self._place("updated", node, (target,))
        read = _read_again(node.target)
        if read is None:
            return update
        seen = self._call(AFTER, number, _loaded(read), node)
        # A whole array is changed in place: to assign it would make a global name a local one.
        again = ast.Assign([read], seen) if read is node.target else ast.Expr(seen)
        return [update, ast.copy_location(again, node)]

    def visit_Return(self, node: ast.Return) -> Any:
        if isinstance(node.value, ast.Name):
            return ast.copy_location(ast.Return(self._seen("returned", node.value)), node)
        if isinstance(node.value, ast.Tuple):
            values = [
                self._seen("returned", v) if isinstance(v, ast.Name) else self.visit(v)
                for v in node.value.elts
            ]
            pair = ast.copy_location(ast.Tuple(values, ast.Load()), node.value)
            return ast.copy_location(ast.Return(pair), node)
        return self.generic_visit(node)

    def visit_Dict(self, node: ast.Dict) -> Any:
        values = [self._entry(k, v) for k, v in zip(node.keys, node.values, strict=True)]
        return ast.copy_location(ast.Dict(node.keys, values), node)

    def _entry(self, key: ast.expr | None, value: ast.expr) -> ast.expr:
        """What a dictionary is written with: what is computed there is assigned to its key."""
        if isinstance(value, ast.Name):
            return self._seen("returned", value)
        text = key.value if isinstance(key, ast.Constant) else None
        named = isinstance(text, str) and text.isidentifier() and not isinstance(value, ast.Dict)
        if named and isinstance(value, _SEEN):
            return self._seen("assigned", value, (str(text),))
        visited: ast.expr = self.visit(value)
        return visited

    def visit_For(self, node: ast.For) -> Any:
        number = self._place("loop", node)
        over = self._call(LOOP, number, self.visit(node.iter), node.iter)
        body, orelse = self._turn(node), self._block(node.orelse)
        return ast.copy_location(ast.For(node.target, over, body, orelse), node)

    def visit_While(self, node: ast.While) -> Any:
        """`while condition` becomes a `for` over rounds, so that its rounds are counted as well."""
        number = self._place("loop", node)
        if self._in_class or any(
            isinstance(inner, _NOT_IN_A_LAMBDA) for inner in ast.walk(node.test)
        ):
            return self.generic_visit(node)
        nothing = ast.arguments([], [], None, [], [], None, [])
        test = ast.Call(ast.Name("bool", ast.Load()), [self.visit(node.test)], [])
        rounds = ast.Call(
            ast.Name("iter", ast.Load()), [ast.Lambda(nothing, test), ast.Constant(False)], []
        )
        over = self._call(LOOP, number, rounds, node.test)
        variable = ast.Name("__round__", ast.Store())
        body, orelse = self._turn(node), self._block(node.orelse)
        return ast.copy_location(ast.For(variable, over, body, orelse), node)

    def _turn(self, node: ast.For | ast.While) -> list[ast.stmt]:
        """Return the body of a loop; what is read several times in it, and was assigned before it only, may
        be what should go on from round to round: it is seen when each begins.
        """
        before, self._before = self._before, self._before - stored_names(node)
        reads = [n for statement in node.body for n in ast.walk(statement)
                 if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]  # fmt: skip
        often = Counter(n.id for n in reads)
        first = {n.id: n for n in reversed(reads) if n.id in self._before and often[n.id] > 1}
        begun = [self._carried(name) for name in sorted(first.values(), key=lambda n: n.id)]
        body = self._block(node.body)
        self._before = before
        return [*begun, *body]

    def _carried(self, name: ast.Name) -> ast.stmt:
        seen = self._call(SEE, self._place("carried", name), name, name)
        target = ast.copy_location(ast.Name(name.id, ast.Store()), name)
        return ast.copy_location(ast.Assign([target], seen), name)

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in statements:
            visited = self.visit(statement)
            found += visited if isinstance(visited, list) else [visited]
        return found

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        return node

    def visit_Assert(self, node: ast.Assert) -> Any:
        return node

    def visit_Delete(self, node: ast.Delete) -> Any:
        return node

    def visit_arguments(self, node: ast.arguments) -> Any:
        return node


def _is_quantity(node: ast.Attribute) -> bool:
    """Whether an attribute may hold numbers of their own: `x.T`, `self.A`, not `x.shape` or `np.pi`."""
    return node.attr not in (
        "shape",
        "size",
        "ndim",
        "dtype",
        "pi",
        "inf",
        "nan",
        "float64",
        "float32",
    )


def _read_again(target: ast.expr) -> ast.expr | None:
    """Return what of an updated target can be read: itself, or, where that would call something again or
    be entries from here and there as in `p[np.arange(m), y]`, the whole; None if there is no such.
    """
    calls = any(isinstance(inner, ast.Call) for inner in ast.walk(target))
    if not calls and not _is_scattered(target):
        return target
    return _read_again(target.value) if isinstance(target, ast.Subscript) else None


def _is_scattered(target: ast.expr) -> bool:
    """Return whether a target is entries by their numbers: `p[rows, labels]`, `p[labels[t], 0]`."""
    if not isinstance(target, ast.Subscript):
        return False
    index = target.slice
    several = isinstance(index, ast.Tuple) and len(index.elts) > 1
    numbers = index.elts if isinstance(index, ast.Tuple) else [index]
    plain = any(isinstance(n, ast.Slice | ast.Constant) for n in numbers)
    looked_up = any(isinstance(n, ast.Subscript) for n in numbers)
    return (several and not plain) or looked_up


def _loaded(target: ast.expr) -> ast.expr:
    """The target of an assignment as an expression that reads it."""
    loaded = ast.parse(ast.unparse(target), mode="eval").body
    for node in ast.walk(loaded):
        ast.copy_location(node, target)
    return loaded
