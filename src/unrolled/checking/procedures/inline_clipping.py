"""A clip that stands inside other code: does anything change where every gradient is beyond its limits?"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration, iterations
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import near
from unrolled.checking.procedures.trying import run_training
from unrolled.checking.procedures.updating import factor
from unrolled.checking.report import Finding

Array = Any
Seen = list[tuple[int, Array]]  # of each clip its line and what it was given
TINY = 1e-4  # of their limit


@contextlib.contextmanager
def limits_times(by: float, seen: Seen) -> Iterator[None]:
    """While it lasts, np.clip(g, −v, v) clips at `by` times v; notes its line and what it was given."""
    clip = np.clip

    def small(a: Array, a_min: Any = None, a_max: Any = None, *args: Any, **kwargs: Any) -> Array:
        if isinstance(a_max, int | float) and isinstance(a_min, int | float) and a_min == -a_max:
            seen.append((sys._getframe(1).f_lineno, np.array(a)))
            return clip(a, by * a_min, by * a_max, *args, **kwargs)
        return clip(a, a_min, a_max, *args, **kwargs)

    np.clip = small  # type: ignore[assignment, unused-ignore]
    try:
        yield
    finally:
        np.clip = clip  # type: ignore[assignment, unused-ignore]


def examine_inline_clipping(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add that a clip outside a clipping function has no effect, or that it has one."""
    if program.having("clip"):
        return
    seen: Seen = []
    clipped = _run(program, TINY, seen)
    free = _run(program, 1 / TINY, []) if seen else []
    if min(len(clipped), len(free)) < 2:
        return
    steps = {n: free[1].parameters[n] - v for n, v in free[0].parameters.items()}
    names = [n for n, g in free[0].gradients.items() if _given(seen, g) and np.any(steps[n])]
    passed = [n for n in names if near(clipped[1].parameters[n], free[1].parameters[n], 1e-12)]
    late = [i[2].parameters for i in (clipped, free) if len(i) > 2]
    always = len(late) == 2 and all(near(late[0][n], late[1][n], 1e-12) for n in names)
    found = _judged(program, seen[0][0], names, passed, always, free)
    if found:
        examined.findings.append(found)
    elif names and not passed:
        examined.proved.append("gradients are clipped before they reach the update")


def _run(program: Program, by: float, seen: Seen) -> list[Iteration]:
    with limits_times(by, seen):
        training, _ = run_training(program)
    return iterations(program, training) if training else []


def _given(seen: Seen, gradient: Array) -> bool:
    """Whether a clip was given this gradient."""
    return any(np.any(a) and near(a, gradient) for _, a in seen)


def _judged(
    program: Program, line: int, names: list[str], passed: list[str], always: bool,
    free: list[Iteration],
) -> Finding | None:  # fmt: skip
    """A finding where parameters move as far whether gradients are clipped or not.

    A rule that divides by a gradient's size takes the same first step whatever that size is: there,
    all steps of all parameters have to be the same.
    """
    plain = [n for n in passed if _is_plain(free, n)]
    all_of_them = len(passed) == len(names)
    if not names or not (plain or (all_of_them and always)):
        return None
    passed = passed if all_of_them else plain
    what = "the clipped gradients equal the unclipped ones: the clip has no effect"
    rest = "" if all_of_them else f", for {', '.join(passed)} only"
    cause = exact("no_effect", what + rest)
    return finding(program, "clipped_gradients", f"d{passed[0]}", line, cause)


def _is_plain(free: list[Iteration], name: str) -> bool:
    """Whether a step is the gradient itself, times a number."""
    before, after = (i.parameters[name] for i in free[:2])
    return (
        factor(after - before, free[0].gradients[name], float(np.max(np.abs(before)))) is not None
    )
