"""One run of a kernel: its buffers, and the addresses and numbers that it takes.

All arrays are transposed, (T, m, n) in C order, rows as long as a whole number of registers, so that a row
begins where a register does. What was made for sequences of one size is used again by the next run.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unrolled.engines import Sequences
from unrolled.engines.compiled.building import Kernel
from unrolled.engines.compiled.conducting import address_of, run_kernels
from unrolled.engines.compiled.products import HIGH, LONG, PACK_JOB, UNPACKED, WIDE
from unrolled.engines.compiled.program import SHAPE, Buffer, Program
from unrolled.engines.compiled.results import Part, Results
from unrolled.engines.compiled.source import Source
from unrolled.engines.compiled.totals import (
    DENSE,
    FEW,
    IN_PLACE,
    JOB,
    LABELS,
    PLACES,
    SUM,
    room_for_columns,
)  # fmt: skip
from unrolled.engines.compiled.vectors import BYTES
from unrolled.one_hot import OneHot
from unrolled.threads import shares_for

Array = Any
Together = tuple[Array, list[Array]]
_ROWS, _MANY_ROWS = 32, 64  # of a block of steps, with a loop over them and without one
_ODD = 8  # registers from which on a row has an odd number of them: else rows meet in the cache
_LARGE = 1 << 16  # numbers of a total from which on it is not copied
_AT_ONCE = 1 << 33  # multiplications that are done without hearing Ctrl-C: some tenths of a second
_HANDED_ON = {"a", "e", "dx", "da_y", "dy_hat"}
_FAR = 1_500_000  # bytes of weights that a core reads at each step
_COUNTERS = 64
_SELDOM = 2  # columns up to which weights are read where they are: to pack them takes longer
_LINE = 64  # bytes


def together(runs: Sequence["Run"]) -> Together:
    """Return what `go` of the first of some runs takes to run all of them."""
    return np.concatenate([run.table for run in runs]), [run.counter for run in runs]


class Run:
    """What a kernel needs for sequences of one size. `run` runs it, `results` are what it summed up."""

    def __init__(
        self, program: Program, source: Source, kernel: Kernel, parameters: Mapping[str, Array],
        sequences: Sequences,
    ):  # fmt: skip
        self.program, self.source, self.kernel, self.sequences = program, source, kernel, sequences
        self.m, self.T = sequences.m, sequences.T
        self.dtype = next(iter(parameters.values())).dtype
        self.item = self.dtype.itemsize
        self.lanes: int = BYTES // self.item
        self.sizes = sequences.sizes(program.symbols, parameters)
        self.at = {what: k for k, what in enumerate(source.addresses)}
        self.number = {what: k for k, what in enumerate(source.numbers)}
        self.addresses = np.zeros(len(self.at), np.int64)
        self.numbers = np.zeros(len(self.number), np.int64)
        where = self.addresses.ctypes.data, self.numbers.ctypes.data
        self.table = np.array([kernel.address, *where], np.int64)
        self.arrays: dict[Any, Array] = {}  # everything whose address is known to the kernel
        self.buffers: dict[str, Array] = {}
        self.columns: dict[str, slice] = {}
        self.given: dict[str, Array] = {}  # what came, by name: arrays, OneHot, parameters
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.views: dict[str, Array] = {}
        self.copies: dict[str, tuple[Array, Array]] = {}
        self.packs: Array = None
        self.packed: dict[Any, tuple[int, Array]] = {}  # panel, and room, of what is packed
        self.at_zero = False
        self.own: Mapping[str, Array] = {}
        self.work = self._work()
        self.shards = shares_for(self.m, self.work)
        self.share = -(-self.m // self.shards)
        rows = _ROWS if program.loop else _MANY_ROWS
        self.split = self._is_split()
        self.steps = 1 if self.split else max(1, min(self.T, rows // self.share))
        at_once = max(1, _AT_ONCE * self.T // self.work // self.steps) * self.steps
        self.stops = [*range(at_once, self.T, at_once), self.T]
        self._make_buffers()
        self.nbytes = sum(b.nbytes for b in {id(b): b for b in self.buffers.values()}.values())
        self._make_tables()
        self._make_totals()

    def fits(self, program: Program, sequences: Sequences) -> bool:
        """Whether another run of the same network can use the buffers; if so, they are made ready."""
        old = self.sequences
        if (
            program is not self.program or old.m != sequences.m or old.T != sequences.T
            or old.reverse != sequences.reverse or self.shards != shares_for(self.m, self.work)
        ):  # fmt: skip
            return False
        self.sequences = sequences
        if old.running != sequences.running:
            self._set_running()
        return True

    # what is made once

    def _rows(self, name: str) -> int:
        return self.sizes[self.program.axis(name)]

    def _width(self, name: str) -> int:
        """How long a row of a quantity is in a buffer: a whole number of registers."""
        n = self._rows(name)
        return n if self.program.axis(name) == "1" else -(-n // self.lanes) * self.lanes

    def _make_buffers(self) -> None:
        for buffer in self.program.buffers:
            width = sum(map(self._width, buffer.names))
            if width >= _ODD * self.lanes and width // self.lanes % 2 == 0:
                width += self.lanes
            steps = {"time": self.T + buffer.longer, "block": self.steps, "step": 1}[buffer.over]
            array = aligned((steps, self.m, width), self.dtype)
            begin = 0
            for name in buffer.names:
                self.buffers[name], self.columns[name] = (
                    array,
                    slice(begin, begin + self._rows(name)),
                )
                first = self._first_step(buffer) * self.m * width
                self._put_address(name, array, first + begin)
                begin += self._width(name)
            self._put("step", buffer.names[0], 0 if buffer.over == "step" else self.m * width)
            self._put("row", buffer.names[0], width)
        for key, state in self._states().items():
            buffer = self.program.where[state]
            array = self.buffers[state]
            begin = self.columns[state].start + (1 - self._first_step(buffer)) * array[0].size
            self._put_address(key, array, begin)

    def _first_step(self, buffer: Buffer) -> int:
        """Where step 0 is: the state before the first step is in front of it, or behind the last one."""
        return int(buffer.longer and not self.sequences.reverse)

    def _states(self) -> dict[str, str]:
        """For each name of a state before a step that of the state, going forward."""
        forward = self.program.direction == "forward"
        return self.program.schedule.carried if forward else {}

    def _make_tables(self) -> None:
        source, looped = self.source, self._looped()
        share, steps = self.share, self.steps
        room = steps * (self.m if self.split else share)
        span = max(steps + 1 + len(source.listed) * room, PLACES)
        rights = [self._rows(r) for t in self.program.schedule.totals for _, _, r in t.terms if r]
        most = max(rights, default=0)
        spare = max(room_for_columns(self.lanes, most), source.kept * room)
        back = self.sequences.reverse == (self.program.direction == "forward")
        fixed = {
            "m": self.m, "T": self.T, "start": 0, "stop": self.T, "begin": self.T - 1 if back else 0,
            "stride": -1 if back else 1, "split": self.split, "steps": steps, "room": room, "span": -(-span // 8) * 8,
            "spare": -(-spare // 64) * 64,
        }  # fmt: skip
        for name, value in fixed.items():
            self.numbers[self.number[name]] = value
        for what, k in self.number.items():
            if what[0] == "axis":
                self.numbers[k] = self.sizes[what[1]]
        self.counter = np.zeros(_COUNTERS, np.int64)
        tables = {
            "places": np.zeros(self.shards * self.numbers[self.number["span"]], np.int64),
            "spares": aligned((self.shards * self.numbers[self.number["spare"]],), self.dtype),
            "counter": self.counter,
        }  # fmt: skip
        for name, table in tables.items():
            self._put_address(("table", name), table)
        for key in source.packed:
            panel = WIDE if (share if key in looped else room) > 2 else LONG
            self.packed[key] = panel, aligned((self._packed_size(*key),), self.dtype)
        self._set_running()

    def _inner(self, weight: str, transposed: bool) -> int:
        return self.sizes[str(self.program.schedule.shapes[weight][not transposed])]

    def _outer(self, weights: tuple[str, ...], transposed: bool) -> int:
        """How wide a packed operand is: weights are side by side, or, transposed, one below the other."""
        one = self.sizes[str(self.program.schedule.shapes[weights[0]][transposed])]
        return (1 if transposed else len(weights)) * -(-one // self.lanes) * self.lanes

    def _shape(self, weights: tuple[str, ...], transposed: bool, panel: int) -> Any:
        """How weights are packed, as `product` takes it: transposed, one below the other, in so many parts."""
        parts, part = 1, 0
        if transposed and len(weights) > 1:
            parts, part = len(weights), self._width(self.source.operands[weights, transposed])
        inner, outer = self._inner(weights[0], transposed), self._outer(weights, transposed)
        return inner, parts, part, outer // self.lanes, panel

    def _packed_size(self, weights: tuple[str, ...], transposed: bool) -> int:
        inner, parts, _, wide, _ = self._shape(weights, transposed, 0)
        return int(inner * parts * wide * self.lanes)

    def _looped(self) -> set[Any]:
        """The packed operands that are used at each step."""
        found: set[Any] = set()
        for op in (op for phase in self.program.loop for op in phase.products):
            found |= {
                (ws, op.transposed) for ws, _ in self.source.packed if set(ws) <= set(op.weights)
            }
        return found

    def _is_split(self) -> bool:
        """Whether cores share the columns of the products in the loop, and not its rows, and meet after each
        phase: where a step's weights are more than a core's own cache holds, they come from farther away,
        and half of them for all rows is less than all of them for half of the rows.
        """
        if self.shards == 1 or self.sequences.running is not None:
            return False
        looped = [key for key in self.source.packed if key in self._looped()]
        numbers = sum(self._packed_size(*key) for key in looped)
        return bool(numbers * self.item >= _FAR)

    def _work(self) -> int:
        """About how many multiplications a run takes."""
        ops = [op for phase in self.program.phases for op in phase.products]
        weights = [w for op in ops for w in op.weights]
        shapes = [self.program.schedule.shapes[w] for w in weights]
        each = sum(self.sizes[str(a)] * self.sizes[str(b)] for a, b in shapes)
        return int(self.m * self.T * max(each, 1))

    def _set_running(self) -> None:
        running = self.sequences.running
        self.running = np.array((self.m,) * self.T if running is None else running, np.int64)
        self.all_run = bool(self.running.all())
        self.over = self.running[:, None] <= np.arange(self.m) if running is not None else None
        self.numbers[self.number["apart"]] = running is not None
        self._put_address(("table", "running"), self.running)

    # what a run is given

    def run(self, parameters: Mapping[str, Array], given: Mapping[str, Array], start: Any) -> None:
        """Run it all, with parameters, on what is given at each step, from where the states start."""
        seen = self.given
        new = {
            name: given[name] for name in self.program.given if seen.get(name) is not given[name]
        }
        self.prepare(parameters, new, start)
        self.go()

    def prepare(
        self, parameters: Mapping[str, Array] | None, new: Mapping[str, Array],
        start: Mapping[str, Array | None],
    ) -> None:  # fmt: skip
        """Make it ready, with only what is `new` of what is given, and states that start at `start`, or 0 where that
        has none; parameters that are None are the same arrays.
        """
        if parameters is not None or self.program.schedule.constants:
            self.put_parameters(self.own if parameters is None else parameters)
        for name, array in new.items():
            self._put_given(name, array)
        for source, copy in self.copies.values():
            copy[...] = source
        if new or not self.located:
            self._locate()
        self._begin(start)
        self._renew_totals()

    def put_parameters(self, parameters: Mapping[str, Array]) -> None:
        """Take parameters from where they are, and compute what is made of them alone."""
        self.own, known = parameters, dict(parameters)
        for name, e in self.program.schedule.constants.items():
            known[name] = np.asfortranarray(np.asarray(e.value_of(known), self.dtype))
        self._put_parameters(known)

    def go(self, together: Together | None = None) -> None:
        """Run the kernel, in parts between which Ctrl-C is heard; or, where it is all one part, those of other
        runs one after the other behind it, each core without waiting for the others between two.
        """
        kernels, counters = together or (self.table, [self.counter])
        stop_at, start_at = self.number["stop"], self.number["start"]
        for stop in self.stops:
            for counter in counters:
                counter.fill(0)
            self.numbers[stop_at] = stop
            run_kernels(kernels, counters, self.shards)
            self.numbers[start_at] = stop
        self.numbers[start_at] = 0

    def _put(self, kind: str, name: str, value: int) -> None:
        at = self.number.get((kind, name))
        if at is not None:
            self.numbers[at] = value

    def _put_address(self, what: Any, array: Array, ahead: int = 0) -> None:
        """Let the kernel know where an array is; what it is lives as long as the run."""
        self.arrays[what] = array
        at = self.at.get(what)
        if at is not None:
            self.addresses[at] = address_of(array) + ahead * array.itemsize

    def _put_parameters(self, known: Mapping[str, Array]) -> None:
        """Weights are packed from where they are, columns are read there."""
        before = self.given
        seen = [name for name, value in known.items() if before.get(name) is not value]
        if not seen and self.packs is not None:
            return
        for name in seen:
            value = known[name]
            self.given[name] = value
            value = self._usable(name, value, rows=name in self.at)
            self._put_address(name, value)
            self._put("column", name, value.strides[1] // self.item)
        jobs = [job for key in self.source.packed for job in self._packed_by(key)]
        self.packs = np.array(jobs or [[0] * PACK_JOB], np.int64)
        self._put_address(("table", "packs_at"), self.packs)
        self.numbers[self.number["packs"]] = len(jobs)

    def _usable(self, name: str, array: Array, rows: bool) -> Array:
        """Return an array as kernels read it, itself or a copy that is renewed in every run: numbers of the
        dtype, whole numbers of them apart, those of a column next to each other where it is `rows`.
        """
        self.copies.pop(name, None)
        apart = rows and array.shape[0] > 1 and array.strides[0] != array.itemsize
        if (
            array.dtype == self.dtype
            and not apart
            and not any(s % self.item for s in array.strides)
        ):
            return array
        copy = array.astype(self.dtype, order="F")
        self.copies[name] = array, copy
        return copy

    def _packed_by(self, key: Any) -> list[list[int]]:
        """Say how and where weights are packed, and return the jobs that do so; none for those that are used once
        or twice, and read where they are.
        """
        weights, transposed = key
        panel, room = self.packed[key]
        shape = inner, parts, part, wide, _ = self._shape(weights, transposed, panel)
        jobs = []
        for k, name in enumerate(weights):
            W = self.arrays[name]
            rows, columns = (s // self.item for s in W.strides)
            steps = (rows, columns) if transposed else (columns, rows)
            begin, row = (0, k * inner) if transposed else (k * wide // len(weights), 0)
            size = inner, W.shape[transposed], begin, wide
            jobs.append([
                address_of(W), *steps, *size, address_of(room), panel, inner * parts, row
            ])  # fmt: skip
        is_seldom = self.m * self.T <= _SELDOM and not transposed
        if is_seldom and all(self.arrays[name].strides[0] == self.item for name in weights):
            shape = inner, len(jobs), part, wide, UNPACKED
            jobs, room = [], np.array(jobs, np.int64)
        at = self.number["shape", *key]
        self.numbers[at : at + SHAPE] = shape
        self._put_address(("packed", *key), room)
        return jobs

    def _put_given(self, name: str, array: Array) -> None:
        self.given[name], self.shapes[name] = array, array.shape
        if isinstance(array, OneHot):
            array = np.asarray(array.labels, np.int64)
        else:
            array = self._usable(name, array, rows=True)
        *_, row, step = array.strides
        item = array.itemsize
        self._put_address(name, array)
        self._put("row", name, row // item)
        self._put("step", name, step // item)

    # states

    def _begin(self, start: Mapping[str, Array | None]) -> None:
        """Put the states before the first step, or the gradients of the last ones, in their places."""
        forward, running = self.program.direction == "forward", self.sequences.running
        if running is not None:
            self._clear()
        if not start and forward and self.at_zero:
            return  # no run writes there
        for key, name in self.program.schedule.carried.items():
            given = start.get(name)
            value = 0 if given is None else given.T
            if not forward:
                self.buffers[key][0][:, self.columns[key]] = value
                continue
            buffer, columns = self.buffers[name], self.columns[name]
            buffer[self.T if self.sequences.reverse else 0][:, columns] = value
            if running is not None and self.sequences.reverse:
                buffer[self.sequences.lengths, np.arange(self.m), columns] = value
        self.at_zero = not start and running is None

    def _clear(self) -> None:
        """Put 0 where sequences are over, in what is handed on: gradients are 0 there, and states finite."""
        for buffer in self.program.buffers:
            if buffer.over_time and (self.program.keeps_all or _HANDED_ON & set(buffer.names)):
                first = self._first_step(buffer)
                self.buffers[buffer.names[0]][first : first + self.T][self.over] = 0

    def ends(self) -> dict[str, Array]:
        """Return what the last step hands on, (n, m): final states, or gradients of the first ones."""
        found = {}
        for key, name in self.program.schedule.carried.items():
            if self.program.direction == "backward":
                end = self.buffers[key][0][:, self.columns[key]]
            elif self.sequences.running is None or self.sequences.reverse:
                last = 0 if self.sequences.reverse else self.T
                end = self.buffers[name][last][:, self.columns[name]]
            else:
                end = self.buffers[name][
                    self.sequences.lengths, np.arange(self.m), self.columns[name]
                ]
            found[name] = np.array(end.T, order="F")
        return found

    def kept(self, keep: frozenset[str] | None) -> dict[str, Array]:
        """Return what was asked for, (n, m, T): the same views of the buffers in every run."""
        if not self.views:
            names = [n for n in self.program.schedule.shapes if "." not in n]
            self.views = {n: v for n in names if keep is None or n in keep for v in self._view(n)}
        return self.views

    def _view(self, name: str) -> list[Array]:
        """The view of a quantity of all steps, if it is one."""
        states = self._states()
        place = self.program.place(states.get(name, name))
        buffer = self.program.where.get(place)
        if buffer is None or not buffer.over_time or name in self.program.given:
            return []
        first = self._first_step(buffer)
        first = 1 - first if name in states else first
        return [self.buffers[place][first : first + self.T, :, self.columns[place]].T]

    # sums over all steps

    def _make_totals(self) -> None:
        """Make room for the sums over all steps, and a table of what they are summed up from."""
        self.parts: list[Part] = []
        rights: dict[str, int] = {}
        terms = [(t.name, *term) for t in self.program.schedule.totals for term in t.terms]
        for total, sign, left, right in sorted(terms, key=lambda term: term[3]):
            n, k = self._rows(left), self._rows(right) if right else 1
            kind = SUM if not right else LABELS if right in self.program.labels else DENSE
            number = rights.setdefault(right, len(rights))
            self.parts.append(Part(total, sign, left, right, n, k, kind, number))
        jobs = np.zeros((max(1, len(self.parts)), JOB), np.int64)
        for job, part in zip(jobs, self.parts, strict=False):
            part.room = self._room_for(part.n, part.k, bool(part.right))
            part.is_whole = part.room.T.shape == (part.n, part.k) and part.room.size > _LARGE
            job[[3, 7, 9, 10, 11]] = part.n, part.k, part.room.shape[1], part.kind, part.number
            job[8] = address_of(part.room)
        self.jobs = jobs
        self._put_address(("table", "sums_at"), jobs)
        self.numbers[self.number["sums"]] = len(self.parts)
        self.located: dict[str, Any] = {}
        self.renewed = [(job, p) for job, p in zip(jobs, self.parts, strict=False) if p.is_whole]
        self.added_to = [p for p in self.parts if p.kind == LABELS and p.k > FEW]
        self.summed_up: dict[
            str, list[int]
        ] = {}  # where in the table it is said where a quantity is
        for k, part in enumerate(self.parts):
            for at, name in ((0, part.left), (4, part.right)):
                if name:
                    self.summed_up.setdefault(name, []).extend(
                        range(k * JOB + at, k * JOB + at + 3)
                    )
        self.results = Results(((part.total, part) for part in self.parts), self.dtype)

    def _locate(self) -> None:
        """Say where the quantities are that are summed up, and whether they can be read there as rights."""
        for name, places in self.summed_up.items():
            array = self.given.get(name, self)
            if self.located.get(name) is not array:
                self.located[name] = array
                self.jobs.ravel()[places] = self._located(name) * (len(places) // 3)
                for job, part in zip(self.jobs, self.parts, strict=False):
                    if part.right == name and part.kind in (DENSE, IN_PLACE):
                        part.kind = job[10] = IN_PLACE if self._ends_with_tiles(name) else DENSE

    def _ends_with_tiles(self, name: str) -> bool:
        """Whether behind each column's numbers there is room up to the end of a tile: in our buffers, mostly."""
        array = self._array(name)
        steps = [s for s, size in zip(array.strides[1:], array.shape[1:], strict=True) if size > 1]
        whole = -(-len(array) // HIGH) * HIGH
        return len(array) == whole or min(steps, default=0) >= whole * array.itemsize

    def _renew_totals(self) -> None:
        """Make a new array of what is handed out whole, and begin at 0 where tiles do not."""
        for job, part in self.renewed:
            part.room = self._room_for(part.n, part.k, bool(part.right))
            job[8] = address_of(part.room)
        for part in self.parts if not self.all_run else self.added_to:
            part.room[...] = 0

    def _room_for(self, n: int, k: int, product: bool) -> Array:
        """Room for (n, k) transposed, as the tiles fill it: whole registers, and whole tiles."""
        rows = -(-k // HIGH) * HIGH if product else 1
        return aligned((rows, -(-n // self.lanes) * self.lanes), self.dtype)

    def _located(self, name: str) -> tuple[int, int, int]:
        """Where a quantity is at the first step, and how far its next step and next sequence are."""
        array = self._array(name)
        where = address_of(array)
        return where, array.strides[-1] // array.itemsize, array.strides[-2] // array.itemsize

    def _array(self, name: str) -> Array:
        return self.arrays[name] if name in self.program.given else self._view(name)[0]

    @property
    def loss(self) -> Any:
        """The loss, where this is the way forward of an output layer, else 0."""
        return next((p.sign * p.room[0, 0] for p in self.parts if p.total == "loss"), 0.0)


_turns = itertools.count()


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array of zeros that begins where a register does, and each at another place of its page:
    what is read side by side from many of them would else meet in the same lines of the cache.
    """
    size, step = math.prod(shape) * dtype.itemsize, 5 * _LINE * (next(_turns) % 12)
    whole = np.zeros(size + step + _LINE, np.uint8)
    begin = -whole.__array_interface__["data"][0] % _LINE + step
    return whole[begin : begin + size].view(dtype).reshape(shape)
