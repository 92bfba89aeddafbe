"""Softmax with cross-entropy alone, for one column: the gradient of the logits in three ways."""

from unrolled.activations import (
    softmax_backward,
    softmax_column_jacobian,
    softmax_cross_entropy_backward,
)
from unrolled.equations.step import Stage
from unrolled.functions import softmax
from unrolled.parts import Part


def _three_ways(z_y, y, identity):
    y_hat = softmax(z_y)
    dy_hat = -y / y_hat
    jacobian = softmax_column_jacobian(y_hat, identity)
    return {
        "y_hat": y_hat, "dy_hat": dy_hat, "jacobian": jacobian,
        "by_jacobian": jacobian.T @ dy_hat,
        "by_chain": softmax_backward(dy_hat, y_hat),
        "by_shortcut": softmax_cross_entropy_backward(y_hat, y),
    }  # fmt: skip


THREE_WAYS = Stage(
    (Part("softmax with cross-entropy", "", "Bishop 1995, 6.9", {}, _three_ways, _three_ways),), (),
    {"z_y": ("n_y", 1), "y": ("n_y", 1), "identity": ("n_y", "n_y")}, {},
)  # fmt: skip
