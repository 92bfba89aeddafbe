"""Where quantities lie: what takes over whose place, what lies side by side in one buffer, what is merged
because it does, and in which order everything is computed.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from unrolled.equations.expressions import Expression
from unrolled.equations.operations import Elementwise, Operation, Product, Schedule

_MOST_ORDERED = 7  # quantities of which every order is tried


def arrange(
    schedule: Schedule, parts: list[list[Operation]], stored: set[str], parameters: frozenset[str],
    together: bool, in_place: bool,
) -> Schedule:  # fmt: skip
    """Complete a schedule with the operations before, in and after the loop.

    `stored` names what all steps keep; `together` says whether to put side by side what one product
    finds or leaves, `in_place` whether factors wait where their products will be.
    """
    layout = _Layout(schedule, parameters)
    layout.settle(parts, stored, together, "psk" if in_place else "ps")
    schedule.before, schedule.loop, schedule.after = map(layout.ordered, parts)
    return schedule


class _Layout:
    def __init__(self, schedule: Schedule, parameters: frozenset[str]):
        self.schedule, self.parameters = schedule, parameters
        self.users: dict[str, str] = {}  # which sum a product's result goes into
        self.position: dict[str, tuple[int, int]] = {}

    def settle(
        self, lists: list[list[Operation]], stored: set[str], together: bool, kinds: str
    ) -> None:
        """Decide what takes over whose place, and what lies next to what."""
        ahead, looped, behind = lists
        shapes, totals = self.schedule.shapes, self.schedule.totals
        uses = Counter(n for op in looped for n in op.reads)
        later = {n for op in behind for n in op.reads} | {n for t in totals for n in t.names}
        by_product = {n for op in ahead if isinstance(op, Product) for n in op.names}
        computed = {n for op in ahead for n in op.names}
        if any(set(op.reads) & computed for op in ahead if isinstance(op, Product)):
            stored |= computed  # it is not only for the loop, block by block
        stored |= by_product | {n for op in behind for n in op.names}
        self.users = {leaf: name for op in looped for name, leaf in _places(op) if leaf[:2] == "r."}
        for name, leaf in ((n, x) for op in looped for n, x in _places(op)):
            internal = (
                leaf[1:2] == "." and leaf[0] in kinds and uses[leaf] == 1 and leaf not in later
            )
            taken = {*self.schedule.handed_back, *self.schedule.homes.values()}
            waits = leaf[0] != "k" or name in stored  # else a block of steps is enough
            if internal and waits and name not in taken and shapes[leaf] == shapes[name]:
                self.schedule.homes[leaf] = name
        stored = {self.schedule.home(name) for name in stored}
        products = [op for op in (*ahead, *looped, *behind) if isinstance(op, Product)]
        wishes = [
            tuple(map(self._seat, op.operands if op.transposed else op.names)) for op in products
        ]
        self.schedule.stacks = self._stacks(stored, wishes if together else [], looped)
        self.position = {
            name: (k, i)
            for k, stack in enumerate(self.schedule.stacks)
            for i, name in enumerate(stack)
        }

    def _seat(self, name: str) -> str:
        """In whose place a quantity lies, or the sum that a product's result goes into."""
        return self.schedule.home(self.users.get(name, name))

    def _stacks(
        self, stored: set[str], wishes: list[tuple[str, ...]], looped: list[Operation]
    ) -> list[tuple[str, ...]]:
        """Put into one buffer what one product is to find, or to leave, side by side."""
        shapes = self.schedule.shapes
        alike: dict[Any, list[str]] = {}
        for op in looped:
            if isinstance(op, Elementwise) and (home := self._seat(op.names[0])) in stored:
                alike.setdefault((shapes[home], self._form(op.expressions[0])), []).append(home)
        rest, stacks = sorted(stored), []
        while rest:
            stack, size = [rest[0]], 0
            while size < len(stack):
                size = len(stack)
                joined = [
                    n for wish in wishes if set(wish) & set(stack) for n in wish if n in stored
                ]
                stack += dict.fromkeys(
                    n for n in joined if n not in stack and shapes[n] == shapes[stack[0]]
                )
            rest = [name for name in rest if name not in stack]
            stacks.append(_best_order(stack, [*wishes, *wishes, *map(tuple, alike.values())]))
        return stacks

    def ordered(self, operations: list[Operation]) -> list[Operation]:
        """Merge what is alike and lies side by side, and put all in an order of computation: products
        as early as they can be, and what overwrites as late as it has to be.
        """
        waiting = self._merged(operations)
        ordered: list[Operation] = []
        while waiting:
            missing = Counter(name for op in waiting for name in op.names)
            free = [op for op in waiting if _is_ready(op, missing)]
            if not free:  # merged equations wait for each other
                waiting = _apart(waiting)
                continue
            late = [op for op in free if not self._overwrites(op, waiting)]
            op = next((op for op in late or free if isinstance(op, Product)), (late or free)[0])
            if not late:
                self.schedule.apart |= set(op.names)
            ordered.append(op)
            waiting.remove(op)
        return ordered + self._copies(ordered)

    def _copies(self, ordered: list[Operation]) -> list[Operation]:
        """What could not be written where others were still reading is copied there at the end."""
        names = {name for op in ordered for name in op.names}
        shapes = self.schedule.shapes
        return [
            Elementwise((key,), (Expression.quantity(name, shapes[name]),))
            for key, name in self.schedule.carried.items()
            if name in self.schedule.apart and name in names
        ]

    def _overwrites(self, op: Operation, waiting: list[Operation]) -> bool:
        """Whether what goes to the next step would overwrite what others of this step still read."""
        back = self.schedule.handed_back & set(op.names)
        ends = [key for key, name in self.schedule.carried.items() if name in back]
        return any(key in other.reads for key in ends for other in waiting if other is not op)

    def _merged(self, operations: list[Operation]) -> list[Operation]:
        """Merge equations of one form whose quantities lie side by side in every place."""
        products: list[Operation] = []
        rows: dict[str, tuple[Any, int]] = {}
        for op in operations:
            if isinstance(op, Product):
                op = self._in_order(op)
                products.append(op)
                rows |= {n: (op, i) for i, n in enumerate(op.names) if n[:2] == "r."}

        def place(name: str) -> tuple[Any, int]:
            return rows[name] if name in rows else self._place(name)

        rest = [op for op in operations if isinstance(op, Elementwise)]
        rest.sort(key=lambda op: (str(self._form(op.expressions[0])), self._place(op.names[0])))
        needs = _closure(operations)
        merged: list[Elementwise] = []
        for op in rest:
            if merged and self._continues(merged[-1], op, place, needs):
                last = merged.pop()
                op = Elementwise(last.names + op.names, last.expressions + op.expressions)
            merged.append(op)
        return [*products, *merged]

    def _in_order(self, op: Product) -> Product:
        """A stacked product with its parts in the order in which they lie."""
        parts = op.operands if op.transposed else op.names
        order = sorted(range(len(parts)), key=lambda k: self._place(parts[k]))
        weights, placed = (tuple(v[k] for k in order) for v in (op.weights, parts))
        if op.transposed:
            return Product(op.names, weights, placed, transposed=True)
        return Product(placed, weights, op.operands)

    def _place(self, name: str) -> tuple[int, int]:
        """Which stack a quantity lies in, and where there."""
        return self.position.get(self._seat(name), (len(self.position), 0))

    def _continues(
        self, before: Elementwise, op: Elementwise, place: Any, needs: Mapping[str, set[str]]
    ) -> bool:
        """Whether an equation has the form of those before it, one place further."""
        name = op.names[0]
        if self.schedule.home(name) not in self.position or set(before.names) & needs[name]:
            return False
        if any(name in needs[other] for other in before.names):
            return False

        one, other = before.expressions[-1], op.expressions[0]
        pairs = [(before.names[-1], name)]
        pairs += [(x.name, y.name) for x, y in zip(one.leaves(), other.leaves(), strict=False)]
        return _bare(one) == _bare(other) and all(
            self._side_by_side(*pair, place) for pair in pairs
        )

    def _form(self, e: Expression) -> Any:
        """An equation's form, with what is its own, a term, a factor or a bias, left open."""
        own = "." in e.name or e.name in self.parameters
        return e.operation, "" if own else e.name, e.value, tuple(map(self._form, e.operands))

    def _side_by_side(self, a: str, b: str, place: Any) -> bool:
        """Whether b lies behind a; biases can be put so."""
        if self.schedule.shapes[a] != self.schedule.shapes[b] or a == b:
            return False
        (stack, k), (other, j) = place(a), place(b)
        return {a, b} <= self.parameters or (stack, k + 1) == (other, j)


