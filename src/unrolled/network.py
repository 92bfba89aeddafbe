"""A recurrent network: layers of a cell and an output layer, with their parameters."""

import contextlib
from collections.abc import Iterator, Mapping
from copy import copy, deepcopy
from types import ModuleType
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.engines import chosen_engine, load_engine
from unrolled.equations.step import build_step
from unrolled.equations.table import record
from unrolled.errors import UnrolledError, number_below_one, whole_number
from unrolled.initialisation import initial_parameters
from unrolled.inputs import (
    batch_alike,
    check_parameters,
    check_size,
    make_batch,
    make_upstream,
    step_alike,
)  # fmt: skip
from unrolled.parameters import Parameters
from unrolled.tape import Tape
from unrolled.unrolling import (
    Architecture,
    Memory,
    Unrolled,
    chain_for,
    is_straight,
    remember,
    remembered,
)  # fmt: skip

Array = Any
_MOST_LAYERS = 1000
_PREDICTION = frozenset({"y_hat"})


class Network:
    """A recurrent network: layers of a cell in one direction or two, and an output layer.

    Args:
        cell: "rnn", "lstm", "gru", "gru_reset_after", or the path of a cell file.
        n_x, n_a, n_y: features in, hidden units (of each layer and direction), features out.
        activation: of the plain cell: "tanh" (if None), "relu", "leaky_relu" or "sigmoid".
        output: "softmax", "sigmoid" or "linear".
        loss: "cross_entropy" or "squared_error"; None is the output's own.
        layers: how many; each sees the outputs of the one before.
        bidirectional: whether each layer also runs from the last step back (Schuster and Paliwal
            1997); outputs are the two directions one above the other, forward first.
        embedding: n_e, to have e⟨t⟩ = W_ex x⟨t⟩ of that many features as the first layer's input.
        dropout: the share of outputs left out between layers when a `dropout_seed` is given
            (Zaremba, Sutskever and Vinyals 2014), from 0 to below 1.
        dtype: "float64" or "float32".
        seed: of the initial parameters; the same seed gives the same bytes.
        engine: "auto", or the name of an engine.

    Attributes:
        parameters: dictionary of name -> array, changeable in place: "W_aa" (n_a, n_a), …;
            "W_f" reads and sets [W_fa W_fx]. With more than one layer or direction the names are
            "layer0.forward.W_aa", "layer0.backward.W_aa", …
        table: the recorded equations.

    Raises UnrolledError where a size, a name or a dtype cannot be used.
    """

    def __init__(
        self, cell: Any = "rnn", *, n_x: int, n_a: int, n_y: int, activation: str | None = None,
        output: str = "softmax", loss: str | None = None, layers: int = 1,
        bidirectional: bool = False, embedding: int | None = None, dropout: float = 0.0,
        dtype: Any = "float64", seed: int = 0, engine: str = "auto",
    ):  # fmt: skip
        self.cell = cell
        self.architecture = build_architecture(
            cell, n_x=n_x, n_a=n_a, n_y=n_y, activation=activation, output=output, loss=loss,
            layers=layers, bidirectional=bidirectional, embedding=embedding, dropout=dropout,
        )  # fmt: skip
        self.table = record(self.architecture.step)  # a cell that breaks the rules says so at once
        self.dtype = real_dtype(dtype)
        self.seed = whole_number("seed", seed, 0)
        self.engine_name = engine
        chosen_engine(engine)  # said at once where it cannot be had
        self.parameters = initial_parameters(self.architecture, self.seed, self.dtype)
        self._memory: dict[str, list[Memory]] = {}

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes n_x, n_a and n_y, by name."""
        return dict(self.architecture.sizes)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes this network again, parameters aside: the arguments of the constructor."""
        step = self.architecture.step
        cell = step.cell.name if isinstance(self.cell, ModuleType) else str(self.cell)
        return {
            "cell": cell, **self.sizes,
            "activation": step.activation.name if step.activation else None,
            "output": step.prediction.name, "loss": step.loss.part.name,
            "layers": self.architecture.layers, "bidirectional": self.architecture.bidirectional,
            "embedding": self.architecture.embedding, "dropout": self.architecture.dropout,
            "dtype": self.dtype.name, "seed": self.seed,
        }  # fmt: skip

    @property
    def engine(self) -> ModuleType:
        """The engine that runs this network."""
        return load_engine(self.engine_name)

    def astype(self, dtype: Any) -> "Network":
        """Return a copy with its parameters in another dtype."""
        check_parameters(self.parameters, self.architecture, self.dtype)
        dtype = real_dtype(dtype)
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
        other.__dict__ |= self.__dict__ | {
            "dtype": dtype, "parameters": Parameters(parameters), "_memory": {},
        }  # fmt: skip
        return other

    def __getstate__(self) -> dict[str, Any]:
        """What a pickle holds: how to make the network again, and its parameters."""
        if isinstance(self.cell, ModuleType):
            raise UnrolledError("the cell is a module, which is not pickled: name it or its file")
        arguments = self.settings | {"cell": self.cell, "engine": self.engine_name}
        return {"arguments": arguments, "parameters": self.parameters}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["arguments"])  # type: ignore[misc]
        # Copies: joblib maps large arrays from a file, where they cannot be changed.
        self.parameters = Parameters({n: np.array(v) for n, v in state["parameters"].items()})

    def forward(
        self, X: Array, state: Any = None, lengths: Any = None, many_to_one: bool = False,
        dropout_seed: int | None = None,
    ) -> Tape:  # fmt: skip
        """Run the network over X and return every named quantity of the way.

        Args:
            X: floating (n_x, m, T), or integers (m, T) from 0 to n_x − 1 for one-hot columns.
            state: where it starts: None (zeros), a0 (n_a, m), or {"a": …, "c": …}; with more than
                one layer or direction {"layer0.forward.a": …}.
            lengths: (m,) integers, how many of the T steps each sequence has (None: all). What X
                holds behind them is not looked at, and all quantities are 0 there.
            many_to_one: whether the output layer sees, at a sequence's last step, each direction's
                own last state. Only with two directions is that anything else than a⟨t⟩.
            dropout_seed: of what is left out between layers; None leaves nothing out, as when a
                trained network is used.

        Returns a Tape: run["z_a"] (n_a, m, T), run["a"], run["y_hat"] (n_y, m, T), …; run.state is
        the final state, {"a": (n_a, m), "c": …}, after each sequence's last step. Raises
        UnrolledError for bad input.
        """
        batch = self._batch(X, state, lengths, many_to_one=many_to_one, dropout_seed=dropout_seed)
        return Tape(self._unrolled(self.engine, deepcopy(batch), None, deepcopy(self.parameters)))

    def step(self, x: Array, state: Any = None) -> tuple[Array, dict[str, Array]]:
        """Run one step of a stream, and return the prediction with the state to hand to the next step.

        Args:
            x: floating (n_x, m), or integers (m,) from 0 to n_x − 1 for one-hot columns.
            state: what the step before returned; None, or any state of `forward`, to begin.

        Returns ŷ⟨t⟩ (n_y, m) and the state, {"a": (n_a, m), "c": …}. Raises UnrolledError for bad input, and
        for a network with two directions, which has to see a sequence's end before its beginning.
        """
        if self.architecture.bidirectional:
            raise UnrolledError(
                "step is for networks of one direction: this one also runs from the last step back"
            )
        x = np.asarray(x)
        if x.ndim != (1 if x.dtype.kind in "iu" else 2):
            raise UnrolledError(
                f"x has shape {x.shape}, expected (n_x, m) = ({self.sizes['n_x']}, m), "
                "or labels (m,) that are integers: the sequences of one step"
            )
        with self._buffers("step") as memory:
            y_hat, final = self._step(x[..., None], state, memory)
        return y_hat, final

    def _step(self, X: Array, state: Any, memory: Memory) -> tuple[Array, dict[str, Array]]:
        """Run one step, again with what the engine holds of the step before it, where it is like that."""
        batch = step_alike(remembered(memory), X, state)
        chain = chain_for(batch, memory) if batch else None
        if batch and chain and chain.knows(self.parameters):
            _, final, _ = chain.run(self.parameters, batch, batch.state)
            y_hat = chain.made("y_hat")[:, :, 0]
            # Parameters that were changed in place are looked at only where something came of it.
            if not np.isfinite(y_hat).all():
                check_parameters(self.parameters, self.architecture, self.dtype)
            return y_hat, final
        batch = self._batch(X, state, None)
        run = self._unrolled(self.engine, batch, _PREDICTION, memory=memory)
        remember(self.architecture, self.engine, self.parameters, batch, memory, back=False)
        return np.array(run.kept["head"].arrays["y_hat"][:, :, 0], order="F"), run.state

    def loss(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None, reduction: str = "mean",
        dropout_seed: int | None = None,
    ) -> float:  # fmt: skip
        """Return the loss alone; the arguments are those of `loss_and_gradients`."""
        return self.loss_and_state(X, given(Y), state, lengths, reduction, dropout_seed)[0]

    def loss_and_state(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None, reduction: str = "mean",
        dropout_seed: int | None = None,
    ) -> tuple[float, dict[str, Array]]:  # fmt: skip
        """Return the loss and the final state; the arguments are those of `loss_and_gradients`, and
        Y may be None: then there is no loss, which is said as 0.
        """
        batch = self.batch(X, Y, state, lengths, reduction, dropout_seed)
        with self._buffers() as memory:
            run = self._unrolled(self.engine, batch, frozenset(), memory=memory)
            final = {name: batch.as_given(value) for name, value in run.state.items()}
            return float(run.loss), final

    def loss_and_gradients(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None,
        reduction: str = "mean", inputs: bool = False, dropout_seed: int | None = None,
    ) -> tuple[float, dict[str, Array]]:  # fmt: skip
        """Return the loss, and ∂loss/∂ of every parameter by full backpropagation through time.

        Args:
            X, state, lengths, dropout_seed: as in `forward`.
            Y: integers (m, T), labels with −1 for "no target here", or (m,) for the last step
                only; floating (n_y, m, T) or (n_y, m), one-hot columns or values. For the last step
                only, the output layer sees each direction's own last state.
            reduction: "mean" over all targets, "batch" (sum over time, mean over batch), "sum".
            inputs: whether to return the gradients of "x" (n_x, m, T), "a0" (and "c0") too;
                for integers X, "x" is that of the one-hot columns.

        Returns the loss and a dictionary of name -> gradient in the parameter's shape.
        Raises UnrolledError for bad input. Backpropagation through time: Werbos 1990.
        """
        loss, _, gradients = self.loss_state_and_gradients(
            X, Y, state, lengths, reduction, inputs, dropout_seed
        )
        return loss, gradients

    def loss_state_and_gradients(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None,
        reduction: str = "mean", inputs: bool = False, dropout_seed: int | None = None,
    ) -> tuple[float, dict[str, Array], dict[str, Array]]:  # fmt: skip
        """As `loss_and_gradients`, with the final state between them: what training carries on."""
        is_plain = state is lengths is dropout_seed is None and not inputs
        found = self._run_alike(X, Y, reduction) if is_plain else None
        if found is not None:
            return found
        batch = self.batch(X, given(Y), state, lengths, reduction, dropout_seed)
        return self.run_batch(batch, inputs)

    def batch(
        self, X: Array, Y: Array = None, state: Any = None, lengths: Any = None,
        reduction: str = "mean", dropout_seed: int | None = None, many_to_one: bool = False,
    ) -> Batch:  # fmt: skip
        """Return what came as a Batch that was looked at; arguments as in `loss_and_gradients`, or, where
        Y is None, as in `forward`.
        """
        return self._batch(X, state, lengths, Y, reduction, many_to_one, dropout_seed)

    def run(self, batch: Batch, keep: frozenset[str] | None) -> Unrolled:
        """Run a batch forward, and keep the names in `keep` of every layer and direction."""
        return self._unrolled(self.engine, batch, keep)

    def run_batch(
        self, batch: Batch, inputs: bool = False
    ) -> tuple[float, dict[str, Array], dict[str, Array]]:
        """Return the loss, the final state and the gradients of a batch that was looked at already."""
        with self._buffers() as memory:
            straight = not inputs and is_straight(self.architecture, batch)
            chain = chain_for(batch, memory) if straight else None
            if chain:
                loss, state, gradients = chain.run(self.parameters, batch, batch.state)
            else:
                keep = self.architecture.step.needed
                run = self._unrolled(self.engine, batch, keep, memory=memory)
                _, gradients = run.backward({}, frozenset(), inputs)
                loss, state = run.loss, run.state
                if straight:
                    remember(
                        self.architecture, self.engine, self.parameters, batch, memory, back=True
                    )
            final = {name: batch.as_given(value) for name, value in state.items()}
            return float(loss), final, self._chosen(batch, gradients, inputs)

    def _run_alike(
        self, X: Array, Y: Array, reduction: str
    ) -> tuple[float, dict[str, Array], dict[str, Array]] | None:
        """The same of a batch like the one before it; None where it is not, or something is wrong with it."""
        with self._buffers() as memory:
            batch = batch_alike(remembered(memory), X, Y, reduction)
            chain = chain_for(batch, memory) if batch else None
            if not (batch and chain and chain.knows(self.parameters) and chain.finds_finite()):
                return None
            loss, state, gradients = chain.run(self.parameters, batch, {})
        return float(loss), state, self._chosen(batch, gradients, inputs=False)

    def backward(
        self, run: Tape, upstream: Mapping[str, Any], inputs: bool = False
    ) -> dict[str, Array]:
        """Return ∂loss/∂ of every parameter for any loss, from its gradients at what a run gave.

        Args:
            run: what `forward` or `tape` returned; its own parameters and inputs are used, even if the
                network's have changed since.
            upstream: any of "y_hat", "z_y" (n_y, m, T), "a" (n_a, m, T; with two directions
                (2 n_a, m, T)), "c", and "state": {"a": da_T (n_a, m), "c": …} of the final state;
                with more than one layer or direction also "layer0.forward.a", … What is missing is
                zero, and so is what is behind the end of a sequence.
            inputs: as in `loss_and_gradients`.

        Raises UnrolledError for bad input.
        """
        ours = isinstance(run, Tape) and run.architecture is self.architecture
        if not ours or run.batch.dtype != self.dtype:
            raise UnrolledError(
                "run is not one of this network's: expected what its forward returned"
            )
        back = copy(run.unrolled)
        back.batch = run.batch.without_targets()  # its own loss is not added
        back.engine = self.engine
        outside = make_upstream(self.architecture, run.batch, self.dtype, upstream)
        _, gradients = back.backward(outside, frozenset(), inputs)
        return self._chosen(run.batch, gradients, inputs)

    def tape(
        self, X: Array, Y: Array, state: Any = None, lengths: Any = None, reduction: str = "mean",
        dropout_seed: int | None = None,
    ) -> Tape:  # fmt: skip
        """Return every named quantity of forward and backward at every step.

        The arguments are those of `loss_and_gradients`; `tape.loss` and `tape.gradients` are what
        it returns. It is always the reference engine that runs: step by step, as the cell is written.
        """
        batch = self.batch(X, given(Y), state, lengths, reduction, dropout_seed)
        reference, parameters = load_engine("reference"), deepcopy(self.parameters)
        run = self._unrolled(reference, deepcopy(batch), None, parameters)
        found, gradients = run.backward({}, None, inputs=True)
        return Tape(run, found, self._chosen(batch, gradients, inputs=True))

    def __repr__(self) -> str:
        count = sum(value.size for value in self.parameters.values())
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        return f"Network({settings})  # {count:,} parameters"

    def _unrolled(
        self, engine: ModuleType, batch: Batch, keep: frozenset[str] | None,
        parameters: Mapping[str, Array] | None = None, memory: Memory | None = None,
    ) -> Unrolled:  # fmt: skip
        """Run a batch; what is to outlive the next run has parameters of its own, and no memory."""
        parameters = self.parameters if parameters is None else parameters
        return Unrolled(self.architecture, engine, parameters, batch, keep, memory)

    @contextlib.contextmanager
    def _buffers(self, use: str = "batch") -> Iterator[Memory]:
        """Lend the engine's buffers to one run, so that two threads never have the same; those for batches
        and those for single steps are kept apart.
        """
        there = self._memory.get(use)
        memory = there.pop() if there else {}
        yield memory
        self._memory[use] = [memory]

    def _batch(
        self, X: Array, state: Any, lengths: Any, Y: Array = None, reduction: str = "mean",
        many_to_one: bool = False, dropout_seed: int | None = None,
    ) -> Batch:  # fmt: skip
        """Everything that comes in is looked at here."""
        check_parameters(self.parameters, self.architecture, self.dtype)
        return make_batch(
            self.architecture, self.dtype, X, state, lengths, Y, reduction, many_to_one, dropout_seed
        )  # fmt: skip

    def _chosen(
        self, batch: Batch, gradients: Mapping[str, Array], inputs: bool
    ) -> dict[str, Array]:
        """The gradients a caller asked for: parameters, and inputs and initial states if wanted."""
        chosen = Parameters({name: gradients[name] for name in self.architecture.parameters})
        if inputs:
            names = ["x", *(f"{s}0" for s in self.architecture.states)]
            chosen.update({name: batch.as_given(gradients[name]).copy("F") for name in names})
        return chosen


