"""Layers, directions, lengths, dropout, embedding: every option, every cell, every engine."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import Problem, assert_close, complex_step, problem

import unrolled as un
from unrolled.cells import cell_names
from unrolled.engines import engine_names

CELLS = cell_names()
ENGINES = engine_names()
OPTIONS = [
    {"layers": 2}, {"bidirectional": True}, {"layers": 2, "bidirectional": True, "dropout": 0.4},
    {"lengths": True}, {"lengths": True, "last": True}, {"bidirectional": True, "last": True},
    {"bidirectional": True, "lengths": True, "last": True, "layers": 2, "labels": True},
    {"embedding": 4}, {"embedding": 4, "labels": True, "lengths": True}, {"layers": 3, "m": 1},
    {"bidirectional": True, "T": 1}, {"bidirectional": True, "m": 1, "lengths": True},
    {"layers": 2, "dropout": 0.4, "lengths": True, "output": "linear"},
    {"n_x": 4, "n_a": 4, "n_y": 4, "m": 4, "layers": 2, "bidirectional": True},
]  # fmt: skip


def _gradients(p: Problem, **more):
    return p.net.loss_state_and_gradients(*p.arguments, inputs=True, **more)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_every_option_is_complex_step(cell, options, engine):
    p = problem(cell, engine=engine, seed=2, **{"T": 3, "m": 3, **options})
    loss, _, gradients = _gradients(p, dropout_seed=5)
    values = p.values()
    assert_close(loss, p.run(values, dropout_seed=5).loss, 13)
    names = [
        n
        for n in values
        if n.endswith(("W_ca", "W_aa", "W_ax", "b_a", "b_c", "W_ya", "W_ex", "0", "x"))
    ]
    assert len(names) >= 4
    for name in names:
        expected = complex_step(lambda v: p.run(v, dropout_seed=5).loss, values, name)
        if np.any(expected):
            assert_close(gradients[name], expected, 11)
        else:
            assert not np.any(gradients[name])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", [{}, {"layers": 2}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_what_padding_contains_is_never_seen(cell, options, engine):
    p = problem(cell, engine=engine, lengths=True, T=6, m=5, **options)
    p.lengths[:] = [3, 6, 1, 4, 4]
    over = np.arange(6) >= p.lengths[:, None]
    loss, state, gradients = _gradients(p)
    tape, run = p.net.tape(*p.arguments), p.net.forward(p.X, p.state, p.lengths)
    for padding, label in ((np.nan, 99), (np.inf, -7), (1e300, 1), (0.0, -1)):
        other = dataclasses.replace(p, X=np.where(over, padding, p.X), Y=np.where(over, label, p.Y))
        same, final, others = _gradients(other)
        assert same == loss
        for name, gradient in gradients.items():
            assert np.array_equal(others[name], gradient), name
        for name, value in state.items():
            assert np.array_equal(final[name], value)
        again = other.net.tape(*other.arguments)
        for name in tape:
            assert np.array_equal(again[name], tape[name]), name
        quantities = other.net.forward(other.X, other.state, other.lengths)
        for name in run:
            assert np.array_equal(quantities[name], run[name]), name
    assert not gradients["x"][:, over].any()
    for name in [n for n in run if run[n].shape[1:] == (5, 6)]:
        assert not run[name][:, over].any(), name
        assert not tape[name][:, over].any(), name
    assert all(np.isfinite(tape[name]).all() for name in tape)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "bidirectional": True}], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_of_lengths_is_its_sequences_one_by_one(cell, options, last, engine):
    p = problem(cell, engine=engine, lengths=True, last=last, T=5, output="linear", **options)
    _, state, gradients = p.net.loss_state_and_gradients(*p.arguments, reduction="sum", inputs=True)
    total = dict.fromkeys(p.net.parameters, 0.0)
    run = p.net.forward(p.X, p.state, p.lengths, many_to_one=last)
    for k, length in enumerate(p.lengths):
        Y = p.Y[:, k : k + 1] if last else p.Y[:, k : k + 1, :length]
        one = dataclasses.replace(
            p, X=p.X[:, k : k + 1, :length], Y=Y, lengths=None,
            state={s: v[:, k : k + 1] for s, v in p.state.items()},
        )  # fmt: skip
        _, final, found = one.net.loss_state_and_gradients(
            *one.arguments, reduction="sum", inputs=True
        )
        for name in total:
            total[name] = total[name] + found[name]
        assert_close(gradients["x"][:, k : k + 1, :length], found["x"], 12)
        for name, value in final.items():
            assert_close(state[name][:, k : k + 1], value, 12)
            assert_close(gradients[f"{name}0"][:, k : k + 1], found[f"{name}0"], 11)
        alone = one.net.forward(one.X, one.state, many_to_one=last)
        assert_close(run["y_hat"][:, k : k + 1, :length], alone["y_hat"], 12)
    for name, gradient in gradients.items():
        if name in total:
            assert_close(total[name], gradient, 12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_the_backward_direction_is_the_forward_one_on_reversed_input(cell, lengths, engine):
    p = problem(cell, bidirectional=True, lengths=lengths, engine=engine, T=5, output="linear")
    one = problem(cell, engine=engine, T=5, output="linear")
    for name in one.net.architecture.step.recurrence.parameters:
        one.net.parameters[name] = p.net.parameters[f"layer0.backward.{name}"].copy()
    ends = np.full(7, 5) if p.lengths is None else p.lengths
    turned = np.zeros_like(p.X)
    for k, end in enumerate(ends):
        turned[:, k, :end] = p.X[:, k, :end][:, ::-1]
    state = {s: p.state[f"layer0.backward.{s}"] for s in one.net.architecture.step.states}
    both, alone = p.net.forward(p.X, p.state, p.lengths), one.net.forward(turned, state, p.lengths)
    for k, end in enumerate(ends):
        assert_close(both["layer0.backward.a"][:, k, :end][:, ::-1], alone["a"][:, k, :end], 13)
    for s in one.net.architecture.step.states:
        assert_close(both.state[f"layer0.backward.{s}"], alone.state[s], 13)
    assert np.array_equal(both["a"][:5], both["layer0.forward.a"])
    assert np.array_equal(both["a"][5:], both["layer0.backward.a"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell", CELLS)
def test_two_chunks_with_the_states_carried_are_one_run(cell, engine):
    p = problem(cell, layers=3, T=7, engine=engine)
    whole = p.net.forward(p.X, p.state)
    first = p.net.forward(p.X[:, :, :3], p.state)
    second = p.net.forward(p.X[:, :, 3:], first.state)
    assert first.state.keys() == p.state.keys() == {*p.net.architecture.states}
    assert_close(np.concatenate([first["y_hat"], second["y_hat"]], axis=2), whole["y_hat"], 13)
    for name, value in whole.state.items():
        assert_close(second.state[name], value, 13)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cell", CELLS)
def test_many_to_one_sees_each_directions_own_last_state(cell, engine):
    p = problem(cell, bidirectional=True, lengths=True, last=True, output="linear", engine=engine)
    run = p.net.forward(p.X, p.state, p.lengths)
    seen = np.concatenate([run.state["layer0.forward.a"], run.state["layer0.backward.a"]])
    y_hat = p.net.parameters["W_ya"] @ seen + p.net.parameters["b_y"]
    assert_close(p.net.loss(*p.arguments), 0.5 * np.sum((y_hat - p.Y) ** 2) / 7, 13)
    last = p.net.forward(p.X, p.state, p.lengths, many_to_one=True)["y_hat"]
    assert_close(last[:, np.arange(7), p.lengths - 1], y_hat, 13)
    tape = p.net.tape(*p.arguments)
    assert_close(tape.loss, p.net.loss(*p.arguments), 13)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("options", [
    {"layers": 2, "bidirectional": True}, {"layers": 2, "lengths": True, "dropout": 0.5},
    {"bidirectional": True, "lengths": True, "embedding": 4},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_any_upstream(cell, options, engine):
    """Random gradients on outputs, on every layer's states at every step and on the final ones."""
    p = problem(cell, engine=engine, T=3, m=3, **options)
    run = p.net.forward(p.X, p.state, p.lengths, dropout_seed=4)
    random = np.random.default_rng(9)
    names = ["y_hat", "z_y", "a", *p.net.architecture.states]
    upstream = {name: random.standard_normal(run[name].shape) for name in names}
    final = {s: random.standard_normal(v.shape) for s, v in run.state.items()}
    gradients = p.net.backward(run, {**upstream, "state": final}, inputs=True)
    over = np.arange(3) >= (np.full(3, 3) if p.lengths is None else p.lengths)[:, None]

    def objective(values):
        moved = p.run(values, targets=False, dropout_seed=4)
        arrays = {"a": moved.outputs, **moved.kept["head"].arrays}
        for sweep in p.net.architecture.every_sweep:
            arrays |= {
                f"{sweep.prefix}{s}": moved.kept[sweep.prefix].arrays[s]
                for s in p.net.architecture.step.states
            }
        terms = [
            np.sum(upstream[n] * np.where(over, 0, moved.batch.as_given(arrays[n]))) for n in names
        ]
        states = {s: moved.batch.as_given(v) for s, v in moved.state.items()}
        return sum(terms) + sum(np.sum(final[s] * states[s]) for s in final)

    values = p.values()
    for name in values:
        assert_close(gradients[name], complex_step(objective, values, name), 11)


