"""Reading a person's file and running it: every style is run, and what comes out is right by name."""

from pathlib import Path

import numpy as np
import pytest

from unrolled.checking.calling import plans
from unrolled.checking.calling.layouts import Layout
from unrolled.checking.names import meanings, resolve
from unrolled.checking.problems import Conventions, Counting, Problem, Truth
from unrolled.checking.program import execute, read
from unrolled.errors import UnrolledError
from unrolled.network import Network

THEIRS = Path(__file__).parent / "their_code"
SIZES = {"n_x": 3, "n_a": 5, "n_y": 4, "m": 7, "T": 6}
EACH, TOTAL = "each target counts 1 / m", "each target counts 1"

# file, cell, how its loss counts targets, how many outputs there are at least, states that it takes
STYLES = [
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
        one_hot(n_y), {s: rng.standard_normal((n_a, m)) / 2 for s in "ac"[: len(net.step.states)]},
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
    assert outcome.changed == ["h0"]
    program = read(path)
    namespace = execute(program, program.definitions(program.tree), {})
    again = plan.run(namespace, problem, twice=True).again
    assert {o.name for o in again} == {"dWy", "dby", "dWx", "dWh", "db", "dh_next"}
    path.write_text(source.replace("db += dz.sum(axis=0)", "db += dz"), encoding="utf-8")
    program = read(path)
    namespace = execute(program, program.definitions(program.tree), {})
    outcome = plans(program, namespace)[0].run(namespace, problem)
    assert outcome.stage == "backward"
    assert isinstance(outcome.error, ValueError)


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


def test_names_without_a_meaning_have_none():
    for name in ("optimizer", "epoch", "T", "n", "k", "tmp", "print", "learning_rate"):
        assert meanings(name, "rnn") == ()


def test_weights_are_told_apart_by_their_company():
    beside = resolve(["Wz", "Uz", "bz", "Wr", "Ur", "Wh", "Uh"], "gru", {})
    assert (beside["Wz"], beside["Uz"], beside["Wh"]) == ("W_ux", "W_ua", "W_cx")
    assert resolve(["Wz", "Wr", "Wh"], "gru", {}) == {"Wz": "W_u", "Wr": "W_r", "Wh": "W_c"}
    assert resolve(["Wx", "Wh", "b"], "gru", {}) == {"Wx": "W_x", "Wh": "W_h", "b": "b"}


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
