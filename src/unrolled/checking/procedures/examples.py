"""Inputs and targets that were made of words, or of sequences one by one: each target is the next input."""

from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.windows import (
    SHIFTED,
    decoded,
    examine_windows,
    made_at,
    other_shift,
)
from unrolled.checking.report import Worst

Array = Any
_OURS = ("X", "Y", "pairs")  # what is given with its targets
_MADE_OF = ("words", "sequences")
_LEAST = 8  # symbols that have to be compared


def examine_targets(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with the inputs and targets: cut from a stream, or made of words one by one."""
    if not _examine_examples(program, training, done, examined):
        examine_windows(program, training, done, examined)


def _examine_examples(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> bool:
    """Add what is wrong with targets that their own code has made of words; whether they could be judged.

    An input of None, before the first letter, is compared with nothing.
    """
    roles = {program.role(name) for name in training.given}
    seen = [(_given(program, i, "X"), _given(program, i, "Y")) for i in done]
    pairs = [(_ids(x[1]), _ids(y[1])) for x, y in seen if x and y]
    known = [(x, y) for x, y in pairs if x is not None and y is not None and x.shape == y.shape]
    of_words = bool(roles & {*_MADE_OF}) and not roles & {*_OURS}
    of_lines = "text" in roles and bool(known) and all(x[0] < 0 for x, _ in known)
    if not (of_words or of_lines) or len(known) < max(2, len(done)):
        return False
    if _fits(known, 1):
        examined.proved.append("targets are the next symbols of each sequence")
        return True
    wrong = [shift for shift in (0, -1, 2) if _fits(known, shift)]
    if len(wrong) != 1 or seen[0][1] is None:
        return False
    name, (x, y) = seen[0][1][0], known[0]
    line = made_at(training, done[0], name, np.asarray(seen[0][1][1], float))
    message = SHIFTED.get(wrong[0]) or other_shift(wrong[0])
    should = np.append(x[1:], y[-1:]) if wrong[0] < 1 else x
    examined.findings.append(
        finding(program, "Y", name, line, exact("shift", message), worst=Worst.between(y, should))
    )
    return True


def _given(program: Program, iteration: Iteration, role: str) -> tuple[str, Any] | None:
    """The argument of the forward pass, or else of the backward pass, that stands for a role."""
    for call in (iteration.forward, iteration.backward):
        for name, value in call.given.items():
            if program.role(name) == role:
                return name, value
    return None


def _ids(value: Any) -> Array | None:
    """The ids of one sequence, −1 for None; None where they are no such ids."""
    if isinstance(value, list | tuple) and all(v is None or np.ndim(v) == 0 for v in value):
        found = np.array([-1 if v is None else int(v) for v in value])
    else:
        try:
            read = decoded(np.asarray(value, float))
        except (TypeError, ValueError):  # lists of unlike items
            return None
        found = np.squeeze(read[0]).astype(int) if read else np.zeros((0, 0))
    return found if found.ndim == 1 and len(found) > 1 else None


def _fits(pairs: list[tuple[Array, Array]], shift: int) -> bool:
    """Whether each target is the input this many steps on, wherever there is such an input."""
    compared = 0
    for x, y in pairs:
        steps = [t for t in range(len(y)) if 0 <= t + shift < len(x) and x[t + shift] >= 0]
        if any(y[t] != x[t + shift] for t in steps):
            return False
        compared += len(steps)
    return compared >= _LEAST
