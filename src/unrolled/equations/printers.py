"""Equations as text, as LaTeX and as shapes. The printers know operations, and nothing of any cell."""

from collections.abc import Callable, Mapping
from typing import Any

from unrolled import notation
from unrolled.equations.symbols import Symbol
from unrolled.equations.table import Equation, Table
from unrolled.notation import Shape, columns, pad, shape_text, width

_SUM, _TIMES, _PRODUCT, _ATOM = range(4)  # what binds tighter has the higher number
_INFIX = {"add": (" + ", _SUM), "subtract": (" − ", _SUM)}


class TextPrinter:
    """Prints an expression as a person would write it: `W_aaᵀ dz_a⟨t⟩`, `(1 − a⟨t⟩²) ∘ da⟨t⟩`."""

    circle, dot, minus, sigma = " ∘ ", " ", "−", "Σ_{}"

    def __init__(self, table: Table):
        self.per_step = table.per_step
        self.previous = {f"{state}_prev": state for state in table.step.states}

    def name(self, name: str, at: str = "t") -> str:
        """Return the symbol of a quantity, with its step where it has one of its own."""
        if name in self.previous:
            name, at = self.previous[name], f"t{self.minus}1"
        text = self.plain(name)
        return self.at_step(text, at) if name in self.per_step else text

    def print(self, symbol: Symbol, inside: int = _SUM) -> str:
        """Return the expression, in brackets where it binds less than what stands around it."""
        text, binding = self._parts(symbol)
        return self.brackets(text) if binding < inside else text

    def equation(self, equation: Equation) -> tuple[str, str]:
        """Return the left and the right side."""
        name = equation.name
        if equation.direction == "total":
            left = self.plain(name)
        elif name in self.previous:
            left = self.at_step(self.suffixed(self.plain(self.previous[name]), "prev"), "t")
        else:
            left = self.name(name)
        return left, self.print(equation.expression)

    def plain(self, name: str) -> str:
        return notation.entry(name).text

    def suffixed(self, text: str, suffix: str) -> str:
        return f"{text}_{suffix}"

    def at_step(self, text: str, at: str) -> str:
        return f"{text}⟨{at}⟩"

    def brackets(self, text: str) -> str:
        return f"({text})"

    def call(self, function: str, arguments: list[str]) -> str:
        name = {"sigmoid": "σ", "log_sum_exp": "log Σ exp", "relu": "relu"}.get(function, function)
        return f"{name}({', '.join(arguments)})"

    def transpose(self, text: str) -> str:
        return f"{text}ᵀ"

    def square(self, text: str) -> str:
        return f"{text}²"

    def number(self, value: float) -> str:
        return "½" if value == 0.5 else f"{value:g}"

    def where(self, condition: str, value: str, other: str) -> str:
        return f"where({condition}, {value}, {other})"

    def link(self, operation: str, operands: tuple[Symbol, ...]) -> str:
        """What ties steps together: the same quantity at another step, or a sum over steps."""
        name = operands[0].name
        if operation == "previous":
            start = self.note(f"{self.plain(operands[1].name)} at t = 0")
            return f"{self.name(name, at=f't{self.minus}1')}{start}"
        if operation == "next":
            return f"{self.name(name, at='t+1')}{self.note(f'0 at t = T{self.minus}1')}"
        if operation == "first":
            return self.name(name, at="0")
        return f"{self.sigma.format('t')} {self.name(name)}"

    def note(self, text: str) -> str:
        return f", {text}"

    def _parts(self, symbol: Symbol) -> tuple[str, int]:
        operation, operands = symbol.operation, symbol.operands
        if operation == "quantity":
            return self.name(symbol.name), _ATOM
        if operation == "number":
            return self.number(symbol.value), _ATOM
        if operation in ("previous", "next", "over_time", "first"):
            return self.link(operation, operands), _ATOM
        if operation in _INFIX:
            sign, binding = _INFIX[operation]
            sign = sign.replace("−", self.minus)
            right = self.print(operands[1], _TIMES if operation == "subtract" else _SUM)
            return f"{self.print(operands[0])}{sign}{right}", binding
        return self._tighter(operation, operands)

    def _tighter(self, operation: str, operands: tuple[Symbol, ...]) -> tuple[str, int]:
        if operation == "multiply":
            sign = self.circle if all(o.shape for o in operands) else self.dot
            return sign.join(self._factor(o) for o in operands), _TIMES
        if operation == "product":
            return " ".join(self.print(o, _PRODUCT) for o in operands), _PRODUCT
        if operation == "divide":
            return " / ".join(self.print(o, _PRODUCT) for o in operands), _TIMES
        if operation == "negative":
            return f"{self.minus}{self.print(operands[0], _TIMES)}", _TIMES
        if operation == "transpose":
            return self.transpose(self.print(operands[0], _ATOM)), _ATOM
        if operation == "square":
            return self.square(self.print(operands[0], _ATOM)), _ATOM
        if operation in ("over_batch", "over_features"):
            axis = operands[0].shape[1 if operation == "over_batch" else 0]
            return f"{self.sigma.format(axis)} {self.print(operands[0], _TIMES)}", _TIMES
        if operation == "positive":
            return f"{self.print(operands[0], _TIMES)} > 0", _SUM
        texts = [self.print(o) for o in operands]
        return (self.where(*texts) if operation == "where" else self.call(operation, texts)), _ATOM

    def _factor(self, symbol: Symbol) -> str:
        """A matrix product inside ∘ is bracketed, for the eye."""
        text = self.print(symbol, _TIMES)
        return self.brackets(text) if symbol.operation == "product" else text


