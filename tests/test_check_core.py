"""The core of the checker: what is watched, recognised, put in order, repaired and said."""

import ast
import json
import textwrap
import traceback
from pathlib import Path

import numpy as np
import pytest
import watched
from rendered import render

from unrolled.cells import cell_names
from unrolled.checking import variants
from unrolled.checking.binding import load_binding
from unrolled.checking.examine import examine
from unrolled.checking.locating.order import Order
from unrolled.checking.locating.timeline import Timeline
from unrolled.checking.problems import Conventions, Counting, Truth, draw, shortened
from unrolled.checking.proving import LARGEST_ERROR, slope_error
from unrolled.checking.recognising import Node, Recogniser
from unrolled.checking.running import watching
from unrolled.checking.running.watching import MOST_ROUNDS, EndlessLoopError, Watcher, instrument
from unrolled.checking.sources import Source
from unrolled.errors import UnrolledError
from unrolled.network import Network

CELLS = cell_names()


def executed(text, watcher=None, lazy=()):
    """The names of a program; watched, with its places."""
    tree, places = ast.parse(textwrap.dedent(text)), []
    names = {"np": np, "__name__": "mine"}
    if watcher is not None:
        tree, places = instrument(tree, lazy)
        names |= watcher.hooks
    exec(compile(tree, "mine.py", "exec"), names)
    return names, places


def outcome(text, watcher=None):
    """What `go()` returns, as text; what it raises, and where."""
    try:
        return repr(executed(text, watcher)[0]["go"]())
    except Exception as error:
        frames = traceback.TracebackException.from_exception(error).stack
        mine = [f for f in frames if f.filename == "mine.py"]
        where = [(f.name, f.lineno, f.end_lineno, f.colno, f.end_colno) for f in mine]
        return type(error).__name__, str(error), where


def seen(text, replacements=None, lazy=(), **options):
    """Run `go()` of a program watched: its value, its events as (source, kind, value), its watcher.

    `replacements` are by a place's source and kind.
    """
    watcher = Watcher(**options)
    names, places = executed(text, watcher, lazy)
    for place in places:
        key = ast.unparse(place.node), place.kind
        if key in (replacements or {}):
            watcher.replacements[place.number] = (replacements or {})[key]
    value = names["go"]()
    events = [(ast.unparse(places[e.place].node), places[e.place].kind, e) for e in watcher.events]
    return value, events, watcher


# Watching


@pytest.mark.parametrize("name", watched.PROGRAMS)
def test_a_watched_program_computes_the_same(name):
    """Where it fails it fails with the same words at the same place."""
    text = watched.PROGRAMS[name]
    assert outcome(text, Watcher()) == outcome(text)


def test_every_part_of_an_expression_is_seen_with_its_place():
    text = """
def go():
    W, x = np.full((2, 3), 2.0), np.ones((3, 1))
    z = np.tanh(0.1 * (W @ x)) + x[0]
    return z
"""
    _, places = instrument(ast.parse(text))
    lines = text.splitlines()
    found = {(ast.unparse(p.node), p.kind): p for p in places}
    for source, kind, column in [
        ("np.tanh(0.1 * (W @ x)) + x[0]", "assigned", 9), ("np.tanh(0.1 * (W @ x))", "expression", 9),
        ("0.1 * (W @ x)", "expression", 17), ("W @ x", "expression", 24), ("W", "name", 24),
        ("x", "name", 28), ("x[0]", "expression", 34),
    ]:  # fmt: skip
        place = found[source, kind]
        assert (place.line, place.column, place.function) == (4, column, "go")
        assert lines[place.line - 1][place.column - 1 :].startswith(source[:1])
    assert found["np.tanh(0.1 * (W @ x)) + x[0]", "assigned"].targets == ("z",)
    inner = found["W @ x", "expression"]
    assert ast.unparse(places[inner.parent].node) == "0.1 * (W @ x)"
    assert found["z", "returned"].line == 5


@pytest.mark.parametrize("text", [*watched.PROGRAMS.values()], ids=[*watched.PROGRAMS])
def test_every_place_is_one_of_the_original(text):
    tree = ast.parse(text)
    nodes = {id(node) for node in ast.walk(tree)}
    _, places = instrument(tree)
    assert all(id(place.node) in nodes for place in places)
    assert [place.number for place in places] == list(range(len(places)))


def test_values_are_copies():
    text = """
def go():
    a = np.zeros(3) + 1
    a += 1
    a[0] = 7
    return a
"""
    _, events, _ = seen(text)
    values = [(kind, event.value.tolist()) for source, kind, event in events if source != "3"]
    assert ("assigned", [1.0, 1.0, 1.0]) in values
    assert ("updated", [2.0, 2.0, 2.0]) in values
    assert values[-1] == ("returned", [7.0, 2.0, 2.0])


def test_what_is_no_number_is_not_kept():
    text = "def go():\n    a = 'x' + 'y'; b = np.array(['p'])[0:1]; c = [1] + [2]; d = 3 > 2; e = 2 + 2"
    _, events, _ = seen(text)
    assert {float(event.value) for _, _, event in events} == {4.0}


