"""Slips that no edited equation explains: named by the edit of the code with which every number is right."""

import ast

import pytest

from unrolled.checking.examine import examine
from unrolled.checking.mending.edits import narrow, wide
from unrolled.checking.mending.trees import Family

RNN = """
import numpy as np

def softmax(z):
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)

def log_softmax(z):
    s = z - np.max(z, axis=0, keepdims=True)
    return s - np.log(np.sum(np.exp(s), axis=0, keepdims=True))

def rnn_forward(x, y, a0, parameters):
    Waa, Wax, Wya = parameters["Waa"], parameters["Wax"], parameters["Wya"]
    ba, by = parameters["ba"], parameters["by"]
    n_x, m, T = x.shape
    n_y, n_a = Wya.shape
    a = np.zeros((n_a, m, T + 1))
    y_pred = np.zeros((n_y, m, T))
    loss = 0.0
    a[:, :, 0] = a0
    a_prev = a0
    for t in range(T):
        a_next = np.tanh(Waa @ a_prev + Wax @ x[:, :, t] + ba)
        zy = Wya @ a_next + by
        y_pred[:, :, t] = softmax(zy)
        loss += -np.sum(y[:, :, t] * log_softmax(zy)) / m
        a[:, :, t + 1] = a_next
        a_prev = a[:, :, t + 1]
    return loss, (a, y_pred, x, y)

def rnn_backward(parameters, cache):
    a, y_pred, x, y = cache
    Waa, Wya = parameters["Waa"], parameters["Wya"]
    n_x, m, T = x.shape
    dWaa, dWax, dWya = np.zeros_like(Waa), np.zeros_like(parameters["Wax"]), np.zeros_like(Wya)
    dba, dby = np.zeros((len(Waa), 1)), np.zeros((len(Wya), 1))
    da_next = np.zeros((len(Waa), m))
    for t in reversed(range(T)):
        dzy = (y_pred[:, :, t] - y[:, :, t]) / m
        dWya += dzy @ a[:, :, t + 1].T
        dby += np.sum(dzy, axis=1, keepdims=True)
        da = Wya.T @ dzy + da_next
        dz = (1 - a[:, :, t + 1] ** 2) * da
        dWaa += dz @ a[:, :, t].T
        dWax += dz @ x[:, :, t].T
        dba += np.sum(dz, axis=1, keepdims=True)
        da_next = Waa.T @ dz
    return {"dWaa": dWaa, "dWax": dWax, "dWya": dWya, "dba": dba, "dby": dby, "da0": da_next}
"""


def found(old="", new=""):
    """The findings once `new` stands in the place of `old`."""
    assert not old or RNN.count(old) == 1
    return examine("mine.py", RNN.replace(old, new) if old else RNN).findings


def test_the_program_is_right():
    assert found() == ()


@pytest.mark.parametrize(
    ("old", "new", "quantity", "cause", "said"),
    [
        # kept at another step than it is read from
        ("a[:, :, t + 1] = a_next\n        a_prev = a[:, :, t + 1]",
         "a[:, :, t] = a_next\n        a_prev = a_next", "a", "slip", "a[:, :, t + 1]"),
        # the way back runs forward
        ("reversed(range(T))", "range(T)", "da", "slip", "reversed(range(T))"),
        # what is there under another name
        ("zy = Wya @ a_next + by", "zy = Wya @ a_next + bias", "z_y", "undefined", "bias"),
        # a step that is not there, and one that is not there yet
        ("dz @ a[:, :, t].T", "dz @ a[:, :, t + 2].T", "dW_aa", "other_step", "a⟨t+1⟩"),
        # of another shape than the place that it is kept in
        ("y_pred = np.zeros((n_y, m, T))", "y_pred = np.zeros((n_x, m, T))", "y_hat", "slip", "n_y"),
        # a bias of another shape
        ("x[:, :, t] + ba)", "x[:, :, t] + by)", "z_a", "slip", "`ba`"),
        # softmax from exponentials
        ("return s - np.log(", "return s + np.log(", "loss", "other_sign", "log Σ exp"),
        ("np.log(np.sum(np.exp(s)", "np.log(np.sum(s", "loss", "slip", "np.exp(s)"),
    ],
)  # fmt: skip
def test_a_slip_is_named(old, new, quantity, cause, said):
    findings = found(old, new)
    first = findings[0]
    line = RNN[: RNN.index(old)].count("\n") + 1
    lines = {line, *([26] if "s - np" in old else [])}  # of a helper, or where it is called
    assert first.quantity in (quantity, f"{quantity}_prev")
    assert (first.cause.id, first.cause.certainty) == (cause, "exact")
    assert said in first.message
    assert any(abs(first.line - one) <= 1 for one in lines)
    assert len(findings) == 1


def test_what_no_step_computes_is_missing_in_the_loop():
    """Not where its zeros are made."""
    (missing,) = found("        dWax += dz @ x[:, :, t].T\n", "")
    assert (missing.quantity, missing.cause.id) == ("dW_ax", "zero")
    assert missing.source.strip() == "for t in reversed(range(T)):"


def test_a_loss_that_runs_the_forward_itself_is_judged():
    text = RNN.split("def rnn_backward")[0].replace("    loss = 0.0\n", "")
    text = "\n".join(line for line in text.splitlines() if "loss +=" not in line)
    text = text.replace("return loss, (a, y_pred, x, y)", "return y_pred, a")
    text += """
def loss(x, y, a0, parameters):
    y_pred, a = rnn_forward(x, y, a0, parameters)
    return -np.sum(y * np.log(y_pred)) / x.shape[1] / 2
"""
    text += "\ndef rnn_backward" + RNN.split("def rnn_backward")[1]
    text = text.replace("rnn_backward(parameters, cache)", "rnn_backward(x, y, a0, parameters)")
    text = text.replace("a, y_pred, x, y = cache", "y_pred, a = rnn_forward(x, y, a0, parameters)")
    findings = examine("mine.py", text).findings
    assert [f.quantity for f in findings if f.cause.id == "scale"] == ["loss"]


def test_what_only_follows_is_no_finding():
    """da0 is wrong as well, and the gradients, once the loop runs the wrong way."""
    assert [f.quantity for f in found("reversed(range(T))", "range(T)")] == ["da"]


def test_edited_trees_share_what_is_not_edited():
    tree = ast.parse("x = a + b\ny = x.T @ c\n")
    family = Family(tree)
    product = tree.body[1]
    trees = [mend.make() for mend in narrow(family, product)]
    assert ast.unparse(tree) == "x = a + b\ny = x.T @ c"
    assert all(one.tree.body[0] is tree.body[0] for one in trees)
    assert any(ast.unparse(one.tree.body[1]) == "y = x @ c" for one in trees)
    assert all(one.origin(one.tree) is tree for one in trees)


def test_names_are_exchanged_for_names_of_the_same_use():
    """Sizes for sizes, what is indexed for what is indexed."""
    tree = ast.parse(
        "def f(x, z, n, k):\n    a = np.zeros((n, k))\n    b = np.zeros((k, k))\n    return x[0] + z[1] + a + b"
    )
    family = Family(tree)
    made = tree.body[0].body[0]
    words = [mend.words for mend in wide(family, made)]
    assert "`k` in the place of `n`" in words
    assert "`x` in the place of `n`" not in words
