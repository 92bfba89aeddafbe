"""Equations as text, LaTeX, MathML and data. The printers know operations, and nothing of any cell."""

from collections.abc import Callable, Mapping
from typing import Any

from unrolled import notation
from unrolled.equations.expressions import Expression
from unrolled.equations.table import Equation, Table
from unrolled.notation import Shape, columns, pad, shape_text, width

# How tightly an operation binds, and how tightly what stands in it has to: else it is bracketed.
_SUM, _OPEN, _TIMES, _PRODUCT, _ATOM = range(5)
_BINDING = {
    "add": (_SUM, _SUM, _SUM), "subtract": (_SUM, _SUM, _TIMES), "negative": (_SUM, _OPEN),
    "positive": (_SUM, _TIMES), "over_batch": (_OPEN, _TIMES), "over_features": (_OPEN, _TIMES),
    "multiply": (_TIMES, _TIMES, _OPEN), "divide": (_TIMES, _TIMES, _ATOM),
    "product": (_PRODUCT, _PRODUCT, _PRODUCT), "transpose": (_ATOM, _ATOM), "square": (_ATOM, _ATOM),
}  # fmt: skip

# What ties steps together is the same quantity at another step.
_AT = {"previous": "t−1", "next": "t+1", "first": "0", "over_time": "t"}

TEXT = {
    "add": "%s + %s", "subtract": "%s − %s", "multiply": "%s ∘ %s", "scale": "%s %s",
    "divide": "%s / %s", "product": "%s %s", "negative": "−%s", "transpose": "%sᵀ", "square": "%s²",
    "sum": "Σ_%s %s", "positive": "%s > 0", "where": "where(%s, %s, %s)", "sigmoid": "σ(%s)",
    "log_sum_exp": "log Σ exp(%s)", "call": "%s(%s)", "brackets": "(%s)", "step": "%s⟨%s⟩",
    "suffix": "%s_%s", "half": "½", "power": "%se%s", "over_time": "Σ_t %s",
    "previous": "%s, %s at t = 0", "next": "%s, 0 at t = T−1", "first": "%s", "dots": "…",
}  # fmt: skip

LATEX = {
    "add": "%s + %s", "subtract": "%s - %s", "multiply": r"%s \circ %s", "scale": r"%s\,%s",
    "divide": "%s / %s", "product": "%s %s", "negative": "-%s", "transpose": r"{%s{}}^{\mathsf T}",
    "square": "{%s{}}^2", "sum": r"\sum_{%s} %s", "positive": "%s > 0",
    "where": r"\begin{cases} %s & %s \\ %s & \text{else} \end{cases}",
    "sigmoid": r"\sigma\left(%s\right)", "tanh": r"\tanh\left(%s\right)",
    "log_sum_exp": r"\log\sum\exp\left(%s\right)", "call": r"\operatorname{%s}\left(%s\right)",
    "brackets": r"\left(%s\right)", "step": r"{%s}^{\langle %s \rangle}",
    "suffix": r"{%s}_{\mathrm{%s}}", "half": r"\tfrac12", "power": r"%s\cdot 10^{%s}",
    "over_time": r"\sum_{t} %s", "previous": r"%s,\quad %s \text{ at } t = 0",
    "next": r"%s,\quad 0 \text{ at } t = T-1", "first": "%s", "dots": r"\cdots",
}  # fmt: skip

