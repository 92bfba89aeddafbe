"""Naming a mistake by edited equations: what was edited is what is named."""

import functools
from pathlib import Path

import numpy as np
import pytest
from rendered import render

from unrolled.checking.examine import examine
from unrolled.checking.problems import Conventions, Counting, Problem, Truth
from unrolled.checking.replay import Operand, Witness, name_cause, name_shape_error
from unrolled.checking.replay.edits import Scope, edits
from unrolled.checking.replay.forms import forms
from unrolled.checking.replay.naming import find
from unrolled.checking.replay.values import Values, same, scale_of
from unrolled.equations.expressions import Expression, combined
from unrolled.network import Network

PEEPHOLE = str(Path(__file__).parent / "peephole_lstm.py")
CELLS = ["rnn", "gru", "gru_reset_after", "lstm", PEEPHOLE]
STEPS = (2, 3)
COUNT = 15  # edits of each equation, drawn; all of them take a minute


@functools.cache
def truth(cell, n_x=3, n_a=5, n_y=2, m=4, T=6, seed=0, share=0.25, states=None, logits=1.0):
    """What is right on a random problem: sizes pairwise distinct, states and biases non-zero."""
    random = np.random.default_rng(seed)
    net = Network(cell, n_x=n_x, n_a=n_a, n_y=n_y)
    parameters = {k: 0.5 * random.standard_normal(v.shape) for k, v in net.parameters.items()}
    parameters["W_ya"] *= logits
    Y = np.eye(n_y)[:, random.integers(0, n_y, (m, T))]
    state = {s: 0.5 * random.standard_normal((n_a, m)) for s in net.architecture.states}
    sizes = {"n_x": n_x, "n_a": n_a, "n_y": n_y, "m": m, "T": T}
    problem = Problem("small", cell, sizes, random.standard_normal((n_x, m, T)), Y, state, parameters,
                      random.standard_normal((n_a, m, T)), seed)  # fmt: skip
    return Truth(
        problem,
        Conventions(
            counting=None if share is None else Counting(share, ()),
            states=frozenset(states or state),
        ),
    )


def two(cell):
    return truth(cell), truth(cell, n_a=4, m=3, T=5, n_y=6, seed=3, share=1 / 3)


def unseen(cell):
    return truth(cell, n_x=5, n_a=3, m=2, T=7, n_y=4, seed=11, share=0.5)


def named(cell, quantity, mistake, steps=(2, 3)):
    witnesses = [
        Witness(t, step, mistake({**t.problem.parameters, **t.steps[step]}))
        for t in two(cell)
        for step in steps
    ]
    return name_cause(quantity, witnesses)


@pytest.mark.parametrize(
    ("cell", "quantity", "mistake", "cause"),
    [
        ("rnn", "dz_a", lambda s: s["da"], "missing_factor"),
        ("rnn", "dz_a", lambda s: s["da"] * (1 - s["a_prev"] ** 2), "other_step"),
        ("rnn", "da_prev", lambda s: s["W_aa"] @ s["dz_a"], "transposed"),
        ("rnn", "db_a", lambda s: s["dz_a"], "not_summed"),
        ("lstm", "dc", lambda s: s["dc"] - s["dc_next"], "missing_term"),
        ("lstm", "dz_f", lambda s: np.sin(s["f"]), "unknown"),
    ],
)
def test_a_mistake_has_its_name(cell, quantity, mistake, cause):
    found = named(cell, quantity, mistake)
    assert found.id == cause
    assert found.certainty == ("none" if cause == "unknown" else "exact")


def _rows(*parts):
    return np.concatenate(parts)


def _softmax(z, over=0):
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=over, keepdims=True)


@pytest.mark.parametrize(
    ("cell", "quantity", "mistake", "cause", "words"),
    [
        ("lstm", "da_prev", lambda s: _rows(s["da_prev"], s["dx"])[3:], "", ""),
        ("lstm", "da_prev", lambda s: _rows(s["da_prev"], s["dx"]), "not_split", "[da_prev⟨t⟩; dx⟨t⟩]"),
        ("lstm", "dx", lambda s: _rows(s["dx"], s["da_prev"])[-len(s["dx"]):], "other_block", "last rows"),
        ("rnn", "log_y_hat", lambda s: np.log(_softmax(s["z_y"], None)), "other_axis", "whole matrix"),
        ("rnn", "y_hat", lambda s: np.exp(s["z_y"]), "not_normalised", "not divided"),
        ("gru", "c_tilde",
         lambda s: np.tanh(s["r"] * (s["W_ca"] @ s["a_prev"]) + s["W_cx"] @ s["x"] + s["b_c"]),
         "bracket_moved", "Γ_r⟨t⟩ ∘ (W_ca a⟨t−1⟩) stands where"),
        ("gru", "z_u",
         lambda s: np.hstack([s["W_ua"], s["W_ux"]]) @ _rows(s["x"], s["a_prev"]) + s["b_u"],
         "stacked_otherwise", "[x⟨t⟩; a⟨t−1⟩] stands where"),
        ("rnn", "z_a", lambda s: s["W_aa"] @ s["a_prev"] + s["W_ax"] @ s["x"] - s["b_a"], "other_sign",
         "the term b_a has the wrong sign"),
    ],
)  # fmt: skip
def test_what_is_said(cell, quantity, mistake, cause, words):
    found = named(cell, quantity, mistake)
    if cause:
        assert (found.id, found.certainty) == (cause, "exact")
    assert words in found.message


