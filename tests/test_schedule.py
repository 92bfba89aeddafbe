"""The schedule hoists what it should, counted in products and bytes; the NumPy engine runs it."""

import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from problems import assert_close, cells, problem

import unrolled as un
from unrolled.cells import cell_names
from unrolled.engines.numpy import run as engine
from unrolled.equations.operations import Elementwise, Product
from unrolled.equations.schedule import schedule
from unrolled.equations.schedule_printer import count_products, schedule_text
from unrolled.equations.step import build_step
from unrolled.equations.table import record

# products at a step: written, left in the loop; and over all time: of inputs and of weight gradients
COUNTS = {
    "rnn": ((2, 1, 1), (3, 1, 2)),
    "lstm": ((8, 1, 1), (12, 1, 8)),
    "gru": ((6, 2, 1), (9, 2, 6)),
    "gru_reset_after": ((6, 1, 1), (9, 1, 6)),
}
KEPT = {"rnn": (1, 1), "lstm": (7, 4), "gru": (5, 3), "gru_reset_after": (5, 4)}


def _plans(step, single=True):
    needed = step.recurrence.needed | {*step.states}
    return (schedule(step.recurrence, "forward", needed, single=single),
            schedule(step.recurrence, "backward", frozenset(), single=single))  # fmt: skip


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("cell", cell_names())
def test_products_are_hoisted_and_stacked(cell, single):
    step = build_step(cell)
    table = record(step)
    plans = _plans(step, single)
    for direction, plan, counts in zip(("forward", "backward"), plans, COUNTS[cell], strict=True):
        found = count_products(step.recurrence, plan, direction, table)
        assert tuple(found.values()) == counts, direction
        assert not plan.shares, "nothing has to be added up in the loop"
        assert not plan.after


@pytest.mark.parametrize("cell", cell_names())
def test_nothing_in_the_loop_could_be_before_it(cell):
    """Every operation of the loop depends, through others, on the step before."""
    for plan in _plans(build_step(cell)):
        moving = set(plan.carried)
        for op in plan.loop:
            assert moving & set(op.reads), f"{op.names} does not wait for the step before"
            moving |= set(op.names)
        for op in plan.before:
            assert not moving & set(op.reads)


@pytest.mark.parametrize("cell", cell_names())
def test_what_feeds_no_later_step_is_not_in_the_loop(cell):
    for plan in _plans(build_step(cell)):
        needed = set(plan.carried.values())
        for op in reversed(plan.loop):
            assert needed & set(op.names), f"no later step needs {op.names}"
            needed |= set(op.reads)


def test_stages():
    """A product whose operand comes from a product of the same step comes after it, and is said to."""
    text = schedule_text(record(build_step("gru")))
    assert "[r_r⟨t⟩; r_u⟨t⟩] = [W_ra; W_ua] a⟨t−1⟩" in text
    assert text.count("a second stage") == 2
    assert "3 products with one operand, stacked into one" in text
    assert "second stage" not in schedule_text(record(build_step("gru_reset_after")))
    assert "Products: 8 are written for each step; 1 is left in the loop, 1 over all time." in (
        schedule_text(record(build_step("lstm")))
    )
    assert "⟨" not in schedule_text(record(build_step("lstm")), ascii=True)


def test_three_sigmoids_are_one_call():
    plan = schedule(
        build_step("lstm").recurrence,
        "forward",
        frozenset({"a", "c"}) | build_step("lstm").recurrence.needed,
    )
    calls = [op for op in plan.loop if isinstance(op, Elementwise)]
    assert ("f", "i", "o") in [op.names for op in calls]
    assert len(plan.loop) == 7
    assert sum(isinstance(op, Product) for op in plan.loop) == 1


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize("cell", cell_names())
def test_memory_is_what_the_backward_needs(cell, engine):
    """Bytes by formula: the quantities that the backward asks for and the states, once each."""
    step = build_step(cell)
    forward, backward = _plans(step)
    assert (forward.rows, backward.rows) == ({"n_a": KEPT[cell][0]}, {"n_a": KEPT[cell][1]})
    asked = {n for n in step.recurrence.needed if n in forward.shapes} | {*step.states}
    kept = {name for stack in forward.stacks for name in stack}
    assert kept <= asked
    n_a = 8  # a whole number of registers, which rows of the compiled engine are
    p = problem(cell, m=6, T=9, n_a=n_a, engine=engine)
    p.net.loss_and_gradients(*p.arguments)
    memory = p.net._memory["batch"][0][""]
    for direction, plan, states in (
        ("forward", forward, len(step.states)),
        ("backward", backward, 0),
    ):
        # and the states before the first step
        numbers = plan.rows["n_a"] * n_a * 6 * 9 + states * n_a * 6
        assert _bytes_of_all_steps(memory, direction) == 8 * numbers