MATHML = {
    "add": "%s<mo>+</mo>%s", "subtract": "%s<mo>−</mo>%s", "multiply": "%s<mo>∘</mo>%s",
    "scale": "%s<mspace width='.2em'/>%s", "divide": "<mfrac><mrow>%s</mrow><mrow>%s</mrow></mfrac>",
    "product": "%s<mspace width='.2em'/>%s", "negative": "<mo>−</mo>%s",
    "transpose": "<msup><mrow>%s</mrow><mo>⊤</mo></msup>",
    "square": "<msup><mrow>%s</mrow><mn>2</mn></msup>",
    "sum": "<munder><mo>∑</mo><mi>%s</mi></munder>%s", "positive": "%s<mo>&gt;</mo><mn>0</mn>",
    "where": "<mo>{</mo><mtable><mtr><mtd>%s</mtd><mtd>%s</mtd></mtr>"
             "<mtr><mtd>%s</mtd><mtd><mtext>else</mtext></mtd></mtr></mtable>",
    "sigmoid": "<mi>σ</mi><mo>(</mo>%s<mo>)</mo>",
    "log_sum_exp": "<mi>log</mi><mo>∑</mo><mi>exp</mi><mo>(</mo>%s<mo>)</mo>",
    "call": "<mi>%s</mi><mo>(</mo>%s<mo>)</mo>", "brackets": "<mo>(</mo>%s<mo>)</mo>",
    "step": "%s<mtext>⟨%s⟩</mtext>", "suffix": "<msub>%s<mi>%s</mi></msub>",
    "half": "<mn>½</mn>", "power": "<mn>%s</mn><mo>·</mo><msup><mn>10</mn><mn>%s</mn></msup>",
    "number": "<mn>%s</mn>", "over_time": "<munder><mo>∑</mo><mi>t</mi></munder>%s",
    "previous": "%s<mtext>, </mtext>%s<mtext> at t = 0</mtext>",
    "next": "%s<mtext>, 0 at t = T−1</mtext>", "first": "%s",
    "dots": "<mo>…</mo>", "equals": "<mo>=</mo>%s",
}  # fmt: skip


class Printer:
    """Prints expressions of a table, as a person would write them, in a style: TEXT, LATEX or MATHML."""

    def __init__(self, table: Table, style: Mapping[str, str] = TEXT):
        self.per_step, self.style = table.per_step, style
        self.previous = {f"{state}_prev": state for state in table.step.states}

    def plain(self, name: str) -> str:
        """Return the symbol of a quantity."""
        entry = notation.entry(name)
        if self.style is MATHML:
            return mathml_symbol(entry.text)
        return entry.text if self.style is TEXT else entry.latex

    def name(self, name: str, at: str = "t") -> str:
        """Return the symbol of a quantity, with its step where it has one of its own."""
        if name in self.previous:
            name, at = self.previous[name], "t−1"
        if name not in self.per_step:
            return self.plain(name)
        return self.style["step"] % (
            self.plain(name),
            at.replace("−", "-") if self.style is LATEX else at,
        )

    def equation(self, equation: Equation) -> tuple[str, str]:
        """Return the left and the right side."""
        name = equation.name
        left = self.plain(name) if equation.direction == "total" else self.name(name)
        if equation.direction == "link" and name in self.previous:
            suffixed = self.style["suffix"] % (self.plain(self.previous[name]), "prev")
            left = self.style["step"] % (suffixed, "t")
        return left, self.print(equation.expression)

    def print(self, expression: Expression, binding: int = _SUM, around: str = "") -> str:
        """Return the expression, in brackets where it binds less than what stands around it."""
        operation, text = expression.operation, self._unbracketed(expression)
        own = _BINDING.get(operation, (_ATOM,))[0]
        if operation == "number" and expression.value < 0:
            own = _SUM
        mixed = {operation, around} == {"multiply", "product"}  # A B ∘ C is hard on the eye
        return self.style["brackets"] % text if own < binding or mixed else text

    def operand(self, expression: Expression, k: int) -> str:
        """Return operand k of an expression, in brackets where it needs them there."""
        bindings = _BINDING.get(expression.operation, ())[1:]
        binding = bindings[k] if bindings else _SUM
        return self.print(expression.operands[k], binding, expression.operation)

    def _unbracketed(self, expression: Expression) -> str:
        operation, operands, style = expression.operation, expression.operands, self.style
        if operation == "quantity":
            return self.name(expression.name)
        if operation == "number":
            return self._number(expression.value)
        if operation in _AT:
            return self.linked(expression)
        texts = tuple(self.operand(expression, k) for k in range(len(operands)))
        if operation in ("over_batch", "over_features"):
            return style["sum"] % (operands[0].shape[operation == "over_batch"], *texts)
        if operation == "multiply" and not all(operand.shape for operand in operands):
            return style["scale"] % texts
        if operation == "where" and style is not TEXT:
            texts = (texts[1], texts[0], texts[2])
        if operation in style:
            return style[operation] % texts
        name = operation.replace("_", r"\_") if style is LATEX else operation
        return style["call"] % (name, ", ".join(texts))

    def linked(self, expression: Expression) -> str:
        """Return what ties steps together, at any step."""
        first, *others = expression.operands
        return self.style[expression.operation] % (
            self.name(first.name, at=_AT[expression.operation]),
            *(self.name(operand.name) for operand in others),
        )

    def _number(self, value: float) -> str:
        """All digits, without a point where it is whole."""
        mantissa, _, exponent = repr(value).removesuffix(".0").partition("e")
        if value == 0.5:
            return self.style["half"]
        if exponent:
            return self.style["power"] % (mantissa, int(exponent))
        return self.style.get("number", "%s") % mantissa


