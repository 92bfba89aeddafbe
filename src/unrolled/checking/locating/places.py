"""What the text of a place tells: its statement, the quantity it is called by, whether code failed in it."""

import ast
import functools
import traceback
from collections.abc import Sequence
from pathlib import Path

from unrolled.checking import names
from unrolled.checking.calling.layouts import parts
from unrolled.checking.running.watching import Place


def root(places: Sequence[Place], number: int) -> int:
    """Return the number of the place that is a whole statement's, around a place."""
    while (around := places[number].parent) is not None:
        number = around
    return number


def is_load(place: Place) -> bool:
    """Whether a place only reads what was computed before."""
    return isinstance(place.node, ast.Name | ast.Subscript | ast.Attribute)


def names_it(place: Place, name: str, cell: str) -> bool:
    """Whether a place assigns to something that a person calls by that quantity's name."""
    return any(name in meant(target, cell) for target in place.targets)


def passed_as(tree: ast.AST) -> dict[int, str]:
    """Return, for the id of each argument that is passed to a function of theirs, the name it has there."""
    named: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            named[node.name] = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    found: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            names = [name for name in named.get(called, ()) if name != "self"]
            found |= {id(arg): name for arg, name in zip(node.args, names, strict=False)}
            if called in named:
                found |= {id(k.value): k.arg for k in node.keywords if k.arg}
    return found


@functools.cache
def meant(target: str, cell: str) -> frozenset[str]:
    """Return the quantities that a target's name may stand for: the legend's own names, and usual ones."""
    word = bare(target)
    likely = names.meanings(word, cell)[:2]
    usual = [name for meaning in likely for name in (meaning, *parts(meaning, cell))]
    return frozenset([word, word[:1].lower() + word[1:], *usual])


@functools.cache
def bare(target: str) -> str:
    """Return the name in a target: A of `A[:, :, t]`, dW_aa of `self.cache['dW_aa']`."""
    node = ast.parse(target, mode="eval").body
    while True:
        if isinstance(node, ast.Subscript):
            key = node.slice
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                return key.value
            node = node.value
        elif isinstance(node, ast.Attribute):
            return node.attr
        else:
            return node.id if isinstance(node, ast.Name) else target


Spot = tuple[int, int, int, int]  # line, last line, column, column of the end


def spot_of(node: ast.AST) -> Spot:
    """Return where an expression or a statement stands."""
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset  # type: ignore[attr-defined]


def crash_spot(path: Path, error: BaseException | None) -> Spot | None:
    """Return where in a file of theirs the innermost thing failed; None if nothing did, or not in it."""
    if error is None:
        return None
    frames = traceback.TracebackException.from_exception(error).stack
    for frame in reversed(frames):
        if frame.filename == str(path) and frame.lineno is not None:
            last = frame.end_lineno or frame.lineno
            return frame.lineno, last, frame.colno or 0, frame.end_colno or 0
    return None


def failing(places: Sequence[Place], path: Path, error: BaseException | None) -> list[Place]:
    """Return the places around what failed, innermost first; where it lies in none, as when an array does
    not fit into its target, those that are assigned or added in its lines.
    """
    spot = crash_spot(path, error)
    if spot is None:
        return []
    inside = [p for p in places if p.kind not in ("loop", "updated") and _spans(p.node, spot)]
    if not inside:
        first, last = spot[:2]
        inside = [p for p in places if p.kind in ("assigned", "added") and first <= p.line <= last]
    return sorted(inside, key=lambda place: -place.number)


def _spans(node: ast.AST, spot: Spot) -> bool:
    """Whether a node holds all of a spot."""
    line, last, column, end = spot
    start = (node.lineno, node.col_offset)  # type: ignore[attr-defined]
    stop = (node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return start <= (line, column) and (last, end) <= stop
