"""What the syntax of the functions that run says: the cell, the layout, the order of [a; x], integers."""

import ast
import contextlib
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from unrolled.checking.calling import einsum, flow
from unrolled.checking.calling.arguments import MAKERS, size_meaning
from unrolled.checking.calling.entries import Way, last_word, stored_words
from unrolled.checking.calling.layouts import Layout, Reading
from unrolled.checking.names import GATES, is_parameter, meanings
from unrolled.checking.running.program import called_names, stored_names

_SIGNS = {"lstm": {"f", "o", "c_prev", "i"}, "gru": {"r", "u"}}
Functions = Sequence[ast.FunctionDef]


def cells(way: Way) -> list[str]:
    """Return the cells that a way may be, most plausible first, by its names and its gates."""
    named = [cell for cell in ("lstm", "gru", "rnn") if any(cell in word for word in way.words)]
    stored = {w for f in way.functions for w in (*stored_words(f), *(a.arg for a in f.args.args))}
    signs = {
        cell: len(wanted & {q for w in stored for q in meanings(w, cell)[:1]})
        for cell, wanted in _SIGNS.items()
    }
    gated = any(
        called_names(f) & {"sigmoid", "sig", "sigm", "expit", "logistic"} for f in way.functions
    )
    found = []
    if signs["lstm"] >= 3 and gated:
        found.append("lstm")
    if signs["gru"] == 2 and gated and signs["lstm"] < 4:
        found.append("gru")
    return named[:1] or found or ["rnn"]


def layouts(
    way: Way, cell: str, inputs: set[str], likely: bool = True, made: Iterable[bool] = ()
) -> list[Layout]:
    """Return the layouts that the syntax speaks for, the best first; or (not `likely`) the others.

    `inputs` are the arguments that hold x, targets or gradients from above; `made` tells whether input
    weights are (n_x, n_a) where no product by name does.
    """
    votes = _axes_votes(way.functions, inputs)
    columns = _columns(way.functions, cell)
    for axes in list(votes):
        if columns is not None and _is_columns(axes) != columns and len(axes.split()) == 3:
            votes[axes] -= 4
    wanted = [axes for axes, n in votes.most_common() if n > 0] or list(votes)
    if not likely:
        wanted = [axes for axes in votes if axes not in wanted]
    transposed = _transposed(way.functions, cell) or list(made)
    found = []
    for axes in wanted[:4]:
        for turned in transposed or [not _is_columns(axes)]:
            for bias in _biases(axes, way.functions, cell):
                found.append(Layout(axes, turned, bias))
    return found


def _is_columns(axes: str) -> bool:
    return axes.replace("T", "").split()[0] == "n"


_ORDERS = ("n m T", "m T n", "T m n", "T n m")


def _axes_votes(functions: Functions, inputs: set[str]) -> Counter[str]:
    """Count what speaks for each order of the axes; what is done with an input speaks louder."""
    votes = Counter(dict.fromkeys(_ORDERS, 0))
    known_as = set().union(*(flow.aliases(name, functions) for name in inputs))
    for f in functions:
        for node in ast.walk(f):
            loud = 3 if last_word(getattr(node, "value", node)) in known_as else 1
            for axes, n in _said_of_axes(node).items():
                votes[axes] += n * loud
        for _, _, through in flow.loops(f):
            if last_word(through) in known_as:
                votes.update(_TIME_FIRST)
        votes.update(_by_sizes(f, known_as))
        votes.update(_by_letters(f, known_as))
    return votes


def _turns(f: ast.FunctionDef) -> Iterator[ast.expr]:
    """Yield how often loops over time turn, as far as one expression says it: `range(x.shape[1])`."""
    for _, target, of in flow.loops(f):
        if (
            last_word(target) in _TIMES
            and isinstance(of, ast.Call)
            and last_word(of.func) == "range"
        ):
            yield from of.args[:1]


def _by_letters(f: ast.FunctionDef, inputs: set[str]) -> dict[str, int]:
    """Return what the letters of an einsum say for each order: those of an input, or of the result."""
    votes: dict[str, int] = {}
    for sums in filter(None, map(einsum.summed, ast.walk(f))):
        shapes = [*zip(sums.letters, map(last_word, sums.operands), strict=True), (sums.result, "")]
        weights = [letters for letters in sums.letters if len(letters) == 2]
        for letters, word in shapes:
            of_weights = {n for held in weights for n in held}
            kinds = ["n" if n in of_weights else _axis(n) for n in letters]
            if (order := _order(kinds)) and (word in inputs or not word):
                votes[order] = votes.get(order, 0) + (3 if word else 1)
    return votes


