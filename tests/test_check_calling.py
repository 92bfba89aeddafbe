"""Reading a person's file and running it: every style is run, and what comes out is right by name."""

import ast
from pathlib import Path

import numpy as np
import pytest
from rendered import render

from unrolled.checking.calling import arguments, plans
from unrolled.checking.calling.held import by_shape
from unrolled.checking.calling.layouts import (
    Layout,
    Reading,
    assembled,
    parts,
    readings,
    taken_apart,
)
from unrolled.checking.calling.sizing import sizes_by_use
from unrolled.checking.examine import examine
from unrolled.checking.names import meanings, resolve
from unrolled.checking.problems import Conventions, Counting, Problem, Truth
from unrolled.checking.running.program import execute, read
from unrolled.errors import UnrolledError
from unrolled.network import Network

THEIRS = Path(__file__).parent / "their_code"
SIZES = {"n_x": 3, "n_a": 5, "n_y": 4, "m": 7, "T": 6}
EACH, TOTAL = "each target counts 1 / m", "each target counts 1"

# file, cell, how its loss counts targets, how many outputs there are at least, states that it takes
STYLES = [
    ("bias_first", "lstm", None, 7, "ac"),
    ("bias_inside", "rnn", None, 4, "a"),
    ("dataclass_caches", "rnn", None, 4, "a"),
    ("joined", "rnn", None, 4, "a"),
    ("keyword_states", "rnn", None, 5, "a"),
    ("cells_only", "lstm", None, 13, "ac"),
    ("class_vec", "rnn", TOTAL, 10, "a"),
    ("class_with_helpers", "rnn", EACH, 9, ""),
    ("dataclass_deque", "rnn", None, 3, "a"),
    ("functions_tuple", "rnn", EACH, 11, "a"),
    ("goodfellow", "rnn", EACH, 6, ""),
    ("gru_cells", "gru", None, 9, "a"),
    ("gru_keras", "gru", EACH, 12, "a"),
    ("gru_stacked", "gru", None, 6, "a"),
    ("gru_stacked_ruc", "gru", EACH, 7, "a"),
    ("keyword_only", "rnn", None, 8, "a"),
    ("logits", "rnn", TOTAL, 3, ""),
    ("loss_grads", "rnn", EACH, 6, ""),
    ("lstm_apart", "lstm", None, 14, "ac"),
    ("lstm_list", "lstm", TOTAL, 47, "ac"),
    ("many_to_one", "rnn", EACH, 9, ""),
    ("minchar", "rnn", TOTAL, 7, "a"),
    ("nested", "rnn", None, 16, "a"),
    ("nested_call", "rnn", None, 4, "a"),
    ("odd_order", "rnn", EACH, 9, "a"),
    ("pytorchish", "rnn", EACH, 13, ""),
    ("script", "rnn", TOTAL, 15, ""),
    ("single_precision", "rnn", EACH, 6, ""),
    ("timernn", "rnn", None, 6, ""),
    ("torchlike", "rnn", TOTAL, 25, "a"),
    ("two_biases", "lstm", None, 7, "ac"),
    ("label_lists", "rnn", TOTAL, 6, "a"),
    ("masked_lengths", "rnn", EACH, 6, ""),
    ("moved_axes", "rnn", EACH, 8, "a"),
    ("step_records", "gru", EACH, 10, "a"),
    ("zip_tape", "lstm", EACH, 16, "a"),
    ("wildml", "rnn", TOTAL, 4, ""),
]


def problem_for(plan, seed, **changed):
    rng, sizes = np.random.default_rng(seed), SIZES | changed
    sizes["m"] = 1 if plan.one_column else sizes["m"]
    sizes["T"] = 1 if plan.one_step else sizes["T"]
    sizes["n_y"] = sizes["n_x"] if plan.tied else sizes["n_y"]
    n_x, n_a, n_y, m, T = sizes.values()
    net = Network(plan.cell, n_x=n_x, n_a=n_a, n_y=n_y, engine="reference")
    one_hot = lambda n: np.eye(n)[rng.integers(n, size=(m, T))].transpose(2, 0, 1).copy()  # noqa: E731
    return Problem(
        "plain", plan.cell, sizes, one_hot(n_x) if plan.labels else rng.standard_normal((n_x, m, T)),
        one_hot(n_y), {s: rng.standard_normal((n_a, m)) / 2 for s in "ac"[: len(net.architecture.step.states)]},
        {n: rng.standard_normal(v.shape) / 2 for n, v in net.parameters.items()},
        rng.standard_normal((n_a, m, T)), seed, plan.labels,
    )  # fmt: skip


