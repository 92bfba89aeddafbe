"""The buffers of a program, and the views of them that its functions take, step by step.

A buffer holds quantities that lie side by side at all steps, (T, m, n); one with a state in it has one
step more, for the state before the first. What is not kept has one place for all steps, or for those
of a block. For sequences of different lengths, views end with the sequences that are not over.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unrolled.engines import Sequences
from unrolled.engines.numpy.program import Function, Names, Program
from unrolled.notation import Shape
from unrolled.one_hot import OneHot

Array = Any
_BLOCK = 1 << 19  # bytes of one quantity that are worked on at a time, to stay in the cache
_WIDE = 256  # rows from which one wide product in the loop is faster than several


class Workspace:
    """The buffers for sequences of one size. `given` holds the arrays of the run that is going on."""

    def __init__(self, program: Program, parameters: Mapping[str, Array], sequences: Sequences):
        self.program, self.sequences = program, sequences
        self.m, self.T, self.running = sequences.m, sequences.T, sequences.running
        self.dtype = next(iter(parameters.values())).dtype
        self.sizes = sequences.sizes(program.symbols, parameters)
        self.given: Mapping[str, Array] = {}
        self.start: Mapping[str, Array] = {}
        self.buffers: list[Array] = []
        self.where: dict[str, tuple[int, int, slice]] = {}  # buffer, its first step, columns in it
        self._make_buffers()
        self.temporary: dict[Any, Array] = {}
        self.views: dict[str, Array] = {}
        self.matrices: dict[Names, Array] = {}
        self.bound: dict[Function, tuple[list[Array], list[list[Any]]]] = {}
        rows = [self.place_shape(("quantity", (name,)))[1] for name in program.position] or [1]
        self.block = max(1, min(self.T, _BLOCK // (self.m * max(rows) * self.dtype.itemsize)))

    def fits(self, program: Program, sequences: Sequences) -> bool:
        """Whether another run of the same network can use the buffers; if so, they are made ready."""
        old = self.sequences
        if program is not self.program or (old.m, old.T, old.reverse) != (
            sequences.m, sequences.T, sequences.reverse,
        ):  # fmt: skip
            return False
        if self.running != sequences.running:
            self.running, self.bound = sequences.running, {}
        return True

    def kept(self, keep: frozenset[str] | None) -> dict[str, Array]:
        """Return what was asked for, (n, m, T): the same views of the buffers in every run."""
        if not self.views:
            known = (n for n in self.program.schedule.shapes if n in self.where and "." not in n)
            names = (n for n in known if keep is None or n in keep)
            self.views = {name: self.over_time(name).T for name in names}
        return self.views

    def over_time(self, *names: str) -> Array:
        """Return quantities side by side at all steps, (T, m, n), of a buffer or as they were given."""
        if names[0] not in self.where:
            array = self.given[names[0]]
            return array.dense().T if isinstance(array, OneHot) else array.T
        number, first, columns = self.where[names[0]]
        columns = slice(columns.start, self.where[names[-1]][2].stop)
        return self.buffers[number][first : first + self.T, :, columns]

    def matrix(self, *names: str) -> Array:
        """Return the same as one matrix, (T · m, n); integers stay what they are."""
        if names in self.matrices:
            return self.matrices[names]
        if names[0] not in self.where and isinstance(self.given[names[0]], OneHot):
            return self.given[names[0]].columns()
        array = self.over_time(*names)
        matrix = array.reshape(-1, array.shape[2])
        if names[0] in self.where:
            self.matrices[names] = matrix
        return matrix

    def running_matrix(self, *names: str) -> Array:
        """Return the same, and 0 where sequences are over, as buffers have after the loop."""
        if self.running is None or names[0] in self.where:
            return self.matrix(*names)
        array = self.over_time(*names).copy()
        for t, m in enumerate(self.running):
            array[t, m:] = 0
        return array.reshape(-1, array.shape[2])

    def begin(self, start: Mapping[str, Array]) -> None:
        """Put the states before the first step, or the gradients of the last ones, in their places."""
        self.start = start
        for key, name in self.program.schedule.carried.items():
            value = start[name]
            if self.program.direction == "forward":
                number, first, cut = self.where[key]
                self.buffers[number][-1 if first else 0][:, cut] = value.T
            else:
                self._temporary(("quantity", (key,)))[:] = 0 if value is None else value.T

    def ends(self) -> dict[str, Array]:
        """Return what the last step hands on, (n, m): final states, or gradients of the first ones."""
        found = {}
        for key, name in self.program.schedule.carried.items():
            if self.program.direction == "backward":
                end = self._temporary(("quantity", (key,)))
            else:
                number, _, columns = self.where[name]
                slots = np.zeros(self.m, int) if self.sequences.reverse else self.sequences.lengths
                end = self.buffers[number][slots, np.arange(self.m), columns]
            found[name] = np.array(end.T, order="F")
        return found

    def fill(self, first: int, last: int) -> None:
        """Let sequences that start at their own last step, going back, find their state there."""
        forward = self.program.direction == "forward"
        if self.running is None or not self.sequences.reverse or not forward:
            return
        for name, value in self.start.items():
            number, _, cut = self.where[name]
            for t in range(first, last):
                self.buffers[number][t, self.running[t] :, cut] = value.T[self.running[t] :]

    def clear(self) -> None:
        """Put 0 where sequences are over: gradients are 0 there, and other numbers finite."""
        for t, m in enumerate(self.running or ()):
            for stack in self.program.schedule.stacks if m < self.m else ():
                if self.program.schedule.shapes[stack[0]][1] == "m":
                    number, first, _ = self.where[stack[0]]
                    self.buffers[number][first + t, m:] = 0
        self.fill(0, self.T)

    def bind(
        self, function: Function, blocks: list[tuple[int, int]], looped: bool, back: bool
    ) -> Iterable[list[Any]]:
        """Return the steps that a function runs over, block by block; for a function that is not
        looped a block is one step. Where it is given the same arrays as in the run before, they are
        those of the run before; columns of integers are made when their block comes.
        """
        names = [what[1][0] for what in function.variables if what[0] == "quantity"]
        arrays = [self.given.get(name) for name in names]
        held = self.bound.get(function)
        if held is None or any(a is not b for a, b in zip(held[0], arrays, strict=True)):
            steps = (
                self._steps(function, *block, back) if looped
                else [[self._block_view(what, *block) for what in function.variables]]
                for block in blocks
            )  # fmt: skip
            if any(isinstance(array, OneHot) for array in arrays):
                return steps
            held = self.bound[function] = arrays, list(steps)
        return held[1]

    def is_side_by_side(self, rows: int, count: int) -> bool:
        """Whether a stacked product in the loop leaves its results side by side: for many rows one
        wide product is faster, for few it is what comes after that counts.
        """
        return self.program.together or count == 1 or rows >= _WIDE

    def place_shape(self, what: Any) -> tuple[int, int]:
        """The shape of what a variable stands for at one step, transposed."""
        count = what[3] if what[0] == "spare" else len(what[1])
        rows, columns = (1 if axis == 1 else self.sizes[str(axis)] for axis in self._symbols(what))
        return columns, rows * count

    def _make_buffers(self) -> None:
        schedule, forward = self.program.schedule, self.program.direction == "forward"
        states = set(schedule.carried.values()) if forward else set()
        for number, stack in enumerate(schedule.stacks):
            longer = bool(states & set(stack))  # a place for the state before the first step
            columns, rows = self.place_shape(("quantity", stack[:1]))
            self.buffers.append(np.zeros((self.T + longer, columns, len(stack) * rows), self.dtype))
            first = int(longer and not self.sequences.reverse)
            for i, name in enumerate(stack):
                self.where[name] = number, first, slice(i * rows, (i + 1) * rows)
        for name in schedule.homes:
            if (home := schedule.home(name)) in self.where:
                self.where[name] = self.where[home]
        for key, name in schedule.carried.items() if forward else ():
            number, first, cut = self.where[name]
            self.where[key] = number, 1 - first, cut

    def _symbols(self, what: Any) -> Shape:
        return what[2] if what[0] == "spare" else self.program.schedule.shapes[what[1][0]]

    def _is_over_time(self, what: Any) -> bool:
        return what[0] == "quantity" and (what[1][0] in self.where or what[1][0] in self.given)

    def _block_view(self, what: Any, first: int, last: int) -> Array:
        """Return a variable's place for a block of steps, (steps, m, n)."""
        if self._is_over_time(what):
            given = self.given.get(what[1][0])
            if isinstance(given, OneHot) and what[1][0] not in self.where:
                return given[:, :, first:last].dense().T
            return self.over_time(*what[1])[first:last]
        return self._block_place(what)[: last - first]

    def _block_place(self, what: Any) -> Array:
        key = what, "block"
        if key not in self.temporary:
            self.temporary[key] = np.empty((self.block, *self.place_shape(what)), self.dtype)
        return self.temporary[key]

    def _steps(self, function: Function, first: int, last: int, back: bool) -> list[Any]:
        """The views of a loop's variables, step by step in the order of computation."""
        columns = [self._step_views(what, first, last, back) for what in function.variables]
        if self.running is None:
            return [views for _, *views in zip(range(first, last), *columns, strict=False)]
        running = self.running[first:last][::-1] if back else self.running[first:last]
        shapes = list(map(self._symbols, function.variables))
        return [
            [_first(view, shape, m) for view, shape in zip(views, shapes, strict=True)]
            for m, *views in zip(running, *columns, strict=False) if m
        ]  # fmt: skip

    def _step_views(self, what: Any, first: int, last: int, back: bool) -> Iterable[Array]:
        if self._is_over_time(what):
            views = list(self.over_time(*what[1])[first:last])
        elif what[0] == "quantity" and what in self.program.waiting:
            views = list(self._block_place(what)[: last - first])
        else:
            return itertools.repeat(self._temporary(what))
        return views[::-1] if back else views

    def _temporary(self, what: Any) -> Array:
        """Return the place of a quantity that is not kept, the same at every step."""
        if what[0] == "quantity" and what[1][0] in self.program.results:
            return self._result(what[1])
        key = self.program.schedule.place(what[1][0]) if what[0] == "quantity" else what
        if key not in self.temporary:
            self.temporary[key] = np.empty(self.place_shape(what), self.dtype)
        return self.temporary[key]

    def _result(self, names: Names) -> Array:
        """Return where a stacked product, or a part of it, is written: columns side by side, or, where
        nothing is to be side by side, matrices one behind the other.
        """
        every, k = self.program.results[names[0]]
        columns, rows = self.place_shape(("quantity", names[:1]))
        side_by_side, count = self.is_side_by_side(rows, len(every)), len(every)
        if every not in self.temporary:
            shape = (columns, count * rows) if side_by_side else (count, columns, rows)
            self.temporary[every] = np.empty(shape, self.dtype)
        if side_by_side:
            return self.temporary[every][:, k * rows : (k + len(names)) * rows]
        return self.temporary[every][k] if len(names) == 1 else self.temporary[every]


def _first(view: Array, shape: Shape, m: int) -> Array:
    """Return the part of a transposed array that belongs to the first m sequences."""
    if shape[1] == "m":
        view = view[..., :m, :]
    return view[..., :m] if shape[0] == "m" else view