def test_a_softmax_of_other_logits_in_its_jacobian():
    def mistake(s):
        q = _softmax(s["W_ya"] @ s["a_prev"] + s["b_y"])
        dy_hat = -s["omega"] * s["y"] / s["y_hat"]
        return q * (dy_hat - (q * dy_hat).sum(axis=0, keepdims=True))

    found = named("rnn", "dz_y", mistake)
    assert (found.id, found.certainty) == ("other_step", "exact")
    assert "⟨t−1⟩ stands where" in found.message


def test_a_total_may_be_laid_along_the_wrong_axis_or_begin_at_one():
    shares = [(t, [s["dz_a"].sum(axis=1) for s in t.steps]) for t in two("rnn")]
    flat = [Witness(t, None, np.zeros((len(s[0]), 1)) + sum(s)) for t, s in shares]
    assert name_cause("db_a", flat).id == "keepdims"
    ones = [Witness(t, None, 1 + sum(s)[:, None]) for t, s in shares]
    assert name_cause("db_a", ones).id == "starts_at_one"


def test_a_loop_that_rises_takes_the_gradient_of_the_step_before():
    witnesses = [
        Witness(t, k, t.steps[k]["da_y"] + (t.steps[k - 1]["da_prev"] if k else 0))
        for t in two("rnn")
        for k in range(t.problem.T)
    ]
    assert name_cause("da", witnesses).id == "loop_order"


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: Path(cell).stem)
def test_whatever_came_nothing_is_raised(cell):
    """Numbers of any shape, not numbers, and what stands there, of any sort."""
    random = np.random.default_rng(8)
    t, shapes = truth(cell), [(), (5,), (5, 4), (4, 5), (5, 5), (5, 1), (3, 4), (5, 4, 6), (0, 4)]
    table = t.table
    odd = combined("multiply", Expression("number", value=2.0), Expression.quantity("a", ()))
    for k, quantity in enumerate([*_equations(cell)[::9], "a0", "da0", "x", "a_prev"]):
        theirs = random.standard_normal(shapes[k % len(shapes)])
        yours = Expression("product", (odd, Expression.quantity("x", table.shapes["x"])), ())
        value = theirs if k % 3 else np.full_like(theirs, np.nan)
        assert name_cause(quantity, [Witness(t, 2, value)], yours).certainty == "none"


def _equations(cell):
    table = two(cell)[0].table
    return [e.name for e in (*table.of("forward"), *table.of("backward"))]


def _wrong(whole, right, t, step):
    """What an edited equation gives at a step; None where it fails or gives the right number."""
    with np.errstate(all="ignore"):
        value = Values(t).of(whole, step)
        expected = Values(t).of(right, step)
    if value is None or not np.isfinite(value).all() or not np.any(value):
        return None
    scale = scale_of(value, expected)
    if np.shape(value) != np.shape(expected) and np.ndim(value) < 2:
        return None
    return None if same(value, expected, scale) else value


def _totals(cell):
    return [e.name for e in two(cell)[0].table.of("total")]


def _mistakes(cell, quantity, count, random, steps):
    """Some single edits of an equation, with the numbers that they give on two problems."""
    right = forms(quantity, two(cell)[0], steps == (None,))[0][0]
    found = list(edits(right, Scope.around(right, two(cell)[0].table)))
    for k in random.permutation(len(found))[:count]:
        places = [(t, step) for t in two(cell) for step in steps]
        values = [_wrong(found[k].whole, right, t, step) for t, step in places]
        if all(value is not None for value in values):
            yield found[k], [Witness(*at, v) for at, v in zip(places, values, strict=True)]


