"""Every single edit of every equation of every cell, rendered as code, is found and named as itself.

The table makes the mistakes: an edited equation is rendered as a line of a NumPy program, and the
program's own numbers say whether anything is wrong with it. A few are drawn here;
`python tests/test_check_mistakes.py --all` checks all of them, `--count 20` that many of each cell.
"""

import argparse
import contextlib
import functools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from rendered import render

from unrolled.cells import cell_names
from unrolled.checking import describing
from unrolled.checking.examine import examine
from unrolled.checking.problems import FORWARD_ONLY, KINDS, Conventions, Counting, Truth, draw
from unrolled.checking.recognising import difference
from unrolled.checking.replay import name_cause
from unrolled.checking.replay.edits import Scope, edits
from unrolled.checking.replay.naming import find
from unrolled.checking.replay.values import Values, same, scale_of
from unrolled.equations.expressions import Expression
from unrolled.network import Network

CELLS = cell_names()
COUNT = {"rnn": 2}  # in the suite; the larger cells take minutes
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
    return code(cell, {})


def code(cell, edited):
    """A program of a cell; what the plainer cell of its kind has no weights for is zero."""
    text, plain = render(table(cell).step, edited), table(kind_of(cell)).step.parameters
    for name in table(cell).step.parameters:
        if name not in plain:
            like = next(n for n in plain if table(cell).shapes[n] == table(cell).shapes[name])
            text = text.replace(f"{name} = parameters['{name}']", f"{name} = np.zeros_like({like})")
    return text


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


def mistakes_of(cell, quantity, right) -> Iterator[Mistake]:
    """Every edit of an equation that can be written down where the equation stands."""
    seen, before = set(), computed_before(cell, quantity)
    for edit in edits(right, Scope.around(right, table(cell))):
        total = right.operation == "over_time"
        if edit.whole.key in seen or (total and edit.whole.operation not in TOTALS[1:]):
            continue
        seen.add(edit.whole.key)
        if all(is_there(name, before) for name in edit.whole.names):
            yield from rendered(cell, quantity, edit.id, edit.whole)


def computed_before(cell, quantity):
    """What there is when a quantity is computed: the table's order is that of the program."""
    names = [e.name for e in (*table(cell).of("forward"), *table(cell).of("backward"))]
    made = {*names, *(e.name for e in table(cell).of("total"))}
    given = {*table(cell).shapes, "m", "T", "n_x", "n_a", "n_y"} - made
    return given.union(names[: names.index(quantity)])


def is_there(name, before):
    """Whether the program has a quantity; at another step only what it keeps of all steps."""
    base, _, at = name.partition("@")
    return base not in ("omega", "log_y_hat", "losses") if at else base in before


def is_faithful(cell, quantity, whole):
    """Whether the program computes the edited equation itself: what another step has not yet, or from
    the wrong end of the array, is zero in it.
    """
    forward = {e.name for e in table(cell).of("forward")}
    for base, at in (name.split("@") for name in whole.names if "@" in name):
        soon = base not in table(cell).step.whole.given and (base in forward) == (
            quantity in forward
        )
        if soon and at not in ("zeroed", "initial", "first" if base in forward else "last"):
            return False
    return True


def rendered(cell, quantity, id, whole) -> Iterator[Mistake]:
    try:
        text = code(cell, {quantity: whole})
    except ValueError:  # the renderer has no code for it
        return
    both = zip(text.splitlines(), right_program(cell).splitlines(), strict=False)
    first = next((k for k, (a, b) in enumerate(both, 1) if a != b), None)
    if first is not None:
        longer = len(text.splitlines()) - len(right_program(cell).splitlines())
        yield Mistake(cell, quantity, id, whole, text, tuple(range(first, first + longer + 1)))


def drawn(cell, count):
    """Mistakes of a cell, each of another equation as long as there are any."""
    random, found = np.random.default_rng(list(cell.encode())), list(equations(cell))
    made = {}
    while count:
        for k in random.permutation(len(found)):
            quantity, right = found[k]
            if k not in made:
                made[k] = list(mistakes_of(cell, quantity, right))
                random.shuffle(made[k])
            if count and made[k]:
                count -= 1
                yield made[k].pop()


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
    if finding.cause.certainty != "exact":
        return [*short, f"{finding.cause.certainty}: {finding.cause.id}"]
    return [*short, *([] if same_numbers(mistake, named) else [f"named {finding.cause.id}"])]


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


@pytest.mark.parametrize(("cell", "count"), COUNT.items())
def test_a_mistake_is_found_and_named(cell, count):
    found = {str(mistake): shortcomings(mistake) for mistake in drawn(cell, count)}
    assert not {text: short for text, short in found.items() if short}


def main():
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--all", action="store_true")
    asked.add_argument("--count", type=int, default=20)
    asked.add_argument("--cells", nargs="*", default=CELLS)
    chosen = asked.parse_args()
    counts = Counter()
    try:
        for mistake in (m for cell in chosen.cells for m in asked_for(cell, chosen)):
            short = shortcomings(mistake)
            kinds = {text.split()[0].rstrip(":") for text in short} or {"as it should be"}
            counts.update((mistake.cell, kind) for kind in ("all", *kinds))
            if short:
                print(f"{'; '.join(short):40} {mistake}", flush=True)
    finally:
        print(dict(counts), flush=True)


def asked_for(cell, chosen):
    if not chosen.all:
        return drawn(cell, chosen.count)
    return (m for name, right in equations(cell) for m in mistakes_of(cell, name, right))


if __name__ == "__main__":
    main()
