"""The compiled engine: against the reference, over several cores, on processors that this one is not."""

import ast
import gc
import importlib
import importlib.util
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from problems import assert_close, cells, problem

from unrolled import Network, UnrolledError, engines, threads
from unrolled.engines.compiled import listing, source
from unrolled.engines.compiled.program import Program, UnsupportedError
from unrolled.engines.compiled.source import Source
from unrolled.equations.step import EMBEDDING_STAGE, build_step
from unrolled.equations.table import record

compiled = pytest.importorskip("unrolled.engines.compiled.run", exc_type=ImportError)
CELLS = list(cells())
DIGITS = {"float64": 12, "float32": 4}


@pytest.fixture(params=[1, 2, 3], ids="{} cores".format)
def cores(request, monkeypatch):
    """Divide any work over so many cores, there or not."""
    monkeypatch.setattr(threads, "_LEAST", 0)
    with threads.limited(request.param):
        yield request.param


def _on(p, engine):
    """The same problem's network on another engine."""
    net = Network(**p.net.settings, engine=engine)
    for name, value in p.net.parameters.items():
        net.parameters[name] = value
    return net


def _check(p, dtype="float64", calls=2):
    """Loss, gradients, inputs and final state are the reference's, in several calls in a row."""
    right = _on(p, "reference").astype("float64")
    expected = right.loss_and_gradients(*p.arguments, inputs=True)
    net = _on(p, "compiled")
    for _ in range(calls):
        loss, gradients = net.loss_and_gradients(*p.arguments, inputs=True)
        assert_close(loss, expected[0], DIGITS[dtype])
        assert gradients.keys() == expected[1].keys()
        for name, value in gradients.items():
            assert value.dtype == dtype
            assert_close(value, expected[1][name], DIGITS[dtype])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_every_cell_on_several_cores(cell, activation, dtype, cores):
    _check(problem(cell, activation, dtype=dtype, n_x=9, n_a=21, n_y=5, m=11, T=6), dtype)


