"""Around the gradient: a mistake made in a right training is found at its line and named by replay."""

import ast

import numpy as np
import pytest
from whole_trainings import COURSE, KLASS, ROWS, SCRIPT

from unrolled.checking.procedures import examine
from unrolled.checking.procedures.clipping import by_norm, by_value
from unrolled.checking.procedures.sampling import RIGHT, VARIANTS, draw, sharp
from unrolled.checking.procedures.updating import factor

# program, what stands there, what is put in its place, quantity, cause, the line that is named
MISTAKES = [
    (COURSE, 'np.clip(gradient, -maxValue, maxValue, out=gradient)', 'gradient = np.clip(gradient, -maxValue, maxValue)', 'clipped_gradients', 'no_effect', 'gradient = np.clip(gradient, -maxValue, maxValue)'),
    (COURSE, 'np.clip(gradient, -maxValue, maxValue, out=gradient)', 'np.minimum(gradient, maxValue, out=gradient)', 'clipped_gradients', 'only_above', 'np.minimum(gradient, maxValue, out=gradient)'),
    (COURSE, 'for gradient in [dWaa, dWax, dWya, db, dby]:\n        np.clip(', 'for gradient in [dWaa, dWax, dWya]:\n        np.clip(', 'clipped_gradients', 'some_no_effect', 'np.clip(gradient, -maxValue, maxValue, out=gradient)'),
    (COURSE, 'np.clip(gradient, -maxValue, maxValue, out=gradient)', 'np.clip(gradient, 0, maxValue, out=gradient)', 'clipped_gradients', 'from_zero', 'np.clip(gradient, 0, maxValue, out=gradient)'),
    (COURSE, "parameters['Wax'] += -lr * gradients['dWax']", "parameters['Wax'] += lr * gradients['dWax']", 'parameters', 'ascends', "parameters['Wax'] += lr * gradients['dWax']"),
    (COURSE, "    parameters['b'] += -lr * gradients['db']\n", '', 'parameters', 'left_out', "parameters['by'] += -lr * gradients['dby']"),
    (COURSE, "parameters['Waa'] += -lr * gradients['dWaa']", "parameters['Waa'] += -lr * lr * gradients['dWaa']", 'parameters', 'rate', "parameters['Waa'] += -lr * lr * gradients['dWaa']"),
    (COURSE, "parameters['b'] += -lr * gradients['db']", "parameters['b'] += -gradients['db']", 'parameters', 'rate', "parameters['b'] += -gradients['db']"),
    (COURSE, 'return loss, gradients, a[len(X) - 1]', 'return loss, gradients, a[0]', 'a0', 'not_last', 'return loss, gradients, a[0]'),
    (COURSE, 'return loss, gradients, a[len(X) - 1]', 'return loss, gradients, a[len(X) - 2]', 'a0', 'not_last', 'return loss, gradients, a[len(X) - 2]'),
    (COURSE, 'data[p + 1:p + T + 1]', 'data[p:p + T]', 'Y', 'shift', 'Y = [int(i) for i in data[p:p + T]]'),
    (COURSE, 'data[p + 1:p + T + 1]', 'data[p + 2:p + T + 2]', 'Y', 'shift', 'Y = [int(i) for i in data[p + 2:p + T + 2]]'),
    (COURSE, '        Y = [int(i) for i in data[p + 1:p + T + 1]]', '        Y = X[1:] + X[:1]', 'Y', 'wrapped', 'Y = X[1:] + X[:1]'),
    (COURSE, '        p += T\n', '        p += T + 1\n', 'X', 'stride', 'p += T + 1'),
    (COURSE, '            p = 0\n            a_prev = np.zeros((n_a, 1))', '            p = 0', 'a0', 'kept_across_epochs', 'p = 0'),
    (COURSE, '        a_prev = a\n', '', 'sample', 'state_not_carried', 'while idx != newline_character and counter != 50:'),
    (COURSE, '        x[idx] = 1\n        a_prev', '        a_prev', 'sample', 'not_fed_back', 'x = np.zeros((vocab_size, 1))'),
    (COURSE, 'z = np.dot(Wya, a) + by', 'z = np.dot(Wya, a_prev) + by', 'sample', 'logits_of_previous', 'z = np.dot(Wya, a_prev) + by'),
    (COURSE, 'z = np.dot(Wya, a) + by', 'z = np.dot(Wya, a)', 'sample', 'no_b_y', 'z = np.dot(Wya, a)'),
    (COURSE, 'range(len(y)), p=y.ravel()', 'range(len(y))', 'sample', 'unused', 'idx = np.random.choice(range(len(y)))'),
    (COURSE, 'Wax = np.random.randn(n_a, n_x) * 0.01', 'Wax = np.random.randn(n_a, n_x) * 100', 'initial_parameters', 'saturates', 'Wax = np.random.randn(n_a, n_x) * 100'),
    (COURSE, 'learning_rate=0.01)\n        losses', 'learning_rate=5e5)\n        losses', 'parameters', 'rate_too_large', 'curr_loss, gradients, a_prev = optimize(X, Y, a_prev, parameters, learning_rate=5e5)'),
    (COURSE, 'gradients = clip(gradients, 5)', 'clipped = clip({k: v.copy() for k, v in gradients.items()}, 5e-3)', 'parameters', 'unclipped', 'parameters = update_parameters(parameters, gradients, learning_rate)'),
    (ROWS, "'Wx': rng.normal(0, 0.1, (D, H)),\n        'Wh': rng.normal(0, 0.1, (H, H)),\n        'b': np.zeros(H),\n        'Wo': rng.normal(0, 0.1, (H, V)),", "'Wx': np.zeros((D, H)),\n        'Wh': np.zeros((H, H)),\n        'b': np.zeros(H),\n        'Wo': np.zeros((H, V)),", 'initial_parameters', 'alike', "'Wx': np.zeros((D, H)),"),
    (ROWS, 'np.eye(D)[xs[:, i:i + T]], ys[:, i:i + T]', 'np.eye(D)[xs[:, i:i + T]], np.roll(xs[:, i:i + T], -1, axis=1)', 'Y', 'wrapped', 'yield np.eye(D)[xs[:, i:i + T]], np.roll(xs[:, i:i + T], -1, axis=1)'),
    (ROWS, 'np.eye(D)[xs[:, i:i + T]], ys', '20 * np.eye(D)[xs[:, i:i + T]], ys', 'X', 'scaled', 'yield 20 * np.eye(D)[xs[:, i:i + T]], ys[:, i:i + T]'),
    (ROWS, '    for i in range(0, per - T + 1, T):', '    for i in np.random.permutation(per - T + 1):', 'a0', 'carried_elsewhere', 'h = h_last'),
    (ROWS, '            h = h_last\n', '            h = h_last[::-1]\n', 'a0', 'other_stream', 'h = h_last[::-1]'),
    (ROWS, '            h = h_last\n', '            h = 0.5 * h_last\n', 'a0', 'scaled', 'h = 0.5 * h_last'),
    (ROWS, '            loss, grads, h_last', '            h = np.zeros((N, H))\n            loss, grads, h_last', 'a0', 'reset_every_window', 'h = np.zeros((N, H))'),
    (ROWS, '        h = np.zeros((N, H))\n        for x, y', '        if epoch == 0:\n            h = np.zeros((N, H))\n        for x, y', 'a0', 'kept_across_epochs', 'for epoch in range(epochs):'),
    (ROWS, '    if total > max_norm:\n        for k in grads:\n            grads[k] *= max_norm / total', '    if total < max_norm:\n        for k in grads:\n            grads[k] *= max_norm / total', 'clipped_gradients', 'norm_inverted', 'if total < max_norm:'),
    (ROWS, '    if total > max_norm:\n        for k in grads:\n            grads[k] *= max_norm / total', '    for k in grads:\n        grads[k] *= max_norm / total', 'clipped_gradients', 'norm_always', 'grads[k] *= max_norm / total'),
    (ROWS, 'grads[k] *= max_norm / total', 'g = grads[k] * max_norm / total', 'clipped_gradients', 'no_effect', 'g = grads[k] * max_norm / total'),
    (ROWS, 'grads[k] *= max_norm / total', 'grads[k] *= max_norm / total ** 2', 'clipped_gradients', 'norm_squared', 'grads[k] *= max_norm / total ** 2'),
    (ROWS, 'mu * velocity[k] - lr * grads[k]', 'mu * velocity[k] + lr * grads[k]', 'parameters', 'ascends', 'params[k] = params[k] + velocity[k]'),
    (ROWS, 'params[k] = params[k] + velocity[k]', 'p = params[k] + velocity[k]', 'parameters', 'no_effect', 'p = params[k] + velocity[k]'),
    (ROWS, 'velocity[k] = mu * velocity[k] - lr * grads[k]', 'velocity[k] = mu * velocity[k] - lr / grads[k]', 'parameters', 'divided', 'params[k] = params[k] + velocity[k]'),
    (ROWS, '(2 * eps)', 'eps', 'gradient_check', 'by_eps', 'num = (lp - lm) / eps'),
    (ROWS, '            flat[i] = old\n', '', 'gradient_check', 'not_restored', 'num = (lp - lm) / (2 * eps)'),
    (ROWS, 'if abs(num - grads[k].reshape(-1)[i]) > tol', 'if abs(num - num) > tol', 'gradient_check', 'cannot_fail', 'if abs(num - num) > tol:'),
    (ROWS, '            flat[i] = old - eps\n', '            flat[i] = old\n', 'gradient_check', 'one_sided_by_two', 'num = (lp - lm) / (2 * eps)'),
    (ROWS, 'lm, _, _ = loss_and_grads(params, x, y, h0)', 'lm, _, h0 = loss_and_grads(params, x, y, h0)', 'gradient_check', 'other_inputs', 'lm, _, h0 = loss_and_grads(params, x, y, h0)'),
    (ROWS, '        x = np.eye(V)[[ix]]', '        x = np.eye(V)[[first]]', 'sample', 'not_fed_back', 'x = np.eye(V)[[first]]'),
    (ROWS, "s = (h @ params['Wo'] + params['bo'])[0]\n        p = np", "s = (h @ params['Wo'])[0]\n        p = np", 'sample', 'no_b_y', "s = (h @ params['Wo'])[0]"),
    (ROWS, 'ix = rng.choice(V, p=p)', 'ix = rng.integers(V)', 'sample', 'unused', 'ix = rng.integers(V)'),
    (ROWS, 'out.append(ix)', 'out.append(ix + 1)', 'sample', 'shown_above', 'ix = rng.choice(V, p=p)'),
    (KLASS, 'np.clip(dparam, -5, 5, out=dparam)', 'dparam = np.clip(dparam, -5, 5)', 'clipped_gradients', 'no_effect', 'dparam = np.clip(dparam, -5, 5)'),
    (KLASS, 'param += -self.learning_rate * dparam', 'param += self.learning_rate * dparam', 'parameters', 'ascends', 'param += self.learning_rate * dparam / np.sqrt(mem + 1e-8)'),
    (KLASS, 'param += -self.learning_rate * dparam', 'param = param - self.learning_rate * dparam', 'parameters', 'no_effect', 'param = param - self.learning_rate * dparam / np.sqrt(mem + 1e-8)'),
    (KLASS, 'hprev = hs[self.seq_length - 1]', 'hprev = hs[0]', 'a0', 'not_last', 'hprev = hs[0]'),
    (KLASS, '            hprev = hs[self.seq_length - 1]\n', '', 'a0', 'reset_every_window', 'xs, hs, ycap = self.forward(inputs, hprev)'),
    (KLASS, 'data[p + 1:p + self.seq_length + 1]', 'data[p:p + self.seq_length]', 'Y', 'shift', 'targets = [ch for ch in data[p:p + self.seq_length]]'),
    (KLASS, '            x[ix] = 1\n', '            x[seed_ix] = 1\n', 'sample', 'not_fed_back', 'x[seed_ix] = 1'),
    (KLASS, 'np.random.uniform(-0.3, 0.3, (hidden_size, hidden_size))', 'np.random.uniform(-0.3, 0.3, (hidden_size, hidden_size)) * 500', 'initial_parameters', 'saturates', 'self.W = np.random.uniform(-0.3, 0.3, (hidden_size, hidden_size)) * 500'),
    (KLASS, 'learning_rate=1e-1', 'learning_rate=1e4', 'parameters', 'rate_too_large', 'def __init__(self, vocab_size, hidden_size=16, seq_length=7, learning_rate=1e4):'),
    (SCRIPT, 'W -= eta', 'W += eta', 'parameters', 'ascends', 'W += eta * np.clip(dW, -1, 1)'),
    (SCRIPT, 'W -= eta * np', 'W = W - eta * np', 'parameters', 'no_effect', 'W = W - eta * np.clip(dW, -1, 1)'),
    (SCRIPT, 'data[at + 1:at + S + 1]', 'data[at:at + S]', 'Y', 'shift', 'targets = [number[s] for s in data[at:at + S]]'),
    (SCRIPT, '    at += S\n', '    at += S - 1\n', 'X', 'stride', 'at += S - 1'),
    (SCRIPT, 'hs[len(inputs) - 1]', 'hs[0]', 'a0', 'not_last', 'return loss, dWxh, dWhh, dWhy, dbh, dby, hs[0]'),
    (SCRIPT, '        at = 0\n        h = np.zeros((H, 1))', '        at = 0', 'a0', 'kept_across_epochs', 'at = 0'),
    (SCRIPT, 'np.random.normal(0, 0.1, (H, H))', 'np.random.normal(0, 100, (H, H))', 'initial_parameters', 'saturates', 'Whh = np.random.normal(0, 100, (H, H))'),
    (COURSE, "parameters['Waa'] += -lr * gradients['dWaa']", "parameters['Waa'] += -lr * gradients['db']", 'parameters', 'other_gradient', "parameters['Waa'] += -lr * gradients['db']"),
    (ROWS, 'np.eye(D)[xs[:, i:i + T]], ys', 'np.eye(D)[xs[:, i:i + T] - 1], ys', 'X', 'coded_off', 'yield np.eye(D)[xs[:, i:i + T] - 1], ys[:, i:i + T]'),
    (ROWS, 'np.eye(D)[xs[:, i:i + T]], ys[', 'np.eye(D)[xs[:, i:i + T]], xs[::-1][', 'Y', 'along_streams', 'yield np.eye(D)[xs[:, i:i + T]], xs[::-1][:, i:i + T]'),
    (ROWS, 'np.eye(D)[xs[:, i:i + T]], ys', 'np.eye(D)[xs[:, i:i + T]][:, ::-1], ys', 'X', 'backwards', 'yield np.eye(D)[xs[:, i:i + T]][:, ::-1], ys[:, i:i + T]'),
    (ROWS, "(N, per))\n    ys = np.reshape(data[1:N * per + 1], (N, per))", "(per, N)).T\n    ys = np.reshape(data[1:N * per + 1], (per, N)).T", 'Y', 'far_apart', 'yield np.eye(D)[xs[:, i:i + T]], ys[:, i:i + T]'),
    (ROWS, "'b': np.zeros(H),", "'b': np.zeros((H, 1)),", 'initial_parameters', 'shape', "'b': np.zeros((H, 1)),"),
    (ROWS, 'return loss, grads, hs[:, -1]', 'return loss, grads, hs[-1]', 'a0', 'state_shape', 'h = h_last'),
    (ROWS, 'params[k] = params[k] + velocity[k]', 'params[k] = velocity[k]', 'parameters', 'replaced', 'velocity[k] = mu * velocity[k] - lr * grads[k]'),
    (ROWS, 'lr * grads[k]\n', 'lr * grads[k].mean()\n', 'parameters', 'reduced', 'params[k] = params[k] + velocity[k]'),
    (ROWS, 'total = np.sqrt(sum(np.sum(g ** 2) for g in grads.values()))', 'total = max(np.linalg.norm(g) for g in grads.values())', 'clipped_gradients', 'norm_largest', 'total = max(np.linalg.norm(g) for g in grads.values())'),
    (ROWS, "+ params['b'])\n        s = (", "- params['b'])\n        s = (", 'sample', 'other_sign', "h = np.tanh(x @ params['Wx'] + h @ params['Wh'] - params['b'])"),
    (ROWS, 'ix = rng.choice(V, p=p)', 'ix = np.random.default_rng(4).choice(V, p=p)', 'sample', 'same_number', 'ix = np.random.default_rng(4).choice(V, p=p)'),
    (ROWS, 'if abs(num - grads[k].reshape(-1)[i]) > tol', 'if abs(abs(num) - abs(grads[k].reshape(-1)[i])) > tol', 'gradient_check', 'signless', 'if abs(abs(num) - abs(grads[k].reshape(-1)[i])) > tol:'),
    (ROWS, 'flat = params[k].reshape(-1)', 'flat = params[k].flatten()', 'gradient_check', 'not_moved', 'num = (lp - lm) / (2 * eps)'),
]  # fmt: skip
ADVICE = ("saturates", "scaled", "rate_too_large")