def right_and_wrong(plan, outcome, problem, loss, reading):
    share = {None: None, EACH: 1 / problem.m, TOTAL: 1.0}[loss]
    truth = Truth(
        plan.problem(problem, reading),
        Conventions(counting=None if share is None else Counting(share, ()), states=plan.given),
    )
    found = {True: [], False: []}
    for output in outcome.outputs:
        if (expected := plan.expected(output, truth, reading)) is not None:
            same = expected.shape == np.shape(output.value) and np.allclose(expected, output.value)
            found[same].append(output.name)
    return found[True], found[False]


def run(path, seed=0, **changed):
    """Return the first plan that gets to the end, with the problem and the outcome."""
    program = read(path)
    tree = program.definitions(program.tree)
    for plan in plans(program, execute(program, tree, {})):
        problem = problem_for(plan, seed, **changed)
        outcome = plan.run(execute(program, tree, {}), problem)
        if outcome.error is None:
            return plan, problem, outcome
    raise AssertionError(outcome.traceback)


@pytest.mark.parametrize("changed", [{}, {"m": 1}, {"T": 1}], ids=str)
@pytest.mark.parametrize(
    ("name", "cell", "loss", "number", "states"), STYLES, ids=lambda v: str(v)[:18]
)
def test_every_style_is_run_and_every_output_is_right(name, cell, loss, number, states, changed):
    plan, problem, outcome = run(THEIRS / f"{name}.py", **changed)
    assert (plan.cell, plan.given, outcome.stage) == (cell, frozenset(states), "done")
    assert plan.has_loss == (loss is not None)
    found = [right_and_wrong(plan, outcome, problem, loss, reading) for reading in plan.readings]
    right, wrong = max(found, key=lambda pair: len(pair[0]))
    assert not wrong
    assert len(right) >= number or "T" in changed


def test_one_run_serves_all_readings_and_only_one_is_right():
    plan, problem, outcome = run(THEIRS / "gru_stacked_ruc.py")
    assert {r.gates for r in plan.readings} == {"urc", "ucr", "ruc", "rcu", "cur", "cru"}
    counts = {r.gates: right_and_wrong(plan, outcome, problem, EACH, r)[1] for r in plan.readings}
    assert [gates for gates, wrong in counts.items() if not wrong] == ["ruc"]


def test_a_wrong_gradient_is_an_output_that_differs(tmp_path):
    source = (THEIRS / "odd_order.py").read_text(encoding="utf-8")
    wrong = source.replace("dWh += prev.T @ dz", "dWh += dz.T @ prev")
    assert wrong != source
    (tmp_path / "a.py").write_text(wrong, encoding="utf-8")
    plan, problem, outcome = run(tmp_path / "a.py")
    assert right_and_wrong(plan, outcome, problem, EACH, plan.readings[0])[1] == ["dWh"]


def test_a_crash_an_argument_changed_and_a_second_call_are_seen(tmp_path):
    path = tmp_path / "a.py"
    source = (THEIRS / "odd_order.py").read_text(encoding="utf-8")
    path.write_text(
        source.replace("    hs = np.zeros", "    h0 *= 0\n    hs = np.zeros"), encoding="utf-8"
    )
    plan, problem, outcome = run(path)
    assert outcome.changed == {"h0": "a0"}
    program = read(path)
    namespace = execute(program, program.definitions(program.tree), {})
    again = plan.run(namespace, problem, again="backward").again
    assert {o.name for o in again} == {"dWy", "dby", "dWx", "dWh", "db", "dh_next"}
    path.write_text(source.replace("db += dz.sum(axis=0)", "db += dz"), encoding="utf-8")
    program = read(path)
    namespace = execute(program, program.definitions(program.tree), {})
    outcome = plans(program, namespace)[0].run(namespace, problem)
    assert outcome.stage == "backward"
    assert isinstance(outcome.error, ValueError)


