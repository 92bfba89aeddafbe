"""Every gradient, three ways: complex step, automatic differentiation, and from any upstream."""

import autograd
import numpy as np
import pytest
from problems import OUTPUTS, assert_close, cells, complex_step, problem

from unrolled.engines import engine_names

CELLS = list(cells())
ENGINES = engine_names()


def _check(p, reduction="mean"):
    loss, gradients = p.net.loss_and_gradients(*p.arguments, reduction=reduction, inputs=True)
    values = p.values()
    assert_close(loss, p.run(values, reduction).loss)
    for name in values:
        expected = complex_step(lambda v: p.run(v, reduction).loss, values, name)
        assert_close(gradients[name], expected)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_hand_derived_is_complex_step(cell, activation, output, loss, engine):
    _check(problem(cell, activation, output, loss, engine=engine))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", [
    {"last": True}, {"labels": True}, {"labels": True, "last": True}, {"T": 1}, {"m": 1},
    {"T": 1, "m": 1}, {"n_x": 1}, {"n_a": 1}, {"n_x": 4, "n_a": 4, "n_y": 4, "m": 4, "T": 4},
    {"output": "linear", "last": True}, {"output": "sigmoid", "n_y": 1},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("cell", ["rnn", "gru", "gru_reset_after", "lstm"])
def test_at_the_boundaries(cell, options, engine):
    _check(problem(cell, engine=engine, seed=3, **options))


@pytest.mark.parametrize("reduction", ["mean", "batch", "sum"])
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
def test_reductions(output, loss, reduction):
    _check(problem("lstm", output=output, loss=loss), reduction)


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_reductions_differ_by_their_counts(cell, activation):
    p = problem(cell, activation)
    total, sums = p.net.loss_and_gradients(*p.arguments, reduction="sum")
    for reduction, count in (("mean", (p.Y >= 0).sum()), ("batch", p.Y.shape[0])):
        loss, gradients = p.net.loss_and_gradients(*p.arguments, reduction=reduction)
        assert_close(loss * count, total)
        assert_close(gradients["b_a" if cell == "rnn" else "b_c"] * count,
                     sums["b_a" if cell == "rnn" else "b_c"])  # fmt: skip


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_hand_derived_is_automatic_differentiation(cell, activation, output, loss):
    """The same cell file, differentiated by a program that knows nothing of its backward."""
    p = problem(cell, activation, output, loss, seed=5)
    _, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    expected = autograd.grad(lambda v: p.run(v).loss)(dict(p.values()))
    for name, gradient in expected.items():
        assert_close(gradients[name], gradient)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("output", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_any_upstream(cell, activation, output, engine):
    """Random gradients on outputs, hidden and cell states of every step and on the final states."""
    p = problem(cell, activation, output, engine=engine)
    run = p.net.forward(p.X, p.state)
    random = np.random.default_rng(9)
    names = ["y_hat", "z_y", *p.net.architecture.step.states]
    upstream = {name: random.standard_normal(run[name].shape) for name in names}
    final = {s: random.standard_normal(v.shape) for s, v in run.state.items()}
    gradients = p.net.backward(run, {**upstream, "state": final}, inputs=True)

    def objective(values):
        moved = p.run(values, targets=False)
        arrays = moved.kept["head"].arrays | moved.kept[""].arrays
        terms = [np.sum(upstream[n] * arrays[n]) for n in names]
        return sum(terms) + sum(np.sum(final[s] * moved.state[s]) for s in final)

    values = p.values()
    for name in values:
        assert_close(gradients[name], complex_step(objective, values, name))


@pytest.mark.parametrize("part", ["y_hat", "z_y", "a", "c", "state"])
def test_upstream_of_one_quantity_is_its_share(part):
    """Gradients are linear in the upstream: the sum of parts is the whole."""
    p = problem("lstm")
    run = p.net.forward(p.X, p.state)
    whole = {name: run[name] for name in ("y_hat", "z_y", "a", "c")} | {"state": run.state}
    rest = {name: value for name, value in whole.items() if name != part}
    together = p.net.backward(run, whole)
    one, others = p.net.backward(run, {part: whole[part]}), p.net.backward(run, rest)
    for name, gradient in together.items():
        assert_close(one[name] + others[name], gradient)


def test_loss_gradient_as_upstream_gives_the_same_gradients():
    """The loss's own dz_y, handed in from outside, has to lead to the same parameters' gradients."""
    p = problem("gru")
    tape = p.net.tape(*p.arguments)
    gradients = p.net.backward(p.net.forward(p.X, p.state), {"z_y": tape["dz_y"]}, inputs=True)
    for name, gradient in tape.gradients.items():
        assert_close(gradients[name], gradient)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_two_calls_in_a_row_give_the_same_bytes(cell, activation, engine):
    p = problem(cell, activation, engine=engine)
    first_loss, first = p.net.loss_and_gradients(*p.arguments, inputs=True)
    first = {name: gradient.copy() for name, gradient in first.items()}
    second_loss, second = p.net.loss_and_gradients(*p.arguments, inputs=True)
    assert first_loss == second_loss
    for name in first:
        assert first[name].tobytes() == second[name].tobytes()


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_float32_is_the_rounded_float64(cell, activation):
    exact, rounded = (problem(cell, activation, dtype=d) for d in ("float64", "float32"))
    _, expected = exact.net.loss_and_gradients(*exact.arguments, inputs=True)
    _, found = rounded.net.loss_and_gradients(*rounded.arguments, inputs=True)
    for name, gradient in found.items():
        assert gradient.dtype == np.float32
        assert_close(gradient, expected[name], digits=5)