def test_dropout_leaves_out_the_same_for_the_same_seed():
    p = problem("lstm", layers=3, dropout=0.5, T=20, m=30, n_a=11)
    masks = p.net.batch(*p.arguments, dropout_seed=3).dropped
    assert len(masks) == 2
    assert not np.array_equal(*masks)
    for mask in masks:
        assert set(np.unique(mask)) == {0.0, 2.0}
        assert 0.45 < (mask == 0).mean() < 0.55
    losses = [p.net.loss(*p.arguments, dropout_seed=seed) for seed in (3, 3, 4, None)]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3
    none = problem("lstm", layers=3, T=20, m=30, n_a=11)
    assert none.net.loss(*none.arguments, dropout_seed=3) == losses[3]
    assert problem(dropout=0.5).net.batch(*problem().arguments, dropout_seed=1).dropped == ()
    with pytest.raises(un.UnrolledError, match="dropout_seed is -1"):
        p.net.loss(*p.arguments, dropout_seed=-1)


def test_dropout_keeps_the_mean():
    p = problem("rnn", layers=2, dropout=0.3, T=4, m=5000, n_a=3)
    without = p.net.forward(p.X)["layer1.forward.z_a"].mean(axis=1)
    with_it = p.net.forward(p.X, dropout_seed=1)["layer1.forward.z_a"].mean(axis=1)
    assert np.abs(with_it[:, 0] - without[:, 0]).max() < 0.05


