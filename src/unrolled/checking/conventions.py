"""Which of the usual choices a person's code makes: these are no mistakes where everything agrees on them.

What is loss and what is gradient may count each target differently. A convention is one only if
both agree on it; if they do not, the default is right: summed over time, averaged over the batch.
"""

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.checking import variants
from unrolled.checking.calling import Outcome, Plan, Reading, usage
from unrolled.checking.calling.layouts import INNER
from unrolled.checking.problems import Conventions, Counting, Problem, Truth, shortened
from unrolled.checking.recognising import Node, Recogniser, laid_out, numbers, same
from unrolled.checking.running.watching import Event

Array = Any
DEFAULT = Counting()
_UNIT = Counting(over=())
_KEEPS = str(Path(variants.__file__).with_name("gru_keep.py"))
_VARIANTS = {
    "gru": (
        "gru_reset_after",
        _KEEPS,
        str(Path(variants.__file__).with_name("gru_keep_reset_after.py")),
    )
}
_OUTPUTS = ("sigmoid", "linear")
_READINGS = 3  # tried of those that the forward pass leaves open
_FIRST = 400  # events that tell how the forward pass reads its weights


@dataclass(frozen=True)
class Choice:
    """How a file is read: which plan and reading, which conventions, and how much was recognised.

    `doubtful` are other ways to read it that as much speaks for, where the backward says nothing;
    `counted` says whether a run told how targets count.
    """

    plan: Plan
    reading: Reading
    conventions: Conventions
    recognised: int
    doubtful: "tuple[Choice, ...]" = ()
    counted: bool = True


def choose_reading(
    plan: Plan, problem: Problem, events: Sequence[Event], outcome: Outcome
) -> Choice:
    """Return the reading and conventions under which most of a run of `plan` is recognised."""
    distinct = distinct_values(events)

    def choice(reading: Reading, conventions: Conventions) -> Choice:
        found = _recognised(plan, reading, conventions, problem, distinct)
        return Choice(plan, reading, conventions, found)

    def with_counting(one: Choice) -> Choice:
        return _with_counting(one, problem, distinct, outcome)

    usual = Conventions(
        activation="tanh" if plan.cell == "rnn" else None,
        states=frozenset(plan.given),
        output="sigmoid" if plan.fixed.get("n_y") == 1 else "softmax",  # of one, softmax is 1
    )
    every = [choice(reading, usual) for reading in plan.readings]
    read = max(every, key=_recognition)
    alike = [one for one in every if one.recognised == read.recognised and one is not read]
    best = _with_output(read, choice, with_counting, problem, outcome)
    plain = replace(usual, output=best.conventions.output)
    doubtful: list[Choice] = []
    for variant in _variants(plain, plan.cell):
        order = sorted(plan.readings, key=lambda reading: reading != best.reading)
        other = max((choice(reading, variant) for reading in order), key=_recognition)
        keeps = variant.cell == _KEEPS  # told by u alone, which may be what is wrong
        if keeps and not doubtful and other.recognised == best.recognised:
            doubtful = [with_counting(other)]
        elif other.recognised > best.recognised:
            other = with_counting(other)
            if _goes_back(other, best.conventions, problem, distinct, outcome):
                best, doubtful = other, []
            elif variant.cell and other.recognised >= max(map(_recognition, doubtful), default=0):
                doubtful = [one for one in doubtful if one.recognised == other.recognised] + [other]
    if INNER in plan.weights.values() and doubtful and doubtful[0].recognised > best.recognised:
        best, *doubtful = doubtful  # a bias inside the reset is for a reset after the product
        every = [choice(reading, best.conventions) for reading in plan.readings]
        alike = [one for one in every
                 if one.recognised == best.recognised and one.reading != best.reading]  # fmt: skip
    others = [replace(best, reading=one.reading) for one in alike[:_READINGS]]
    return replace(best, doubtful=(*doubtful, *others))