# other ways to do it right
RIGHTS = [
    (ROWS, 'velocity[k] = mu * velocity[k] - lr * grads[k]\n        params[k] = params[k] + velocity[k]', 'params[k] = (1 - 1e-4) * params[k] - lr * grads[k]'),
    (ROWS, 'velocity[k] = mu * velocity[k] - lr * grads[k]\n        params[k] = params[k] + velocity[k]', 'velocity[k] = 0.9 * velocity[k] + 0.1 * grads[k] ** 2\n        params[k] -= lr * grads[k] / (np.sqrt(velocity[k]) + 1e-8)'),
    (ROWS, 'velocity[k] = mu * velocity[k] - lr * grads[k]\n        params[k] = params[k] + velocity[k]', 'v0 = velocity[k].copy()\n        velocity[k] = mu * velocity[k] - lr * grads[k]\n        params[k] += -mu * v0 + (1 + mu) * velocity[k]'),
    (ROWS, '    total = np.sqrt(sum(np.sum(g ** 2) for g in grads.values()))\n    if total > max_norm:\n        for k in grads:\n            grads[k] *= max_norm / total\n    return grads', '    return {k: g * min(1.0, max_norm / (np.linalg.norm(g) + 1e-12)) for k, g in grads.items()}'),
    (ROWS, 'grads[k] *= max_norm / total', 'grads[k] *= max_norm / (total + 1e-6)'),
    (ROWS, '            h = h_last\n', '            h = h_last.copy()\n            lr *= 0.99\n'),
    (ROWS, 'lp - lm) / (2 * eps)', 'lp - lm) / eps / 2'),
    (ROWS, '            flat[i] = old - eps\n            lm, _, _ = loss_and_grads(params, x, y, h0)\n            flat[i] = old\n            num = (lp - lm) / (2 * eps)', '            flat[i] = old\n            lm, _, _ = loss_and_grads(params, x, y, h0)\n            num = (lp - lm) / eps'),
    (ROWS, 'eps=1e-5, tol=1e-5', 'eps=1e-4, tol=1e-4'),
    (ROWS, '    return True\n\n\ndef gen', "    print('ok')\n\n\ndef gen"),
    (ROWS, 'rng.normal(0, 0.1, (D, H))', 'rng.normal(0, 1, (D, H))'),
    (ROWS, 'rng.normal(0, 0.1, (H, H))', 'np.eye(H)'),
    (COURSE, '* 0.01\n    Waa', '* 1.0\n    Waa'),
    (COURSE, 'learning_rate=0.01)\n        losses', 'learning_rate=1.0)\n        losses'),
    (COURSE, 'idx = np.random.choice(range(len(y)), p=y.ravel())', 'idx = int(np.argmax(y))'),
    (COURSE, '        z = np.dot(Wya, a) + by\n', '        z = (np.dot(Wya, a) + by) / 0.8\n'),
    (COURSE, 'gradients = clip(gradients, 5)', 'gradients = clip(gradients, 0.001)'),
    (COURSE, 'optimize(X, Y, a_prev, parameters, learning_rate=0.01)\n        losses', 'optimize(X, Y, np.zeros((n_a, 1)), parameters, learning_rate=0.01)\n        losses'),
    (KLASS, 'mem += dparam * dparam\n            param += -self.learning_rate * dparam / np.sqrt(mem + 1e-8)', 'param -= self.learning_rate * dparam'),
    (KLASS, 'learning_rate=1e-1', 'learning_rate=1e-3'),
    (KLASS, '        for dparam in [dU, dW, dV, db, dc]:\n            np.clip(dparam, -5, 5, out=dparam)\n', ''),
    (KLASS, 'np.clip(dparam, -5, 5, out=dparam)', 'dparam[...] = np.clip(dparam, -5, 5)'),
    (KLASS, 'hprev = hs[self.seq_length - 1]', 'hprev = hs[len(inputs) - 1].copy()'),
    (KLASS, '        return dU, dW, dV, db, dc\n\n    def loss', '        norm = np.sqrt(sum(np.sum(g ** 2) for g in (dU, dW, dV, db, dc)))\n        return dU, dW, dV, db, dc\n\n    def loss'),
    (ROWS, 'flat[i] = old - eps\n            lm, _, _ = loss_and_grads(params, x, y, h0)\n            flat[i] = old\n', 'flat[i] -= 2 * eps\n            lm, _, _ = loss_and_grads(params, x, y, h0)\n            flat[i] += eps\n'),
    (ROWS, 'total = np.sqrt(sum(np.sum(g ** 2) for g in grads.values()))', 'total = max(np.abs(g).max() for g in grads.values())'),
]  # fmt: skip