def _axis(size: str) -> str:
    """Return which axis a name of a size says: "n", "m", "T" or ""."""
    return size_meaning(size).replace("vocabulary", "n")[:1]


def _order(kinds: Sequence[str]) -> str:
    """Return the order of three axes of which one may be unknown, or ""."""
    if len(kinds) != 3:
        return ""
    missing = {"n", "m", "T"} - set(kinds)
    order = " ".join(kind or (missing.pop() if len(missing) == 1 else "") for kind in kinds)
    return order if order in _ORDERS else ""


_TIMES = {"t", "step", "time", "time_step", "timestep", "i", "k", "tt"}
_TIME_FIRST = {"T m n": 1, "T n m": 1}
_INDEXED = {"::t": {"n m T": 2}, ".t": {"n m T": 2}, ":t:": {"m T n": 2}, ":t": {"m T n": 2, "n T": 1},
            "t::": _TIME_FIRST, "t.": _TIME_FIRST}  # fmt: skip
_MOVED = {("moveaxis", (2, 0)): "n m T", ("moveaxis", (-1, 0)): "n m T", ("moveaxis", (1, 0)): "m T n",
          ("rollaxis", (2,)): "n m T", ("rollaxis", (-1,)): "n m T", ("rollaxis", (1,)): "m T n",
          ("transpose", (2, 0, 1)): "n m T", ("transpose", (2, 1, 0)): "n m T",
          ("transpose", (1, 0, 2)): "m T n", ("transpose", (1, 2, 0)): "m T n",
          ("swapaxes", (0, 1)): "m T n", ("swapaxes", (0, 2)): "n m T"}  # fmt: skip


def _said_of_axes(node: ast.AST) -> dict[str, int]:
    """Return what a piece of code says for an order: `x[:, :, t]`, a shape unpacked, axes moved."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple):
        kinds = "".join(
            ":" if isinstance(e, ast.Slice)
            else "." if isinstance(e, ast.Constant) and e.value is Ellipsis else "t"
            for e in node.slice.elts
        )  # fmt: skip
        return _INDEXED.get(kinds, {})
    if isinstance(node, ast.Assign) and (order := _order_of_shape(node)):
        return {order: 3}
    if isinstance(node, ast.Call) and (order := _MOVED.get(_moved(node), "")):
        return {order: 3}
    return _TIME_FIRST if _is_step_of_time(node) else {}


def _moved(call: ast.Call) -> tuple[str, tuple[int, ...]]:
    """Return how a call moves axes: its name with the numbers that it is given."""
    given = [a for arg in call.args for a in (arg.elts if isinstance(arg, ast.Tuple) else [arg])]
    given += [keyword.value for keyword in call.keywords]
    numbers = []
    for argument in given:
        with contextlib.suppress(ValueError, TypeError):
            numbers.append(int(ast.literal_eval(argument)))
    return last_word(call.func), tuple(numbers)


def _by_sizes(f: ast.FunctionDef, inputs: set[str]) -> dict[str, int]:
    """Return what `m = X.shape[1]` or `T = len(X)`, of an input, says for each order."""
    votes: dict[str, int] = {}
    named = [(size_meaning(last_word(target))[:1], value) for target, value in flow.assigned(f)]
    for letter, value in (*named, *(("T", turns) for turns in _turns(f))):
        axis, of = None, value
        if isinstance(value, ast.Subscript) and last_word(value.value) == "shape":
            of = value.value.value if isinstance(value.value, ast.Attribute) else value
            index = value.slice.value if isinstance(value.slice, ast.Constant) else None
            axis = index if isinstance(index, int) else None
        elif isinstance(value, ast.Call) and last_word(value.func) == "len" and value.args:
            of, axis = value.args[0], 0
        if letter and axis in (0, 1, 2) and last_word(of) in inputs:
            fitting = [order for order in _ORDERS if order.split()[axis] == letter]
            votes |= {order: votes.get(order, 0) + 3 for order in fitting}
    return votes


def _is_step_of_time(node: ast.AST) -> bool:
    """Return whether it is `xs[t]`: the first axis is time."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Name | ast.BinOp):
        return False
    names = {n.id for n in ast.walk(node.slice) if isinstance(n, ast.Name)}
    return bool(names & _TIMES)