def test_a_large_array_is_not_kept():
    text = "def go():\n    a = np.zeros(200_001) + 1\n    b = np.zeros(200_000) + 1\n    return 0"
    assert {event.value.size for _, _, event in seen(text)[1]} == {200_000}


def test_a_value_is_replaced():
    text = "def go():\n    a = 2 * 3\n    return a + 1"
    replacements = {("2 * 3", "assigned"): lambda event: event.value + 10}
    assert seen(text, replacements)[0] == 17
    assert seen(text, {("2 * 3", "assigned"): lambda event: None})[0] == 7


@pytest.mark.parametrize("target", ["d", "d[:, 1:]", "n.d", "n.g['d']"])
def test_what_is_updated_in_place_stays_the_same_array(target):
    text = f"""
class N: pass
def go():
    d = np.zeros((2, 3)); n = N(); n.d = d; n.g = {{'d': d}}
    {target} += 1
    return d, n.d is d and n.g['d'] is d
"""
    added = executed(text)[0]["go"]()[0]
    value, same = seen(text)[0]
    assert same
    assert np.array_equal(value, added)
    updated = {(f"{target} += 1", "updated"): lambda event: event.value * 0 + 5}
    value, same = seen(text, updated)[0]
    assert same
    assert np.array_equal(value, 5 * added)


def test_events_say_in_which_rounds_they_were():
    text = """
def go():
    total = 0
    for t in range(2):
        for k in (7, 8, 9):
            if k == 8: continue
            if t == 1: break
            total += t * 10
        total += 100
    return total + 0
"""
    _, events, watcher = seen(text)
    entries = [(entry.items, entry.rounds) for entry in watcher.entries]
    assert entries == [([0, 1], ()), ([7, 8, 9], ((0, 0),)), ([7], ((0, 1),))]
    rounds = [
        event.rounds for source, kind, event in events if (source, kind) == ("t * 10", "added")
    ]
    assert rounds == [((0, 0), (1, 0)), ((0, 0), (1, 2))]
    rounds = [event.rounds for source, kind, event in events if (source, kind) == ("100", "added")]
    assert rounds == [((0, 0),), ((0, 1),)]
    assert next(e for s, _, e in events if s == "total + 0").rounds == ()


def test_an_exception_leaves_a_loop():
    text = """
def fail():
    for t in range(3):
        for k in range(2):
            1 / t
def go():
    try: fail()
    except ZeroDivisionError: pass
    return 1 + 1
"""
    _, events, _ = seen(text)
    assert next(e for s, _, e in events if s == "1 + 1").rounds == ()


@pytest.mark.parametrize("loop", ["while True", "while 1 + 1", "for k in iter(int, 1)"])
def test_a_loop_without_end_is_stopped(loop):
    with pytest.raises(EndlessLoopError, match=f"{MOST_ROUNDS:,} rounds"):
        seen(f"def go():\n    {loop}: x = 2 * 3", quiet=True)


def test_all_loops_together_are_stopped():
    text = "def go():\n    for a in range(1000):\n        for b in range(1000): pass"
    with pytest.raises(EndlessLoopError):
        seen(text, quiet=True)


def test_what_a_loop_runs_over_is_replaced():
    text = "def go():\n    return [t * 2 for _ in (1,) for t in ()] + got()\ndef got():\n    out = []\n    for t in range(3): out.append(t)\n    return out"
    watcher = Watcher()
    names, places = executed(text, watcher)
    [loop] = [place for place in places if place.kind == "loop"]
    watcher.loops[loop.number] = lambda given: [*given, 9]
    assert names["go"]() == [0, 1, 2, 9]
    assert watcher.entries[-1].items == [0, 1, 2, 9]


def test_what_fails_is_replaced_where_it_is_lazy():
    text = "def go():\n    z = np.ones((2, 3)) @ np.ones((2, 3))\n    return z + 1"
    _, places = instrument(ast.parse(text))
    product = "np.ones((2, 3)) @ np.ones((2, 3))"
    number = next(p.number for p in places if p.kind == "assigned")
    replaced = {(product, "assigned"): lambda event: np.zeros(2)}
    assert seen(text, replaced, [number])[0].tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match="matmul"):
        seen(text, replaced)
    with pytest.raises(ValueError, match="matmul"):
        seen(text, {}, [number])


def test_a_quiet_watcher_keeps_what_is_replaced_only():
    text = "def go():\n    a = 2 * 3\n    b = a + 4\n    return b"
    value, events, watcher = seen(text, {("a + 4", "assigned"): lambda e: None}, quiet=True)
    assert value == 10
    assert [source for source, _, _ in events] == ["a + 4"]
    assert watcher.reached > 3


# Recognising


def truth(cell="rnn", kind="plain", seed=0, counting=None, **changed):
    counting = counting or Counting()
    return Truth(draw(kind, cell, seed, **changed), Conventions(counting=counting))


@pytest.fixture(scope="module")
def known():
    right = truth("lstm")
    return right, Recogniser(right)


