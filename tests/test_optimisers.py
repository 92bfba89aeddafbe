"""Optimisers against their formulas and PyTorch's; clipping; the learning rate on the way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import assert_close

import unrolled as un
from unrolled.training.optimisers import (
    SCHEDULES,
    SGD,
    Adam,
    clip_by_norm,
    clip_by_value,
    make_optimiser,
    rate_factor,
)

GRADIENTS = [0.3, -1.2, 0.5, 2.0, 0.0]


def test_sgd_is_its_formula():
    parameters, gradients = {"W": np.array([[1.0, 2.0]])}, {"W": np.array([[10.0, -4.0]])}
    SGD(0.5).update(parameters, gradients)
    assert np.array_equal(parameters["W"], [[-4.0, 4.0]])
    SGD(0.5).update(parameters, gradients, factor=0.5)
    assert np.array_equal(parameters["W"], [[-6.5, 5.0]])
    assert np.array_equal(gradients["W"], [[10.0, -4.0]])


def test_momentum_is_its_formula():
    theta, v = 0.7, 0.0
    parameters, sgd = {"W": np.array([[0.7]])}, SGD(0.1, momentum=0.9)
    for g in GRADIENTS:
        v = 0.9 * v + g
        theta -= 0.1 * v
        sgd.update(parameters, {"W": np.array([[g]])})
        assert_close(parameters["W"], [[theta]], 14)
    assert sgd.steps == 5
    assert sgd.kept["velocity"] == pytest.approx(v)


def test_adam_is_its_algorithm():
    """Against algorithm 1 of the paper, line by line, in Python's own numbers."""
    theta, m, v = 0.7, 0.0, 0.0
    parameters, adam = {"W": np.array([[0.7]])}, Adam(0.01, 0.8, 0.95, 1e-3)
    for t, g in enumerate(GRADIENTS, start=1):
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
        theta -= 0.5 * 0.01 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.95**t)) + 1e-3)
        adam.update(parameters, {"W": np.array([[g]])}, factor=0.5)
        assert_close(parameters["W"], [[theta]], 14)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["adam", "sgd", "momentum"])
def test_they_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    ours = {"W": random.standard_normal((3, 4))}
    theirs = torch.tensor(ours["W"].copy(), requires_grad=True)
    mine, reference = {
        "adam": lambda: (Adam(0.01), torch.optim.Adam([theirs], lr=0.01)),
        "sgd": lambda: (SGD(0.01), torch.optim.SGD([theirs], lr=0.01)),
        "momentum": lambda: (SGD(0.01, 0.7), torch.optim.SGD([theirs], lr=0.01, momentum=0.7)),
    }[name]()
    for _ in range(20):
        g = random.standard_normal((3, 4))
        theirs.grad = torch.tensor(g)
        reference.step()
        mine.update(ours, {"W": g})
    assert_close(ours["W"], theirs.detach().numpy(), 13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [lambda: Adam(0.01), lambda: SGD(0.01, 0.9), lambda: SGD(0.01)])
def test_they_keep_dtype_order_and_the_gradients(make, dtype):
    parameters = {"W": np.asfortranarray(np.ones((3, 4), dtype))}
    gradients = {"W": np.asfortranarray(np.full((3, 4), 2, dtype))}
    array, optimiser = parameters["W"], make()
    for _ in range(3):
        optimiser.update(parameters, gradients)
    assert parameters["W"] is array
    assert array.dtype == dtype
    assert (array < 1).all()
    assert (gradients["W"] == 2).all()
    assert all(kept.dtype == dtype and kept.shape == (12,) for kept in optimiser.kept.values())


@pytest.mark.parametrize(
    "make", [lambda: Adam(0.01, 0.5), lambda: SGD(0.01, 0.9), lambda: SGD(0.3)]
)
def test_settings_make_it_again(make):
    optimiser = make()
    again = make_optimiser(**optimiser.settings)
    assert type(again) is type(optimiser)
    assert again.settings == optimiser.settings


@given(st.floats(1e-3, 1e3))
def test_clipping_by_norm_keeps_the_direction(limit):
    gradients = {"W": np.array([[3.0, 0.0]]), "b": np.array([[-4.0]])}
    assert clip_by_norm(gradients, limit) == 5.0
    length = math.hypot(gradients["W"][0, 0], gradients["b"][0, 0])
    assert math.isclose(length, min(limit, 5.0))
    assert math.isclose(gradients["W"][0, 0] * -4, gradients["b"][0, 0] * 3)


@pytest.mark.parametrize("limit", [0.5, 3.0, 4.0, 100.0, math.inf])
def test_clipping_by_value_is_entry_by_entry(limit):
    gradients = {"W": np.array([[3.0, -0.25]]), "b": np.array([[-4.0]])}
    assert clip_by_value(gradients, limit) == (limit < 4)
    assert np.array_equal(gradients["W"], [[min(3.0, limit), -0.25]])
    assert np.array_equal(gradients["b"], [[-min(4.0, limit)]])


def test_the_norm_of_large_float32_numbers_is_finite():
    gradients = {"W": np.full((2, 2), 1e30, np.float32)}
    with np.errstate(over="ignore"):
        assert clip_by_norm(gradients, 1.0) == pytest.approx(2e30)
    assert np.allclose(gradients["W"], 0.5)
    for bad in (math.nan, math.inf):
        assert not math.isfinite(clip_by_norm({"W": np.array([[1.0, bad]])}, math.inf))


@given(st.sampled_from(SCHEDULES), st.integers(1, 500), st.integers(0, 50))
def test_the_learning_rate_rises_and_falls(schedule, steps, warmup):
    factors = [rate_factor(schedule, step, steps, warmup) for step in range(1, steps + 1)]
    assert all(0 < factor <= 1 for factor in factors)
    rising, falling = factors[:warmup], factors[warmup:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    if falling:
        assert falling[0] == 1
        last = {"constant": 1, "linear": 1 / len(falling),
                "cosine": math.sin(math.pi / 2 / len(falling)) ** 2}[schedule]  # fmt: skip
        assert falling[-1] == pytest.approx(last)


def test_half_way_down():
    assert rate_factor("linear", 51, 100) == 0.5
    assert rate_factor("cosine", 51, 100) == pytest.approx(0.5)
    assert rate_factor("constant", 10**9, None, 3) == 1.0


@pytest.mark.parametrize("make", [
    lambda: SGD(0), lambda: SGD(-1.0), lambda: Adam(math.nan), lambda: SGD("a"), lambda: Adam(None),
    lambda: SGD(math.inf), lambda: Adam(beta1=2), lambda: Adam(beta2=1.0), lambda: Adam(epsilon=0),
    lambda: SGD(0.1, 1.0), lambda: SGD(0.1, -0.1), lambda: SGD(True),
])  # fmt: skip
def test_settings_that_make_no_sense(make):
    with pytest.raises(un.UnrolledError, match="expected"):
        make()
