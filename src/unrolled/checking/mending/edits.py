"""The edits of a person's syntax: what a slip of theirs may have been before it slipped.

Each edit changes one place: an index, a name, a transpose, an axis, the order of two names, of two
lines, `=` and `+=`, a line inside or outside of a loop. Nothing here knows a cell.
"""

import ast
import copy
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeGuard

from unrolled.checking.mending.trees import Family, Relative
from unrolled.checking.running.program import called_name, stored_names

_PRODUCTS = ("dot", "matmul")
_REDUCTIONS = ("sum", "mean", "max")
_SIZED = ("zeros", "ones", "empty", "range", "arange", "reshape", "full")


class Mend(NamedTuple):
    """`node` is what is changed, into `new` or as `moved` says; `make` gives the tree."""

    node: ast.AST
    make: Callable[[], Relative]
    new: ast.AST | None = None
    moved: str = ""

    @property
    def words(self) -> str:
        """To what it is changed, in words."""
        if self.new is None:
            return self.moved
        return f"`{_first_line(self.new)}` in the place of `{_first_line(self.node)}`"


def structural(family: Family, statement: ast.stmt) -> Iterator[Mend]:
    """Yield the edits of where a statement keeps what it computes, and of when it does: its target's index,
    the order of its targets, of lines and of loops, what it shares with others.
    """
    for target in targets(statement):
        for rule in (_indices, _tuples):
            yield from (_exchanged(family, target, new) for new in rule(target))
    added = _added_up(statement) if _is_begun_before(family, statement) else ()
    for new in (*added, *_shared(statement), *_loops(statement)):
        yield _exchanged(family, statement, new)
    for node in _own(statement):
        yield from (_exchanged(family, node, new) for new in _ends(node))
    yield from _of_order(family, statement)


def narrow(family: Family, statement: ast.stmt) -> Iterator[Mend]:
    """Yield the edits of what a statement computes that need no other name: of indices, operands, axes."""
    for node in _own(statement):
        for rule in _RULES if _use(family, node) != "size" else (_loops,):
            for new in rule(node):
                yield _exchanged(family, node, new)


def wide(family: Family, statement: ast.stmt) -> Iterator[Mend]:
    """Yield the edits that put another name, another key or a function into a statement."""
    functions = _functions(family.tree)
    scope = family.function(statement) or family.tree
    names = _names(family, scope)
    for node in _own(statement):
        use = _use(family, node)
        applied = _applied(node, functions) if use == "value" else ()
        for new in (*_renamed(node, names.get(use, [])), *_keyed(family, node), *applied):
            yield _exchanged(family, node, new)


def turned_loops(family: Family) -> Iterator[Mend]:
    """Yield each `for` loop with what it runs over turned round."""
    for node in ast.walk(family.tree):
        if isinstance(node, ast.For):
            yield from (_exchanged(family, node.iter, new) for new in _turned(node.iter))


def of_size(family: Family, statement: ast.stmt) -> Iterator[Mend]:
    """Yield the edits of how large what a statement makes is."""
    sizes = [node for node in _own(statement) if _use(family, node) == "size"]
    scope = family.function(statement) or family.tree
    names = sorted({*_names(family, scope).get("size", []), *_of_shapes(scope)}) if sizes else []
    for node in sizes:
        yield from (_exchanged(family, node, new) for new in _renamed(node, names))


def _of_shapes(scope: ast.AST) -> set[str]:
    """The names that shapes are unpacked into: `n_y, n_a = W.shape`."""
    values = [n for n in ast.walk(scope) if isinstance(n, ast.Assign)]
    shapes = [n for n in values if isinstance(n.value, ast.Attribute) and n.value.attr == "shape"]
    return {name for n in shapes for target in n.targets for name in stored_names(target)}


def targets(statement: ast.stmt) -> list[ast.expr]:
    """Return what a statement assigns to, or adds to."""
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, ast.AugAssign) else []


def _exchanged(family: Family, node: ast.AST, new: ast.AST) -> Mend:
    if not hasattr(new, "lineno"):  # what was theirs keeps its place
        new = ast.fix_missing_locations(ast.copy_location(new, node))
    return Mend(node, lambda: family.with_other(node, new), new)


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).splitlines()[0]


