"""A clip that stands inside other code: with limits that every gradient is beyond, does it act?"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration, iterations
from unrolled.checking.procedures.running import Program, Training, run_training
from unrolled.checking.procedures.updating import Update

Array = Any
TINY = 1e-4  # of their limit


@contextlib.contextmanager
def tiny_limits(seen: list[tuple[int, tuple[int, ...], float]]) -> Iterator[None]:
    """While it lasts, np.clip(g, −v, v) clips to a ten-thousandth of v; notes line, shape and limit."""
    clip = np.clip

    def small(a: Array, a_min: Any = None, a_max: Any = None, *args: Any, **kwargs: Any) -> Array:
        if isinstance(a_max, int | float) and isinstance(a_min, int | float) and a_min == -a_max:
            seen.append((sys._getframe(1).f_lineno, np.shape(a), TINY * a_max))
            return clip(a, TINY * a_min, TINY * a_max, *args, **kwargs)
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
    seen: list[tuple[int, tuple[int, ...], float]] = []
    with tiny_limits(seen):
        again, _ = run_training(program)
    clipped = iterations(program, again) if again and seen else []
    if again is None or len(clipped) < 2:
        return
    update = Update(program, again, clipped[0], clipped[1])
    shapes = {shape for _, shape, _ in seen}
    names = [n for n in update.names if update.now.parameters[n].shape in shapes]
    limit = max(limit for *_, limit in seen)
    passed = [n for n in names if _beyond(update.versions[n], limit) and update.reaches(n, limit)]
    if passed:
        what = "the clipped gradients equal the unclipped ones: the clip has no effect"
        rest = "" if len(passed) == len(names) else f", for {', '.join(passed)} only"
        cause = exact("no_effect", what + rest)
        name = f"d{passed[0]}"
        examined.findings.append(finding(program, "clipped_gradients", name, seen[0][0], cause))
    elif names:
        examined.proved.append("gradients are clipped before they reach the update")


def _beyond(versions: list[Array], limit: float) -> bool:
    """Whether a gradient was and has stayed beyond the limit."""
    return bool(np.max(np.abs(versions[-1])) > limit * 1.01)