@pytest.mark.parametrize("engine", ENGINES)
def test_an_embedding_is_a_look_up(engine):
    p = problem("gru", embedding=4, labels=True, engine=engine)
    run = p.net.forward(p.X, p.state)
    W = p.net.parameters["W_ex"]
    assert W.shape == (4, 3)
    assert_close(run["e"], W[:, p.X], 15)
    one_hot = (np.arange(3)[:, None, None] == p.X).astype(float)
    _, expected = p.net.loss_and_gradients(one_hot, p.Y, p.state)
    for name, gradient in p.net.loss_and_gradients(*p.arguments)[1].items():
        assert_close(gradient, expected[name], 13)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_vocabulary_is_looked_up_as_a_small_one(engine):
    """From 257 rows on, the gradient of a look-up is added up by another way."""
    p = problem("lstm", n_x=600, embedding=3, labels=True, T=9, m=20, engine=engine)
    _, gradients = p.net.loss_and_gradients(*p.arguments)
    one_hot = (np.arange(600)[:, None, None] == p.X).astype(float)
    _, expected = p.net.loss_and_gradients(one_hot, p.Y, p.state)
    assert_close(gradients["W_ex"], expected["W_ex"], 13)
    untouched = np.setdiff1d(np.arange(600), p.X)
    assert not gradients["W_ex"][:, untouched].any()


