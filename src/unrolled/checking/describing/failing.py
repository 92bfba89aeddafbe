"""Why an operation failed: which operands met, and what each of them is."""

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from unrolled.checking.locating.places import crash_spot, root, spot_of
from unrolled.checking.locating.runs import Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.recognising import Node
from unrolled.checking.replay import Operand, name_shape_error
from unrolled.checking.report import Cause

Array = Any
_OPERATIONS = {
    ast.MatMult: "matmul", ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply",
    ast.Div: "divide",
}  # fmt: skip
_PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Constant, ast.Tuple, ast.BinOp,
          ast.Add, ast.Sub, ast.Mult, ast.expr_context)  # fmt: skip


def fails_at(runner: Runner, located: Located) -> bool:
    """Return whether the statement that failed is the one that was located."""
    found = None if located.run.outcome.error is None else _failed(runner, located)
    if found is None:
        return False
    if any(located.place.node is node for node in ast.walk(found[0])):
        return True
    numbers = [place.number for place in runner.places if place.node is found[0]]
    return root(runner.places, located.place.number) in [
        root(runner.places, number) for number in numbers
    ]


def name_failure(runner: Runner, located: Located, name: str) -> Cause:
    """Return which edit of the right equation of `name` fails in the same way; else what failed."""
    error = located.run.outcome.error
    said = f"{type(error).__name__}: {error}"
    found = _failed(runner, located)
    if found is None:
        return Cause("failed", "none", said)
    node, operation, syntax = found
    operands = [_operand(runner, located, one) for one in syntax]
    seen = [one for one in operands if one is not None]
    said = f"{ast.unparse(node)} failed: {said}"
    if not seen or (operation and len(seen) < len(operands)):
        return Cause("failed", "none", said)
    columns = runner.plan.columns
    if operation == "store":
        seen.append(Operand(name, _shape(runner, name, columns)))
    kind = operation or "call"
    cause = name_shape_error(name, runner.truth, kind, seen, located.node.t, columns)
    return cause if operation or cause.certainty == "exact" else Cause("failed", "none", said)


def _failed(runner: Runner, located: Located) -> tuple[ast.AST, str, Sequence[ast.AST]] | None:
    """The syntax that failed, the smallest operation that spans the spot; what it does, on what."""
    error = located.run.outcome.error
    spot = crash_spot(runner.program.path, error)
    if spot is None:
        return None
    for place in sorted(runner.places, key=lambda p: -p.number):
        if spot_of(place.node) == spot:
            return place.node, *_operation(place.node)
    for place in runner.places:
        if place.kind == "assigned" and place.line == spot[0]:
            events = located.run.watcher.events[-1:]
            stored = events and events[0].place == place.number  # computed, and no room for it
            return place.node, *(("store", [place.node]) if stored else _operation(place.node))
    return None


def failed_syntax(runner: Runner, error: BaseException | None) -> ast.AST | None:
    """Return the smallest expression of theirs in which something failed."""
    spot = crash_spot(runner.program.path, error)
    expressions = (n for n in ast.walk(runner.code.plain) if isinstance(n, ast.expr))
    return next((node for node in expressions if spot and spot_of(node) == spot), None)


def _operation(node: ast.AST) -> tuple[str, Sequence[ast.AST]]:
    if isinstance(node, ast.AugAssign):
        return "store", [node.value]
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)], [node.left, node.right]
    if not isinstance(node, ast.Call):
        return "", []
    if not isinstance(node.func, ast.Attribute):
        return "", node.args
    owner = node.func.value
    library = isinstance(owner, ast.Name) and owner.id in ("np", "numpy")
    operation = "matmul" if node.func.attr in ("dot", "matmul") else ""
    return operation, node.args if library else [owner, *node.args]


def _shape(runner: Runner, name: str, columns: bool) -> tuple[int, ...]:
    """What has room in the place of a quantity, of one step or a parameter's."""
    sizes = runner.problem.sizes
    shape = runner.truth.table.shapes[name]
    return tuple(n if isinstance(n, int) else sizes[n] for n in shape)[:: 1 if columns else -1]


def _operand(runner: Runner, located: Located, node: ast.AST) -> Operand | None:
    """An operand with its name in the legend, that of its own step first; None if it is no array."""
    numbers = {place.number for place in runner.places if place.node is node}
    run = located.run
    for k in range(len(run.watcher.events) - 1, -1, -1):
        event = run.watcher.events[k]
        if event.place in numbers and event.value is not None:
            return _named(run.nodes[k], event.value, runner.step(event, run.watcher))
    value = left_behind(runner, run.outcome.error, node)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        return None
    return _named(runner.recogniser.nodes(value), value, located.node.t)


def _named(nodes: Sequence[Node], value: Array, t: int | None) -> Operand:
    known = [node for node in nodes if node.kind == ""]
    names = [node.name for node in sorted(known, key=lambda node: node.t not in (t, None))]
    return Operand(names[0] if names else None, value.shape, value)


def left_behind(runner: Runner, error: BaseException | None, node: ast.AST) -> Any:
    """Return what a name, or a part of what it stands for, was in the function that failed: `x` in
    `x.dot(W)` is nowhere seen. Nothing is called for it.
    """
    frame, trace = None, error and error.__traceback__
    while trace:
        own = trace.tb_frame.f_code.co_filename == str(runner.program.path)
        frame, trace = trace.tb_frame if own else frame, trace.tb_next
    if frame is None or not all(isinstance(inner, _PLAIN) for inner in ast.walk(node)):
        return None
    try:
        code = compile(ast.unparse(node), "", "eval")
        return eval(code, frame.f_globals, frame.f_locals)
    except Exception:  # whatever theirs may raise
        return None
