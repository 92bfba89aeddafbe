"""Why an operation failed: which operands met, and what each of them is."""

import ast

from unrolled.checking.locating import Located, crash_spot
from unrolled.checking.replay import name_shape_error
from unrolled.checking.report import Cause
from unrolled.checking.running import Runner

_OPERATIONS = {
    ast.MatMult: "matmul", ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply",
    ast.Div: "divide",
}  # fmt: skip


def name_failure(runner: Runner, located: Located) -> Cause:
    """Return which edit of the right equation fails in the same way; else what failed."""
    error = located.run.outcome.error
    said = f"{type(error).__name__}: {error}"
    node = _failed(runner, located)
    if node is None:
        return Cause("failed", "none", said)
    operation, operands = _operation(node)
    if not operation:
        return Cause("failed", "none", f"{ast.unparse(node)} failed: {said}")
    seen = [o for o in (_operand(runner, located, node) for node in operands) if o is not None]
    if len(seen) < len(operands):
        return Cause("failed", "none", f"{ast.unparse(node)} failed: {said}")
    return name_shape_error(located.node.name, runner.truth, operation, seen)


def _failed(runner: Runner, located: Located) -> ast.AST | None:
    """The syntax that failed: the smallest operation that spans the spot."""
    error = located.run.outcome.error
    spot = None if error is None else crash_spot(runner, error)
    if spot is None:
        return None
    line, last, column, end = spot
    for place in sorted(runner.places, key=lambda p: -p.number):
        node = place.node
        if (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) == (  # type: ignore[attr-defined]
            line, column, last, end,
        ):  # fmt: skip
            return node
    return next((p.node for p in runner.places if p.kind == "assigned" and p.line == line), None)


def _operation(node: ast.AST) -> tuple[str, list[ast.expr]]:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)], [node.left, node.right]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = node.func.attr
        if name in ("dot", "matmul"):
            owner = node.func.value
            library = isinstance(owner, ast.Name) and owner.id in ("np", "numpy")
            return "matmul", node.args if library else [owner, *node.args]
    return "", []


def _operand(
    runner: Runner, located: Located, node: ast.expr
) -> tuple[str | None, tuple[int, ...]] | None:
    """The legend's name of an operand, if it is known, and its shape; None where it was not seen."""
    numbers = {place.number for place in runner.places if place.node is node}
    run = located.run
    for k in range(len(run.watcher.events) - 1, -1, -1):
        event = run.watcher.events[k]
        if event.place in numbers and event.value is not None:
            names = [n.name for n in run.nodes[k] if n.kind == ""]
            return (names[0] if names else None), tuple(event.value.shape)
    return None
