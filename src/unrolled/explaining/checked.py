"""A person's own program beside the right calculation: from what its check left to an explanation."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from unrolled.checking.problems import Counting, Truth
from unrolled.checking.recognising import same
from unrolled.checking.walk import Walk
from unrolled.equations.evaluation import Moment
from unrolled.equations.table import Key
from unrolled.errors import one_line
from unrolled.explaining.explanation import Array, Explanation, Theirs

_REDUCTIONS = {Counting(over=("m", "T")): "mean", Counting(): "batch"}


def explained(walk: Walk, file: str) -> Explanation:
    """Return the right calculation on the numbers that a program ran on, with what it computed beside it."""
    file = one_line(file)
    truth = Truth(walk.problem, walk.conventions)
    counting = walk.conventions.counting
    assert counting is not None
    right = Explanation(
        truth.net, truth.tape, title=f"{file} beside the right calculation", notes=walk.notes,
        reduction=_REDUCTIONS.get(counting, "sum"),
    )  # fmt: skip
    theirs = Theirs(file, _values(right, walk), walk.wrong, walk.lines, walk.said)
    return replace(right, theirs=theirs)


def _values(right: Explanation, walk: Walk) -> dict[Key, Array]:
    """What is wrong from the first mistake on. What they do not compute by itself is what the equations
    make of their numbers, unless something is lacking that it is made from.
    """
    if not walk.wrong:
        return {}
    keys = [moment.key for moment in right.moments]
    after = set(keys[keys.index(walk.wrong[0]) :])
    seen = {key: value for key, value in walk.seen.items() if key in after}
    computed, unknown, found = right.computed(fixed=seen), set(walk.lacking), {}
    for moment in right.moments:
        key = moment.key
        if key not in seen and unknown.intersection(_needed(right, moment)):
            unknown.add(key)
        theirs, expected = np.asarray(computed[key]), np.asarray(right.value(*key))
        alike = theirs.shape != expected.shape or same(theirs, expected)
        if key in after - unknown and not alike:
            found[key] = theirs
    return found


def _needed(explanation: Explanation, moment: Moment) -> Iterator[Key]:
    """Yield what a moment's number is made from."""
    expression, t = moment.equation.expression, moment.t
    name = expression.operands[0].name if expression.operands else ""
    if expression.operation == "over_time":
        yield from ((name, step) for step in range(explanation.T))
    elif expression.operation in ("first", "next"):
        yield name, 0 if t is None else t + 1
    else:
        yield from (explanation.table.placed(operand, t) for operand in expression.names)
