"""Every single edit of every equation of every cell, rendered as code, is found and named as itself.

The table makes the mistakes: an edited equation is rendered as a line of a NumPy program, and the
program's own numbers say whether anything is wrong with it. A few are drawn here;
`python tests/test_check_mistakes.py rnn --all` checks all of a cell, `--count 20` that many.
"""

import argparse
import contextlib
import functools
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from rendered import render

from unrolled.cells import cell_names
from unrolled.checking.describing import findings as describing
from unrolled.checking.examine import examine
from unrolled.checking.problems import FORWARD_ONLY, KINDS, Conventions, Counting, Truth, draw
from unrolled.checking.recognising import difference
from unrolled.checking.replay import name_cause
from unrolled.checking.replay.edits import Edit, Scope, edits
from unrolled.checking.replay.naming import find
from unrolled.checking.replay.values import Values, same, scale_of
from unrolled.equations.expressions import Expression
from unrolled.network import Network

CELLS = cell_names()
COUNT = 4  # of each cell, and a second or several for each; all of them take hours
WRONG, EQUAL = 1e-4, 1e-9  # by how much a program is off at least, and at most, to be judged
STEPS = ("forward", "backward")
TOTALS = ("over_time", "first", "last", "without_first", "without_last")
# what one quantity is called by another's name, and gates by their pre-activations
CALLED = {"losses": "loss", "log_y_hat": "y_hat", "da_next": "da_prev", "dc_next": "dc_prev"}


@dataclass(frozen=True)
class Mistake:
    """An edited equation of a cell's table, as a program; `lines` are those that differ."""

    cell: str
    quantity: str
    id: str
    whole: Expression
    text: str
    lines: tuple[int, ...]

    def __str__(self) -> str:
        lines = self.text.splitlines()
        shown = " / ".join(lines[line - 1].strip() for line in self.lines[:2])
        return f"{self.cell} {self.quantity} {self.id}: {shown}"


@functools.cache
def table(cell):
    return Network(cell, n_x=3, n_a=5, n_y=4).table


@functools.cache
def right_program(cell):
    return render(table(cell).step)


def kind_of(cell):
    return next(kind for kind in ("rnn", "gru", "lstm") if kind in cell)


@functools.cache
def problem(cell, kind, seed=0):
    """A problem as the renderer's programs take it: there is no c0."""
    return draw(kind, kind_of(cell), seed)


@functools.cache
def unseen(cell):
    """What is right on a problem that the checker does not draw."""
    conventions = Conventions(cell, counting=Counting(), states=frozenset("a"))
    return Truth(draw("plain", kind_of(cell), 7), conventions)


def equations(cell):
    """Every equation's name and right side, and what is summed over time."""
    right = {e.name: e.expression for e in table(cell).equations if e.direction in STEPS}
    yield from right.items()
    for name in right:
        if name.removeprefix("d") in table(cell).step.parameters:
            yield name, Expression("over_time", (right[name],), right[name].shape)


def edits_of(cell, quantity, right) -> Iterator[Edit]:
    """Every edit of an equation, each once; of what is summed over time those of the sum."""
    seen, total = {right.key}, right.operation == "over_time"
    for edit in edits(right, Scope.around(right, table(cell), quantity=quantity)):
        if edit.whole.key not in seen and (not total or edit.whole.operation in TOTALS[1:]):
            seen.add(edit.whole.key)
            yield edit


def mistakes_of(cell, quantity, found) -> Iterator[Mistake]:
    """The edits that can be written down where the equation stands."""
    before = computed_before(cell, quantity)
    for edit in found:
        if all(is_there(name, before) for name in edit.whole.names):
            yield from rendered(cell, quantity, edit.id, edit.whole)


def computed_before(cell, quantity):
    """What there is when a quantity is computed: the table's order is that of the program."""
    names = [e.name for e in (*table(cell).of("forward"), *table(cell).of("backward"))]
    made = {*names, *(e.name for e in table(cell).of("total"))}
    given = {*table(cell).shapes, "m", "T", "n_x", "n_a", "n_y"} - made
    forward = quantity in [e.name for e in table(cell).of("forward")]
    local = () if forward else ("log_y_hat", "losses", "loss")  # of the forward function
    return given.union(names[: names.index(quantity)]).difference(local)


