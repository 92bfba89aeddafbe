"""What every way of telling is made from: entries, the table on numbers, the studies; for every cell."""

import math
from pathlib import Path

import numpy as np
import pytest
from problems import OUTPUTS, assert_close, cells, problem

import unrolled as un
from unrolled.equations.entries import Scalar, entry_equation, entry_of
from unrolled.equations.formulas import PYTHON, formula
from unrolled.equations.table import record_stage
from unrolled.errors import UnrolledError
from unrolled.explaining import studies
from unrolled.explaining.examples import read_example
from unrolled.explaining.explanation import explain
from unrolled.explaining.sentences import sentence, symbol
from unrolled.explaining.softmax import THREE_WAYS
from unrolled.explaining.writing import number

PEEPHOLE = str(Path(__file__).parent / "peephole_lstm.py")
CONFIGURATIONS = [
    *((cell, activation, "softmax", None) for cell, activation in [*cells(), (PEEPHOLE, None)]),
    *(("rnn", None, output, loss) for output, loss in OUTPUTS),
]


def explained(cell="rnn", activation=None, output="softmax", loss=None, **sizes):
    one = problem(cell, activation, output, loss, **sizes)
    return explain(one.net, one.X, one.Y, one.state)


def evaluated(scalar: Scalar, explanation, t):
    """The value of an entry whose indices are numbers, by walking its tree: an oracle of its own."""

    def value(name, step):
        at = {"t-1": t and t - 1, "t+1": t is not None and t + 1, "0": 0}.get(step, t)
        return explanation.value(name, at)

    def run(node):
        if node.operation == "entry":
            return value(node.name, node.step)[node.at]
        if node.operation == "number":
            return node.value
        if node.operation in ("sum", "largest"):
            size = explanation.sizes[node.axis]
            terms = [run(node.operands[0].placed({node.name: k})) for k in range(size)]
            return math.fsum(terms) if node.operation == "sum" else max(terms)
        if node.operation == "call":
            return run(node.operands[-1])
        a, *others = map(run, node.operands)
        return {
            "add": lambda b: a + b, "subtract": lambda b: a - b, "multiply": lambda b: a * b,
            "divide": lambda b: a / b, "negative": lambda: -a, "square": lambda: a * a,
            "exp": lambda: math.exp(a), "log": lambda: math.log(a), "log1p": lambda: math.log1p(a),
            "tanh": lambda: math.tanh(a), "less": lambda b: a < b, "at_most": lambda b: a <= b,
            "where": lambda b, c: b if a else c,
        }[node.operation](*others)  # fmt: skip

    return run(scalar)


@pytest.mark.parametrize(("cell", "activation", "output", "loss"), CONFIGURATIONS)
def test_each_entry_says_what_numpy_computed(cell, activation, output, loss):
    explanation = explained(cell, activation, output, loss)
    for moment in explanation.moments:
        if moment.equation.expression.operation in ("next", "over_time", "first"):
            continue
        right = explanation.value(*moment.key)
        entry = entry_equation(explanation.table, moment.equation)
        i, j = (n - 1 for n in right.shape)
        found = evaluated(entry.placed({"i": i, "j": j}), explanation, moment.t)
        scale = max(np.abs(right).max(), 1e-3)
        assert found == pytest.approx(right[i, j], rel=1e-12, abs=1e-13 * scale), moment.label


@pytest.mark.parametrize(("cell", "activation", "output", "loss"), CONFIGURATIONS)
def test_the_table_on_numbers_is_the_tape(cell, activation, output, loss):
    explanation = explained(cell, activation, output, loss)
    values = explanation.computed()
    for moment in explanation.moments:
        found, right = values[moment.key], explanation.value(*moment.key)
        assert found.shape == right.shape
        assert np.allclose(found, right, rtol=1e-12, atol=1e-14 * np.abs(right).max())


def test_formulas_in_python_are_the_entries():
    explanation = explained("gru", output="sigmoid")
    known = {name: getattr(math, name) for name in ("exp", "log", "log1p", "tanh")} | {"max": max}
    for moment in explanation.moments:
        t, entry = moment.t, entry_equation(explanation.table, moment.equation)
        if t == 2 and moment.equation.direction in ("forward", "backward"):
            text = formula(
                entry.placed({"i": 0, "j": 0}),
                lambda leaf, t=t: repr(float(explanation.value(leaf.name, t)[leaf.at])),
                explanation.sizes, PYTHON,
            )  # fmt: skip
            right = explanation.value(*moment.key)[0, 0]
            assert eval(text, known) == pytest.approx(right, rel=1e-12, abs=1e-15)


def test_nan_stays_nan_in_an_entry():
    explanation = explained("rnn", "relu")
    equation = next(e for e in explanation.table.equations if e.name == "a")
    entry = entry_equation(explanation.table, equation)
    text = formula(entry.placed({"i": 0, "j": 0}), lambda _: "z", explanation.sizes, PYTHON)
    assert math.isnan(eval(text, {"z": math.nan}))
    assert eval(text, {"z": -2.0}) == 0
    assert eval(text, {"z": 2.0}) == 2.0