@pytest.mark.parametrize("sizes", [
    {"m": 1, "T": 1}, {"m": 2, "T": 1}, {"m": 1, "T": 300}, {"m": 8, "n_a": 8}, {"m": 16, "n_a": 16, "T": 40},
    {"m": 33, "n_a": 65, "n_x": 31}, {"n_a": 1, "n_x": 1, "n_y": 2, "m": 3}, {"n_x": 300, "m": 5}, {"n_y": 70},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_sizes_around_registers_and_tiles(cell, sizes, cores):
    _check(problem(cell, **sizes))


@pytest.mark.parametrize("options", [
    {"layers": 2, "bidirectional": True}, {"lengths": True, "T": 9}, {"labels": True}, {"embedding": 4, "labels": True},
    {"lengths": True, "bidirectional": True, "T": 9, "labels": True}, {"last": True, "lengths": True},
    {"output": "linear"}, {"output": "sigmoid"}, {"output": "softmax", "loss": "squared_error"},
    {"labels": True, "n_x": 300},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru_reset_after"])
def test_every_option_on_several_cores(cell, options, cores):
    _check(problem(cell, **{"m": 9, "n_a": 10, **options}))


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_every_cell_has_kernels(cell, activation):
    """What a kernel cannot say runs on NumPy, silently; none of our own cells is to."""
    step = build_step(cell, activation)
    for stage in (step.recurrence, step.head, step.head_without_targets, EMBEDDING_STAGE):
        for keep in (stage.needed, None):
            Source(Program(stage, "forward", keep, frozenset(), frozenset()))
        Source(Program(stage, "backward", frozenset({"da_y", "dx"}), frozenset(), frozenset()))


MIXING = '''"""A cell that takes the sequences of a step together"""
from unrolled.functions import over_batch, tanh
source = "nobody"
shapes = {"x": "n_x m", "a": "n_a m", "W": "n_a n_a", "U": "n_a n_x"}
def forward(x, a_prev, W, U):
    z = W @ a_prev + U @ x
    s = over_batch(z)
    a = tanh(z - 0.1 * s)
    return {"z": z, "s": s, "a": a}
def backward(da_y, da_next, x, a_prev, a, W, U):
    da = da_y + da_next
    d = (1 - a**2) * da
    dz = d - 0.1 * over_batch(d)
    return {"da": da, "d": d, "dz": dz, "da_prev": W.T @ dz, "dx": U.T @ dz,
            "dW": dz @ a_prev.T, "dU": dz @ x.T}
'''  # fmt: skip
NORMALISED = '''"""A cell that divides its state by the sum over its features, and gates it with a softmax"""
from unrolled.functions import over_features, softmax, sigmoid
from unrolled.activations import softmax_backward
source = "nobody"
shapes = {"x": "n_x m", "a": "n_a m", "W": "n_a n_a", "U": "n_a n_x", "b": "n_a 1"}
def forward(x, a_prev, W, U, b):
    z = W @ a_prev + U @ x + b
    g = softmax(z)
    p = sigmoid(z)
    q = g * p
    s = over_features(q)
    a = q / (1 + s)
    return {"z": z, "g": g, "p": p, "q": q, "s": s, "a": a}
def backward(da_y, da_next, x, a_prev, g, p, q, s, W, U):
    da = da_y + da_next
    dq = da / (1 + s) - over_features(da * q) / ((1 + s) * (1 + s))
    dz = softmax_backward(dq * p, g) + dq * g * p * (1 - p)
    return {"da": da, "dq": dq, "dz": dz, "da_prev": W.T @ dz, "dx": U.T @ dz,
            "dW": dz @ a_prev.T, "dU": dz @ x.T, "db": dz @ (0 * s + 1).T}
'''  # fmt: skip


def test_what_no_kernel_says_runs_on_numpy(tmp_path, cores):
    path = tmp_path / "mixing.py"
    path.write_text(MIXING, encoding="utf-8")
    stage = build_step(str(path)).recurrence
    with pytest.raises(UnsupportedError, match="over the sequences"):
        Source(Program(stage, "forward", None, frozenset(), frozenset()))
    _check(problem(str(path)))


def test_sums_over_features_in_a_cell(tmp_path, cores):
    """Numbers that need a whole column wait for it, in several passes over its rows."""
    path = tmp_path / "normalised.py"
    path.write_text(NORMALISED, encoding="utf-8")
    Source(Program(build_step(str(path)).recurrence, "forward", None, frozenset(), frozenset()))
    _check(problem(str(path), n_a=21, m=5, T=5))


def test_a_file_of_ones_own_has_kernels(cores):
    path = os.path.join(os.path.dirname(__file__), "peephole_lstm.py")
    Source(Program(build_step(path).recurrence, "backward", frozenset(), frozenset(), frozenset()))
    _check(problem(path, n_a=19, m=6))


def test_quantities_called_as_a_kernels_own_variables(cores):
    _check(problem(os.path.join(os.path.dirname(__file__), "hostile_names.py"), n_a=19, m=6))


@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_every_name_in_a_kernel_is_one_of_its_own_or_made_from_a_quantity(cell, activation):
    """What no quantity may be called, said in one place, is what the text really says."""
    step = build_step(cell, activation)
    for stage in (step.recurrence, step.head):
        for direction in ("forward", "backward"):
            made = source.Source(Program(stage, direction, None, frozenset(), frozenset()))
            names = {n.id for n in ast.walk(ast.parse(made.text)) if isinstance(n, ast.Name)}
            left = names - set(made.words.values()) - source._OWN
            assert all(map(source._LIKE_OURS.fullmatch, left)), left


def test_the_same_bytes_again_and_on_one_core_or_two_for_the_sums():
    """Another call, of other sizes, between two equal ones changes nothing."""
    p, other = problem("lstm", n_a=40, m=24, T=30), problem("lstm", n_a=40, m=3, T=7)
    net = _on(p, "compiled")
    first = net.loss_and_gradients(*p.arguments)
    net.loss_and_gradients(other.X, other.Y, other.state)
    second = _on(p, "compiled").loss_and_gradients(*p.arguments)
    third = net.loss_and_gradients(*p.arguments)
    for found in (second, third):
        assert found[0] == first[0]
        assert all(np.array_equal(v, first[1][n]) for n, v in found[1].items())


def test_a_network_that_is_gone_leaves_nothing():
    from unrolled.engines.compiled import _MADE

    gc.collect()
    before = len(_MADE)
    p = problem("lstm", engine="compiled")
    p.net.loss_and_gradients(*p.arguments)
    assert len(_MADE) > before
    del p
    gc.collect()
    assert len(_MADE) == before


def test_what_is_new_in_a_call_of_the_same_sizes_is_seen():
    """Kernels, buffers and addresses are those of the call before; nothing else is."""
    p = problem("lstm", m=4, T=5, n_a=6)
    net, right = _on(p, "compiled"), _on(p, "reference")
    random = np.random.default_rng(0)

    def same(*arguments, **options):
        found, expected = (n.loss_state_and_gradients(*arguments, **options) for n in (net, right))
        assert_close(found[0], expected[0])
        for k in (1, 2):
            assert all(
                np.allclose(v, expected[k][n], rtol=1e-12, atol=1e-14) for n, v in found[k].items()
            )

    Y = np.abs(p.Y)
    same(p.X, Y)
    same(p.X + 1, Y)
    same(p.X + 1, (Y + 1) % 2)
    same(np.asfortranarray(p.X), Y, p.state)
    net.parameters["W_fa"][0, 0] = right.parameters["W_fa"][0, 0] = 3.0
    same(p.X, Y)
    for each in (net, right):
        each.parameters["b_o"] = each.parameters["b_o"] + 1
        each.parameters["W_ia"] = np.ascontiguousarray(each.parameters["W_ia"] * 2)
    same(p.X, Y)
    net.loss(p.X, Y)
    same(p.X, Y, reduction="sum")
    labels = random.integers(0, 3, Y.shape)
    same(labels, Y)
    same(p.X, np.eye(2)[Y].transpose(2, 0, 1))
    same(p.X, np.where(np.arange(5) == 4, Y, -1))
    same(p.X, Y, lengths=np.array([5, 2, 1, 3]))
    same(p.X, Y)
    net.parameters["b_f"][0, 0] = np.nan
    with pytest.raises(UnrolledError, match="parameter b_f is nan"):
        net.loss_and_gradients(p.X, Y)


def _with(array, place, value):
    found = array.copy(order="F")
    found[place] = value
    return found


def _said(net, *arguments, **options):
    with pytest.raises(UnrolledError) as caught:
        net.loss_and_gradients(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_wrong_with_a_call_like_the_one_before_is_said_as_ever(dtype):
    """It is looked at in machine code, all at once; what is said is what the reference engine says."""
    p = problem("lstm", m=4, T=5, n_a=19, n_x=9, n_y=7, dtype=dtype)
    net, right, Y = _on(p, "compiled"), _on(p, "reference"), np.abs(p.Y)
    for _ in range(2):
        net.loss_and_gradients(p.X, Y)
    calls = [(p.X[:8], Y), (p.X, Y[:3]), (p.X, Y.astype(float)), (p.X, None), ("X", Y)]
    calls += [
        (_with(p.X, at, bad), Y) for at in ((0, 0, 0), (8, 3, 4)) for bad in (np.nan, -np.inf)
    ]
    labels = -2, 7, 2**62, -(2**62)
    calls += [(p.X, _with(Y, at, bad)) for at in ((0, 0), (3, 4)) for bad in labels]
    for call in calls:
        assert _said(net, *call) == _said(right, *call)
        net.loss_and_gradients(p.X, Y)
    assert _said(net, p.X, Y, reduction="max") == _said(right, p.X, Y, reduction="max")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_wrong_with_a_parameter_is_said_in_any_call(bad):
    p = problem("lstm", m=4, T=5, n_a=19, n_x=9, n_y=7)
    net, right, Y = _on(p, "compiled"), _on(p, "reference"), np.abs(p.Y)  # with the same arrays
    for name, value in net.parameters.items():
        net.loss_and_gradients(p.X, Y)
        before, value[-1, -1] = value[-1, -1], bad
        assert _said(net, p.X, Y) == _said(right, p.X, Y)
        assert f"parameter {name} is {bad}" in _said(net, p.X, Y)
        value[-1, -1] = before
    for change in (lambda p: p.update({"b_o": np.zeros((18, 1))}), lambda p: p.pop("b_o")):
        net.loss_and_gradients(p.X, Y)
        for each in (net, right):
            change(each.parameters)
        assert _said(net, p.X, Y) == _said(right, p.X, Y)
        net.parameters["b_o"] = right.parameters["b_o"] = np.zeros((19, 1))


def test_numbers_that_only_seem_infinite_are_no_mistake():
    """Their sum overflows, or its square does."""
    p = problem("rnn", dtype="float32")
    net, right, Y = _on(p, "compiled"), _on(p, "reference"), np.abs(p.Y)
    for X in (p.X, p.X, np.full_like(p.X, 1e30), np.full_like(p.X, -1e30)):
        assert_close(net.loss_and_gradients(X, Y)[0], right.loss_and_gradients(X, Y)[0], 4)
    net.parameters["W_aa"][...] = 1e37  # the same array in both
    for _ in range(3):
        assert_close(net.loss_and_gradients(p.X, Y)[0], right.loss_and_gradients(p.X, Y)[0], 4)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_lengths_of_the_call_before_are_forgotten(cell):
    """Kernels, with all they know of the sequences that run, are those of the calls before."""
    p = problem(cell, m=3, T=4)
    net, right, Y = _on(p, "compiled"), _on(p, "reference"), np.abs(p.Y)
    lengths = [None, [4, 2, 1], None, None, [2, 1, 1], [4, 4, 4], None, [2, 3, 4], None]
    for each in lengths:
        options = {} if each is None else {"lengths": np.array(each)}
        found, expected = (n.loss_and_gradients(p.X, Y, **options) for n in (net, right))
        assert_close(found[0], expected[0])
        for name, value in expected[1].items():
            assert_close(found[1][name], value)


@pytest.mark.parametrize("labels", [False, True])
def test_parameters_in_any_layout_changed_in_place(labels):
    """What is copied because kernels cannot read it as it is, is copied anew in each call."""
    p = problem("lstm", labels=labels, n_a=6, n_x=9)
    net, right = _on(p, "compiled"), _on(p, "reference")
    for name, value in p.net.parameters.items():
        wide = np.zeros((2 * value.shape[0], 3 * value.shape[1]))
        wide[::2, ::3] = value
        net.parameters[name] = {"W": wide[::2, ::3], "b": wide[::2, ::3]}[name[0]]
        right.parameters[name] = value.copy()
    for _ in range(3):
        found, expected = (n.loss_and_gradients(p.X, p.Y)[1] for n in (net, right))
        for name, value in expected.items():
            assert_close(found[name], value)
            for each in (net, right):
                each.parameters[name] -= 0.1 * value


def test_results_are_the_callers_own():
    p = problem("gru", n_a=64, m=16, T=3, n_x=64)
    net = _on(p, "compiled")
    _, first = net.loss_and_gradients(p.X, p.Y)
    copies = {name: value.copy() for name, value in first.items()}
    net.loss_and_gradients(2 * p.X, p.Y)
    assert all(np.array_equal(first[name], value) for name, value in copies.items())


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"layers": 2, "embedding": 4, "labels": True}], ids=str)
@pytest.mark.parametrize("engine", ["compiled", "numpy", "reference"])
def test_steps_of_a_stream_are_a_run(cell, options, engine):
    p = problem(cell, T=6, m=3, engine=engine, **options)
    whole, state = p.net.forward(p.X, p.state), p.state
    for t in range(6):
        y_hat, state = p.net.step(p.X[..., t], state)
        assert_close(y_hat, whole["y_hat"][:, :, t])
    for name, value in state.items():
        assert_close(value, whole.state[name])


@pytest.mark.parametrize("m", [1, 2, 3])
@pytest.mark.parametrize("n_a", [1, 16, 19, 70])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_with_weights_in_any_order_changed_in_place(m, n_a, dtype):
    """One or two columns are multiplied with weights where they are, if their columns are in one piece."""
    p = problem("gru_reset_after", T=2, m=m, n_a=n_a, n_x=9, n_y=5, dtype=dtype)
    net, right = _on(p, "compiled"), _on(p, "reference")
    for order in ("F", "C", "F"):
        for each in (net, right):
            for name, value in each.parameters.items():
                each.parameters[name] = np.array(value, order=order)
        state = expected_state = None
        for turn in range(4):
            y_hat, state = net.step(p.X[..., 0] + turn, state)
            expected, expected_state = right.step(p.X[..., 0] + turn, expected_state)
            assert_close(y_hat, expected, DIGITS[dtype])
            assert_close(state["a"], expected_state["a"], DIGITS[dtype])
            for each in (net, right):
                each.parameters["W_ra"] *= np.dtype(dtype).type(1.5)
                each.parameters["b_c"] += np.dtype(dtype).type(0.25)
    kept = y_hat.copy(), state["a"].copy()
    net.step(p.X[..., 0], state)
    assert np.array_equal(kept[0], y_hat)
    assert np.array_equal(kept[1], state["a"])
    net.parameters["W_ya"][0, 0] = np.nan
    with pytest.raises(UnrolledError, match="parameter W_ya is nan"):
        net.step(p.X[..., 0], state)


@pytest.mark.parametrize("cell", ["gru_reset_after", "lstm"])
def test_a_step_on_cores_that_share_columns(cell, cores, monkeypatch):
    """Weights that are not packed have no panels to share: cores share the sequences, and meet."""
    monkeypatch.setattr(compiled, "_FAR", 0)
    p = problem(cell, T=1, m=2, n_a=150, n_x=40, n_y=5)
    net, right = _on(p, "compiled"), _on(p, "reference")
    state = None
    for turn in range(40):
        before = state
        y_hat, state = net.step(p.X[..., 0] + turn / 40, before)
        expected, after = right.step(p.X[..., 0] + turn / 40, before)
        assert_close(y_hat, expected)
        assert_close(state["a"], after["a"])


def test_more_threads_than_there_are_boxes(monkeypatch):
    monkeypatch.setattr(threads, "_LEAST", 0)
    with threads.limited(100_000):
        assert threads.shares_for(1 << 20, 1) == threads.MOST_SHARES


def test_a_step_refuses_what_is_none():
    net = Network(n_x=3, n_a=4, n_y=2, bidirectional=True)
    with pytest.raises(UnrolledError, match="one direction"):
        net.step(np.zeros((3, 1)))
    net = Network(n_x=3, n_a=4, n_y=2)
    with pytest.raises(UnrolledError, match=r"x has shape \(3,\), expected \(n_x, m\) = \(3, m\)"):
        net.step(np.zeros(3))
    with pytest.raises(UnrolledError, match="expected 0 to 2"):
        net.step(np.array([3]))
    with pytest.raises(UnrolledError, match="state a has shape"):
        net.step(np.zeros((3, 2)), np.zeros((4, 1)))


def test_long_runs_stop_now_and_then_to_hear_of_an_interruption(monkeypatch):
    monkeypatch.setattr(compiled, "_AT_ONCE", 1)
    _check(problem("lstm", T=200, m=3))


def test_an_interrupted_run_leaves_an_engine_that_runs(monkeypatch):
    """Cores that wait for one that will not come are let go."""
    monkeypatch.setattr(threads, "_LEAST", 0)
    from unrolled.engines.compiled import building, conducting

    p = problem("lstm", n_a=20, m=8)
    net = _on(p, "compiled")
    with threads.limited(3):
        expected = net.loss_and_gradients(*p.arguments)
        whole = building.conductor()

        def interrupted(*_):
            raise KeyboardInterrupt

        one = type("", (), {**vars(whole), "first_share": staticmethod(interrupted)})
        with monkeypatch.context() as patch:
            patch.setattr(conducting, "conductor", lambda: one)
            with pytest.raises(KeyboardInterrupt):
                net.loss_and_gradients(*p.arguments)
        found = net.loss_and_gradients(*p.arguments)
    assert found[0] == expected[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_after_a_fork(monkeypatch):
    monkeypatch.setattr(threads, "_LEAST", 0)
    p = problem("rnn", n_a=20, m=8)
    net = _on(p, "compiled")
    with threads.limited(2):
        loss = net.loss(*p.arguments)
        child = os.fork()
        if child == 0:
            os._exit(0 if net.loss(*p.arguments) == loss else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_the_package_does_not_import_the_compiler():
    code = (
        "import sys, unrolled as un; from unrolled.cli import main\n"
        "un.Network(n_x=2, n_a=3, n_y=2, engine='compiled'); print('numba' in sys.modules)"
    )
    assert _python(code).stdout.split() == ["False"]


def test_without_the_compiler_everything_works_as_before(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "numba" else found(name, *a)
    )
    assert engines.chosen_engine("auto") == "numpy"
    with pytest.raises(UnrolledError, match=r"pip install 'unrolled\[compiled\]'"):
        Network(n_x=2, n_a=3, n_y=2, engine="compiled")


_RUN = """
import numpy as np, unrolled as un
from unrolled import threads
threads._LEAST = 0
for cell in ("lstm", "gru"):
    for dtype, digits in (("float64", 1e-12), ("float32", 1e-4)):
        X = np.random.default_rng(0).standard_normal((9, 7, 5)).astype(dtype)
        Y = np.arange(35).reshape(7, 5) % 3
        nets = [un.Network(cell, n_x=9, n_a=21, n_y=3, dtype=dtype, engine=e) for e in ("compiled", "reference")]
        (loss, found), (other, right) = (net.loss_and_gradients(X, Y) for net in nets)
        for name, value in right.items():
            assert np.abs(found[name] - value).max() <= digits * np.abs(value).max(), (cell, dtype, name)
from unrolled.engines.compiled.vectors import BYTES
print(BYTES)
"""


def _python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=os.environ | environment, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.skipif(
    "avx2" not in str(compiled.BYTES) and compiled.BYTES < 32, reason="no AVX2 here"
)
@pytest.mark.parametrize(("features", "width"), [("+avx,+avx2,+fma", 32), ("+sse2", 16)])
def test_on_an_older_processor(tmp_path, features, width):
    """Kernels for shorter registers, and without the instructions of newer ones."""
    older = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}
    assert _python(_RUN, XDG_CACHE_HOME=str(tmp_path), **older).stdout.split() == [str(width)]


def test_kernels_are_found_on_disk_and_not_mistaken(tmp_path, monkeypatch):
    """A second process compiles nothing; another text, or another engine's text, is another file."""
    from unrolled.engines.compiled import building

    code = "import numpy as np, unrolled as un\nnet = un.Network(n_x=2, n_a=3, n_y=2, engine='compiled')\n"
    code += "print(net.loss(np.zeros((2, 3, 4)), np.zeros((3, 4), int)))"
    first, second = (_python(code, XDG_CACHE_HOME=str(tmp_path)) for _ in range(2))
    assert "compiling for this processor" in first.stderr
    assert second.stderr == ""
    assert first.stdout == second.stdout
    names = {building._digest("a"), building._digest("b")}
    for changed in ("_own_files", "target"):
        with monkeypatch.context() as patch:
            patch.setattr(building, changed, lambda: "another")
            names.add(building._digest("a"))
    assert len(names) == 4


def test_kernels_that_nobody_uses_are_forgotten(tmp_path, monkeypatch):
    from unrolled.engines.compiled import building

    (tmp_path / "__pycache__").mkdir()
    for name, age in (("old", 100), ("new", 10)):
        for path in (tmp_path / f"{name}.py", tmp_path / "__pycache__" / f"{name}.1.nbc"):
            path.write_text("")
            os.utime(path, (0, time.time() - age * 24 * 3600))
    building._forget_old(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["new.py", "new.1.nbc"]


@pytest.mark.torch
@pytest.mark.parametrize("cell", ["rnn", "gru_reset_after", "lstm"])
@pytest.mark.parametrize("sizes", [(27, 100, 27, 32, 50), (64, 128, 64, 64, 100)], ids=str)
def test_float32_is_as_near_as_pytorch(cell, sizes):
    """The error of gradients against the reference in float64 is at most twice that of PyTorch."""
    from unrolled.benchmark.cases import Case, Problem
    from unrolled.benchmark.contenders import largest_difference, ours
    from unrolled.benchmark.peers import pytorch

    pytorch.prepare(2)
    given = Problem(Case(cell, *sizes, "float32"))
    right = given.answer()
    mine, other = (c.read(c.run()) for c in (ours(given, "compiled"), pytorch.contender(given)))
    assert largest_difference(mine, right).value <= 2 * largest_difference(other, right).value


def test_a_folder_that_cannot_be_written_to_costs_time_only(tmp_path, monkeypatch):
    from unrolled.engines.compiled import building

    (tmp_path / "a file").write_text("")
    monkeypatch.setattr(building, "user_cache_path", lambda _: tmp_path / "a file")
    assert building._folder() is None
    text = "def kernel(addresses, numbers, shard, shards):\n    put_number(addresses, 0, 7)"
    kernel = building.build("a kernel", text, "float64")
    assert kernel.address


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_listing_has_the_equations_beside_the_code(cell):
    text = listing.kernel_text(record(build_step(cell)))
    assert text.count("def kernel(") == 4
    assert "# dz_c⟨t⟩ =" in text or cell == "rnn"
    assert "a⟨t⟩" not in listing.kernel_text(record(build_step(cell)), ascii=True)
