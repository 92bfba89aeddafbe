"""The Python text of a kernel, written from its program: `print(Source(program).text)` shows one.

A kernel is one function, `kernel(addresses, numbers, shard, shards)`. What it works on is given as
addresses and numbers, in the order of `Source.addresses` and `Source.numbers`: for each quantity where it
is, and how far its next step and its next sequence are. A core runs it for its share of the sequences,
number `shard` of `shards`, over all steps, and waits for the others twice: once the weights are packed,
and before the sums over all steps.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from unrolled.engines.compiled.program import SHAPE, Pass, Passes, Phase, Program, UnsupportedError
from unrolled.equations.entries import OVER, Scalar
from unrolled.equations.operations import Operation, Product

Comment = Callable[[Operation], str]
_SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
_CALLS = {"tanh", "exp", "log", "log1p", "less", "at_most", "where"}
_NAMED = {"tanh", "sigmoid"}  # functions of `unrolled.functions` that are called by their names
# Numbers and addresses that every kernel has.
_FIXED = (
    "m", "T", "start", "stop", "begin", "stride", "steps", "apart", "split", "packs", "sums", "room", "span",
    "spare",
)  # fmt: skip
_TABLES = ("running", "places", "packs_at", "sums_at", "spares", "counter")
_WHOLE = frozenset(_TABLES) - {"spares"}  # those that point to whole numbers
# Names that a kernel's text has for itself: a quantity that is called so is called otherwise there.
_OWN = frozenset((
    *_FIXED, *_TABLES, *_SIGNS, *_CALLS, *_NAMED,
    "kernel", "addresses", "numbers", "shard", "shards", "own", "end", "next", "which",
    "among", "turn", "begins", "behind_last", "block", "rows", "last", "s", "t", "sequence", "q", "row",
    "count", "first_row", "last_row", "j", "there", "min", "range", "pointer", "ahead",
    "number", "put_number", "load", "load_part", "store", "first",
    "first_of", "broadcast", "everywhere", "one_at", "larger", "sum_of", "largest_of",
    "part_of", "product", "pick", "pack", "totals", "meet", "meet_again", "LANES", "nothing", "INF",
    "whole",
))  # fmt: skip
_LIKE_OURS = re.compile(r"(n|to|at|i|sum|squared|its)_\w+|\w+_(step|row|column|shape|packed|T)")


class Source:
    """The text of a kernel, and what it is to be given.

    `addresses` are names of quantities and parameters, ("table", name) and ("packed", weights, transposed);
    `numbers` are ("step", name), ("row", name), ("column", weight), ("axis", symbol), ("shape",
    …) of what is packed, and the names of the others; `packed` lists what is packed, (weights, transposed).
    """

    def __init__(self, program: Program, comment: Comment | None = None):
        self.program, self.comment = program, comment
        self.addresses: list[Any] = [("table", name) for name in _TABLES]
        self.numbers: list[Any] = list(_FIXED)
        self.packed: list[tuple[tuple[str, ...], bool]] = []
        self.operands: dict[Any, str] = {}  # the first that each of these is multiplied with
        self.listed: list[str] = []  # what has a list of places: buffers, by a name, and givens
        self.words: dict[str, str] = {}
        self.packed_words: dict[Any, str] = {}
        self.kept = 0  # how many numbers of a row wait in `spares` for a later pass at most
        ahead, loop, behind = (
            list(self._phases(phases, looped))
            for phases, looped in (
                (program.ahead, False),
                (program.loop, True),
                (program.behind, False),
            )
        )
        self.text = "\n".join(self._whole(ahead, loop, behind))

    # names

    def word(self, name: str) -> str:
        """Return the name of a quantity as one of Python, which nothing else in the text has."""
        word = re.sub(r"\W", "_", name)
        taken = word in _OWN or _LIKE_OURS.fullmatch(word)
        return _unique(self.words, name, f"its_{word}_" if taken else word)

    def address(self, what: Any) -> str:
        """Ask for the address of something; return the variable that points there."""
        if what not in self.addresses:
            self.addresses.append(what)
        if what in self.program.parameters:
            return self.word(what)
        if isinstance(what, str):
            return f"to_{self.word(what)}"
        kind, *of = what
        if kind == "table":
            return str(of[0])
        return self._packed_word(*of) + ("" if of[1] else "_packed")

    def number(self, what: Any) -> str:
        """Ask for a number; return its variable."""
        if what not in self.numbers:
            self.numbers.append(what)
        if isinstance(what, str):
            return what
        kind, *of = what
        if kind == "axis":
            return str(of[0])
        return f"{self.word(of[0])}_{kind}"

    def shape(self, weights: tuple[str, ...], transposed: bool) -> str:
        """Ask for what `product` has to know of packed weights, SHAPE numbers; return where they are."""
        what = "shape", weights, transposed
        if what not in self.numbers:
            self.numbers += [what, *((k, *what) for k in range(1, SHAPE))]
        return f"{self._packed_word(weights, transposed)}_shape"

    def _packed_word(self, weights: tuple[str, ...], transposed: bool) -> str:
        word = "_".join(map(self.word, weights)) + ("_T" if transposed else "")
        return _unique(self.packed_words, (weights, transposed), word)

    def size(self, name: str) -> str:
        """Return the variable of how many rows a quantity has."""
        axis = self.program.axis(name)
        return "1" if axis == "1" else self.number(("axis", axis))

    def key(self, name: str) -> str:
        """Return under which name a quantity has its list of places: the first of its buffer, or its own."""
        buffer = self.program.where.get(self._before(name) or self.program.place(name))
        key = buffer.names[0] if buffer else name
        if key not in self.listed:
            self.listed.append(key)
            self.number(("step", key))
            self.number(("row", key))
        return key

    def listing(self, name: str) -> str:
        """Return the variable of the list of places of a quantity, in the order of a block's rows."""
        return f"at_{self.word(self.key(name))}"

    def pointer(self, name: str) -> str:
        """Return the variable that points to a quantity at the first step."""
        outside = (
            name in self.program.parameters or name in self.program.given or self._before(name)
        )
        return self.address(name if outside else self.program.place(name))

    def _before(self, name: str) -> str:
        """The state whose value before a step a name is, going forward; "" if it is none."""
        forward = self.program.direction == "forward"
        return self.program.schedule.carried.get(name, "") if forward else ""

    def in_memory(self, name: str) -> bool:
        return (
            name in self.program.given
            or bool(self._before(name))
            or self.program.place(name) in self.program.where
        )

    # the whole

    def _whole(self, ahead: list[str], loop: list[str], behind: list[str]) -> Iterator[str]:
        yield "def kernel(addresses, numbers, shard, shards):"
        for k, what in enumerate(self.numbers):
            if what[0] == "shape":
                yield f"    {self.shape(*what[1:])} = ahead(numbers, {k})"
            elif isinstance(what[0], str):
                yield f"    {self.number(what)} = number(numbers, {k})"
        for k, what in enumerate(self.addresses):
            yield f"    {self.address(what)} = pointer(number(addresses, {k}), {self._like(what)})"
        yield "    places = ahead(places, shard * span)"
        yield "    spares = ahead(spares, shard * spare)"
        yield ""
        yield "    # Each core packs a share of the weights, and waits for the others."
        yield "    if start == 0:"
        yield "        pack(packs_at, packs, spares, shard, shards)"
        yield "        meet(counter, shards)"
        if ahead or loop or behind:
            yield from self._blocks(ahead, loop, behind)
        yield ""
        yield "    # Sums over all steps: each core has its own tiles of them."
        yield "    if stop == T and sums > 0:"
        yield "        meet(ahead(counter, 16), shards)"
        yield "        totals(sums_at, sums, running, T, spares, places, shard, shards)"

    def _blocks(self, ahead: list[str], loop: list[str], behind: list[str]) -> Iterator[str]:
        lists = [f"at_{self.word(key)}" for key in self.listed]
        yield ""
        yield "    # The sequences of this core: every so manieth, where they have lengths, else neighbours."
        yield "    own, end, next = shard, m, shards"
        yield "    if apart == 0:"
        yield "        own, end = part_of(m, shard, shards)"
        yield "        next = 1"
        yield "    # Or all of them, where cores share columns of products, and meet after each phase."
        yield "    which, among, turn = 0, 1, 0"
        yield "    if split:"
        yield "        own, end, next, which, among = 0, m, 1, shard, shards"
        yield ""
        yield "    # Where the rows of a block are: those of the sequences that run, step after step."
        yield "    begins = places"
        for k, name in enumerate(lists):
            yield f"    {name} = ahead(places, steps + 1 + {k} * room)"
        yield "    for block in range(start, stop, steps):"
        yield "        rows, last = 0, min(steps, stop - block)"
        yield "        for s in range(last):"
        yield "            t = begin + stride * (block + s)"
        yield "            put_number(begins, s, rows)"
        yield "            sequence, behind_last = own, min(end, number(running, t))"
        yield "            while sequence < behind_last:  # `range` would divide"
        for name, key in zip(lists, self.listed, strict=True):
            step, row = self.number(("step", key)), self.number(("row", key))
            at = "s" if self._is_of_block(key) else "t"
            yield f"                put_number({name}, rows, {at} * {step} + sequence * {row})"
        yield "                rows += 1"
        yield "                sequence += next"
        yield "        put_number(begins, last, rows)"
        whole_block = [
            "        row, last_row = part_of(rows, which, among)",
            "        count = last_row - row",
        ]
        if ahead or behind:
            yield from whole_block
        yield from ahead
        if loop:
            yield "        for s in range(last):"
            yield "            row = number(begins, s)"
            yield "            count = number(begins, s + 1) - row"
            yield "            first_row, last_row = part_of(count, which, among)"
            yield from loop
            if behind:
                yield from whole_block
        yield from behind

    def _is_of_block(self, key: str) -> bool:
        buffer = self.program.where.get(key)
        return buffer is not None and buffer.over == "block"

    def _like(self, what: Any) -> str:
        whole = what in self.program.labels or (what[0] == "table" and what[1] in _WHOLE)
        return "whole" if whole else "nothing"

    # phases

    def _phases(self, phases: list[Phase], looped: bool) -> Iterator[str]:
        self.looped = looped
        for phase in phases:
            lines: list[str] = []
            for op in phase.products:
                lines += [f"# {self.comment(op)}"] if self.comment else []
                lines += self._product(op)
            if phase.elementwise:
                lines += self._rows(phase)
            if looped:
                lines.append("turn = meet_again(ahead(counter, 32), turn, among)")
            yield from ("    " * (2 + looped) + line for line in lines)

    def _product(self, op: Product) -> Iterator[str]:
        if op.transposed:
            for k, (operands, weights) in enumerate(self.program.runs(op.operands, op.weights)):
                yield from self._one_product(operands[0], weights, True, op.names[:1], k > 0)
        else:
            for names, weights in self.program.runs(op.names, op.weights):
                if op.operands[0] in self.program.labels:
                    yield from self._pick(op.operands[0], weights, names)
                else:
                    yield from self._one_product(op.operands[0], weights, False, names, False)

    def _one_product(
        self, operand: str, weights: tuple[str, ...], transposed: bool, names: tuple[str, ...], more: bool
    ) -> Iterator[str]:  # fmt: skip
        if operand in self.program.labels:
            raise UnsupportedError("labels meet a transposed weight")
        key = (weights, transposed)
        if key not in self.packed:
            self.packed.append(key)
        self.operands[key] = operand
        W, shape = self.address(("packed", *key)), self.shape(*key)
        a, c = self.pointer(operand), self.pointer(names[0])
        at_a, at_c = f"ahead({self.listing(operand)}, row)", f"ahead({self.listing(names[0])}, row)"
        shares = "which, among, s % 2" if self.looped else "0, 1, 0"
        yield f"product({a}, {at_a}, {W}, {shape},"
        yield f"        {c}, {at_c}, count, {int(more)}, {shares})"

    def _pick(
        self, operand: str, weights: tuple[str, ...], names: tuple[str, ...]
    ) -> Iterator[str]:
        """Labels pick columns of a weight."""
        for name, weight in zip(names, weights, strict=True):
            step = self.number(("column", weight))
            yield f"pick({self.pointer(operand)}, ahead({self.listing(operand)}, row), {self.pointer(weight)}, {step},"
            to, n = self.pointer(name), self.size(name)
            yield f"     {to}, ahead({self.listing(name)}, row), {n}, count)"

    # elementwise phases

    def _rows(self, phase: Phase) -> Iterator[str]:
        rows = "row + first_row, row + last_row" if self.looped else "row, last_row"
        yield from _Rows(self, phase, rows).lines()


