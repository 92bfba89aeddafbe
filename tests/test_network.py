"""What a network is: equalities between ways to say the same thing."""

import copy
import inspect
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import assert_close, cells, problem

import unrolled as un
from unrolled.cells import rnn
from unrolled.engines import engine_names

CELLS = list(cells())


def test_the_names_of_the_design():
    net = un.Network(cell="rnn", n_x=3, n_a=5, n_y=2, activation="tanh", output="softmax",
                     layers=1, bidirectional=False, dtype="float64", seed=0, engine="auto")  # fmt: skip
    random = np.random.default_rng(0)
    X, Y = random.standard_normal((3, 7, 4)), random.integers(0, 2, (7, 4))
    run = net.forward(X, state=None, lengths=None)
    assert (run["z_a"].shape, run["a"].shape, run["y_hat"].shape) == (
        (5, 7, 4),
        (5, 7, 4),
        (2, 7, 4),
    )
    assert run.state["a"].shape == (5, 7)
    loss, gradients = net.loss_and_gradients(
        X, Y, state=None, lengths=None, reduction="mean", inputs=False
    )
    assert isinstance(loss, float)
    assert {n: g.shape for n, g in gradients.items()} == {
        "W_aa": (5, 5), "W_ax": (5, 3), "b_a": (5, 1), "W_ya": (2, 5), "b_y": (2, 1),
    }  # fmt: skip
    gradients = net.backward(run, {"a": np.ones((5, 7, 4)), "state": {"a": np.ones((5, 7))}})
    assert gradients["W_aa"].shape == (5, 5)
    assert net.tape(X, Y)["dz_a"].shape == (5, 7, 4)
    assert un.gradient_check(net, X, Y).passed


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_two_runs_with_the_state_carried_are_one(cell, activation):
    p = problem(cell, activation, T=9)
    whole = p.net.forward(p.X, p.state)
    first = p.net.forward(p.X[:, :, :4], p.state)
    second = p.net.forward(p.X[:, :, 4:], first.state)
    assert_close(np.concatenate([first["y_hat"], second["y_hat"]], axis=2), whole["y_hat"], 14)
    for name, value in whole.state.items():
        assert_close(second.state[name], value, 14)


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_a_batch_is_its_sequences(cell, activation):
    p = problem(cell, activation, last=True)
    p.Y[:] = np.arange(7) % 2
    loss, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    parts = [p.net.loss_and_gradients(p.X[:, k : k + 1], p.Y[k : k + 1],
                                      {s: v[:, k : k + 1] for s, v in p.state.items()}, inputs=True)
             for k in range(7)]  # fmt: skip
    assert_close(np.mean([part[0] for part in parts]), loss, 14)
    for name in p.net.parameters:
        assert_close(np.mean([part[1][name] for part in parts], axis=0), gradients[name], 13)
    assert_close(np.concatenate([part[1]["x"] for part in parts], axis=1) / 7, gradients["x"], 13)


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_labels_are_one_hot_columns(cell, activation):
    p = problem(cell, activation, labels=True, seed=4)
    X = (np.arange(3)[:, None, None] == p.X).astype(float)
    Y = (np.arange(2)[:, None, None] == p.Y).astype(float)  # −1 becomes a column of zeros
    loss, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    same, others = p.net.loss_and_gradients(X, Y, p.state, inputs=True)
    assert_close(loss, same, 15)
    for name, gradient in others.items():
        assert_close(gradients[name], gradient, 14)


@pytest.mark.parametrize("output", ["softmax", "linear"])
def test_many_to_one_is_many_to_many_with_one_target(output):
    p = problem("gru", output=output, last=True)
    if output == "softmax":
        Y = np.full((7, 4), -1)
        Y[:, -1] = p.Y
        assert p.net.loss_and_gradients(p.X, Y)[0] == p.net.loss_and_gradients(p.X, p.Y)[0]
    else:
        last = p.net.forward(p.X)["y_hat"][:, :, -1]
        assert_close(p.net.loss(p.X, p.Y), 0.5 * np.sum((last - p.Y) ** 2) / 7, 14)