def test_what_is_left_out_is_what_truncated_backpropagation_leaves_out():
    """Without da_next only the losses' own steps are reached, as BPTT(1, 1) does."""
    one = problem("gru")
    explanation = explain(one.net, one.X, one.Y, one.state)
    values = explanation.computed(without={"da_next"})
    truncated = un.truncated_gradients(one.net, one.X, one.Y, k1=1, k2=1, state=one.state)
    for name, gradient in truncated.gradients.items():
        if name in one.net.parameters:
            assert_close(values[f"d{name}", None], gradient)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_how_a_loss_depends_on_a_state_is_the_gradient_of_what_comes_after_it(cell):
    one = problem(cell)
    explanation = explain(one.net, one.X, one.Y, one.state)
    states = one.net.architecture.step.states
    for s in range(explanation.T):
        for t in range(s):
            later = one.Y[:, t + 1 :].copy()
            later[:, [k for k in range(later.shape[1]) if k != s - t - 1]] = -1
            state = {n: explanation.value(n, t) for n in states}
            _, gradients = one.net.loss_and_gradients(
                one.X[:, :, t + 1 :], later, state, reduction="sum", inputs=True
            )
            share = explanation.value("omega", s).max()
            assert_close(studies.influence(explanation)[s, t], gradients["a0"] * share)


def test_influences_add_up():
    explanation = explained("lstm")
    for state in ("a", "c"):
        found = studies.influence(explanation, state)
        for t in range(explanation.T):
            total = sum(found[s, t] for s in range(t, explanation.T))
            assert_close(total, explanation.value(f"d{state}", t))


@pytest.mark.parametrize("cell", ["rnn", "lstm", PEEPHOLE])
def test_products_add_up_to_the_gradient(cell):
    explanation = explained(cell)
    for name in explanation.table.step.parameters:
        total = explanation.value(f"d{name}", None)
        i, j = (n - 1 for n in total.shape)
        products = studies.products(explanation, name, i, j)
        assert products.shape == (7, 4)
        assert_close(products.sum(), total[i, j])
        shares = [explanation.value(f"d{name}", t)[i, j] for t in range(4)]
        assert np.allclose(products.sum(axis=0), shares, rtol=1e-12, atol=1e-16)


def test_three_ways_are_one():
    explanation = explained("rnn")
    for t in range(explanation.T):
        for k in range(explanation.m):
            found = studies.three_ways(explanation, t, k)
            share = explanation.value("omega", t)[0, k]
            dz_y = explanation.value("dz_y", t)[:, k : k + 1]
            if share:
                for way in ("by_jacobian", "by_chain", "by_shortcut"):
                    assert_close(found[way] * share, dz_y)
            jacobian = un.activations.softmax_jacobian(found["y_hat"][:, 0])
            assert np.allclose(found["jacobian"], jacobian, rtol=1e-15)


def test_the_study_of_the_softmax_has_entries():
    equations, shapes = record_stage(THREE_WAYS)
    assert {e.name for e in equations} >= {"by_jacobian", "by_chain", "by_shortcut"}
    for equation in equations:
        assert entry_of(equation.expression, shapes).operation


def test_saturated_units_are_found():
    explanation = explained("rnn", scale=400.0)
    lost = studies.lost(explanation)
    assert lost
    for one in lost:
        value = explanation.value(*one.key)
        assert (value == 0).sum() >= one.entries
    assert not studies.lost(explained("rnn"))


def test_shortened_is_the_same_calculation_on_less():
    explanation = explained("gru")
    short = studies.shortened(explanation, 2, 3)
    assert (short.m, short.T) == (2, 3)
    assert_close(short.value("a", 2), explanation.value("a", 2)[:, :2])
    assert "first 2 of 7" in short.notes[-1]
    assert studies.shortened(explanation, 7, 4) is explanation


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.0, "0"), (1.0, "1"), (-0.03125, "−0.03125"), (1234.5678, "1235"), (0.00012346, "0.0001235"),
     (123456.0, "1.235e5"), (1.2e-17, "1.2e−17"), (math.nan, "NaN"), (-math.inf, "−∞"), (9.99996, "10")],
)  # fmt: skip
def test_numbers_are_written(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("cell", "activation", "output", "loss"), CONFIGURATIONS)
@pytest.mark.parametrize("sizes", [{}, {"m": 1, "T": 1}])
def test_every_moment_has_a_sentence(cell, activation, output, loss, sizes):
    explanation = explained(cell, activation, output, loss, **sizes)
    for moment in explanation.moments:
        told = sentence(explanation, moment)
        assert told.endswith(".")
        assert ".." not in told
        for name in moment.equation.expression.names:  # all that it is made from is named
            linked = moment.equation.direction in ("link", "total")
            assert linked or symbol(*explanation.table.placed(name, moment.t)) in told


def test_what_is_no_network_is_said():
    with pytest.raises(un.UnrolledError, match="net is str: expected a Network"):
        un.explain("rnn", None, None)


@pytest.mark.parametrize(
    "settings", [{"layers": 2}, {"bidirectional": True}, {"embedding": 2}],
)  # fmt: skip
def test_what_cannot_be_explained_is_said(settings):
    one = problem("rnn", **settings)
    with pytest.raises(un.UnrolledError, match="expected one layer in one direction"):
        un.explain(one.net, one.X, one.Y)


def test_a_step_that_is_not_there_is_a_sentence():
    explanation = read_example("small")
    with pytest.raises(UnrolledError, match="there is no step 3 of dz_a: expected 0 to 2"):
        explanation.value("dz_a", 3)