def _unique(words: dict[Any, str], what: Any, word: str) -> str:
    """Return the word of something, from the first time on, which nothing else has."""
    if what not in words:
        while word in words.values():
            word += "_"
        words[what] = word
    return words[what]


class _Rows:
    """An elementwise phase: its passes over the numbers of a column, each for all rows, so that the processor
    can begin a row while the sum of the last one is not ready. What a row has one of waits in `spares`.
    """

    def __init__(self, source: Source, phase: Phase, rows: str):
        self.source, self.program, self.phase, self.rows = source, source.program, phase, rows
        self.passes = Passes(self.program, phase)
        self.keys: dict[str, None] = {}  # whose place in the row this pass needs
        self.known: dict[str, str] = {}  # by place: the variable of what a row has one of
        self.sums: dict[Scalar, str] = {}
        self.loaded: dict[str, str] = {}  # what this pass has loaded already
        self.masked = False  # whether this pass asks how many numbers of a register are there
        self.comments = {op.names[0]: op for op in phase.elementwise}
        self.at = 0  # the pass
        self.made_in: dict[str, int] = {}  # by variable: the pass, where a row has one of it
        self.waiting: dict[str, int] = {}  # by variable: which of those that wait for a later pass

    def lines(self) -> Iterator[str]:
        passes: list[list[str]] = []
        for k, made in enumerate(self.passes.passes):
            self.at, self.keys, self.here = k, {}, set[str]()
            body = list(self._pass(made))
            words = map(self.source.word, self.keys)
            passes.append([*(f"i_{word} = number(at_{word}, q)" for word in words), *body])
        for variable, k in self.waiting.items():
            passes[self.made_in[variable]].append(
                f"put_number(spares, {k} * room + q, first_of({variable}))"
            )
        for lines in passes:
            yield f"for q in range({self.rows}):"
            yield from (f"    {line}" for line in lines)

    def _pass(self, made: Pass) -> Iterator[str]:
        self.ahead: list[str] = []  # what is the same in the whole column
        if made.axis != "1":
            n = self.source.number(("axis", made.axis))
            self.masked = bool(made.reductions)
            body = list(self._body(made))
            yield from self.ahead
            for k, sum_ in enumerate(made.reductions):
                start = "nothing" if sum_.operation == "sum" else "-INF"
                yield f"{self._sum(k)} = everywhere({start})"
            yield f"for j in range(0, {n}, LANES):"
            if self.masked:
                yield f"    there = first({n} - j, nothing)"
            yield from (f"    {line}" for line in body)
            for k, sum_ in enumerate(made.reductions):
                name = self._sum(k)
                yield f"{name} = {'sum_of' if sum_.operation == 'sum' else 'largest_of'}({name})"
                self.sums[sum_] = name
                self.made_in[name] = self.at
        self.ahead = []
        current: dict[str, str] = {}
        lines: list[str] = []
        for name, scalar in made.singles:
            lines += self._comment(name)
            lines += self._compute(name, scalar, current)
        yield from self.ahead
        yield from lines
        for place, variable in current.items():
            self.known[place] = variable
            if self._is_stored(place):
                to, i = self.source.pointer(place), self._index(place)
                yield f"put_number({to}, {i}, first_of({variable}))"

    def _recalled(self, variable: str) -> str:
        """What a row has one of: in its register, or from where it was put by an earlier pass."""
        if self.made_in[variable] < self.at and variable not in self.here:
            k = self.waiting.setdefault(variable, len(self.waiting))
            self.source.kept = max(self.source.kept, k + 1)
            self.ahead.append(f"{variable} = broadcast(spares, {k} * room + q)")
            self.here.add(variable)
        return variable

    def _sum(self, k: int) -> str:
        return f"sum_{self.at}_{k}"

    def _body(self, made: Pass) -> Iterator[str]:
        current: dict[str, str] = {}
        self.loaded = {}
        for name, scalar in made.entries:
            yield from self._comment(name)
            yield from self._compute(name, scalar, current)
        for k, sum_ in enumerate(made.reductions):
            lines, text = self._value(sum_.operands[0], current)
            yield from lines
            name, how = self._sum(k), sum_.operation
            text = f"where(there, {text}, {'0' if how == 'sum' else '-INF'})"
            yield (
                f"{name} = {name} + {text}" if how == "sum" else f"{name} = larger({name}, {text})"
            )
        for place, variable in current.items():
            if self._is_stored(place):
                yield f"store({self.source.pointer(place)}, {self._index(place)} + j, {variable})"

    def _is_stored(self, place: str) -> bool:
        """Whether somebody reads later what a place holds: after this run, at another step, in another
        phase, or in a later pass of this one.
        """
        buffer = self.program.where.get(place)
        if buffer is None:
            return False
        if buffer.over == "time" or place in self.program.schedule.carried:
            return True
        others = [
            op
            for phase in self.program.phases
            if phase is not self.phase
            for op in phase.operations
        ]
        return len(self.passes.passes) > 1 or any(
            place in map(self.program.place, op.reads) for op in others
        )

    def _comment(self, name: str) -> Iterator[str]:
        if self.source.comment:
            yield f"# {self.source.comment(self.comments[name])}"

    def _compute(self, name: str, scalar: Scalar, current: dict[str, str]) -> Iterator[str]:
        lines, text = self._value(scalar, current)
        yield from lines
        place, variable = self.program.place(name), self.source.word(name)
        yield f"{variable} = {text}"
        current[place] = variable
        if self.program.axis(name) == "1":
            self.known[place] = variable
            self.made_in[variable] = self.at

    def _value(self, scalar: Scalar, current: dict[str, str]) -> tuple[list[str], str]:
        """Return lines that have to come before, and a number as text."""
        lines: list[str] = []
        return lines, self._told(scalar, current, lines, inside=False)

    def _told(self, x: Scalar, current: dict[str, str], lines: list[str], inside: bool) -> str:
        """Return a number as text, in brackets where it stands inside another one and needs them."""
        if x.operation in OVER:
            return self._recalled(self.sums[x])
        if x.operation == "entry":
            return self._entry(x, current, lines)
        if x.operation == "number":
            return repr(x.value).removesuffix(".0")
        if x.operation == "call":
            of, made = x.operands
            named = x.name in _NAMED
            return f"{x.name}({self._told(of, current, lines, False)})" if named else (
                self._told(made, current, lines, inside)
            )  # fmt: skip
        bound = x.operation in _SIGNS or x.operation == "negative"
        operands = [self._told(o, current, lines, bound) for o in x.operands]
        if x.operation in _CALLS:
            return f"{x.operation}({', '.join(operands)})"
        text = self._combined(x.operation, operands, lines)
        return f"({text})" if inside else text

    def _combined(self, operation: str, operands: list[str], lines: list[str]) -> str:
        """Return what an operator makes of its operands."""
        if operation == "negative":
            return f"-{operands[0]}"
        if operation in _SIGNS:
            return f" {_SIGNS[operation]} ".join(operands)
        if operation != "square":
            raise UnsupportedError(f"the operation {operation}")
        if not operands[0].isidentifier():
            lines.append(f"squared_{len(lines)} = {operands[0]}")
            operands = [f"squared_{len(lines) - 1}"]
        return f"{operands[0]} * {operands[0]}"

    def _entry(self, x: Scalar, current: dict[str, str], lines: list[str]) -> str:
        """Return the variable of an entry of a quantity; it is loaded where it is in no register."""
        place = self.program.place(x.name)
        if place in current:
            return current[place]
        if place in self.known:
            return self._recalled(self.known[place])
        if x.name in self.loaded:
            return self.loaded[x.name]
        if x.name in self.program.parameters:
            return self._parameter(x)
        if self.program.axis(x.name) == "1":
            return self._single(x)
        made = self.passes.made.get(place)
        if made and not self.source.in_memory(x.name):
            if self._overwritten(made[1]):
                raise UnsupportedError(
                    "a number is needed again after what it is made from has gone"
                )
            more, text = self._value(made[1], current)  # computed again: it is in no register now
            lines += [*more, f"{self.source.word(x.name)} = {text}"]
            current[place] = self.source.word(x.name)
            return current[place]
        lines.append(f"{self.source.word(x.name)} = {self._loaded(x.name)}")
        self.loaded[x.name] = self.source.word(x.name)
        return self.loaded[x.name]

    def _overwritten(self, scalar: Scalar) -> bool:
        read = {self.program.place(n.name) for n in scalar.nodes() if n.operation == "entry"}
        return any(p in self.passes.made and self.source.in_memory(p) for p in read)

    def _loaded(self, name: str) -> str:
        to, i = self.source.pointer(name), self._index(name)
        if name in self.program.labels:
            return f"one_at(number({to}, {i}), j, nothing)"
        return self._part(to, f"{i} + j") if name in self.program.given else f"load({to}, {i} + j)"

    def _part(self, to: str, at: str) -> str:
        """A load of what is not in one of our buffers, whose rows are whole registers, with 0 at the end."""
        self.masked = True
        return f"load_part({to}, {at}, there)"

    def _parameter(self, x: Scalar) -> str:
        row, column = x.at
        if column != 0:
            raise UnsupportedError(f"{x.name} is no column")
        of = self.source.pointer(x.name)
        if row == 0:
            return f"broadcast({of}, 0)"
        return self._part(of, "j")

    def _single(self, x: Scalar) -> str:
        """A quantity with one number a column, the same for all of its rows."""
        variable = self.source.word(x.name)
        if variable not in self.here:
            self.here.add(variable)
            to, i = self.source.pointer(x.name), self._index(x.name)
            self.ahead.append(f"{variable} = broadcast({to}, {i})")
        return variable

    def _index(self, name: str) -> str:
        """Return the variable of where the row of a quantity is."""
        key = self.source.key(name)
        self.keys.setdefault(key)
        return f"i_{self.source.word(key)}"
