"""The output layer, the predictions and the losses, each a part written as a cell is.

logits z_y⟨t⟩ = W_ya a⟨t⟩ + b_y, prediction ŷ⟨t⟩ = g(z_y⟨t⟩), and a loss that adds up over targets,
each with its share ω. Cross-entropy is taken from the logits, so it never sees the log of 0.
"""

from dataclasses import dataclass

from unrolled.activations import ACTIVATIONS, softmax_cross_entropy_backward
from unrolled.errors import UnrolledError
from unrolled.functions import log_sum_exp, over_batch, over_features, softplus
from unrolled.parts import Part


def _logits(a, W_ya, b_y):
    z_y = W_ya @ a + b_y
    return {"z_y": z_y}


def _logits_backward(dz_y, a, W_ya):
    return {"da_y": W_ya.T @ dz_y, "dW_ya": dz_y @ a.T, "db_y": over_batch(dz_y)}


def _prediction(name: str, source: str) -> Part:
    g = ACTIVATIONS[name]

    def forward(z_y):
        return {"y_hat": g(z_y)}

    def backward(dy_hat, y_hat):
        return {"dz_y": g.backward(dy_hat, y_hat)}

    return Part(name, f"{name} output", source, {}, forward, backward)


def _softmax_cross_entropy(z_y, y, omega):
    log_y_hat = z_y - log_sum_exp(z_y)
    losses = -over_features(y * log_y_hat)
    return {"log_y_hat": log_y_hat, "losses": losses, "loss": over_batch(omega * losses)}


def _softmax_cross_entropy_backward(y_hat, y, omega):
    return {"dz_y": omega * softmax_cross_entropy_backward(y_hat, y)}


def _sigmoid_cross_entropy(z_y, y, omega):
    losses = over_features(softplus(z_y) - y * z_y)
    return {"losses": losses, "loss": over_batch(omega * losses)}


def _sigmoid_cross_entropy_backward(y_hat, y, omega):
    return {"dz_y": omega * (y_hat - y)}


def _squared_error(y_hat, y, omega):
    losses = 0.5 * over_features((y_hat - y) ** 2)
    return {"losses": losses, "loss": over_batch(omega * losses)}


def _squared_error_backward(y_hat, y, omega):
    return {"dy_hat": omega * (y_hat - y)}


OUTPUT_LAYER = Part(
    "output layer", "z_y⟨t⟩ = W_ya a⟨t⟩ + b_y", "linear layer, the same at every step",
    {"W_ya": "n_y n_a", "b_y": "n_y 1"}, _logits, _logits_backward,
)  # fmt: skip

PREDICTIONS = {
    "softmax": _prediction("softmax", "Bridle 1990, in Neurocomputing: Algorithms, 227-236"),
    "sigmoid": _prediction("sigmoid", "independent yes/no outputs"),
    "linear": _prediction("linear", "values as they are"),
}


@dataclass(frozen=True)
class Loss:
    """A loss: its part, and whether its backward starts at the logits (dz_y) or at ŷ (dy_hat)."""

    part: Part
    from_logits: bool


LOSSES = {
    ("softmax", "cross_entropy"): Loss(
        Part(
            "cross_entropy", "loss = −Σ y log ŷ, from the logits of a softmax",
            "∂loss/∂z_y = ŷ − y: Bishop 1995, Neural Networks for Pattern Recognition, 6.9",
            {}, _softmax_cross_entropy, _softmax_cross_entropy_backward,
        ), from_logits=True,
    ),
    ("sigmoid", "cross_entropy"): Loss(
        Part(
            "cross_entropy", "loss = −Σ (y log ŷ + (1 − y) log(1 − ŷ)), from the logits",
            "negative log-likelihood of independent outputs: Bishop 1995, 6.8",
            {}, _sigmoid_cross_entropy, _sigmoid_cross_entropy_backward,
        ), from_logits=True,
    ),
}  # fmt: skip

SQUARED_ERROR = Loss(
    Part(
        "squared_error", "loss = ½ Σ (ŷ − y)²", "least squares",
        {}, _squared_error, _squared_error_backward,
    ), from_logits=False,
)  # fmt: skip


def choose_loss(output: str, loss: str | None) -> Loss:
    """Return the loss named `loss` ("cross_entropy" or "squared_error") for an output.

    None is the output's own: cross-entropy for softmax and sigmoid, squared error for linear.
    Raises UnrolledError for a pair that makes no sense.
    """
    if loss == "squared_error" or (loss is None and output == "linear"):
        return SQUARED_ERROR
    kind = "cross_entropy" if loss is None else loss
    if not isinstance(kind, str) or (found := LOSSES.get((output, kind))) is None:
        raise UnrolledError(
            f"loss {loss!r} does not go with output {output!r}: "
            "expected 'squared_error', or 'cross_entropy' with output 'softmax' or 'sigmoid'"
        )
    return found