def test_names_shapes_and_starts():
    net = un.Network("lstm", n_x=3, n_a=5, n_y=2, layers=2, bidirectional=True, embedding=4)
    shapes = {name: value.shape for name, value in net.parameters.items()}
    assert list(shapes)[:2] == ["W_ex", "layer0.forward.W_fa"]
    assert shapes["W_ex"] == (4, 3)
    assert shapes["layer0.backward.W_fx"] == (5, 4)
    assert shapes["layer1.forward.W_fx"] == (5, 10)
    assert shapes["W_ya"] == (2, 10)
    assert (net.parameters["layer1.backward.b_f"] == 1).all()
    W = net.parameters["layer1.forward.W_ca"]
    assert_close(W @ W.T, np.eye(5), 13)
    assert net.parameters["layer1.backward.W_f"].shape == (5, 15)
    assert "n_e" not in net.sizes
    plain = un.Network("rnn", n_x=3, n_a=5, n_y=2)
    assert list(plain.parameters) == ["W_aa", "W_ax", "b_a", "W_ya", "b_y"]


@pytest.mark.parametrize("options", [{"layers": 2}, {"bidirectional": True}], ids=str)
def test_a_saved_network_of_more_is_the_same(tmp_path, options):
    p = problem("gru", dropout=0.25, embedding=4, **options)
    un.save(p.net, tmp_path / "model.safetensors")
    other = un.load(tmp_path / "model.safetensors")
    assert other.settings == p.net.settings
    assert other.loss(*p.arguments, dropout_seed=1) == p.net.loss(*p.arguments, dropout_seed=1)


def test_the_gradient_check_proves_all_of_it():
    p = problem("lstm", layers=2, bidirectional=True, lengths=True, dropout=0.3, T=3, m=3)
    report = un.gradient_check(p.net, *p.arguments, entries=3, dropout_seed=1)
    assert report.passed, report
    assert {"layer1.backward.W_ca", "layer0.forward.a0", "x"} <= {row.name for row in report.rows}


def test_a_wrong_state_is_said_by_its_names():
    p = problem("rnn", layers=2)
    for state, words in (
        (
            np.zeros((5, 7)),
            "expected a dictionary with any of 'layer0.forward.a', 'layer1.forward.a'",
        ),
        ({"a": np.zeros((5, 7))}, "'layer0.forward.a'"),
        ({"layer0.forward.a": np.zeros((5, 6))}, "has shape (5, 6), expected (n_a, m) = (5, 7)"),
    ):
        with pytest.raises(un.UnrolledError) as error:
            p.net.forward(p.X, state)
        assert words in str(error.value)


@settings(max_examples=60, deadline=None)
@given(cell=st.sampled_from(CELLS), layers=st.integers(1, 3), both=st.booleans(), seed=st.integers(0, 99),
       sizes=st.fixed_dictionaries({n: st.integers(1, 5) for n in ("n_x", "n_a", "n_y", "m", "T")}),
       lengths=st.booleans(), last=st.booleans(), labels=st.booleans(), dtype=st.sampled_from(["float64", "float32"]))  # fmt: skip
def test_engines_agree_on_anything(cell, layers, both, seed, sizes, lengths, last, labels, dtype):
    options = {"layers": layers, "bidirectional": both, "lengths": lengths, "last": last,
               "labels": labels, "dtype": dtype, "seed": seed, "output": "sigmoid"}  # fmt: skip
    results = [_gradients(problem(cell, engine=engine, **options, **sizes)) for engine in ENGINES]
    for loss, state, gradients in results[1:]:
        digits = 12 if dtype == "float64" else 4
        assert_close(loss, results[0][0], digits)
        for found, expected in ((state, results[0][1]), (gradients, results[0][2])):
            for name, value in expected.items():
                if np.any(value):
                    assert_close(found[name], value, digits)


@pytest.mark.parametrize(
    "options", [{"layers": 2}, {"bidirectional": True, "lengths": True}], ids=str
)
def test_why_a_layer_cannot_be_tested_is_said(options):
    """Saturated units let nothing through; the reason is found in the layer that has them."""
    p = problem("rnn", scale=300.0, n_a=3, **options)
    p.net.parameters["W_ya"] /= 300
    report = un.gradient_check(p.net, *p.arguments, entries=3, directions=0)
    notes = [row.note for row in report.rows if row.verdict == "not testable"]
    assert notes
    assert all("is saturated" in note for note in notes), notes