def _bytes_of_all_steps(memory, direction):
    if direction in memory:
        return sum(b.nbytes for b in memory[direction].buffers)
    run = memory[f"compiled {direction}"]
    arrays = {
        id(run.buffers[b.names[0]]): run.buffers[b.names[0]]
        for b in run.program.buffers
        if b.over_time
    }
    return sum(array.nbytes for array in arrays.values())


_PEAK = """
    import sys
    import numpy as np
    import unrolled as un
    cell, dtype = sys.argv[1:]
    def size(name):
        lines = open("/proc/self/status").read().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
    n_x, n_a, n_y, m, T = 20, 100, 30, 50, 1500
    net = un.Network(cell, n_x=n_x, n_a=n_a, n_y=n_y, dtype=dtype)
    X = np.zeros((n_x, m, T), dtype, order="F")
    Y = np.zeros((m, T), int)
    net.loss_and_gradients(X[:, :2, :2], Y[:2, :2])
    before = size("VmRSS")
    for _ in range(3):
        net.loss_and_gradients(X, Y)
    print(size("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sizes of processes are Linux's")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_peak_size_of_a_process(cell, dtype):
    """The formula of docs/performance.md, within a tenth and blocks that stay in the cache."""
    n_a, n_y, m, T = 100, 30, 50, 1500
    numbers = (sum(KEPT[cell]) + 1) * n_a + 3 * n_y + 2  # and da_y; z_y, ŷ, dz_y; ω, losses
    expected = numbers * m * T * np.dtype(dtype).itemsize
    output = subprocess.run([sys.executable, "-c", textwrap.dedent(_PEAK), cell, dtype],
                            capture_output=True, text=True, check=True).stdout  # fmt: skip
    assert int(output) < 1.1 * expected + 16e6
    assert int(output) > 0.8 * expected, "or it does not measure what it says"


def test_a_batch_statistic_stays_in_the_loop(tmp_path):
    """A cell that takes the sequences of a step together cannot run over all time at once."""
    path = tmp_path / "centred.py"
    path.write_text(textwrap.dedent('''
        """Plain cell whose pre-activation is centred over the batch."""
        from unrolled.functions import over_batch, tanh

        source = "a test"
        shapes = {"x": "n_x m", "a": "n_a m", "W_aa": "n_a n_a", "W_ax": "n_a n_x", "b_a": "n_a 1"}

        def forward(x, a_prev, W_aa, W_ax, b_a):
            z_a = W_aa @ a_prev + W_ax @ x
            mean = over_batch(z_a) * 0.2
            a = tanh(z_a - mean + b_a)
            return {"z_a": z_a, "mean": mean, "a": a}

        def backward(da_y, da_next, x, a_prev, a, W_aa, W_ax):
            da = da_y + da_next
            ds = (1 - a**2) * da
            db_a = over_batch(ds)
            dz_a = ds - 0.2 * db_a
            return {"da": da, "ds": ds, "dz_a": dz_a, "da_prev": W_aa.T @ dz_a, "dx": W_ax.T @ dz_a,
                    "dW_aa": dz_a @ a_prev.T, "dW_ax": dz_a @ x.T, "db_a": db_a}
    '''), encoding="utf-8")  # fmt: skip
    ours, reference = (problem(str(path), m=5, engine=name) for name in ("numpy", "reference"))
    expected = reference.net.loss_and_gradients(*reference.arguments, inputs=True)[1]
    for name, gradient in ours.net.loss_and_gradients(*ours.arguments, inputs=True)[1].items():
        assert_close(gradient, expected[name], 13)
    assert un.gradient_check(ours.net, *ours.arguments).passed
    assert "added up in the loop" in schedule_text(record(build_step(str(path))))


def _addresses(net):
    """Where the buffers of a network's only layer are."""
    held = [w for w in net._memory["batch"][0][""].values() if hasattr(w, "buffers")]
    each = [w.buffers.values() if isinstance(w.buffers, dict) else w.buffers for w in held]
    return [b.ctypes.data for buffers in each for b in buffers]


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_buffers_are_used_again_and_nothing_of_them_escapes(cell, activation, engine):
    p = problem(cell, activation, engine=engine)
    first = p.net.loss_state_and_gradients(*p.arguments, inputs=True)
    copies = [{n: v.copy() for n, v in part.items()} for part in first[1:]]
    p.net.loss_state_and_gradients(*p.arguments, inputs=True)
    buffers = _addresses(p.net)
    run = p.net.forward(p.X, p.state)
    y_hat = run["y_hat"].copy()
    other = problem(cell, activation, seed=7)
    p.net.loss_state_and_gradients(*other.arguments, inputs=True)
    assert _addresses(p.net) == buffers
    for arguments in (other.arguments, p.arguments):
        p.net.loss(*arguments)
        p.net.loss_state_and_gradients(*arguments, inputs=True)
    for found, expected in zip(first[1:], copies, strict=True):
        for name, value in expected.items():
            assert np.array_equal(found[name], value), name
    assert np.array_equal(run["y_hat"], y_hat)
    for part in first[1:]:
        assert all(value.flags.f_contiguous for value in part.values())


