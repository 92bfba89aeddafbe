"""The story of an example: what gradient descent makes of it, with the right gradient and with a wrong one.

The descents are run, not remembered. Hundreds of thousands of steps of a few numbers each are more than
an engine for matrices is made for, so a straight-line program is written from the equations, entry by entry.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unrolled.equations.entries import LINKED, Scalar, entry_equation
from unrolled.equations.evaluation import Moment
from unrolled.equations.formulas import PYTHON, formula
from unrolled.equations.table import Key
from unrolled.errors import UnrolledError, one_line, positive_number, whole_number
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.studies import gradients, has_softmax, lost, three_ways
from unrolled.explaining.writing import number

Array = Any
Place = tuple[int, int]
_STORY = ("rate", "steps", "wrong_rate", "scale", "scaled_rate", "scaled_steps")
_MOST_STEPS, _MOST_NUMBERS, _MOST_PRODUCTS = 1_000_000, 5000, 50_000_000


@dataclass(frozen=True)
class Descent:
    """A gradient descent: its rate, its steps, the loss before and after, and the parameters at the end."""

    rate: float
    steps: int
    before: float
    after: float
    parameters: Mapping[str, Array]


def check_story(story: Any, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return what a file says under "story", or raise UnrolledError with a sentence."""
    if not isinstance(story, Mapping) or story.keys() != set(_STORY):
        said = one_line(repr(story), 60)
        raise UnrolledError(f"story is {said}: expected numbers for {', '.join(_STORY)}")
    for name, value in story.items():
        if name.endswith("steps"):
            if whole_number(name, value, 1) > _MOST_STEPS:
                raise UnrolledError(f"{name} is {value}: expected at most {_MOST_STEPS}")
        else:
            positive_number(name, value)
    count = sizes["n_a"] * sum(sizes[n] for n in ("n_x", "n_a", "n_y")) * sizes["m"] * sizes["T"]
    if count > _MOST_NUMBERS or count * story["steps"] > _MOST_PRODUCTS:
        raise UnrolledError(
            f"story has {story['steps']} steps of n_a (n_x + n_a + n_y) m T = {count}: expected at most "
            f"{_MOST_PRODUCTS // max(count, 1)} steps, and at most {_MOST_NUMBERS} of these"
        )
    return dict(story)


def tell(explanation: Explanation) -> Iterator[str]:
    """Yield the sentences of the story."""
    story = explanation.story
    if story is None:
        return
    yield from _saturated(explanation)
    if has_softmax(explanation):
        yield _slip(explanation, story["wrong_rate"])
    right = descend(explanation, story["rate"], story["steps"])
    yield (
        f"With the right gradient a rate of {_plain(right.rate)} brings the loss from "
        f"{number(right.before, 14)} to {number(right.after)} in {right.steps:,} steps."
    )
    factor = story["scale"]
    small = scaled(explanation, factor)
    better = descend(small, story["scaled_rate"], story["scaled_steps"])
    yield (
        f"With x, the initial state, the weights and the biases multiplied by {_plain(factor)} "
        f"{'nothing saturates' if not lost(small) else 'less saturates'} ({_largest_z(small)}), and at a rate of "
        f"{_plain(better.rate)} the loss goes from {number(better.before, 5)} to {number(better.after)} in "
        f"{better.steps:,} steps."
    )


def _saturated(explanation: Explanation) -> Iterator[str]:
    """Yield which slopes, and so which gradients, are exactly 0."""
    if not (found := lost(explanation)):
        return
    names = [name for name in gradients(explanation) if not np.any(explanation.value(name, None))]
    yield (
        f"The units are saturated ({_largest_z(explanation)}): so far out the activation is flat, its slope is "
        f"exactly 0 in {sum(one.entries for one in found)} of {sum(one.size for one in found)} entries, "
        f"and by any correct rule {', '.join(names) or 'no gradient'} {'are' if len(names) > 1 else 'is'} exactly 0."
    )


def _largest_z(explanation: Explanation) -> str:
    """Return the first pre-activations of step 0, `z_a = 548.7, 484.25`; of a cell that names none, its state."""
    names = [n for n in explanation.table.shapes if n.startswith("z_") and n != "z_y"]
    name = names[0] if names else "a"
    values = explanation.value(name, 0).ravel()
    return (
        f"{name} = {', '.join(number(value, 5) for value in values[:8])}{', …' * (values.size > 8)}"
    )


