"""Activations against independent references, their backwards, and softmax three ways."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from problems import assert_close

from unrolled import activations as act
from unrolled import functions

ELEMENTWISE = [name for name in act.ACTIVATIONS if name != "softmax"]
WIDE = st.floats(-1000, 1000)


@given(WIDE)
def test_sigmoid_is_accurate_everywhere(z):
    # e^-|z| in steps of exact arithmetic: 1 / (1 + e) and e / (1 + e)
    e = Fraction(math.exp(-abs(z)))
    exact = e / (1 + e) if z < 0 else 1 / (1 + e)
    found = float(functions.sigmoid(np.float64(z)))
    assert abs(found - float(exact)) <= 4 * np.spacing(float(exact))


def test_the_slope_of_softplus_is_sigmoid_at_zero_too():
    z = np.array([-2.0, -0.0, 0.0, 3.0])
    assert_close(functions.softplus(z + 1e-40j).imag / 1e-40, functions.sigmoid(z), 15)


@given(WIDE)
def test_softplus_is_accurate_everywhere(z):
    expected = math.log1p(math.exp(-abs(z))) + max(z, 0)
    found = float(functions.softplus(np.float64(z)))
    assert abs(found - expected) <= 4 * np.spacing(expected)


@pytest.mark.parametrize("name", ELEMENTWISE)
@given(z=hnp.arrays(float, (3, 4), elements=st.floats(-30, 30)))
def test_backward_is_the_derivative_of_forward(name, z):
    g = act.ACTIVATIONS[name]
    da = np.linspace(-2, 3, 12).reshape(3, 4)
    expected = g(z + 1e-40j * da).imag / 1e-40
    found = g.backward(da, g(z))
    # 1 − a² loses digits as a nears 1, which is rounding of a; at a kink both take the left slope
    assert np.abs(found - expected).max() <= 1e-15 * np.abs(da).max() * 8


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_extremes_neither_warn_nor_hide_nan(name):
    z = np.array([[-np.inf, -1e308, -750.0, -0.0, 0.0, 750.0, 1e308, np.inf, np.nan]])
    a = act.ACTIVATIONS[name](z)
    assert np.isnan(a[0, -1])
    limits = {"tanh": (-1, 1), "sigmoid": (0, 1), "relu": (0, np.inf),
              "leaky_relu": (-np.inf, np.inf), "linear": (-np.inf, np.inf)}  # fmt: skip
    assert (a[0, 0], a[0, -2]) == limits[name]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(act.ACTIVATIONS))
def test_dtype_is_kept(name, dtype):
    g = act.ACTIVATIONS[name]
    z = np.array([[-1.5, 0.0, 2.5]], dtype=dtype)
    assert g(z).dtype == dtype
    assert g.backward(z, g(z)).dtype == dtype


def _columns(seed=0, n_y=4, m=3):
    random = np.random.default_rng(seed)
    z_y = random.standard_normal((n_y, m)) * 2
    y = np.eye(n_y)[:, random.integers(0, n_y, m)]
    return z_y, y


def test_softmax_with_cross_entropy_three_ways():
    """By the Jacobian, by the chain, and by ŷ − y: the same numbers."""
    z_y, y = _columns()
    y_hat = act.softmax(z_y)
    dy_hat = -y / y_hat  # of −Σ y log ŷ
    jacobian = act.softmax_jacobian(y_hat)
    by_jacobian = np.einsum("jkm,jm->km", jacobian, dy_hat)
    by_chain = act.softmax_backward(dy_hat, y_hat)
    shortcut = act.softmax_cross_entropy_backward(y_hat, y)
    assert_close(by_jacobian, shortcut, digits=14)
    assert_close(by_chain, shortcut, digits=14)


def test_softmax_jacobian_is_the_derivative():
    z_y, _ = _columns(seed=4)
    jacobian = act.softmax_jacobian(act.softmax(z_y))
    for k in range(len(z_y)):
        step = np.zeros((len(z_y), 1))
        step[k] = 1e-40
        assert_close(jacobian[:, k], act.softmax(z_y + 1j * step).imag / 1e-40, digits=14)


def test_softmax_jacobian_of_a_single_column():
    z_y, _ = _columns()
    y_hat = act.softmax(z_y)
    assert act.softmax_jacobian(y_hat).shape == (4, 4, 3)
    assert_close(act.softmax_jacobian(y_hat[:, 1]), act.softmax_jacobian(y_hat)[:, :, 1])


def test_softmax_jacobian_summed_over_rows_is_nothing():
    """The common mistake: the Jacobian's rows sum to 0, so a summed Jacobian carries no gradient."""
    z_y, _ = _columns()
    summed = act.softmax_jacobian(act.softmax(z_y)).sum(axis=0)
    assert np.abs(summed).max() < 1e-15


@given(hnp.arrays(float, (3, 2), elements=st.floats(-800, 800)))
def test_softmax_sums_to_one_and_ignores_a_shift(z_y):
    y_hat = act.softmax(z_y)
    assert np.abs(y_hat.sum(axis=0) - 1).max() < 1e-15 * 4
    shifted = z_y + 4096.0
    assert_close(act.softmax(shifted), act.softmax(shifted - 4096.0))


def test_log_sum_exp_of_huge_logits():
    z_y = np.array([[1000.0, -1000.0], [1000.0, 250.0]])
    assert_close(functions.log_sum_exp(z_y), [[1000 + math.log(2), 250.0]], digits=15)


def test_leaky_slope_is_one_constant():
    assert functions.leaky_relu(np.array([-2.0]))[0] == -2 * functions.LEAKY_SLOPE
    assert (
        act.leaky_relu_backward(np.array([3.0]), np.array([-1.0]))[0] == 3 * functions.LEAKY_SLOPE
    )