KEPT = """
import numpy as np
def rnn_forward(xs, h0, Wx, Wh, b):
    hs, cache, h = [], [], h0
    for x in xs:
        prev, h = h, np.tanh(x @ Wx + h @ Wh + b)
        hs.append(h)
        cache.append((x, prev, h, Wx, Wh))
    return np.array(hs), cache
def rnn_backward(dhs, cache):
    T, carry, dWh = len(dhs), 0, 0
    for t in range(T)[::-1]:
        x, prev, h, Wx, Wh = cache[t]
        dz = (dhs[t] + carry) * (1 - h**2)
        carry = dz @ Wh.T
        dWh = dWh + prev.T @ dz
    return dWh, carry
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cache[t]", "cache.pop()", "cannot be called twice"),
        (
            "dWh = dWh",
            "h[...] = 0; dWh = dWh",
            "what the forward keeps for the backward is changed",
        ),
        ("return dWh", "dhs *= 2; return dWh", "dhs is changed in place in line"),
        ("return dWh", "cache.append(dWh); return dWh", ""),
    ],
)
def test_the_second_call_gets_what_the_first_one_got(tmp_path, old, new, said):
    """The very objects: so it is seen where a backward uses up its cache, or changes it."""
    path = tmp_path / "a.py"
    path.write_text(KEPT.replace(old, new))
    report = examine(path)
    assert (report.verdict, report.findings) == ("right", ())
    assert any(said in sentence for sentence in (*report.untestable, *report.conventions))


def test_weights_that_a_method_updates_are_put_back(tmp_path):
    """The gradients of a second call are those at the same weights."""
    source = (THEIRS / "nested.py").read_text(encoding="utf-8")
    updated = source.replace(
        "        self.dh0 = carry\n",
        "        self.dh0 = carry\n        self.cell.Wh -= 0.5 * self.cell.dWh\n",
    )
    assert updated != source
    (tmp_path / "a.py").write_text(updated, encoding="utf-8")
    report = examine(tmp_path / "a.py")
    assert (report.verdict, report.findings) == ("right", ())


def both(*changes):
    """The text of a plain cell's and of an LSTM's functions, with text replaced."""
    text = "".join(
        render(Network(cell, n_x=3, n_a=5, n_y=4).table.step) + "\n\n" for cell in ("lstm", "rnn")
    )
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


RNN_WRONG = ("(1 - A[:, :, t] ** 2) * da[:, :, t]", "(1 - A[:, :, t]) * da[:, :, t]")
LSTM_WRONG = ("dz_f[:, :, t] @ a_prev.T", "dz_f[:, :, t] @ A[:, :, t].T")


@pytest.mark.parametrize(
    ("changes", "findings"),
    [
        ([], []),
        ([RNN_WRONG], ["dz_a"]),
        ([LSTM_WRONG], ["dW_fa"]),
        ([RNN_WRONG, LSTM_WRONG], ["dW_fa", "dz_a"]),
    ],
)
def test_every_network_of_a_file_is_checked(changes, findings):
    """In the order of the lines; what is said of one says which."""
    report = examine("a.py", both(*changes))
    assert [f.quantity for f in report.findings] == findings
    assert (report.cell, report.verdict) == ("lstm, rnn", "wrong" if findings else "right")
    assert {words.split(":")[0] for words in report.conventions} == {"lstm", "rnn"}
    assert {words.split(":")[0] for words in report.proved} == {
        cell for cell in ("lstm", "rnn") if {"lstm": "dW_fa", "rnn": "dz_a"}[cell] not in findings
    }


def test_what_cannot_be_run_of_a_second_network_is_said():
    report = examine("a.py", both(("def rnn_backward(X,", "def rnn_backward(gizmo, widget, X,"),
                                  ("a0 = cache['a0']\n    Z_a", "a0 = cache['a0'] + gizmo * widget\n    Z_a")))  # fmt: skip
    assert (report.cell, report.verdict) == ("lstm", "right")
    assert any(
        "rnn_backward was not checked" in said and "gizmo" in said for said in report.untestable
    )


DENSE = """
def dense_forward(A_prev, W, b):
    Z = np.tanh(W @ A_prev + b)
    return Z, (A_prev, W, Z)
def dense_backward(dA, cache):
    A_prev, W, Z = cache
    dZ = dA * (1 - Z ** 2)
    return W.T @ dZ, dZ @ A_prev.T, dZ.sum(axis=1, keepdims=True)
"""


def test_a_layer_that_is_no_network_is_not_judged():
    for names in (("dense_", "dense_"), ("rnn_", "")):
        report = examine("a.py", (KEPT + DENSE).replace(*names))
        assert (report.verdict, report.findings) == ("right", ())
        assert any("dense_backward" in said and "not judged" in said for said in report.untestable)


CELLS = """
import numpy as np
def rnn_cell_forward(xt, a_prev, p):
    a_next = np.tanh(p["Waa"] @ a_prev + p["Wax"] @ xt + p["ba"])
    return a_next, (a_next, a_prev, xt, p)
