"""How a network is unrolled: an embedding, layers in one direction or two, the output layer.

Each layer runs over all steps before the next one does, in each direction for itself; its outputs,
both directions one above the other, are the next layer's inputs. Written once, for every engine.
"""

import functools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from unrolled.batch import Batch
from unrolled.engines import Kept, Sequences
from unrolled.equations.step import EMBEDDING_STAGE, Stage, Step
from unrolled.functions import namespace
from unrolled.notation import Shape
from unrolled.one_hot import OneHot

Array = Any
Memory = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Sweep:
    """One layer in one direction; `prefix` begins the names of its parameters and quantities."""

    layer: int
    reverse: bool
    prefix: str


@dataclass(frozen=True, eq=False)
class Architecture:
    """What a network is made of. `embedding` is n_e, or None; `dropout` the share that is left out
    between layers.
    """

    step: Step
    sizes: Mapping[str, int]
    layers: int = 1
    bidirectional: bool = False
    embedding: int | None = None
    dropout: float = 0.0

    @cached_property
    def sweeps(self) -> tuple[tuple[Sweep, ...], ...]:
        """For each layer its sweeps: forward, and backward where there are two directions."""
        directions = ("forward", "backward")[: 1 + self.bidirectional]
        single = self.layers == 1 and not self.bidirectional
        return tuple(
            tuple(
                Sweep(k, name == "backward", "" if single else f"layer{k}.{name}.")
                for name in directions
            )
            for k in range(self.layers)
        )

    @cached_property
    def every_sweep(self) -> tuple[Sweep, ...]:
        return tuple(sweep for layer in self.sweeps for sweep in layer)

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The states of all layers and directions: "a", or "layer0.forward.a"."""
        return tuple(f"{w.prefix}{s}" for w in self.every_sweep for s in self.step.states)

    @cached_property
    def axes(self) -> dict[str, int]:
        """The size of every axis by name; "2n_a" is that of two directions one above the other."""
        return {**self.sizes, "2n_a": 2 * self.sizes["n_a"], "n_e": self.embedding or 0}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter in numbers."""
        sizes = {"1": 1, **self.axes}
        return {n: tuple(sizes[str(a)] for a in axes) for n, (_, axes) in self.parameters.items()}

    @cached_property
    def parameters(self) -> dict[str, tuple[str, Shape]]:
        """For each parameter its name within its part, and its shape in symbols."""
        found: dict[str, tuple[str, Shape]] = {}
        if self.embedding:
            found |= {n: (n, shape) for n, shape in EMBEDDING_STAGE.parameters.items()}
        outputs = "2n_a" if self.bidirectional else "n_a"
        for sweep in self.every_sweep:
            seen = outputs if sweep.layer else "n_e" if self.embedding else "n_x"
            for name, shape in self.step.recurrence.parameters.items():
                axes = tuple(seen if axis == "n_x" else axis for axis in shape)
                found[f"{sweep.prefix}{name}"] = name, axes
        for name, (rows, columns) in self.step.head.parameters.items():
            found[name] = name, (rows, outputs if columns == "n_a" else columns)
        return found


