"""The training loop: what an update does, when it ends, what it keeps, what it says."""

import itertools
import math
import signal
import threading

import numpy as np
import pytest
from problems import assert_close, problem

import unrolled as un
from unrolled.data.windows import Stream, arrays
from unrolled.training.evaluation import mean_loss
from unrolled.training.loop import NotFiniteError, Training
from unrolled.training.plan import Plan

LABELS = np.array([*range(7), *range(5, -1, -1)] * 40)


def _net(n_a=8, dtype="float64", cell="gru", **options):
    return un.Network(cell, n_x=7, n_a=n_a, n_y=7, dtype=dtype, **options)


def _stream(m=2, T=20, labels=LABELS):
    return Stream(labels[:-1], labels[1:], m, T)


def test_the_state_is_carried_and_starts_at_zero_in_each_epoch():
    net, source = _net(), _stream()
    expected, state = [], None
    for window in [*source.windows(0), *source.windows(1)]:
        state = None if window.carried is None else state
        loss, state = net.loss_and_state(window.X, window.Y, state)
        expected.append(loss)
    history = un.train(net, source, epochs=2, optimiser=un.SGD(1e-300))
    assert_close([u.loss for u in history.updates], expected, 14)
    assert [u.epoch for u in history.updates] == [1] * source.updates + [2] * source.updates
    assert history.ended_by == "epochs"


def test_an_update_is_one_step_down_the_clipped_gradients():
    net, source = _net(), _stream()
    other = _net()
    window = next(source.windows(0))
    loss, gradients = other.loss_and_gradients(window.X, window.Y)
    norm = math.sqrt(sum((g**2).sum() for g in gradients.values()))
    history = un.train(net, source, steps=1, optimiser=un.SGD(0.5), clip_norm=norm / 3)
    [update] = history.updates
    assert update.clipped
    assert update.gradient_norm == pytest.approx(norm)
    assert update.loss == pytest.approx(loss)
    assert update.learning_rate == 0.5
    assert update.targets == window.Y.size
    for name, value in other.parameters.items():
        assert_close(net.parameters[name], value - 0.5 * gradients[name] / 3, 12)


def test_clipping_by_value():
    net, source, other = _net(), _stream(), _net()
    window = next(source.windows(0))
    gradients = other.loss_and_gradients(window.X, window.Y)[1]
    history = un.train(net, source, steps=1, optimiser=un.SGD(1.0), clip_norm=None, clip_value=0.01)
    assert history.updates[0].clipped
    for name, value in other.parameters.items():
        assert_close(net.parameters[name], value - np.clip(gradients[name], -0.01, 0.01), 12)
    history = un.train(_net(), source, steps=1, clip_norm=None)
    assert not history.updates[0].clipped


def test_training_learns_and_is_repeatable():
    def run():
        net = _net(dtype="float32", layers=2, dropout=0.2)
        return net, un.train(net, _stream(4, 12), steps=150, optimiser=un.Adam(0.02), seed=3)

    (one, first), (other, second) = run(), run()
    assert first.updates[0].loss == pytest.approx(math.log(7), rel=0.1)
    assert first.updates[-1].loss < 0.5
    assert [u.loss for u in first.updates] == [u.loss for u in second.updates]
    for name, value in one.parameters.items():
        assert value.tobytes() == other.parameters[name].tobytes()
    assert [u.step for u in first.updates] == list(range(1, 151))


def test_dropout_is_drawn_anew_in_each_step_and_by_seed():
    def losses(seed):
        net = _net(layers=2, dropout=0.5)
        source = arrays(LABELS[None, :20], LABELS[None, 1:21], m=1)
        return [
            u.loss
            for u in un.train(net, source, steps=3, optimiser=un.SGD(1e-300), seed=seed).updates
        ]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)
    assert len(set(losses(0))) == 3


@pytest.mark.parametrize(("ends", "ended_by", "count"), [
    ({"steps": 7}, "steps", 7), ({"epochs": 1}, "epochs", 12), ({"steps": 7, "epochs": 1}, "steps", 7),
    ({"steps": 99, "epochs": 2}, "epochs", 24), ({"seconds": 1e-9, "steps": 50}, "seconds", 1),
    ({"steps": 1}, "steps", 1), ({"steps": 12, "epochs": 1}, "steps", 12),
])  # fmt: skip
def test_it_ends_at_the_first_end(ends, ended_by, count):
    source = _stream()
    assert source.updates == 13
    history = un.train(_net(), Stream(LABELS[:481], LABELS[1:482], 2, 20), **ends)
    assert len(history.updates) == count
    assert history.ended_by == ended_by


