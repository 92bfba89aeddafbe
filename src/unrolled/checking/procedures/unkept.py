"""A memory of the update that is read and never written: it stays zero from step to step."""

import ast
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import exact, finding
from unrolled.checking.procedures.iterations import Iteration, gradient_name
from unrolled.checking.procedures.roles import is_parameter
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import Leaves, named, statement
from unrolled.checking.report import Finding

Array = Any


def unkept(program: Program, training: Training, done: list[Iteration]) -> Finding | None:
    """Return the finding where an executed line of the update reckons with a memory that stays zero."""
    if len(done) < 3:
        return None
    lines = training.trace.between(done[0].backward.end, done[0].stop)
    for name in _zero(program, _all_through(training, done), done[0]):
        for line in lines:
            header = statement(program.tree, line.line)
            if isinstance(header, ast.Assign | ast.AugAssign) and _reckons(
                header, _aliases(program, name)
            ):
                message = (
                    f"`{name}` stays zero: it is read in every step, and what comes of it is never kept "
                    "in it, so it has no effect"
                )
                cause = exact("not_kept", message)
                return finding(program, "parameters", name, line.line, cause)
    return None


def _all_through(training: Training, done: list[Iteration]) -> list[Leaves]:
    """What was seen between the iterations, once after each backward pass but the last that was watched."""
    found = []
    for one in done[:-1]:
        between = training.trace.between(one.backward.end, one.stop)
        merged: Leaves = {}
        for line in between:
            merged |= line.after
        if merged:  # after so many events nothing is kept
            found.append(merged)
    return found


def _zero(program: Program, seen: list[Leaves], first: Iteration) -> list[str]:
    """The containers, or variables, whose arrays are like the parameters and zero each time.

    What is zero in the forward pass, or a gradient, is no memory.
    """
    if len(seen) < 2:
        return []
    shapes = [v.shape for v in first.parameters.values() if v.ndim == 2]
    zero = {p for one in seen for p, v in one.items() if v.shape in shapes and not np.any(v)}
    stay = [p for p in seen[0] if p in zero and not any(np.any(one.get(p, 1)) for one in seen)]
    names = []
    for path in stay:
        inside = len(path) > 1 and path[-2] != "self"
        holder, name = path[:-1], path[-2] if inside else path[-1]
        rest = [v for p, v in seen[-1].items() if p[:-1] == holder] if inside else []
        known = program.role(name) in ("parameters", "gradients")
        known = known or (not inside and bool(gradient_name(program, path)))
        if not known and not is_parameter(name) and name not in first.parameters:
            names += [] if any(np.any(v) for v in rest) else [name]
    return list(dict.fromkeys(names))


def _aliases(program: Program, name: str) -> set[str]:
    """The names that loops give to the items of a container, and its own."""
    found = {name}
    for node in ast.walk(program.tree):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
            targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
            called = named(node.iter.func)
            if called == "zip":
                pairs = zip(targets, node.iter.args, strict=False)
                found |= {named(t) for t, a in pairs if named(a) == name}
            elif (
                called in ("items", "values")
                and named(getattr(node.iter.func, "value", node)) == name
            ):
                found.add(named(targets[-1]))
    return found - {""}


def _reckons(header: ast.stmt, names: set[str]) -> bool:
    """Whether a statement has one of these names inside a sum or a product, read."""
    sums = (node for node in ast.walk(header) if isinstance(node, ast.BinOp))
    return any(named(inner) in names for node in sums for inner in ast.walk(node))