class ShapePrinter(TextPrinter):
    """Prints an expression with the shape of each operand in its place: `(n_a, n_a) (n_a, m)`."""

    def __init__(self, table: Table, sizes: Mapping[str, int] | None = None):
        super().__init__(table)
        self.sizes = sizes

    def _parts(self, symbol: Symbol) -> tuple[str, int]:
        if symbol.operation == "quantity":
            return shape_text(symbol.shape, self.sizes), _ATOM
        if symbol.operation == "transpose":
            return shape_text(symbol.shape, self.sizes), _ATOM
        return super()._parts(symbol)


class LatexPrinter(TextPrinter):
    """Prints an expression as LaTeX for a maths environment of amsmath."""

    circle, dot, minus, sigma = r" \circ ", r"\,", "-", r"\sum_{{{}}}"

    def plain(self, name: str) -> str:
        return notation.entry(name).latex

    def suffixed(self, text: str, suffix: str) -> str:
        return rf"{text}_{{\mathrm{{{suffix}}}}}"

    def at_step(self, text: str, at: str) -> str:
        return rf"{{{text}}}^{{\langle {at} \rangle}}"

    def brackets(self, text: str) -> str:
        return rf"\left({text}\right)"

    def call(self, function: str, arguments: list[str]) -> str:
        names = {"sigmoid": r"\sigma", "tanh": r"\tanh", "log_sum_exp": r"\log\sum\exp"}
        escaped = function.replace("_", r"\_")
        name = names.get(function, rf"\operatorname{{{escaped}}}")
        return rf"{name}\left({', '.join(arguments)}\right)"

    def number(self, value: float) -> str:
        return r"\tfrac12" if value == 0.5 else f"{value:g}"

    def transpose(self, text: str) -> str:
        return f"{{{text}}}^{{\\mathsf T}}"

    def square(self, text: str) -> str:
        return f"{{{text}}}^2"

    def where(self, condition: str, value: str, other: str) -> str:
        return rf"\begin{{cases}} {value} & {condition} \\ {other} & \text{{else}} \end{{cases}}"

    def note(self, text: str) -> str:
        return r",\quad " + text.replace(" at ", r" \text{ at } ")


_HEADINGS = {
    "forward": "Forward, t = 0 … T−1",
    "backward": "Backward, t = T−1 … 0",
    "link": "Between steps",
    "total": "Over all steps",
}


def _sections(links: bool) -> list[str]:
    return ["forward", "backward", *(["link"] if links else []), "total"]


def to_text(
    table: Table, sizes: Mapping[str, int] | None = None, links: bool = False, ascii: bool = False
) -> str:  # fmt: skip
    """Return the table as plain text: equations, shapes, and the legend of what occurs in it.

    `sizes` puts numbers for n_x, n_a, n_y, m, T; `links` shows what ties the steps together.
    """
    plain = notation.ascii_text if ascii else str
    printer, shapes = TextPrinter(table), ShapePrinter(table, sizes)
    lines = [*_title(table), ""]
    for section in _sections(links):
        equations = table.of(section)
        rows = [tuple(map(plain, printer.equation(e))) for e in equations]
        wide = max(width(left) for left, _ in rows)
        bodies = [f"  {pad(left, wide)} = {right}" for left, right in rows]
        column = min(max(map(width, bodies)), 60)
        lines.append(_HEADINGS[section])
        for body, equation in zip(bodies, equations, strict=True):
            lines.append(f"{pad(body, column)}   {_shape_column(equation, shapes, sizes)}")
        lines.append("")
    lines += _legend(table, sizes, plain)
    return "\n".join(map(plain, lines))