def test_no_target_contributes_nothing():
    p = problem("lstm")
    loss, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    tape = p.net.tape(*p.arguments)
    assert not tape["dz_y"][:, p.Y < 0].any()
    assert not tape["losses"][:, p.Y < 0].any()
    assert_close(tape["losses"].sum() / (p.Y >= 0).sum(), loss, 14)
    assert gradients["x"].any()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_huge_logits_have_a_finite_loss_and_gradient(cell):
    """Cross-entropy never takes the log of 0, whatever the logits."""
    p = problem(cell)
    p.net.parameters["b_y"][:, 0] = [1000.0, -1000.0]
    Y = np.ones((7, 4), int)
    loss, gradients = p.net.loss_and_gradients(p.X, Y, p.state)
    assert_close(loss, 2000, 2)
    assert_close(gradients["b_y"], [[1.0], [-1.0]], 15)
    p.net.parameters["b_y"][:] = 1000.0
    near, expected = p.net.loss(p.X, Y, p.state), None
    p.net.parameters["b_y"][:] = 0.0
    expected = p.net.loss(p.X, Y, p.state)
    assert_close(near, expected, 12)


def test_sigmoid_cross_entropy_of_huge_logits():
    p = problem("rnn", output="sigmoid")
    p.net.parameters["b_y"][:, 0] = [800.0, -800.0]
    Y = np.stack([np.zeros((7, 4)), np.ones((7, 4))])
    assert_close(p.net.loss(p.X, Y), 1600, 2)
    assert p.net.loss(p.X, 1 - Y) < 1e-300


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_the_same_seed_gives_the_same_bytes(cell, activation):
    one, other = (
        un.Network(cell, n_x=3, n_a=5, n_y=2, activation=activation, seed=6) for _ in "12"
    )
    different = un.Network(cell, n_x=3, n_a=5, n_y=2, activation=activation, seed=7)
    for name, value in one.parameters.items():
        assert value.tobytes() == other.parameters[name].tobytes()
        assert value.flags.f_contiguous
    assert any(not np.array_equal(v, different.parameters[n]) for n, v in one.parameters.items())


def test_where_parameters_start():
    net = un.Network("lstm", n_x=30, n_a=40, n_y=20, seed=1)
    W = net.parameters["W_fa"]
    assert_close(W @ W.T, np.eye(40), 13)
    limit = np.sqrt(6 / 70)
    assert 0.95 * limit < np.abs(net.parameters["W_fx"]).max() <= limit
    assert (net.parameters["b_f"] == 1).all(), "an LSTM remembers at first"
    assert not net.parameters["b_i"].any()
    small = un.Network("lstm", n_x=30, n_a=40, n_y=20, seed=1, dtype="float32")
    for name, value in net.parameters.items():
        assert np.array_equal(small.parameters[name], value.astype("float32"))


def test_a_new_softmax_network_starts_near_chance():
    net = un.Network("gru", n_x=27, n_a=64, n_y=27)
    random = np.random.default_rng(0)
    X, Y = random.integers(0, 27, (16, 20)), random.integers(0, 27, (16, 20))
    assert abs(net.loss(X, Y) / np.log(27) - 1) < 0.15


def test_state_given_as_an_array_is_a0():
    p = problem("lstm")
    a0 = p.state["a"]
    one = p.net.forward(p.X, a0)
    other = p.net.forward(p.X, {"a": a0, "c": np.zeros_like(a0)})
    assert np.array_equal(one["y_hat"], other["y_hat"])


def test_parameters_can_be_changed_in_place():
    p = problem("rnn")
    before = p.net.loss(*p.arguments)
    p.net.parameters["W_aa"] *= 0.5
    assert p.net.loss(*p.arguments) != before