def test_two_threads_do_not_share_buffers():
    p = problem("lstm", T=40, m=9)
    others = [problem("lstm", T=40, m=9, seed=seed) for seed in range(4)]
    expected = [p.net.loss_and_gradients(o.X, o.Y, o.state)[1] for o in others]
    wrong = []

    def run(k):
        for _ in range(30):
            found = p.net.loss_and_gradients(others[k].X, others[k].Y, others[k].state)[1]
            wrong.extend(n for n in found if not np.array_equal(found[n], expected[k][n]))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("order", ["C", "F"])
def test_parameters_in_any_order_and_replaced(order):
    p = problem("lstm")
    expected = p.net.loss_and_gradients(*p.arguments)
    for name, value in p.net.parameters.items():
        p.net.parameters[name] = np.array(value, order=order)
    found = p.net.loss_and_gradients(*p.arguments)
    assert_close(found[0], expected[0], 14)
    for name, gradient in expected[1].items():
        assert_close(found[1][name], gradient, 13)


def test_numbers_that_overflowed_leave_nothing_behind():
    """Buffers that held inf or NaN are used again, also behind the ends of sequences."""
    p = problem("rnn", "relu", lengths=True, T=6, m=5)
    p.lengths[:] = [6, 2, 1, 4, 3]
    expected = p.net.loss_and_gradients(*p.arguments, inputs=True)
    with np.errstate(all="ignore"):
        p.net.loss_and_gradients(p.X * 4e307, p.Y, p.state)
        p.net.loss_and_gradients(p.X * 4e307, p.Y, p.state, p.lengths)
    for arguments in (p.arguments, p.arguments[:3]):
        found = p.net.loss_and_gradients(*arguments, inputs=True)
        if len(arguments) == 4:
            assert found[0] == expected[0]
            for name, gradient in expected[1].items():
                assert np.array_equal(found[1][name], gradient), name
        assert all(np.isfinite(gradient).all() for gradient in found[1].values())


@pytest.mark.parametrize("z", [-800.0, -40.0, 0.0, 40.0, 800.0])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_saturated_gates_are_those_of_the_reference(cell, z):
    results = []
    for name in ("reference", "numpy"):
        p = problem(cell, engine=name)
        p.net.parameters["b_i" if cell == "lstm" else "b_u"][:] = z
        results.append(p.net.loss_and_gradients(*p.arguments))
    assert_close(results[1][0], results[0][0], 13)
    for name, gradient in results[0][1].items():
        if np.any(gradient):
            assert_close(results[1][1][name], gradient, 12)


def test_float32_is_added_up_without_losing_digits():
    """A bias' gradient over 300,000 columns, against the same sum in float64."""
    rows = np.random.default_rng(0).random((300_000, 3)).astype(np.float32)
    found = engine._over_columns(rows)
    assert_close(found, rows.astype(np.float64).sum(axis=0)[:, None], 5.5)
