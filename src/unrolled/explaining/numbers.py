"""The numbers as JSON: the equations, what was given, and every quantity at every step.

It is an example too: `unrolled explain numbers.json` explains the same calculation again.
"""

import json
from typing import Any

import numpy as np

import unrolled
from unrolled.equations.printers import to_dict
from unrolled.explaining.explanation import Explanation

SCHEMA = 1


def to_bytes(explanation: Explanation) -> bytes:
    """Return the file."""
    return (json.dumps(to_data(explanation), ensure_ascii=False, indent=1) + "\n").encode()


def to_data(explanation: Explanation) -> dict[str, Any]:
    """Return the numbers as JSON holds them: arrays as lists, (n, m, T) over time; NaN and infinities as
    strings.
    """
    tape, step = explanation.tape, explanation.table.step
    over_time = {name: _listed(tape[name]) for name in tape if name not in _given(explanation)}
    shares = {name: _listed(array) for name, array in tape.shares.items()}
    return {
        "unrolled": {"schema": SCHEMA, "version": unrolled.__version__},
        "title": explanation.title, "cell": explanation.net.settings["cell"],
        "activation": step.activation.name if step.activation else None,
        "output": step.prediction.name, "loss": step.loss.part.name,
        "reduction": explanation.reduction, "sizes": explanation.sizes,
        "x": _listed(tape["x"]), "y": _listed(tape["y"]),
        **{f"{s}0": _listed(explanation.given[f"{s}0", None]) for s in step.states},
        "parameters": {name: _listed(value) for name, value in tape.parameters.items()},
        "numbers": {"over_time": over_time, "shares": shares},
        **({"labels": list(explanation.labels)} if explanation.labels else {}),
        **({"story": dict(explanation.story)} if explanation.story else {}),
        "table": to_dict(explanation.table, explanation.sizes),
    }  # fmt: skip


def _given(explanation: Explanation) -> set[str]:
    return {"x", "y"} | {f"{s}0" for s in explanation.table.step.states}


def _listed(array: Any) -> Any:
    listed = np.asarray(array).tolist()
    return listed if np.all(np.isfinite(array)) else _plain(listed)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if np.isfinite(value) else str(value)
