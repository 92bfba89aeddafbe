"""The checker is checked: it refuses what is wrong, and says what it cannot test."""

from pathlib import Path

import numpy as np
import pytest
from problems import OUTPUTS, cells, problem

import unrolled as un
from unrolled.cells import load_cell, rnn
from unrolled.gradients import slopes

MISTAKES = {
    "rnn": [
        ("dz_a = g.backward(da, a)", "dz_a = (1 - a**2.001) * da"),
        ("dz_a = g.backward(da, a)", "dz_a = da"),
        ("da = da_y + da_next", "da = da_y + 0 * da_next"),
        ("da = da_y + da_next", "da = da_y + 1.0005 * da_next"),
        ('"da_prev": W_aa.T @ dz_a', '"da_prev": W_aa @ dz_a'),
        ('"dx": W_ax.T @ dz_a', '"dx": 2.001 / 2 * W_ax.T @ dz_a'),
        ('"dW_aa": dz_a @ a_prev.T', '"dW_aa": dz_a @ a.T'),
        ('"dW_aa": dz_a @ a_prev.T', '"dW_aa": a_prev @ dz_a.T'),
        ('"db_a": over_batch(dz_a)', '"db_a": 1.0005 * over_batch(dz_a)'),
    ],
    "lstm": [
        ("dc = dc_next + ", "dc = "),
        ("dc = dc_next + tanh_backward(dtanh_c, tanh_c)", "dc = dc_next + dtanh_c"),
        ("df = c_prev * dc", "df = c_tilde * dc"),
        ('"dc_prev": f * dc', '"dc_prev": dc'),
        ("W_fa.T @ dz_f + W_ia.T @ dz_i", "W_fa.T @ dz_f + W_ia.T @ dz_f"),
    ],
    "gru": [
        ("(1 - u) * da + r * da_reset", "r * da_reset"),
        ('"dW_ca": dz_c @ a_reset.T', '"dW_ca": dz_c @ a_prev.T'),
        ("du = (c_tilde - a_prev) * da", "du = c_tilde * da"),
    ],
    "gru_reset_after": [
        ("dz_ca = r * dz_c", "dz_ca = dz_c"),
        ('"db_ca": over_batch(dz_ca)', '"db_ca": over_batch(dz_c)'),
    ],
}


def _wrong(tmp_path, cell, right, wrong):
    source = Path(load_cell(cell).forward.__code__.co_filename).read_text(encoding="utf-8")
    assert right in source
    path = tmp_path / "wrong.py"
    path.write_text(source.replace(right, wrong, 1).replace("**2.001", "**2 * 1.0005"), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("cell", "right", "wrong"), [(c, *pair) for c, pairs in MISTAKES.items() for pair in pairs]
)
def test_a_wrong_backward_is_refused(tmp_path, cell, right, wrong):
    p = problem(_wrong(tmp_path, cell, right, wrong), n_a=4, n_x=4)
    report = un.gradient_check(p.net, *p.arguments)
    assert report.verdict == "wrong"
    assert not report.passed
    assert "WRONG" in repr(report)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_what_is_right_is_called_right(cell, activation, output, loss, seed):
    p = problem(cell, activation, output, loss, seed=seed)
    report = un.gradient_check(p.net, *p.arguments, entries=6)
    assert report.passed, report


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 3.0, 10.0])
@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_right_code_is_never_called_wrong(cell, activation, scale):
    """Tiny and huge weights, where a check with an absolute tolerance blames right code."""
    p = problem(cell, activation, scale=scale, seed=2)
    report = un.gradient_check(p.net, *p.arguments, entries=5)
    assert report.verdict != "wrong", report


@pytest.mark.parametrize("options", [{"T": 60}, {"T": 1, "m": 1, "n_a": 1}, {"n_y": 1}, {"m": 1}])
def test_odd_sizes_are_right(options):
    output = "linear" if options.get("n_y") == 1 else "softmax"
    p = problem("gru", output=output, **options)
    assert un.gradient_check(p.net, *p.arguments, entries=5).verdict == "right"