def test_the_best_on_held_back_data_is_kept():
    net = _net(24)
    kept = {}

    def keep(update, training):
        kept[update.step] = {n: v.copy() for n, v in training.net.parameters.items()}

    held_back = _stream(1, 30, np.random.default_rng(0).integers(0, 7, 100))
    history = un.train(net, _stream(2, 10), validation=held_back, steps=60, every=7,
                       optimiser=un.Adam(0.05), callbacks=[keep])  # fmt: skip
    looked = {u.step: u.validation_loss for u in history.updates if u.validation_loss is not None}
    assert list(looked) == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    assert history.best_step == min(looked, key=looked.get)
    assert history.best_step != 60, "or nothing is tested"
    assert history.best_loss == min(looked.values())
    assert_close(mean_loss(net, held_back), history.best_loss, 14)
    for name, value in kept[history.best_step].items():
        assert np.array_equal(value, net.parameters[name])


def test_patience_ends_it():
    held_back = _stream(1, 30, np.random.default_rng(0).integers(0, 7, 100))
    history = un.train(_net(24), _stream(2, 10), validation=held_back, steps=1000, every=5, patience=3,
                       optimiser=un.Adam(0.05))  # fmt: skip
    assert history.ended_by == "patience"
    assert history.updates[-1].step == history.best_step + 15


def test_held_back_data_are_looked_at_seldom_where_they_are_many():
    plan, few, many = Plan(steps=1), _stream(2, 100), _stream(1, 2)
    assert plan.looks_every(few) == max(25, 4 * few.updates)
    assert plan.looks_every(many) == 4 * many.updates > 25
    assert plan.looks_every(None) == 100
    assert Plan(steps=1, every=3).looks_every(many) == 3


def test_callbacks_see_each_update_and_end_it():
    seen, others = [], []

    def stop(update, training):
        seen.append((update.step, training.place.step))
        return update.step == 4

    history = un.train(
        _net(), _stream(), steps=50, callbacks=[stop, lambda u, _: others.append(u.step)]
    )
    assert seen == [(k, k) for k in range(1, 5)]
    assert others == [1, 2, 3, 4]
    assert history.ended_by == "asked"


def test_ctrl_c_finishes_the_update_and_interrupts():
    net = _net()

    def interrupt(update, _):
        if update.step == 3:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 3"):
        un.train(net, _stream(), steps=50, callbacks=[interrupt])
    assert signal.getsignal(signal.SIGINT) is before
    other = _net()
    un.train(other, _stream(), steps=3)
    for name, value in other.parameters.items():
        assert np.array_equal(value, net.parameters[name])


def test_it_trains_in_another_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(un.train(_net(), _stream(), steps=2)))
    thread.start()
    thread.join()
    assert len(found[0].updates) == 2


def test_a_training_can_be_left_and_taken_up():
    net, other = _net(), _net()
    un.train(net, _stream(), steps=20)
    training = Training(other, _stream(), un.Adam(), Plan(steps=20))
    first = list(itertools.islice(training.updates(), 5))
    rest = list(training.updates())
    assert [u.step for u in first + rest] == list(range(1, 21))
    for name, value in net.parameters.items():
        assert np.array_equal(value, other.parameters[name])


def test_a_loss_that_is_no_number_says_what_went_first():
    p = problem("rnn", "relu", output="linear", T=6)
    p.net.parameters["W_aa"] *= 1e60
    before = {name: value.copy() for name, value in p.net.parameters.items()}
    with np.errstate(all="ignore"):
        tape = p.net.tape(*p.arguments[:2])
    order = ["z_a", "a", "z_y", "y_hat", "losses"]
    t, name = next(
        (t, name) for t in range(6) for name in order if not np.isfinite(tape[t][name]).all()
    )
    assert t > 0
    symbol = {"z_a": "z_a", "a": "a", "z_y": "z_y", "y_hat": "ŷ", "losses": "losses"}[name]
    words = rf"loss is not finite at step 1 \(first {symbol}⟨{t}⟩ = (inf|nan), "
    with pytest.raises(un.UnrolledError, match=words) as caught:
        un.train(p.net, (p.X, p.Y), steps=3)
    assert "the network is now the one with the last finite loss" in str(caught.value)
    for name, value in before.items():
        assert np.array_equal(value, p.net.parameters[name])


def test_a_gradient_that_is_no_number_says_what_went_first():
    p = problem("rnn", "relu", output="linear", T=3, m=1)
    net = p.net
    net.parameters["W_ya"] *= 1e160
    net.parameters["W_aa"] *= 1e100
    net.parameters["W_ax"] *= 1e-200
    net.parameters["b_a"][:] = 1e-160
    with pytest.raises(NotFiniteError, match=r"is not finite at step 1 \(first "):
        list(Training(net, arrays(p.X, p.Y), un.Adam(), Plan(steps=1)).updates())


def test_the_last_good_network_is_kept_where_it_diverges():
    """Of two updates the second goes wrong: the network is that of which a finite loss is known."""
    net = un.Network("rnn", n_x=1, n_a=2, n_y=1, activation="relu", output="linear", seed=1)
    for value in net.parameters.values():
        np.abs(value, out=value)
    net.parameters["W_aa"] *= 0.3
    X, Y = np.full((1, 1, 40), 5.0), np.full((1, 1, 40), 1e6)
    start = {name: value.copy() for name, value in net.parameters.items()}
    with pytest.raises(un.UnrolledError, match="not finite at step 2"):
        un.train(net, (X, Y), steps=9, optimiser=un.SGD(1e3), clip_norm=None)
    for name, value in start.items():
        assert np.array_equal(value, net.parameters[name])
    assert math.isfinite(net.loss(X, Y))


