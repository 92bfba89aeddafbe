"""Whether what a clipping function makes reaches the update: with other gradients there, does it move otherwise?"""

import ast
from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.checking.procedures.changing import changed
from unrolled.checking.procedures.clipping import Clip
from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration, iterations
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import Call, same, statement
from unrolled.checking.procedures.trying import run_training

Array = Any


def examine_clip_use(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add that the result of a clipping function, which changes nothing in place, is not used."""
    said = (
        f.cause.id == "unclipped" or f.quantity == "clipped_gradients" for f in examined.findings
    )
    if any(said):
        return
    for function in program.having("clip"):
        call = next((c for c in training.trace.calls if c.name == function.name), None)
        if call is None or len(done) < 2 or Clip(program, function, training, done).in_place():
            continue
        program.instead = {function.name: _turned}
        try:
            again, _ = run_training(program)
        finally:
            program.instead = {}
        turned = iterations(program, again) if again else []
        names = [
            n for n, v in done[0].parameters.items() if not same(v, done[1].parameters.get(n, v))
        ]
        finite = all(np.isfinite(v).all() for i in done[:2] for v in i.parameters.values())
        if finite and len(turned) > 1 and names and all(_alike(done, turned, n) for n in names):
            message = (
                f"what {function.name} returns is not used: the update takes the gradients as they "
                "were before"
            )
            cause = exact("not_used", message)
            examined.findings.append(
                finding(
                    program,
                    "clipped_gradients",
                    function.name,
                    _line(program, training, call),
                    cause,
                )
            )


def _line(program: Program, training: Training, call: Call) -> int:
    """The call of the clip, or, where its result has a name, of the update that takes another."""
    if isinstance(statement(program.tree, call.line), ast.Expr):
        return call.line
    updates = {f.name for f in program.having("update")}
    later = (c.line for c in training.trace.calls if c.start > call.start and c.name in updates)
    return next(later, call.line)


def _turned(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of theirs whose gradients have the other sign."""
    return lambda *args, **kwargs: changed(function(*args, **kwargs), lambda g, k: -0.5 * g)


def _alike(done: list[Iteration], turned: list[Iteration], name: str) -> bool:
    pairs = list(zip(done[:3], turned[:3], strict=False))
    return all(same(a.parameters.get(name), b.parameters.get(name)) for a, b in pairs)