def _closure(operations: list[Operation]) -> dict[str, set[str]]:
    """For each name, all of the others that have to be computed before it."""
    direct: dict[str, set[str]] = {}
    for op in operations:
        for k, name in enumerate(op.names):
            one = op.expressions[k].leaves() if isinstance(op, Elementwise) else ()
            reads = {leaf.name for leaf in one} or set(op.reads)
            direct[name] = direct.get(name, set()) | reads - {name}
    found = {name: set(reads) for name, reads in direct.items()}
    for _ in found:
        for reads in found.values():
            reads |= {n for read in reads & found.keys() for n in found[read]}
    return found


def _bare(e: Expression) -> Any:
    """An expression without the names in it."""
    return e.operation, e.value, e.shape, tuple(map(_bare, e.operands))


def _is_ready(op: Operation, missing: Counter[str]) -> bool:
    """Whether all that an operation reads is there; what is computed in place, a product begins."""
    if isinstance(op, Product):
        return not any(missing[name] for name in op.reads)
    return not any(missing[name] > (name in op.names) for name in {*op.reads, *op.names})


def _places(op: Operation) -> Iterator[tuple[str, str]]:
    """Yield each name of an elementwise operation with each quantity it reads."""
    if isinstance(op, Elementwise):
        for name, e in zip(op.names, op.expressions, strict=True):
            yield from ((name, leaf.name) for leaf in e.leaves())


def _apart(operations: list[Operation]) -> list[Operation]:
    """Return the operations with merged equations one by one."""
    found: list[Operation] = []
    for op in operations:
        if isinstance(op, Elementwise) and len(op.names) > 1:
            pairs = zip(op.names, op.expressions, strict=True)
            found += [Elementwise((name,), (e,)) for name, e in pairs]
        else:
            found.append(op)
    if len(found) == len(operations):
        raise AssertionError(f"equations wait for each other: {[op.names for op in found]}")
    return found


def _best_order(names: list[str], wishes: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the order in which the fewest wishes to lie side by side are broken."""
    if len(names) > _MOST_ORDERED:
        return tuple(names)
    wishes = [wish for wish in wishes if len(set(wish) & set(names)) > 1]

    def broken(order: tuple[str, ...]) -> int:
        places = {name: k for k, name in enumerate(order)}
        spans = [[places[n] for n in wish if n in places] for wish in wishes]
        return sum(max(span) - min(span) + 1 - len(set(span)) for span in spans)

    return min(itertools.permutations(names), key=broken)
