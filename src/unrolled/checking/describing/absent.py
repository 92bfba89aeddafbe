"""Why something was not there: a name that nothing gives a value, an entry at a step that has none yet."""

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.checking.describing.failing import failed_syntax, left_behind
from unrolled.checking.locating.places import meant
from unrolled.checking.locating.runs import Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.replay.forms import forms
from unrolled.checking.replay.saying import EditPrinter
from unrolled.checking.report import Cause

Array = Any


def undefined(error: BaseException | None) -> str:
    """Return the name that nothing gave a value before it was read; "" where an error is another one."""
    if not isinstance(error, NameError):
        return ""
    quoted = re.search(r"'(\w+)'", str(error))
    return error.name or (quoted[1] if quoted else "")


def name_absence(runner: Runner, located: Located) -> Cause | None:
    """Return why a name or an entry was not there; None where something else failed."""
    error = located.run.outcome.error
    if name := undefined(error):
        return Cause("undefined", "exact", f"nothing gives {name} a value before it is read here.")
    if isinstance(error, IndexError | KeyError):
        return _no_entry(runner, located, error)
    return None


def _no_entry(runner: Runner, located: Located, error: BaseException) -> Cause | None:
    """An entry for a step at which there is none, or none yet: `hs[t]` before step t is computed."""
    node, t = failed_syntax(runner, error), located.node.t
    if not isinstance(node, ast.Subscript) or t is None:
        return None
    kept, index = (left_behind(runner, error, part) for part in (node.value, node.slice))
    read = _step_of(runner, node.value, kept, index)
    if read is None:
        return None
    (quantity, step), printer = read, EditPrinter(runner.truth.table)
    theirs = printer.name(f"{quantity}@{step - t:+d}" if step != t else quantity)
    there = "is not there yet" if isinstance(error, KeyError) else "is at no step"
    why = f"{ast.unparse(node)} {there} at t = {t}: it would be {theirs}"
    own = {located.node.name}.union(
        *(form.names for deep in forms(located.node.name, runner.truth, False) for form in deep)
    )
    right = [name for name in own - {quantity} if _base(name) == _base(quantity)]
    if len(right) != 1:
        return Cause("other_step", "pattern", f"{why}.")
    return Cause(
        "other_step", "exact", f"{why}, which stands where {printer.name(right[0])} belongs."
    )


def _base(name: str) -> str:
    """The state, or the gradient of one, that is read at a step or from the one beside it."""
    return name.removesuffix("_prev").removesuffix("_next")


def _step_of(runner: Runner, of: ast.expr, kept: Any, index: Any) -> tuple[str, int] | None:
    """The quantity that a container keeps by step, and the step that an index into it means."""
    at = index
    if isinstance(kept, np.ndarray):
        outside = [
            i for i, n in zip(index if isinstance(index, tuple) else (index,), kept.shape, strict=False)
            if isinstance(i, int | np.integer) and not -n <= i < n
        ]  # fmt: skip
        at = outside[0] if len(outside) == 1 else None
    if not isinstance(at, int | np.integer) or isinstance(at, bool):
        return None
    for key, entry in _entries(kept):
        for node in runner.recogniser.nodes(entry):
            if node.kind == "" and node.name in runner.truth.steps[0] and node.t is not None:
                name, back = node.name, node.name.endswith("_prev") and node.name[:1] != "d"
                return (_base(name) if back else name), int(at) - key + node.t - back
    names = meant(ast.unparse(of), runner.problem.cell) & set(runner.truth.steps[0])
    return (sorted(names)[0], int(at)) if len(names) == 1 else None


def _entries(kept: Any) -> list[tuple[int, Array]]:
    """What a container keeps, by the number that it is kept under."""
    if isinstance(kept, Mapping):
        pairs = [(k, v) for k, v in kept.items() if isinstance(k, int)]
    elif isinstance(kept, np.ndarray):
        pairs = [(k, kept[..., k]) for k in range(kept.shape[-1] if kept.ndim else 0)]
    else:
        pairs = list(enumerate(kept)) if isinstance(kept, list | tuple) else []
    return [(k, v) for k, v in pairs if isinstance(v, np.ndarray) and v.dtype.kind in "fiu"]
