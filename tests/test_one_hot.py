"""Look-up and scatter-add are the products with one-hot columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import assert_close

from unrolled.one_hot import OneHot


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_products(labels):
    labels, random = np.array(labels), np.random.default_rng(len(labels))
    x, dense = OneHot(labels, 5, "float64"), np.eye(5)[:, labels]
    W, dz = random.standard_normal((3, 5)), random.standard_normal((3, len(labels)))
    assert np.array_equal(W @ x, W @ dense)
    assert_close(dz @ x.T, dz @ dense.T, 14)  # repeated labels add up
    assert np.array_equal(x.dense(), dense)
    for ours, expected in ((2 * x, 2 * dense), (x - 1, dense - 1), (-x, -dense), (x**2, dense)):
        assert np.array_equal(ours, expected)
    assert (x.shape, x.T.shape) == (dense.shape, dense.T.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
def test_dtype_is_kept(dtype):
    x = OneHot(np.array([0, 2, 0]), 4, "float64")
    assert (np.ones((2, 4), dtype) @ x).dtype == dtype
    assert (np.ones((2, 3), dtype) @ x.T).dtype == dtype