def examined(source):
    tree = ast.parse(source)
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.Assign)
    body = [node for node in tree.body if isinstance(node, kinds)]

    def load():
        namespace = {}
        for node in body:
            try:
                exec(compile(ast.Module([node], []), "theirs.py", "exec"), namespace)
            except (OSError, NameError):
                assert isinstance(node, ast.Assign)  # reads a file, or what was read
        return namespace

    return examine(tree, source, load)


@pytest.mark.parametrize("row", MISTAKES, ids=lambda row: f"{row[3]} {row[4]}")
def test_a_mistake_is_found_at_its_line_and_named(row):
    program, old, new, quantity, cause, line = row
    assert old in program
    found = examined(program.replace(old, new, 1)).findings
    assert [(f.quantity, f.cause.id, f.source) for f in found] == [(quantity, cause, line)]
    assert found[0].cause.certainty == "exact"
    advice = cause in ADVICE and quantity != "a0"
    assert found[0].severity == ("advice" if advice else "mistake")


@pytest.mark.parametrize("row", RIGHTS, ids=lambda row: row[2][:40])
def test_another_way_to_do_it_right_is_no_finding(row):
    program, old, new = row
    assert old in program
    assert examined(program.replace(old, new, 1)).findings == []


@pytest.mark.parametrize(
    "program", [COURSE, ROWS, KLASS, SCRIPT], ids=("course", "rows", "class", "script")
)
def test_a_right_training_is_proved(program):
    found = examined(program)
    assert found.findings == []
    assert found.untestable == []
    said = " ".join(found.proved)
    for what in (
        "targets are the next",
        "last state of the window before",
        "goes down the gradient",
    ):
        assert what in said


