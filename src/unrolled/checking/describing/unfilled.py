"""Where something should have been computed that nowhere is: an array of zeros that no step fills."""

import ast

import numpy as np

from unrolled.checking.locating.places import bare
from unrolled.checking.locating.runs import Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.running.watching import Place

_MADE = ("zeros", "zeros_like", "empty", "empty_like", "full")


def filling_place(runner: Runner, located: Located) -> Place | None:
    """Return where an array that is made before a loop over time should be filled: where a step reads it
    first, or else the loop; None where the place holds something else.
    """
    place, events = located.place, located.run.watcher.events
    made = [e.value for e in events if e.place == place.number and e.value is not None]
    if not _makes(place.node) or not place.targets or any(np.any(value) for value in made):
        return None
    name, loops = bare(place.targets[0]), runner.timeline.places if runner.timeline else {}
    after = [p for p in runner.places if p.line > place.line and p.function == place.function]
    over_time = [p for p in after if p.kind == "loop" and p.number in loops]
    if not over_time:
        return None
    inside = range(over_time[0].line, (over_time[0].node.end_lineno or 0) + 1)  # type: ignore[attr-defined]
    if located.repair.form == "all":
        readers = (p for p in after if p.line in inside and _reads(p.node, name))
        return next(readers, over_time[0])
    return over_time[0] if located.repair.form == "total" else None


def _makes(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr in _MADE


def _reads(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Subscript) and bare(ast.unparse(node)) == name