class Unrolled:
    """One batch on its way through a network, forward and then back.

    `kept` has what each stage left behind: "embedding", each sweep's by its prefix, "head". `inputs`
    are those of each layer, `outputs` what the output layer sees, `state` the states after the last
    steps. `keep` names what is kept of each stage, None keeps all; `memory` lets an engine use its
    buffers again in the next run.
    """

    def __init__(
        self, architecture: Architecture, engine: ModuleType, parameters: Mapping[str, Array],
        batch: Batch, keep: frozenset[str] | None, memory: Memory | None = None,
    ):  # fmt: skip
        self.architecture, self.engine, self.batch = architecture, engine, batch
        self.parameters, self.keep = parameters, keep
        self.memory: Memory = {} if memory is None else memory
        self.kept: dict[str, Kept] = {}
        self.inputs: list[Array] = []
        self.state: dict[str, Array] = {}
        self.outputs: Array = None
        self.loss: Any = 0.0
        self._forward()

    def _forward(self) -> None:
        following, keep = self.batch.X, self.keep
        if self.architecture.embedding:
            self._run("embedding", EMBEDDING_STAGE, self._given({"x": following}), _with(keep, "e"))
            following = self.kept["embedding"].arrays["e"]
        for k, layer in enumerate(self.architecture.sweeps):
            self.inputs.append(following)
            for sweep in layer:
                sequences = self._sequences(sweep)
                self._run(sweep.prefix, self._cell, sequences, _with(keep, "a"))
                state = self.kept[sweep.prefix].state
                self.state |= {f"{sweep.prefix}{s}": value for s, value in state.items()}
            self.outputs = self._outputs(layer)
            following = self.outputs
            if self.batch.dropped and k + 1 < self.architecture.layers:
                following = self.batch.dropped[k] * self.outputs
        if self._turns:
            n_a, m, last = self.architecture.sizes["n_a"], np.arange(self.batch.m), self.batch.last
            self.outputs[n_a:, m, last] = self.state[f"{self._turns}a"]
        self._run("head", *self._head(), keep)
        self.loss = self.kept["head"].loss

    def backward(
        self, upstream: Mapping[str, Array], keep: frozenset[str] | None, inputs: bool
    ) -> tuple[dict[str, Kept], dict[str, Array]]:
        """Go back.

        `upstream` has gradients from outside, all optional, (n, m, T): dy_hat, dz_y, da of the
        outputs, and d<state> of each state, (n_a, m, T), or d<state>_T after the last step, by the
        full name of the state. Returns what was kept of each stage's gradients, the names in `keep`
        (None: all), and the gradient of each parameter and initial state, and of x if `inputs`.
        """
        found: dict[str, Kept] = {}
        gradients: dict[str, Array] = {}

        def back(key: str, stage: Stage, sequences: Sequences, outside: Any, wanted: Any) -> Kept:
            found[key], totals = self.engine.backward(
                stage, self._own(key, stage), sequences, self.kept[key], outside, wanted,
                self.memory.setdefault(key, {}),
            )  # fmt: skip
            gradients.update({f"{_prefix(key)}{name}": total for name, total in totals.items()})
            return found[key]

        stage, sequences = self._head()
        outside = {n: self._columns(u) for n, u in upstream.items() if n in ("dz_y", "dy_hat")}
        if missing := stage.upstream.keys() - outside.keys():
            shape = self.architecture.sizes["n_y"], sequences.m, sequences.T
            outside |= dict.fromkeys(missing, np.zeros(shape, self.batch.dtype))
        head = back("head", stage, sequences, outside, _with(keep, "da_y"))
        from_above = self._from_columns(head.arrays["da_y"])
        if "da" in upstream:
            from_above = from_above + upstream["da"]
        if self._turns:
            from_above, upstream = self._to_the_ends(from_above.copy(order="F"), upstream)
        for k, layer in reversed(list(enumerate(self.architecture.sweeps))):
            on_the_way = inputs or k > 0 or bool(self.architecture.embedding)
            wanted = _with(keep, "dx") if on_the_way else keep
            parts = np.split(from_above, len(layer)) if len(layer) > 1 else [from_above]
            for sweep, da_y in zip(layer, parts, strict=True):
                outside = self._outside(sweep, upstream, da_y)
                back(sweep.prefix, self._cell, self._sequences(sweep), outside, wanted)
            if on_the_way:
                dx = [found[sweep.prefix].arrays["dx"] for sweep in layer]
                from_above = functools.reduce(operator.add, dx)
            if self.batch.dropped and k > 0:
                from_above = self.batch.dropped[k - 1] * from_above
        if self.architecture.embedding:
            outside, wanted = {"de": from_above}, _with(keep, "dx") if inputs else keep
            back("embedding", EMBEDDING_STAGE, self._given({"x": self.batch.X}), outside, wanted)
            from_above = found["embedding"].arrays.get("dx")
        return found, gradients | ({"x": from_above} if inputs else {})

    @property
    def head_stage(self) -> Stage:
        """The output layer with its loss, or without one where there are no targets."""
        step = self.architecture.step
        return step.head_without_targets if self.batch.Y is None else step.head

    def arrays(self) -> Iterator[Array]:
        """Yield every array that the way back reads."""
        yield from (*self.batch.arrays(), *self.inputs, self.outputs)
        for kept in self.kept.values():
            yield from (*kept.arrays.values(), *kept.state.values())

    @property
    def _cell(self) -> Stage:
        return self.architecture.step.recurrence

    @property
    def _turns(self) -> str:
        """The sweep whose last state is at the first step, where the output layer is to see it."""
        last = self.architecture.sweeps[-1][-1]
        return last.prefix if self.batch.many_to_one and last.reverse else ""

    def _run(self, key: str, stage: Stage, sequences: Sequences, keep: Any) -> None:
        memory = self.memory.setdefault(key, {})
        self.kept[key] = self.engine.forward(stage, self._own(key, stage), sequences, keep, memory)

    def _own(self, key: str, stage: Stage) -> dict[str, Array]:
        """The parameters of a stage, by their names within it."""
        return {name: self.parameters[f"{_prefix(key)}{name}"] for name in stage.parameters}

    def _given(self, given: dict[str, Array]) -> Sequences:
        return Sequences(given, {}, self.batch.m, self.batch.T)

    def _sequences(self, sweep: Sweep) -> Sequences:
        batch, states = self.batch, self._cell.states
        state = {s: batch.state[f"{sweep.prefix}{s}"] for s in states}
        given = {"x": self.inputs[sweep.layer]}
        return Sequences(given, state, batch.m, batch.T, batch.running, sweep.reverse)

    def _outputs(self, layer: tuple[Sweep, ...]) -> Array:
        """What a layer gives: its states, those of two directions one above the other."""
        arrays = [self.kept[sweep.prefix].arrays["a"] for sweep in layer]
        return arrays[0] if len(arrays) == 1 else namespace(*arrays).concatenate(arrays)

    def _outside(
        self, sweep: Sweep, upstream: Mapping[str, Array], da_y: Array
    ) -> dict[str, Array]:
        """The gradients that reach a sweep: of its outputs, of its states at each step and the last."""
        found = {"da_y": da_y}
        for s in self._cell.states:
            name = f"{sweep.prefix}{s}"
            if f"d{name}_T" in upstream:
                found[f"d{s}_T"] = upstream[f"d{name}_T"]
            if f"d{name}" in upstream and name != "a":
                added = "da_y" if s == "a" else f"d{s}_next"
                found[added] = found.get(added, 0) + upstream[f"d{name}"]
        return found

    def _to_the_ends(
        self, da: Array, upstream: Mapping[str, Array]
    ) -> tuple[Array, Mapping[str, Array]]:
        """Move the gradient of a last state that the output layer saw from where it was seen to it."""
        n_a, m, last = self.architecture.sizes["n_a"], np.arange(self.batch.m), self.batch.last
        name = f"d{self._turns}a_T"
        moved = upstream.get(name, 0) + da[n_a:, m, last]
        da[n_a:, m, last] = 0
        return da, {**upstream, name: moved}

    def _head(self) -> tuple[Stage, Sequences]:
        """The output layer with its loss, over the columns that it is needed for."""
        batch, stage = self.batch, self.head_stage
        if batch.Y is None:
            return stage, self._given({"a": self.outputs})
        given = {"a": self.outputs, "y": batch.Y, "omega": batch.share}
        if self._targets is None:
            return stage, self._given(given)
        given = {name: self._columns(array) for name, array in given.items()}
        return stage, Sequences(given, {}, len(self._targets), 1)

    @cached_property
    def _targets(self) -> Array:
        """Where the targets are among all columns, if only few are asked for; None means everywhere."""
        if self.batch.Y is None or self.keep is None:
            return None
        chosen = np.flatnonzero(self.batch.share.ravel(order="F"))
        return chosen if 2 * len(chosen) <= self.batch.share.size else None

    def _columns(self, array: Array) -> Array:
        """Return (n, m, T) as what the output layer is given: all of it, or its targets (n, targets, 1)."""
        if self._targets is None:
            return array
        if isinstance(array, OneHot):
            return array.columns()[:, self._targets, None]
        return array.reshape(len(array), -1, order="F")[:, self._targets, None]

    def _from_columns(self, array: Array) -> Array:
        """The way back of `_columns`."""
        if self._targets is None:
            return array
        whole = np.zeros((len(array), self.batch.m * self.batch.T), array.dtype, order="F")
        whole[:, self._targets] = array[:, :, 0]
        return whole.reshape(len(array), self.batch.m, self.batch.T, order="F")


