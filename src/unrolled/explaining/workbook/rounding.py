"""How far rounding can move every number of a calculation: what a formula may differ by and still be right."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.equations.table import Key
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.softmax import THREE_WAYS
from unrolled.explaining.workbook import softmax_sheet
from unrolled.explaining.workbook.contents import FIRST_RATE
from unrolled.gradients.shaken import EPSILON, Shaken

Array = Any
_RUNS = 4
_TIMES = 100  # what counts as rounding: a spreadsheet takes 16 last bits of a difference for 0


def allowed(explanation: Explanation) -> dict[Key, float]:
    """Return for every computed quantity how far any of its entries may be off."""
    coarser = float(np.finfo(explanation.net.dtype).eps) / EPSILON
    runs = [_shaken(explanation, np.random.default_rng(seed)) for seed in range(_RUNS)]
    return {key: _of([run[key] for run in runs]) * coarser for key in runs[0]}


def _shaken(explanation: Explanation, random: np.random.Generator) -> dict[Key, Array]:
    """Return every number of the workbook with the last bits of all that is done changed at random."""
    given = {k: Shaken(value.astype(float), random) for k, value in explanation.given.items()}
    last = explanation.T - 1
    nothing = {
        (f"d{s}_next", last): Shaken(np.zeros(explanation.value(s, last).shape), random)
        for s in explanation.table.step.states
    }
    found = explanation.computed(given=given, fixed=nothing)
    for name in explanation.table.step.parameters:
        found[f"new {name}", None] = found[name, None] - FIRST_RATE * found[f"d{name}", None]
    if softmax_sheet.is_shown(explanation):
        found |= _three_ways(explanation, found, random)
    return {key: shaken.value for key, shaken in found.items() if key not in given}


def _three_ways(
    explanation: Explanation, found: Mapping[Key, Shaken], random: np.random.Generator
) -> dict[Key, Shaken]:
    t, sequence = softmax_sheet.target(explanation)
    values = {n: found[n, t].value[:, sequence : sequence + 1] for n in ("z_y", "y")}
    values["identity"] = np.eye(explanation.sizes["n_y"])
    given = {name: Shaken(value, random) for name, value in values.items()}
    with np.errstate(all="ignore"):
        ways = given | THREE_WAYS.forward(given)
        for way in ("by_jacobian", "by_chain"):
            ways[f"{way}_difference"] = ways[way] - ways["by_shortcut"]
    return {softmax_sheet.key(name): value for name, value in ways.items()}


def _of(runs: list[Array]) -> float:
    """Return what is allowed: a hundred times how far apart the runs are, or the last bit is."""
    numbers = np.where(np.isfinite(runs), runs, 0.0)
    apart = float(np.max(np.ptp(numbers, axis=0)))
    return _TIMES * max(apart, EPSILON * float(np.max(np.abs(numbers))), np.finfo(float).tiny)