def build_architecture(
    cell: Any, *, n_x: int, n_a: int, n_y: int, activation: str | None = None,
    output: str = "softmax", loss: str | None = None, layers: int = 1, bidirectional: bool = False,
    embedding: int | None = None, dropout: float = 0.0,
) -> Architecture:  # fmt: skip
    """Return what a network is made of; the arguments are those of Network.

    Raises UnrolledError where a size or a name cannot be used.
    """
    step = build_step(cell, activation, output, loss)
    sizes = {"n_x": n_x, "n_a": n_a, "n_y": n_y}
    sizes = {name: check_size(name, size) for name, size in sizes.items()}
    layers = whole_number("layers", layers, 1)
    if layers > _MOST_LAYERS:
        raise UnrolledError(f"layers is {layers}: expected at most {_MOST_LAYERS}")
    if not isinstance(bidirectional, bool | np.bool_):
        raise UnrolledError(f"bidirectional is {bidirectional!r}: expected True or False")
    if embedding is not None:
        embedding = check_size("n_e", embedding)
    dropout = number_below_one("dropout", dropout)
    return Architecture(step, sizes, layers, bool(bidirectional), embedding, dropout)


def given(Y: Array) -> Array:
    """Return the targets, which have to be there."""
    if Y is None:
        raise UnrolledError(
            "Y is None: expected labels (m, T) or (m,), or floats (n_y, m, T) or (n_y, m)"
        )
    return Y


def real_dtype(dtype: Any) -> Any:
    """Return float64 or float32 as NumPy's, by name or type, or raise UnrolledError."""
    name = (
        dtype if isinstance(dtype, str) else getattr(dtype, "__name__", getattr(dtype, "name", ""))
    )
    if name not in ("float64", "float32"):
        raise UnrolledError(f"dtype is {dtype!r}: expected 'float64' or 'float32'")
    return np.dtype(name)
