"""All kernels of a call one after the other, without what Python does between them.

Where each stage hands what it leaves to the next one as it is, a call that follows one of the same sizes
has its kernels, their buffers and their addresses already: only inputs, targets and states are new.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unrolled.batch import Batch
from unrolled.one_hot import OneHot
from unrolled.threads import shares_for

if TYPE_CHECKING:  # as in __init__.py
    from unrolled.engines.compiled.run import Run

Array = Any
Found = tuple[Any, dict[str, Array], dict[str, Array]]
_FORWARD, _BACKWARD = "compiled forward", "compiled backward"


@dataclass
class _Link:
    """A stage in one direction: its run, what is new for it in each call, its parameters' full names."""

    key: str
    direction: str
    run: "Run"
    prefix: str
    given: list[str]
    parameters: dict[str, str]
    states: dict[str, str]


class Chain:
    """The runs that `memory` holds for the stages `keys`, forward and, where there are, back again.

    `prefixes` begins the names of each stage's parameters and states; `given` are the names of what comes
    from outside, to stages of these keys.
    """

    def __init__(self, links: list[_Link]):
        from unrolled.engines.compiled.building import conductor
        from unrolled.engines.compiled.results import Results
        from unrolled.engines.compiled.run import together

        self.all_finite = conductor().all_finite
        self.links, self.dtype = links, links[0].run.dtype
        self.forward = [link for link in links if link.direction == _FORWARD]
        self.entries = [(link.run, name) for link in links for name in link.given]
        back = [link for link in links if link.direction == _BACKWARD]
        parts = ((f"{link.prefix}{p.total[1:]}", p) for link in back for p in link.run.parts)
        self.results = Results(parts, self.dtype)
        # Those that run one after the other without a word from Python.
        alike = itertools.groupby((link.run for link in links), _how)
        groups = [list(runs) for _, runs in alike]
        self.alike = [(runs[0], together(runs)) for runs in groups]
        self.names: frozenset[str] = frozenset()
        self.seen: list[tuple[str, Array, tuple[int, ...]]] = []
        self.table: tuple[int, int] | None = None  # where each is, and how many numbers it has

    @classmethod
    def of_memory(
        cls, keys: Sequence[str], prefixes: Mapping[str, str], given: Mapping[str, Sequence[str]],
        memory: Mapping[str, Mapping[str, Any]], parameters: Mapping[str, Array], back: bool,
    ) -> "Chain | None":  # fmt: skip
        """Return the chain, or None where a stage has no kernel."""
        order = [(_FORWARD, key) for key in keys]
        order += [(_BACKWARD, key) for key in keys[::-1]] if back else []
        if not all(direction in memory.get(key, ()) for direction, key in order):
            return None
        chain = cls([
            _link(key, direction, prefixes[key], given.get(key, ()), memory[key][direction])
            for direction, key in order
        ])  # fmt: skip
        chain._put_parameters(parameters)
        return chain

    def fits(self, memory: Mapping[str, Mapping[str, Any]], batch: Batch) -> bool:
        """Whether memory still holds these runs, and what a batch gives has their sizes and kinds."""
        for link in self.links:
            run = link.run
            if memory[link.key].get(link.direction) is not run or run.sequences.running is not None:
                return False
            if run.shards != shares_for(run.m, run.work):
                return False
        given = _given(batch)
        for run, name in self.entries:
            array = given[name]
            one_hot = type(array) is OneHot
            if one_hot != (name in run.program.labels) or array.shape != run.shapes[name]:
                return False
        return True

    def knows(self, parameters: Mapping[str, Array]) -> bool:
        """Whether the parameters are the arrays of the call before, in the same shapes."""
        return (
            isinstance(parameters, dict) and self._same(parameters)
            and all(array.shape == shape for _, array, shape in self.seen)
        )  # fmt: skip

    def finds_finite(self) -> bool:
        """Whether all numbers of these parameters are finite, if it can see that."""
        return self.table is not None and bool(self.all_finite(*self.table, self.dtype.type(0)))

    def _same(self, parameters: Mapping[str, Array]) -> bool:
        return parameters.keys() == self.names and all(
            parameters[name] is array for name, array, _ in self.seen
        )

    def run(
        self, parameters: Mapping[str, Array], batch: Batch, state: Mapping[str, Array]
    ) -> Found:
        """Run it all, from `state`, or from 0 where that is empty; return the loss, the final state, and all gradients."""
        if not self._same(parameters):
            self._put_parameters(parameters)
        given = _given(batch)
        for link in self.links:
            new = {n: given[n] for n in link.given if link.run.given.get(n) is not given[n]}
            start = {s: state[full] for s, full in link.states.items()} if state else {}
            link.run.prepare(None, new, start)
        for first, runs in self.alike:
            first.go(runs)
        ends: dict[str, Array] = {}
        for link in self.forward:
            ends |= {f"{link.prefix}{s}": end for s, end in link.run.ends().items()}
        return self.forward[-1].run.loss, ends, self.results.new()

    def made(self, name: str) -> Array:
        """Return a copy of what the last stage going forward made in the last run, (n, m, T)."""
        return np.array(self.forward[-1].run.kept(frozenset([name]))[name], order="F")

    def _put_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Let all runs have these parameters, and remember them."""
        from unrolled.engines.compiled.conducting import address_of

        for link in self.links:
            own = {name: parameters[full] for name, full in link.parameters.items()}
            link.run.put_parameters(own)
        self.names = frozenset(parameters)
        self.seen = [(name, array, array.shape) for name, array in parameters.items()]
        arrays = [array for _, array, _ in self.seen]
        in_one_piece = all(a.flags.c_contiguous or a.flags.f_contiguous for a in arrays)
        self.places = np.array([[address_of(a), a.size] for a in arrays], np.int64)
        self.table = (address_of(self.places), len(arrays)) if in_one_piece else None


def _given(batch: Batch) -> dict[str, Array]:
    return {"x": batch.X, "y": batch.Y, "omega": batch.share}


def _how(run: "Run") -> Any:
    """What runs have in common that run one after the other in one go: a run in parts is alone."""
    return run.shards, id(run) if len(run.stops) > 1 else 0


def _link(key: str, direction: str, prefix: str, given: Sequence[str], run: "Run") -> _Link:
    forward = direction == _FORWARD
    parameters = {name: f"{prefix}{name}" for name in run.program.weights}
    states = {s: f"{prefix}{s}" for s in run.program.schedule.carried.values()} if forward else {}
    return _Link(
        key, direction, run, prefix, [n for n in given if n in run.program.given], parameters,
        states,
    )  # fmt: skip