def test_parameters_that_overflow_are_put_back():
    net = _net()
    before = {name: value.copy() for name, value in net.parameters.items()}
    net.parameters["b_y"] += 1e308 * np.sign(-1.0)
    before["b_y"] = net.parameters["b_y"].copy()
    with pytest.raises(un.UnrolledError, match="size of the parameters is not finite at step 1"):
        un.train(net, _stream(), steps=3, optimiser=un.SGD(1.79e308), clip_norm=None)
    for name, value in before.items():
        assert np.array_equal(value, net.parameters[name])


@pytest.mark.parametrize(("options", "words"), [
    ({}, "no end is said"), ({"steps": 0}, "steps is 0"), ({"steps": 1.5}, "steps is 1.5"),
    ({"epochs": -1}, "epochs is -1"), ({"seconds": 0}, "seconds is 0"),
    ({"steps": 5, "schedule": "step"}, "schedule is 'step'"),
    ({"seconds": 5, "schedule": "cosine"}, "has to know the end"), ({"steps": 5, "warmup": -1}, "warmup"),
    ({"steps": 5, "clip_norm": 0}, "clip_norm is 0"), ({"steps": 5, "clip_value": -1}, "clip_value is -1"),
    ({"steps": 5, "clip_norm": math.nan}, "clip_norm is nan"), ({"steps": 5, "every": 0}, "every is 0"),
    ({"steps": 5, "patience": 0}, "patience is 0"), ({"steps": 5, "seed": -1}, "seed is -1"),
    ({"steps": 5, "resume": True}, "resume goes with out"),
    ({"steps": 5, "patience": 3}, "patience goes with held-back data"),
])  # fmt: skip
def test_a_plan_that_makes_no_sense(options, words):
    with pytest.raises(un.UnrolledError, match=words):
        un.train(_net(), _stream(), **options)


@pytest.mark.parametrize("data", [None, [1, 2], (1,), "names.txt", np.zeros((3, 4))])
def test_data_that_are_none(data):
    with pytest.raises(un.UnrolledError, match=r"data is .*expected what load_data returns"):
        un.train(_net(), data, steps=1)


def test_a_source_without_windows():
    class Empty:
        updates, settings, cut = 0, {}, False

        def windows(self, epoch):
            return iter(())

    with pytest.raises(un.UnrolledError, match="the data have no target"):
        un.train(_net(), Empty(), steps=1)


def test_the_last_good_network_is_that_of_the_last_finite_loss():
    """Parameters are spoilt after the fifth update: the loss before it was the last good one."""
    p, after = problem("rnn", "relu", output="linear"), {}

    def spoil(update, training):
        after[update.step] = {n: v.copy() for n, v in training.net.parameters.items()}
        if update.step == 5:
            training.net.parameters["W_aa"] *= 1e200

    with pytest.raises(un.UnrolledError, match="not finite at step 6"):
        un.train(p.net, (p.X, p.Y), steps=9, optimiser=un.SGD(1e-3), callbacks=[spoil])
    for name, value in after[4].items():
        assert np.array_equal(p.net.parameters[name], value)


def _runaway(labels):
    """A plain network with relu whose state grows fivefold in each step, and a stream it sees."""
    net = un.Network("rnn", n_x=3, n_a=4, n_y=3, activation="relu", dtype="float32", seed=0)
    net.parameters["W_aa"][:] = 5 * np.eye(4, dtype="float32")
    net.parameters["b_a"][:], net.parameters["W_ya"][:] = 1, 0
    return net, Stream(labels[:-1], labels[1:], 1, 50)


def test_held_back_data_on_which_the_state_overflows_end_nothing(tmp_path):
    net, long = _runaway(np.tile([0, 1, 2], 100))
    assert math.isnan(mean_loss(net, long))
    short = Stream(long.X[:20], long.Y[:20], 1, 20)
    history = un.train(
        net, short, validation=long, steps=3, every=1, optimiser=un.SGD(1e-9), out=tmp_path / "run"
    )
    assert len(history.updates) == 3
    assert history.best_loss is None
    assert (tmp_path / "run" / "report.html").exists()
    un.train(_runaway(long.X)[0], short, validation=long, steps=5, every=1, optimiser=un.SGD(1e-9),
             out=tmp_path / "run", resume=True)  # fmt: skip
    assert (tmp_path / "run" / "metrics.csv").read_text("utf-8").count(",nan,") == 5


def test_a_state_that_overflows_from_window_to_window_is_said(tmp_path):
    net, long = _runaway(np.tile([0, 1, 2], 100))
    words = r"not finite at step 2.*kept in"
    with pytest.raises(un.UnrolledError, match=words):
        un.train(net, long, steps=9, optimiser=un.SGD(1e-9), out=tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").exists()