def test_a_run_keeps_its_own_numbers():
    """Changing X or the parameters after a forward does not change that run's backward."""
    p = problem("gru")
    p.X = np.asfortranarray(p.X)  # in the engine's own layout, so that nothing has to copy it
    run, untouched = p.net.forward(p.X, p.state), p.net.forward(p.X.copy(), p.state)
    upstream = {"a": np.ones((5, 7, 4))}
    expected = p.net.backward(untouched, upstream, inputs=True)
    p.X[:] = 0.0
    p.net.parameters["W_ca"][:] = 0.0
    found = p.net.backward(run, upstream, inputs=True)
    for name, gradient in expected.items():
        assert np.array_equal(found[name], gradient)


def test_nothing_given_is_changed():
    p = problem("lstm")
    copies = [p.X.copy(), p.Y.copy(), {s: v.copy() for s, v in p.state.items()}]
    p.net.loss_and_gradients(*p.arguments, inputs=True)
    p.net.tape(*p.arguments)
    assert np.array_equal(p.X, copies[0])
    assert np.array_equal(p.Y, copies[1])
    for name, value in p.state.items():
        assert np.array_equal(value, copies[2][name])


def test_a_recorded_quantity_cannot_be_written_over():
    p = problem("rnn")
    run = p.net.forward(p.X)
    with pytest.raises(ValueError, match="read-only"):
        run["a"][:] = 7
    with pytest.raises(ValueError, match="read-only"):
        run["x"][:] = 7
    with pytest.raises(ValueError, match="read-only"):
        p.net.tape(*p.arguments).gradients["W_aa"][:] = 7
    for key in (slice(1, 2), None, 1.5, True):
        with pytest.raises(KeyError, match="expected a name, or a step t"):
            run[key]


@pytest.mark.parametrize("targets", [False, True])
def test_the_upstream_is_all_that_goes_back(targets):
    """A tape of a loss has targets, but going back from an upstream does not add its loss."""
    p = problem("lstm")
    run = p.net.tape(*p.arguments) if targets else p.net.forward(p.X, p.state)
    assert not any(gradient.any() for gradient in p.net.backward(run, {}).values())
    upstream = {"y_hat": np.arange(56.0).reshape(2, 7, 4), "a": np.ones((5, 7, 4))}
    expected = p.net.backward(p.net.forward(p.X, p.state), upstream)
    for name, gradient in p.net.backward(run, upstream).items():
        assert_close(gradient, expected[name], 12)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_not_read_from_the_cells_file_again(tmp_path, copied):
    path = tmp_path / "mine.py"
    path.write_bytes(Path(rnn.__file__).read_bytes())
    for cell in (str(path), rnn):
        p = problem(cell)
        path.unlink(missing_ok=True)
        run = p.net.forward(p.X)
        assert copied(p.net).backward(run, {"a": run["a"]})["W_aa"].any()
    with pytest.raises(un.UnrolledError, match="not pickled"):
        pickle.dumps(p.net)


def test_a_network_of_a_module_is_saved_by_its_name(tmp_path):
    p = problem(rnn)
    un.save(p.net, tmp_path / "model.safetensors")
    assert un.load(tmp_path / "model.safetensors").loss(*p.arguments) == p.net.loss(*p.arguments)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_a_copy_is_the_same_and_its_own(cell, activation, copied):
    p = problem(cell, activation, dtype="float32")
    other = copied(p.net)
    assert other.settings == p.net.settings
    assert other.loss(*p.arguments) == p.net.loss(*p.arguments)
    other.parameters["b_y"] += 1
    assert not np.array_equal(other.parameters["b_y"], p.net.parameters["b_y"])