def is_there(name, before):
    """Whether the program has a quantity; at another step only what it keeps of all steps."""
    base, _, at = name.partition("@")
    return base not in ("omega", "log_y_hat", "losses") if at else base in before


def is_faithful(cell, quantity, whole):
    """Whether the program computes the edited equation itself: what another step has not yet, or from
    the wrong end of the array, is zero in it.
    """
    forward = {e.name for e in table(cell).of("forward")}
    before = computed_before(cell, quantity)
    for base, at in (name.split("@") for name in whole.names if "@" in name):
        soon = base not in table(cell).step.whole.given and (base in forward) == (
            quantity in forward
        )
        there = base in before and at == ("first" if base in forward else "last")
        if soon and not there and at not in ("zeroed", "initial"):
            return False
    return True


def rendered(cell, quantity, id, whole) -> Iterator[Mistake]:
    try:
        text = render(table(cell).step, {quantity: whole})
    except ValueError:  # the renderer has no code for it
        return
    both = zip(text.splitlines(), right_program(cell).splitlines(), strict=False)
    first = next((k for k, (a, b) in enumerate(both, 1) if a != b), None)
    if first is not None:
        longer = len(text.splitlines()) - len(right_program(cell).splitlines())
        yield Mistake(cell, quantity, id, whole, text, tuple(range(first, first + longer + 1)))


def drawn(cell, count) -> Iterator[Mistake]:
    """Mistakes of a cell, each of another equation as long as there are any."""
    random, made = np.random.default_rng(list(cell.encode())), []
    for quantity, right in equations(cell):
        found = list(edits_of(cell, quantity, right))
        random.shuffle(found)
        made.append(mistakes_of(cell, quantity, found))
    random.shuffle(made)
    rounds = itertools.zip_longest(*made)
    return itertools.islice(filter(None, itertools.chain.from_iterable(rounds)), count)


@functools.cache
def some(cell) -> list[Mistake]:
    return list(drawn(cell, COUNT))


def results(text, on):
    """What a program returns, by name; what it raises."""
    names = {}
    exec(text, names)
    kind = next(name.removesuffix("_forward") for name in names if name.endswith("_forward"))
    backward = on.kind not in FORWARD_ONLY
    try:
        with np.errstate(all="ignore"):
            loss, cache = names[f"{kind}_forward"](on.X, on.Y, on.state["a"], dict(on.parameters))
            found = names[f"{kind}_backward"](on.X, on.Y, on.parameters, cache) if backward else {}
    except Exception as error:
        return error
    return {"loss": np.asarray(loss), **cache, **found}


def off(cell, text):
    """By how much a program is off from the right one on the problems that the checker draws."""
    worst = 0.0
    for kind in KINDS:
        on = problem(cell, kind)
        theirs, expected = results(text, on), results(right_program(cell), on)
        if isinstance(theirs, Exception):
            return np.inf
        pairs = [(np.asarray(theirs[name], float), expected[name]) for name in expected]
        with np.errstate(all="ignore"):
            worst = max(worst, *(difference(value, right) for value, right in pairs))
    return worst


@contextlib.contextmanager
def recorded():
    """What is named, as the edited equation itself: the quantity, its witnesses and the candidate."""
    found = []

    def record(quantity, witnesses, yours=None):
        found.append((quantity, witnesses[0].t, find(quantity, witnesses, yours)))
        return name_cause(quantity, witnesses, yours)

    with mock.patch.object(describing, "name_cause", record):
        yield found