def _recognition(choice: Choice) -> int:
    return choice.recognised


def _with_output(
    read: Choice, choice: Callable[[Reading, Conventions], Choice],
    with_counting: Callable[[Choice], Choice], problem: Problem, outcome: Outcome,
) -> Choice:  # fmt: skip
    """Return the choice with the output that is recognised most, or, among those that are alike, the one
    under which most results are right: softmax where nothing tells, and where the loss is softmax's.
    """
    others = [replace(read.conventions, output=output) for output in _OUTPUTS]
    choices = [read, *(choice(read.reading, other) for other in others)]
    most = max(map(_recognition, choices))
    alike = [with_counting(one) for one in choices if one.recognised == most]
    way = getattr(read.plan, "way", None)  # a binding has none, and says nothing of its loss
    logs = way is None or usage.takes_logarithms(way.functions)

    def fitness(one: Choice) -> tuple[int, bool]:
        squares = one.conventions.output == "linear" and one.plan.has_loss and not logs
        return _right(one, problem, outcome), squares

    best = max(alike, key=fitness)
    of_logits = best.conventions.output == "linear" and logs and best.plan.has_loss and way
    if of_logits or _is_softmaxs(best, problem, outcome):
        return with_counting(choices[0])  # the loss is that of softmax, which is what is left out
    return best


def _is_softmaxs(choice: Choice, problem: Problem, outcome: Outcome) -> bool:
    """Whether the loss of sigmoids is the one that belongs to softmax: −Σ y log ŷ and nothing else."""
    losses = [o.value for o in outcome.outputs if o.quantity == "loss" and np.size(o.value) == 1]
    if choice.conventions.output != "sigmoid" or not losses:
        return False
    read = choice.plan.problem(problem, choice.reading)
    steps = Truth(read, choice.conventions).steps
    targets = [read.Y[:, :, t] * (not read.last_only or t == read.T - 1) for t in range(read.T)]
    pairs = zip(targets, steps, strict=True)
    unit = -sum(float(np.sum(y * np.log(step["y_hat"]))) for y, step in pairs)
    theirs = float(np.ravel(losses[0])[0])
    return any(abs(theirs - share * unit) <= 1e-9 * abs(theirs) for share in _usual(read))


def _right(choice: Choice, problem: Problem, outcome: Outcome) -> int:
    """How many results are right under a choice."""
    plan, reading = choice.plan, choice.reading
    truth = Truth(plan.problem(problem, reading), choice.conventions)
    pairs = [(numbers(o.value), plan.expected(o, truth, reading)) for o in outcome.outputs]
    return sum(
        same(theirs, np.asarray(expected, float))
        for theirs, expected in pairs if theirs is not None and expected is not None
    )  # fmt: skip


def _variants(usual: Conventions, cell: str) -> Iterator[Conventions]:
    """What else a cell may be: another activation, or a gate that acts elsewhere."""
    for activation in ("relu", "sigmoid") if usual.activation else ():
        for output in (usual.output, *_OUTPUTS):
            yield replace(usual, activation=activation, output=output)
    for variant in _VARIANTS.get(cell, ()):
        yield replace(usual, cell=variant)


def _goes_back(
    choice: Choice, usual: Conventions, problem: Problem, values: Sequence[Array], outcome: Outcome
) -> bool:
    """Whether the backward is that of a variant too: most is recognised of what only it computes."""
    if not any(output.quantity[:1] == "d" for output in outcome.outputs):
        return True  # there is no backward that could disagree
    read = choice.plan.problem(problem, choice.reading)
    truths = Truth(read, choice.conventions), Truth(read, usual)
    printed = [{e.name: e.expression.key for e in truth.table.of("backward")} for truth in truths]
    own = {name for name, key in printed[0].items() if printed[1].get(name) != key}
    recogniser = Recogniser(truths[0], transposed=choice.plan.transposed)
    sizes = {np.size(truths[0].steps[0][name]) for name in own}
    found = {
        node.name for value in values if value.size in sizes for node in recogniser.nodes(value)
    }
    return len(found & own) > len(own) / 2