def _order_of_shape(node: ast.Assign) -> str:
    """Return "m T n" for `N, T, D = x.shape`, or ""."""
    shaped = isinstance(node.value, ast.Attribute) and node.value.attr == "shape"
    target = node.targets[0]
    if not shaped or not isinstance(target, ast.Tuple) or len(target.elts) != 3:
        return ""
    return _order([_axis(last_word(e)) for e in target.elts])


def products(functions: Functions, indexed: bool = False) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the operands of every matrix product; with `indexed` of look-ups `U[:, x[t]]`, too."""
    for f in functions:
        for node in ast.walk(f):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                yield node.left, node.right
            elif (sums := einsum.summed(node)) and (product := sums.as_product):
                yield product
            elif indexed and isinstance(node, ast.Subscript):
                parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                yield from ((node.value, part) for part in parts if not isinstance(part, ast.Slice))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("dot", "matmul") and len(node.args) == 2:
                    yield node.args[0], node.args[1]
                elif node.func.attr in ("dot", "matmul") and len(node.args) == 1:
                    yield node.func.value, node.args[0]


def _turned(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "T"


def _is_weight(node: ast.expr, cell: str) -> bool:
    return any(is_parameter(q) for q in meanings(last_word(node), cell)[:1])


def _columns(functions: Functions, cell: str) -> bool | None:
    """Return whether weights stand on the left of their products."""
    left = right = 0
    for first, second in products(functions):
        if _is_weight(first, cell) != _is_weight(second, cell):
            left, right = left + _is_weight(first, cell), right + _is_weight(second, cell)
    return None if left == right else left > right


def _transposed(functions: Functions, cell: str) -> list[bool]:
    """Return whether input weights are (n_x, n_a), by their products with what is no gradient: both,
    the likelier first, where products speak for both.
    """
    votes: Counter[bool] = Counter()
    for first, second in products(functions):
        weight, other, on_left = (
            (first, second, True) if _is_weight(first, cell) else (second, first, False)
        )
        inner = {last_word(n) for n in ast.walk(other)}
        if not _is_weight(weight, cell) or any(
            q[:1] == "d" for w in inner for q in meanings(w, cell)[:1]
        ):
            continue
        known = any(q in ("x", "a", "a_prev") for w in inner for q in meanings(w, cell)[:1])
        votes[on_left == _turned(weight)] += 3 if known else 1
    return [turned for turned, _ in votes.most_common()]


def _biases(axes: str, functions: Functions, cell: str) -> list[str]:
    """Return the shapes that biases may have: (n, 1) in columns; (n,) in rows, (1, n) with keepdims."""
    if "m" not in axes:
        return ["n"]
    kept = any(
        isinstance(n, ast.keyword) and n.arg == "keepdims" and getattr(n.value, "value", None) is True
        for f in functions for n in ast.walk(f)
    )  # fmt: skip
    if _is_columns(axes):
        return ["n 1"]
    return ["1 n", "n"] if kept else ["n"]


def likely_reading(way: Way, cell: str) -> Reading:
    """Return the order of gates as they are assigned, and whether x comes first where both are joined."""
    order: list[str] = []
    x_first = False
    for f in way.functions:
        for node in ast.walk(f):
            if isinstance(node, ast.Assign):
                word = last_word(node.targets[0])
                found = ("c_tilde",) if (cell, word) == ("gru", "n") else meanings(word, cell)[:1]
                order += [q[0] for q in found if q in GATES[cell] or q == "c_tilde"]
            elif (
                isinstance(node, ast.Call)
                and node.args
                and isinstance(node.args[0], ast.Tuple | ast.List)
            ):
                words = [meanings(last_word(e), cell)[:1] for e in node.args[0].elts]
                x_first = x_first or (words[:1] == [("x",)] and len(words) > 1)
    gates = "".join(dict.fromkeys(order))
    order_known = sorted(gates) == sorted(GATES[cell])
    return Reading(gates if order_known else GATES[cell], x_first, "first" in ones(way.functions))


def ones(functions: Functions) -> list[str]:
    """Return where a 1 for a bias is put beside others: "first" or "last" in an array or a list."""
    found = []
    for node in (n for f in functions for n in ast.walk(f)):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            index = node.targets[0].slice
            at = index.elts[-1] if isinstance(index, ast.Tuple) else index
            if isinstance(node.value, ast.Constant) and node.value.value == 1:
                first = isinstance(at, ast.Constant) and at.value == 0
                found.append("first" if first else "last")
        elif isinstance(node, ast.Tuple | ast.List):
            made = [isinstance(e, ast.Call) and last_word(e.func) == "ones" for e in node.elts]
            found += ["first" if made[0] else "last"] if any(made) else []
    return found


def plain_steps(f: ast.FunctionDef, rates: set[str]) -> set[str]:
    """Return what a function changes by `W -= rate * dW`, and by nothing else."""
    steps = [n for n in ast.walk(f) if isinstance(n, ast.AugAssign)]
    return {
        last_word(n.target)
        for n in steps
        if isinstance(n.op, ast.Sub) and isinstance(n.value, ast.BinOp)
        and isinstance(n.value.op, ast.Mult)
        and rates & {last_word(n.value.left), last_word(n.value.right)}
    }  # fmt: skip


def written_sizes(
    functions: Functions, numbers: Mapping[str, int] | None = None
) -> Iterator[tuple[int, str]]:
    """Yield numbers that say how large an array is made or how often a loop turns, and where: constants
    above 1, and `numbers` by their names.
    """
    for f in functions:
        for node in ast.walk(f):
            if isinstance(node, ast.Call) and last_word(node.func) in (
                *MAKERS,
                "full",
                "range",
                "reshape",
            ):
                for n in (n for argument in node.args for n in ast.walk(argument)):
                    if isinstance(n, ast.Constant) and type(n.value) is int and n.value > 1:
                        yield n.value, f"line {n.lineno}"
                    elif isinstance(n, ast.Name) and numbers and n.id in numbers:
                        yield numbers[n.id], f"{n.id} in line {n.lineno}"


def makes_columns(functions: Functions) -> bool:
    """Return whether arrays (n, 1) are made: `zeros((n, 1))`, `reshape(-1, 1)`, `W[:, [k]]`."""
    for node in (n for f in functions for n in ast.walk(f)):
        if isinstance(node, ast.Call) and last_word(node.func) in (*MAKERS, "reshape", "full"):
            given = [n for a in node.args for n in (a.elts if isinstance(a, ast.Tuple) else [a])]
            if len(given) > 1 and getattr(given[-1], "value", None) == 1:
                return True
        index = node.slice if isinstance(node, ast.Subscript) else None
        if isinstance(index, ast.Tuple) and any(isinstance(e, ast.List) for e in index.elts):
            return True
    return False


@functools.cache
def loop_variables(f: ast.FunctionDef) -> set[str]:
    """Return the names that loops give their rounds' values to."""
    targets = [n.target for n in ast.walk(f) if isinstance(n, ast.For)]
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def repeated(name: str, functions: Functions) -> bool:
    """Return whether a vector is repeated for each sequence: `np.tile(h0, (m, 1))`."""
    known_as = flow.aliases(name, functions)
    return any(
        isinstance(node, ast.Call) and last_word(node.func) in ("tile", "repeat", "broadcast_to")
        and node.args and last_word(flow.unshaped(_inner(node.args[0]))) in known_as
        for f in functions for node in ast.walk(f)
    )  # fmt: skip


