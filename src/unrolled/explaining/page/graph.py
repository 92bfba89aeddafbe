"""The unrolled graph as SVG: a column a step, parameters drawn once, with a line to every use.

Forward above, from the inputs down to the loss; backward below, from the loss on down, its steps
walked from right to left. Where a quantity stands is how many equations of its step come before it.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

from unrolled import notation
from unrolled.equations.evaluation import label_of
from unrolled.equations.table import Equation, Key
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.page.data import key_text
from unrolled.explaining.page.selection import Selection

_WIDE, _HIGH, _ROW, _GAP = 46, 22, 40, 34  # of a box; between rows, between columns
_HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M0 6L6 0"/></pattern></defs>'
)


@dataclass(frozen=True)
class Box:
    """A quantity at a place: its middle."""

    key: Key
    x: float
    y: float


class Graph:
    """Where everything stands, and the picture."""

    def __init__(self, explanation: Explanation, selection: Selection):
        self.explanation, self.table, self.steps = explanation, explanation.table, selection.steps

    @cached_property
    def _bands(self) -> tuple[list[list[str]], list[list[str]]]:
        """The names of a step row by row: forward, and backward."""
        forward = self._rows(self.table.of("forward"), ["x", "y"])
        links = tuple(e for e in self.table.of("link") if e.expression.operation == "next")
        backward = self._rows((*links, *self.table.of("backward")), [])
        return forward, backward

    def _rows(self, equations: tuple[Equation, ...], given: list[str]) -> list[list[str]]:
        ranks = dict.fromkeys(given, 0)
        for equation in equations:
            before = [ranks[name] for name in equation.expression.names if name in ranks]
            shares = equation.name[1:] in self.table.step.parameters
            ranks[equation.name] = -1 if shares else 1 + max(before, default=0 if given else -1)
        rows = [[n for n, of in ranks.items() if of == k] for k in range(1 + max(ranks.values()))]
        last, wide = [n for n, of in ranks.items() if of < 0], max(map(len, rows))
        return [*rows, *(last[k : k + wide] for k in range(0, len(last), wide))]

    @cached_property
    def _column(self) -> int:
        """How wide a column is."""
        widest = max(len(row) for band in self._bands for row in band)
        return widest * (_WIDE + 6) + _GAP

    @cached_property
    def _left(self) -> int:
        """How wide the column of the parameters is."""
        return 2 * _WIDE + _GAP + 16

    @cached_property
    def boxes(self) -> dict[Key, Box]:
        """Every quantity with its place."""
        forward, backward = self._bands
        found = dict[Key, Box]()
        for k, t in enumerate(self.steps):
            left = self._left + k * self._column
            for row, names in enumerate([*forward, *backward]):
                y = 44 + row * _ROW + (_ROW if row >= len(forward) else 0)
                for n, name in enumerate(names):
                    wide = len(names) * (_WIDE + 6)
                    x = left + (self._column - wide) / 2 + n * (_WIDE + 6) + _WIDE / 2 + 3
                    found[name, t] = Box((name, t), x, y)
        states = [(f"{state}0", None) for state in self.table.step.states]
        parameters = [(name, None) for name in self.table.step.parameters]
        self._beside(found, [*states, *parameters], 44 + _ROW)
        totals = [(e.name, None) for e in self.table.of("total") if e.name != "loss"]
        self._beside(found, totals, 44 + (len(forward) + 1) * _ROW)
        self._beside(found, [("loss", None)], found["loss", self.steps[0]].y)
        return found

    def _beside(self, found: dict[Key, Box], keys: Sequence[Key], top: float) -> None:
        """Put what is no step's into the left column, two side by side."""
        for n, key in enumerate(keys):
            x = 8 + _WIDE / 2 + (n % 2) * (_WIDE + 8)
            found[key] = Box(key, x, top + (n // 2) * 30)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        lowest = max(box.y for box in self.boxes.values())
        return self._left + len(self.steps) * self._column + 8, int(lowest) + 24

    def edges(self) -> Iterator[tuple[str, Box, Box]]:
        """Yield every line: its kind, where from, where to."""
        for moment in self.explanation.moments:
            to = self.boxes.get(moment.key)
            if to is None:
                continue
            for key in self._operands(moment.equation, moment.t):
                if key in self.boxes:
                    yield self._kind(moment.equation, key), self.boxes[key], to

    def _operands(self, equation: Equation, t: int | None) -> Iterator[Key]:
        names = dict.fromkeys(leaf.name for leaf in equation.expression.leaves())
        operation = equation.expression.operation
        if operation == "over_time":
            yield from ((name, step) for name in names for step in self.steps)
        elif operation in ("next", "first"):
            yield from ((name, 0 if t is None else t + 1) for name in names)
        else:
            yield from (self.table.placed(name, t) for name in names)

    def _kind(self, equation: Equation, key: Key) -> str:
        """Whether a line is of a parameter, a total, goes forward or back, or reads what was kept."""
        if equation.direction == "total" and equation.name != "loss":
            return "total"
        if key[1] is None:
            return "weight"
        if equation.direction == "forward" or equation.name == "loss":
            return "forward"
        computed = {e.name for e in self.table.of("forward")} | {"x", "y"}
        return "kept" if key[0] in computed else "backward"

    def to_svg(self) -> str:
        """Return the picture; every box leads to its step."""
        wide, high = self.size
        lines = [
            f'<g data-to="{key_text(key)}">{"".join(_path(*edge) for edge in edges)}</g>'
            for key, edges in itertools.groupby(self._drawn(), lambda edge: edge[2].key)
        ]
        texts = [self._heading(k, t) for k, t in enumerate(self.steps)]
        boxes = [
            _box(box, box.key in self._steps, self._status(box.key)) for box in self.boxes.values()
        ]
        body = "".join((*lines, *texts, *boxes))
        hatch = _HATCH if self.explanation.theirs else ""
        return (
            f'<svg viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">{hatch}{body}</svg>'
        )

    def _status(self, key: Key) -> str:
        return self.explanation.theirs.status(key) if self.explanation.theirs else ""

    def _drawn(self) -> Iterator[tuple[str, Box, Box]]:
        """The lines but for those from what the forward kept for the backward, which are too many."""
        return (edge for edge in self.edges() if edge[0] != "kept")

    @cached_property
    def _steps(self) -> set[Key]:
        return {moment.key for moment in self.explanation.moments}

    def _heading(self, k: int, t: int) -> str:
        x = self._left + (k + 0.5) * self._column
        gap = k > 0 and self.steps[k - 1] != t - 1
        return f'<text class="at" x="{x:.0f}" y="18">{"… " if gap else ""}t = {t}</text>'


def _path(kind: str, a: Box, b: Box) -> str:
    """A line between the edges of two boxes: bent from side to side where it leads to another step."""
    sideways = abs(a.x - b.x) > abs(a.y - b.y)
    if kind in ("weight", "total"):
        d = f"M{a.x:.0f} {a.y:.0f}L{b.x:.0f} {b.y:.0f}"
    elif sideways:
        way = 1 if b.x > a.x else -1
        x1, x2 = a.x + way * _WIDE / 2, b.x - way * _WIDE / 2
        bend = (x2 - x1) / 2
        d = f"M{x1:.0f} {a.y:.0f}c{bend:.0f} 0 {bend:.0f} {b.y - a.y:.0f} {x2 - x1:.0f} {b.y - a.y:.0f}"
    else:
        way = 1 if b.y > a.y else -1
        y1, y2 = a.y + way * _HIGH / 2, b.y - way * _HIGH / 2
        d = f"M{a.x:.0f} {y1:.0f}L{b.x:.0f} {y2:.0f}"
    return f'<path class={kind[0]} d="{d}"/>'


def _box(box: Box, is_step: bool, status: str) -> str:
    name, x, y = box.key[0], box.x - _WIDE / 2, box.y - _HIGH / 2
    text = (
        f"<rect x={x:.0f} y={y:.0f} width={_WIDE} height={_HIGH} />"
        f"<text x={box.x:.0f} y={box.y + 4:.0f}>{_symbol(name)}</text>"
    )
    if not is_step:
        return f'<g data-box="{key_text(box.key)}" class="given">{text}</g>'
    label, marked = escape(label_of(box.key)), f' class="{status}"' if status else ""
    return f'<a href="#{label}" data-box="{key_text(box.key)}" tabindex=-1{marked}>{text}</a>'


def _symbol(name: str) -> str:
    head, _, tail = notation.entry(name).text.partition("_")
    return f'{head}<tspan class="sub" dy="3">{tail}</tspan>' if tail else head