def _slip(explanation: Explanation, rate: float) -> str:
    """Return what comes of a softmax Jacobian that is summed instead of multiplied with."""
    ways = three_ways(explanation, explanation.T - 1, 0)
    sums = [ways["jacobian"].sum(axis) for axis in (0, 1)]
    noise = max(float(np.abs(values).max()) for values in sums)
    right = float(np.abs(ways["by_shortcut"]).max())
    return (
        "A common mistake is to sum the softmax Jacobian over its rows where it is to be multiplied with dŷ. "
        f"Every row of it adds up to 0, so what is left is exactly 0 or rounding noise, here up to {number(noise, 2)}, "
        f"in the place of a gradient of {number(right)}; only that makes a rate of {_plain(rate)} look "
        f"sensible, and {_plain(rate)} times it is {number(rate * noise, 2)}: still no step at all."
    )


def _plain(value: float) -> str:
    """Return a rate as people write it: 0.0001, 5,000,000."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def scaled(explanation: Explanation, factor: float) -> Explanation:
    """Return the explanation with x, the initial states and all parameters multiplied by a factor."""
    net, tape = deepcopy(explanation.net), explanation.tape
    for name, value in tape.parameters.items():
        net.parameters[name][...] = factor * value
    state = {s: factor * value for s, value in tape.batch.state.items()}
    made = net.tape(factor * tape["x"], tape["y"], state, reduction=explanation.reduction)
    return replace(explanation, net=net, tape=made, story=None)


def descend(explanation: Explanation, rate: float, steps: int) -> Descent:
    """Run plain gradient descent with the right gradient.

    Parameters whose gradient is exactly 0 stay as they are; that it still is 0 at the end is looked at, and
    if it is not, all of it is done again with them.
    """
    names = [
        n for n, g in explanation.net.parameters.items() if np.any(explanation.value(f"d{n}", None))
    ]
    found = _descended(explanation, names, rate, steps)
    loss, slopes = _at(explanation, found)
    if any(np.any(slopes[n]) for n in slopes.keys() - set(names)):
        found = _descended(explanation, list(slopes), rate, steps)
        loss, _ = _at(explanation, found)
    before = float(explanation.value("loss", None)[0, 0])
    return Descent(rate, steps, before, loss, found)


def _at(
    explanation: Explanation, parameters: Mapping[str, Array]
) -> tuple[float, dict[str, Array]]:
    """Return the loss, and its gradients, at other parameters."""
    given = explanation.given | {(name, None): value for name, value in parameters.items()}
    values = explanation.computed(given=given)
    names = explanation.table.step.parameters
    return float(values["loss", None][0, 0]), {n: values[f"d{n}", None] for n in names}


def _descended(
    explanation: Explanation, names: list[str], rate: float, steps: int
) -> dict[str, Array]:
    """Return the parameters `names` after some steps; NaN where numbers became too large on the way."""
    program = program_of(explanation, names)
    known: dict[str, Any] = {
        name: getattr(math, name) for name in ("exp", "log", "log1p", "tanh", "inf", "nan")
    }
    exec(compile(program, "descent", "exec"), known)
    flat = [float(x) for name in names for x in explanation.given[name, None].ravel()]
    try:
        flat = known["descend"](steps, rate, *flat) if flat else flat
    except (ArithmeticError, ValueError):  # math.exp overflows where NumPy's has infinity
        flat = [math.nan] * len(flat)
    found = {}
    for name in names:
        shape = explanation.given[name, None].shape
        found[name], flat = (
            np.array(flat[: math.prod(shape)]).reshape(shape),
            flat[math.prod(shape) :],
        )
    return found


def program_of(explanation: Explanation, names: Collection[str]) -> str:
    """Return a Python function `descend(steps, rate, *entries)` that descends in the parameters `names`.

    Only what depends on them, and what their gradients are made from, is computed in its loop; all else stands
    there as numbers.
    """
    program = _Program(explanation, names)
    for moment in program.needed():
        program.write(moment)
    updates = [
        f"{name}_{i}_{j} -= rate * {program.text((f'd{name}', None), (i, j))}"
        for name in names for i, j in program.places((name, None))
    ]  # fmt: skip
    loop = "\n        ".join([*program.statements, *updates])
    given = "".join(f"{name}_{i}_{j}, " for name in names for i, j in program.places((name, None)))
    return f"def descend(steps, rate, {given}):\n    for _ in range(steps):\n        {loop}\n    return [{given}]\n"


class _Program:
    """Statements that compute the entries of one quantity after the other."""

    def __init__(self, explanation: Explanation, names: Iterable[str]):
        self.explanation, self.statements = explanation, list[str]()
        self._names: dict[str, str] = {}  # of what is computed already
        self._texts: dict[tuple[Key, Place], str] = {}
        self._variable: set[Key] = {(name, None) for name in names}
        self._gradients: set[Key] = {(f"d{name}", None) for name in names}
        for key in self._variable:
            self._texts |= {(key, (i, j)): f"{key[0]}_{i}_{j}" for i, j in self.places(key)}
        # What takes long, or is needed more than once, is computed once: the largest logit of a softmax.
        kept = ("exp", "log", "log1p", "tanh", "largest", "sum", "divide", "where")
        self._style = {o: _Kept(text, self) if o in kept else text for o, text in PYTHON.items()}

    def places(self, key: Key) -> Iterator[Place]:
        """Yield row and column of each entry of a quantity."""
        return np.ndindex(*self.explanation.value(*key).shape)

    def text(self, key: Key, place: Place) -> str:
        """Return what an entry is called; of what does not change its number."""
        if key in self._variable:
            return self._texts[key, place]
        return repr(float(self.explanation.value(*key)[place]))

    def needed(self) -> list[Moment]:
        """Return what has to be computed anew in each step of the descent, in the order of computation."""
        for moment in self.explanation.moments:
            if self._variable.intersection(self._origins(moment)):
                self._variable.add(moment.key)
        wanted, found = set(self._gradients), []
        for moment in reversed(self.explanation.moments):
            if moment.key in wanted & self._variable:
                wanted |= set(self._origins(moment))
                found.append(moment)
        return found[::-1]

    def _origins(self, moment: Moment) -> list[Key]:
        """Return what a moment's equation is made from."""
        t, expression, T = moment.t, moment.equation.expression, self.explanation.T
        first = next(expression.leaves()).name if expression.operation in LINKED else ""
        if expression.operation == "over_time":
            return [(first, step) for step in range(T)]
        if t is None:
            return [(first, 0)]
        if expression.operation == "next":
            return [(first, t + 1)] if t + 1 < T else []
        return [self.explanation.table.placed(name, t) for name in expression.names]

    def write(self, moment: Moment) -> None:
        """Write what computes every entry of a moment's quantity."""
        scalar = entry_equation(self.explanation.table, moment.equation)
        for place in self.places(moment.key):
            if moment.equation.expression.operation == "over_time":
                text = "+".join(self.text(key, place) for key in self._origins(moment))
            else:
                placed = scalar.placed({"i": place[0], "j": place[1]})
                text = formula(placed, self._found(moment), self.explanation.sizes, self._style)
            self._texts[moment.key, place] = self.kept(text)

    def _found(self, moment: Moment) -> Callable[[Scalar], str]:
        linked = moment.equation.expression.operation in LINKED

        def found(entry: Scalar) -> str:
            if linked:
                keys = self._origins(moment)
                return self.text(keys[0], entry.at) if keys else "0.0"  # type: ignore[arg-type]
            key = self.explanation.table.placed(entry.name, moment.t)
            return self.text(key, entry.at)  # type: ignore[arg-type]

        return found

    def kept(self, text: str) -> str:
        """Return the name of what a text computes, which is computed where it is not yet."""
        if text not in self._names:
            self._names[text] = f"_{len(self._names)}"
            self.statements.append(f"{self._names[text]} = {text}")
        return self._names[text]


class _Kept(str):
    """An operation whose results get names."""

    def __new__(cls, text: str, program: _Program) -> "_Kept":
        made = super().__new__(cls, text)
        made.program = program
        return made

    program: _Program

    def __mod__(self, operands: Any) -> str:
        return self.program.kept(super().__mod__(operands))
