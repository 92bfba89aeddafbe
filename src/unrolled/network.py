"""A recurrent network: a cell and an output layer, unrolled over time."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.engines import load_engine
from unrolled.equations.step import build_step
from unrolled.equations.table import record
from unrolled.errors import UnrolledError, whole_number
from unrolled.initialisation import initial_parameters
from unrolled.inputs import check_parameters, check_size, make_batch, make_upstream
from unrolled.parameters import Parameters
from unrolled.tape import Tape

Array = Any


class Network:
    """A recurrent network of one layer in one direction.

    Args:
        cell: "rnn", "lstm", "gru", "gru_reset_after", or the path of a cell file.
        n_x, n_a, n_y: features in, hidden units, features out.
        activation: of the plain cell: "tanh" (if None), "relu", "leaky_relu" or "sigmoid".
        output: "softmax", "sigmoid" or "linear".
        loss: "cross_entropy" or "squared_error"; None is the output's own.
        dtype: "float64" or "float32".
        seed: of the initial parameters; the same seed gives the same bytes.
        engine: "auto", or the name of an engine.

    Attributes:
        parameters: dictionary of name -> array, changeable in place: "W_aa" (n_a, n_a), …;
            "W_f" reads and sets [W_fa W_fx].
        table: the recorded equations.

    Raises UnrolledError where a size, a name or a dtype cannot be used.
    """

    def __init__(
        self, cell: Any = "rnn", *, n_x: int, n_a: int, n_y: int, activation: str | None = None,
        output: str = "softmax", loss: str | None = None, layers: int = 1,
        bidirectional: bool = False, dtype: Any = "float64", seed: int = 0, engine: str = "auto",
    ):  # fmt: skip
        if layers != 1 or bidirectional:
            raise UnrolledError(
                f"layers = {layers!r}, bidirectional = {bidirectional!r}: "
                "this version has one layer in one direction"
            )
        self.cell = cell
        self.step = build_step(cell, activation, output, loss)
        self.table = record(self.step)  # a cell that breaks the rules says so at once
        sizes = {"n_x": n_x, "n_a": n_a, "n_y": n_y}
        self.sizes = {name: check_size(name, size) for name, size in sizes.items()}
        self.dtype = _real_dtype(dtype)
        self.seed = whole_number("seed", seed, 0)
        self.engine_name = engine
        load_engine(engine)
        self.parameters = initial_parameters(self.step, self.sizes, self.seed, self.dtype)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this network again, parameters aside: the arguments of the constructor."""
        step = self.step
        cell = step.cell.name if isinstance(self.cell, ModuleType) else str(self.cell)
        return {
            "cell": cell, **self.sizes,
            "activation": step.activation.name if step.activation else None,
            "output": step.prediction.name, "loss": step.loss.part.name,
            "dtype": self.dtype.name, "seed": self.seed,
        }  # fmt: skip

    @property
    def engine(self) -> ModuleType:
        """The engine that runs this network."""
        return load_engine(self.engine_name)

    def astype(self, dtype: Any) -> "Network":
        """Return a copy with its parameters in another dtype."""
        check_parameters(self.parameters, self.step, self.sizes, self.dtype)
        dtype = _real_dtype(dtype)
        return self._with(
            dtype, {n: value.astype(dtype, order="F") for n, value in self.parameters.items()}
        )

    def __copy__(self) -> "Network":
        return self._with(self.dtype, self.parameters)

    def __deepcopy__(self, memo: Any) -> "Network":
        return self._with(self.dtype, deepcopy(self.parameters, memo))

    def _with(self, dtype: Any, parameters: Mapping[str, Array]) -> "Network":
        """The same network with other parameters; the cell is not read from its file again."""
        other = object.__new__(Network)
        other.__dict__ |= self.__dict__ | {"dtype": dtype, "parameters": Parameters(parameters)}
        return other

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: how to make the network again, and its parameters."""
        if isinstance(self.cell, ModuleType):
            raise UnrolledError("the cell is a module, which is not pickled: name it or its file")
        arguments = self.settings | {"cell": self.cell, "engine": self.engine_name}
        return {"arguments": arguments, "parameters": self.parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        self.parameters = state["parameters"]

    def forward(self, X: Array, state: Any = None, lengths: Any = None) -> Tape:
        """Run the network over X and return every named quantity of the way.

        Args:
            X: floating (n_x, m, T), or integers (m, T) from 0 to n_x − 1 for one-hot columns.
            state: where it starts: None (zeros), a0 (n_a, m), or {"a": …, "c": …}.
            lengths: not in this version.

        Returns a Tape: run["z_a"] (n_a, m, T), run["a"], run["y_hat"] (n_y, m, T), …; run.state is
        the final state, {"a": (n_a, m), "c": …}. Raises UnrolledError for bad input.
        """
        batch = deepcopy(self._batch(X, state, lengths))
        parameters = deepcopy(self.parameters)
        kept, final, _ = self.engine.forward(self.step, parameters, batch, keep=None)
        return Tape(self.step, parameters, batch, kept, final)

    def loss(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None, reduction: str = "mean"
    ) -> float:
        """Return the loss alone; the arguments are those of `loss_and_gradients`."""
        batch = self._batch(X, state, lengths, _given(Y), reduction)
        return float(self.engine.forward(self.step, self.parameters, batch, frozenset())[2])

    def loss_and_gradients(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None,
        reduction: str = "mean", inputs: bool = False,
    ) -> tuple[float, dict[str, Array]]:  # fmt: skip
        """Return the loss, and ∂loss/∂ of every parameter by full backpropagation through time.

        Args:
            X, state, lengths: as in `forward`.
            Y: integers (m, T), labels with −1 for "no target here", or (m,) for the last step
                only; floating (n_y, m, T) or (n_y, m), one-hot columns or values.
            reduction: "mean" over all targets, "batch" (sum over time, mean over batch), "sum".
            inputs: whether to return the gradients of "x" (n_x, m, T), "a0" (and "c0") too;
                for integers X, "x" is that of the one-hot columns.

        Returns the loss and a dictionary of name -> gradient in the parameter's shape.
        Raises UnrolledError for bad input. Backpropagation through time: Werbos 1990.
        """
        loss, _, gradients = self.loss_state_and_gradients(X, Y, state, lengths, reduction, inputs)
        return loss, gradients

    def loss_state_and_gradients(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None,
        reduction: str = "mean", inputs: bool = False,
    ) -> tuple[float, dict[str, Array], dict[str, Array]]:  # fmt: skip
        """As `loss_and_gradients`, with the final state between them: what training carries on."""
        batch = self._batch(X, state, lengths, _given(Y), reduction)
        keep = self.step.needed(targets=True) | frozenset(self.step.states)
        kept, final, loss = self.engine.forward(self.step, self.parameters, batch, keep)
        wanted = frozenset({"dx"}) if inputs else frozenset()
        found, totals = self.engine.backward(self.step, self.parameters, batch, kept, {}, wanted)
        return float(loss), final, self._chosen(totals, found.arrays, inputs)

    def backward(
        self, run: Tape, upstream: Mapping[str, Any], inputs: bool = False
    ) -> dict[str, Array]:
        """Return ∂loss/∂ of every parameter for any loss, from its gradients at what a run gave.

        Args:
            run: what `forward` or `tape` returned; its own parameters and inputs are used, even if the
                network's have changed since.
            upstream: any of "y_hat", "z_y" (n_y, m, T), "a", "c" (n_a, m, T), and "state":
                {"a": da_T (n_a, m), "c": …} of the final state. What is missing is zero.
            inputs: as in `loss_and_gradients`.

        Raises UnrolledError for bad input.
        """
        ours = isinstance(run, Tape) and (run.step, run.sizes) == (self.step, self.sizes)
        if not ours or run.batch.dtype != self.dtype:
            raise UnrolledError(
                "run is not one of this network's: expected what its forward returned"
            )
        batch = replace(run.batch, Y=None, share=None)  # a tape's own loss is not added
        sizes = {**self.sizes, "m": batch.m, "T": batch.T}
        outside = make_upstream(run.step, sizes, self.dtype, upstream)
        wanted = frozenset({"dx"}) if inputs else frozenset()
        found, totals = self.engine.backward(
            run.step, run.parameters, batch, run.kept, outside, wanted
        )
        return self._chosen(totals, found.arrays, inputs)

    def tape(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None, reduction: str = "mean"
    ) -> Tape:
        """Return every named quantity of forward and backward at every step.

        The arguments are those of `loss_and_gradients`; `tape.loss` and `tape.gradients` are what
        it returns.
        """
        batch = deepcopy(self._batch(X, state, lengths, _given(Y), reduction))
        parameters = deepcopy(self.parameters)
        kept, final, loss = self.engine.forward(self.step, parameters, batch, keep=None)
        found, totals = self.engine.backward(self.step, parameters, batch, kept, {}, keep=None)
        gradients = self._chosen(totals, found.arrays, inputs=True)
        return Tape(self.step, parameters, batch, kept, final, float(loss), found, gradients)

    def __repr__(self) -> str:
        count = sum(value.size for value in self.parameters.values())
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Network({settings})  # {count:,} parameters"

    def _batch(
        self, X: Array, state: Any, lengths: Any, Y: Array = None, reduction: str = "mean"
    ) -> Batch:
        """Everything that comes in is looked at here."""
        if lengths is not None:
            raise UnrolledError("lengths came, but in this version all sequences have T steps")
        check_parameters(self.parameters, self.step, self.sizes, self.dtype)
        return make_batch(self.step, self.sizes, self.dtype, X, state, Y, reduction)

    def _chosen(
        self, totals: dict[str, Array], found: Mapping[str, Array], inputs: bool
    ) -> dict[str, Array]:
        """The gradients a caller asked for: parameters, and inputs and initial states if wanted."""
        chosen = Parameters({name: totals[name] for name in self.step.parameters})
        if inputs:
            chosen.update({"x": found["dx"]} | {f"{s}0": totals[f"{s}0"] for s in self.step.states})
        return chosen


def _given(Y: Array) -> Array:
    if Y is None:
        raise UnrolledError(
            "Y is None: expected labels (m, T) or (m,), or floats (n_y, m, T) or (n_y, m)"
        )
    return Y


def _real_dtype(dtype: Any) -> Any:
    name = (
        dtype if isinstance(dtype, str) else getattr(dtype, "__name__", getattr(dtype, "name", ""))
    )
    if name not in ("float64", "float32"):
        raise UnrolledError(f"dtype is {dtype!r}: expected 'float64' or 'float32'")
    return np.dtype(name)