def mathml_symbol(text: str) -> str:
    """Return a symbol of the legend in MathML: W_aa with its subscript."""
    head, _, tail = text.partition("_")
    return f"<msub><mi>{head}</mi><mi>{tail}</mi></msub>" if tail else f"<mi>{text}</mi>"


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
    printer = Printer(table)
    lines = [*title(table), ""]
    for section in _sections(links):
        equations = table.of(section)
        rows = [tuple(map(plain, printer.equation(e))) for e in equations]
        wide = max(width(left) for left, _ in rows)
        bodies = [f"  {pad(left, wide)} = {right}" for left, right in rows]
        column = min(max(map(width, bodies)), 60)
        lines.append(_HEADINGS[section])
        for body, equation in zip(bodies, equations, strict=True):
            lines.append(f"{pad(body, column)}   {_shape_column(equation, sizes)}")
        lines.append("")
    lines += _legend(table, sizes, plain)
    return "\n".join(map(plain, lines))


def _shape_column(equation: Equation, sizes: Any) -> str:
    """The shape; where matrices are multiplied, also how it comes about."""
    text, operations = shape_text(equation.shape, sizes), set(equation.expression.operations())
    if "product" in operations and operations <= {"product", "add", "transpose", "quantity"}:
        return f"{text} = {_shapes(equation.expression, sizes)}"
    return text


def _shapes(expression: Expression, sizes: Any) -> str:
    """Write the shape of each operand in its place: `(n_a, n_a) (n_a, m) + (n_a, 1)`."""
    if sign := {"product": " ", "add": " + "}.get(expression.operation):
        return sign.join(_shapes(operand, sizes) for operand in expression.operands)
    return shape_text(expression.shape, sizes)


def title(table: Table) -> list[str]:
    """Return what the table is of, with the sources, in lines."""
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
    printer = Printer(table)
    rows = [
        (plain(printer.name(name)), name, shape_text(shape, sizes), table.meaning(name))
        for name, shape in table.shapes.items()
    ]
    body = [f"  {line}" for line in columns(rows)]
    axes = ", ".join(
        f"{name} {meaning}" if not sizes else f"{name} = {sizes[name]} {meaning}"
        for name, meaning in notation.DIMENSIONS.items()
    )
    return ["Quantities: symbol, name in code, shape, meaning", *body, "", f"Sizes: {axes}"]


def to_latex(table: Table, sizes: Mapping[str, int] | None = None, links: bool = False) -> str:
    """Return the table as LaTeX: one align* a direction, shapes at the right (needs amsmath)."""
    printer = Printer(table, LATEX)
    blocks = [f"% {line.strip()}" for line in title(table)]
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
    text, latex = Printer(table), Printer(table, LATEX)

    def axes(shape: Shape) -> list[Any]:
        return [(sizes or {}).get(str(axis), axis) for axis in shape]

    quantities = []
    for name, shape in table.shapes.items():
        entry = notation.entry(name)
        quantities.append({
            "name": name, "symbol": entry.text, "latex": entry.latex, "shape": axes(shape),
            "meaning": table.meaning(name), "per_step": name in table.per_step,
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


def _tree(expression: Expression) -> Any:
    if expression.operation == "quantity":
        return expression.name
    if expression.operation == "number":
        return expression.value
    return {"operation": expression.operation, "operands": [_tree(o) for o in expression.operands]}