@pytest.mark.parametrize("steps", [STEPS, (None,)], ids=["steps", "totals"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: Path(cell).stem)
def test_every_edit_is_found_again(cell, steps):
    """What is named gives, on a problem that was not searched, what the mistake gives there."""
    random = np.random.default_rng(5)
    values, last, seen = Values(unseen(cell)), 4 if steps == STEPS else None, 0
    for quantity in _equations(cell) if steps == STEPS else _totals(cell):
        for edit, witnesses in _mistakes(cell, quantity, COUNT, random, steps):
            found = find(quantity, witnesses)
            assert found, f"{quantity}: {edit.id} is not found"
            seen += 1
            with np.errstate(all="ignore"):
                wholes = (found[1][-1].whole, edit.whole, found[0])
                named, made, right = (values.of(whole, last) for whole in wholes)
            assert named is not None or made is None, f"{quantity}: {edit.id}"
            if made is not None:
                stretched = np.broadcast_to(named, np.shape(made))
                assert same(stretched, made, scale_of(named, made, right)), (
                    f"{quantity}: {edit.id} is named {found[1][-1].id}"
                )
    assert seen > 40


def _run(text, t):
    """Run a rendered program on a truth's problem."""
    names, p = {}, t.problem
    exec(text, names)
    kind = next(k.removesuffix("_forward") for k in names if k.endswith("_forward"))
    with np.errstate(all="ignore"):
        loss, cache = names[f"{kind}_forward"](p.X, p.Y, p.state["a"], p.parameters)
        return loss, cache, names[f"{kind}_backward"](p.X, p.Y, p.parameters, cache)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: Path(cell).stem)
def test_a_rendered_program_is_right(cell):
    t = truth(cell, states=("a",))
    loss, cache, gradients = _run(render(t.table.step), t)
    found = {**cache, **gradients, "loss": np.asarray(loss)}
    for name, value in t.totals.items():
        if name != "dx":
            assert same(found[name], value, scale_of(value)), name
    for name in t.table.per_step & found.keys() - t.totals.keys():
        value = np.stack([values[name] for values in t.steps], -1)
        assert same(found[name], value, scale_of(value)), name


@pytest.mark.parametrize("quantity", ["dz_f", "dc", "da_prev"])
def test_a_rendered_mistake_is_named(quantity):
    t, seen = truth("lstm", states=("a",)), 0
    right, last = forms(quantity, t, False)[0][0], t.problem.T - 1
    for edit in edits(right, Scope.around(right, t.table)):
        if edit.cost <= 1.0 and "@" not in "".join(edit.whole.names):
            text = render(t.table.step, {quantity: edit.whole})
            try:
                theirs = _run(text, t)[2][quantity][:, :, last]
            except ValueError:
                continue  # a crash on shapes
            if not same(theirs, t.value(quantity, last), scale_of(theirs)):
                seen += 1
                assert name_cause(quantity, [Witness(t, last, theirs)]).certainty == "exact"
    assert seen >= 3


def test_two_mistakes_in_one_equation_are_both_named():
    found = named("lstm", "dc", lambda s: s["dc_next"] + s["da_next"] * s["o"] * (1 - s["tanh_c"]))
    assert set(found.id.split("+")) == {"square_lost", "neighbour"}


def test_another_factor_says_what_it_may_be():
    scaled = [Witness(t, 2, t.problem.m * t.steps[2]["dz_y"]) for t in two("rnn")]
    assert "mean over the batch is missing" in name_cause("dz_y", scaled).message
    one = [Witness(scaled[0].truth, 2, -scaled[0].theirs / 4)]
    assert name_cause("dz_y", one).id == "other_sign"


def test_right_numbers_have_no_cause():
    right = [Witness(t, 2, t.steps[2]["dz_a"]) for t in two("rnn")]
    assert name_cause("dz_a", right).certainty == "none"


def test_nearly_is_not_exactly():
    """A number that is 1e−5 from what an edit gives is not that edit's."""
    assert named("rnn", "dz_a", lambda s: s["da"]).certainty == "exact"
    assert named("rnn", "dz_a", lambda s: s["da"] * (1 + 1e-5)).certainty == "none"


def test_a_softmax_that_overflows_is_not_shifted():
    t = truth("rnn", logits=1000.0)
    with np.errstate(all="ignore"):
        e = np.exp(t.steps[2]["z_y"])
        found = name_cause("y_hat", [Witness(t, 2, e / e.sum(axis=0))])
    assert (found.id, found.certainty) == ("softmax_not_shifted", "exact")


def test_what_stands_there_is_used_last():
    """No single or double edit: their own sub-term is put in, and it is said."""
    t = two("rnn")
    z, W = t[0].table.shapes["z_a"], Expression.quantity("W_ax", t[0].table.shapes["W_ax"])
    x = Expression.quantity("x", t[0].table.shapes["x"])
    log = Expression("log", (combined("add", Expression("number", value=9.0), x),), x.shape)
    odd = Expression("product", (W, log), z)
    witnesses = [
        Witness(
            u, 2, u.steps[2]["z_a"] - u.problem.parameters["W_ax"] @ u.steps[2]["x"]
            + Values(u).of(odd, 2),
        )
        for u in t
    ]  # fmt: skip
    assert name_cause("z_a", witnesses).certainty == "none"
    found = name_cause("z_a", witnesses, odd)
    assert (found.id, found.certainty) == ("yours", "exact")
    assert "log(9 + x⟨t⟩)" in found.message


