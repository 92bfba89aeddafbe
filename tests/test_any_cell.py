"""Any cell file runs the same by schedule as step by step: odd ones, each of which once did not.

Each case changes or adds equations of a small cell with two states. Its backward need not be a true
gradient: what is tested is that the NumPy engine computes what the file says, as the reference does.
"""

import numpy as np
import pytest
from problems import assert_close

import unrolled as un
from unrolled.engines.numpy import workspace
from unrolled.equations.operations import Product
from unrolled.equations.schedule import schedule
from unrolled.equations.step import build_step

HEAD = '''"""A cell of a test."""

from unrolled.activations import relu_backward, sigmoid_backward, tanh_backward
from unrolled.functions import (
    leaky_relu, log_sum_exp, over_batch, over_features, positive, relu, sigmoid, softmax, softplus,
    tanh, where,
)

source = "a test"
shapes = {"x": "n_x m", "a": "n_a m", "c": "n_a m",
          "W_aa": "n_a n_a", "W_ax": "n_a n_x", "b_a": "n_a 1"}
'''
FORWARD = {"z_a": "W_aa @ a_prev + W_ax @ x + b_a", "c": "0.5 * c_prev + z_a", "a": "tanh(z_a)"}
BACKWARD = {
    "da": "da_y + da_next", "dz_a": "tanh_backward(da, a) + dc_next", "dc_prev": "0.5 * dc_next",
    "da_prev": "W_aa.T @ dz_a", "dx": "W_ax.T @ dz_a", "dW_aa": "dz_a @ a_prev.T",
    "dW_ax": "dz_a @ x.T", "db_a": "over_batch(dz_a)",
}  # fmt: skip