def rnn_forward(x, a0, p):
    a_next, a = a0, np.zeros((*a0.shape, x.shape[2]))
    for t in range(x.shape[2]):
        a_next, _ = rnn_cell_forward(x[:, :, t], a_next, p)
        a[:, :, t] = a_next
    return a
def rnn_cell_backward(da_next, cache):
    a_next, a_prev, xt, p = cache
    dz = (1 - a_next**2) * da_next
    return {"dxt": p["Wax"].T @ dz, "dWaa": dz @ a_prev.T, "dWax": dz @ xt.T}
"""


@pytest.mark.parametrize(
    ("old", "new", "findings"),
    [
        ("", "", []),
        ("a_next**2", "a_next", ["dz_a"]),
        ("x[:, :, t], a_next, p", "x[:, :, t], a0, p", ["a_prev"]),
        ("@ a_prev +", "@ a_prev * 2 +", ["z_a"]),
    ],
)
def test_a_backward_that_nothing_calls_and_a_forward_that_has_none_are_checked(old, new, findings):
    """What is wrong in the cell's forward, which both use, is said once."""
    report = examine("a.py", CELLS.replace(old, new))
    assert [f.quantity for f in report.findings] == findings
    assert {said.split(":")[0] for said in report.conventions} == {
        "rnn_cell_backward",
        "rnn_forward",
    }


def test_objects_are_told_apart_by_their_classes():
    """`self.cell.backward` is none of the other class that has a `backward`."""
    source = (THEIRS / "nested.py").read_text(encoding="utf-8")
    second = source[source.index("class Cell") :].replace("Net", "Other").replace("Cell", "Unit")
    report = examine("a.py", source + "\n\n" + second.replace("h_prev.T", "h.T"))
    assert [f.quantity for f in report.findings] == ["dW_aa"]
    assert report.findings[0].line > source.count("\n")


LITERAL = """
import numpy as np
X, Y = np.random.randn(3, 4), np.random.randn(2, 4)
Wax, Waa, Wya = np.random.randn(5, 3), np.random.randn(5, 5), np.random.randn(2, 5)
ba, by = np.zeros((5, 1)), np.zeros((2, 1))
a, y, loss = [np.zeros((5, 1))], [], 0
for t in range(4):
    a.append(np.tanh(Waa @ a[t] + Wax @ X[:, t:t+1] + ba))
    y.append(Wya @ a[t + 1] + by)
    loss += 0.5 * np.sum((y[t] - Y[:, t:t+1]) ** 2)
dWax, dWaa, dWya = np.zeros((5, 3)), np.zeros((5, 5)), np.zeros((2, 5))
dba, dby, da_next = np.zeros((5, 1)), np.zeros((2, 1)), np.zeros((5, 1))
for t in reversed(range(4)):
    dy = y[t] - Y[:, t:t+1]
    dWya, dby = dWya + dy @ a[t + 1].T, dby + dy
    dz = (Wya.T @ dy + da_next) * (1 - a[t + 1] ** 2)
    dWax, dWaa, dba = dWax + dz @ X[:, t:t+1].T, dWaa + dz @ a[t].T, dba + dz
    da_next = Waa.T @ dz
for W, dW in zip((Wax, Waa, Wya, ba, by), (dWax, dWaa, dWya, dba, dby)):
    W -= 0.1 * dW
"""


@pytest.mark.parametrize("n_a", [5, 9, 100])
def test_sizes_that_are_written_as_numbers_are_those_of_the_problem(n_a):
    text = LITERAL.replace("5", str(n_a)).replace(f"0.{n_a}", "0.5")
    report = examine("a.py", text)
    assert (report.verdict, report.findings) == ("right", ())
    assert f"n_x = 3, n_a = {n_a}, n_y = 2, m = 1, T = 4" in report.proved[0]
    assert "saturated" in report.proved[0]


@pytest.mark.parametrize(
    ("old", "new", "quantity"),
    [
        ("1 - a[t + 1] ** 2", "1 - a[t + 1]", "dz_a"),
        ("X[:, t:t+1] +", "X[:, t-1:t] +", "z_a"),
        ("in range(4)", "in range(3)", "z_a"),
    ],
)
def test_a_mistake_beside_sizes_that_are_written_as_numbers_is_found(old, new, quantity):
    assert old in LITERAL
    assert examine("a.py", LITERAL.replace(old, new)).findings[0].quantity == quantity