def test_a_quantity_is_recognised_however_it_is_laid_out(known):
    right, recogniser = known
    for t in (0, 3):
        for name in ("z_f", "c_tilde", "y_hat", "dz_o", "dW_fx", "db_c"):
            value = right.steps[t][name]
            for laid in (value, value.T, value[None], value.T[:, None], np.squeeze(value).copy()):
                assert Node(name, t) in recogniser.nodes(laid), name


def test_all_steps_in_one_array_are_recognised(known):
    right, recogniser = known
    a = np.stack([step["a"] for step in right.steps], -1)
    for axes in ((0, 1, 2), (1, 2, 0), (2, 1, 0)):
        assert recogniser.nodes(a.transpose(axes)) == [Node("a", None, "all")]
    started = np.concatenate([right.initial["a"][:, :, None], a], axis=2)
    assert recogniser.nodes(started.transpose(2, 1, 0)) == [Node("a", None, "with start")]
    assert recogniser.nodes(np.concatenate([a, a[:, :, :1]], axis=2)) == []


def test_what_is_added_up_is_recognised(known):
    right, recogniser = known
    shares = [step["dW_ox"] for step in right.steps]
    assert Node("dW_ox", 2, "sum") in recogniser.nodes(sum(shares[2:]))
    assert Node("dW_ox", 2, "up") in recogniser.nodes(sum(shares[:3]))
    assert {Node("dW_ox"), Node("dW_ox", 0, "sum")} <= set(recogniser.nodes(sum(shares)))
    assert recogniser.nodes(sum(shares[1:4])) == []


def test_gates_in_one_array_are_recognised(known):
    right, recogniser = known
    step = right.steps[2]
    gates = ("z_i", "z_o", "z_f", "z_c")
    stacked = np.concatenate([step[name] for name in gates])
    assert recogniser.nodes(stacked) == []
    for value in (stacked, stacked.T):
        assert recogniser.blocks(value) == [Node(name, 2) for name in gates]
    a_x = np.concatenate([step["a_prev"], step["x"]])
    for value in (a_x, np.concatenate([step["x"], step["a_prev"]])):
        assert {Node("a", 1), Node("x", 2)} <= set(recogniser.blocks(value))
    W = np.concatenate(
        [np.hstack([right.problem.parameters[f"W_{g}{p}"] for p in "ax"]) for g in "fico"]
    )
    assert {Node(f"W_{g}{p}") for g in "fico" for p in "ax"} == set(recogniser.blocks(W))
    stacked[0, 0] += 1e-3
    assert recogniser.blocks(stacked) == []


@pytest.mark.parametrize("transposed", [False, True])
def test_a_square_gradient_is_told_from_its_transpose(transposed):
    right = truth("rnn")
    recogniser = Recogniser(right, transposed)
    value = right.totals["dW_aa"]
    assert (Node("dW_aa") in recogniser.nodes(value)) is not transposed
    assert (Node("dW_aa") in recogniser.nodes(value.T)) is transposed
    weight = right.problem.parameters["W_aa"]
    assert Node("W_aa") in recogniser.nodes(weight)
    assert Node("W_aa") in recogniser.nodes(weight.T)


@pytest.mark.parametrize("name", ["z_f", "dW_fa", "loss"])
def test_nearly_equal_is_not_recognised(known, name):
    right, recogniser = known
    value = np.asarray(right.value(name, 2))
    large = np.argmax(np.abs(value))
    for off, expected in ((1e-6, False), (1e-12, True)):
        changed = value.copy()
        changed.flat[large] *= 1 + off
        assert (Node(name, 2) in recogniser.nodes(changed)) is expected
    assert recogniser.nodes(2 * value) == recogniser.nodes(-value) == []


@pytest.mark.parametrize("filled", [0.0, 1.0, -3.5, np.nan, np.inf])
def test_a_constant_means_nothing(known, filled):
    right, recogniser = known
    for shape in ((5, 7), (5, 1), (5, 5), (5, 7, 6), (20, 7)):
        assert recogniser.nodes(np.full(shape, filled)) == []
        assert recogniser.blocks(np.full(shape, filled)) == []
    assert recogniser.nodes(np.zeros(())) == recogniser.nodes(np.zeros((0, 3))) == []
    value = right.steps[1]["z_f"].copy()
    value[0, 0] = np.nan
    assert recogniser.nodes(value) == []


# The order of computation


