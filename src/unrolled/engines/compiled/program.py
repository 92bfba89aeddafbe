"""What a kernel does, worked out from a schedule: phases of products and of elementwise operations, and
which quantities lie in memory.

Everything is done for a block of steps, and in it step by step: products and elementwise operations
over the rows of the block, the loop, and what comes after it. What is elementwise and stands next to each
other is one phase, a fused loop; a quantity that only its own phase reads stays in a register.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from unrolled.equations.entries import OVER, Scalar, entry_of
from unrolled.equations.operations import Elementwise, Operation, Product, Schedule
from unrolled.equations.schedule import schedule
from unrolled.equations.step import Stage

Names = tuple[str, ...]
SHAPE = 5  # numbers that say how weights are packed: see products.product


class UnsupportedError(Exception):
    """A schedule has something that kernels do not say, as an operation that takes sequences together."""


@dataclass
class Buffer:
    """Quantities side by side in memory: of all steps, of a "block" of them, or of one "step" at a time;
    `longer` has one step more, for the state before the first.
    """

    names: list[str]
    over: str
    longer: bool = False

    @property
    def over_time(self) -> bool:
        return self.over == "time"


@dataclass
class Phase:
    """Products, or elementwise operations, that run one after the other over the same rows."""

    products: list[Product] = field(default_factory=list)
    elementwise: list[Elementwise] = field(default_factory=list)

    @property
    def operations(self) -> list[Operation]:
        return [*self.products, *self.elementwise]


class Program:
    """A schedule in phases: `ahead` over the rows of a block, `loop` at each step, `behind` over the rows
    of the block again. `buffers` are what is in memory, `where` says in which a place is.
    """

    def __init__(
        self, stage: Stage, direction: str, keep: frozenset[str] | None, outside: frozenset[str],
        labels: frozenset[str],
    ):  # fmt: skip
        # And not the stage itself: programs are held as long as it lives.
        self.symbols, self.weights = stage.symbols, tuple(stage.parameters)
        self.direction, self.labels = direction, labels
        self.keeps_all = keep is None
        self.schedule: Schedule = schedule(stage, direction, keep, outside, single=False)
        if self.schedule.shares:
            raise UnsupportedError("sequences of a step are taken together")
        self.parameters = {*stage.parameters, *self.schedule.constants}
        ahead, loop, behind = (
            _one_by_one(part)
            for part in (self.schedule.before, self.schedule.loop, self.schedule.after)
        )
        if loop:  # what is elementwise, and waits for a step only, is done there
            while ahead and isinstance(ahead[-1], Elementwise):
                loop.insert(0, ahead.pop())
        products = [op for op in ahead if isinstance(op, Product) and loop]
        self.waiting = {
            n for op in products for n in op.names if "." in n
        }  # for their step in the block
        self.ahead, self.loop, self.behind = map(self._phases, (ahead, loop, behind))
        self.buffers: list[Buffer] = []
        self.where: dict[str, Buffer] = {}
        self._place_all()

    @property
    def phases(self) -> list[Phase]:
        return [*self.ahead, *self.loop, *self.behind]

    def place(self, name: str) -> str:
        """Where a quantity is written: where the schedule says, but for what waits for its step."""
        return name if name in self.waiting else self.schedule.place(name)

    def axis(self, name: str) -> str:
        """What the rows of a quantity are counted in: "n_a", or "1"."""
        return str(self.schedule.shapes[name][0])

    @cached_property
    def given(self) -> list[str]:
        """What comes from outside at each step, in order of use."""
        made = {name for op in self._operations for name in op.names} | set(self.schedule.carried)
        read = [n for op in self._operations for n in op.reads]
        read += [n for total in self.schedule.totals for _, *pair in total.terms for n in pair if n]
        return [n for n in dict.fromkeys(read) if n not in made and n not in self.parameters]

    @cached_property
    def _operations(self) -> list[Operation]:
        return [op for phase in self.phases for op in phase.operations]

    def entry(self, op: Elementwise) -> Scalar:
        """Return what entry (i, j) of an operation is."""
        return canonical(entry_of(op.expressions[0], self.schedule.shapes))

    def runs(self, names: Iterable[str], others: Iterable[str]) -> list[tuple[Names, Names]]:
        """Divide names, and others that go with them, into what lies side by side in memory."""
        found: list[tuple[Names, Names]] = []
        for name, other in zip(names, others, strict=True):
            buffer = self.where.get(self.place(name))
            k = buffer.names.index(self.place(name)) if buffer else 0
            last = self.place(found[-1][0][-1]) if found else ""
            if buffer and k and last == buffer.names[k - 1]:
                found[-1] = (*found[-1][0], name), (*found[-1][1], other)
            else:
                found.append(((name,), (other,)))
        return found

    def _phases(self, operations: list[Operation]) -> list[Phase]:
        """Return phases, as few as the order of reading and writing allows."""
        waits = self._waits(operations)
        found = [self._divided(operations, waits, first) for first in (Product, Elementwise)]
        return min(found, key=len)

    def _divided(
        self, operations: list[Operation], waits: Mapping[int, set[int]], kind: type
    ) -> list[Phase]:
        rest, done, phases = list(range(len(operations))), set[int](), []
        while rest:
            chosen: list[int] = []
            for k in rest:
                if isinstance(operations[k], kind) and waits[k] <= {*done, *chosen}:
                    chosen.append(k)
            rest = [k for k in rest if k not in chosen]
            done |= set(chosen)
            taken = [operations[k] for k in chosen]
            if taken:
                products = [op for op in taken if isinstance(op, Product)]
                phases.append(Phase(products, [op for op in taken if isinstance(op, Elementwise)]))
            kind = Elementwise if kind is Product else Product
        return phases

    def _waits(self, operations: list[Operation]) -> dict[int, set[int]]:
        """For each operation those before it that it has to wait for."""
        reads = [{self.place(n) for n in op.reads} for op in operations]
        writes = [{self.place(n) for n in op.names} for op in operations]
        return {
            k: {j for j in range(k) if writes[j] & (reads[k] | writes[k]) or reads[j] & writes[k]}
            for k in range(len(operations))
        }  # fmt: skip

    def _place_all(self) -> None:
        stored = {self.place(n) for stack in self.schedule.stacks for n in stack} - self.waiting
        states = self.schedule.carried.values() if self.direction == "forward" else ()
        stored |= self._between_levels() - self.waiting
        memory = stored | self.waiting | self._shared(self.loop)
        memory |= {*map(self.place, self.schedule.carried)}
        if self.direction == "forward":  # a state before a step is that after the one before it
            memory -= set(self.schedule.carried)

        def over(place: str) -> str:
            return "time" if place in stored else "block" if place in self.waiting else "step"

        products = [op for phase in self.phases for op in phase.products]
        together = [op.names for op in products]  # what products make, and what they add up
        together += [op.operands for op in products if op.transposed]
        for names in together:
            places = list(dict.fromkeys(map(self.place, names)))
            kinds = {(over(p), p in states, self.axis(p)) for p in places}
            free = not any(p in self.where or p in states or p not in memory for p in places)
            if len(kinds) == 1 and free:
                self._add(Buffer(places, over(places[0])))
        for place in sorted(memory - self.where.keys()):
            self._add(Buffer([place], over(place), place in states))

    def _add(self, buffer: Buffer) -> None:
        self.buffers.append(buffer)
        self.where |= dict.fromkeys(buffer.names, buffer)

    def _between_levels(self) -> set[str]:
        """Places of what is made over the rows of a block and read in the loop, or after it."""
        levels = [self.ahead, self.loop, self.behind]
        made = [
            {self.place(n) for p in level for op in p.operations for n in op.names}
            for level in levels
        ]
        read = [
            {self.place(n) for p in level for op in p.operations for n in op.reads}
            for level in levels
        ]
        found = made[0] & (read[1] | read[2] | made[1]) | made[1] & read[2]
        for level in (self.ahead, self.behind):  # rows of a block are not one step's
            found |= self._shared(level)
        return found

    def _shared(self, phases: list[Phase]) -> set[str]:
        """Places of what one phase makes and another reads, and of what products make and read."""
        made = {self.place(n): p for p in phases for op in p.operations for n in op.names}
        found = {self.place(n) for p in phases for op in p.products for n in op.names}
        for phase in phases:
            for op in phase.operations:
                places = map(self.place, op.reads)
                found |= {
                    p
                    for p in places
                    if p in made and (made[p] is not phase or op in phase.products)
                }
        return found


def _one_by_one(operations: list[Operation]) -> list[Operation]:
    """Return operations with merged equations one by one: in a fused loop nothing is gained by merging."""
    found: list[Operation] = []
    for op in operations:
        if isinstance(op, Product):
            found.append(op)
        else:
            pairs = zip(op.names, op.expressions, strict=True)
            found += [Elementwise((name,), (e,)) for name, e in pairs]
    return found


@dataclass
class Pass:
    """One walk over the rows of a column: what is computed for each of its numbers, what is summed up
    (or the largest of it) on the way, and what is computed once then.
    """

    axis: str
    entries: list[tuple[str, Scalar]] = field(default_factory=list)
    reductions: list[Scalar] = field(default_factory=list)
    singles: list[tuple[str, Scalar]] = field(default_factory=list)


class Passes:
    """The passes of an elementwise phase: a number that needs a whole column waits for the next one."""

    def __init__(self, program: Program, phase: Phase):
        self.program = program
        self.passes: list[Pass] = []
        self.made: dict[str, tuple[int, Scalar]] = {}  # by place: the pass, and what it is
        self.reduced: dict[Scalar, int] = {}  # the pass in which a sum of a column is ready
        self.touched: dict[str, int] = {}  # by place: the last pass that reads or writes it
        for op in phase.elementwise:
            self._add(op)

    def _add(self, op: Elementwise) -> None:
        name, scalar = op.names[0], self.program.entry(op)
        axis, place = self.program.axis(name), self.program.place(name)
        earliest = max(self._ready(scalar, axis), self.touched.get(place, 0))
        if axis == "1":
            if not self.passes:
                self.passes.append(Pass("1"))
            k = max(earliest - 1, 0)
            self.passes[k].singles.append((name, scalar))
        else:
            k = self._pass(axis, earliest)
            self.passes[k].entries.append((name, scalar))
        self.made[place] = k, scalar
        for touched in (place, *map(self.program.place, op.reads)):
            self.touched[touched] = max(self.touched.get(touched, 0), k)

    def _ready(self, scalar: Scalar, axis: str) -> int:
        """Return the first pass in which all that a number needs is there; asks for its sums."""
        if scalar.operation in OVER:
            return self._reduce(scalar) + 1
        if scalar.operation == "entry":
            place = self.program.place(scalar.name)
            if place not in self.made:
                return 0
            k = self.made[place][0]
            return k + 1 if self.program.axis(scalar.name) == "1" else k
        return max((self._ready(x, axis) for x in scalar.operands), default=0)

    def _reduce(self, scalar: Scalar) -> int:
        if scalar not in self.reduced:
            if scalar.axis == "m":
                raise UnsupportedError("a sum over the sequences of a step")
            earliest = self._ready(scalar.operands[0], str(scalar.axis))
            k = self._pass(str(scalar.axis), earliest)
            self.passes[k].reductions.append(scalar)
            self.reduced[scalar] = k
        return self.reduced[scalar]

    def _pass(self, axis: str, earliest: int) -> int:
        for k in range(earliest, len(self.passes)):
            if self.passes[k].axis == "1":
                self.passes[k].axis = axis
            if self.passes[k].axis == axis:
                return k
        self.passes.append(Pass(axis))
        return len(self.passes) - 1


def canonical(scalar: Scalar) -> Scalar:
    """Return the same with the index of each sum named by how many sums are in it, so that equal sums are
    equal wherever they stand.
    """
    operands = tuple(map(canonical, scalar.operands))
    found = replace(scalar, operands=operands)
    if scalar.operation not in OVER:
        return found
    return found.placed({scalar.name: f"c{_height(operands[0])}"})


def _height(scalar: Scalar) -> int:
    """How many sums are one in the other."""
    return max(map(_height, scalar.operands), default=0) + (scalar.operation in OVER)