@functools.cache
def assigned_in_several_loops(f: ast.FunctionDef) -> set[str]:
    """Return the names that one loop after another assigns: `h` of the step forward, and then of the step
    backward.
    """
    loops = [n for n in ast.walk(f) if isinstance(n, ast.For | ast.While)]
    inner = {id(n) for loop in loops for part in loop.body for n in ast.walk(part)}
    often: Counter[str] = Counter()
    for loop in loops:
        nested = [n for n in ast.walk(loop) if n is not loop and n in loops]
        if id(loop) in inner or not nested:
            often.update(stored_names(loop))
    return {name for name, count in often.items() if count > 1}


def goes_through(name: str, functions: Functions) -> bool:
    """Return whether an argument is indexed or is what a loop goes through."""
    for f in functions:
        for node in ast.walk(f):
            if isinstance(node, ast.Subscript) and last_word(node.value) == name:
                return True
            over = node.iter if isinstance(node, ast.For | ast.comprehension) else None
            if over is not None and any(last_word(n) == name for n in ast.walk(over)):
                return True
    return False


_LOGARITHMS = {"log", "log1p", "log2", "log10", "logaddexp", "logsumexp", "log_softmax", "softplus"}


def takes_logarithms(functions: Functions) -> bool:
    """Return whether a logarithm is taken anywhere, as in a cross-entropy."""
    return bool(_LOGARITHMS & set().union(*map(called_names, functions)))