@pytest.mark.parametrize("how", ["np.zeros((5, 1))", "0 * Waa[:, :1]"])
def test_a_number_that_may_be_two_sizes_is_not_judged(how):
    """Nor is one that only arrays have that are made beforehand."""
    two = LITERAL.replace("(3, 4)", "(5, 4)").replace("(5, 3)", "(5, 5)")
    if "Waa" in how:
        two = two.replace("np.zeros((5, 1))", how)
        two = two.replace("np.zeros((5, 5)), np.zeros((5, 5)), np.zeros((2, 5))", "0, 0, 0")
    where = "a" if "Waa" in how else "line 11"
    with pytest.raises(UnrolledError, match=f": {where} has the size 5, and n_a and n_x are all 5"):
        examine("a.py", two)


LISTS = [  # file, what is changed in it, what is then wrong first
    ("label_lists", "carry = Whh.T @ da", "carry = Whh @ da", "da_prev"),
    ("label_lists", "(1 - h * h)", "(1 - h)", "dz_a"),
    ("masked_lengths", 'da @ params["Whh"].T', 'da @ params["Whh"]', "da_prev"),
    ("masked_lengths", "hs[t - 1].T @ da", "hs[t].T @ da", "dW_aa"),
    ("moved_axes", "g @ X[..., k].T", "g @ X[..., k - 1].T", "dW_ax"),
    ("moved_axes", "(1 - kept[k + 1] ** 2)", "(1 - kept[k] ** 2)", "dz_a"),
    ("step_records", 'dn = dh * s["u"]', 'dn = dh * s["r"]', "dc_tilde"),
    ("step_records", 'through[:n] * s["r"] +', "through[:n] +", "da_prev"),
    ("zip_tape", "dmem * old * g", "dmem * mem * g", "df"),
    ("zip_tape", 'mem = g["forget"] * mem', 'mem = (1 - g["write"]) * mem', "c"),
]


@pytest.mark.parametrize(("name", "old", "new", "quantity"), LISTS)
def test_lists_dictionaries_and_tuples_of_steps_are_read(name, old, new, quantity):
    source = (THEIRS / f"{name}.py").read_text(encoding="utf-8")
    assert source.count(old) == 1
    right, wrong = examine("a.py", source), examine("a.py", source.replace(old, new))
    assert (right.verdict, right.findings) == ("right", ())
    line = source[: source.index(old)].count("\n") + 1
    assert (wrong.findings[0].quantity, wrong.findings[0].line) == (quantity, line)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("for g in 'fi': P['W' + g]", ["Wf", "Wi"]),
        ("[P[f'{k}_{g}'] for k in 'Wb' for g in ('f', 'o')]", ["W_f", "W_o", "b_f", "b_o"]),
        ("for g, d in zip('fi', ds): P['W' + g]", ["Wf", "Wi"]),
        ("for g, d in (('u', du), ('r', dr)): P['W' + g]", ["Wu", "Wr"]),
        ("for k, (g, d) in enumerate(zip(GATES, ds)): P['W' + g]", ["Wu", "Wr"]),
        ("d = {'u': 1, 'r': 2}\n    for g, v in d.items(): P['W' + g]", ["Wu", "Wr"]),
        ("k = 'W'\n    P[k]", ["W"]),
        ("Q = P\n    Q.get('W')", ["W"]),
        ("helper(1, P)", ["V"]),
        ("for g in 'fi': P[g + unknown]", []),
    ],
)
def test_keys_are_read_from_what_loops_go_through(text, keys):
    tree = ast.parse(f"def f(P, ds):\n    {text}\ndef helper(n, held):\n    return held['V']\n")
    assert arguments.keys("P", tree.body, {"GATES": ("u", "r")}) == keys


def test_a_name_that_could_not_be_computed_is_no_mistake():
    """The file itself stops there."""
    text = LITERAL.replace("a, y, loss = [np.zeros((5, 1))]", "a, y, loss = [np.zeros((n_h, 1))]")
    with pytest.raises(UnrolledError, match=r"line 6: NameError: name 'n_h' is not defined"):
        examine("a.py", text)


