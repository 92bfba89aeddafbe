"""The tape: every named quantity, every step, by name, and how it shows itself."""

from html.parser import HTMLParser

import numpy as np
import pytest
from problems import assert_close, cells, problem


@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_every_quantity_of_the_table_is_on_the_tape(cell, activation):
    p = problem(cell, activation)
    tape = p.net.tape(*p.arguments)
    assert set(p.net.table.shapes) - set(p.net.parameters) <= set(tape)
    for name in p.net.table.shapes.keys() - p.net.parameters.keys():
        assert name in tape[0], name
        assert np.all(np.isfinite(tape[name]))


def test_tape_and_gradients_are_the_same_run():
    p = problem("lstm")
    tape = p.net.tape(*p.arguments, reduction="batch")
    loss, gradients = p.net.loss_and_gradients(*p.arguments, reduction="batch", inputs=True)
    assert_close(tape.loss, loss, 14)
    assert tape.gradients.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert_close(tape.gradients[name], gradient, 14)
        assert np.array_equal(tape[f"d{name}"], tape.gradients[name])


def test_shares_add_up_to_the_gradient():
    p = problem("gru")
    tape = p.net.tape(*p.arguments)
    for name, share in tape.shares.items():
        assert share.shape == (*tape[name].shape, 4)
        assert_close(share.sum(axis=-1), tape[name])
        assert np.array_equal(tape[2][name], share[..., 2])


def test_links_between_steps():
    p = problem("lstm")
    tape = p.net.tape(*p.arguments)
    for s in ("a", "c"):
        assert np.array_equal(tape[f"{s}_prev"][:, :, 1:], tape[s][:, :, :-1])
        assert np.array_equal(tape[0][f"{s}_prev"], p.state[s])
        assert np.array_equal(tape[f"d{s}_next"][:, :, :-1], tape[f"d{s}_prev"][:, :, 1:])
        assert not tape[-1][f"d{s}_next"].any()
        assert np.array_equal(tape[f"d{s}0"], tape[0][f"d{s}_prev"])


def test_one_quantity_by_its_definition():
    p = problem("rnn")
    tape, v = p.net.tape(*p.arguments), p.net.parameters
    z_a = v["W_aa"] @ tape[1]["a"] + v["W_ax"] @ p.X[:, :, 2] + v["b_a"]
    assert_close(tape[2]["z_a"], z_a, 15)
    assert np.array_equal(tape["z_a"][:, :, 2], tape[2]["z_a"])
    assert tape["z_a"].flags.f_contiguous


def test_steps_count_from_both_ends_and_end():
    tape = problem("rnn").net.tape(*problem("rnn").arguments)
    assert np.array_equal(tape[-1]["a"], tape[3]["a"])
    for t in (4, -5):
        with pytest.raises(IndexError):
            tape[t]


def test_an_unknown_name_is_said_with_the_known_ones():
    run = problem("rnn").net.forward(problem("rnn").X)
    with pytest.raises(KeyError, match="dz_a is not on this tape: it has x, a_prev, z_a"):
        run["dz_a"]
    assert "dz_a" not in run
    assert run.get("dz_a") is None
    assert len(run) == len(list(run)) == 6


def test_repr_shows_names_shapes_and_numbers():
    p = problem("rnn")
    tape = p.net.tape(*p.arguments)
    text = repr(tape)
    assert "n_x = 3, n_a = 5, n_y = 2, m = 7, T = 4" in text
    assert f"loss {tape.loss:.6g}" in text
    line = next(line for line in text.splitlines() if " dz_a " in line)
    assert "dz_a⟨t⟩" in line
    assert "(5, 7, 4)" in line
    assert f"{tape['dz_a'].flat[0]:.4g}" in line or f"{tape['dz_a'][0, 0, 0]:.4g}" in line
    assert repr(tape[2]).startswith("step t = 2")


class _Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_html_is_a_table_of_the_same():
    p = problem("gru")
    tape = p.net.tape(*p.arguments)
    checker = _Checker()
    checker.feed(tape._repr_html_())
    assert not checker.open
    assert {"dz_c", "y_hat", "dW_ca"} <= set(checker.cells)
    assert "(5, 7, 4)" in checker.cells


def test_labels_are_one_hot_columns_on_the_tape():
    """As the legend says, so that a printed equation can be worked out again from the tape."""
    p = problem("rnn", labels=True)
    tape = p.net.tape(*p.arguments)
    assert np.array_equal(tape["x"], np.arange(3)[:, None, None] == p.X)
    assert np.array_equal(tape["y"], np.arange(2)[:, None, None] == p.Y)
    for t in range(4):
        step = tape[t]
        assert np.array_equal(step["x"], tape["x"][:, :, t])
        assert np.array_equal(step["dz_y"], step["omega"] * (step["y_hat"] - step["y"]))
    assert "(3, 7, 4)" in repr(tape)


def test_what_a_step_lacks_is_said_with_what_it_has():
    tape = problem("rnn").net.tape(*problem("rnn").arguments)
    with pytest.raises(KeyError, match=r"dz_x is not among the quantities of step 1: x, y"):
        tape[1]["dz_x"]
    with pytest.raises(IndexError, match="step 9 is not on this tape: it has T = 4 steps"):
        tape[9]