def _saturated():
    p = problem("rnn")
    p.net.parameters["b_a"][:, 0] = [60, -60, 70, -70, 80]
    return p


@pytest.mark.parametrize("wrong", ["da / (a - a)", "da * (a + 1e308) * 1e308"])
def test_a_gradient_that_is_no_number_is_wrong(tmp_path, wrong):
    p = problem(_wrong(tmp_path, "rnn", "dz_a = g.backward(da, a)", f"dz_a = {wrong}"))
    assert un.gradient_check(p.net, *p.arguments).verdict == "wrong"


def test_a_loss_that_is_no_number_proves_nothing():
    p = problem("rnn", output="linear")
    p.net.parameters["W_ya"] *= 1e200
    report = un.gradient_check(p.net, *p.arguments)
    assert report.verdict == "not testable"
    assert all("loss is" in row.note for row in report.rows)


def test_logits_of_exactly_zero_are_right():
    """Softplus is smooth at 0, however it is computed."""
    p = problem("rnn", output="sigmoid")
    p.net.parameters["W_ya"][:] = p.net.parameters["b_y"][:] = 0
    rows = {row.name: row for row in un.gradient_check(p.net, *p.arguments).rows}
    assert rows["W_ya"].verdict == rows["b_y"].verdict == "right"


@pytest.mark.parametrize("m", [50, 500, 3000])
def test_a_kink_is_seen_however_small_its_share(m):
    p = problem("rnn", "relu", m=m)
    p.net.parameters["b_a"][2] = 0
    p.X[:, 0, 0] = 0
    report = un.gradient_check(p.net, p.X, p.Y, entries=5)
    rows = {row.name: row for row in report.rows}
    assert report.verdict == rows["b_a"].verdict == "right"
    assert rows["b_a"].on_kink == 1
    assert not report.passed, "an entry on a kink is not proved"
    assert "1 of 5 entries tried meet a kink" in repr(report)


def test_differences_have_a_say_of_their_own(tmp_path, monkeypatch):
    """A complex step that is fooled into agreeing with a wrong gradient does not make it right."""
    p = problem(_wrong(tmp_path, "rnn", *MISTAKES["rnn"][1]))
    gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)[1]
    monkeypatch.setattr(
        slopes.LossFunction, "complex_step",
        lambda self, direction: sum(np.sum(gradients[n] * d) for n, d in direction.items()),
    )  # fmt: skip
    report = un.gradient_check(p.net, *p.arguments)
    assert report.verdict == "wrong"
    assert max(row.complex_error for row in report.rows) < 1e-14


def test_shares_that_cancel_are_named_as_the_reason():
    p = problem("rnn", output="linear", T=2)
    p.net.parameters["W_ya"][:] = p.net.parameters["b_y"][:] = 0
    p.Y[:, :, 1] = -p.Y[:, :, 0]
    rows = {row.name: row for row in un.gradient_check(p.net, *p.arguments).rows}
    assert rows["b_y"].verdict == "not testable"
    assert "the shares of its steps add up to 0" in rows["b_y"].note


def test_exploding_gradients_are_right():
    p = problem("rnn", "relu", T=100)
    p.net.parameters["W_aa"][:] = np.abs(p.net.parameters["W_aa"]) * 3
    report = un.gradient_check(p.net, *p.arguments, entries=5)
    assert max(row.scale for row in report.rows) > 1e20
    assert report.verdict == "right"


def test_inputs_of_very_different_sizes_are_right():
    p = problem("lstm")
    p.X[0] *= 1e5
    for name, value in p.net.parameters.items():
        if name.endswith("x"):
            value[:, 0] /= 1e5
    assert un.gradient_check(p.net, *p.arguments).verdict == "right"


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_rounding_inside_a_product_is_measured(cell):
    """Inputs as large as timestamps, whose size cancels in W x: digits are lost, and none is wrong."""
    p = problem(cell, n_x=64)
    for name, value in p.net.parameters.items():
        if name.endswith("x"):
            value -= value.mean(axis=1, keepdims=True)
    p.X += 1e8
    assert un.gradient_check(p.net, *p.arguments, entries=5).verdict != "wrong"