def indexes(name: str, functions: Functions) -> bool:
    """Return whether an argument's entries are used as an index: it holds integers."""
    names = {name}
    for _ in range(2):
        for f in functions:
            names |= _taken_from(f, names) | flow.passed_on(f, names, functions, last_word)
    return any(
        _used(index, names, _tuples(f))
        for f in functions for node in ast.walk(f) for index in _indices(node)
    )  # fmt: skip


_BY_INDEX = ("take", "take_along_axis", "put_along_axis", "at")  # their second argument


def _indices(node: ast.AST) -> list[ast.expr]:
    """Return what stands in an index: of `p[rows, y]`, `take_along_axis(p, y)`, `add.at(dW, y, dx)`, and
    what is compared with all labels, `y == np.arange(n)`.
    """
    if isinstance(node, ast.Subscript):
        return [] if _joins(node) else [node.slice]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _BY_INDEX
    ):
        of_array = node.func.attr == "take" and last_word(node.func.value) not in ("np", "numpy")
        named = [k.value for k in node.keywords if k.arg == "indices"]
        return [*(node.args[:1] if of_array else node.args[1:2]), *named]
    sides = [_inner(side) for side in _compared(node)]
    labels = [isinstance(side, ast.Call) and last_word(side.func) == "arange" for side in sides]
    return sides if any(labels) else []


def _compared(node: ast.AST) -> list[ast.expr]:
    """Return what is compared by `==` or `np.equal.outer`."""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        return [node.left, *node.comparators]
    outer = isinstance(node, ast.Call) and last_word(node.func) in ("outer", "equal")
    return list(node.args) if outer else []  # type: ignore[attr-defined]


def _inner(node: ast.expr) -> ast.expr:
    """Return y of `y[..., None]` and `y[:, :, np.newaxis]`."""
    while isinstance(node, ast.Subscript) and _adds_axes(node.slice):
        node = node.value
    return node


def _adds_axes(index: ast.expr) -> bool:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(
        last_word(part) == "newaxis" or (isinstance(part, ast.Constant) and part.value is None)
        for part in parts
    )


def _tuples(f: ast.FunctionDef) -> dict[str, ast.expr]:
    """Return the tuples that are assigned to names, which may be an index: `picked = (rows, y)`."""
    return {
        target.id: value for target, value in flow.assigned(f)
        if isinstance(target, ast.Name) and isinstance(value, ast.Tuple)
    }  # fmt: skip


def _joins(node: ast.Subscript) -> bool:
    """Return whether it is `np.r_[a, x]`, which looks like an index."""
    return last_word(node.value) in ("r_", "c_")


def _used(index: ast.expr, names: set[str], tuples: Mapping[str, ast.expr]) -> bool:
    """Return whether one of the names, or an entry of it, stands in an index."""
    index = tuples.get(getattr(index, "id", ""), index)
    parts = index.elts if isinstance(index, ast.Tuple | ast.List) else [index]
    return any(
        _used(part, names, {})
        if isinstance(part, ast.List)
        else last_word(flow.unshaped(_inner(part))) in names
        for part in parts if not isinstance(part, ast.Slice)
    )  # fmt: skip


def _taken_from(f: ast.FunctionDef, names: set[str]) -> set[str]:
    """Return what takes its values from one of the names: a loop's variable, or `k = inputs[t]`."""
    found = {last_word(target) for _, target, of in flow.loops(f) if last_word(of) in names}
    for target, value in flow.assigned(f):
        if last_word(flow.unshaped(value)) in names:
            found.add(last_word(target))
    return found - {""}