def distinct_values(events: Iterable[Event]) -> list[Array]:
    found = {(e.value.shape, e.value.tobytes()): e.value for e in events if e.value is not None}
    return list(found.values())


def _recognised(
    plan: Plan,
    reading: Reading,
    conventions: Conventions,
    problem: Problem,
    values: Sequence[Array],
) -> int:
    short = shortened(plan.problem(problem, reading), min(2, problem.T))
    recogniser = _recogniser(_Drawn(short), conventions)
    sizes = {short.sizes[n] * short.m for n in ("n_a", "n_y")}
    forward = {e.name for e in recogniser.truth.table.of("forward")}
    forward -= {"y_hat"} if conventions.output == "linear" else set()  # it is z_y again
    found: set[Node] = set()
    for value in [v for v in values if v.size in sizes][:_FIRST]:
        found |= {n for n in recogniser.nodes(value) if n.name in forward and n.kind == ""}
    return len(found)


class _Drawn:
    """A problem that is known by its numbers: the ways to run a file share most of them."""

    def __init__(self, problem: Problem):
        arrays = [problem.X, problem.Y, problem.dA, *problem.state.values()]
        self.problem = problem
        self._numbers = tuple(
            np.asarray(a).tobytes() for a in (*arrays, *problem.parameters.values())
        )
        self._known = (problem.cell, problem.last_only, *problem.sizes.values(), self._numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Drawn) and self._known == other._known

    def __hash__(self) -> int:
        return hash(self._known)


@functools.lru_cache(maxsize=200)
def _recogniser(drawn: _Drawn, conventions: Conventions) -> Recogniser:
    """What knows the forward pass of a short problem; whether weights are transposed tells nothing there."""
    return Recogniser(Truth(drawn.problem, conventions))


def _with_counting(
    choice: Choice, problem: Problem, values: Sequence[Array], outcome: Outcome
) -> Choice:
    """Return the choice with what each target counts, where there is a loss, and whether a run told it."""
    if not choice.plan.has_loss:
        return choice
    known = set(countings(choice, problem, values, outcome))
    agreed = agreed_on(known) or DEFAULT
    conventions = replace(_with_loss(choice.conventions), counting=agreed)
    return replace(choice, conventions=conventions, counted=bool(known))


def agreed_on(known: Collection[Counting]) -> Counting | None:
    """Return the counting that all agree on, if only over which sizes the mean is; None if they do not."""
    over = {counting.over for counting in known}
    if len(known) > 1 and len(over) == 1:
        return Counting(over=over.pop())
    return next(iter(known)) if len(known) == 1 else None


def _with_loss(conventions: Conventions) -> Conventions:
    return (
        replace(conventions, loss="squared_error")
        if conventions.output == "linear"
        else conventions
    )


def countings(
    choice: Choice, problem: Problem, values: Sequence[Array], outcome: Outcome
) -> list[Counting]:
    """Return how the loss counts targets and how the gradients do, as far as a run tells."""
    problem = choice.plan.problem(problem, choice.reading)
    conventions, usual = _with_loss(choice.conventions), _usual(problem)
    of_loss = _of_loss(problem, conventions, outcome, usual)
    of_gradients = _of_results(problem, conventions, choice, outcome, usual)
    if of_gradients is None:
        of_gradients = _of_values(problem, conventions, choice.plan, values, usual)
    if of_gradients is None and conventions.output == "softmax":
        of_gradients = _of_their_own(problem, values, usual)
    return [counting for counting in (of_loss, of_gradients) if counting is not None]


def _usual(problem: Problem) -> dict[float, Counting]:
    """What a target may count, by the number that is on this problem: the default first."""
    axes: list[tuple[str, ...]] = [("m",), (), ("m", "T"), ("T",), ("m", "T", "n_y"), ("m", "n_y")]
    found: dict[float, Counting] = {}
    for factor in (1.0, 2.0):
        for over in axes:
            counting = Counting(factor, over)
            found.setdefault(counting.share(problem.sizes), counting)
    return found