@pytest.mark.parametrize("has_loss", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_what_is_needed_comes_before(cell, has_loss):
    table = truth(cell).table
    order = Order(table, 4, has_loss)
    made = {e.name for e in table.equations if e.direction in ("forward", "backward", "total")}
    made -= set() if has_loss else {"da_y"}  # that comes from above
    for node, needed in order.needs.items():
        for other in needed:
            assert (other in order.rank) == (other.name in made), (node, other)
            assert order.rank.get(other, -1) < order.rank[node], (node, other)
            assert node in order.used_by[other]
    names = [node for node in order.needs if node.t is not None]
    forward = [e.name for e in table.of("forward")]
    steps = [node.t for node in names if node.name == "a"]
    assert steps == [0, 1, 2, 3]
    assert [node.t for node in names if node.name == "da_prev"] == [3, 2, 1, 0]
    assert all(order.rank[a] < order.rank[b] for a in names for b in names
               if a.name in forward and b.name not in forward)  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_what_a_quantity_is_made_from_is_what_it_depends_on(cell):
    """Moving one input moves exactly the quantities that the order says are made from it."""
    problem = shortened(draw("plain", cell), 3)
    before = Truth(problem, Conventions(counting=Counting()))
    moved = problem.X.copy()
    moved[:, :, 1] += 0.1
    after = Truth(type(problem)(**{**vars(problem), "X": moved}), Conventions(counting=Counting()))
    order = Order(before.table, 3, has_loss=True)
    for node in order.needs:
        if node.name not in before.steps[0] and node.t is not None:
            continue
        depends = Node("x", 1) in order.ancestors([node])
        changed = not np.array_equal(
            before.value(node.name, node.t), after.value(node.name, node.t)
        )
        assert changed == depends, node


def test_ancestors_stop_at_what_is_given():
    order = Order(truth("rnn").table, 3, has_loss=True)
    all_of = order.ancestors([Node("z_y", 1)])
    assert Node("x", 0) in all_of
    given = order.ancestors([Node("z_y", 1)], {"z_a"})
    assert Node("z_a", 1) in given
    assert not any(node.name == "x" for node in given)


# Which round is which step


HEAD = "def go(T, x):\n    out = []\n"
LOOPS = {
    "up": ("for t in range(T): out.append(x[t] * 1)", [0, 1, 2, 3, 4, 5]),
    "down": ("for t in reversed(range(T)): out.append(x[t] * 1)", [5, 4, 3, 2, 1, 0]),
    "down by numbers": ("for t in range(T - 1, -1, -1): out.append(x[t] * 1)", [5, 4, 3, 2, 1, 0]),
    "from one": ("for t in range(1, T + 1): out.append(x[t - 1] * 1)", [0, 1, 2, 3, 4, 5]),
    "from the back": ("for k in range(1, T + 1): out.append(x[-k] * 1)", [5, 4, 3, 2, 1, 0]),
    "enumerated": ("for t, v in enumerate(x): out.append(v * 1)", [0, 1, 2, 3, 4, 5]),
    "zipped": ("for v, w in zip(x[::-1], x): out.append(v * 1)", [5, 4, 3, 2, 1, 0]),
    "while": ("t = 0\n    while t < T:\n        out.append(x[t] * 1)\n        t += 1", [0, 1, 2, 3, 4, 5]),
    "while down": ("t = T\n    while t:\n        t -= 1\n        out.append(x[t] * 1)", [5, 4, 3, 2, 1, 0]),
    "one short": ("for t in range(T - 1): out.append(x[t] * 1)", [0, 1, 2, 3, 4]),
    "without the first": ("for t in range(1, T): out.append(x[t] * 1)", [1, 2, 3, 4, 5]),
    "nested": ("for t in range(T):\n        for k in range(2): out.append(x[t] * 1)",
               [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
    "nested outside": ("for k in range(2):\n        for t in range(T): out.append(x[t] * 1)",
                       [0, 1, 2, 3, 4, 5] * 2),
    "no loop": ("out.append(x[2] * 1)", [None]),
}  # fmt: skip


def steps_of(text, right):
    """The step of every product of a loop, as the timeline has it; the timeline and its watcher."""
    watcher = Watcher()
    names, places = executed(text, watcher)
    x = [right.steps[t]["x"] for t in range(right.problem.T)]
    names["go"](right.problem.T, x)
    recogniser = Recogniser(right)
    nodes = [recogniser.nodes(event.value) for event in watcher.events]
    timeline = Timeline(watcher.entries, watcher.events, nodes, right.problem.T)
    products = [e for e in watcher.events if ast.unparse(places[e.place].node).endswith("* 1")]
    return [timeline.of(e.rounds, watcher.entries) for e in products], timeline, watcher


@pytest.mark.parametrize("name", LOOPS)
def test_a_round_is_a_step(name):
    loop, expected = LOOPS[name]
    found, _, _ = steps_of(HEAD + "    " + loop, truth("rnn"))
    assert found == expected


@pytest.mark.parametrize(
    ("loop", "left_out"),
    [("range(T - 1)", [5]), ("range(1, T)", [0]), ("reversed(range(1, T))", [0]),
     ("range(T)", []), ("range(0, T, 2)", [1, 3, 5])],
)  # fmt: skip
def test_steps_that_a_loop_leaves_out(loop, left_out):
    text = HEAD + f"    for t in {loop}: out.append(x[t] * 1)"
    _, timeline, watcher = steps_of(text, truth("rnn"))
    assert timeline.missing(watcher.entries[0]) == left_out


def test_what_is_given_tells_more_than_what_is_computed():
    """States that are written one step late do not move the loop."""
    right = truth("rnn")
    text = (
        HEAD
        + "    for t in range(T): out += [x[t] * 1, *[a[t - 1] * 2 / 2 for _ in range(3) if t]]"
    )
    watcher = Watcher()
    names, _ = executed(text, watcher)
    names["a"] = [step["a"] for step in right.steps]
    names["go"](6, [step["x"] for step in right.steps])
    nodes = [Recogniser(right).nodes(event.value) for event in watcher.events]
    timeline = Timeline(watcher.entries, watcher.events, nodes, 6)
    assert [timeline.fits[0].step(watcher.entries[0], k) for k in range(6)] == [0, 1, 2, 3, 4, 5]


# Conventions: programs are rendered from the table and changed in a line or two

EACH = "omega = np.sum(Y[:, :, t], axis=0, keepdims=True) / m"
VARIANTS = Path(variants.__file__).parent


def program(cell, *changes):
    """A rendered program with text replaced: (old, new), or (old, new, k) for the k-th place only."""
    text = render(Network(cell, n_x=3, n_a=5, n_y=4).table.step)
    text = text.replace("b_ca = parameters['b_ca']", "b_ca = np.zeros_like(b_c)")
    for old, new, *k in changes:
        parts = text.split(old)
        assert len(parts) > 1, old
        middle = (
            [new] * (len(parts) - 1)
            if not k
            else [new if j in k else old for j in range(len(parts) - 1)]
        )
        text = parts[0] + "".join(a + b for a, b in zip(middle, parts[1:], strict=True))
    return text


def found(text, **options):
    """The report on a program, and its findings as (quantity, the source line)."""
    report = examine("mine.py", text, **options)
    return report, [(f.quantity, f.source.strip()) for f in report.findings]


def first(text, **options):
    report, findings = found(text, **options)
    assert report.verdict == "wrong"
    return report.findings[0], findings


SHARES = {"": "over time and over the batch", " / (m * T_x)": "averaged over all targets"}


@pytest.mark.parametrize("share", SHARES)
def test_how_targets_count_is_no_mistake_where_all_agree(share):
    report, findings = found(program("rnn", (EACH, EACH[:-4] + share)))
    assert (report.verdict, findings) == ("right", [])
    assert any(SHARES[share] in said for said in report.conventions)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(("k", "quantity"), [(0, "loss"), (1, "dz_y")])
def test_where_loss_and_gradients_disagree_what_is_not_usual_is_wrong(share, k, quantity):
    finding, findings = first(program("rnn", (EACH, EACH[:-4] + share, k)))
    assert (finding.quantity, finding.cause.id, finding.cause.certainty) == (
        quantity,
        "scale",
        "exact",
    )
    assert len(findings) == 1


def test_both_are_wrong_where_neither_is_usual():
    _, findings = first(program("rnn", (EACH, EACH[:-4], 0), (EACH, EACH[:-4] + " / (m * T_x)")))
    assert [quantity for quantity, _ in findings] == ["loss", "dz_y"]


GRUS = [("gru_reset_after", "the reset gate acts after the product"),
        (str(VARIANTS / "gru_keep.py"), "the update gate keeps"),
        (str(VARIANTS / "gru_keep_reset_after.py"), "keeps, and the reset gate acts after")]  # fmt: skip


@pytest.mark.parametrize(("cell", "said"), GRUS, ids=lambda text: Path(text).stem)
def test_a_variant_of_the_gru_is_no_mistake(cell, said):
    report, findings = found(program(cell))
    assert (report.verdict, findings) == ("right", [])
    assert any(said in text for text in report.conventions)


def test_a_second_bias_of_the_candidate_is_no_mistake():
    text = render(Network("gru_reset_after", n_x=3, n_a=5, n_y=4).table.step)
    assert examine("mine.py", text).verdict == "right"


def halves(cell):
    text = program(cell)
    at = text.index("def gru_backward")
    return text[:at], text[at:]


def test_a_forward_that_is_not_the_backward_s_is_wrong_in_the_forward():
    reset = "np.stack([cache['r'][:, :, t] * (cache['a'][:, :, t - 1] if t else cache['a0']) for t in range(X.shape[2])], axis=2)"
    text = halves("gru_reset_after")[0] + halves("gru")[1].replace("cache['a_reset']", reset)
    finding, _ = first(text)
    assert (finding.quantity, finding.cause.id) == ("z_c", "bracket_moved")


def test_a_keeping_forward_with_the_usual_backward_is_wrong_in_the_forward():
    finding, _ = first(halves(str(VARIANTS / "gru_keep.py"))[0] + halves("gru")[1])
    assert (finding.quantity, finding.source.split()[0]) == ("a", "A[:,")


# The reference proves itself


@pytest.mark.parametrize("cell", CELLS)
def test_a_reference_with_a_wrong_gradient_is_refused(cell):
    right = truth(cell)
    assert slope_error(right) < LARGEST_ERROR / 1000
    for name in right.totals:
        if name == "loss":
            continue
        kept = right.totals[name].copy()
        for wrong in (kept * 1.0005, -kept, np.roll(kept, 1), 0 * kept):
            right.totals[name] = wrong
            assert slope_error(right) > LARGEST_ERROR, name
        right.totals[name] = kept


def test_a_reference_is_proved_for_a_gradient_from_above_too():
    right = Truth(draw("plain", "lstm"), Conventions())
    assert slope_error(right) < LARGEST_ERROR / 1000
    right.totals["dc0"] = 2.001 / 2 * right.totals["dc0"]
    assert slope_error(right) > LARGEST_ERROR


def test_nothing_is_proved_by_a_reference_that_is_off(monkeypatch):
    monkeypatch.setattr("unrolled.checking.examine.slope_error", lambda truth: 1e-3)
    with pytest.raises(UnrolledError, match=r"off by 1e-03 .* on plain"):
        found(program("rnn"))


# A check as a whole

DX = "dx[:, :, t] = W_ax"
FIELDS = {"quantity", "name", "t", "file", "line", "column", "source", "severity", "shape",
          "expected_shape", "equation", "worst", "cause", "message"}  # fmt: skip


def test_a_report_has_every_field():
    text = program("rnn", (DX, "dx[:, :, t] = np.inf * W_ax"))
    report = json.loads(json.dumps(examine("mine.py", text).to_dict(), allow_nan=False))
    assert (report["schema"], report["verdict"], report["cell"]) == (1, "wrong", "rnn")
    assert {"findings", "conventions", "untestable", "proved"} <= report.keys()
    [finding] = report["findings"]
    assert finding.keys() == FIELDS
    assert (finding["quantity"], finding["name"], finding["t"], finding["file"]) == (
        "dx",
        "dx",
        5,
        "mine.py",
    )
    assert finding["source"] == text.splitlines()[finding["line"] - 1]
    assert finding["source"][finding["column"] - 1 :].startswith("np.inf")
    assert (finding["shape"], finding["expected_shape"]) == ([3, 9], "(n_x, m)")
    assert finding["worst"].keys() == {"index", "yours", "expected"}
    assert finding["worst"]["yours"] in ("inf", "-inf", "nan")
    assert {"id", "certainty", "message"} <= finding["cause"].keys()


def test_two_mistakes_are_two_findings():
    text = program(
        "rnn", ("W_ya.T @ dz_y", "0.5 * W_ya.T @ dz_y"), ("db_a = db_a + np.sum(", "db_a = np.sum(")
    )
    report, findings = found(text)
    assert [quantity for quantity, _ in findings] == ["da_y", "db_a"]
    assert [finding.cause.certainty for finding in report.findings] == ["exact", "exact"]


@pytest.mark.parametrize(
    ("change", "kind"), [("T_x > 1", "one step"), ("m > 1", "one sequence")], ids=["T", "m"]
)
def test_what_is_wrong_for_one_step_or_sequence_only(change, kind):
    report, findings = found(program("rnn", (DX, f"dx[:, :, t] = (1 if {change} else 2) * W_ax")))
    assert [quantity for quantity, _ in findings] == ["dx"]
    assert report.findings[0].cause.id == "scale"
    assert kind not in " ".join(report.proved)
    assert "plain" in " ".join(report.proved)


def test_padding_is_judged_where_it_is_handled():
    report, _ = found(program("rnn"))
    assert "padded" in " ".join(report.proved)
    for k in ((), (1,)):
        report, _ = found(program("rnn", (EACH, "omega = np.ones((1, m)) / m", *k)))
        assert report.verdict == "right"
        assert any("padding" in said for said in report.untestable)


@pytest.mark.parametrize(
    ("old", "new", "quantity"),
    [("W_ya.T @ dz_y[:, :, t]", "W_ya.T @ ((Y_hat[:, :, t] - Y[:, :, t]) / m)", "da_y"),
     ("db_y + np.sum(dz_y[:, :, t]", "db_y + np.sum((Y_hat[:, :, t] - Y[:, :, t]) / m", "db_y")],
)  # fmt: skip
def test_what_is_masked_in_one_place_is_masked_in_all(old, new, quantity):
    report, findings = found(program("rnn", (old, new)))
    assert [quantity for quantity, _ in findings] == [quantity]
    assert "plain" in " ".join(report.proved)


@pytest.mark.xfail(reason="a mask with another count is taken for none", strict=True)
def test_a_mask_that_counts_otherwise_is_wrong():
    each = EACH[:-4] + "\n        omega = omega / np.maximum(np.sum(omega), 1)"
    assert first(program("rnn", (EACH, each, 1)))[0].quantity == "dz_y"


def test_gradients_that_are_added_to_those_of_the_last_call_are_wrong():
    text = "kept = {}\n" + program(
        "rnn", ("dW_aa = np.zeros_like(W_aa)", "dW_aa = kept.setdefault('dW_aa', np.zeros_like(W_aa))"),
        ("dW_aa = dW_aa + dz_a", "dW_aa += dz_a"),
    )  # fmt: skip
    finding, findings = first(text)
    assert len(findings) == 1
    assert (finding.quantity, finding.cause.id, finding.cause.certainty) == (
        "dW_aa",
        "not_reset",
        "exact",
    )


def test_a_loop_without_end_is_a_finding(monkeypatch):
    monkeypatch.setattr(watching, "MOST_ROUNDS", 300)
    text = program(
        "rnn",
        ("    a_prev = a0\n    for t", "    a_prev = a0\n    while True:\n        pass\n    for t"),
    )
    finding, _ = first(text)
    assert finding.source.strip() == "while True:"
    assert "EndlessLoopError" in finding.message


def test_a_failing_line_is_a_finding():
    finding, _ = first(
        program("rnn", ("dz_y[:, :, t] = omega", "dz_y[:, :, t] = (1 // 0) * omega"))
    )
    assert finding.quantity == "dz_y"
    assert "1 // 0" in finding.source
    assert "division" in finding.message


def test_what_a_program_raises_is_a_finding():
    text = program(
        "rnn",
        (
            "da_next = np.zeros((n_a, m))",
            "da_next = np.zeros((n_a, m))\n    raise ValueError('no')",
        ),
    )
    assert "raise" in first(text)[0].source


def test_parameters_changed_in_place_are_said():
    text = program(
        "rnn",
        (
            "    return (loss,",
            "    parameters['W_aa'] += 1\n    parameters['W_aa'] -= 1\n    return (loss,",
        ),
    )
    report, findings = found(text)
    line = 1 + text[: text.index("+= 1")].count("\n")
    assert (report.verdict, findings) == ("right", [])
    assert any(
        f"parameters['W_aa'] is changed in place in line {line}" in s for s in report.conventions
    )


@pytest.mark.parametrize("name", ["X", "Y", "a0"])
@pytest.mark.parametrize(
    "how", ["{} *= 0", "{}[...] = 0", "np.add({0}, 1, out={0})", "{}.sort(axis=0)"]
)
def test_inputs_changed_in_place_are_said(name, how):
    change = how.format(name)
    at = ("    return dict(dz_y", f"    {change}\n    return dict(dz_y")
    text = program("rnn", at)
    line = 1 + text[: text.index(change)].count("\n")
    report, findings = found(text)
    assert (report.verdict, findings) == ("right", [])
    assert any(f"{name} is changed in place in line {line}:" in said for said in report.conventions)


def test_inputs_changed_in_place_are_said_beside_a_mistake():
    at = ("    return dict(dz_y", "    X *= 0\n    return dict(dz_y")
    report, findings = found(program("rnn", at, ("(1 - A[:, :, t] ** 2)", "(1 - A[:, :, t])")))
    assert (report.verdict, len(findings)) == ("wrong", 1)
    assert any("X is changed in place" in said for said in report.conventions)


@pytest.mark.parametrize(
    "kept", ["np.log(Y_hat[:, :, t] + 1e-8)", "np.log(np.maximum(1e-12, Y_hat[:, :, t]))",
             "np.log(np.clip(Y_hat[:, :, t], 1e-10, 1 - 1e-10))"],
)  # fmt: skip
def test_a_loss_that_keeps_its_logarithm_from_zero_is_a_convention(kept):
    text = program("rnn", (LOG, f"log_y_hat = {kept}"))
    report, findings = found(text)
    assert (report.verdict, findings) == ("right", [])
    assert any("the loss takes log(" in said for said in report.conventions)
    wrong, findings = found(text.replace(kept, f"1.0001 * {kept}"))
    assert (wrong.verdict, [quantity for quantity, _ in findings]) == ("wrong", ["loss"])


LOG = "log_y_hat = Z_y[:, :, t] - log_sum_exp(Z_y[:, :, t])"


def test_huge_logits():
    shifted = "E = np.exp(Z - np.max(Z, axis=0, keepdims=True))"
    finding, findings = first(program("rnn", (shifted, "E = np.exp(Z)")))
    assert finding.quantity == "y_hat"
    assert "E = np.exp(Z)" in finding.source or "softmax(" in finding.source
    assert len(findings) == 1
    finding, findings = first(
        program("rnn", ("shift = np.max(Z, axis=0, keepdims=True)", "shift = 0.0"))
    )
    assert (finding.quantity, finding.cause.id) == ("loss", "no_shift")
    assert len(findings) == 1


def test_the_logarithm_of_zero_is_no_missing_shift():
    finding, _ = first(program("rnn", (LOG, "log_y_hat = np.log(Y_hat[:, :, t])")))
    assert (finding.quantity, finding.cause.id) == ("loss", "log_of_zero")


def test_an_input_of_another_step_is_found():
    finding, _ = first(program("rnn", ("W_ax @ X[:, :, t]", "W_ax @ X[:, :, t - 1]")))
    assert finding.quantity in ("z_a", "x")
    assert "X[:, :, t - 1]" in finding.source


def test_an_input_of_another_step_is_named():
    finding, findings = first(program("rnn", ("W_ax @ X[:, :, t]", "W_ax @ X[:, :, t - 1]")))
    assert (finding.cause.id, finding.cause.certainty, len(findings)) == ("other_step", "exact", 1)


def test_what_is_given_to_a_helper_is_wrong_where_it_is_given():
    finding, findings = first(
        program("gru", ("sigmoid(Z_u[:, :, t])", "sigmoid(np.tanh(Z_u[:, :, t]))"))
    )
    assert [quantity for quantity, _ in findings] == ["u"]
    assert "np.tanh(Z_u" in finding.source


def test_an_activation_that_the_backward_does_not_know_is_wrong():
    finding, _ = first(
        program("rnn", ("np.tanh(Z_a[:, :, t])", "np.tanh(np.maximum(Z_a[:, :, t], 0))"))
    )
    assert (finding.quantity, finding.source.split()[0]) == ("a", "A[:,")


def test_a_right_value_that_is_spoiled_in_its_own_line():
    finding, _ = first(
        program("rnn", ("da_y[:, :, t] + da_next", "da_y[:, :, t] + da_next + da_next"))
    )
    assert (finding.quantity, finding.source.split()[0]) == ("da", "da[:,")


ODD = """
import numpy as np
class Odd:
    def go(self, all):
        s, out = all["start"], []
        for v in all["in"]:
            s = np.tanh(all["R"] @ s + all["I"] @ v + all["k"])
            out.append(s)
        return np.stack(out)
"""
BINDING = """
loss = False
def run(module, problem):
    p, inputs = problem.parameters, np.moveaxis(problem.X, 2, 0)
    weights = {"R": p["W_aa"], "I": p["W_ax"], "k": p["b_a"]}
    return {"a": np.moveaxis(module.Odd().go({"start": problem.a0, "in": inputs, **weights}), 0, 2)}
"""


def test_an_odd_program_is_checked_through_a_binding():
    binding = load_binding(Source("binding.py", BINDING))
    report, findings = found(ODD, binding=binding)
    assert (report.verdict, findings) == ("right", [])
    assert any("no backward pass" in said for said in report.untestable)
    finding, findings = first(ODD.replace("@ s +", "@ s -"), binding=binding)
    assert [quantity for quantity, _ in findings] == ["z_a"]
    assert (finding.cause.certainty, finding.name) == ("exact", "s")


@pytest.mark.parametrize(
    ("text", "said"), [("x = 1", "nothing here"), ("def f(:", "line 1"), ("", "empty")]
)
def test_what_cannot_be_run_is_said(text, said):
    with pytest.raises(UnrolledError, match=said):
        examine("mine.py", text)


# What is found first


@pytest.mark.parametrize(
    ("old", "new", "quantity", "cause"),
    [
        ("Y_hat[:, :, t] - Y[:, :, t]", "Y_hat[:, :, t] - Y[:, :, t - 1]", "dz_y", "other_step"),
        ("da_next = np.zeros((n_a, m))", "da_next = np.ones((n_a, m))", "da_prev", "start"),
        ("        da_next = da_prev[:, :, t]\n", "", "da", "missing_term"),
        ("da_y[:, :, t] = W_ya.T @ dz_y[:, :, t]", "da_y[:, :, t] = A[:, :, t]", "da_y", "neighbour"),
        ("W_ya.T @ dz_y[:, :, t]", "W_ya.T @ (omega * (Y_hat[:, :, t - 1] - Y[:, :, t - 1]))", "da_y", "other_step"),
        ("dW_ya = dW_ya + dz_y[:, :, t] @ A[:, :, t].T", "dW_ya = dW_ya + A[:, :, t] @ dz_y[:, :, t].T",
         "dW_ya", "transposed"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_finding(old, new, quantity, cause):
    """A right total of steps that are exchanged, a start, what is never carried on, a plain load, a crash."""
    finding, findings = first(program("rnn", (old, new)))
    assert len(findings) == 1
    assert (finding.quantity, finding.cause.id) == (quantity, cause)
    assert finding.cause.certainty == "exact"


def test_a_repair_that_makes_the_backward_fail_is_none():
    """Its loss is gone then, which is not to say that it is right."""
    text = program(
        "lstm",
        (
            "log_y_hat = Z_y[:, :, t] - log_sum_exp(Z_y[:, :, t])",
            "log_y_hat = np.log(Y_hat[:, :, t])",
        ),
    )
    finding, findings = first(text)
    assert ([quantity for quantity, _ in findings], finding.cause.id) == (["loss"], "log_of_zero")


STRANGE = """
import numpy as np

def rnn_forward(x, h0, Wx, Wh, b):
    steps = x.how_many()
    return np.tanh(x.of(steps) @ Wx + h0 @ Wh + b)

def rnn_backward(dh, x, h0, Wx, Wh, b):
    return x.of(1).T @ dh
"""


def test_what_may_be_called_in_a_wrong_way_is_not_called_wrong(tmp_path):
    (tmp_path / "a.py").write_text(STRANGE)
    with pytest.raises(UnrolledError, match="called otherwise"):
        examine(tmp_path / "a.py")
