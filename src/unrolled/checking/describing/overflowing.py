"""Why a number is not finite on huge logits: the plain formulas that overflow, tried on the same logits."""

import ast
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unrolled.checking.locating.runs import Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.report import Cause
from unrolled.functions import over_features, softmax

Array = Any
_SHIFT = "subtract the largest logit of each column first: softmax does not change by that"
_BY_LABEL = "loss by label"
_LOG = (
    "take the logarithm from the logits: log ŷ = z_y − log Σ exp(z_y), with the largest taken out"
)


def _plain_softmax(z: Array) -> Array:
    return np.exp(z) / over_features(np.exp(z))


def _forms(values: dict[str, Array]) -> Iterator[tuple[str, str, Callable[[], dict[str, Array]]]]:
    """Yield id, sentence, and what the plain formulas give for the quantities, from one step's values; the
    loss as a product with y, where 0 · ∞ is no number, and as the target's entry, looked up.
    """
    z, y, omega = values["z_y"], values.get("y", 0.0), values.get("omega", 0.0)

    def results(y_hat: Array, log_y_hat: Array) -> dict[str, Array]:
        shares = omega * y * log_y_hat
        looked_up = -np.sum(np.where(np.asarray(y) > 0, shares, 0.0))
        return {
            "y_hat": y_hat,
            "log_y_hat": log_y_hat,
            "loss": -np.sum(shares),
            _BY_LABEL: looked_up,
        }

    of_zero = "yours takes the logarithm of a probability that is 0 in floating point; "
    yield "log_of_zero", of_zero + _LOG, lambda: results(softmax(z), np.log(softmax(z)))
    plain = "yours is softmax without the shift: exp of a logit above 709 is infinite, and ∞ / ∞ is no number; "
    yield "no_shift", plain + _SHIFT, lambda: results(_plain_softmax(z), np.log(_plain_softmax(z)))
    total = "yours is log Σ exp without the shift, which is infinite for a logit above 709; "
    yield (
        "no_shift",
        total + _LOG,
        lambda: results(_plain_softmax(z), z - np.log(over_features(np.exp(z)))),
    )


def name_overflow(runner: Runner, located: Located) -> Cause:
    """Return which plain formula gives their numbers, infinities included; else what overflowed first."""
    name, truth = located.node.name, runner.truth
    events = [e for e in located.run.watcher.events if e.value is not None]
    theirs = [e.value for e in events if e.place == located.place.number]
    theirs += [-value for value in theirs]  # of `loss -= log p`
    with np.errstate(all="ignore"):
        for step in truth.steps:
            for key, message, results in _forms(step):
                given = results()
                expected = [given[n] for n in _names(name) if n in given]
                if any(_alike(value, one) for value in theirs for one in expected):
                    return Cause(key, "exact", message)
        for key, message, _ in _forms(truth.steps[0]):
            totals = [r() for step in truth.steps for k, m, r in _forms(step) if m == message]
            for n in _names(name) if name == "loss" else ():
                if any(_alike(value, sum(t[n] for t in totals)) for value in theirs):
                    return Cause(key, "exact", message)
    return _first_overflow(runner, located)


def _names(name: str) -> tuple[str, ...]:
    return ("loss", _BY_LABEL) if name == "loss" else (name,)


def _alike(value: Array, expected: Array) -> bool:
    """Whether two arrays agree, with NaN and infinity at the same places, and there is one."""
    value, expected = np.squeeze(value), np.squeeze(expected)
    if np.all(np.isfinite(expected)):
        return False
    return any(
        value.shape == other.shape and np.allclose(value, other, equal_nan=True)
        for other in (expected, expected.T)
    )


def _first_overflow(runner: Runner, located: Located) -> Cause:
    """The first expression that is not finite: what is in it was."""
    for event in located.run.watcher.events:
        place = runner.places[event.place]
        if (
            event.value is not None
            and place.kind == "expression"
            and not np.all(np.isfinite(event.value))
        ):
            text = ast.unparse(place.node)
            message = (
                f"{text} in line {place.line} is not finite for logits of {runner.problem.kind}; "
            )
            return Cause("not_finite", "pattern", message + _SHIFT)
    return Cause("not_finite", "none", "")