@pytest.mark.parametrize(
    ("quantity", "operation", "operands", "cause", "words"),
    [
        ("dx", "matmul", [("W_ax", (5, 3)), ("dz_a", (5, 4))], "transposed", "n_x and n_a clash"),
        ("dW_aa", "dot", [("dz_a", (5, 4)), ("a_prev", (5, 4))], "transposed", "m and n_a clash"),
        ("z_a", "matmul", [("W_ax", (5, 3)), ("x", (3, 6))], "axes_mixed", "[:, t, :]"),
        ("z_a", "add", [(None, (5, 4)), ("b_a", (5,))], "flat", "(n_a, 1) is expected"),
        ("da_prev", "store", [("da_prev", (8, 4)), (None, (5, 4))], "not_sliced", "n_a + n_x rows"),
    ],
)
def test_a_crash_on_shapes_is_explained(quantity, operation, operands, cause, words):
    found = name_shape_error(quantity, truth("rnn"), operation, operands)
    assert (found.id, found.certainty) == (cause, "exact")
    assert words in found.message


@pytest.mark.parametrize(
    ("quantity", "operands", "words"),
    [
        ("z_y", [("W_ya", (2, 5)), ("x", (3, 4))], "x⟨t⟩ is not in this equation"),
        ("dW_aa", [("dz_a", (5, 4)), (None, (3, 4))], "the inner axes m and n_x clash"),
    ],
)
def test_a_crash_that_no_edit_gives_is_a_pattern(quantity, operands, words):
    found = name_shape_error(quantity, truth("rnn"), "matmul", operands)
    assert found.certainty == "pattern"
    assert words in found.message


def met(t, **arrays):
    """Operands as they were seen: a name that ends in _ stands for something unknown."""
    return [Operand(None if n[-1] == "_" else n, a.shape, a) for n, a in arrays.items()]


@pytest.mark.parametrize("columns", [True, False])
def test_a_crash_is_named_by_the_values_that_met(columns):
    """The share of dW_aa is (m, m) in each of these: only the numbers tell which product it was."""
    u = truth("rnn")
    dz_a, a_prev = (u.steps[2][name] for name in ("dz_a", "a_prev"))
    for share, equation in (
        (a_prev.T @ dz_a, "a⟨t−1⟩ᵀ dz_a⟨t⟩"),
        (dz_a.T @ a_prev, "dz_a⟨t⟩ᵀ a⟨t−1⟩"),
    ):
        seen = met(2, sum_=np.zeros((5, 5)), share_=share if columns else share.T)
        found = name_shape_error("dW_aa", u, "add", seen, 2, columns)
        assert (found.id, found.certainty) == ("exchanged", "exact")
        assert f"{equation} stands where" in found.message


def test_a_crash_on_two_edits_is_named_by_the_values_that_met():
    u = truth("rnn")
    step = u.steps[2]
    dy_hat = -step["omega"] * step["y"] / step["y_hat"]
    seen = met(2, left_=dy_hat, right_=step["y_hat"] * (1 - step["y_hat"]))
    found = name_shape_error("dz_y", u, "matmul", seen, 2)
    assert (found.id, found.certainty) == ("softmax_diagonal+matrix_for_elementwise", "exact")


def test_what_has_no_sum_where_a_number_is_needed():
    u = truth("rnn")
    seen = met(2, owner_=u.steps[2]["omega"] * u.steps[2]["losses"])
    found = name_shape_error("loss", u, "call", seen, 2)
    assert (found.id, found.certainty) == ("not_summed", "exact")


def test_shapes_alone_name_no_mistake_where_several_fail_on_them():
    """(1 − a²) ∘ da or da alone, and others: any of them may be what was multiplied."""
    found = name_shape_error("dx", truth("rnn"), "matmul", [(None, (5, 3)), (None, (5, 4))])
    assert found.certainty == "pattern"


@pytest.mark.parametrize(
    ("right", "wrong", "quantity"),
    [("np.dot(dt, Wx.T)", "dt.dot(Wx)", "dx"), ("np.dot(x.T, dt)", "x.dot(dt.T)", "dW_ax")],
)
def test_a_crash_is_named_where_units_are_columns(right, wrong, quantity):
    """What a method is called on is nowhere seen: it is what the function left behind."""
    source = (Path(__file__).parent / "their_code" / "timernn.py").read_text(encoding="utf-8")
    finding = examine("mine.py", source.replace(right, wrong)).findings[0]
    assert finding.quantity == quantity
    assert (finding.cause.id, finding.cause.certainty) == ("transposed", "exact")
