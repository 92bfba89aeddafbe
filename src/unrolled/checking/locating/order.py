"""The order of computation, and which quantity at which step is made from which."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator

from unrolled.checking.recognising import Node
from unrolled.equations.table import Equation, Table


class Order:
    """All that T steps compute, first to last: forward by rising t, the loss, backward by falling t,
    then totals. `needs` says what each is made from directly, `used_by` the other way round.
    """

    def __init__(self, table: Table, T: int, has_loss: bool):
        self.table, self.T, self.has_loss = table, T, has_loss
        self.needs: dict[Node, list[Node]] = {}
        self.used_by: dict[Node, list[Node]] = defaultdict(list)
        for node, needed in self._all():
            self.needs[node] = needed
            for other in needed:
                self.used_by[other].append(node)
        self.rank = {node: k for k, node in enumerate(self.needs)}

    def _all(self) -> Iterator[tuple[Node, list[Node]]]:
        skipped = () if self.has_loss else ("losses", "loss", "log_y_hat")
        forward = [e for e in self.table.of("forward") if e.name not in skipped]
        backward = [e for e in self.table.of("backward") if self._in_backward(e)]
        for t in range(self.T):
            yield from ((Node(e.name, t), self._operands(e, t)) for e in forward)
        if self.has_loss:
            yield Node("loss"), [Node("loss", t) for t in range(self.T)]
        for t in reversed(range(self.T)):
            for equation in backward:
                yield Node(equation.name, t), self._operands(equation, t)
        yield from self._totals()

    def _in_backward(self, equation: Equation) -> bool:
        return self.has_loss or equation.name not in ("dz_y", "da_y", "dy_hat", "dW_ya", "db_y")

    def _totals(self) -> Iterator[tuple[Node, list[Node]]]:
        for equation in self.table.of("total"):
            name = equation.name
            if equation.expression.operation == "first":
                yield Node(name), [Node(equation.expression.operands[0].name, 0)]
            elif name != "loss" and (self.has_loss or name not in ("dW_ya", "db_y")):
                yield Node(name), [Node(name, t) for t in range(self.T)]

    def _operands(self, equation: Equation, t: int) -> list[Node]:
        found = (self.linked(name, t) for name in equation.expression.names)
        return [node for node in found if node is not None]

    def linked(self, name: str, t: int) -> Node | None:
        """Return what a quantity's name stands for at step t; None where nothing computes it."""
        for state in self.table.step.states:
            if name == f"{state}_prev":
                return Node(state, t - 1) if t else Node(f"{state}0")
            if name == f"d{state}_next":
                return Node(f"d{state}_prev", t + 1) if t + 1 < self.T else None
        return Node(name, t) if name in self.table.per_step else Node(name)

    def ancestors(self, nodes: Iterable[Node], given: Container[str] = ()) -> set[Node]:
        """Return the nodes and all that they are made from, down to the names that are `given`."""
        found: set[Node] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [] if node.name in given else self.needs.get(node, [])
        return found