def test_rounding_inside_a_softmax_is_measured():
    """Nearly one-hot probabilities: 1 − ŷ has few digits, by hand and by complex step."""
    for seed in range(12):
        p = problem("rnn", "sigmoid", "softmax", "squared_error", scale=25.0, n_y=3, seed=seed)
        assert un.gradient_check(p.net, *p.arguments, entries=6).verdict != "wrong"


def test_a_step_is_not_trusted_more_than_the_one_it_is_compared_with():
    """The error of the widest step hides in the rounding of the next one."""
    sizes = {"n_x": 3, "n_a": 2, "m": 4, "T": 40}
    p = problem("gru", scale=6.515887673788342e-08, seed=70231, **sizes)
    p.X[:] *= 3981.0717055349855
    report = un.gradient_check(p.net, *p.arguments, entries=3, reduction="sum")
    assert report.verdict == "right", report


@pytest.mark.parametrize("seed", range(40))
def test_a_saturated_unit_is_never_called_wrong(seed):
    """Sigmoid is exactly 1 at 40: shaken, it must never be exactly 1 again in all runs."""
    net = un.Network("rnn", n_x=1, n_a=1, n_y=2, activation="sigmoid")
    net.parameters["b_a"][:] = 40
    one = np.ones((1, 1))
    report = un.gradient_check(net, one[None], np.array([[1]]), one, seed=seed)
    assert report.verdict != "wrong", report


@pytest.mark.parametrize("cell", ["rnn", "gru"])
@pytest.mark.parametrize(("size", "loss"), [(1.7e9, 2e6), (1.7e12, 1e6)])
def test_differences_too_wide_for_huge_inputs_have_no_say(cell, size, loss):
    """X in seconds since 1970: every difference in W_ax crosses all of tanh."""
    p = problem(cell, output="linear")
    p.X[:] = size + size / 170 * p.X
    p.Y[:] = loss * (1 + 0.1 * p.Y)
    for name, value in p.net.parameters.items():
        if name.endswith("x"):
            value /= size
    assert un.gradient_check(p.net, *p.arguments, entries=5).verdict != "wrong"


@pytest.mark.parametrize("cell", ["gru", "gru_reset_after", "lstm"])
@pytest.mark.parametrize("seed", range(4))
def test_a_steep_place_crossed_by_every_step_is_not_called_wrong(cell, seed):
    """Weights and inputs of 1e-30 to 1e30: a step of any size that can be seen saturates a gate."""
    p = problem(cell, output="sigmoid", T=2, m=1, seed=seed)
    random = np.random.default_rng(seed)
    for value in (*p.net.parameters.values(), p.X):
        value *= 10 ** random.uniform(-30, 30)
    assert un.gradient_check(p.net, *p.arguments, entries=5).verdict != "wrong"


def test_what_underflows_in_a_complex_step_is_not_called_wrong():
    p = problem("rnn", output="linear", T=1)
    p.net.parameters["W_ax"] *= 1e-218
    p.net.parameters["W_ya"] *= 1e218
    assert un.gradient_check(p.net, *p.arguments).verdict != "wrong"


@pytest.mark.parametrize(("wrong", "lost"), [(1.000001, 1e5), (1.0000001, 1e4), (1.0000001, 1e5)])
def test_a_mistake_is_found_behind_rounding_that_is_smaller(tmp_path, wrong, lost):
    change = f"da = {wrong} * ((da_y + da_next + {lost}) - {lost})"
    p = problem(_wrong(tmp_path, "rnn", "da = da_y + da_next", change))
    assert un.gradient_check(p.net, *p.arguments).verdict == "wrong"