# what is changed or added in the forward and in the backward, and options
CASES = {
    "relu": ({"a": "relu(z_a)"}, {"dz_a": "relu_backward(da, a) + dc_next"}, {}),
    "product of products after the loop": ({"q": "tanh(W_aa @ (W_aa @ a_prev))"}, {}, {"forward": True}),
    "dW with a product inside": ({}, {"dW_aa": "(W_aa @ dz_a) @ a_prev.T"}, {}),
    "dW with a sum of products inside": ({}, {"dW_aa": "(dz_a + W_aa.T @ dz_a) @ a_prev.T"}, {}),
    "weight times a bias": ({"q": "W_aa @ b_a", "z_a": "W_aa @ a_prev + q + W_ax @ x"}, {}, {}),
    "transposed": ({}, {"dq": "W_aa.T @ b_a", "dx": "W_ax.T @ (dz_a + dq)"}, {}),
    "total of da_next": ({}, {"dW_aa": "da_next @ a_prev.T"}, {}),
    "total of dc_next summed": ({}, {"db_a": "over_batch(dc_next)"}, {}),
    "after the loop reads da_next": ({}, {"dx": "W_ax.T @ (da_next + dz_a)"}, {}),
    "share in the loop reads da_next": ({}, {"dW_aa": "tanh(da_next @ a_prev.T)"}, {}),
    "2 * (da @ a.T)": ({}, {"dW_aa": "2 * (da @ a_prev.T)"}, {}),
    "da_prev without da_next": ({}, {"dc_prev": "0.5 * dc_next", "da_prev": "0.3 * da_y"}, {}),
    "da_prev is something of its own plus what was hoisted": ({}, {"da_prev": "0.3 * da_next + da_y * a"}, {}),
    "both carried read both": ({}, {"da_prev": "0.5 * da_next + 0.3 * dc_next", "dc_prev": "0.2 * da_next - 0.4 * dc_next"}, {}),
    "dc_prev = da_next, da_prev = dc_next": ({}, {"da_prev": "0.5 * dc_next", "dc_prev": "0.5 * da_next"}, {}),
    "da_prev used in a total": ({}, {"dW_ax": "da_prev @ x.T"}, {}),
    "same hoisted term in two equations": ({}, {"dq": "W_aa.T @ da_y", "da_prev": "0.3 * da_next + W_aa.T @ da_y", "dc_prev": "0.5 * dc_next + W_aa.T @ da_y"}, {}),
    "forward": ({"z_a": "W_aa @ a_prev + W_ax @ x", "c": "0.5 * c_prev + W_ax @ x"}, {}, {}),
    "numbers only in a sum": ({"a": "tanh((1 - z_a) + (1 - c))"}, {}, {}),
    "product of two columns": ({"q": "(a_prev @ c_prev.T) @ a_prev", "a": "tanh(z_a + 0.1 * q)"}, {}, {}),
    "hoisted": ({"q": "(x @ x.T) @ x", "z_a": "W_aa @ a_prev + W_ax @ q + b_a"}, {}, {}),
    "total in the loop (a product times W)": ({}, {"dW_aa": "(dz_a @ a_prev.T) * W_aa"}, {}),
    "where with a bias, before the loop": ({"q": "where(positive(W_ax @ x), b_a, 0.5)", "z_a": "W_aa @ a_prev + q"}, {}, {}),
    "over_batch before the loop, lengths": ({"q": "W_ax @ x", "z_a": "W_aa @ a_prev + q - over_batch(q) / 3"}, {}, {"lengths": True}),
    "the same, unnamed": ({"z_a": "W_aa @ a_prev + W_ax @ x - over_batch(W_ax @ x) / 3"}, {}, {"lengths": True}),
    "hoisted from what is in the loop for over_batch's sake": ({"q": "W_ax @ x - over_batch(W_ax @ x) / 3", "z_a": "W_aa @ a_prev + tanh(2 * q)"}, {}, {"lengths": True}),
    "backward, over_batch of what is known before": ({}, {"da_prev": "W_aa.T @ dz_a + 0.1 * (da_y - over_batch(da_y * a) / 3)"}, {"lengths": True}),
    "loop of only temporaries (memory)": ({"c": "tanh(c_prev)"}, {"dz_a": "da_y", "da_prev": "0.5 * da_next", "dc_prev": "0.5 * dc_next"}, {}),
    "log_sum_exp twice of a spare place": ({"q": "log_sum_exp(1 - c_prev)", "s": "log_sum_exp(tanh(c_prev))", "a": "tanh(z_a + q - s)"}, {}, {"forward": True}),
    "log_sum_exp of a softmax": ({"q": "softmax(tanh(c_prev))", "s": "log_sum_exp(q)", "a": "tanh(z_a + q - s)"}, {}, {"forward": True}),
    "elementwise, product, elementwise after the loop, blocks": ({"q": "relu(W_aa @ a_prev + b_a * c_prev)", "r": "tanh(W_aa @ (q * q) + c_prev)"}, {}, {"forward": True, "block": 64}),
    "padding: share that is not linear in dz": ({}, {"db_a": "over_batch(sigmoid(dz_a))"}, {"lengths": True}),
    "padding: total of what was given": ({}, {"dW_aa": "a_prev @ a_prev.T"}, {"lengths": True}),
    "padding: 0 / 0 after the loop": ({"q": "z_a * z_a"}, {"dW_ax": "(dz_a / q) @ x.T"}, {"lengths": True}),
    "lengths and a quantity of shape (n_a, n_a)": ({"W_q": "2 * W_aa", "z_a": "W_q @ a_prev + W_ax @ x + b_a"}, {"da_prev": "W_q.T @ dz_a"}, {"lengths": True}),
    "reference cuts (n_a, n_a) to m columns": ({"W_q": "2 * W_aa", "z_a": "W_q @ a_prev + W_ax @ x + b_a"}, {"da_prev": "W_q.T @ dz_a"}, {"m": 2}),
    "weight expression": ({"z_a": "(2 * W_aa) @ a_prev + tanh(W_ax) @ x + b_a"}, {}, {}),
    "integer inputs in a function": ({"q": "sigmoid(x)", "z_a": "W_aa @ a_prev + W_ax @ q + b_a"}, {}, {"labels": True}),
    "integer inputs, over_features(x)": ({"a": "tanh(z_a + over_features(x))"}, {}, {"labels": True}),
    "x returned under another name": ({"q": "x"}, {}, {"labels": True, "forward": True}),
    "dx = x, integer inputs": ({}, {"dx": "1 * x", "dW_ax": "dz_a @ (2 * x).T"}, {"labels": True}),
    "x.T in an elementwise equation": ({}, {"dW_ax": "dz_a @ (x.T * 2)"}, {"labels": True}),
    "number times b only": ({}, {"db_a": "0.1 * b_a"}, {}),
    "total is a number times W only (no columns)": ({}, {"dW_aa": "0.1 * W_aa"}, {}),
    "all running sequences over before T: weight decay": ({}, {"dW_aa": "dz_a @ a_prev.T + 0.1 * W_aa"}, {"lengths": True, "short": True}),
    "m x m": ({"a": "tanh(z_a + 0.1 * (a_prev @ (x.T @ x)))"}, {}, {"lengths": True}),
}  # fmt: skip


