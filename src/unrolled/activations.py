"""Each activation with its backward, named by what it takes.

The backward of an elementwise activation needs only what came out: `tanh_backward(da, a)`.
Softmax is not elementwise: each output depends on every logit of its column, so its derivative is
a Jacobian. `softmax_backward` multiplies by it without forming it, and together with cross-entropy
everything cancels to ŷ − y. All of them run on arrays and on symbols, for cells call them too.
"""

from collections.abc import Callable
from dataclasses import dataclass

from unrolled.functions import (
    LEAKY_SLOPE,
    Array,
    leaky_relu,
    namespace,
    over_features,
    positive,
    relu,
    sigmoid,
    softmax,
    tanh,
    where,
)

__all__ = [
    "ACTIVATIONS", "Activation", "identity", "identity_backward", "leaky_relu",
    "leaky_relu_backward", "relu", "relu_backward", "sigmoid", "sigmoid_backward", "softmax",
    "softmax_backward", "softmax_column_jacobian", "softmax_cross_entropy_backward",
    "softmax_jacobian", "tanh", "tanh_backward",
]  # fmt: skip


def tanh_backward(da: Array, a: Array) -> Array:
    """Return dz (n, m) from da (n, m), where a = tanh(z): the derivative is 1 − a²."""
    return (1 - a**2) * da


def sigmoid_backward(da: Array, a: Array) -> Array:
    """Return dz (n, m) from da (n, m), where a = sigmoid(z): the derivative is a (1 − a)."""
    return a * (1 - a) * da


def relu_backward(da: Array, a: Array) -> Array:
    """Return dz (n, m) from da (n, m), where a = relu(z); at the kink z = 0 it is taken as 0."""
    return where(positive(a), da, 0.0)


def leaky_relu_backward(da: Array, a: Array) -> Array:
    """Return dz (n, m) from da (n, m), where a = leaky_relu(z); at z = 0 the slope is taken as 0.01."""
    return where(positive(a), da, LEAKY_SLOPE * da)


def identity(z: Array) -> Array:
    """Return z itself: the activation of a linear output."""
    return z


def identity_backward(da: Array, a: Array) -> Array:
    """Return dz = da."""
    return da


def softmax_backward(dy_hat: Array, y_hat: Array) -> Array:
    """Return dz_y (n_y, m) from dy_hat (n_y, m), where y_hat = softmax(z_y).

    It is the Jacobian's product with dy_hat, column by column: ŷ_k (dŷ_k − Σ_j ŷ_j dŷ_j).
    """
    return y_hat * (dy_hat - over_features(y_hat * dy_hat))


def softmax_jacobian(y_hat: Array) -> Array:
    """Return ∂ŷ_j/∂z_k = ŷ_j (δ_jk − ŷ_k), shape (n_y, n_y) for each column of y_hat.

    For y_hat (n_y, m) the result is (n_y, n_y, m); for a single column (n_y,) it is (n_y, n_y).
    """
    xp = namespace(y_hat)
    one_where_equal = xp.eye(len(y_hat), dtype=y_hat.dtype)
    if y_hat.ndim == 1:
        return softmax_column_jacobian(y_hat[:, None], one_where_equal)
    columns = (y_hat[:, k : k + 1] for k in range(y_hat.shape[1]))
    return xp.stack([softmax_column_jacobian(y, one_where_equal) for y in columns], -1)


def softmax_column_jacobian(y_hat: Array, one_where_equal: Array) -> Array:
    """Return the same (n_y, n_y) for one column (n_y, 1), from the identity matrix δ (n_y, n_y)."""
    return y_hat * (one_where_equal - y_hat.T)


def softmax_cross_entropy_backward(y_hat: Array, y: Array) -> Array:
    """Return dz_y (n_y, m) of the loss −Σ y log ŷ, where y_hat = softmax(z_y) and columns of y sum to 1."""
    return y_hat - y


@dataclass(frozen=True)
class Activation:
    """An activation `g`: `g(z)` forward, `g.backward(da, a)` backward."""

    name: str
    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]

    def __call__(self, z: Array) -> Array:
        return self.forward(z)


ACTIVATIONS = {
    "tanh": Activation("tanh", tanh, tanh_backward),
    "relu": Activation("relu", relu, relu_backward),
    "leaky_relu": Activation("leaky_relu", leaky_relu, leaky_relu_backward),
    "sigmoid": Activation("sigmoid", sigmoid, sigmoid_backward),
    "softmax": Activation("softmax", softmax, softmax_backward),
    "linear": Activation("linear", identity, identity_backward),
}