def _own(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the nodes of a statement; of a compound one only its header."""
    yield statement
    for field, value in ast.iter_fields(statement):
        if field not in ("body", "orelse", "finalbody", "handlers"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from ast.walk(child)


def _indices(node: ast.AST) -> Iterator[ast.AST]:
    """`A[:, :, t]`: another step, first to last."""
    if not isinstance(node, ast.Subscript):
        return
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for k, part in enumerate(parts):
        for new in _beside(part):
            index: ast.expr = new
            if isinstance(node.slice, ast.Tuple):
                index = ast.Tuple([*parts[:k], new, *parts[k + 1 :]], ast.Load())
            yield ast.Subscript(node.value, index, node.ctx)


def _beside(index: ast.expr) -> Iterator[ast.expr]:
    """Beside t are t − 1 and t + 1, beside t − 1 is t; a slice is cut at its other side."""
    if isinstance(index, ast.Name):
        yield from (ast.BinOp(index, op, ast.Constant(1)) for op in (ast.Sub(), ast.Add()))
    elif isinstance(index, ast.BinOp) and isinstance(index.op, ast.Add | ast.Sub):
        yield index.left
        other = ast.Sub() if isinstance(index.op, ast.Add) else ast.Add()
        yield ast.BinOp(index.left, other, index.right)
    elif isinstance(index, ast.Slice) and index.lower and index.upper:
        for lower, upper in zip(_beside(index.lower), _beside(index.upper), strict=False):
            yield ast.Slice(lower, upper, index.step)
    elif isinstance(index, ast.Slice) and (index.lower is None) != (index.upper is None):
        yield ast.Slice(index.upper, index.lower, index.step)
    elif isinstance(index, ast.Constant) and type(index.value) is int:
        yield from (ast.Constant(index.value + by) for by in (-1, 1) if index.value + by >= -1)


def _tuples(node: ast.AST) -> Iterator[ast.AST]:
    """Two names exchanged: `a, c = …`, `return a, c`, [a; x]."""
    if isinstance(node, ast.Tuple | ast.List):
        for k in range(len(node.elts) - 1):
            elts = [*node.elts[:k], node.elts[k + 1], node.elts[k], *node.elts[k + 2 :]]
            yield type(node)(elts, node.ctx)


def _arguments(node: ast.AST) -> Iterator[ast.AST]:
    """Two arguments of a call exchanged."""
    if isinstance(node, ast.Call) and called_name(node) not in (*_PRODUCTS, "range", "zeros"):
        for k in range(len(node.args) - 1):
            args = [*node.args[:k], node.args[k + 1], node.args[k], *node.args[k + 2 :]]
            yield ast.Call(node.func, args, node.keywords)


def _ends(node: ast.AST) -> Iterator[ast.AST]:
    """The other end of a list: `pop()` and `pop(0)`."""
    if isinstance(node, ast.Call) and called_name(node) == "pop":
        yield ast.Call(node.func, [] if node.args else [ast.Constant(0)], [])


def _products(node: ast.AST) -> Iterator[ast.AST]:
    """A matrix product with a transpose more or less, or its operands exchanged."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for left, right in _operands(node.left, node.right):
            yield ast.BinOp(left, ast.MatMult(), right)
        yield ast.BinOp(node.left, ast.Mult(), node.right)
    elif isinstance(node, ast.Call) and called_name(node) in _PRODUCTS and len(node.args) == 2:
        for pair in _operands(*node.args):
            yield ast.Call(node.func, list(pair), node.keywords)


def _operands(left: ast.expr, right: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    turned = {True: _transposed(left), False: left}, {True: _transposed(right), False: right}
    yield turned[0][True], right
    yield left, turned[1][True]
    for one in (True, False):
        for other in (True, False):
            yield turned[1][one], turned[0][other]
    yield turned[0][True], turned[1][True]


def _transposed(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.copy_location(ast.Attribute(node, "T", ast.Load()), node)


def _reductions(node: ast.AST) -> Iterator[ast.AST]:
    """A sum over another axis, with and without keepdims."""
    if not isinstance(node, ast.Call) or called_name(node) not in _REDUCTIONS:
        return
    keywords = {k.arg: k for k in node.keywords}
    rest = [k for k in node.keywords if k.arg not in ("axis", "keepdims")]
    kept = ast.keyword("keepdims", ast.Constant(True))
    for axis in (0, 1, -1):
        over = ast.keyword("axis", ast.Constant(axis))
        yield ast.Call(node.func, node.args[:1], [*rest, over, kept])
        yield ast.Call(node.func, node.args[:1], [*rest, over])
    if keywords or len(node.args) > 1:
        yield ast.Call(node.func, node.args[:1], rest)


def _operations(node: ast.AST) -> Iterator[ast.AST]:
    """Another sign, a term or a factor less, another bracket."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        pairs = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
        yield ast.BinOp(node.left, pairs[type(node.op)](), node.right)
        yield node.left
        yield node.right
        yield from _brackets(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield node.left
    elif isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        yield node.args[0]  # the function is one too many


def _brackets(node: ast.BinOp) -> Iterator[ast.AST]:
    """A bracket closed late or early: x · 1 − y as x · (1 − y), and the other way round."""
    signs, left, right = ast.Add | ast.Sub, node.left, node.right
    if isinstance(node.op, signs) and _is_product(left):
        inner = ast.BinOp(left.right, node.op, right)
        yield ast.BinOp(left.left, ast.Mult(), inner)
    if isinstance(node.op, signs) and _is_product(right):
        inner = ast.BinOp(left, node.op, right.left)
        yield ast.BinOp(inner, ast.Mult(), right.right)
    if (
        isinstance(node.op, ast.Mult)
        and isinstance(right, ast.BinOp)
        and isinstance(right.op, signs)
    ):
        product = ast.BinOp(left, ast.Mult(), right.left)
        yield ast.BinOp(product, right.op, right.right)


def _is_product(node: ast.expr) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)


def _is_begun_before(family: Family, statement: ast.stmt) -> bool:
    """Whether a loop goes on with what had a value before it: there it may be added up."""
    loops = [node for node in family.above(statement) if isinstance(node, ast.For | ast.While)]
    scope = family.function(statement) or family.tree
    own = {ast.unparse(target).partition("[")[0] for target in targets(statement)}
    before = {
        ast.unparse(target).partition("[")[0]
        for other in ast.walk(scope)
        if isinstance(other, ast.Assign) and loops and other.lineno < loops[-1].lineno
        for target in other.targets
        for target in (target.elts if isinstance(target, ast.Tuple) else [target])
    }
    return bool(own & before)


def _added_up(node: ast.AST) -> Iterator[ast.AST]:
    """`=` for `+=`, and `+=` for `=`."""
    if isinstance(node, ast.AugAssign):
        yield ast.Assign([node.target], node.value)
        return
    target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
    if isinstance(node, ast.Assign) and isinstance(
        target, ast.Name | ast.Subscript | ast.Attribute
    ):
        yield ast.AugAssign(copy.copy(target), ast.Add(), node.value)


def _shared(node: ast.AST) -> Iterator[ast.AST]:
    """`a[:] = …`, which writes into what others hold, and `a = b`, which shares it."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return
    (target,) = node.targets
    if isinstance(node.value, ast.Name | ast.Subscript | ast.Attribute):
        copied = ast.Call(ast.Attribute(node.value, "copy", ast.Load()), [], [])
        yield ast.Assign([target], copied)
    if isinstance(target, ast.Subscript) and _is_whole(target.slice):
        yield ast.Assign([_stored(target.value)], node.value)


def _is_whole(index: ast.expr) -> bool:
    return isinstance(index, ast.Slice) and not (index.lower or index.upper or index.step)


def _stored(node: ast.expr) -> ast.expr:
    """What is read in a target, as a target."""
    stored = copy.copy(node)
    if isinstance(stored, ast.Name | ast.Attribute | ast.Subscript):
        stored.ctx = ast.Store()
    return stored


def _loops(node: ast.AST) -> Iterator[ast.AST]:
    """A loop turned round, or over one step more or less."""
    if isinstance(node, ast.For):
        yield from (ast.For(node.target, new, node.body, node.orelse) for new in _turned(node.iter))
    if isinstance(node, ast.Call) and called_name(node) in ("range", "arange"):
        for k, part in enumerate(node.args):
            for new in _beside(part):
                yield ast.Call(node.func, [*node.args[:k], new, *node.args[k + 1 :]], [])
        if len(node.args) == 2:
            yield ast.Call(node.func, node.args[1:], [])
    if isinstance(node, ast.Compare) and isinstance(node.comparators[0], ast.Constant):
        for new in _beside(node.comparators[0]):
            yield ast.Compare(node.left, node.ops, [new])


def _turned(over: ast.expr) -> Iterator[ast.expr]:
    reversing = isinstance(over, ast.Call) and called_name(over) == "reversed"
    if reversing:
        assert isinstance(over, ast.Call)
        yield from over.args[:1]
    elif isinstance(over, ast.Call) and called_name(over) == "range":
        yield ast.Call(ast.Name("reversed", ast.Load()), [over], [])
    elif isinstance(over, ast.Subscript):
        yield over.value
    else:
        listed = ast.Call(ast.Name("list", ast.Load()), [over], [])
        yield ast.Call(ast.Name("reversed", ast.Load()), [listed], [])


def _of_order(family: Family, statement: ast.stmt) -> Iterator[Mend]:
    """A line after the next one, in the loop beside it, out of its loop, or left out."""
    around, field, index = family.slots[id(statement)]
    if index is None or isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Return):
        return
    block = getattr(around, field)

    def changed(moved: str, before: int, new: Sequence[ast.stmt], after: int) -> Mend:
        body = [*block[:before], *new, *block[after:]]
        return Mend(statement, lambda: family.with_body(around, field, body), moved=moved)

    following = block[index + 1] if index + 1 < len(block) else None
    if following is not None:
        words = f"this line after `{_first_line(following)}`"
        yield changed(words, index, [following, statement], index + 2)
    if isinstance(following, ast.For):
        inside = _block(following, [statement, *following.body])
        yield changed("this line in the loop", index, [inside], index + 2)
    if index and isinstance(loop := block[index - 1], ast.For):
        inside = _block(loop, [*loop.body, statement])
        yield changed("this line in the loop", index - 1, [inside], index + 1)
    if isinstance(around, ast.For) and len(block) > 1 and index in (0, len(block) - 1):
        smaller = _block(around, [s for s in block if s is not statement])
        out = [smaller, statement] if index else [statement, smaller]
        words = "this line outside of the loop"
        yield Mend(statement, lambda: family.with_other(around, out), moved=words)
    if len(block) > 1:
        yield changed("this line left out", index, [], index + 1)


def _block(loop: ast.For, body: list[ast.stmt]) -> ast.For:
    return ast.copy_location(ast.For(loop.target, loop.iter, body, loop.orelse), loop)


def _renamed(node: ast.AST, names: Iterable[str]) -> Iterator[ast.AST]:
    if isinstance(node, ast.Name) and node.id in names:
        yield from (ast.Name(name, node.ctx) for name in names if name != node.id)


def _names(family: Family, scope: ast.AST) -> dict[str, list[str]]:
    """The names that have values in a function, its arguments among them, by how they are used."""
    nodes = [n for n in ast.walk(scope) if isinstance(n, ast.Name)]
    own = stored_names(scope) | {n.arg for n in ast.walk(scope) if isinstance(n, ast.arg)}
    used: dict[str, list[str]] = {}
    for use, name in sorted({(_use(family, n), n.id) for n in nodes if n.id in own}):
        used.setdefault(use, []).append(name)
    return used


def _use(family: Family, node: ast.AST) -> str:
    """How a name is used: indexed, as a size, or as a value."""
    above = [n for n in itertools.islice(family.above(node), 3) if not isinstance(n, ast.Slice)]
    if len(above) > 1 and isinstance(above[0], ast.Tuple | ast.BinOp):
        above = above[1:] if isinstance(above[1], ast.Subscript) else above
    if above and isinstance(above[0], ast.Subscript):
        return "indexed" if above[0].value is node else "index"
    calls = [n for n in above[:2] if isinstance(n, ast.Call)]
    return "size" if any(called_name(call) in _SIZED for call in calls) else "value"


def _keyed(family: Family, node: ast.AST) -> Iterator[ast.AST]:
    """Another of the keys and attributes that the same thing has: `cache["Z"]`, `self.b`."""
    if isinstance(node, ast.Subscript) and (key := _key(node)):
        alike = [n for n in ast.walk(family.tree) if isinstance(n, ast.Subscript) and _key(n)]
        held = ast.unparse(node.value)
        for other in sorted({_key(n) for n in alike if ast.unparse(n.value) == held} - {key}):
            yield ast.Subscript(node.value, ast.Constant(other), node.ctx)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        named = [n for n in ast.walk(family.tree) if isinstance(n, ast.Attribute)]
        of = node.value.id
        attributes = {n.attr for n in named if isinstance(n.value, ast.Name) and n.value.id == of}
        for attr in sorted(attributes - {node.attr}) if of not in ("np", "numpy", "math") else ():
            yield ast.Attribute(node.value, attr, node.ctx)


def _key(node: ast.Subscript) -> str:
    """The string that something is indexed with; "" where it is none."""
    key = node.slice.value if isinstance(node.slice, ast.Constant) else ""
    return key if isinstance(key, str) else ""


def _applied(node: ast.AST, functions: Sequence[ast.expr]) -> Iterator[ast.AST]:
    """A function put around a value, or another one in its place."""
    value = isinstance(node, ast.Name | ast.Subscript | ast.BinOp | ast.Attribute)
    if (
        value
        and isinstance(node, ast.expr)
        and not isinstance(getattr(node, "ctx", None), ast.Store)
    ):
        yield from (ast.Call(function, [node], []) for function in functions)
    if isinstance(node, ast.Call) and len(node.args) == 1:
        yield from (ast.Call(f, node.args, []) for f in functions
                    if ast.unparse(f) != ast.unparse(node.func))  # fmt: skip


def _functions(tree: ast.Module) -> list[ast.expr]:
    """What of one argument a file calls, and may have forgotten: np.tanh, its own sigmoid."""
    found = {ast.unparse(n.func): n.func for n in ast.walk(tree)
             if isinstance(n, ast.Call) and len(n.args) == 1 and called_name(n) not in _REDUCTIONS}  # fmt: skip
    own = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    named = ("np.tanh", "np.exp", "np.log")
    return [found[text] for text in sorted(found) if text in named or text in own]


_RULES: tuple[Callable[[ast.AST], Iterator[ast.AST]], ...] = (
    _indices, _tuples, _arguments, _products, _reductions, _operations, _loops,
)  # fmt: skip
