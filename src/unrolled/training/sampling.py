"""Writing text with a trained network, one character after the other."""

from typing import Any

import numpy as np

from unrolled.data.text import Vocabulary
from unrolled.errors import UnrolledError, positive_number, whole_number
from unrolled.functions import softmax
from unrolled.network import Network

Array = Any


def sample(
    net: Network, vocabulary: Vocabulary, count: int = 10, prefix: str = "\n",
    stop: str = "\n", longest: int = 40, temperature: float = 1.0, top_k: int | None = None,
    seed: int = 0,
) -> list[str]:  # fmt: skip
    """Return `count` texts that the network writes after `prefix`, each up to `stop`.

    Args:
        longest: the most characters of each.
        temperature: above 0; below 1 likely characters become likelier, above 1 less so.
        top_k: choose among the k likeliest only; None: among all.
        seed: of the choices; the same seed gives the same texts.

    Raises UnrolledError for a number that makes no sense, for characters that the vocabulary does
    not have, and for a network that does not predict the next character.
    """
    positive_number("temperature", temperature)
    for name, number, lowest in (("count", count, 1), ("longest", longest, 1), ("seed", seed, 0)):
        whole_number(name, number, lowest)
    if top_k is not None:
        whole_number("top_k", top_k, 1)
    n, output = len(vocabulary), net.architecture.step.prediction.name
    if (net.sizes["n_x"], net.sizes["n_y"], output) != (n, n, "softmax"):
        raise UnrolledError(
            f"the network has n_x = {net.sizes['n_x']}, n_y = {net.sizes['n_y']}, output "
            f"{output!r}: expected {n} characters in and out, and a softmax"
        )
    if not prefix:
        raise UnrolledError("prefix is empty: expected the character to begin after")
    random = np.random.default_rng(seed)
    X = np.repeat(vocabulary.encode(prefix)[None], count, axis=0)
    texts, state = [""] * count, None
    writing = np.ones(count, bool)
    for _ in range(longest):
        with np.errstate(all="ignore"):  # what overflows shows in what is written
            run = net.forward(X, state)
        state = run.state
        z_y = run["z_y"][:, :, -1].astype(np.float64)
        chosen = _choose(_sharpened(z_y, temperature, top_k), random)
        for k in np.flatnonzero(writing):
            character = vocabulary.characters[chosen[k]]
            writing[k] = character != stop
            texts[k] += character if writing[k] else ""
        if not writing.any():
            break
        X = chosen[:, None]
    return texts


def _sharpened(z_y: Array, temperature: float, top_k: int | None) -> Array:
    """Return the probabilities (n_y, m) to draw from."""
    if top_k is not None:
        likeliest = np.argsort(-z_y, axis=0, kind="stable")[:top_k]
        kept = np.full_like(z_y, -np.inf)
        np.put_along_axis(kept, likeliest, np.take_along_axis(z_y, likeliest, axis=0), axis=0)
        z_y = kept
    with np.errstate(over="ignore", invalid="ignore"):  # −∞ is right for a temperature near 0
        return softmax((z_y - z_y.max(axis=0)) / temperature)


def _choose(y_hat: Array, random: np.random.Generator) -> Array:
    """Draw a label for each column of probabilities (n_y, m)."""
    below = np.cumsum(y_hat, axis=0, dtype=np.float64)
    return (below < below[-1] * random.random(y_hat.shape[1])).sum(axis=0)