def test_what_cannot_be_run_is_said_and_no_mistake():
    found = examined("def train(wibble):\n    return wibble\n")
    assert found.findings == []
    assert "wibble" in found.untestable[0]


def test_an_endless_training_is_stopped():
    found = examined("def train(ids):\n    while True:\n        k = 1\n")
    assert found.findings == []
    assert "takes too long" in found.untestable[0]


def test_numpy_is_as_it_was():
    clip = np.clip
    examined(KLASS)
    assert np.clip is clip


def test_every_way_to_draw_is_told_from_the_right_one():
    like = {"W_aa": np.zeros((8, 8)), "W_ax": np.zeros((8, 5)), "W_ya": np.zeros((5, 8)),
            "b_a": np.zeros((8, 1)), "b_y": np.zeros((5, 1))}  # fmt: skip
    start = np.zeros((8, 1))
    for how in VARIANTS:
        begin = {"first": 1, "symbol 0": 0, "zeros": None}[how.begins]
        pairs = (
            (draw(RIGHT, sharp(like, s), 1, start), draw(how, sharp(like, s), begin, start))
            for s in range(20)
        )
        assert any(a[: len(b)] != b[: len(a)] for a, b in pairs), how.id


def test_the_references_clip():
    rng = np.random.default_rng(0)
    given = {"dW": rng.normal(size=(3, 2)) * 5, "db": rng.normal(size=(3, 1))}
    assert max(np.abs(g).max() for g in by_value(given, 0.3).values()) == 0.3
    scaled = by_norm(given, 0.3)
    assert np.isclose(np.sqrt(sum((g**2).sum() for g in scaled.values())), 0.3)
    assert np.ptp([g.flat[0] / given[n].flat[0] for n, g in scaled.items()]) < 1e-12


def test_a_step_is_a_gradient_times_a_number_or_is_not():
    gradient = np.random.default_rng(0).normal(size=(4, 3))
    assert np.isclose(factor(-0.1 * gradient, gradient, 1.0), 0.1)
    assert np.isclose(factor(-0.1 * np.clip(gradient, -0.5, 0.5), gradient, 1.0), 0.1)
    assert factor(-0.1 * gradient**2, gradient, 1.0) is None
    off = -0.1 * gradient
    off[0, 0] *= 1.0005
    assert factor(off, gradient, 1.0) is None


def test_a_short_text_that_repeats_itself_is_no_new_epoch():
    found = examined(SCRIPT.replace("open('shakespeare.txt').read()", "'abcdef' * 9"))
    assert found.findings == []