def shortcomings(mistake) -> list[str]:
    """What a check of a program falls short of: nothing where it is found, placed and named."""
    wrong = off(mistake.cell, mistake.text)
    if EQUAL < wrong < WRONG:
        return ["cannot be judged"]
    with recorded() as named:
        report = examine("mine.py", mistake.text)
    if wrong <= EQUAL:
        return [] if report.verdict == "right" and not report.findings else ["refused, but equal"]
    if report.verdict != "wrong" or not report.findings:
        return ["not found"]
    finding = report.findings[0]
    said = {stem(mistake.quantity), stem(CALLED.get(mistake.quantity, mistake.quantity))}
    said |= {"loss"} if mistake.quantity == "log_y_hat" else set()
    short = [] if stem(finding.quantity) in said else [f"quantity {finding.quantity}"]
    short += [] if finding.line in mistake.lines else [f"line {finding.line}"]
    if not is_faithful(mistake.cell, mistake.quantity, mistake.whole):
        return [f"not there yet: {text}" for text in short]
    if not has_numbers(mistake):
        return short
    if finding.cause.certainty != "exact":
        return [*short, f"{finding.cause.certainty}: {finding.cause.id}"]
    exact = np.isinf(wrong) or same_numbers(mistake, named)  # a crash has no numbers to compare
    return short if exact else [*short, f"named {finding.cause.id}"]


def has_numbers(mistake):
    """Whether anything finite is left of the right quantity: of infinities alone nothing is said."""
    values = Values(unseen(mistake.cell))
    with np.errstate(all="ignore"):
        value = values.of(mistake.whole, None if mistake.whole.operation in TOTALS else 1)
    return value is None or bool(np.isfinite(value).any())


def stem(quantity):
    """A gate's pre-activation counts as the gate."""
    return quantity.replace("z_", "").replace("c_tilde", "c~").replace("dtanh_c", "dc")


def same_numbers(mistake, named):
    """Whether what is named gives, on a problem that was not searched, what the mistake gives."""
    if not named or named[0][0] != mistake.quantity or named[0][2] is None:
        return True  # another quantity, or no equation: a loop, a crash
    _, step, (form, candidates) = named[0]
    whole, values = mistake.whole, Values(unseen(mistake.cell))
    if step is None and whole.operation not in TOTALS:
        whole = Expression("over_time", (whole,), whole.shape)
    with np.errstate(all="ignore"):
        for t in (None,) if step is None else range(values.truth.problem.T):
            wholes = (whole, candidates[-1].whole, form)
            theirs, made, right = (values.of(expression, t) for expression in wholes)
            if theirs is not None and (made is None or not alike(made, theirs, right)):
                return False
    return True


def alike(made, theirs, right):
    try:
        shape = np.broadcast_shapes(np.shape(made), np.shape(theirs))
    except ValueError:
        return False
    made, theirs = np.broadcast_to(made, shape), np.broadcast_to(theirs, shape)
    return same(made, theirs, scale_of(made, theirs, right))


@pytest.mark.parametrize("cell", CELLS)
def test_a_right_program_is_right(cell):
    report = examine("mine.py", right_program(cell))
    assert (report.verdict, report.findings) == ("right", ())
    said = " ".join(report.proved)
    assert all(kind in said for kind in KINDS), said


@pytest.mark.parametrize("k", range(COUNT))
@pytest.mark.parametrize("cell", CELLS)
def test_a_mistake_is_found_and_named(cell, k):
    mistake = some(cell)[k]
    assert not shortcomings(mistake), str(mistake)


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("cells", nargs="*", default=CELLS)
    asked.add_argument("--all", action="store_true")
    asked.add_argument("--count", type=int, default=20)
    chosen = asked.parse_args()
    for cell in chosen.cells:
        counts, started = Counter(), time.monotonic()
        try:
            for mistake in every(cell) if chosen.all else drawn(cell, chosen.count):
                short = shortcomings(mistake)
                counts.update(
                    ["all", *({text.split()[0].rstrip(":") for text in short} or ["fine"])]
                )
                if short:
                    print(f"{'; '.join(short):40} {mistake}", flush=True)
        finally:
            seconds = (time.monotonic() - started) / max(1, counts["all"])
            print(cell, dict(counts), f"{seconds:.1f} s each", flush=True)


def every(cell) -> Iterator[Mistake]:
    for quantity, right in equations(cell):
        yield from mistakes_of(cell, quantity, edits_of(cell, quantity, right))


if __name__ == "__main__":
    main()