@pytest.mark.parametrize("factor", ["1.0005", "3"])
def test_entries_on_a_kink_do_not_set_the_scale(tmp_path, factor):
    wrong = _wrong(tmp_path, "rnn", "over_batch(dz_a)", f"{factor} * over_batch(dz_a)")
    p = problem(wrong, "relu", T=1)
    net = p.net
    net.parameters["b_a"][2] -= net.forward(p.X, p.state)["z_a"][2, 0, 0]
    net.parameters["W_ya"][:, 2] *= 1e10
    rows = {row.name: row for row in un.gradient_check(net, *p.arguments).rows}
    assert rows["b_a"].on_kink == 1
    assert rows["b_a"].verdict == "wrong", rows["b_a"]


def test_the_network_in_memory_is_checked_not_the_file(tmp_path):
    path = Path(_wrong(tmp_path, "rnn", "g.backward(da, a)", "2 * g.backward(da, a)"))
    p = problem(str(path))
    path.write_bytes(Path(rnn.__file__).read_bytes())
    assert un.gradient_check(p.net, *p.arguments).verdict == "wrong"
    path.unlink()
    assert un.gradient_check(p.net, *p.arguments).verdict == "wrong"


def test_a_loss_of_exactly_0_is_not_called_wrong():
    p = problem("rnn", "sigmoid", T=1)
    p.net.parameters["b_y"][:, 0] = [90.0, 0.0]
    Y = np.zeros((7, 1), int)
    assert p.net.loss(p.X, Y, p.state) == 0
    assert un.gradient_check(p.net, p.X, Y, p.state).verdict == "not testable"


def test_rounding_in_a_loss_that_is_nearly_0_is_measured():
    """ŷ − y cancels, so the loss has far fewer digits than its size says, and differences fewer."""
    p = problem("rnn", "leaky_relu", output="sigmoid", loss="squared_error", scale=0.003)
    p.Y[:] = p.net.forward(p.X, p.state)["y_hat"] + 1e-4
    assert un.gradient_check(p.net, *p.arguments).verdict != "wrong"


def test_a_gradient_that_vanishes_on_the_way_is_said_to():
    p = problem("rnn", T=300, last=True)
    p.net.parameters["W_aa"] *= 1e-3
    p.net.parameters["b_a"][:] *= 0.1
    rows = {row.name: row for row in un.gradient_check(p.net, *p.arguments, entries=3).rows}
    assert rows["a0"].verdict == "not testable"
    assert "vanished on the way" in rows["a0"].note


def test_saturated_units_are_not_testable_and_it_says_why():
    p = _saturated()
    report = un.gradient_check(p.net, *p.arguments)
    rows = {row.name: row for row in report.rows}
    assert rows["W_aa"].verdict == "not testable"
    assert "saturated" in rows["W_aa"].note
    assert rows["W_ya"].verdict == "right"
    assert report.verdict == "right"
    assert not report.passed, "not testable is not a pass"
    assert "could not be tested" in repr(report)


def test_the_forum_case_is_not_testable():
    """The person who needed a learning rate of 5,000,000: every unit is saturated."""
    net = un.Network("rnn", n_x=2, n_a=4, n_y=3)
    net.parameters |= {
        "W_ya": np.array([[11.0, 15, 175, 21], [13, 12, 14, 150], [15, 7, 9, 1]]),
        "W_ax": np.array([[11.0, 15], [13, 12], [11, 3], [2, 5]]),
        "W_aa": np.array([[1, 1.5, 1.7, 2.1], [1.3, 1.2, 1.4, 1.5], [1.5, 0.7, 0.9, 0.1],
                          [1.1, 1.3, 1.1, 0.3]]),
        "b_a": np.array([[10.0], [2], [5], [10]]), "b_y": np.array([[10.0], [25], [1.5]]),
    }  # fmt: skip
    X, Y = np.array([[[11.0]], [[25.0]]]), np.array([[[0.0]], [[0.0]], [[1.0]]])
    a0 = np.array([[11.0], [10], [5.5], [3.5]])
    loss, gradients = net.loss_and_gradients(X, Y, a0)
    assert abs(loss - 198.50000001523) < 1e-11 * 198.5
    assert np.allclose(net.forward(X, a0)["z_a"].ravel(), [548.7, 484.25, 229.8, 189.2], rtol=1e-14)
    for name in ("W_aa", "W_ax", "b_a"):
        assert not gradients[name].any()
    rows = {row.name: row for row in un.gradient_check(net, X, Y, a0).rows}
    for name in ("W_aa", "W_ax", "b_a", "x", "a0"):
        assert rows[name].verdict == "not testable"
        assert "dz_a⟨t⟩ = (1 − a⟨t⟩²) ∘ da⟨t⟩ is 0 at every step" in rows[name].note
    assert rows["W_ya"].verdict == "right"


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_zero_is_followed_to_its_root(cell):
    """A softmax of one logit is always 1: nothing is wrong with the steps in between."""
    p = problem(cell, n_y=1)
    for row in un.gradient_check(p.net, *p.arguments).rows[:-1]:
        assert "dz_y⟨t⟩ = ω⟨t⟩ ∘ (ŷ⟨t⟩ − y⟨t⟩) is 0 at every step" in row.note