@pytest.mark.parametrize("name", ["bias_first", "bias_inside", "joined"])
def test_a_bias_inside_the_weights_is_told_from_them(name, tmp_path):
    path = tmp_path / "a.py"
    source = (THEIRS / f"{name}.py").read_text(encoding="utf-8")
    path.write_text(source, encoding="utf-8")
    assert examine(path).findings == ()
    wrong = source.replace("zs[t].T @ dz", "zs[t - 1].T @ dz").replace(
        "Hin[t].transpose()", "Hin[t - 1].transpose()"
    )
    assert wrong != source
    path.write_text(wrong, encoding="utf-8")
    (finding,) = examine(path).findings
    assert (finding.severity, finding.name) == ("mistake", "dWLSTM" if "first" in name else "dW")
    assert "t - 1" in finding.source


def test_what_has_no_network_says_what_was_looked_for(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("def add(a, b):\n    return a + b\n", encoding="utf-8")
    program = read(path)
    with pytest.raises(UnrolledError, match=r"looked for a forward and a backward pass.*add"):
        plans(program, execute(program, program.definitions(program.tree), {}))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\xff\xfe\x00", "not a text"), (b"x = 1\ndef f(:\n", "line 2")],
)
def test_a_file_that_is_no_python_is_refused_in_one_sentence(tmp_path, content, message):
    (tmp_path / "a.py").write_bytes(content)
    with pytest.raises(UnrolledError, match=message):
        read(tmp_path / "a.py")


def test_definitions_are_executed_and_nothing_that_runs_long(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        "import numpy as np\nimport nowhere_at_all\nimport matplotlib.pyplot as plt\n"
        "text = open('there_is_none.txt').read()\nn = len(set(text))\n"
        "def train():\n    while True: pass\n"
        "def fill():\n    return {g: [0] for g in 'ab'}\nfilled = fill()\n"
        "history = train()\nlost = not_defined + 1\nafter = 3\n"
        "plt.plot([1])\nwhile True:\n    pass\n"
        "if __name__ == '__main__':\n    train()\n",
        encoding="utf-8",
    )
    program = read(path)
    tree = program.definitions(program.tree)
    namespace = execute(program, tree, {"hook": 5})
    assert namespace["n"] > 5
    assert (namespace["after"], namespace["hook"]) == (3, 5)
    assert "history" not in namespace
    assert namespace["filled"] == {"a": [0], "b": [0]}
    assert "line 12" in program.left_out["lost"]
    assert program.imports == {"nowhere_at_all": "could not be imported"}


def test_a_notebook_is_its_code_cells(tmp_path):
    cells = '{"cells": [{"cell_type": "markdown", "source": ["x"]}, {"cell_type": "code", "source": ["%cd\\n", "a = 1"]}]}'
    (tmp_path / "a.ipynb").write_text(cells, encoding="utf-8")
    program = read(tmp_path / "a.ipynb")
    assert execute(program, program.definitions(program.tree), {})["a"] == 1


@pytest.mark.parametrize("axes", ["n m T", "m T n", "T m n", "T n m"])
def test_a_layout_is_undone(axes):
    layout = Layout(axes, transposed=True, bias="n")
    array = np.random.default_rng(1).standard_normal((5, 7, 6))
    for quantity, value in {
        "a": array,
        "da": array[:, :, 0],
        "dW_ax": array[:, :, 1],
        "b_a": array[:, :1, 0],
    }.items():
        assert np.array_equal(layout.legend(quantity, layout.own(quantity, value)), value)


@pytest.mark.parametrize(
    ("cell", "spellings"),
    [
        ("rnn", {"W_aa": "Waa W_hh whh Wh", "W_ax": "Wxh W_ax wx U_x", "W_ya": "Why Wya V", "b_a": "ba bh",
                 "a": "A hs next_h at a_next", "a_prev": "prev_h hprev", "y_hat": "ps y_pred yt_pred",
                 "z_y": "zy logits Z_y", "dz_a": "dzt_a dtanh dhraw", "da": "dht dh", "dx": "dxt dX",
                 "da_prev": "dh_next dhnext da_prevt", "dW_aa": "dWhh dWaa", "loss": "cost J"}),
        ("lstm", {"f": "ft F forget_gate", "c_tilde": "cct g", "c_prev": "prev_c", "dW_f": "dWf", "W_fa": "W_hf Whf",
                  "dz_o": "dot", "b_c": "bc bg", "dc_prev": "dc_next dcprev", "W_x": "Wx", "W": "W"}),
        ("gru", {"u": "z U zt update_gate", "r": "rt R", "c_tilde": "h_tilde cct", "W_ua": "Whz U_z", "db_r": "dbr"}),
    ],
)  # fmt: skip
def test_usual_spellings(cell, spellings):
    for quantity, names in spellings.items():
        for name in names.split():
            assert meanings(name, cell)[:1] == (quantity,), name


def test_names_put_together_say_which_state_begins():
    for name in ("h_last", "first_h", "state_before", "carried_hidden"):
        assert meanings(name, "lstm")[0] in ("a0", "a")
    for name in ("c_start", "cell_before", "last_c", "given_cell"):
        assert meanings(name, "lstm")[0] in ("c0", "c_prev"), name
        assert meanings(name, "rnn") == ()


def test_names_without_a_meaning_have_none():
    for name in ("optimizer", "epoch", "T", "n", "k", "tmp", "print", "learning_rate"):
        assert meanings(name, "rnn") == ()


def test_weights_are_told_apart_by_their_company():
    beside = resolve(["Wz", "Uz", "bz", "Wr", "Ur", "Wh", "Uh"], "gru", {})
    assert (beside["Wz"], beside["Uz"], beside["Wh"]) == ("W_ux", "W_ua", "W_cx")
    assert resolve(["Wz", "Wr", "Wh"], "gru", {}) == {"Wz": "W_u", "Wr": "W_r", "Wh": "W_c"}
    assert resolve(["Wx", "Wh", "b"], "gru", {}) == {"Wx": "W_x", "Wh": "W_h", "b": "b"}


@pytest.mark.parametrize(
    ("cell", "names", "meant"),
    [
        ("rnn", "w_in w_rec b_rec w_out b_out", "W_ax W_aa b_a W_ya b_y"),
        ("rnn", "i2h_weight h2h_weight h2o_weight W_tag head_b", "W_ax W_aa W_ya W_ya b_y"),
        ("gru", "Wu Ru Wr Rr Wc Rc", "W_ux W_ua W_rx W_ra W_cx W_ca"),
        ("gru", "W_zr b_zr W_h b_h W_o", "W_ur b_ur W_c b_c W_ya"),
        ("gru", "Wg Ug bg Wc Uc bc", "W_x W_h b W_cx W_ca b_c"),
        ("lstm", "W_ifo U_ifo b_ifo Wg Ug", "W_fiox W_fioa b_fio W_cx W_ca"),
        ("lstm", "W_in W_rec b_rec W_out", "W_x W_h b W_ya"),
        ("lstm", "W_forget W_input W_output W_cell W_y", "W_f W_i W_o W_c W_ya"),
    ],
)
def test_words_say_where_weights_lead(cell, names, meant):
    found = resolve(names.split(), cell, {})
    assert [found[name] for name in names.split()] == meant.split()


def test_what_no_network_has_is_no_weight():
    for name in ("class_weights", "batch", "u_gate", "r_t", "kernel_size", "bout_of_luck"):
        assert not any(q[:1] in "Wb" for q in meanings(name, "gru")), name


def test_some_gates_in_one_array_are_taken_apart_again():
    rng = np.random.default_rng(3)
    values = {f"dW_{g}{s}": rng.random((5, 3 if s == "x" else 5)) for g in "urc" for s in "ax"}
    values |= {f"db_{g}": rng.random((5, 1)) for g in "urc"}
    for name in ("dW_ur", "dW_ura", "dW_urx", "db_ur", "dW_c", "dW", "db"):
        for reading in readings([name[1:]], "gru", Reading("ruc", x_first=True)):
            whole = assembled(name, values, reading)
            found = taken_apart(name, whole, "gru", 5, reading)
            assert sorted(found) == sorted(parts(name, "gru"))
            assert all(np.array_equal(found[part], values[part]) for part in found), name
    assert [r.gates for r in readings(["W_urx", "W_cx"], "gru", Reading("ruc"))] == ["ru", "ur"]


def test_sizes_of_a_constructor_are_known_by_the_weights_that_it_makes():
    class Net:
        def __init__(self, p, q, r=0):
            self.W, self.b = np.zeros((q, q + p)), np.zeros((q, 1 + r))

    sizes = {"n_x": 3, "n_a": 5, "n_y": 4}
    assert sizes_by_use(["p", "q"], {}, Net, "rnn", sizes) == {"p": "size n_x", "q": "size n_a"}
    assert sizes_by_use(["p", "q", "r"], {}, Net, "rnn", sizes) == {}


def test_gradients_that_are_only_a_step_of_the_weights_and_those_clipped_are_seen(tmp_path):
    source = (
        "import numpy as np\n"
        "class Net:\n"
        "    def __init__(self, input_size, hidden_size, output_size):\n"
        "        self.Wxh = np.zeros((hidden_size, input_size))\n"
        "        self.Whh = np.zeros((hidden_size, hidden_size))\n"
        "        self.Why = np.zeros((output_size, hidden_size))\n"
        "    def forward(self, xs):\n"
        "        self.xs, self.hs = xs, [np.zeros((len(self.Whh), 1))]\n"
        "        for x in xs:\n"
        "            self.hs.append(np.tanh(self.Wxh @ x + self.Whh @ self.hs[-1]))\n"
        "        return self.Why @ self.hs[-1]\n"
        "    def backward(self, dy, learn_rate=0.1):\n"
        "        dWhh, dWxh, dh = 0, 0, self.Why.T @ dy\n"
        "        for t in reversed(range(len(self.xs))):\n"
        "            dz = dh * (1 - self.hs[t + 1] ** 2)\n"
        "            dWhh, dWxh = dWhh + dz @ self.hs[t].T, dWxh + dz @ self.xs[t].T\n"
        "            dh = self.Whh.T @ dz\n"
        "        dWhh = np.clip(dWhh, -0.125, 0.125)\n"
        "        self.Whh -= learn_rate * dWhh\n"
        "        self.Wxh -= learn_rate * dWxh\n"
    )
    (tmp_path / "a.py").write_text(source, encoding="utf-8")
    plan, problem, outcome = run(tmp_path / "a.py")
    right, wrong = right_and_wrong(plan, outcome, problem, TOTAL, plan.readings[0])
    assert {"dWhh", "dWxh"} <= set(right)
    assert not wrong
    (tmp_path / "a.py").write_text(
        source.replace("self.hs[t].T", "self.hs[t + 1].T"), encoding="utf-8"
    )
    plan, problem, outcome = run(tmp_path / "a.py")
    assert right_and_wrong(plan, outcome, problem, TOTAL, plan.readings[0])[1] == ["dWhh"]


CLASSES = [  # file, what is mistaken in it, what is found, and the outputs that are right without
    ("torch_names", "dz = dh * (h - n)", "dz = dh * (n - h)", ("du", "dz_u"), "dW_h, db, db_hh"),
    ("one_number", "df = dc * c_old", "df = dc * c", ("df", "dz_f"), "loss, dW_ya, db_y, dW_x, dW_h, db"),
    ("gates_in_dicts", "drh * h * r", "drh * r", ("dr", "dz_r"), "dW_ra, dW_ua, dW_ca"),
    ("weights_with_gradients", "da @ self.Wh.value.T", "da @ self.Wh.value", ("da_prev", "da"), "dW_aa"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "quantities", "proved"), CLASSES, ids=lambda v: str(v)[:18]
)
def test_weights_are_known_by_their_shape_and_by_what_holds_them(
    tmp_path, name, old, new, quantities, proved
):
    """Other names than the usual: the file is right, every gradient is judged, a mistake is found."""
    source = (THEIRS / f"{name}.py").read_text(encoding="utf-8")
    report = examine(THEIRS / f"{name}.py")
    assert (report.verdict, report.findings) == ("right", ())
    assert proved in report.proved[0]
    path = tmp_path / "a.py"
    path.write_text(source.replace(old, new), encoding="utf-8")
    first = examine(path).findings[0]
    wrong = next(k for k, line in enumerate(path.read_text().splitlines(), 1) if new in line)
    assert first.quantity in quantities
    assert first.line in (wrong, wrong - 1)
    assert first.cause.certainty == "exact"


def test_one_output_stays_one():
    """A loss that averages over all numbers is right where their only output is one number."""
    plan, _, outcome = run(THEIRS / "one_number.py", n_y=1)
    assert plan.fixed == {"n_y": 1}
    assert plan.last_only
    assert outcome.error is None


def test_a_shape_says_what_an_array_is_where_that_is_certain():
    shapes = {"n_x": 3, "n_a": 5, "n_y": 4}
    assert by_shape("V_forget", (5, 5), "lstm", shapes) == "W_fa"
    assert by_shape("kernel", (3, 20), "lstm", shapes) == "W_x"
    assert by_shape("recurrent_kernel", (20, 5), "lstm", shapes) == "W_h"
    assert by_shape("dense_b", (1, 4), "gru", shapes) == "b_y"
    assert by_shape("state", (5, 5), "lstm", shapes) == ""  # of which gate?