def _equations(usual: dict[str, str], changed: dict[str, str]) -> dict[str, str]:
    """The usual equations with some changed, and new ones before the first that uses them."""
    equations = usual | {name: e for name, e in changed.items() if name in usual}
    new = {name: e for name, e in changed.items() if name not in usual}
    if not new:
        return equations
    users = [k for k, e in enumerate(equations.values()) if any(name in e for name in new)]
    names = list(equations)
    at = users[0] if users else len(names)
    order = [*names[:at], *new, *names[at:]]
    return {name: (equations | new)[name] for name in order}


def _function(head: str, equations: dict[str, str]) -> str:
    lines = [f"    {name} = {e}" for name, e in equations.items()]
    returned = ", ".join(f'"{name}": {name}' for name in equations)
    return "\n".join([head, *lines, f"    return {{{returned}}}", ""])


def _cell(forward: dict[str, str], backward: dict[str, str]) -> str:
    forward, backward = _equations(FORWARD, forward), _equations(BACKWARD, backward)
    given = "x, a_prev, c_prev, W_aa, W_ax, b_a"
    first = _function(f"def forward({given}):", forward)
    second = _function(
        f"def backward(da_y, da_next, dc_next, {given}, {', '.join(forward)}):", backward
    )
    return "\n\n".join([HEAD, first, second])


def _results(engine, path, options):
    random, m, T = np.random.default_rng(0), options.get("m", 5), 6
    net = un.Network(path, n_x=3, n_a=4, n_y=2, engine=engine)
    for value in net.parameters.values():
        value += 0.2 * random.standard_normal(value.shape)
    X = random.standard_normal((3, m, T))
    if options.get("labels"):
        X = random.integers(0, 3, (m, T))
    Y = random.integers(0, 2, (m, T))
    state = {s: 0.5 * random.standard_normal((4, m)) for s in net.architecture.states}
    lengths = np.array([6, 2, 4, 1, 3])[:m] if options.get("lengths") else None
    if options.get("short"):
        lengths = np.minimum(lengths, 4)
    with np.errstate(all="ignore"):
        loss, final, gradients = net.loss_state_and_gradients(X, Y, state, lengths, inputs=True)
        found = {"loss": np.asarray(loss), **{f"{s} at the end": v for s, v in final.items()}}
        run = net.forward(X, state, lengths) if options.get("forward") else {}
    return found | gradients | {f"forward {name}": run[name] for name in run}


@pytest.mark.parametrize("case", CASES)
def test_the_schedule_is_the_cell(case, tmp_path, monkeypatch):
    forward, backward, options = CASES[case]
    path = tmp_path / "odd.py"
    path.write_text(_cell(forward, backward), encoding="utf-8")
    for block, wide in ((options.get("block", 1 << 19), 256), (1, 1)):
        monkeypatch.setattr(workspace, "_BLOCK", block)
        monkeypatch.setattr(workspace, "_WIDE", wide)
        expected = _results("reference", str(path), options)
        found = _results("numpy", str(path), options)
        for name, value in expected.items():
            if np.any(value):
                assert_close(found[name], value, 11)
            else:
                assert not np.any(found[name]), name


def test_what_repeats_is_computed_once(tmp_path):
    """An expression without a name of its own, used again and again, is no tree of copies."""
    path = tmp_path / "odd.py"
    z = "(W_aa @ a_prev + W_ax @ x + b_a)"
    path.write_text(
        _cell({"z_a": z, "c": f"0.5 * c_prev + {z}", "a": f"tanh({z}) * {z}"}, {}), encoding="utf-8"
    )
    plan = schedule(build_step(str(path)).recurrence, "forward", frozenset({"a", "c"}))
    assert [len(op.weights) for op in plan.loop if isinstance(op, Product)] == [1]
