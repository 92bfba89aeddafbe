"""What the page shows beside the steps: a gradient taken apart, what depends on what, softmax, mistakes."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from unrolled import notation
from unrolled.equations.printers import mathml_symbol
from unrolled.explaining import studies, writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.page.matrices import Matrices, matrix
from unrolled.explaining.page.selection import Selection

_INFLUENCES = 6  # steps of the table ∂loss⟨s⟩/∂a⟨t⟩, at most


def apart(explanation: Explanation, selection: Selection) -> dict[str, Any]:
    """Return the largest entry of the first parameter's gradient, taken apart into its products."""
    name, T = next(iter(explanation.table.step.parameters)), explanation.T
    total, steps = explanation.value(f"d{name}", None), selection.steps
    i, j = map(int, np.unravel_index(int(np.argmax(np.abs(total))), total.shape))
    by_sequence = studies.adds_up_over_batch(explanation, name)
    columns = selection.axes["m"] if by_sequence else []
    products = studies.products(explanation, name, i, j) if by_sequence else np.empty((0, T))
    rows = [
        {"t": t, "products": [writing.number(products[k, t]) for k in columns],
         "share": writing.number(explanation.value(f"d{name}", t)[i, j])}
        for t in steps
    ]  # fmt: skip
    return {
        "name": f"d{name}", "text": notation.entry(f"d{name}").text, "i": i, "j": j,
        "columns": columns, "rows": rows, "total": writing.number(total[i, j]),
        "m": explanation.m, "T": T, "more": 0 < len(columns) < explanation.m,
        "of_all": len(steps) == T,
    }  # fmt: skip


def influence(explanation: Explanation, matrices: Matrices) -> dict[str, Any]:
    """Return the table ∂loss⟨s⟩/∂a⟨t⟩ of every state whose gradient the cell names, with its sums."""
    steps, table = matrices.selection.steps[-_INFLUENCES:], explanation.table
    states = [state for state in table.step.states if f"d{state}" in table.shapes]
    found = studies.influences(explanation, states, steps)
    tables = [_of_state(explanation, matrices, s, found[s], steps) for s in states]
    return {"steps": steps, "tables": tables}


def _of_state(
    explanation: Explanation, matrices: Matrices, state: str, found: studies.Influence,
    steps: Sequence[int],
) -> dict[str, Any]:  # fmt: skip
    rows, columns = (matrices.selection.indices(axis) for axis in ("n_a", "m"))

    def cell(s: int, t: int) -> Markup | None:
        key = f"only {s}/{t}:d{state}"
        return Markup(matrix(found[s, t], key, rows, columns)) if t <= s else None

    return {
        "state": notation.entry(state).text, "of_all": len(steps) == explanation.T,
        "lines": [{"s": s, "cells": [cell(s, t) for t in steps]} for s in steps],
        "sums": [Markup(matrices.of(f"d{state}", t)) for t in steps],
    }  # fmt: skip


def ways(explanation: Explanation, selection: Selection) -> dict[str, Any] | None:
    """Return softmax with cross-entropy three ways, for the target with the largest loss; None without it."""
    if not studies.has_softmax(explanation):
        return None
    shown = selection.axes["m"]
    losses = np.stack([explanation.value("losses", t)[0, shown] for t in selection.steps])
    row, column = np.unravel_index(int(np.argmax(np.nan_to_num(losses))), losses.shape)
    t, k = selection.steps[row], shown[column]
    classes = selection.axes["n_y"]
    found = {
        name: Markup(matrix(value, f"ways:{name}", classes, classes if value.shape[1] > 1 else [0]))
        for name, value in studies.three_ways(explanation, t, k).items()
    }
    omega = writing.number(float(explanation.value("omega", t)[0, k]))
    return {"t": t, "sequence": k, "omega": omega, **found}


def switched(explanation: Explanation) -> dict[str, Any]:
    """Return what becomes of every gradient without each contribution."""
    names = studies.contributions(explanation)
    found = [studies.switched_off(explanation, name) for name in names]
    rows = [
        {"gradient": gradient, "symbol": notation.entry(gradient).text,
         "cells": [_off(one.relative[gradient]) for one in found]}
        for gradient in studies.gradients(explanation)
    ]  # fmt: skip
    return {"names": [notation.entry(name).text for name in names], "rows": rows}


def _off(relative: float | None) -> str:
    """How far a gradient is off, in words."""
    if relative is None:
        return "0 both ways"
    if not math.isfinite(relative):
        return "not a number" if math.isnan(relative) else "not 0, as it should be"
    if relative in (0.0, 1.0):
        return "lost" if relative else "unchanged"
    return f"off by {100 * relative:.0f} %" if relative >= 0.01 else "off by < 1 %"


def legend(explanation: Explanation) -> Iterator[tuple[Markup, str, str, str]]:
    """Yield for each quantity its symbol, its name in code, its shape and its meaning."""
    table = explanation.table
    for name, axes in table.shapes.items():
        text = Markup(f"<math>{mathml_symbol(notation.entry(name).text)}</math>")
        yield text, name, notation.shape_text(axes), table.meaning(name)
