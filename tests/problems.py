"""Problems to test on: sizes pairwise distinct, states and biases non-zero, nothing tuned."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from unrolled import Network
from unrolled.cells import cell_names, load_cell
from unrolled.engines import reference
from unrolled.inputs import make_batch
from unrolled.unrolling import Unrolled

SIZES = {"n_x": 3, "n_a": 5, "n_y": 2, "m": 7, "T": 4}
OUTPUTS = [("softmax", None), ("softmax", "squared_error"), ("sigmoid", None),
           ("sigmoid", "squared_error"), ("linear", None)]  # fmt: skip


def cells() -> Iterator[tuple[str, str | None]]:
    """Every cell that is found, with every activation it can have."""
    for name in cell_names():
        for activation in load_cell(name).activations or (None,):
            yield name, activation


@dataclasses.dataclass
class Problem:
    net: Network
    X: np.ndarray
    Y: np.ndarray
    state: dict[str, np.ndarray]
    lengths: np.ndarray | None = None

    @property
    def arguments(self):
        return self.X, self.Y, self.state, self.lengths

    def values(self) -> dict[str, np.ndarray]:
        """All that the loss depends on, by name."""
        x = {"x": self.X} if self.X.ndim == 3 else {}
        return self.net.parameters | x | {f"{s}0": v for s, v in self.state.items()}

    def run(self, values: dict[str, np.ndarray], reduction: str = "mean", targets: bool = True,
            dropout_seed: int | None = None) -> Unrolled:  # fmt: skip
        """Run the reference engine on other values, complex ones or another library's."""
        net = self.net
        batch = make_batch(net.architecture, net.dtype, self.X, self.state, self.lengths,
                           self.Y if targets else None, reduction, dropout_seed=dropout_seed)  # fmt: skip
        order = slice(None) if batch.order is None else batch.order
        batch = dataclasses.replace(
            batch,
            X=values["x"][:, order] if "x" in values else batch.X,
            state={s: values[f"{s}0"][:, order] for s in net.architecture.states},
        )
        parameters = {name: values[name] for name in net.parameters}
        keep = frozenset() if targets else None
        return Unrolled(net.architecture, reference, parameters, batch, keep)


def problem(cell="rnn", activation=None, output="softmax", loss=None, *, seed=0, labels=False,
            last=False, lengths=False, dtype="float64", engine="auto", scale=1.0, layers=1,
            bidirectional=False, embedding=None, dropout=0.0, **sizes) -> Problem:  # fmt: skip
    n = SIZES | sizes
    random = np.random.default_rng(seed + 1)
    net = Network(cell, n_x=n["n_x"], n_a=n["n_a"], n_y=n["n_y"], activation=activation,
                  output=output, loss=loss, layers=layers, bidirectional=bidirectional,
                  embedding=embedding, dropout=dropout, dtype=dtype, seed=seed, engine=engine)  # fmt: skip
    for value in net.parameters.values():
        value += 0.2 * random.standard_normal(value.shape)
        value *= scale
    m, T = n["m"], n["T"]
    X = random.integers(0, n["n_x"], (m, T)) if labels else random.standard_normal((n["n_x"], m, T))
    shape = (m,) if last else (m, T)
    if output == "softmax":
        Y = random.integers(0, n["n_y"], shape)
        Y.flat[1::5] = -1
    else:
        Y = random.uniform(0.1, 0.9, (n["n_y"], *shape))
    state = {s: random.standard_normal((n["n_a"], m)) for s in net.architecture.states}
    ends = random.integers(1, T + 1, m) if lengths else None
    return Problem(net, X, Y, state, ends)


def complex_step(function: Callable[[dict[str, np.ndarray]], complex], values, name) -> np.ndarray:
    """The derivative of a real function of named arrays, entry by entry, exact to rounding."""
    h = 1e-40
    gradient = np.zeros(values[name].shape)
    for index in np.ndindex(gradient.shape):
        moved = values[name].astype(complex)
        moved[index] += 1j * h
        gradient[index] = function(values | {name: moved}).imag / h
    return gradient


def assert_close(found, expected, digits=12):
    """Equal to `digits` digits of the largest entry; no absolute tolerance."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    assert np.isfinite(scale)
    assert scale > 0, "nothing is tested where all is 0"
    assert np.abs(found - expected).max() <= scale * 10.0**-digits