def chain_for(batch: Batch, memory: Memory) -> Any:
    """Return what runs all stages again for a batch of the sizes of the call before, or None where each has to
    be run by itself: where the engine has no such thing, or it is not that straight.
    """
    chain = memory.get("chain", {}).get("runs")
    return chain if chain is not None and chain.fits(memory, batch) else None


def remembered(memory: Memory) -> Batch | None:
    """Return the batch that `chain_for` has runs for, if there is one: another like it goes the same way."""
    return memory.get("chain", {}).get("batch")


def remember(
    architecture: Architecture, engine: ModuleType, parameters: Mapping[str, Array], batch: Batch,
    memory: Memory, back: bool,
) -> None:  # fmt: skip
    """Let `chain_for` have what has just been run of a batch that is straight, forward and, if it was, `back`."""
    chain = getattr(engine, "Chain", None)
    if chain is None:
        return
    keys = ["embedding"] if architecture.embedding else []
    keys += [*(sweep.prefix for sweep in architecture.every_sweep), "head"]
    given = {"head": ["y", "omega"], keys[0]: ["x"]} if batch.Y is not None else {keys[0]: ["x"]}
    prefixes = {key: _prefix(key) for key in keys}
    runs = chain.of_memory(keys, prefixes, given, memory, parameters, back)
    memory["chain"] = {"runs": runs, "batch": batch}


def is_straight(architecture: Architecture, batch: Batch) -> bool:
    """Whether each stage hands what it leaves to the next one as it is: one direction, no dropout, no lengths,
    a target at more than half of all columns.
    """
    if architecture.bidirectional or batch.dropped or batch.lengths is not None:
        return False
    share = batch.share
    return share is None or bool(2 * np.count_nonzero(share) > share.size)


def _prefix(key: str) -> str:
    """What the names of a stage begin with: nothing where there is only one of it."""
    return "" if key in ("embedding", "head") else key


@functools.cache  # for the same set, which knows its hash
def _with(keep: frozenset[str] | None, name: str) -> frozenset[str] | None:
    return None if keep is None else keep | {name}