@pytest.mark.parametrize("engine", engine_names())
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_training_keeps_only_what_the_backward_asks_for(cell, activation, engine, monkeypatch):
    p = problem(cell, activation, engine=engine)
    held = {}
    backward = p.net.engine.backward

    def spy(stage, parameters, sequences, kept, upstream, keep, memory):
        found, totals = backward(stage, parameters, sequences, kept, upstream, keep, memory)
        held[stage] = set(kept.arrays), set(found.arrays)
        return found, totals

    monkeypatch.setattr(p.net.engine, "backward", spy)
    p.net.loss_and_gradients(*p.arguments)
    asked = set(inspect.signature(p.net.architecture.step.cell.backward).parameters)
    forward, backward_too = held[p.net.architecture.step.recurrence]
    assert forward <= asked | {*p.net.architecture.step.states}
    assert not backward_too
    assert held[p.net.architecture.step.head] == ({"y_hat"}, {"da_y"})


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_side_by_side_are_an_alias(cell):
    """W_f = [W_fa W_fx], as the course writes it, can be read and set."""
    p, other = problem(cell), problem(cell, seed=8)
    names = [name[:-1] for name in p.net.parameters if name.endswith("x")]
    for name in names:
        W = p.net.parameters[name]
        assert W.shape == (5, 8)
        assert np.array_equal(W[:, :5], p.net.parameters[f"{name}a"])
        other.net.parameters[name] = W
        assert name not in other.net.parameters
    for name in p.net.parameters:
        if name.startswith("b_") or name == "W_ya":
            other.net.parameters[name] = p.net.parameters[name]
    assert other.net.loss(*p.arguments) == p.net.loss(*p.arguments)
    with pytest.raises(un.UnrolledError, match=r"has shape \(5, 7\), expected \(n_a, n_a \+ n_x\)"):
        p.net.parameters[names[0]] = np.zeros((5, 7))
    with pytest.raises(un.UnrolledError, match="complex128: expected real numbers"):
        p.net.parameters[names[0]] = np.zeros((5, 8)) * 1j
    with pytest.raises(ValueError, match="read-only"):
        p.net.parameters[names[0]][:] = 0
    _, gradients = p.net.loss_and_gradients(*p.arguments)
    assert np.array_equal(gradients[names[0]][:, 5:], gradients[f"{names[0]}x"])
    p.net.parameters.update({names[0]: np.ones((5, 8))})
    assert (p.net.parameters.get(names[0]) == 1).all()
    p.net.parameters |= {names[0]: np.zeros((5, 8))}
    assert not p.net.parameters[f"{names[0]}x"].any()
    with pytest.raises(KeyError, match="W_q is not one of the parameters"):
        p.net.parameters["W_q"]


def test_astype_is_a_copy():
    p = problem("rnn")
    other = p.net.astype("float32")
    other.parameters["W_aa"][:] = 0
    assert p.net.parameters["W_aa"].any()
    assert other.forward(p.X)["a"].dtype == np.float32


@settings(max_examples=40)
@given(sizes=st.fixed_dictionaries({n: st.integers(1, 6) for n in ("n_x", "n_a", "n_y", "m", "T")}),
       cell=st.sampled_from([c for c, _ in CELLS]), seed=st.integers(0, 99))  # fmt: skip
def test_any_sizes_go_down_their_own_gradient(sizes, cell, seed):
    """A small step against the gradient lowers the loss by what the gradient promises."""
    p = problem(cell, seed=seed, output="linear", **sizes)
    loss, gradients = p.net.loss_and_gradients(*p.arguments)
    promised = sum(np.vdot(g, g) for g in gradients.values())
    step = 1e-7
    for name, gradient in gradients.items():
        p.net.parameters[name] -= step * gradient
    fallen = loss - p.net.loss(*p.arguments)
    assert abs(fallen - step * promised) <= 1e-4 * step * promised + 4e-16 * loss


def test_repr_names_the_settings():
    text = repr(un.Network("gru", n_x=3, n_a=5, n_y=2))
    assert "cell='gru'" in text
    assert "152" not in text
    assert "147 parameters" in text
