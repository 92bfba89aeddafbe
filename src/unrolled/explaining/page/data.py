"""What the page's script is told: the table as data, and the numbers that Python computed.

After an edit the script evaluates these same equations, entry by entry; it has none of its own.
"""

import base64
import json
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.equations.entries import LINKED, Scalar, entry_equation, entry_of
from unrolled.equations.table import Key, Table, record_stage
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.page.selection import Selection
from unrolled.explaining.softmax import THREE_WAYS
from unrolled.explaining.studies import contributions, gradients, has_softmax

Array = Any


def key_text(key: Key) -> str:
    """Return `3:dz_a`, or `dW_aa` for what is no step's: how a number is found on the page."""
    name, t = key
    return name if t is None else f"{t}:{name}"


def to_json(explanation: Explanation, selection: Selection, begun: dict[str, Any]) -> str:
    """Return what the script is told, safe inside a script element; `begun` is what studies begin with."""
    table, order = explanation.table, dict[Any, int]()
    equations = list[dict[str, Any]]()
    for equation in table.equations:
        if equation.expression.operation == "previous":
            continue  # said by step t−1 of the state
        order[equation] = len(equations)
        equations.append({
            "name": equation.name, "direction": equation.direction,
            "entry": _tree(entry_equation(table, equation), table),
        })  # fmt: skip
    shapes = {name: list(shape) for name, shape in table.shapes.items()}
    told = {
        "sizes": explanation.sizes, "steps": selection.steps, "axes": selection.axes,
        "states": list(table.step.states), "parameters": list(table.step.parameters),
        "shapes": shapes, "equations": equations,
        "order": [[order[moment.equation], moment.t] for moment in explanation.moments],
        "shown": selection.places,
        "contributions": contributions(explanation), "gradients": gradients(explanation),
        "symbols": {name: notation.entry(name).text for name in _named(explanation)} | _STUDY,
        "editable": selection.editable, "whole": selection.whole, "three_ways": _three_ways(explanation),
        **_numbers(explanation, selection),
        **begun, "theirs": _theirs(explanation, selection),
    }  # fmt: skip
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# What the study of the softmax calls its quantities.
_STUDY = {"jacobian": "J", "by_jacobian": "Jᵀdŷ", "by_chain": "dz", "by_shortcut": "dz", "identity": "δ",
          "dy_hat": "dŷ"}  # fmt: skip


def _named(explanation: Explanation) -> list[str]:
    """The names of all quantities, of states before the first step and of what is formed over all."""
    states = [f"{state}0" for state in explanation.table.step.states]
    return [*explanation.table.shapes, *states, *gradients(explanation)]


def _tree(scalar: Scalar, table: Table | None = None) -> list[Any]:
    """Return an entry as nested lists: what is done, then what it is done to."""
    operation = scalar.operation
    if operation == "entry":
        name, step = scalar.name, scalar.step
        state = name.removesuffix("_prev")
        if table and state != name and state in table.step.states:
            name, step = state, LINKED["previous"]
        if table and name in table.step.parameters:
            step = ""
        return ["entry", name, *scalar.at, step]
    if operation == "number":
        return ["number", scalar.value]
    operands = [_tree(operand, table) for operand in scalar.operands]
    if operation in ("sum", "largest"):
        return [operation, scalar.name, scalar.axis, *operands]
    return [operation, scalar.name, *operands] if operation == "call" else [operation, *operands]


def _three_ways(explanation: Explanation) -> list[Any]:
    """The study of softmax with cross-entropy, if the network has one."""
    if not has_softmax(explanation):
        return []
    equations, shapes = record_stage(THREE_WAYS)
    return [
        {"name": e.name, "shape": list(e.shape), "entry": _tree(entry_of(e.expression, shapes))}
        for e in equations
    ]


def _numbers(explanation: Explanation, selection: Selection) -> dict[str, Any]:
    """Return where each array stands in one long row of numbers, and the row, 8 bytes each."""
    places, blocks, start = list[Any](), list[Array](), 0
    given = explanation.given.items() if selection.editable else _shown_given(selection)
    found = [(key, value, selection.editable) for key, value in given]
    found += [
        (key, explanation.value(*key), selection.whole)
        for key in (*selection.computed, *selection.beside)
    ]
    for key, value, whole in found:
        axes = axes_of(explanation, key)
        cut = [] if whole else [selection.indices(axis) for axis in axes]
        block = value[np.ix_(*cut)] if cut else value
        places.append([key_text(key), list(value.shape), start, *cut])
        blocks.append(np.ravel(block).astype("<f8"))
        start += block.size
    packed = np.concatenate(blocks).tobytes() if blocks else b""
    return {"arrays": places, "numbers": base64.b64encode(packed).decode()}


def _shown_given(selection: Selection) -> list[tuple[Key, Array]]:
    """What is given at the steps that are shown."""
    given = selection.explanation.given
    return [(key, value) for key, value in given.items() if key[1] in (None, *selection.steps)]


def axes_of(explanation: Explanation, key: Key) -> tuple[str | int, ...]:
    """Return the axes of a quantity; those of a state before the first step are the state's."""
    shapes, name = explanation.table.shapes, key[0]
    for of in (name, name.removesuffix("0"), f"{name.removesuffix('0')}_prev"):
        if of in shapes:
            return shapes[of]
    return (1, 1)


def _theirs(explanation: Explanation, selection: Selection) -> dict[str, Any] | None:
    """Where a person's own program is wrong: the mistakes, and what follows from them."""
    theirs = explanation.theirs
    if theirs is None:
        return None
    shown = {moment.key: theirs.status(moment.key) for moment in selection.moments}
    return {
        status: [key_text(key) for key, of in shown.items() if of == status]
        for status in ("wrong", "follows")
    }