def _shape_column(equation: Equation, shapes: ShapePrinter, sizes: Any) -> str:
    """The shape; where matrices are multiplied, also how it comes about."""
    text = shape_text(equation.shape, sizes)
    operations = set(equation.expression.operations())
    if "product" in operations and operations <= {"product", "add", "transpose", "quantity"}:
        return f"{text} = {shapes.print(equation.expression)}"
    return text


def _title(table: Table) -> list[str]:
    step = table.step
    cell = (
        step.cell.name if step.activation is None else f"{step.cell.name} ({step.activation.name})"
    )
    g = "" if step.activation is None else f", g = {step.activation.name}"
    return [
        f"{cell}, {step.prediction.title}, {step.loss.part.name}",
        f"  {step.cell.title}{g}",
        f"  Source: {step.cell.source}",
        f"  {step.loss.part.title}",
        f"  Source: {step.loss.part.source}",
    ]


def _legend(
    table: Table, sizes: Mapping[str, int] | None, plain: Callable[[str], str]
) -> list[str]:
    entries = [(notation.entry(name), shape) for name, shape in table.shapes.items()]
    rows = [(plain(e.text), e.name, shape_text(shape, sizes), e.meaning) for e, shape in entries]
    body = [f"  {line}" for line in columns(rows)]
    axes = ", ".join(
        f"{name} {meaning}" if not sizes else f"{name} = {sizes[name]} {meaning}"
        for name, meaning in notation.DIMENSIONS.items()
    )
    return ["Quantities: symbol, name in code, shape, meaning", *body, "", f"Sizes: {axes}"]


def to_latex(table: Table, sizes: Mapping[str, int] | None = None, links: bool = False) -> str:
    """Return the table as LaTeX: one align* a direction, shapes at the right (needs amsmath)."""
    printer = LatexPrinter(table)
    blocks = [f"% {line.strip()}" for line in _title(table)]
    for section in _sections(links):
        rows = []
        for equation in table.of(section):
            left, right = printer.equation(equation)
            shape = _latex_shape(equation.shape, sizes)
            rows.append(rf"  {left} &= {right} && \in \mathbb{{R}}^{{{shape}}}")
        body = " \\\\\n".join(rows)
        heading = f"% {_HEADINGS[section]}"
        blocks.append(f"{heading}\n\\begin{{align*}}\n{body}\n\\end{{align*}}")
    return "\n".join(blocks)


def _latex_shape(shape: Shape, sizes: Mapping[str, int] | None) -> str:
    return r" \times ".join(str((sizes or {}).get(str(axis), axis)) for axis in shape)


def to_dict(table: Table, sizes: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return the table as plain data for programs: quantities, equations, expressions as trees."""
    text, latex = TextPrinter(table), LatexPrinter(table)

    def axes(shape: Shape) -> list[Any]:
        return [(sizes or {}).get(str(axis), axis) for axis in shape]

    quantities = []
    for name, shape in table.shapes.items():
        entry = notation.entry(name)
        quantities.append({
            "name": name, "symbol": entry.text, "latex": entry.latex, "shape": axes(shape),
            "meaning": entry.meaning, "per_step": name in table.per_step,
        })  # fmt: skip
    equations = []
    for e in table.equations:
        left, right = text.equation(e)
        latex_left, latex_right = latex.equation(e)
        equations.append({
            "name": e.name, "direction": e.direction, "part": e.part, "line": e.line,
            "shape": axes(e.shape), "text": f"{left} = {right}",
            "latex": f"{latex_left} = {latex_right}", "expression": _tree(e.expression),
        })  # fmt: skip
    step = table.step
    return {
        "schema": 1, "cell": step.cell.name, "title": step.cell.title, "source": step.cell.source,
        "activation": step.activation.name if step.activation else None,
        "output": step.prediction.name, "loss": step.loss.part.name,
        "loss_source": step.loss.part.source, "sizes": dict(sizes or {}),
        "quantities": quantities, "equations": equations,
    }  # fmt: skip


def _tree(symbol: Symbol) -> Any:
    if symbol.operation == "quantity":
        return symbol.name
    if symbol.operation == "number":
        return symbol.value
    return {"operation": symbol.operation, "operands": [_tree(o) for o in symbol.operands]}
