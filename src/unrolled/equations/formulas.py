"""Entries as formulas: of a spreadsheet, where each number is a cell, or of a programming language."""

from collections.abc import Callable, Mapping

from unrolled.equations.entries import Scalar

Place = Callable[[Scalar], str]  # what stands for an entry whose indices are numbers

# Everything that is no function is in brackets, for −a^2 is not the same everywhere.
SPREADSHEET = {
    "add": "(%s+%s)", "subtract": "(%s-%s)", "multiply": "%s*%s", "divide": "(%s/(%s))",
    "negative": "(-%s)", "square": "((%s)^2)", "exp": "EXP(%s)", "log": "LN(%s)",
    "log1p": "LN(1+%s)", "tanh": "TANH(%s)", "where": "IF(%s,%s,%s)", "less": "%s<%s",
    "at_most": "%s<=%s", "sum": "(%s)", "largest": "MAX(%s)",
}  # fmt: skip

PYTHON = {
    **SPREADSHEET, "square": "((%s)**2)", "exp": "exp(%s)", "log": "log(%s)", "log1p": "log1p(%s)",
    "tanh": "tanh(%s)", "where": "(%s and [%s] or [%s])[0]", "less": "(%s<%s)", "at_most": "(%s<=%s)",
    "largest": "max(%s)",
}  # fmt: skip


def formula(
    scalar: Scalar, place: Place, sizes: Mapping[str, int], style: Mapping[str, str] = SPREADSHEET
) -> str:
    """Return a number as a formula, without a sign of equality.

    Its indices are numbers already, but for those of its sums, which are written out; `place` says what
    stands for an entry.
    """

    def told(node: Scalar) -> str:
        if node.operation == "entry":
            return place(node)
        if node.operation == "number":
            return repr(node.value).removesuffix(".0")
        if node.operation == "call":
            return told(node.operands[-1])
        if node.operation in ("sum", "largest"):
            (of,) = node.operands
            terms = [told(of.placed({node.name: k})) for k in range(sizes[str(node.axis)])]
            if len(terms) == 1:
                return terms[0]
            return style[node.operation] % ("+" if node.operation == "sum" else ",").join(terms)
        return style[node.operation] % tuple(map(told, node.operands))

    return told(scalar)