def _of_loss(
    problem: Problem, conventions: Conventions, outcome: Outcome, usual: Mapping[float, Counting]
) -> Counting | None:
    losses = [o.value for o in outcome.outputs if o.quantity == "loss" and np.size(o.value) == 1]
    if not losses:
        return None
    unit = float(Truth(problem, replace(conventions, counting=_UNIT)).totals["loss"])
    theirs = float(np.ravel(losses[0])[0])
    near = (s for s in usual if abs(theirs - s * unit) <= 1e-9 * abs(s * unit))
    return next((usual[s] for s in near), None)


def _of_results(
    problem: Problem, conventions: Conventions, choice: Choice, outcome: Outcome,
    usual: Mapping[float, Counting],
) -> Counting | None:  # fmt: skip
    """The counting that most of the returned gradients are right under, None if none are."""
    unit = Truth(problem, replace(conventions, counting=_UNIT))
    plan, reading, votes = choice.plan, choice.reading, Counter[Counting]()
    for output in outcome.outputs:
        expected = plan.expected(output, unit, reading) if output.quantity[:1] == "d" else None
        theirs = numbers(output.value)
        if expected is None or theirs is None or theirs.shape != np.shape(expected):
            continue
        ratio = _ratio(theirs, np.asarray(expected, float))
        votes.update(usual[s] for s in usual if ratio and abs(ratio - s) <= 1e-7 * s)
    return votes.most_common(1)[0][0] if votes else None


def _ratio(theirs: Array, expected: Array) -> float | None:
    """What `theirs` is that multiple of `expected`, or None."""
    with np.errstate(all="ignore"):
        ratio = float(np.sum(theirs * expected) / np.sum(expected**2))
    return ratio if np.isfinite(ratio) and same(theirs, ratio * expected) else None


def _of_values(
    problem: Problem, conventions: Conventions, plan: Plan, values: Sequence[Array],
    usual: Mapping[float, Counting],
) -> Counting | None:  # fmt: skip
    """The counting under which most gradients are recognised on the way, None if none are."""
    counts: Counter[Counting] = Counter()
    for counting in usual.values():
        truth = Truth(problem, replace(conventions, counting=counting))
        recogniser = Recogniser(truth, transposed=plan.transposed)
        backward = {e.name for e in truth.table.of("backward")}
        sizes = {np.size(truth.steps[0][name]) for name in backward}
        nodes = (recogniser.nodes(value) for value in values if value.size in sizes)
        counts[counting] = len({n for found in nodes for n in found if n.name in backward})
        if counts[counting] > len(backward):
            break
    best, count = counts.most_common(1)[0]
    return best if count else None


def _of_their_own(
    problem: Problem, values: Sequence[Array], usual: Mapping[float, Counting]
) -> Counting | None:
    """The counting of what is a share of ŷ − y for a ŷ of theirs, which may be a wrong one."""
    n, m = problem.sizes["n_y"], problem.m
    steps = [
        turned
        for value in values if value.size == n * m and n != m
        if (turned := laid_out(value, (n, m))) is not None and np.all(np.isfinite(turned))
    ]  # fmt: skip
    odds = [p for p in steps if np.all(p > 0) and np.allclose(p.sum(axis=0), 1)]
    errors = [p - problem.Y[:, :, t] for p in odds for t in range(problem.T)]
    ratios = (_ratio(one, error) for error in errors for one in steps)
    votes = Counter(
        counting
        for ratio in ratios if ratio
        for share, counting in usual.items() if abs(ratio - share) <= 1e-7 * share
    )  # fmt: skip
    counted = [counting for counting in votes if counting != _UNIT]  # ŷ − y itself is on the way
    return max(counted or votes, key=votes.__getitem__, default=None)