def test_zero_inputs_are_named_as_the_reason():
    p = problem("rnn")
    report = un.gradient_check(p.net, np.zeros_like(p.X), p.Y, p.state)
    row = next(row for row in report.rows if row.name == "W_ax")
    assert row.verdict == "not testable"
    assert "x⟨t⟩ is 0 at every step" in row.note


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_an_entry_on_a_kink_is_not_testable(activation):
    """One unit's pre-activation is exactly 0: its slopes to the left and to the right differ."""
    p = problem("rnn", activation, T=1)
    p.net.parameters["W_aa"][2] = p.net.parameters["W_ax"][2] = p.net.parameters["b_a"][2] = 0
    rows = {row.name: row for row in un.gradient_check(p.net, *p.arguments).rows}
    assert "kink" in rows["b_a"].note
    assert rows["b_a"].checked == 4
    assert rows["b_a"].verdict == "right", "the other entries are still proved"
    assert rows["W_ya"].note == ""


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("distance", [1e-6, 1e-7, 3e-8, 1e-8, 1e-9])
def test_a_unit_near_a_kink_is_tested(activation, distance):
    p = problem("rnn", activation, T=1, m=1)
    net = p.net
    z_a = net.forward(p.X, p.state)["z_a"][:, 0, 0]
    net.parameters["b_a"][:, 0] += distance - z_a  # differences straddle it, complex step does not
    report = un.gradient_check(net, *p.arguments)
    rows = {row.name: row for row in report.rows}
    assert report.verdict == "right"
    if distance > 1e-8:  # nearer ones cannot be told from those that sit on it
        assert rows["b_a"].checked == 5


def test_a_wrong_gradient_of_a_float32_network_is_found_on_its_float64_copy(tmp_path):
    path = _wrong(tmp_path, "rnn", *MISTAKES["rnn"][0])
    p = problem(path, dtype="float32")
    assert un.gradient_check(p.net, *p.arguments).verdict == "wrong"
    assert p.net.parameters["W_aa"].dtype == np.float32


def test_the_network_is_left_as_it_was():
    p = problem("lstm")
    before = {name: value.copy() for name, value in p.net.parameters.items()}
    un.gradient_check(p.net, *p.arguments)
    for name, value in before.items():
        assert np.array_equal(value, p.net.parameters[name])


def test_entries_are_sampled_or_all():
    p = problem("rnn")
    rows = {r.name: r for r in un.gradient_check(p.net, *p.arguments, entries=4).rows}
    assert (rows["W_aa"].checked, rows["b_y"].checked) == (4, 2)
    rows = {r.name: r for r in un.gradient_check(p.net, *p.arguments, entries=None).rows}
    assert rows["x"].checked == p.X.size


def test_report_as_data():
    p = _saturated()
    data = un.gradient_check(p.net, *p.arguments).to_dict()
    assert (data["verdict"], data["passed"], data["schema"]) == ("right", False, 1)
    names = [row["name"] for row in data["rows"]]
    assert names == ["W_aa", "W_ax", "b_a", "W_ya", "b_y", "x", "a0", "all together"]
